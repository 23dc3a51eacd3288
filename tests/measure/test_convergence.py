"""β-convergence: spells by brute force, one sampled fit against integration on a grid, rows and errors.

Front-end tests put fixed draws of the scales in place of the sampler: everything after the scales is exact and does not need it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes.errors import (
    CollinearColumnsError,
    ConvergenceWarning,
    MissingColumnError,
    MissingValueError,
    NotPositiveError,
    NoVariationError,
    ProductivityWarning,
    SetAsideWarning,
    SinglePeriodError,
    SpecificationError,
)
from bayes.estimates import Estimates
from bayes.frontier.model import StochasticFrontier
from bayes.inference.sampling import Samples
from bayes.measure import _convergence
from bayes.measure._convergence import beta_convergence
from bayes.measure._growth_data import growth_data
from bayes.measure._growth_model import GrowthModel
from bayes.measure._growth_regression import design, draw_coefficients
from bayes.panel import Panel
from bayes.priors import Prior
from tests.measure.growth_panels import UNITS, Silent, frame_of, panel_of

REFERENCE = pd.read_csv(Path(__file__).parents[1] / "reference" / "indices.csv")
QUIET = pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.{ConvergenceWarning.__name__}")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return panel_of(frame_of())


def drawn(panel: Panel, draws: np.ndarray, estimand: str = "tfp", **meta) -> Estimates:
    rows = [{"estimand": estimand, "unit": u, "period": float(t)} for u, t in zip(panel.frame.unit, panel.frame.year, strict=True)]
    return Estimates.from_draws(rows, draws, **meta)


@pytest.fixture
def no_sampler(monkeypatch) -> dict[str, np.ndarray]:
    """Fixed draws of the scales, half their prior scale or so, 2 × 500."""
    rng = np.random.default_rng(3)
    given: dict[str, np.ndarray] = {}

    def fixed(model, options):
        shape = (2, 500)
        given.update({v.name: 0.01 * np.exp(0.2 * rng.normal(size=shape)) for v in model.free_RVs})
        statistics = {
            "diverging": np.zeros(shape, dtype=bool),
            "energy": rng.normal(size=shape),
            "n_steps": np.ones(shape),
            "lp": np.ones(shape),
        }
        return Samples(given, statistics, 0.0, 0.0)

    monkeypatch.setattr(_convergence, "sample", fixed)
    return given


# ── least squares and the reference ─────────────────────────────────────────────────────────────────────────────────


def test_mexican_states_reproduce_the_reference(shared_folder, no_sampler):
    wide = pd.read_csv(shared_folder / "reference" / "data" / "pysal_mexico.csv")
    long = wide.melt(["state", "hanson98"], var_name="year", value_name="y").assign(year=lambda d: d.year.str[5:].astype(int))
    found = beta_convergence(Panel.from_frame(long, unit="state", time="year"), "y").where(source="OLS").frame.set_index("estimand")
    rows = REFERENCE[REFERENCE.method.str.startswith("beta-convergence OLS")].set_index("quantity").value.astype(float)
    got = {
        "slope": found.estimate.beta_slope, "se": found.se.beta_slope, "speed lambda=-ln(1+60 b)/60": found.estimate.beta_speed,
        "half life": found.estimate.beta_half_life, "R2": found.estimate.beta_r2,
    }  # fmt: skip
    assert set(rows.index) == set(got)
    for quantity, value in rows.items():
        assert got[quantity] == pytest.approx(value, rel=1e-8), quantity


# ── spells ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("form", "horizon", "starts", "span"), [
    ("cross-section", None, [2000], 4), ("cross-section", 3, [2000], 3),
    ("panel", None, [2000, 2001, 2002, 2003], 1), ("panel", 2, [2000, 2002], 2),
])  # fmt: skip
def test_spells_by_brute_force(panel, form, horizon, starts, span):
    data = growth_data(panel, "y", ["z"], horizon, form)
    cells = panel.frame.set_index(["unit", "year"])
    rows = [(u, s) for u in panel.units for s in starts]
    assert data.n == len(rows)
    assert data.span == span
    for j, (u, s) in enumerate(rows):
        assert data.initial[0, j] == pytest.approx(np.log(cells.y[u, s]))
        assert data.growth[0, j] == pytest.approx((np.log(cells.y[u, s + span]) - np.log(cells.y[u, s])) / span)
        assert data.conditions[j, 0] == cells.z[u, s]
        assert data.regions[data.region[j]] == cells.region[u, s]
        np.testing.assert_array_equal(data.period[j], [s == later for later in starts[1:]])


def test_unbalanced_panels_say_what_they_leave_out(panel, no_sampler):
    frame = panel.frame.drop(index=[0, 7])
    with pytest.warns(SetAsideWarning, match="1 units .* left out: u00"):
        found = beta_convergence(panel_of(frame), "y")
    assert found.frame.n_obs[0] == UNITS - 1
    assert "1 units without a spell left out (u00)" in found.frame.note[0]
    data = growth_data(panel_of(frame), "y", form="panel")
    assert data.n == UNITS * 4 - 3
    assert data.left_out == "3 of 100 spells not observed"


def test_growth_that_is_given_is_dated_by_its_later_period(panel):
    cells = panel.frame.assign(g=np.arange(panel.n_rows, dtype=float))
    later = panel.assign(g=cells.g.to_numpy())
    table = Estimates.from_rows(
        [
            {"estimand": "malmquist", "unit": u, "period": float(t), "estimate": g}
            for u, t, g in zip(cells.unit, cells.year, cells.g, strict=True)
            if t > 2000
        ]
    )
    for given in ("g", table):
        data = growth_data(later, "y", form="panel", growth=given)
        assert data.n == UNITS * 4
        np.testing.assert_array_equal(data.growth[0], cells.g[cells.year > 2000])
        np.testing.assert_allclose(data.initial[0], np.log(cells.y[cells.year < 2004]))


def test_logarithms_are_taken_as_they_are_when_asked(panel):
    logs = panel.assign(log_y=np.log(panel.frame.y))
    a, b = growth_data(logs, "log_y", log=False), growth_data(logs, "y")
    np.testing.assert_allclose(a.growth, b.growth, atol=1e-14)


# ── one sampled fit ─────────────────────────────────────────────────────────────────────────────────────────────────


@QUIET
def test_a_sampled_fit_agrees_with_integration_on_a_grid(panel):
    """Posterior means of the slope and the noise by summing the collapsed density over a grid of the three scales."""
    found = beta_convergence(panel, "y", ["z"], by="region", seed=4, draws=400, tune=300, chains=2)
    model = GrowthModel.of(growth_data(panel, "y", ["z"]), True, {})
    p = model.products()
    mean, sd = model.gaussian(p.block)
    edges = [np.linspace(0.05, 1.6, 32), np.linspace(0.01, 2.4, 24), np.linspace(0.01, 2.4, 24)]
    noise, *spread = (g.ravel() for g in np.meshgrid(*edges, indexing="ij"))
    scales = np.tile(sd, (noise.size, 1))
    log_prior = -0.5 * (noise / 1.5) ** 2
    for name, value in zip(("intercept_sd", "slope_sd"), spread, strict=True):
        scales[:, p.columns(name)] = value[:, None]
        log_prior = log_prior - 0.5 * (value / 0.5) ** 2
    a = np.eye(len(mean)) + scales[:, :, None] * p.ww[0] * scales[:, None, :] / noise[:, None, None] ** 2
    c = scales * p.wy[0]
    quadratic = (p.yy[0] - np.einsum("nk,nk->n", c, np.linalg.solve(a, c[..., None])[..., 0]) / noise**2) / noise**2
    log_density = log_prior - 0.5 * (2 * p.n * np.log(noise) + np.linalg.slogdet(a)[1] + quadratic)
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    slopes = draw_coefficients(p, noise, scales, mean, Silent())[:, 1] * model.unit("slope")
    row = found.where(estimand="beta_slope", term="all", source=found.frame.source[0]).frame.iloc[0]
    assert abs(row.estimate - weight @ slopes) < 5 * row.se / np.sqrt(300)
    noise_row = found.where(estimand="beta_noise_sd").frame.iloc[0]
    assert abs(noise_row.estimate - weight @ noise * model.unit("noise_sd")) < 5 * noise_row.se / np.sqrt(150)
    assert found.meta["seed"] == 4
    assert found.meta["sampler"] == "nutpie"


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_of_a_hierarchical_fit(panel, no_sampler):
    found = beta_convergence(panel, "y", ["z"], by="region")
    ours = found.where(source="Bayes, partial pooling")
    assert found.frame.variant.unique().tolist() == ["conditional"]
    slopes = ours.where(estimand="beta_slope")
    assert slopes.frame.region.tolist() == ["", "A", "B", "C", "D"]
    assert slopes.frame.n_obs.tolist() == [25, 8, 8, 8, 1]
    np.testing.assert_allclose(slopes.frame.prob_positive, (slopes.draws > 0).mean(axis=1))
    assert slopes.frame.note.str.contains("Matthew effect").all()
    rate = ours.where(estimand="beta_speed")
    np.testing.assert_allclose(rate.draws, -np.log(1 + 4 * slopes.draws) / 4, rtol=1e-10)
    assert abs(rate.frame.estimate[0] - np.median(rate.draws[0])) < 1e-3
    assert set(ours.frame.estimand) == {
        "beta_slope", "beta_speed", "beta_half_life", "beta_condition", "beta_slope_sd", "beta_intercept_sd", "beta_noise_sd"
    }  # fmt: skip
    assert ours.where(estimand="beta_condition").frame.term.tolist() == ["z"]
    alone = found.where(source="OLS", region="D").frame
    assert alone.estimate.isna().all()
    assert not alone.identified.any()
    assert alone.note.str.match("1 spells? for . coefficients: no least squares").all()
    prior = found.meta["priors"].set_index("parameter")
    assert "period" not in prior.index
    assert prior.set_by.unique().tolist() == ["default"]
    growth = growth_data(panel, "y").growth[0]
    assert prior.distribution.noise_sd == f"HalfNormal(sigma={1.5 * growth.std(ddof=1):.4g})"


def test_slopes_come_back_from_data_that_say_much(no_sampler):
    """2,000 spells without noise to speak of: slopes of every region and the condition are those of the simulation."""
    rng = np.random.default_rng(6)
    n, truth = 400, np.array([-0.08, -0.02, 0.03, 0.05])
    x, z, region = rng.normal(size=n), rng.normal(size=n), np.arange(n) % 4
    log_y = np.column_stack([x, x + truth[region] * x + 0.04 * z + 1e-5 * rng.normal(size=n)])
    frame = pd.DataFrame({"unit": np.repeat(np.arange(n), 2), "year": np.tile([0, 1], n), "log_y": log_y.ravel(), "z": np.repeat(z, 2)})
    frame["region"] = np.array(list("abcd"))[np.repeat(region, 2)]
    found = beta_convergence(panel_of(frame), "log_y", ["z"], by="region", log=False, priors={"slope_sd": 5.0})
    slopes = found.where(estimand="beta_slope", term="region", source="Bayes, partial pooling").frame
    np.testing.assert_allclose(slopes.estimate, truth, atol=0.002)
    assert found.where(estimand="beta_condition").frame.estimate.item() == pytest.approx(0.04, abs=0.002)
    assert slopes.prob_positive.tolist() == [0, 0, 1, 1]


def test_a_gap_that_widens_has_no_half_life(no_sampler):
    found = beta_convergence(panel_of(frame_of(slope=0.06)), "y")
    ours = found.where(source="Bayes").frame.set_index("estimand")
    assert ours.prob_positive.beta_slope == 1
    assert np.isnan(ours.estimate.beta_half_life)
    assert not ours.identified.beta_half_life
    assert "half of the draws or more do not converge" in ours.note.beta_half_life
    assert "in 100.0% of draws" in ours.note.beta_half_life
    assert ours.upper.beta_half_life == np.inf
    assert np.isnan(found.where(source="Bayes", estimand="beta_half_life").draws).all()
    ols = found.where(source="OLS", estimand="beta_half_life").frame.iloc[0]
    assert np.isnan(ols.estimate)
    assert "does not close" in ols.note


def test_independent_values_close_the_gap_at_once(no_sampler):
    """Without memory the slope is −1 a period: half of the draws lie below −1 and have no finite speed."""
    rng = np.random.default_rng(8)
    frame = frame_of(units=300, years=2).assign(y=lambda d: np.exp(0.01 * rng.normal(size=len(d))))
    found = beta_convergence(panel_of(frame), "y").where(source="Bayes")
    slope, rate = (found.where(estimand=f"beta_{e}") for e in ("slope", "speed"))
    closed = (slope.draws <= -1).mean()
    assert 0.05 < closed < 0.95
    assert np.isnan(rate.draws).mean() == closed
    assert f"gap closed within a spell in {closed:.1%} of draws" in rate.frame.note[0]


# ── draws of the values ─────────────────────────────────────────────────────────────────────────────────────────────


def test_cut_posterior_draws_each_outcome_from_its_own_conditional(panel, no_sampler, monkeypatch):
    noise = np.random.default_rng(2).normal(0, 0.05, (panel.n_rows, 9))
    values = drawn(panel, panel.column("y")[:, None] * np.exp(noise))
    used = {}
    original = GrowthModel.draw

    def silent(self, p, scales, rng, which=None):
        if which is not None:
            used.update(p=p, scales=scales, which=which)
            return original(self, p, scales, Silent(), which)
        return original(self, p, scales, rng, which)

    monkeypatch.setattr(GrowthModel, "draw", silent)
    found = beta_convergence(panel, values, by="region")
    slope = found.where(estimand="beta_slope", term="all", source="Bayes, partial pooling, cut posterior")
    assert slope.draws.shape == (1, 9)
    assert "cut posterior" in slope.frame.note[0]
    np.testing.assert_array_equal(used["which"], np.arange(9))
    model = GrowthModel.of(growth_data(panel, values), True, {})
    w, y, block = design(model.data, model.scaling, True)
    for d in range(9):
        sd = model.gaussian(block)[1]
        for name in ("intercept_sd", "slope_sd"):
            sd[[b == name for b in block]] = used["scales"][name][d] / model.unit(name)
        sigma = used["scales"]["noise_sd"][d] / model.unit("noise_sd")
        want = np.linalg.solve(w[d].T @ w[d] / sigma**2 + np.diag(1 / sd**2), w[d].T @ y[d] / sigma**2)[1] * model.unit("slope")
        assert slope.draws[0, d] == pytest.approx(want, rel=1e-8)
    drawn_scales = {k: set(v.ravel()) for k, v in no_sampler.items()}
    assert all(set(used["scales"][k]) <= v for k, v in drawn_scales.items())
    ols = found.where(source="OLS", estimand="beta_slope", term="all").frame.iloc[0]
    mean = growth_data(panel, values).mean()
    assert ols.estimate == pytest.approx(np.polyfit(mean.initial[0], mean.growth[0], 1)[0], rel=1e-8)
    assert "at the mean of the draws" in ols.note


def test_draws_of_growth_and_values_go_together(panel):
    y = panel.column("y")[:, None] * np.exp(np.random.default_rng(2).normal(0, 0.05, (panel.n_rows, 4)))
    g = np.random.default_rng(3).normal(size=(panel.n_rows, 4))
    data = growth_data(panel, drawn(panel, y), form="panel", growth=drawn(panel, g, "ml"))
    assert data.n_draws == 4
    later = (panel.frame.year > 2000).to_numpy()
    np.testing.assert_array_equal(data.growth, g[later].T)
    assert growth_data(panel, "y", form="panel", growth=drawn(panel, g, "ml")).initial.shape == (4, UNITS * 4)
    with pytest.raises(SpecificationError, match="4 draws and the values 3"):
        growth_data(panel, drawn(panel, y[:, :3]), form="panel", growth=drawn(panel, g, "ml"))


# ── efficiencies ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_efficiencies_that_are_independent_over_time_are_refused(panel, no_sampler):
    draws = np.random.default_rng(0).uniform(0.5, 0.9, (panel.n_rows, 5))
    pooled, shared = (StochasticFrontier(output="y", inputs=["z"], model=m) for m in ("pooled", "bc92"))
    with pytest.raises(SpecificationError, match="−1 by construction"):
        beta_convergence(panel, drawn(panel, draws, "efficiency", outcome="y", frontier=pooled))
    beta_convergence(panel, drawn(panel, draws, "efficiency", outcome="y", frontier=shared))
    with pytest.warns(ProductivityWarning, match="which frontier"):
        beta_convergence(panel, drawn(panel, draws, "efficiency", outcome="y"))
    beta_convergence(panel, drawn(panel, draws, "efficiency"))  # of another kind: data envelopment analysis


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "unit"}, "'all', 'region'"), ({"form": "pooled"}, "'cross-section', 'panel'"), ({"level": 0}, "between 0 and 1"),
        ({"growth": "y"}, "form='panel'"), ({"horizon": 9}, "1 to 4"), ({"horizon": 1.5}, "whole number"),
        ({"conditional_on": "z"}, "list"),
        ({"conditional_on": ["z", "z"]}, "twice"), ({"priors": {"beta": 1.0}}, "beta"), ({"priors": 3}, "mapping"),
        ({"priors": {"slope": Prior("Uniform", {"lower": -1.0, "upper": 0.0})}}, "Normal"), ({"sampler": "stan"}, "stan"),
    ],
)  # fmt: skip
def test_unknown_words_are_refused(panel, options, words):
    with pytest.raises(SpecificationError, match=words):
        beta_convergence(panel, "y", **options)


def test_unknown_keywords_are_refused(panel):
    with pytest.raises(TypeError):
        beta_convergence(panel, "y", regions=True)


def changed(panel: Panel, **columns) -> Panel:
    return panel.assign(**columns)


def test_places_of_bad_data_are_named(panel):
    frame = panel.frame
    with pytest.raises(NotPositiveError, match="unit u00, year 2000"):
        beta_convergence(changed(panel, y=frame.y.where(frame.index != 0, 0.0)), "y")
    with pytest.raises(NoVariationError, match="initial value of 'y'"):
        beta_convergence(changed(panel, y=frame.y.where(frame.year != 2000, 2.0)), "y")
    with pytest.raises(NoVariationError, match="growth of 'y'"):
        beta_convergence(changed(panel, y=np.exp(0.1 * frame.year + frame.unit.str[1:].astype(float))), "y")
    with pytest.raises(MissingColumnError, match="'w'"):
        beta_convergence(panel, "y", ["w"])
    with pytest.raises(CollinearColumnsError, match="'w' is constant"):
        beta_convergence(changed(panel, w=1.0), "y", ["w"])
    with pytest.raises(CollinearColumnsError, match="'w' is a combination"):
        beta_convergence(changed(panel, w=3 * np.log(frame.y) - frame.z), "y", ["z", "w"])
    with pytest.raises(SpecificationError, match="all spells lie in 'A'"):
        beta_convergence(panel_of(frame[frame.region == "A"]), "y", by="region")
    with pytest.raises(SpecificationError, match="2 spells"):
        beta_convergence(panel_of(frame[frame.unit.isin(["u00", "u01"])]), "y")
    one = drawn(panel, panel.column("y")[:, None] * np.ones(3)).where(period=2001.0)
    with pytest.raises(SinglePeriodError, match="2001"):
        beta_convergence(panel, one)
    ends = panel_of(frame[(frame.unit < "u10") & (frame.year > 2000) | (frame.unit >= "u10") & (frame.year < 2004)])
    with pytest.raises(SpecificationError, match="both ends"):
        beta_convergence(ends, "y")
    short = panel_of(frame.drop(index=0))
    levels = Estimates.from_rows(
        [{"estimand": "tfp", "unit": u, "period": float(t), "estimate": y} for u, t, y in zip(frame.unit, frame.year, frame.y, strict=True)]
    )
    with pytest.raises(MissingValueError, match="unit u00, year 2000"):
        growth_data(short, levels, ["z"])

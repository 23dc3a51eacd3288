"""Simulation-based calibration: outcomes that follow the model, ranks against known posteriors, a record that goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bayes
from bayes import calibration
from bayes.did.draws import hyperparameters
from bayes.did.quick_mode import log_likelihoods, log_posteriors
from bayes.did.simulated_outcomes import DiDDesign
from bayes.errors import SpecificationError, UnsupportedModelError
from bayes.frontier.simulated_outcomes import FrontierDesign
from bayes.inference.calibration_result import CalibrationResult
from tests.frontier.simulate import frontier_panel

DID = bayes.StaggeredDiD("y", pooling="complete", errors="iid", covariates=("x",))
SHORT = {"draws": 60, "tune": 100, "progress": False}


def fabricated(n: int = 200, error: float = 0.0) -> CalibrationResult:
    """A normal mean whose posterior is known: y ~ N(θ, 1), θ ~ N(0, 1), posterior N(y/2 + ``error``, 1/2); made up, not sampled."""
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(n, 2))
    centre = (truth + rng.normal(size=(n, 2))) / 2 + np.array([0.0, error])
    draws = centre + np.sqrt(0.5) * rng.normal(size=(99, n, 2))
    labels = tuple({"estimand": "mean", "term": word, "region": ""} for word in ("right", "shifted"))
    chains = {"divergences": np.zeros(n, dtype=int), "rhat": np.full(n, 1.01), "ess": np.full(n, 200.0)}
    return CalibrationResult(
        labels, (draws < truth).sum(axis=0), (draws < truth).mean(axis=0), truth, draws.mean(axis=0), draws.std(axis=0, ddof=1),
        **chains, n_ranks=99, meta={"model": "known"},
    )  # fmt: skip


def test_a_known_posterior_is_calibrated_and_a_shifted_one_is_not():
    right, shifted = fabricated(400), fabricated(400, error=0.3)
    assert right.uniformity().min() > 0.01
    assert "compatible" in right.verdict
    assert shifted.uniformity()[1] < 0.001
    assert "mean shifted" in shifted.verdict
    assert "NOT" in shifted.verdict
    table = right.coverage([0.5, 0.9]).frame
    assert (np.abs(table.estimate - np.repeat([0.5, 0.9], 2)) < 4 * table.se).all()
    assert ((table.lower < table.estimate) & (table.estimate < table.upper)).all()
    assert set(table.variant) == {"50% interval", "90% interval"}
    np.testing.assert_allclose(right.rmse().frame.estimate, np.sqrt(0.5), rtol=0.1)  # posterior sd, since the mean is Bayes
    assert list(right.frame["quantity"]) == ["mean right", "mean shifted"]
    assert "400 replicates" in repr(right)


def test_failed_fits_are_counted_and_kept():
    rhat = np.full(200, 1.01)
    rhat[:3] = [1.2, np.inf, np.nan]
    divergences = np.zeros(200, dtype=int)
    divergences[5] = 2
    result = replace(fabricated(), rhat=rhat, divergences=divergences)
    assert result.failed.sum() == 4
    assert "4 with divergent" in result.verdict
    assert len(result) == 200


@pytest.mark.parametrize("level", [0, 1, 90, -0.5])
def test_levels_are_shares(level):
    with pytest.raises(SpecificationError, match="level"):
        fabricated().coverage(level)
    with pytest.raises(SpecificationError, match="level"):
        fabricated().bands(level)


# ── difference-in-differences ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pooling", ["none", ("event", "region", "cell")])
def test_flat_parts_do_not_move_the_posterior_of_the_rest(gappy_panel, pooling):
    """The reason why unit and period effects and coefficients may be held at zero."""
    design = DiDDesign(bayes.StaggeredDiD("y", pooling=pooling, covariates=("x",)), gappy_panel, ("att", "scales"))
    rng = np.random.default_rng(2)
    one, block, panel = design.simulate(rng), design.block, gappy_panel
    unit = np.repeat(np.arange(panel.n_units), np.diff(np.r_[block.starts, block.periods.size]))
    flat = 3 * rng.normal(size=panel.n_units)[unit] + rng.normal(size=panel.n_periods)[block.periods] + 0.7 * block.values[:, 0]
    collapsed = []
    for extra in (0.0, flat):
        y = design._outcome(design._parameters(np.random.default_rng(9)), np.random.default_rng(8)) + extra
        values = np.column_stack([block.values[:, :-1], y])
        collapsed.append(
            design.spec.collapse_blocks([replace(block, values=values)], panel.n_periods, int(panel.periods[0]), 1, panel.regions.tolist())
        )
    z = np.random.default_rng(3).normal(-0.5, 0.4, size=(6, len(design.spec.parameters(one.collapsed))))
    units = [np.array([0.0 if n == "autocorrelation" else np.log(c.scales[-1]) for n in design.spec.parameters(c)]) for c in collapsed]
    values = [log_posteriors(design.spec, c, z - u) for c, u in zip(collapsed, units, strict=True)]
    differences = values[0] - values[1]
    np.testing.assert_allclose(differences, differences[0], atol=1e-6)


def test_drawn_outcomes_have_the_moments_of_the_model(gappy_panel):
    """Errors of never-treated units: stationary AR(1) over calendar gaps; treated rows add their cell and their unit's deviation."""
    design = DiDDesign(bayes.StaggeredDiD("y"), gappy_panel, ("att", "scales"))
    block, rng = design.block, np.random.default_rng(1)
    scalars, cells, units, slopes = design._parameters(rng)
    scalars = scalars | {"innovation_sd": np.array([[0.6]]), "autocorrelation": np.array([[0.7]])}
    y = np.array([design._outcome((scalars, cells, units, slopes), rng) for _ in range(3000)])
    unit = np.repeat(np.arange(block.starts.size), np.diff(np.r_[block.starts, block.periods.size]))
    rows = np.flatnonzero(unit == np.flatnonzero(np.isinf(block.cohorts))[0])
    gap = np.abs(np.subtract.outer(block.periods[rows], block.periods[rows]))
    np.testing.assert_allclose(np.cov(y[:, rows].T), 0.36 / (1 - 0.49) * 0.7**gap, atol=0.09)
    treated = np.flatnonzero(block.periods >= block.cohorts[unit])
    row = treated[0]
    c = design.template.design.cells
    own = (c.region == block.regions[unit[row]]) & (c.cohort == block.cohorts[unit[row]]) & (c.period == block.periods[row])
    assert y[:, row].mean() == pytest.approx(cells[own][0] + units[unit[row]], abs=0.08)


@pytest.mark.parametrize("pooling", ["none", ("region", "cell")])
def test_the_score_of_the_likelihood_has_mean_zero_at_the_truth(gappy_panel, pooling):
    """Simulator and likelihood are written apart: where they agree, derivatives at the true scales and ρ average to nothing."""
    design = DiDDesign(bayes.StaggeredDiD("y", pooling=pooling), gappy_panel, ("scales",))
    names, priors, step, scores = design.spec.parameters(design.template), design.spec.resolved_priors(), 1e-4, []
    for k in range(80):
        rng = np.random.default_rng([3, k])
        drawn = design._parameters(rng)
        truth = {n: float(v[0, 0]) for n, v in drawn[0].items()}
        rows = [
            truth | {n: np.tanh(np.arctanh(truth[n]) + h) if n == "autocorrelation" else truth[n] * np.exp(h)}
            for h in (step, -step)
            for n in names
        ]
        values = {n: np.array([row[n] for row in rows]) for n in names}
        block = replace(design.block, values=np.column_stack([design.block.values[:, :-1], design._outcome(drawn, rng)]))
        collapsed = design.spec.collapse_blocks(
            [block], gappy_panel.n_periods, int(gappy_panel.periods[0]), gappy_panel.step, gappy_panel.regions.tolist()
        )
        density = log_likelihoods(collapsed, hyperparameters(values, collapsed, priors))
        scores.append((density[: len(names)] - density[len(names) :]) / (2 * step))
    t = np.mean(scores, axis=0) / (np.std(scores, axis=0, ddof=1) / np.sqrt(len(scores)))
    assert np.abs(t).max() < 4


def test_true_averages_are_those_of_treated_rows(gappy_panel):
    design = DiDDesign(bayes.StaggeredDiD("y"), gappy_panel, ("att",))
    scalars, cells, units, slopes = design._parameters(np.random.default_rng(4))
    block, c = design.block, design.template.design.cells
    known = design.template.identified_cells
    unit = np.repeat(np.arange(block.starts.size), np.diff(np.r_[block.starts, block.periods.size]))
    effects = []
    for row in np.flatnonzero(block.periods >= block.cohorts[unit]):
        i = unit[row]
        cell = np.flatnonzero((c.region == block.regions[i]) & (c.cohort == block.cohorts[i]) & (c.period == block.periods[row]))[0]
        effects += [cells[cell] + units[i]] if known[cell] else []
    truth = design._values(design._truth_dataset(scalars, cells, units, slopes))[1]
    assert truth[0, 0] == pytest.approx(np.mean(effects), abs=1e-12)


def test_a_short_calibration_goes_on_where_it_stopped(tiny_panel, tmp_path):
    few = bayes.calibrate(DID, tiny_panel, 3, seed=6, resume=tmp_path, **SHORT)
    more = bayes.calibrate(DID, tiny_panel, 8, seed=6, resume=tmp_path, **SHORT)
    np.testing.assert_array_equal(more.ranks[:3], few.ranks)
    again = bayes.calibrate(DID, tiny_panel, 4, seed=6, cores=1, **SHORT)
    np.testing.assert_array_equal(again.below, more.below[:4])
    assert ((more.ranks >= 0) & (more.ranks <= 99)).all()
    assert more.names[:2] == ["att simple", "att_population simple"]
    assert {"innovation_sd", "unit_effect_sd"} <= set(more.names)
    assert np.corrcoef(more.truth[:, 0], more.mean[:, 0])[0, 1] > 0.5
    assert more.uniformity().min() > 1e-3
    assert len(list(tmp_path.glob("calibration-*"))) == 1


# ── frontier ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "inefficiency"),
    [
        ("pooled", "half-normal"),
        ("pooled", "truncated-normal"),
        ("pooled", "gamma"),
        ("bc92", "exponential"),
        ("four-component", "rayleigh"),
    ],
)  # fmt: skip
def test_drawn_outputs_lie_below_their_frontier_by_inefficiency(model, inefficiency):
    panel = frontier_panel(18, 5, 3, model)
    unit = {"unit_effect_sd": 1e-9} if model == "four-component" else {}
    spec = bayes.StochasticFrontier(
        "y", ["x0", "x1"], technology="cobb-douglas", model=model, inefficiency=inefficiency, priors={"noise_scale": 1e-9} | unit
    )
    design = FrontierDesign(spec, panel, ("elasticities", "efficiency", "scales"))
    p, u, truth, labels = design._truth(np.random.default_rng(3))
    assert u.shape == design.data.output.shape
    assert (u >= 0).all()
    efficiency = next(t for t, label in zip(truth, labels, strict=True) if label["estimand"] == "efficiency")
    drawn = design.simulate(np.random.default_rng(3))
    np.testing.assert_array_equal(drawn.truth, truth)
    assert 0 < efficiency < 1
    from bayes.frontier.likelihood import residuals

    left = residuals(p["technology"], drawn.data)[0]
    if model != "four-component":  # its residuals hold the persistent part as well
        np.testing.assert_allclose(left, -u, atol=1e-5)
    assert np.exp(left).mean() == pytest.approx(efficiency, rel=1e-5)


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 1}, "n must be"), ({"seed": -1}, "seed"), ({"quantities": "att"}, "list"), ({"quantities": []}, "list"),
        ({"quantities": ["elasticities"]}, "quantities"), ({"draws": 20}, "draws × chains"), ({"sampler": "stan"}, "sampler"),
        ({"panel": "castle"}, "Panel"), ({"model": "did"}, "StaggeredDiD"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(tiny_panel, changes, message):
    chosen = {"model": DID, "panel": tiny_panel, "n": 5, **changes}
    with pytest.raises(SpecificationError, match=message):
        bayes.calibrate(**chosen)


def test_models_without_a_simulator_are_refused(tiny_panel):
    with pytest.raises(UnsupportedModelError):
        bayes.calibrate(replace(DID, likelihood="student-t", leads=False), tiny_panel, 5)
    soft = bayes.StochasticFrontier("y", ["x0", "x1"], model="pooled", monotonicity="soft")
    with pytest.raises(UnsupportedModelError):
        bayes.calibrate(soft, frontier_panel(18, 5, 3), 5)


def test_ranks_are_thinned_from_all_chains():
    assert calibration._RANKS == 99
    draws = np.arange(400.0)[None]
    samples = calibration.Samples(
        {"a": np.random.default_rng(0).normal(size=(2, 200))},
        {"diverging": np.zeros((2, 200), dtype=bool), "energy": np.random.default_rng(1).normal(size=(2, 200))}, 0.0, 0.0,
    )  # fmt: skip
    kept = calibration._compared(np.array([200.0]), draws, samples)
    assert kept["ranks"][0] == 49
    assert kept["below"][0] == 0.5

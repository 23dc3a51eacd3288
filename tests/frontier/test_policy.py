"""The treatment as a determinant of inefficiency, and draws of a frontier as an outcome: against loops, integrals and other modules."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from scipy.integrate import quad

from bayes import StaggeredDiD
from bayes.did.effects import AGGREGATIONS
from bayes.errors import MissingColumnError, NoVariationError, ProductivityWarning, SetAsideWarning, SpecificationError
from bayes.frontier import inefficiency as ie
from bayes.frontier.data import frontier_data
from bayes.frontier.draws import posterior_dataset
from bayes.frontier.efficiency import determinant_effects
from bayes.frontier.fit import FrontierFit
from bayes.frontier.likelihood import row_parameters
from bayes.frontier.policy import expected_efficiency, outcome_draws, policy_effect, treated_rows, with_treatment
from bayes.frontier.productivity import productivity_change
from bayes.panel import Panel
from tests.frontier.posteriors import data_of, every_specification, made_up_draws, name_of, panel_of, spec_of, synthetic_frame

FRAME = panel_of(synthetic_frame(gaps=True)).frame
FIRST = {"u000": 2003, "u001": 2003, "u002": 2003, "u003": 2001, "u004": np.nan, "u005": 0, "u006": 2005, "u007": 2010, "u008": np.inf}
"""First treated periods: with a row there, in a hole, after the unit's end, always (from the row before its first), never in three ways
(missing, 0, inf) and after the panel."""


def timed_panel(frame=None) -> Panel:
    frame = synthetic_frame(gaps=True) if frame is None else frame
    with pytest.warns(SetAsideWarning, match="u003"):
        return Panel.from_frame(
            frame.assign(first=frame.unit.map(FIRST)), unit="unit", time="year", region="region", first_treated="first", name="synthetic"
        )


def quietly(function, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProductivityWarning)
        return function(*arguments)


# ── the indicator ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_treated_rows_with_gaps_and_never_and_always_treated():
    panel = timed_panel()
    found = panel.frame[["unit", "year"]].assign(treated=treated_rows(panel))
    expected = [float(year >= (FIRST[unit] or np.inf)) for unit, year in zip(found.unit, found.year, strict=True)]
    assert list(found.treated) == expected
    per_unit = found.groupby("unit").treated.sum().to_dict()
    assert per_unit == {"u000": 3, "u001": 2, "u002": 1, "u004": 0, "u005": 0, "u006": 1, "u007": 0, "u008": 0}
    assert set(panel.set_aside.unit) == {"u003"}, "treated in every period it is observed in"


def test_treated_rows_on_a_grid_of_every_second_year():
    frame = synthetic_frame().assign(year=lambda f: 2001 + 2 * (f.year - 2001), first=lambda f: f.unit.map({"u000": 2004, "u001": 2005}))
    panel = Panel.from_frame(frame, unit="unit", time="year", first_treated="first")
    rows = panel.frame.assign(treated=treated_rows(panel)).query("treated == 1")
    assert list(zip(rows.unit, rows.year, strict=True)) == [(u, y) for u in ("u000", "u001") for y in (2005, 2007, 2009)]


@pytest.mark.parametrize("role", ["determinants", "noise_determinants", "covariates"])
def test_the_reserved_name_is_the_indicator_where_it_is_named(role):
    panel, spec = timed_panel(), spec_of(pooling="complete", **{role: ["treated"]})
    assert with_treatment(spec_of(), panel) is panel
    np.testing.assert_array_equal(with_treatment(spec, panel).column("treated"), treated_rows(panel))
    data = spec.data(panel)
    if role == "determinants":
        column = data.in_rows(data.determinants[0]) * data.determinant_scale[0] + data.determinant_centre[0]
        np.testing.assert_allclose(column, treated_rows(panel), atol=1e-12)


def test_a_column_of_that_name_is_used_as_it_is():
    mine = timed_panel(synthetic_frame(gaps=True).assign(treated=lambda f: f.d))
    assert with_treatment(spec_of(determinants=["treated"]), mine) is mine


def test_what_cannot_be_an_indicator_is_refused():
    spec = spec_of(pooling="complete", determinants=["treated"])
    with pytest.raises(MissingColumnError, match="first_treated= or treated="):
        spec.data(panel_of(synthetic_frame()))
    frame = synthetic_frame().assign(treated=lambda f: f.unit.map({"u000": 2003}))
    with pytest.raises(SpecificationError, match="rename it"):
        spec.data(Panel.from_frame(frame, unit="unit", time="year", region="region", first_treated="treated"))
    frame = synthetic_frame().assign(first=np.nan)
    nobody = Panel.from_frame(frame, unit="unit", time="year", region="region", first_treated="first")
    with pytest.raises(NoVariationError, match="treated"):
        spec.data(nobody)


# ── one step ────────────────────────────────────────────────────────────────────────────────────────────────────────


def density(spec, p, rows, place):
    """Prior density of u⁰ of one row in the first draw, and its h."""

    def at(values):
        return float(np.broadcast_to(values, (2, *place[1]))[(0, *place[0])])

    scale, mu, h = at(rows.sigma_u), at(rows.mu), at(rows.h)
    match spec.inefficiency:
        case "half-normal":
            return stats.halfnorm(scale=scale).pdf, h, scale
        case "exponential":
            return stats.expon(scale=scale).pdf, h, scale
        case "rayleigh":
            return stats.rayleigh(scale=scale).pdf, h, scale
        case "gamma":
            return stats.gamma(p["shape"][0], scale=scale).pdf, h, scale
        case _:
            return stats.truncnorm(-mu / scale, np.inf, loc=mu, scale=scale).pdf, h, scale


@pytest.mark.parametrize("spec", [s for s in every_specification() if s.determinants], ids=name_of)
def test_expected_efficiency_is_the_integral_under_the_model(spec):
    data = data_of(spec)
    p = made_up_draws(spec, data, 2)
    found, rows = expected_efficiency(p, spec, data), row_parameters(p, spec, data)
    for place in ((0, 0), (4, 3)):
        pdf, h, scale = density(spec, p, rows, (place, data.output.shape))

        def integrand(u, pdf=pdf, h=h):
            return np.exp(-h * u) * pdf(u)

        parts = [quad(integrand, a * scale, b * scale, epsabs=1e-13)[0] for a, b in ((0, 1), (1, 8), (8, 40))]
        assert found[(0, *place)] == pytest.approx(sum(parts), rel=1e-8)


@pytest.mark.parametrize("spec", [s for s in every_specification() if s.determinants], ids=name_of)
def test_the_effect_on_log_efficiency_is_that_of_the_determinant(spec):
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data, 4)
    found = policy_effect(p, spec, data, "region", determinant="d")
    known = determinant_effects(p, spec, data, "region").where(term="d", estimand="log_efficiency_effect")
    log_part, part = (found.where(estimand=e) for e in ("att_log_efficiency", "att_efficiency"))
    np.testing.assert_allclose(log_part.draws, known.draws, rtol=1e-12)
    assert list(log_part.frame.region) == list(part.frame.region) == list(known.frame.region)
    assert (np.sign(part.draws) == np.sign(log_part.draws)).all()
    assert (np.abs(part.draws) < np.abs(log_part.draws)).all(), "exp(−u) is flatter than −u"
    assert ("transient" in part.frame.note[0]) == (spec.model == "four-component")


def test_the_effect_on_efficiency_averages_treated_rows_and_weights_them():
    spec = spec_of(determinants=["z", "d"])
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data, 4)
    w = np.random.default_rng(0).gamma(1.0, 1.0, data.n_rows)
    on, off = (expected_efficiency(p, spec, data_of_column(data, 1, v)) for v in (1.0, 0.0))
    rows = np.flatnonzero(FRAME.d == 1)
    difference = data.in_rows(on - off)[:, rows]
    for weights in (None, w):
        found = policy_effect(p, spec, data, weights=weights, determinant="d").where(estimand="att_efficiency")
        known = np.average(difference, axis=1, weights=None if weights is None else weights[rows])
        np.testing.assert_allclose(found.draws[0], known, rtol=1e-12)
        assert found.frame.n_obs[0] == rows.size
        assert found.frame.term[0] == "d"


def data_of_column(data, q, value):
    z = data.determinants.copy()
    z[q] = (value - data.determinant_centre[q]) / data.determinant_scale[q]
    return replace(data, determinants=z)


def test_policy_effects_of_numbers_and_of_absent_determinants_are_refused():
    spec = spec_of(determinants=["z", "d"])
    data = data_of(spec)
    p = made_up_draws(spec, data)
    with pytest.raises(SpecificationError, match="stands for the treatment timing"):
        policy_effect(p, spec, data)
    with pytest.raises(SpecificationError, match="not 0 and 1"):
        policy_effect(p, spec, data, determinant="z")


# ── draws as an outcome ─────────────────────────────────────────────────────────────────────────────────────────────


def test_log_efficiency_as_outcome_is_minus_inefficiency():
    spec = spec_of()
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data)
    np.testing.assert_array_equal(outcome_draws(p, spec, data, "log_efficiency", 3), -ie.inefficiency_draws(p, spec, data, 3))
    with pytest.raises(SpecificationError, match="'log_efficiency', 'log_tfp'"):
        outcome_draws(p, spec, data, "efficiency", 3)


@pytest.mark.parametrize("options", [{}, {"model": "bc92"}, {"kind": "cost", "products": ["k"]}], ids=str)
def test_log_tfp_as_outcome_is_the_cumulative_index_of_each_unit(options):
    frame = synthetic_frame(gaps=True).query("unit != 'u005' or year == 2003").reset_index(drop=True)
    panel, spec = panel_of(frame), spec_of(**options)
    data = frontier_data(spec, panel)
    p = made_up_draws(spec, data)
    with pytest.warns(ProductivityWarning, match=r"model="):
        found = outcome_draws(p, spec, data, "log_tfp", 3)
    index = quietly(productivity_change, p, spec, data, ie.inefficiency_draws(p, spec, data, 3), "unit:period", True).where(estimand="tfpc")
    known = pd.DataFrame(np.log(index.draws)).set_index([index.frame.unit, index.frame.period.astype(int)])
    for row, (unit, year) in enumerate(zip(panel.frame.unit, panel.frame.year, strict=True)):
        expected = known.loc[(unit, year)].to_numpy() if unit != "u005" else 0.0
        np.testing.assert_allclose(found[:, row], expected, atol=1e-12)


def fabricated(panel: Panel, n_draws: int = 20, **options) -> FrontierFit:
    """A fit whose draws are made up; all that follows from them is exact."""
    spec = spec_of(**options)
    panel = spec.needed(with_treatment(spec, panel))
    data = frontier_data(spec, panel)
    p = made_up_draws(spec, data, 2 * n_draws)
    p["determinant"] = p["determinant"] / data.determinant_scale
    posterior = posterior_dataset({k: v.reshape(2, n_draws, *v.shape[1:]) for k, v in p.items()}, spec, data)
    shape = (2, n_draws)
    statistics = {"diverging": np.zeros(shape, bool), "energy": np.random.default_rng(1).normal(size=shape), "n_steps": np.ones(shape, int)}
    kept = posterior[["technology", "noise_scale", "inefficiency_scale", *(["determinant"] if spec.determinants else [])]]
    tree = xr.DataTree.from_dict(
        {"posterior": kept, "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in statistics.items()})}
    )
    tree.attrs["meta"] = json.dumps({"seed": 3})
    return FrontierFit(spec, panel, tree)


def test_a_fit_gives_policy_effects_and_says_its_verdict():
    fit = fabricated(timed_panel(), determinants=["treated"])
    assert "treated" in fit.panel.frame
    table = fit.policy_effect()
    assert list(table.frame.estimand) == ["att_log_efficiency", "att_efficiency"]
    assert (table.frame.term == "treated").all()
    assert table.frame.n_obs[0] == treated_rows(timed_panel()).sum()
    assert table.frame.source[0].startswith("Bayes, partial pooling")
    assert table.meta["verdict"] == fit.diagnose().verdict
    assert table.draws.shape == (2, 40)


def test_a_fit_is_the_outcome_of_a_difference_in_differences():
    fit = fabricated(timed_panel())
    panel, draws = fit.as_outcome()
    np.testing.assert_allclose(panel.column("log_efficiency"), draws.mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(draws, -fit.inefficiency())
    cut = StaggeredDiD("log_efficiency", pooling="complete", leads=False, errors="iid").fit_draws(panel, draws, seed=1, draws_used=5)
    for by in AGGREGATIONS:
        table = cut.att(by)
        assert table.frame.source.str.contains("cut posterior").all()
        assert table.frame.note.str.contains("attenuated").all()
        assert table.meta["outcome"] == "log_efficiency"
    with pytest.raises(SpecificationError, match="already"):
        FrontierFit(fit.model, panel, fit.tree).as_outcome()

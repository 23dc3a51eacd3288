"""Scenarios of convergence: kernels against loops, limits that must hold, dispersion and decisions by hand, bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes.errors import SpecificationError
from bayes.frontier import best_practice as kernels
from bayes.frontier import technology as tech
from bayes.frontier.inefficiency import draw_inefficiency
from bayes.frontier.scenario_result import BASELINE, CRITERIA, ScenarioResult
from bayes.priors import Prior
from bayes.scenario import _distances, _shares, scenarios
from tests.reporting.frontier_fakes import failed
from tests.scenario_fits import EMISSION, fit_of, pair, pair_frame, panel_of

DIRECTIONS = ("energy-first", "economy-first", "balanced")


@pytest.fixture(scope="module")
def fits():
    return pair(pair_frame(gaps=True), output={"draws": 40, "technical_change": "biased"})


@pytest.fixture(scope="module")
def result(fits):
    return scenarios(*fits, seed=2)


def by_hand(share=(1.0, 0.5), **options) -> ScenarioResult:
    """Two draws, three units; A leads in both dimensions, in the second draw C lies ahead of it in output."""
    distances = np.array([[[0.1, 0.5, 0.2], [0.1, 0.7, 0.0]], [[0.0, 0.1, 0.4], [0.2, 0.3, 0.4]]])
    weights = pd.DataFrame({"emission": [0, 1.0, 0, 0.5], "output": [0, 0, 1.0, 0.5]}, index=[BASELINE, *DIRECTIONS])
    meta = {"period": 2005.0, "source": "Bayes", "absent": [], "common_frontier": [], "convergence": "", "verdict": ""} | options
    logs = np.log(np.array([[8.0, 2.0, 4.0], [2.0, 8.0, 16.0]]))
    names = np.array(["A", "B", "C"], dtype=object)
    leaders = {"output": "A", "emission": "A"}
    return ScenarioResult(weights, names, np.array(["r", "r", "s"], dtype=object), leaders, distances, logs, np.array(share), 0.95, meta)


def draws_of(result: ScenarioResult, estimand: str, scenario: str, **where) -> np.ndarray:
    return result.estimates.where(estimand=estimand, variant=scenario, **where).draws


# ── kernels ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["production", "cost"])
@pytest.mark.parametrize("model", ["pooled", "bc92", "true-random-effects", "four-component"])
def test_distances_row_by_row(kind, model):
    fit = fit_of(panel_of(pair_frame(gaps=True)), "y", kind=kind, model=model, technology="translog", chains=2, draws=4)
    data, frame = fit.data, fit.panel.frame
    rows, chosen = np.flatnonzero(frame.year == 2004), np.array([6, 1, 1, 3])
    found = _distances(fit, rows, chosen, np.random.default_rng(9))
    p = fit.parameters(chosen)
    u = data.in_rows(draw_inefficiency(p, fit.model, data, np.random.default_rng(9)))
    assert found.shape == (4, rows.size)
    for place, row in enumerate(rows):
        design = tech.design(data.terms, {name: data.in_rows(v)[row] for name, v in data.values.items()})
        own = list(data.regions).index(frame.region[row])
        for d in range(4):
            heights = [float(p["technology"][d, r] @ design) for r in range(3)]
            gap = max(heights) - heights[own] if kind == "production" else heights[own] - min(heights)
            assert found[d, place] == pytest.approx(gap + u[d, row], abs=1e-12)
    assert (found > 0).all()


def test_leader_has_the_best_mean_rank_not_the_smallest_mean():
    distances = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [9.0, 0.2, 0.3]])
    assert kernels.leader_of(distances) == 0
    assert distances.mean(axis=0).argmin() == 1
    assert kernels.leader_of(np.array([[0.3, 0.1], [0.1, 0.2]])) == 1, "equal ranks: the smaller mean"


def test_every_scenario_draw_by_draw(result):
    for k, (name, sign) in enumerate((("output", 1), ("emission", -1))):
        g = result.distances[k]
        leader = list(result.units).index(result.leaders[name])
        for scenario in result.scenarios:
            weight = {"energy-first": (0, 1), "economy-first": (1, 0), "balanced": (0.5, 0.5), BASELINE: (0, 0)}[scenario][k]
            levels = draws_of(result, name, scenario, term="unit")
            total = draws_of(result, name, scenario, term="all")[0]
            known = np.empty(levels.shape)
            for d in range(g.shape[0]):
                for i in range(g.shape[1]):
                    known[i, d] = np.exp(result.log_levels[k, i] + sign * result.share[d] * weight * (g[d, i] - g[d, leader]))
            np.testing.assert_allclose(levels, known, rtol=1e-12)
            np.testing.assert_allclose(total, known.sum(axis=0), rtol=1e-12)
            spread = np.log(known).std(axis=0, ddof=1)
            np.testing.assert_allclose(draws_of(result, f"{name}_sigma", scenario)[0], spread, rtol=1e-10)
            share = known / known.mean(axis=0)
            np.testing.assert_allclose(draws_of(result, f"{name}_theil", scenario)[0], (share * np.log(share)).mean(axis=0), rtol=1e-10)


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_share_closed_changes_nothing(fits):
    found = scenarios(*fits, convergence=0)
    frame = found.estimates.frame
    assert (frame.loc[frame.estimand.str.endswith("_ratio"), "estimate"] == 1).all()
    assert (frame.loc[frame.estimand.str.endswith(("_change", "_falls")), "estimate"] == 0).all()
    assert frame.loc[frame.estimand.str.endswith(("_ratio", "_change")), ["lower", "prob_positive"]].isna().all(axis=None)
    assert not found.decision().frame["identified"].any()
    assert not found.compare("balanced").frame["identified"].any()
    assert (found.decision_table()["best"] == "").all()


def test_all_of_the_distance_closed_leaves_every_unit_at_the_leaders_distance(fits):
    found = scenarios(*fits, directions={"both": (1, 1)}, convergence=1.0)
    left = found.distances - found._moved("both")
    for k, name in enumerate(("output", "emission")):
        leader = list(found.units).index(found.leaders[name])
        np.testing.assert_allclose(left[k], np.repeat(found.distances[k][:, [leader]], len(found.units), axis=1), atol=1e-12)
        ratio = draws_of(found, f"{name}_ratio", "both", unit=found.leaders[name])
        np.testing.assert_allclose(ratio, 1, rtol=1e-12)


def test_a_direction_without_weight_leaves_its_quantity_as_it_is(result):
    for scenario, name in (("energy-first", "output"), ("economy-first", "emission")):
        rows = result.estimates.where(estimand=f"{name}_ratio", variant=scenario)
        assert (rows.draws == 1).all()
        assert rows.frame["note"].str.contains("as it is").all()
        assert result.estimates.where(estimand=f"{name}_sigma_falls", variant=scenario).frame["estimate"].item() == 0


def test_levels_do_not_depend_on_their_unit_of_measurement(fits):
    output, emission = fits
    shifted = replace(output, panel=output.panel.assign(y=output.panel.frame.y + 3))
    # the made-up technology has no residual left to be shifted: shift its intercept as well
    tree = output.tree.copy()
    technology = output.tree["posterior"]["technology"].copy(deep=True)
    technology.loc[{"term": "intercept"}] += 3
    tree["posterior"] = type(tree)(output.posterior.assign(technology=technology))
    first, second = scenarios(output, emission), scenarios(replace(shifted, tree=tree), emission)
    for name in ("output_ratio", "output_sigma_change", "output_theil_change"):
        np.testing.assert_allclose(draws_of(first, name, "balanced"), draws_of(second, name, "balanced"), atol=1e-10)


# ── by hand ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_dispersion_and_its_probability_by_hand():
    found = by_hand()
    # economy-first, draw 1 (κ = 1): B rises by .4, C by .1; draw 2 (κ = ½): B by .3, C falls by .05
    logs = np.log([8.0, 2.0, 4.0]) + np.array([[0, 0.4, 0.1], [0, 0.3, -0.05]])
    before, after = np.log([8.0, 2.0, 4.0]).std(ddof=1), logs.std(axis=1, ddof=1)
    np.testing.assert_allclose(draws_of(found, "output_sigma_change", "economy-first")[0], after - before, rtol=1e-12)
    # energy-first: the largest emitters are furthest behind, B falls by .1 and .05, C by .4 and .1: both draws fall
    assert found.estimates.where(estimand="emission_sigma_falls", variant="energy-first").frame["estimate"].item() == 1
    assert found.estimates.where(estimand="output_sigma_falls", variant="economy-first").frame["estimate"].item() == 1
    mixed = replace(found, distances=found.distances * np.array([1, -1])[:, None], share=np.array([1.0, 1.0]))
    row = mixed.estimates.where(estimand="output_sigma_falls", variant="economy-first").frame
    assert row["estimate"].item() == 0.5, "the second draw moves everybody the other way"
    assert row[["lower", "upper", "se"]].isna().all(axis=None)


def test_ratios_carry_the_probability_that_they_exceed_one():
    frame = by_hand().estimates.where(estimand="output_ratio", variant="economy-first").frame.set_index("unit")
    assert frame.loc["B", "prob_positive"] == 1
    assert frame.loc["C", "prob_positive"] == 0.5
    assert np.isnan(frame.loc["A", "prob_positive"])
    assert frame.loc["A", "note"].startswith("A leads")
    np.testing.assert_allclose(frame.loc["B", "estimate"], (np.exp(0.4) + np.exp(0.3)) / 2)


def test_decision_by_hand():
    found = by_hand()
    table = found.decision_table().set_index("unit")
    # B, draw 1: distances left √(.5² + 0), √(.1² + .1²), √(.3² + .05²); draw 2: √(.7² + .25²), √(.4² + .3²), √(.55² + .275²)
    assert table.loc["B", "economy-first"] == 1
    # C, draw 1: √(.2² + 0), √(.1² + .4²), √(.15² + .2²); draw 2: √(0 + .3²), √(.05² + .4²), √(.025² + .35²)
    assert table.loc["C", "energy-first"] == 1
    assert table.loc["A", [BASELINE, *DIRECTIONS]].isna().all()
    assert list(table["best"]) == ["", "economy-first", "energy-first"]
    output = found.decision_table("output").set_index("unit")
    assert output.loc["C", "economy-first"] == 0.5
    np.testing.assert_allclose(output.loc["C", [BASELINE, "energy-first"]].astype(float), 0.25)  # they tie where C lies ahead
    frame = found.decision().frame
    assert not frame.loc[frame.unit == "A", "identified"].any()
    assert frame.loc[frame.unit != "A", "note"].str.contains(CRITERIA["distance"], regex=False).all()


def test_balanced_can_be_best_by_distance_alone():
    even = replace(by_hand(share=(1.0, 1.0)), distances=np.tile([0.0, 0.5, 0.4], (2, 2, 1)))
    assert (even.decision_table().set_index("unit").loc[["B", "C"], "balanced"] == 1).all()
    tied = even.decision_table("ratio").set_index("unit").loc[["B", "C"], "balanced"]
    np.testing.assert_allclose(tied, 1 / 3)  # three directions tie where both dimensions are equally far


@pytest.mark.parametrize("criterion", list(CRITERIA))
def test_probabilities_of_being_best_sum_to_one(result, criterion):
    found = result.decision(criterion)
    total = found.frame[found.frame.identified].groupby("unit")["estimate"].sum()
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    assert set(found.frame["term"]) == {criterion}
    assert found.frame[["lower", "upper", "se", "prob_positive"]].isna().all(axis=None)


def test_comparison_by_hand():
    found = by_hand()
    advantage = found.compare("energy-first", "economy-first")
    np.testing.assert_allclose(advantage.where(term="output", unit="B").draws[0], [-0.4, -0.3], rtol=1e-12)
    np.testing.assert_allclose(advantage.where(term="emission", unit="C").draws[0], [0.4, 0.1], rtol=1e-12)
    np.testing.assert_allclose(advantage.where(term="ratio", unit="C").draws[0], [0.4 - 0.1, 0.1 + 0.05], rtol=1e-12)
    left = np.hypot([0.1, 0.05], [0.4, 0.4]) - np.hypot([0.2, 0.0], [0.0, 0.3])
    np.testing.assert_allclose(advantage.where(term="distance", unit="C").draws[0], left, rtol=1e-12)
    assert advantage.where(term="distance", unit="C").frame["prob_positive"].item() == 1
    assert advantage.where(term="output", unit="A").frame["note"].item() == "both give the same in every draw"
    before = np.array([8.0, 2.0, 4.0])
    moved = (before * np.exp([[0, 0.4, 0.1], [0, 0.3, -0.05]])).sum(axis=1)
    np.testing.assert_allclose(advantage.where(term="output", unit="").draws[0], np.log(before.sum() / moved), rtol=1e-12)
    np.testing.assert_allclose(advantage.draws, -found.compare("economy-first", "energy-first").draws, atol=1e-15)


# ── the share that is closed, and the pairing ───────────────────────────────────────────────────────────────────────


def test_the_default_share_is_beta():
    draws, words = _shares(None, np.random.default_rng(0), 40_000)
    assert abs(draws.mean() - 0.5) < 4 * np.sqrt(0.05 / 40_000)
    assert abs(draws.var() - 0.05) < 0.002
    assert "Beta(2, 2)" in words


def test_a_prior_is_cut_to_shares_and_one_share_serves_all(fits):
    draws, words = _shares(Prior("HalfNormal", {"sigma": 0.8}, False), np.random.default_rng(0), 40_000)
    assert draws.min() >= 0
    assert draws.max() <= 1
    u = np.linspace(0, 1, 20_001)
    density = np.exp(-0.5 * (u / 0.8) ** 2)
    known = (u * density).sum() / density.sum()
    assert abs(draws.mean() - known) < 4 * draws.std() / 200
    assert "HalfNormal(sigma=0.8) between 0 and 1" in words
    found = scenarios(*fits, convergence=Prior("Uniform", {"lower": 0.2, "upper": 0.4}, False), seed=5)
    assert ((found.share >= 0.2) & (found.share <= 0.4)).all()
    moved = np.log(draws_of(found, "output_ratio", "economy-first", term="unit")).T
    leader = list(found.units).index(found.leaders["output"])
    behind = found.distances[0] - found.distances[0][:, [leader]]
    np.testing.assert_allclose(moved, found.share[:, None] * behind, atol=1e-12)


def test_fits_that_share_a_seed_are_paired_as_independent_posteriors():
    """With one seed the made-up posteriors and the uniforms behind u are the same: paired as they come, distances would move together."""
    output, emission = pair(draws=1000, output={"model": "pooled"}, emission={"seed": 3})
    found = scenarios(output, emission)
    together = [abs(np.corrcoef(found.distances[0][:, i], found.distances[1][:, i])[0, 1]) for i in range(len(found.units))]
    assert max(together) < 4 / np.sqrt(2000)


def test_seed_decides_and_draws_are_those_of_the_smaller_fit(fits, result):
    again, other = scenarios(*fits, seed=2), scenarios(*fits, seed=3)
    np.testing.assert_array_equal(again.estimates.draws, result.estimates.draws)
    assert not np.array_equal(other.share, result.share)
    assert result.share.size == 60
    assert result.meta["seed"] == 2


# ── which rows ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_last_period_by_default_any_other_by_name_absent_units_are_listed(fits, result):
    frame = fits[0].panel.frame
    assert result.meta["period"] == 2005
    assert list(result.units) == list(frame.unit[frame.year == 2005])
    assert result.meta["absent"] == ["u002"]
    assert "the 8 of 9 units observed in 2005" in result.estimates.where(estimand="output_sigma").frame["note"].iloc[0]
    early = scenarios(*fits, period=2002)
    assert early.meta["absent"] == ["u001", "u004"]
    np.testing.assert_allclose(
        np.exp(early.log_levels[0]), early.estimates.where(estimand="output", variant=BASELINE, term="unit").frame.estimate
    )
    here = frame.year == 2002
    np.testing.assert_array_equal(early.log_levels[0], frame.y[here])
    np.testing.assert_array_equal(early.log_levels[1], fits[1].panel.frame[EMISSION][here])


def test_without_regional_frontiers_only_inefficiency_separates_units():
    output, emission = pair(pair_frame().assign(region="all"), emission={"pooling": ["efficiency"]})
    found = scenarios(output, emission)
    u = output.data.in_rows(draw_inefficiency(output.parameters(), output.model, output.data, np.random.default_rng([0, 0])))
    np.testing.assert_allclose(found.distances[0], u[:, output.panel.frame.year == 2005], atol=1e-12)
    assert found.meta["common_frontier"] == ["output", "emission"]
    assert found.estimates.where(estimand="output_distance").frame["note"].str.contains("only inefficiency separates").all()


def test_a_failed_fit_marks_what_comes_from_it():
    output, emission = pair(chains=4, draws=300)
    assert scenarios(output, emission).meta["passed"]
    found = scenarios(output, failed(emission))
    assert "FAILED" in found.estimates.frame["source"].iloc[0]
    assert found.meta["passed"] is False
    assert found.meta["verdict"].startswith("emission: ")


def test_table_is_labelled(result):
    frame = result.estimates.frame
    assert set(frame["variant"]) == {BASELINE, *DIRECTIONS}
    assert (frame["period"] == 2005).all()
    assert not frame.duplicated(["estimand", "term", "variant", "unit"]).any()
    assert frame.loc[frame.variant == BASELINE].query("estimand == 'output'")["lower"].isna().all()
    assert frame["identified"].all()
    narrow = replace(result, level=0.5).estimates.frame
    assert set(narrow["level"].dropna()) == {0.5}
    assert "economy-first" in repr(result)
    assert bayes.scenarios is scenarios


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_wrong_fits_are_refused(fits):
    output, emission = fits
    with pytest.raises(SpecificationError, match=r"emission must be a bayes\.FrontierFit"):
        scenarios(output, 3)
    with pytest.raises(SpecificationError, match=r"output is a cost frontier of 'log_emission'"):
        scenarios(emission, output)
    twice = fit_of(panel_of(pair_frame(gaps=True)), "y", kind="cost", chains=2, draws=5)
    with pytest.raises(SpecificationError, match="Both fits are of 'y'"):
        scenarios(output, twice)
    for frame, words in (
        (pair_frame(), "is in emission and not in output"),
        (pair_frame(gaps=True).query("year < 2005"), "2005 is in output and not in emission"),
        (pair_frame(gaps=True).assign(region="all"), "region East"),
    ):
        with pytest.raises(SpecificationError, match=words):
            scenarios(output, pair(frame)[1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"directions": {}}, "maps names"),
        ({"directions": ["energy"]}, "must be a mapping"),
        ({"directions": {"a": (1.2, 0)}}, "two weights between 0 and 1"),
        ({"directions": {"a": (0.2, -0.1)}}, "two weights between 0 and 1"),
        ({"directions": {"a": (0.2, np.nan)}}, "two weights between 0 and 1"),
        ({"directions": {"a": (0.2, 0.3, 0.5)}}, "must be a mapping"),
        ({"directions": {"a": 0.5}}, "must be a mapping"),
        ({"directions": {"no convergence": (0, 0)}}, "always there"),
        ({"convergence": 1.1}, "between 0 and 1"),
        ({"convergence": True}, "finite number"),
        ({"convergence": "half"}, "finite number"),
        ({"convergence": Prior("Normal", {"mu": 5.0, "sigma": 0.1}, False)}, "less than 1 %"),
        ({"seed": -1}, "seed"),
        ({"level": 95}, "level"),
        ({"period": 1999}, "2001, 2002, 2003, 2004, 2005"),
        ({"period": "last"}, "whole number"),
    ],
)
def test_bad_options_are_refused(fits, options, words):
    with pytest.raises(SpecificationError, match=words):
        scenarios(*fits, **options)


def test_a_period_with_one_unit_and_a_column_that_is_no_log_are_refused(fits):
    frame = pair_frame()
    alone = frame[(frame.year < 2005) | (frame.unit == "u003")]
    with pytest.raises(SpecificationError, match="only u003"):
        scenarios(*pair(alone))
    output, emission = fits
    level = replace(output, panel=output.panel.assign(y=np.exp(output.panel.frame.y)))
    with pytest.raises(SpecificationError, match="it is no logarithm"):
        scenarios(level, emission)


@pytest.mark.parametrize(
    ("a", "b", "words"), [("fast", BASELINE, "a='fast'"), ("balanced", "slow", "b='slow'"), ("balanced", "balanced", "itself")]
)
def test_unknown_scenarios_are_refused(result, a, b, words):
    with pytest.raises(SpecificationError, match=words):
        result.compare(a, b)


def test_an_unknown_criterion_is_refused(result):
    with pytest.raises(SpecificationError, match="'distance', 'output', 'emission', 'ratio'"):
        result.decision("welfare")

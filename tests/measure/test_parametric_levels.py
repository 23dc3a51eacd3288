"""Levels of productivity from frontiers: against a loop over rows and draws, and what must hold of any fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayes.aggregation import group_rows
from bayes.errors import SpecificationError
from bayes.frontier import technology as tech
from bayes.frontier.aggregation import row_index
from bayes.frontier.inefficiency import inefficiency_draws
from bayes.measure._parametric_levels import green_productivity_levels, log_levels, trend_weights
from tests.frontier.posteriors import data_of, made_up_draws, panel_of, spec_of, synthetic_frame
from tests.reporting.frontier_fakes import fabricated_frontier, failed

EVERY = ["unit:period", "unit", "region", "period", "region:period", "all"]


@pytest.fixture(scope="module")
def fits():
    panel = panel_of(synthetic_frame(gaps=True))
    economic = fabricated_frontier(panel, chains=2, draws=20, determinants=["z"], technical_change="biased")
    energy = fabricated_frontier(panel, chains=2, draws=15, seed=8, kind="cost", model="pooled", technology="translog")
    return {"economic": economic, "energy": energy}


@pytest.fixture(scope="module")
def levels(fits):
    return green_productivity_levels(fits, by=EVERY)


@pytest.mark.parametrize("kind", ["production", "cost"])
@pytest.mark.parametrize("model", ["pooled", "time-invariant", "true-random-effects", "four-component"])
def test_levels_row_by_row(kind, model):
    spec = spec_of(kind=kind, model=model, covariates=["c"])
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data, 3)
    found, index = log_levels(p, spec, data, seed=4), row_index(data)
    u = inefficiency_draws(p, spec, data, 4, "transient" if model == "four-component" else "overall")
    values = {name: data.in_rows(v) for name, v in data.values.items()}
    sizes = np.bincount(index.region) / data.n_rows
    known = np.empty(found.shape)
    for i, region in enumerate(index.region):
        here = tech.design(data.terms, {name: v[i] for name, v in values.items()})
        middle = tech.design(data.terms, {name: v[i] if name != "time" else 0.0 for name, v in values.items()})
        for d in range(3):
            average = sum(sizes[r] * p["technology"][d, r] @ middle for r in range(3))
            effect = p["unit_effect"][d, index.unit[i]] if model in ("true-random-effects", "four-component") else 0.0
            known[d, i] = spec.sign * (p["technology"][d, region] @ here + effect - average) - u[d, i]
    np.testing.assert_allclose(found, known - known.mean(axis=1, keepdims=True), atol=1e-12)


def test_a_level_is_noise_free_output_over_what_the_average_technology_makes(fits):
    """Without noise the level of a production frontier is y less the reference: residuals enter nowhere else."""
    fit = fits["economic"]
    p, data = fit.parameters(), fit.data
    index, u = row_index(data), fit.inefficiency()
    design = np.stack([data.in_rows(column) for column in data.design])
    frontier = np.stack([[p["technology"][d, r] @ design[:, i] for i, r in enumerate(index.region)] for d in range(len(u))])
    noise = data.in_rows(data.output) - frontier - p["unit_effect"][:, index.unit] + u
    at_mean = tech.design(data.terms, {name: data.in_rows(v) * (name != "time") for name, v in data.values.items()})
    average = np.einsum("drk,r->dk", p["technology"], np.bincount(index.region) / data.n_rows) @ at_mean
    known = data.in_rows(data.output) - noise - average
    np.testing.assert_allclose(log_levels(p, fit.model, data, fit.meta["seed"]), known - known.mean(axis=1, keepdims=True), atol=1e-10)


def test_groups_are_geometric_means_and_the_whole_is_one(levels, fits):
    for dimension, fit in fits.items():
        rows = levels.where(estimand="productivity_level", variant=dimension)
        every = rows.where(term="unit:period")
        assert every.draws.shape == (fit.data.n_rows, 30), "thinned to the fewer draws"
        np.testing.assert_allclose(rows.where(term="all").draws, 1, rtol=1e-12)
        for region in fit.data.regions:
            mean = np.exp(np.log(every.where(region=region).draws).mean(axis=0))
            np.testing.assert_allclose(rows.where(term="region", region=region).draws[0], mean, rtol=1e-12)
        np.testing.assert_allclose(every.frame["prob_positive"], (every.draws > 1).mean(axis=1), rtol=1e-12)


def test_ratios_between_regions_are_transitive(levels):
    for dimension in ("economic", "energy"):
        ratio = levels.where(estimand="level_ratio", variant=dimension)
        assert ratio.frame[["region", "term_to"]].to_numpy().tolist() == [["East", "North"], ["East", "West"], ["North", "West"]]
        np.testing.assert_allclose(ratio.draws[0] * ratio.draws[2], ratio.draws[1], rtol=1e-12)
        level = levels.where(estimand="productivity_level", variant=dimension, term="region").draws
        np.testing.assert_allclose(ratio.draws[0], level[0] / level[1], rtol=1e-12)


def test_trends_are_least_squares_within_units(levels, fits):
    for dimension, fit in fits.items():
        logs = np.log(levels.where(estimand="productivity_level", variant=dimension, term="unit:period").draws)
        index = row_index(fit.data)
        dummies = np.eye(fit.data.n_units)[index.unit]
        trend = levels.where(estimand="productivity_trend", variant=dimension)
        for r, region in enumerate(fit.data.regions):
            rows = index.region == r
            design = np.column_stack([index.period[rows], dummies[rows][:, dummies[rows].any(axis=0)]])
            known = np.linalg.lstsq(design, logs[rows])[0][0]
            np.testing.assert_allclose(trend.where(term="region", region=region).draws[0], known, atol=1e-9)
        known = np.linalg.lstsq(np.column_stack([index.period, dummies]), logs)[0][0]
        np.testing.assert_allclose(trend.where(term="all").draws[0], known, atol=1e-9)


def test_weighted_trends_do_not_see_the_level_of_a_unit():
    data = data_of(spec_of(), gaps=True)
    index = row_index(data)
    weights = np.random.default_rng(1).uniform(1, 5, data.n_rows)
    slopes = trend_weights(group_rows("region", index, data, weights), index)
    values = 0.03 * index.period + np.random.default_rng(2).normal(size=data.n_units)[index.unit]
    np.testing.assert_allclose(slopes @ values, 0.03, rtol=1e-9)


def test_a_trend_in_the_frontier_is_found_in_its_own_direction():
    """Time alone moves these frontiers, by 3 % a period: more output, or more energy, which is a falling level."""
    for kind, sign in (("production", 1), ("cost", -1)):
        fit = fabricated_frontier(chains=1, draws=4, kind=kind, model="time-invariant", technical_change="neutral")
        posterior = fit.tree["posterior"].to_dataset()
        posterior["technology"][:] = posterior["technology"][:, :, :1].to_numpy()  # regions differ in nothing
        posterior["technology"][..., list(posterior["term"].values).index("time")] = 0.03
        tree = fit.tree.copy()
        tree["posterior"].dataset = posterior
        trend = green_productivity_levels({"one": replace(fit, tree=tree)}).where(estimand="productivity_trend")
        np.testing.assert_allclose(trend.draws, sign * 0.03, atol=1e-12)
        assert (trend.frame["prob_positive"] == (sign > 0)).all()


def test_determinants_come_from_the_fit(levels, fits):
    known = fits["economic"].determinant_effects()
    found = levels.where(estimand=["inefficiency_effect", "log_efficiency_effect"])
    assert set(found.frame["variant"]) == {"economic"}
    assert found.frame["term"].tolist() == known.frame["term"].tolist()
    chosen = np.linspace(0, 39, 30).round().astype(int)
    np.testing.assert_allclose(found.draws, known.draws[:, chosen], rtol=1e-12)


def test_a_failed_fit_heads_the_table(fits):
    out = green_productivity_levels({"economic": failed(fits["economic"]), "energy": fits["energy"]}, by="all")
    assert not out.meta["passed"]
    assert out.meta["verdict"].startswith("economic: Sampling did NOT pass")
    assert "FAILED" in out.where(variant="economic").frame["source"].iloc[0]


def test_one_region_has_no_ratios():
    frame = synthetic_frame().drop(columns="region")
    from bayes.panel import Panel

    fit = fabricated_frontier(Panel.from_frame(frame, "unit", "year"), chains=1, draws=3, pooling="complete")
    out = green_productivity_levels({"economic": fit}, by="period")
    assert not len(out.where(estimand="level_ratio"))
    assert out.where(estimand="productivity_trend").frame["term"].tolist() == ["all"]


@pytest.mark.parametrize(
    ("fits_given", "by", "words"),
    [
        ({}, "all", "maps dimensions"),
        ([1], "all", "fits must be a mapping"),
        ({"energy": 3}, "all", "to FrontierFit"),
        ({}, "country", "by='country'"),
    ],
)
def test_bad_input_is_refused(fits_given, by, words):
    with pytest.raises(SpecificationError, match=words):
        green_productivity_levels(fits_given, by=by)


def test_bad_level_is_refused(fits):
    with pytest.raises(SpecificationError, match="between 0 and 1"):
        green_productivity_levels(fits, by="all", level=95)

"""Productivity change: the product identity in every draw, the noise-free index computed apart, gaps, chains, and what is warned of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from bayes.aggregation import AGGREGATIONS
from bayes.errors import ProductivityWarning, SpecificationError
from bayes.frontier import inefficiency as ie
from bayes.frontier import productivity as pr
from bayes.frontier import technology as tech
from bayes.frontier.data import frontier_data
from bayes.frontier.likelihood import residuals
from tests.frontier.posteriors import data_of, made_up_draws, panel_of, spec_of, synthetic_frame

FRAME = panel_of(synthetic_frame(gaps=True)).frame
SECOND = FRAME.unit.eq(FRAME.unit.shift()).to_numpy()
"""Rows that have an earlier row of their unit, at which changes end."""
FORMS = [
    {"technology": "translog", "technical_change": "biased"},
    {"technology": "translog", "technical_change": "neutral"},
    {"technology": "translog", "technical_change": "none"},
    {"technology": "cobb-douglas", "technical_change": "biased"},
    {"kind": "cost", "products": ["k"]},
    {"kind": "cost", "products": ["k", "l"], "technical_change": "neutral"},
    {"model": "bc92"},
    {"model": "four-component", "kind": "cost", "products": ["l"]},
]


def fit_of(n_draws=5, gaps=True, **options):
    spec = spec_of(**options)
    data = data_of(spec, gaps=gaps)
    p = made_up_draws(spec, data, n_draws)
    return p, spec, data, ie.inefficiency_draws(p, spec, data, seed=2)


def quietly(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProductivityWarning)
        return pr.productivity_change(*arguments, **options)


def indices(table):
    return {name: table.where(estimand=name).draws for name in pr.PARTS}


@pytest.fixture(params=FORMS, ids=lambda f: "-".join(str(v) for v in f.values()))
def fitted(request):
    return fit_of(**request.param)


@pytest.mark.parametrize("by", AGGREGATIONS)
def test_growth_is_the_product_of_its_parts_in_every_draw(fitted, by):
    p, spec, data, u = fitted
    for cumulative in (False, True) if "period" in by else (False,):
        i = indices(quietly(p, spec, data, u, by, cumulative))
        np.testing.assert_allclose(i["tc"] * i["ec"] * i["sec"], i["tfpc"], rtol=1e-12)


def numerical_elasticities(p, spec, data, names):
    """Central differences of the frontier of every row, {name: (draws, n_rows)}."""
    values = {name: data.in_rows(v) for name, v in data.values.items()}
    region = data.unit_region[np.searchsorted(data.units.astype(str), FRAME.unit.to_numpy(dtype=str))]

    def frontier(at):
        return np.einsum("drk,kr->dr", p["technology"][:, region], tech.design(data.terms, at))

    return {n: (frontier(values | {n: values[n] + 1e-3}) - frontier(values | {n: values[n] - 1e-3})) / 2e-3 for n in names}


def test_growth_is_the_change_of_the_noise_free_index(fitted):
    """Production: Δ(ln y − v) − ½Σ(e_t/E_t + e_t'/E_t')Δx. Cost: −Δ(ln C − v) + ½Σ(e + e')Δ price + ½Σ(e_t/E_t + e_t'/E_t')Δ product.

    ln y − v = ln y − ε − s·u. Gaps are undone: the published change is per period.
    """
    p, spec, data, u = fitted
    eps = residuals(p["technology"], data)
    effect = p["unit_effect"][..., None] if spec.model == "four-component" else 0.0
    v = data.in_rows(eps - effect) + spec.sign * u
    clean = FRAME.y.to_numpy() - v - data.in_rows(np.broadcast_to(effect, eps.shape))
    scale_names = list(spec.products) if spec.kind == "cost" else list(spec.inputs)
    e = numerical_elasticities(p, spec, data, spec.inputs)
    total = sum(e[name] for name in scale_names)
    change = np.flatnonzero(SECOND)
    index = spec.sign * (clean[:, change] - clean[:, change - 1])
    for name in spec.inputs:
        x = FRAME[name].to_numpy()
        weight = e[name] / total if name in scale_names else e[name]
        sign = -spec.sign if name in scale_names else 1
        index = index + sign * 0.5 * (weight[:, change] + weight[:, change - 1]) * (x[change] - x[change - 1])
    years = FRAME.year.to_numpy()
    index = index / (years[change] - years[change - 1])
    mine = quietly(p, spec, data, u, "unit:period")
    np.testing.assert_allclose(np.log(indices(mine)["tfpc"]), index.T, atol=1e-9)
    tfpc = mine.where(estimand="tfpc").frame
    assert list(zip(tfpc.unit, tfpc.period, strict=True)) == list(zip(FRAME.unit[SECOND], FRAME.year[SECOND], strict=True))


def test_parts_of_a_cobb_douglas_frontier_are_those_of_the_textbook():
    """ln TC = β_t, ln EC = −Δu, ln SEC = (1 − 1/E)Σ e_k Δx_k; for cost with one product ln SEC = (1 − e)Δ ln y and ln TC = −β_t."""
    change = np.flatnonzero(SECOND)
    steps = FRAME.year.to_numpy()[change] - FRAME.year.to_numpy()[change - 1]
    for options in ({}, {"kind": "cost", "products": ["k"]}):
        p, spec, data, u = fit_of(technology="cobb-douglas", technical_change="neutral", **options)
        i = indices(quietly(p, spec, data, u, "unit:period"))
        beta = p["technology"][:, np.searchsorted(["East", "North", "West"], FRAME.region[change])]
        e = {name: beta[:, :, data.term_names.index(name)] for name in ("k", "l", "time")}
        dk, dl = ((FRAME[n].to_numpy()[change] - FRAME[n].to_numpy()[change - 1]) / steps for n in ("k", "l"))
        total = e["k"] + e["l"]
        known = (1 - 1 / total) * (e["k"] * dk + e["l"] * dl) if not options else (1 - e["k"]) * dk
        np.testing.assert_allclose(np.log(i["sec"]), known.T, atol=1e-13)
        np.testing.assert_allclose(np.log(i["tc"]), spec.sign * e["time"].T, atol=1e-13)
        np.testing.assert_allclose(np.log(i["ec"]), ((u[:, change - 1] - u[:, change]) / steps).T, atol=1e-13)


def test_scale_change_of_a_translog_cost_frontier_with_one_product():
    p, spec, data, u = fit_of(kind="cost", products=["k"])
    e = numerical_elasticities(p, spec, data, ["k"])["k"]
    change = np.flatnonzero(SECOND)
    k, year = FRAME.k.to_numpy(), FRAME.year.to_numpy()
    known = 0.5 * ((1 - e[:, change]) + (1 - e[:, change - 1])) * (k[change] - k[change - 1]) / (year[change] - year[change - 1])
    np.testing.assert_allclose(np.log(indices(quietly(p, spec, data, u, "unit:period"))["sec"]), known.T, atol=1e-9)


@pytest.mark.parametrize("by", AGGREGATIONS)
def test_groups_hold_geometric_means_of_their_changes(by):
    p, spec, data, u = fit_of()
    rows = quietly(p, spec, data, u, "unit:period")
    table = quietly(p, spec, data, u, by)
    changes = FRAME[SECOND].reset_index(drop=True)
    names = {"region": "region", "unit": "unit", "period": "year"}
    groups = [np.arange(len(changes))] if by == "all" else changes.groupby([names[b] for b in by.split(":")]).indices.values()
    for name in pr.PARTS:
        mine, each = table.where(estimand=name), np.log(rows.where(estimand=name).draws)
        np.testing.assert_allclose(mine.draws, [np.exp(each[g].mean(axis=0)) for g in groups], rtol=1e-12)
        np.testing.assert_allclose(mine.frame.prob_positive, (mine.draws > 1).mean(axis=1))
        assert list(mine.frame.n_obs) == [len(g) for g in groups]
        assert mine.frame.note.str.contains(r"P\(index > 1\)").all()
        assert mine.frame.note.str.contains("3 changes over gaps annualised").all()
    w = np.random.default_rng(0).gamma(1.0, 1.0, data.n_rows)
    weighted = quietly(p, spec, data, u, by, weights=w).where(estimand="ec")
    each, w = np.log(rows.where(estimand="ec").draws), w[SECOND]
    np.testing.assert_allclose(weighted.draws, [np.exp(w[g] @ each[g] / w[g].sum()) for g in groups], rtol=1e-12)


def test_chained_indices_of_a_unit_compare_with_its_first_row():
    p, spec, data, u = fit_of(technology="cobb-douglas", technical_change="neutral")
    table = quietly(p, spec, data, u, "unit:period", cumulative=True).where(estimand="ec")
    several = FRAME[FRAME.groupby("unit").unit.transform("size") > 1]
    assert list(zip(table.frame.unit, table.frame.period, strict=True)) == list(zip(several.unit, several.year, strict=True))
    for rows in several.groupby("unit").indices.values():
        at = several.index[rows]
        np.testing.assert_allclose(table.draws[rows], np.exp(u[:, [at[0]]] - u[:, at]).T, rtol=1e-12)
    assert (table.frame.variant == "cumulative").all()
    first = table.frame.period.to_numpy() == several.groupby("unit").year.transform("min").to_numpy()
    assert (table.frame.estimate[first] == 1).all()


@pytest.mark.parametrize("by", ["period", "region:period"])
def test_chained_indices_of_regions_multiply_their_mean_changes(by):
    p, spec, data, u = fit_of()
    chain, change = (quietly(p, spec, data, u, by, cumulative=c).where(estimand="tfpc") for c in (True, False))
    for region in chain.frame.region.unique():
        mine, steps = chain.where(region=region), change.where(region=region)
        assert list(mine.frame.period) == [2001, 2002, 2003, 2004, 2005]
        np.testing.assert_allclose(mine.draws[1:], np.cumprod(steps.draws, axis=0), rtol=1e-12)
        np.testing.assert_array_equal(mine.draws[0], 1)


def test_periods_two_years_apart_are_neighbours_when_the_panel_has_no_others():
    frame = synthetic_frame()
    frame["year"] = 2001 + 2 * (frame.year - 2001)
    spec = spec_of()
    data = frontier_data(spec, panel_of(frame))
    assert pr.grid_step(data) == 2
    assert (pr.row_changes(data).steps == 1).all()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("pooled", "correlated by −0.5"),
        ("true-random-effects", "correlated by −0.5"),
        ("four-component", "correlated by −0.5"),
        ("bc92", "one sign in all periods"),
        ("kumbhakar-1990", "same sign for all units"),
        ("time-invariant", "is 1 in every draw"),
    ],
)
def test_what_the_model_imposes_on_efficiency_change_is_said_and_true(model, words):
    p, spec, data, _ = fit_of(n_draws=200, gaps=False, model=model, technical_change="none", technology="cobb-douglas")
    u = ie.inefficiency_draws(p, spec, data, seed=2)
    with pytest.warns(ProductivityWarning, match=words):
        table = pr.productivity_change(p, spec, data, u, "unit:period")
    ec = np.log(table.where(estimand="ec").draws).reshape(data.n_units, 4, 200)
    if model == "time-invariant":
        assert np.abs(ec).max() < 1e-14
    elif model == "bc92":
        assert (np.sign(ec) == np.sign(ec[:1, :1])).all()
    elif model == "kumbhakar-1990":
        assert (np.sign(ec) == np.sign(ec[:1])).all()
    else:
        steady = ie.inefficiency_draws(p | {"noise_scale": 50 + 0 * p["noise_scale"]}, spec, data, seed=2)  # the prior speaks
        with pytest.warns(ProductivityWarning):
            table = pr.productivity_change(p, spec, data, steady, "unit:period")
        ec = np.log(table.where(estimand="ec").draws).reshape(data.n_units, 4, 200)
        assert np.corrcoef(ec[:, :-1].ravel(), ec[:, 1:].ravel())[0, 1] == pytest.approx(-0.5, abs=0.05)


def test_returns_to_scale_that_are_not_positive_are_warned_of():
    p, spec, data, u = fit_of()
    low = p | {"technology": p["technology"] - 0.6 * np.isin(data.term_names, ["k", "l"])}
    with pytest.warns(ProductivityWarning) as caught:
        pr.productivity_change(low, spec, data, u)
    assert any("Elasticities sum to zero or less" in str(w.message) for w in caught)


def test_convergence_is_refused_where_the_model_decides_it():
    for model in ("pooled", "true-random-effects", "four-component"):
        with pytest.raises(SpecificationError, match="−1 by construction"):
            pr.refuse_convergence(spec_of(model=model))
    for model in ("bc92", "kumbhakar-1990"):
        pr.refuse_convergence(spec_of(model=model))


def test_what_cannot_be_computed_is_refused():
    p, spec, data, u = fit_of()
    with pytest.raises(SpecificationError, match="products"):
        pr.productivity_change(p, spec_of(kind="cost"), data, u)
    with pytest.raises(SpecificationError, match="chains over time"):
        pr.productivity_change(p, spec, data, u, "region", cumulative=True)
    with pytest.raises(SpecificationError, match="inefficiency_draws"):
        pr.productivity_change(p, spec, data, u[:, :-1])
    single = FRAME.groupby("unit").head(1).reset_index(drop=True)
    single.loc[0, "year"] = 2003
    with pytest.raises(SpecificationError, match="twice"):
        pr.row_changes(frontier_data(spec, panel_of(single)))

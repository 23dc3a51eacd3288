"""Elasticities, returns to scale, monotonicity and technical change against numerical derivatives of the frontier."""

from __future__ import annotations

import numpy as np
import pytest

from bayes.errors import SpecificationError
from bayes.frontier import technology as tech
from bayes.frontier.elasticities import input_elasticities, monotonicity, returns_to_scale, technical_change
from tests.frontier.posteriors import data_of, made_up_draws, panel_of, spec_of, synthetic_frame

FRAME = panel_of(synthetic_frame(gaps=True)).frame
CASES = [("translog", "biased"), ("translog", "neutral"), ("translog", "none"), ("cobb-douglas", "biased"), ("cobb-douglas", "neutral")]


def frontier_of_rows(p, data, moved="", by=0.0):
    """f of every row in every draw, (draws, n_rows), with one variable moved; coefficients of the row's region."""
    values = {name: data.in_rows(v) + (by if name == moved else 0.0) for name, v in data.values.items()}
    design = tech.design(data.terms, values)
    region = np.searchsorted(data.regions.astype(str), FRAME.region.to_numpy(dtype=str))
    return np.einsum("drk,kr->dr", p["technology"][:, region], design)


def slope_of_rows(p, data, variable, step=1e-3):
    """Central difference: exact for a quadratic but for rounding."""
    return (frontier_of_rows(p, data, variable, step) - frontier_of_rows(p, data, variable, -step)) / (2 * step)


@pytest.fixture(params=CASES, ids=lambda c: "-".join(c))
def fitted(request):
    technology, change = request.param
    spec = spec_of(technology=technology, technical_change=change, covariates=["c"])
    data = data_of(spec, gaps=True)
    return made_up_draws(spec, data, 6), spec, data


@pytest.mark.parametrize("by", ["all", "region", "unit", "region:period", "unit:period"])
def test_elasticities_are_derivatives_of_the_frontier(fitted, by):
    p, spec, data = fitted
    table = input_elasticities(p, spec, data, by)
    names = {"region": "region", "unit": "unit", "period": "year"}
    for name in spec.inputs:
        known = slope_of_rows(p, data, name)
        groups = [np.arange(data.n_rows)] if by == "all" else FRAME.groupby([names[b] for b in by.split(":")]).indices.values()
        mine = table.where(term=name)
        np.testing.assert_allclose(mine.draws, [known[:, rows].mean(axis=1) for rows in groups], atol=1e-10)
        assert (mine.frame.estimand == "elasticity").all()


def test_returns_to_scale_sum_the_inputs(fitted):
    p, spec, data = fitted
    table = returns_to_scale(p, spec, data, "region")
    parts = input_elasticities(p, spec, data, "region")
    np.testing.assert_allclose(table.draws, parts.where(term="k").draws + parts.where(term="l").draws, rtol=1e-13)
    np.testing.assert_allclose(table.frame.prob_positive, (table.draws > 1).mean(axis=1))


def test_returns_to_scale_of_a_cost_frontier_need_its_products():
    spec = spec_of(kind="cost", products=["k"])
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data, 6)
    parts = input_elasticities(p, spec, data).where(term="k")
    np.testing.assert_allclose(returns_to_scale(p, spec, data).draws, 1 / parts.draws, rtol=1e-13)
    assert parts.frame.note[0] == "cost elasticity"
    with pytest.raises(SpecificationError, match="products"):
        returns_to_scale(p, spec_of(kind="cost"), data)


def test_monotonicity_is_the_share_of_rows_without_a_negative_elasticity(fitted):
    p, spec, data = fitted
    low = p | {"technology": p["technology"] - 0.4 * np.isin(data.term_names, ["k", "l"])}
    table = monotonicity(low, spec, data, "unit")
    holds = (slope_of_rows(low, data, "k") >= 0) & (slope_of_rows(low, data, "l") >= 0)
    np.testing.assert_allclose(table.draws, [holds[:, rows].mean(axis=1) for rows in FRAME.groupby("unit").indices.values()], atol=1e-12)
    assert 0 < table.draws.mean() < 1


def test_technical_change_is_the_derivative_in_time(fitted):
    p, spec, data = fitted
    if spec.technical_change == "none":
        with pytest.raises(SpecificationError, match="technical_change"):
            technical_change(p, spec, data)
        return
    table = technical_change(p, spec, data, "period")
    known = slope_of_rows(p, data, "time")
    groups = FRAME.groupby("year").indices
    np.testing.assert_allclose(table.draws, [known[:, rows].mean(axis=1) for rows in groups.values()], atol=1e-10)
    assert list(table.frame.period) == list(groups)

"""Frontier growth against a Malmquist index: differences and correlations recomputed draw by draw, joins, what is left out, bad input."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from bayes.errors import DuplicateRowError, NotPositiveError, ProductivityWarning, SpecificationError
from bayes.estimates import Estimates
from bayes.frontier.inefficiency import inefficiency_draws
from bayes.frontier.productivity import productivity_change
from bayes.measure import malmquist
from bayes.measure._growth_difference import growth_difference
from bayes.panel import Panel
from tests.frontier.posteriors import data_of, made_up_draws, panel_of, spec_of, synthetic_frame


def levels(gaps=True):
    """The synthetic panel with amounts K, L, Y whose logarithms are its columns."""
    panel = panel_of(synthetic_frame(gaps=gaps))
    return panel.assign(K=np.exp(panel.frame.k), L=np.exp(panel.frame.l), Y=np.exp(panel.frame.y))


def frontier_growth(by="unit:period", cumulative=False, gaps=True, n_draws=40):
    spec = spec_of()
    data = data_of(spec, gaps=gaps)
    p = made_up_draws(spec, data, n_draws)
    u = inefficiency_draws(p, spec, data, seed=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProductivityWarning)
        return productivity_change(p, spec, data, u, by, cumulative)


def index_growth(by="unit:period", cumulative=False, gaps=True):
    return malmquist(levels(gaps), ["K", "L"], ["Y"], by=by, cumulative=cumulative)


@pytest.mark.parametrize(
    ("by", "cumulative"),
    [*((by, False) for by in ("unit:period", "region:period", "period", "unit", "region", "all")),
     *((by, True) for by in ("unit:period", "region:period", "period"))],
)  # fmt: skip
def test_difference_of_logs_by_draw(by, cumulative):
    index, growth = index_growth(by, cumulative), frontier_growth(by, cumulative)
    out = growth_difference(index, growth, level=0.9).where(estimand="growth_difference", term=by)
    m, g = index.where(estimand="malmquist"), growth.where(estimand="tfpc")
    assert list(zip(m.frame.unit, m.frame.region, strict=True)) == list(zip(g.frame.unit, g.frame.region, strict=True))
    expected = np.log(g.draws) - np.log(m.frame.estimate.to_numpy())[:, None]
    rows = out.draws[: len(m)]
    np.testing.assert_allclose(rows, expected, atol=1e-12)
    np.testing.assert_allclose(out.frame.estimate[: len(m)], expected.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(out.frame.lower[: len(m)], np.quantile(expected, 0.05, axis=1), atol=1e-12)
    np.testing.assert_allclose(out.frame.prob_positive[: len(m)], (expected > 0).mean(axis=1))
    assert set(out.frame.level) == {0.9}


def test_order_of_rows_does_not_matter():
    index, growth = index_growth(), frontier_growth()
    mixed = np.random.default_rng(1).permutation(len(growth))
    shuffled = replace(growth, frame=growth.frame.iloc[mixed].reset_index(drop=True), draws=growth.draws[mixed])
    a, b = growth_difference(index, growth), growth_difference(index, shuffled)
    np.testing.assert_array_equal(a.draws, b.draws)


def test_correlations_across_units_by_draw():
    index, growth = index_growth(), frontier_growth()
    out = growth_difference(index, growth)
    m = index.where(estimand="malmquist").frame
    a, b = np.log(growth.where(estimand="tfpc").draws), np.log(m.estimate.to_numpy())
    for kind, by_scipy in (("pearson", pearsonr), ("spearman", spearmanr)):
        sets = [({"term": "all"}, np.ones(len(m), bool))] + [
            ({"term": "period", "period": t}, (m.period == t).to_numpy()) for t in (2002, 2005)
        ]
        for where, rows in sets:
            found = out.where(estimand="growth_correlation", variant=kind, **where)
            assert len(found) == 1
            expected = [by_scipy(a[rows, d], b[rows]).statistic for d in range(a.shape[1])]
            np.testing.assert_allclose(found.draws[0], expected, atol=1e-12)
            assert found.frame.n_obs[0] == rows.sum()


def test_the_mean_over_all_rows():
    out = growth_difference(index_growth(), frontier_growth())
    rows = out.where(estimand="growth_difference", term="unit:period").draws
    np.testing.assert_allclose(out.where(estimand="growth_difference", term="all").draws[0], rows.mean(axis=0), atol=1e-14)


def test_pairs_without_an_index_stay_as_rows_and_are_counted():
    index, growth = index_growth(), frontier_growth()
    at = index.frame.index[(index.frame.estimand == "malmquist") & (index.frame.unit == "u005")][0]
    frame = index.frame.copy()
    frame.loc[at, ["estimate", "identified", "note"]] = [np.nan, False, "2001 against the technology of 2002: infeasible"]
    out = growth_difference(replace(index, frame=frame), growth)
    lost = out.frame[~out.frame.identified]
    assert len(lost) == 1
    assert lost.unit.iloc[0] == "u005"
    assert lost.note.iloc[0].endswith("infeasible")
    n = (frame.estimand == "malmquist").sum()
    everything = out.where(estimand="growth_correlation", term="all", variant="pearson").frame.iloc[0]
    assert (everything.n_obs, everything.note) == (n - 1, f"1 of {n} rows have no value and are left out")


def test_a_unit_observed_once_stays_as_a_row():
    panel = levels()
    lone = panel.frame[(panel.frame.unit != "u007") | (panel.frame.year == 2003)]
    index = malmquist(Panel.from_frame(lone, unit="unit", time="year", region="region"), ["K", "L"], ["Y"], by="unit")
    growth = frontier_growth("unit")
    out = growth_difference(index, growth.where(unit=[u for u in panel.units if u != "u007"]))
    row = out.where(unit="u007").frame.iloc[0]
    assert (row.identified, row.note) == (False, "observed once: no pair of periods")
    assert np.isnan(row.estimate)


def test_too_few_rows_for_a_correlation():
    index, growth = (f().where(unit=["u005", "u006"], period=2002) for f in (index_growth, frontier_growth))
    out = growth_difference(index, growth).where(estimand="growth_correlation", term="all").frame
    assert not out.identified.any()
    assert out.note.str.contains("fewer than 3 rows").all()


def test_draws_of_a_bootstrap_are_paired():
    index, growth = index_growth(), frontier_growth()
    draws = index.frame.estimate.to_numpy()[:, None] * np.exp(np.random.default_rng(3).normal(0, 0.05, (len(index), 20)))
    out = growth_difference(replace(index, draws=draws), growth)
    assert out.draws.shape[1] == 20
    of = np.linspace(0, 39, 20).round().astype(int)
    rows = (index.frame.estimand == "malmquist").to_numpy()
    expected = np.log(growth.where(estimand="tfpc").draws[:, of]) - np.log(draws[rows])
    np.testing.assert_allclose(out.where(estimand="growth_difference", term="unit:period").draws, expected, atol=1e-12)


def test_points_beside_bootstrapped_rows_are_points():
    plain = index_growth()
    both = malmquist(levels(), ["K", "L"], ["Y"], replicates=100)
    chosen = both.where(source=plain.frame["source"].iloc[0])
    growth = frontier_growth()
    np.testing.assert_array_equal(growth_difference(chosen, growth).frame["estimate"], growth_difference(plain, growth).frame["estimate"])


def test_estimates_that_do_not_join():
    index, growth = index_growth(), frontier_growth()
    with pytest.raises(SpecificationError, match="same by"):
        growth_difference(index, frontier_growth("unit"))
    with pytest.raises(SpecificationError, match="same cumulative"):
        growth_difference(index, frontier_growth(cumulative=True))
    with pytest.raises(SpecificationError, match=r"no counterpart among the frontier.*unit u000, period 2002"):
        growth_difference(index, growth.where(unit=[f"u00{k}" for k in range(1, 9)]))
    with pytest.raises(SpecificationError, match=r"no counterpart among the Malmquist.*unit u008"):
        growth_difference(index.where(unit=[f"u00{k}" for k in range(8)]), growth)
    with pytest.raises(SpecificationError, match="hold no 'tfpc'"):
        growth_difference(index, index)
    with pytest.raises(SpecificationError, match="no draws"):
        growth_difference(index, replace(growth, draws=None))
    with pytest.raises(SpecificationError, match=r"must be bayes\.Estimates"):
        growth_difference(index, growth.frame)
    other = replace(index, frame=index.frame.assign(source="another"))
    with pytest.raises(SpecificationError, match="2 values of 'source'"):
        growth_difference(index + other, growth)
    with pytest.raises(DuplicateRowError, match="u000, period 2002"):
        growth_difference(index + index, growth)
    zero = replace(index, frame=index.frame.assign(estimate=0.0))
    with pytest.raises(NotPositiveError, match="u000"):
        growth_difference(zero, growth)


def test_it_returns_estimates_with_a_convention():
    out = growth_difference(index_growth(), frontier_growth())
    assert isinstance(out, Estimates)
    assert "ln TFPC − ln Malmquist" in out.meta["convention"]
    assert set(out.frame.source) == {"Bayes − Malmquist, output-oriented, FGNZ"}

"""Leads: joint bands, probabilities of large leads, power of looking at them, and panels with few or none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import bayes
from bayes.did.leads import JOINT, detectable_slopes, joint_band
from bayes.did.violation_response import linear_effects, response_to_violations
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.panel import Panel
from tests.conftest import fabricated
from tests.panels import ROLES, simulated_frame


@pytest.fixture(scope="module")
def fit(tiny_panel):
    return fabricated(tiny_panel, draws=500, covariates=("x",))


@pytest.fixture(scope="module")
def trends(fit):
    return fit.parallel_trends(bound=0.1)


# ── joint bands ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_a_joint_band_holds_all_rows_at_once(fit, level):
    table = fit.att("event", level=level)
    band = joint_band(table, level)
    inside = (table.draws >= band.frame.lower.to_numpy()[:, None]) & (table.draws <= band.frame.upper.to_numpy()[:, None])
    assert inside.all(axis=0).mean() == pytest.approx(level, abs=2 / table.draws.shape[1])
    width = (band.frame.upper - band.frame.lower) / (table.frame.upper - table.frame.lower)
    assert (width > 1.05).all()
    assert (band.frame.interval == JOINT).all()
    np.testing.assert_array_equal(band.frame.estimate, table.frame.estimate)
    np.testing.assert_array_equal(band.draws, table.draws)


def test_a_band_of_independent_normals_has_their_critical_value():
    draws = np.random.default_rng(1).standard_normal((6, 200_000)) * np.arange(1, 7)[:, None]
    band = joint_band(Estimates.from_draws([{"estimand": "att"}] * 6, draws))
    expected = stats.norm.ppf(0.5 + 0.95 ** (1 / 6) / 2)
    assert band.meta["joint_critical_value"] == pytest.approx(expected, abs=0.02)
    one = joint_band(Estimates.from_draws([{"estimand": "att"}], draws[:1]))
    assert one.meta["joint_critical_value"] == pytest.approx(stats.norm.ppf(0.975), abs=0.02)


def test_rows_without_draws_stay_out_of_the_band(fit):
    table = fit.att("event")
    holed = table.draws.copy()
    holed[0] = np.nan
    band = joint_band(replace(table, draws=holed))
    assert band.frame[["lower", "upper"]].isna().all(axis=1).tolist() == [True] + [False] * (len(table) - 1)
    with pytest.raises(SpecificationError, match="draws"):
        joint_band(replace(table, draws=None))
    with pytest.raises(SpecificationError, match="level"):
        joint_band(table, 95)


# ── what the leads say ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_largest_lead_counts_draws(fit, trends):
    leads = fit.att("event").where(event_time=[-5, -4, -3, -2])
    largest = np.abs(leads.draws).max(axis=0)
    np.testing.assert_array_equal(trends.largest, largest)
    assert trends.probability_above(0.1) == (largest > 0.1).mean()
    curve = trends.exceedance
    assert (np.diff(curve.probability) <= 0).all()
    assert (curve.probability.iloc[0], curve.probability.iloc[-1]) == (1.0, 0.0)
    assert any("> 0.1" in line for line in trends.verdict())
    assert set(trends.leads.frame.event_time) == set(leads.frame.event_time)
    assert set(trends.event_study.frame.event_time) == set(fit.att("event").frame.event_time)
    assert not any("P(largest" in line for line in fit.parallel_trends().verdict())


def test_power_of_a_single_lead_is_the_normal_s():
    slopes = detectable_slopes(np.array([[0.09]]), np.array([-2.0]), (0.5, 0.8), 0.95, seed=1)
    expected = [stats.norm.ppf(0.975) * 0.3 / 2, (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * 0.3 / 2]
    np.testing.assert_allclose(slopes, expected, rtol=0.02)


def test_power_of_several_leads_against_normal_rectangles():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(3, 3))
    covariance, steps = root @ root.T + 0.2 * np.eye(3), np.array([-3.0, -2.0, -1.0])
    slope = detectable_slopes(covariance, steps, (0.5,), 0.95, seed=1)[0]
    se, z = np.sqrt(np.diag(covariance)), stats.norm.ppf(0.975)
    missed = stats.multivariate_normal(slope * steps, covariance).cdf(z * se, lower_limit=-z * se)
    assert 1 - missed == pytest.approx(0.5, abs=5 * np.sqrt(0.25 / 20_000))
    assert np.isnan(detectable_slopes(covariance, steps, (0.01,), 0.95, seed=1)[0])


def test_bias_of_a_linear_violation_is_what_the_model_would_find(fit, trends):
    """The violation that leads find, added to the treated rows' outcome, moves every draw of the flat model's mean by the bias."""
    response = response_to_violations(fit, linear_effects(fit, "simple", "att", None))
    per_slope = float(response.bias[0].mean(axis=0) @ (response.event + 1))
    np.testing.assert_allclose(trends.power.bias, trends.power.slope * per_slope)
    assert trends.power.power.tolist() == [0.5, 0.8]
    assert trends.power.slope[0] < trends.power.slope[1]
    # Later periods drift further from the base, which is a mean of all periods before treatment: more than the mean step after it.
    events = fit.att("event").frame.query("event_time >= 0")
    assert per_slope > np.average(events.event_time + 1, weights=events.n_obs)


def test_same_seed_same_power(fit, trends):
    again = fit.parallel_trends(bound=0.1)
    np.testing.assert_array_equal(again.power.slope, trends.power.slope)
    assert not np.array_equal(fit.parallel_trends(seed=9).power.slope, trends.power.slope)
    assert fit.parallel_trends(seed=9).seed == 9


# ── few leads and none ──────────────────────────────────────────────────────────────────────────────────────────────────


def one_lead_panel() -> Panel:
    frame = simulated_frame()
    frame = frame[(frame.first_treated != 2006) & (frame.year >= 2002)]
    return Panel.from_frame(frame, **ROLES)


def test_one_lead_only_is_said():
    result = fabricated(one_lead_panel()).parallel_trends()
    assert len(result.leads) == 1
    assert "one lead only" in result.note
    assert result.note in repr(result)
    assert np.isfinite(result.power.slope).all()


def test_no_lead_is_an_error():
    frame = simulated_frame()
    frame = frame[(frame.first_treated != 2006) & (frame.year >= 2003)]
    with pytest.raises(SpecificationError, match="no lead"):
        fabricated(Panel.from_frame(frame, **ROLES)).parallel_trends()


def test_a_model_without_leads_says_how_to_get_them(tiny_panel):
    with pytest.raises(SpecificationError, match="leads=True"):
        fabricated(tiny_panel, leads=False).parallel_trends()


def test_a_bound_is_a_size(fit, trends):
    for bound in (-0.1, np.nan):
        with pytest.raises(SpecificationError, match="bound"):
            fit.parallel_trends(bound=bound)
        with pytest.raises(SpecificationError, match="bound"):
            trends.probability_above(bound)


def test_leads_that_are_not_identified_are_named():
    """Once everybody left is treated at the same time, the earliest lead has nobody untreated beside it in its region."""
    frame = simulated_frame()
    frame = frame[~((frame.year == 2001) & (frame.first_treated != 2006))]
    fit = fabricated(Panel.from_frame(frame, **ROLES))
    leads = fit.att("event").frame.query("event_time < -1")
    lost = leads.event_time[leads.estimate.isna()].tolist()
    assert lost == [-5.0]
    result = fit.parallel_trends()
    assert "event time -5" in result.note
    assert np.isfinite(result.largest).all()
    assert bayes.Estimates is Estimates

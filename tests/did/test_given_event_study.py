"""Event studies given as estimates and covariance: the formula against generalised least squares, its ends, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import bayes
from bayes.did.given_event_study import read_event_study
from bayes.did.trend_violations import PRIORS, violation_covariance
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from tests.conftest import fabricated

EVENTS = np.array([-4.0, -3.0, -2.0, 0.0, 1.0, 2.0])
ESTIMATES = np.array([0.03, -0.02, 0.05, 0.30, 0.36, 0.45])


def covariance(seed: int = 1) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(6, 9)) * 0.03
    return root @ root.T + 0.0004


def study(**options):
    return bayes.event_study_sensitivity(ESTIMATES, covariance(), EVENTS, **options)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("by", ["simple", "event"])
def test_no_violation_returns_the_normal_interval(prior, by):
    table = study(prior=prior, by=by, level=0.9).estimates.frame
    zero = table[table.variant.str.endswith("M = 0")]
    average = np.full((1, 3), 1 / 3) if by == "simple" else np.eye(3)
    mean, sd = average @ ESTIMATES[3:], np.sqrt(np.diag(average @ covariance()[3:, 3:] @ average.T))
    z = stats.norm.ppf(0.95)
    np.testing.assert_allclose(zero[["estimate", "se", "lower", "upper"]], np.c_[mean, sd, mean - z * sd, mean + z * sd], atol=1e-6)
    assert (zero.interval == "normal").all()


@pytest.mark.parametrize("prior", PRIORS)
def test_posterior_is_generalised_least_squares(prior):
    """With flat τ, β̂ = (0, τ) + noise of covariance S + V: its GLS estimate and variance."""
    x = np.vstack([np.zeros((3, 3)), np.eye(3)])
    k = violation_covariance(EVENTS + 1, prior)
    for m in (0.01, 1.0, 5.0):
        c = np.linalg.inv(covariance() + (m * 0.02) ** 2 * k)
        variance = np.linalg.inv(x.T @ c @ x)
        frame = study(prior=prior, scale=0.02, max_violation=m, by="event").estimates.frame
        np.testing.assert_allclose(frame.estimate, variance @ x.T @ c @ ESTIMATES, atol=1e-10)
        np.testing.assert_allclose(frame.se, np.sqrt(np.diag(variance)), atol=1e-10)
        np.testing.assert_allclose(frame.prob_positive, stats.norm.cdf(frame.estimate / frame.se), atol=1e-12)


@pytest.mark.parametrize("prior", PRIORS)
def test_spread_never_falls_once_leads_are_used(prior):
    for seed in range(5):
        table = bayes.event_study_sensitivity(
            ESTIMATES, covariance(seed), EVENTS, prior=prior, scale=0.1, by="event", max_violation=np.geomspace(1e-3, 100, 30)
        ).estimates.frame
        assert (np.diff(table.se.to_numpy().reshape(30, 3), axis=0) >= 0).all()


def test_note_names_the_limit_of_small_violations():
    limit = study(scale=0.02, max_violation=1e-5).estimates.frame.iloc[0]
    note = study(scale=0.02).estimates.frame.note[0]
    assert f"{limit.estimate:.4g} ± {1.959964 * limit.se:.3g}" in note
    assert "leads unused" in note


def test_scale_has_the_largest_marginal_likelihood_of_the_leads():
    beta = np.array([0.5, -0.3, 0.2, 0.3, 0.36, 0.45])
    found = bayes.event_study_sensitivity(beta, covariance(), EVENTS, prior="ar1")
    k, s = violation_covariance(EVENTS + 1, "ar1")[:3, :3], covariance()[:3, :3]
    grid = np.geomspace(0.02, 2, 400)
    density = [stats.multivariate_normal.logpdf(beta[:3], cov=s + v**2 * k) for v in grid]
    assert found.scale == pytest.approx(grid[np.argmax(density)], rel=0.02)
    assert found.calibration == "marginal maximum likelihood from 3 leads"
    quiet = bayes.event_study_sensitivity(np.r_[0.0, 0.0, 0.0, ESTIMATES[3:]], covariance(), EVENTS)
    assert quiet.scale == pytest.approx(0.1 * np.median(np.sqrt(np.diag(s))))
    assert "floor" in quiet.calibration


def test_breakdown_is_where_the_sign_becomes_uncertain():
    found = study(scale=0.05)
    value = found.breakdown.breakdown[0]
    p = study(scale=0.05, max_violation=[0.99 * value, 1.001 * value]).estimates.frame.prob_positive
    assert p[0] >= 0.95 > p[1]
    assert bayes.event_study_sensitivity(-ESTIMATES, covariance(), EVENTS, scale=0.05).breakdown.direction[0] == "< 0"


def test_weights_choose_the_effect():
    first = study(weights={0: 1}, max_violation=0).estimates.frame.iloc[0]
    assert (first.term, first.event_time, first.estimate) == ("event", 0.0, ESTIMATES[3])
    mixed = study(weights={0: 1, 2: 3}, max_violation=0).estimates.frame.iloc[0]
    assert mixed.estimate == pytest.approx((ESTIMATES[3] + 3 * ESTIMATES[5]) / 4)
    assert mixed.term == "simple"


def test_order_and_reference_of_the_rows_do_not_matter():
    order = np.array([4, 0, 5, 2, 1, 3])
    s, beta, times = covariance(), np.r_[ESTIMATES, 0.0], np.r_[EVENTS, -1.0]
    wide = np.zeros((7, 7))
    wide[:6, :6] = s
    order = np.r_[order, 6]
    shuffled = bayes.event_study_sensitivity(beta[order], wide[np.ix_(order, order)], times[order])
    np.testing.assert_allclose(shuffled.estimates.frame.estimate, study().estimates.frame.estimate, atol=1e-12)


def test_estimates_bring_their_event_times_and_source():
    rows = [
        {"estimand": "att", "term": "event", "event_time": e, "estimate": b, "source": "somebody"}
        for e, b in zip(EVENTS, ESTIMATES, strict=True)
    ]
    found = bayes.event_study_sensitivity(Estimates.from_rows(rows), covariance())
    assert set(found.estimates.frame.source) == {"somebody"}
    np.testing.assert_allclose(found.estimates.frame.estimate, study().estimates.frame.estimate)


def test_a_single_lead_is_said_and_no_lead_needs_a_scale():
    keep = [2, 3, 4, 5]
    s = covariance()[np.ix_(keep, keep)]
    assert "one lead only" in bayes.event_study_sensitivity(ESTIMATES[keep], s, EVENTS[keep]).calibration
    with pytest.raises(SpecificationError, match="Give scale="):
        bayes.event_study_sensitivity(ESTIMATES[3:], covariance()[3:, 3:], EVENTS[3:])
    none = bayes.event_study_sensitivity(ESTIMATES[3:], covariance()[3:, 3:], EVENTS[3:], max_violation=0)
    assert none.estimates.frame.estimate[0] == pytest.approx(ESTIMATES[3:].mean())
    assert np.isnan(none.breakdown.breakdown[0])
    assert "nothing is said about M > 0" in none.verdict()[0]
    chosen = bayes.event_study_sensitivity(ESTIMATES[3:], covariance()[3:, 3:], EVENTS[3:], scale=0.1)
    assert chosen.estimates.frame.se.is_monotonic_increasing


def test_our_own_posterior_is_refused(tiny_panel):
    fit = fabricated(tiny_panel)
    table = fit.att("event")
    for own in (table, Estimates(table.frame)):
        with pytest.raises(SpecificationError, match=r"fit\.sensitivity"):
            bayes.event_study_sensitivity(own, np.eye(len(table)))


BAD = {
    "n, n": {"covariance": np.eye(5)},
    "not symmetric": {"covariance": covariance() + np.triu(np.ones((6, 6)), 1)},
    "negative": {"covariance": covariance() - 0.01 * np.eye(6)},
    "missing at event times": {"estimates": np.r_[np.nan, ESTIMATES[1:]]},
    "twice": {"event_times": [-3, -3, -2, 0, 1, 2]},
    "whole numbers": {"event_times": [-3.5, -3, -2, 0, 1, 2]},
    "no effect": {"event_times": [-7, -6, -5, -4, -3, -2]},
    "'event'": {"by": "region"},
    "weights belong": {"by": "event", "weights": {0: 1}},
    "no estimate after": {"weights": {5: 1}},
    "positive sum": {"weights": {0: 0.0}},
    "level": {"level": 95},
    "max_violation": {"max_violation": -1},
    "'second-difference', 'ar1'": {"prior": "walk"},
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_used_is_refused_by_name(message):
    given = {"estimates": ESTIMATES, "covariance": covariance(), "event_times": EVENTS} | BAD[message]
    with pytest.raises(SpecificationError, match=message):
        bayes.event_study_sensitivity(**given)


def test_event_times_come_from_one_place():
    with pytest.raises(SpecificationError, match="Give event_times"):
        read_event_study(ESTIMATES, covariance(), None, -1)
    rows = Estimates.from_rows([{"event_time": 0.0, "estimate": 1.0}])
    with pytest.raises(SpecificationError, match="leave them out"):
        read_event_study(rows, np.eye(1), [0.0], -1)

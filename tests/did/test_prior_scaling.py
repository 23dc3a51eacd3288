"""Prior sensitivity: weights against brute force, level and drift against dense algebra, refits against priors changed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bayes.did import prior_scaling
from bayes.did.criticism import unit_log_likelihood
from bayes.did.mode import Coordinate
from bayes.did.posterior import Hyperparameters
from bayes.did.prior_scaling import diagnosis, draw_level_and_drift, log_priors, power_weights, sensitivities
from bayes.errors import SpecificationError, UnsupportedModelError
from bayes.priors import DID_PRIORS, Prior
from tests.conftest import fabricated
from tests.did.dense import panel_of
from tests.panels import simulated_frame


@pytest.fixture(scope="module")
def fit():
    return fabricated(panel_of(simulated_frame(n_units=21, n_periods=7, gaps=True)), covariates=("x",), draws=200)


FAMILIES = {
    "HalfNormal": (Prior("HalfNormal", {"sigma": 0.7}), stats.halfnorm(scale=0.7)),
    "HalfStudentT": (Prior("HalfStudentT", {"nu": 4, "sigma": 0.7}), stats.t(4, scale=0.7)),
    "Exponential": (Prior("Exponential", {"scale": 0.4}), stats.expon(scale=0.4)),
    "Normal": (Prior("Normal", {"mu": 0.2, "sigma": 0.7}), stats.norm(0.2, 0.7)),
    "LogNormal": (Prior("LogNormal", {"median": 0.7, "sigma": 0.5}), stats.lognorm(0.5, scale=0.7)),
    "Gamma": (Prior("Gamma", {"alpha": 2.0, "beta": 0.1}), stats.gamma(2.0, scale=10.0)),
    "Uniform": (Prior("Uniform", {"lower": 0.0, "upper": 5.0}), stats.uniform(0, 5)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_log_densities_differ_from_those_of_another_library_by_a_constant(family):
    prior, other = FAMILIES[family]
    x = np.array([0.1, 0.5, 1.3, 2.8])
    np.testing.assert_allclose(np.ptp(prior.log_density(x) - other.logpdf(x)), 0, atol=1e-12)
    wider = prior.times(2.0)
    if family in ("Gamma", "Uniform"):
        assert wider == prior
    elif family != "Normal":  # twice as wide: the distribution of twice the parameter
        np.testing.assert_allclose(np.ptp(wider.log_density(2 * x) - prior.log_density(x)), 0, atol=1e-12)
    else:
        assert wider.parameters == {"mu": 0.2, "sigma": 1.4}


@pytest.mark.parametrize("family", ["HalfNormal", "HalfStudentT", "Exponential", "LogNormal"])
def test_coordinates_add_the_jacobian_of_the_logarithm(family):
    prior, other = FAMILIES[family]
    coordinate = Coordinate.of("region_sd", prior, 3.0)
    z = np.array([-2.0, -0.3, 0.9])
    np.testing.assert_allclose(np.ptp(coordinate.log_density(z) - (other.logpdf(np.exp(z)) + z)), 0, atol=1e-12)


# ── power-scaling ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_weights_are_powers_of_the_density_but_for_the_smoothed_tails():
    rng = np.random.default_rng(0)
    log_density = -0.5 * rng.normal(size=(4, 500)) ** 2
    for alpha in (0.8, 0.99, 1.01, 1.25):
        found = power_weights(log_density, alpha)
        brute = np.exp((alpha - 1) * log_density)
        brute /= brute.sum()
        assert found.sum() == pytest.approx(1)
        low, high = np.quantile(brute, [0.2, 0.8])
        middle = (brute > low) & (brute < high)
        ratio = found[middle] / brute[middle]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-10)
        np.testing.assert_allclose(found, brute, rtol=0.02 if abs(alpha - 1) < 0.1 else 0.5)


def cumulative_jensen_shannon(x: np.ndarray, w: np.ndarray) -> float:
    """Distance between the empirical distribution of x and the weighted one, from its definition, by loops."""
    order = np.argsort(x)
    x, w = x[order], w[order] / w.sum()
    p, q, step = np.arange(1, x.size + 1) / x.size, np.cumsum(w), np.diff(x)
    p, q = p[:-1], q[:-1]
    pq = q @ step
    pp = p @ step
    first = (step * p * (np.log2(p) - np.log2(0.5 * p + 0.5 * q))).sum() + 0.5 / np.log(2) * (pq - pp)
    second = (step * q * (np.log2(q) - np.log2(0.5 * p + 0.5 * q))).sum() + 0.5 / np.log(2) * (pp - pq)
    return float(np.sqrt((first + second) / (pp + pq)))


def test_sensitivity_against_its_definition():
    """A normal posterior from a normal prior and likelihood: distances from brute-force weights."""
    rng = np.random.default_rng(1)
    theta = rng.normal(0.4, 0.5, size=(4, 1000))
    log_prior = -0.5 * theta**2
    x = theta.ravel()
    gradient = 0.0
    for alpha in (0.99, 1.01):
        w = np.exp((alpha - 1) * log_prior.ravel())
        distance = max(cumulative_jensen_shannon(x, w), cumulative_jensen_shannon(-x, w))
        gradient += abs(distance / np.log2(alpha)) / 2
    found = sensitivities({"theta": theta}, log_prior)[0]
    assert found == pytest.approx(gradient, rel=0.02)
    assert sensitivities({"theta": theta}, np.zeros((4, 1000))) == [0.0]


def test_a_prior_that_decides_is_told_from_one_that_does_not():
    """Normal mean with known variance: one prior narrow and off the data, one wide; the flagged one is the narrow one."""
    rng = np.random.default_rng(2)
    found = {}
    for name, sd in (("narrow", 0.3), ("wide", 30.0)):
        precision = 1 / sd**2 + 4.0
        theta = rng.normal(4.0 * 2.0 / precision, precision**-0.5, size=(4, 2000))
        prior = sensitivities({"theta": theta}, -0.5 * (theta / sd) ** 2)[0]
        data = sensitivities({"theta": theta}, -0.5 * 4.0 * (theta - 2.0) ** 2)[0]
        found[name] = diagnosis(prior, data)
    assert found["narrow"].startswith("informative prior")
    assert found["wide"] == ""
    assert diagnosis(0.2, 0.01) == "strong prior or weak data"


# ── level and drift ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pooling", [("event", "region", "cohort", "region:event", "cell"), ("event", "region"), "complete"])
def test_level_and_drift_have_the_moments_of_dense_algebra(pooling):
    collapsed = fabricated(panel_of(simulated_frame(n_units=18, n_periods=6)), pooling=pooling, draws=5)._collapsed
    basis = collapsed.basis
    names = list(dict.fromkeys(basis.component.tolist()))
    sds = {"level": 2.5, "drift": 0.25, "event": 0.3, "region": 0.4, "cohort": 0.2, "region_event": 0.2, "cell": 0.1}
    n = 20_000
    ones = np.ones((n, 1))
    hyper = Hyperparameters(ones[:, 0], 0 * ones[:, 0], np.zeros((n, 0)), ones * np.array([sds[c] for c in names]))
    scaled = basis.matrix * np.array([sds[c] for c in basis.component])
    cells = scaled @ np.random.default_rng(3).normal(size=scaled.shape[1])
    found = draw_level_and_drift(collapsed, hyper, np.tile(cells, (n, 1)), np.random.default_rng(4))
    # z ~ N(0, I) given cells = B z, by the pseudo-inverse of the map.
    pinv = np.linalg.pinv(scaled)
    mean, covariance = pinv @ cells, np.eye(scaled.shape[1]) - pinv @ scaled
    for name, draws in found.items():
        j = basis.component.tolist().index(name)
        sd = np.sqrt(max(covariance[j, j], 0.0))
        assert abs(draws.mean() - mean[j]) < 5 * sd / np.sqrt(n) + 1e-6
        assert abs(draws.std() - sd) < 5 * sd / np.sqrt(2 * n) + 1e-5
    assert list(found) == [c for c in names if c in ("level", "drift")]


def test_log_priors_are_those_of_the_draws(fit):
    found = log_priors(fit, np.random.default_rng(0))
    scale = fit._collapsed.scales[-1]
    sd = fit.posterior["region_sd"].to_numpy()
    expected = stats.halfnorm(scale=0.5 * scale).logpdf(sd)
    np.testing.assert_allclose(np.ptp(found["region_sd"] - expected), 0, atol=1e-10)
    assert np.ptp(found["autocorrelation"]) == 0
    assert set(found) == {*fit.model.parameters(fit._collapsed), "level", "drift"}


# ── the whole ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_table_is_made_of_its_parts(fit):
    result = fit.prior_sensitivity("region", factors=[0.5])
    names = result.scaling.quantity.tolist()
    assert names[:2] == ["att overall", "att Centre"]
    assert result.scaling.effect.sum() == 4
    likelihood = unit_log_likelihood(fit).sum(axis=1).reshape(2, 200)
    overall = {"att": fit.att("simple").draws[0].reshape(2, 200)}
    assert result.scaling.likelihood[0] == pytest.approx(sensitivities(overall, likelihood)[0])
    strongest = result.by_prior.loc["att overall"].idxmax()
    assert result.scaling.strongest[0] == strongest
    assert (result.by_prior["autocorrelation"] == 0).all()
    sources = list(dict.fromkeys(result.refits.frame.source))
    assert sources == ["full posterior, priors as given", "mode, priors as given", "mode, prior scales × 0.5"]
    assert len(result.refits) == 3 * 4
    assert any("With prior scales multiplied by 0.5" in sentence for sentence in result.verdict())
    assert "Power-scaling of the priors" in repr(result)


def test_refits_use_the_priors_they_name(fit):
    """A prior scale times a thousandth leaves nothing of an effect; the same by hand."""
    result = fit.prior_sensitivity(factors=[0.001])
    overall = result.refits.where(term="simple").frame
    assert abs(overall.estimate.iloc[2]) < 0.02 * overall.estimate.iloc[1]
    by_hand = replace(fit.model, leads=False, priors={n: p.times(0.5) for n, p in DID_PRIORS.items()})
    from bayes.did.quick_mode import mode_of

    mode = mode_of(by_hand, by_hand.collapse(fit.panel))
    drawn = prior_scaling.draws_at_mode(by_hand, by_hand.collapse(fit.panel), mode, 1000, 7)
    tight = fit.prior_sensitivity(factors=[0.5]).refits.where(term="region").frame
    expected = prior_scaling.intensity.estimates_of(
        drawn, by_hand, fit.panel, by_hand.collapse(fit.panel), "region", "att", "panel", 0.95, False, "by hand"
    )
    found = tight[tight.source == "mode, prior scales × 0.5"].estimate.to_numpy()
    np.testing.assert_allclose(found, expected.frame.estimate, rtol=1e-6)


def test_many_cells_thin_the_draws(fit, monkeypatch):
    monkeypatch.setattr(prior_scaling, "_MOST_WORK", fit._collapsed.design.cells.size**3 * 100)
    assert prior_scaling._thinned(fit).posterior.sizes["draw"] == 50
    assert not fit.prior_sensitivity().scaling.isna().any().any()


@pytest.mark.parametrize("factors", [[0.0], [-1.0], ["2"], [], [True]])
def test_factors_must_be_positive_numbers(fit, factors):
    with pytest.raises(SpecificationError, match="numbers"):
        fit.prior_sensitivity(factors=factors)


def test_flat_cells_have_no_level_and_student_t_is_refused():
    panel = panel_of(simulated_frame(n_units=18, n_periods=6))
    flat = fabricated(panel, pooling="none", draws=100)
    assert set(flat.prior_sensitivity().by_prior) == {"innovation_sd", "autocorrelation", "unit_effect_sd"}
    object.__setattr__(flat.model, "likelihood", "student-t")
    with pytest.raises(UnsupportedModelError, match="Prior sensitivity"):
        flat.prior_sensitivity()

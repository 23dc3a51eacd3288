"""The likelihood of a cross-lagged pair and its conditionals equal dense algebra; products, roots and gradients by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from bayes import CrossLagged
from bayes.dynamics.draws import mean_sds
from bayes.dynamics.effects import largest_root
from bayes.dynamics.likelihood import make_log_likelihood, prior_score
from bayes.dynamics.orthogonal import gradient, reference_lag
from bayes.dynamics.posterior import Scales, draw_slopes
from tests.did.dense import gaussian_contrasts
from tests.dynamics.dense import DensePair, Point
from tests.dynamics.panels import pair_frame, panel_of

BALANCED, _ = pair_frame(n_units=12, n_periods=6)
GAPS, _ = pair_frame(n_units=15, n_periods=7, gaps=True)
CASES = {
    "balanced": (BALANCED, {}),
    "gaps, covariate": (GAPS, {"covariates": ("x",)}),
    "regional periods": (GAPS, {"period_effects": "region", "covariates": ("x",)}),
    "complete pooling": (GAPS, {"pooling": "complete"}),
    "no pooling": (GAPS, {"pooling": "none"}),
    "one region": (GAPS.assign(region="all"), {}),
    "every other year": (GAPS.assign(year=2 * GAPS.year), {}),
}


def dense_of(name: str) -> DensePair:
    frame, options = CASES[name]
    return DensePair(CrossLagged("f", "s", **options), panel_of(frame))


def points() -> list[Point]:
    """Generic points, one without unit effects, one without spread over regions, one with strong correlations."""
    rng, out = np.random.default_rng(5), []
    for kind in ("", "", "unit", "spread", "strong"):
        r = np.array([0.98, -0.97]) if kind == "strong" else rng.uniform(-0.7, 0.7, 2)
        out.append(
            Point(rng.uniform(0.3, 1.2, 2), (kind != "unit") * rng.uniform(0.1, 1, 2), *r, (kind != "spread") * rng.uniform(0.1, 0.6, 8))
        )
    return out


def scales_of(chosen: list[Point]) -> Scales:
    names = ("innovation_sd", "unit_sd", "innovation_correlation", "unit_correlation", "spread")
    return Scales(*(np.array([getattr(p, n) for p in chosen]) for n in names))


def tilted(dense: DensePair, point: Point, mean_sd: np.ndarray) -> float:
    """log E[exp(g'θ) | y] of the slopes θ: what the factor of the orthogonal coordinates adds to the density without it."""
    mean, covariance = dense.posterior(point, mean_sd)
    g = prior_score(dense.pair, dense.spec.effective_pooling(dense.pair))
    return g @ mean[: g.size] + 0.5 * g @ covariance[: g.size, : g.size] @ g


@pytest.mark.parametrize("name", CASES)
def test_likelihood_equals_the_dense_marginal_likelihood(name):
    """Slopes on centred columns instead of raw ones: region intercepts absorb the difference, so the densities are the same."""
    import jax

    dense = dense_of(name)
    mean_sd = mean_sds(dense.pair, dense.spec.resolved_priors())
    likelihood = make_log_likelihood(dense.pair, mean_sd, dense.spec.effective_pooling(dense.pair))
    s = scales_of(points())
    found = jax.jit(jax.vmap(likelihood))(s.innovation_sd, s.unit_sd, s.innovation_correlation, s.unit_correlation, s.spread)
    y, flat, x = dense.stacked
    expected = [
        gaussian_contrasts(y, dense.noise(p) + x @ dense.prior_covariance(p, mean_sd) @ x.T, flat) + tilted(dense, p, mean_sd)
        for p in points()
    ]
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-9, atol=1e-8)


class UnitNormals:
    """Stands in for a generator: over one call of the kernel, draw j > 0 has its j-th normal equal to one and all others zero."""

    def __init__(self) -> None:
        self.given = 0

    def standard_normal(self, shape: tuple[int, int]) -> np.ndarray:
        out = np.zeros(shape)
        for j in range(shape[1]):
            if 1 + self.given + j < shape[0]:
                out[1 + self.given + j, j] = 1.0
        self.given += shape[1]
        return out


@pytest.mark.parametrize("name", ["gaps, covariate", "complete pooling", "no pooling"])
def test_conditional_draws_have_the_dense_mean_and_covariance(name):
    """Slopes and coefficients of covariates; period and region effects belong to centred columns here."""
    dense = dense_of(name)
    pair, point = dense.pair, points()[0]
    mean_sd, pooling = mean_sds(pair, dense.spec.resolved_priors()), dense.spec.effective_pooling(pair)
    normals = {"partial": 8 * len(pair.regions) + 8, "complete": 8, "none": 8 * len(pair.regions)}[pooling]
    rng, count = UnitNormals(), 1 + normals + 2 * pair.n_flat
    drawn = draw_slopes(pair, scales_of([point] * count), mean_sd, pooling, rng)
    assert rng.given == count - 1
    places = pair.covariate_columns
    both = np.hstack([drawn.slopes.reshape(count, -1), drawn.flat[:, :, places].reshape(count, -1)])
    mean, covariance = dense.posterior(point, mean_sd)
    g = prior_score(pair, pooling)
    mean = mean + covariance[:, : g.size] @ g
    n = drawn.slopes[0].size
    keep = np.r_[np.arange(n), *(n + q * pair.n_flat + places for q in range(2))]
    np.testing.assert_allclose(both[0], mean[keep], rtol=1e-7, atol=1e-8)
    root = both[1:] - both[0]
    np.testing.assert_allclose(root.T @ root, covariance[np.ix_(keep, keep)], rtol=1e-6, atol=1e-8)


def test_gradient_is_finite_and_right():
    """Central differences of the model's log density; the first thing that a sampler asks for."""
    import nutpie

    model = CrossLagged("f", "s", ["x"]).build(panel_of(GAPS))
    compiled = nutpie.compile_pymc_model(model, backend="jax", gradient_backend="jax")
    density = compiled._make_logp_func()
    assert np.isfinite(density(np.zeros(compiled.n_dim))[0])
    z = np.random.default_rng(0).normal(0, 0.3, compiled.n_dim)
    gradient = density(z)[1]
    for j in range(z.size):
        up, down = z.copy(), z.copy()
        up[j] += 1e-5
        down[j] -= 1e-5
        np.testing.assert_allclose(gradient[j], (density(up)[0] - density(down)[0]) / 2e-5, rtol=1e-4, atol=1e-4)


def test_largest_root_is_that_of_the_eigenvalues():
    lag = np.random.default_rng(1).normal(0, 0.6, (200, 2, 2))
    np.testing.assert_allclose(largest_root(lag), np.abs(np.linalg.eigvals(lag)).max(axis=-1), rtol=1e-9)


def test_rows_without_a_previous_period_are_counted():
    frame = BALANCED[
        ~((BALANCED.unit == "u00") & (BALANCED.year == 2010)) & ~((BALANCED.unit == "u01") & BALANCED.year.isin([2009, 2011, 2013]))
    ]
    pair = CrossLagged("f", "s").lagged(panel_of(frame.reset_index(drop=True)))
    assert pair.counts == {"rows_used": 53, "rows_starting": 12, "rows_after_gap": 3, "units_used": 11, "units_without_pair": 1}
    assert pair.rows.sum() == 53 == pair.lengths @ pair.length_counts


# ── orthogonal coordinates ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("length", [1, 2, 5, 10])
def test_gradient_of_the_orthogonal_coordinate_is_the_numerical_one(length):
    def b(a):
        return sum((length - s) / (length * s) * np.trace(np.linalg.matrix_power(a, s)) for s in range(1, length))

    a = np.array([[0.5, 0.2], [-0.1, 0.7]])
    steps = [[(b(a + 1e-6 * np.eye(4)[2 * i + j].reshape(2, 2)) - b(a)) / 1e-6 for j in range(2)] for i in range(2)]
    np.testing.assert_allclose(gradient(a, length), steps, atol=1e-5)


def test_gradient_is_the_expected_information_between_intercept_and_lag():
    """Lancaster's condition by brute force: ∂b/∂A is the mean over rows of what a unit intercept has done to the lags so far."""
    a, length = np.array([[0.5, 0.2], [-0.1, 0.7]]), 6
    reached, total = np.zeros((2, 2)), np.zeros((2, 2))
    for _ in range(length):
        total += reached / length
        reached = np.eye(2) + a @ reached
    np.testing.assert_allclose(gradient(a, length), total.T, atol=1e-12)


def test_reference_lag_is_near_the_truth_where_within_regression_is_not():
    """500 units × 5 rows: within own lags are .3 too low, the corrected ones within .1."""
    frame, lag = pair_frame(seed=1, n_units=500, n_periods=6, spread=0.0)
    pair = CrossLagged("f", "s").lagged(panel_of(frame))
    found = reference_lag(pair.gram[0], pair.n_flat, 3, pair.lengths, pair.length_counts) * pair.scales[:, None] / pair.scales
    np.testing.assert_allclose(found, lag[0], atol=0.1)

"""The joint collapsed likelihood and its conditionals equal dense algebra; the correlation prior is the one it says."""

from __future__ import annotations

import numpy as np
import pytest

from bayes import Mediation
from bayes.mechanism.coupling import beta_parameters, correlation_factor, pairs, path_factor
from bayes.mechanism.draws import mean_sds
from bayes.mechanism.likelihood import make_joint_log_likelihood
from bayes.mechanism.posterior import Scales, draw_paths
from tests.did.dense import gaussian_contrasts
from tests.mechanism.dense import DenseMediation, Point, correlation_matrix
from tests.mechanism.panels import mechanism_frame, panel_of

TOLERANCE = 1e-8

BALANCED, _ = mechanism_frame(n_units=15, n_periods=6)
GAPS, _ = mechanism_frame(n_units=18, n_periods=7, gaps=True)
GAPS["d"] = 5 + np.random.default_rng(8).normal(size=len(GAPS)) + 0.5 * GAPS.x
NO_TREATED = GAPS.assign(first_treated=GAPS.first_treated.where(GAPS.region != "R1"))

CASES = {
    "balanced": (BALANCED, {}),
    "gaps, covariate": (GAPS, {"covariates": ("x",)}),
    "one mediator": (GAPS, {"mediators": ("m2",)}),
    "without unit effects": (GAPS, {"unit_effects": "fixed"}),
    "regional periods": (GAPS, {"period_effects": "region", "covariates": ("x",)}),
    "anticipation": (GAPS, {"anticipation": 1}),
    "a region without treated units": (NO_TREATED, {}),
    "complete pooling": (GAPS, {"pooling": "complete"}),
    "no pooling": (GAPS, {"pooling": "none"}),
    "one region": (GAPS.assign(region="all"), {}),
    "exposure": (GAPS, {"exposure": "d", "covariates": ("x",)}),
    "exposure, regional periods": (GAPS, {"exposure": "d", "period_effects": "region", "unit_effects": "fixed"}),
    "exposure, no timing": (GAPS, {"exposure": "d", "mediators": ("m1",), "pooling": "none"}),
}


def dense_of(name: str) -> DenseMediation:
    frame, options = CASES[name]
    timing = {"first_treated": None} if name == "exposure, no timing" else {}
    return DenseMediation(Mediation("y", **{"mediators": ("m1", "m2"), **options}), panel_of(frame, **timing))


def points_of(dense: DenseMediation) -> list[Point]:
    """Generic points, one without unit deviations, one without spread over regions, one near a random walk."""
    rng, q = np.random.default_rng(5), dense.count
    size = 2 * q - 1
    unit = int(dense.spec.unit_effects == "random-treatment")
    out = []
    for zero in ("", "", "unit", "spread", "walk"):
        rho = rng.uniform(-0.5, 0.8, q)
        out.append(
            Point(
                rng.uniform(0.3, 1.2, q), np.full(q, 0.98) if zero == "walk" else rho, (zero != "unit") * rng.uniform(0.1, 0.6, (q, unit)),
                (zero != "spread") * rng.uniform(0.1, 0.6, size), rng.uniform(-0.8, 0.8, len(pairs(size))),
            )
        )  # fmt: skip
    return out


def scales_of(points: list[Point]) -> Scales:
    return Scales(
        *(np.stack([getattr(p, n) for p in points]) for n in ("innovation_sd", "autocorrelation", "unit_sd", "spread", "partial"))
    )


@pytest.mark.parametrize("name", CASES)
def test_joint_likelihood_equals_the_dense_marginal_likelihood(name):
    import jax

    dense = dense_of(name)
    e = dense.equations
    mean_sd = mean_sds(e, dense.spec.resolved_priors())
    likelihood = make_joint_log_likelihood(e, mean_sd, dense.spec.effective_pooling(e))
    points = points_of(dense)
    s = scales_of(points)
    found = jax.jit(jax.vmap(likelihood))(s.innovation_sd, s.autocorrelation, s.unit_sd, s.spread, s.partial)
    y, flat, x = dense.stacked
    expected = [gaussian_contrasts(y, dense.noise(p) + x @ dense.prior_covariance(p, mean_sd) @ x.T, flat) for p in points]
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-11, atol=TOLERANCE)


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


@pytest.mark.parametrize("name", CASES)
def test_conditional_draws_have_the_dense_mean_and_covariance(name):
    dense = dense_of(name)
    e, point = dense.equations, points_of(dense)[0]
    mean_sd, pooling = mean_sds(e, dense.spec.resolved_priors()), dense.spec.effective_pooling(e)
    normals = path_factor(point.spread, correlation_factor(point.partial, mean_sd.size), mean_sd, len(e.regions), pooling).shape[-1]
    count = 1 + normals + sum(q.products.n_flat for q in e.equations)
    rng = UnitNormals()
    drawn = draw_paths(e, scales_of([point] * count), mean_sd, pooling, rng)
    assert rng.given == count - 1
    both = np.hstack([drawn.paths.reshape(count, -1), *drawn.flat])
    mean, covariance = dense.posterior(point, mean_sd)
    np.testing.assert_allclose(both[0], mean, rtol=1e-8, atol=TOLERANCE)
    root = both[1:] - both[0]
    np.testing.assert_allclose(root.T @ root, covariance, rtol=1e-7, atol=TOLERANCE)


def test_gradient_is_finite_and_right_at_the_initial_point():
    """Central differences of the model's log density; the first thing that a sampler asks for."""
    import nutpie

    model = Mediation("y", ["m1"], covariates=["x"]).build(panel_of(GAPS))
    compiled = nutpie.compile_pymc_model(model, backend="jax", gradient_backend="jax")
    density = compiled._make_logp_func()
    assert np.isfinite(density(np.zeros(compiled.n_dim))[0])
    z = np.random.default_rng(0).normal(0, 0.3, compiled.n_dim)
    gradient = density(z)[1]
    step = 1e-5
    for j in range(0, z.size, 3):
        up, down = z.copy(), z.copy()
        up[j] += step
        down[j] -= step
        slope = (density(up)[0] - density(down)[0]) / (2 * step)
        np.testing.assert_allclose(gradient[j], slope, rtol=1e-4, atol=1e-4)


# ── correlations ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [2, 3, 5])
def test_partial_correlations_give_the_correlations_of_the_textbook_recursion(size):
    partial = np.random.default_rng(size).uniform(-0.95, 0.95, len(pairs(size)))
    factor = correlation_factor(partial, size)
    np.testing.assert_allclose(factor @ factor.T, correlation_matrix(partial, size), atol=1e-12)


@pytest.mark.parametrize(("size", "eta"), [(2, 1.0), (3, 2.0), (5, 2.0)])
def test_every_correlation_has_the_marginal_of_the_lkj_distribution(size, eta):
    """Under LKJ each correlation is 2·Beta(α, α) − 1 with α = η + (J − 2)/2, so its variance is 1/(2α + 1); 4 Monte-Carlo errors."""
    n, alpha = 40_000, eta + (size - 2) / 2
    beta = beta_parameters(size, eta)
    partial = 2 * np.random.default_rng(1).beta(beta, beta, (n, beta.size)) - 1
    factor = correlation_factor(partial, size)
    omega = (factor @ factor.transpose(0, 2, 1))[:, *np.tril_indices(size, -1)]
    variance = 1 / (2 * alpha + 1)
    fourth = 3 * variance**2 * (2 * alpha + 1) / (2 * alpha + 3)
    error = 4 * np.sqrt((fourth - variance**2) / n)
    assert np.abs((omega**2).mean(axis=0) - variance).max() < error
    assert np.abs(omega.mean(axis=0)).max() < 4 * np.sqrt(variance / n)


def test_factor_of_paths_gives_their_covariance():
    rng = np.random.default_rng(2)
    spread, partial, mean_sd = rng.uniform(0.1, 1, 3), rng.uniform(-0.9, 0.9, 3), np.array([2.0, 1.0, 0.5])
    factor = path_factor(spread, correlation_factor(partial, 3), mean_sd, 4, "partial")
    omega = correlation_matrix(partial, 3)
    expected = np.kron(np.outer(spread, spread) * omega, np.eye(4)) + np.kron(np.diag(mean_sd**2), np.ones((4, 4)))
    np.testing.assert_allclose(factor @ factor.T, expected, atol=1e-12)

"""Growth regressions: the kernel against dense algebra, and the two forms of the PyMC model against each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayes.errors import SpecificationError
from bayes.measure._growth_data import growth_data
from bayes.measure._growth_model import GrowthModel, build
from bayes.measure._growth_regression import design, draw_coefficients, half_life, least_squares, make_log_likelihood, speed
from bayes.priors import Prior
from tests.measure.growth_panels import Silent, frame_of, panel_of


def test_least_squares_equals_normal_equations():
    rng = np.random.default_rng(1)
    x, z, y = rng.normal(100, 1, 20), rng.normal(size=(20, 2)), rng.normal(size=20)
    w = np.column_stack([np.ones(20), x, z])
    beta = np.linalg.solve(w.T @ w, w.T @ y)
    residual = y - w @ beta
    fit = least_squares(y, x, z)
    assert fit.slope == pytest.approx(beta[1], rel=1e-7)
    assert fit.se == pytest.approx(np.sqrt(residual @ residual / 16 * np.linalg.inv(w.T @ w)[1, 1]), rel=1e-7)
    assert fit.r2 == pytest.approx(1 - residual @ residual / ((y - y.mean()) @ (y - y.mean())), rel=1e-9)
    assert fit.df == 16
    assert np.isnan(least_squares(y[:3], x[:3], z[:3]).slope)
    assert "collinear" in least_squares(y, x, np.column_stack([x])).reason


def test_speed_and_half_life_follow_an_autoregression():
    """ln y with autoregression ρ: b = (ρ^T − 1)/T over T years, so λ = −ln ρ whatever T."""
    for span in (1.0, 16.0):
        rate = speed(np.array([(0.9**span - 1) / span]), span)
        assert rate[0] == pytest.approx(-np.log(0.9), rel=1e-12)
        assert half_life(rate)[0] == pytest.approx(np.log(2) / -np.log(0.9), rel=1e-12)
    np.testing.assert_array_equal(speed(np.array([-0.5, -0.6]), 2.0), [np.inf, np.inf])
    np.testing.assert_array_equal(half_life(np.array([0.0, -0.1])), [np.inf, np.inf])


# ── the kernel ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def model() -> GrowthModel:
    chosen = {"slope": Prior("Normal", {"mu": -0.02, "sigma": 0.1}, relative=False)}
    return GrowthModel.of(growth_data(panel_of(frame_of()), "y", ["z"], form="panel"), True, chosen)


@pytest.mark.parametrize("spread", [0.3, 0.0])
def test_collapsed_likelihood_equals_the_dense_normal(model, spread):
    w, y, block = design(model.data, model.scaling, True)
    mean, sd = model.gaussian(block)
    assert mean[1] == pytest.approx(-0.02 / model.unit("slope"))
    scales = np.where(np.isnan(sd), spread, sd)
    dense = multivariate_normal(w[0] @ mean, 0.49 * np.eye(y.shape[1]) + (w[0] * scales**2) @ w[0].T).logpdf(y[0])
    assert float(make_log_likelihood(model.products(), mean)(0.7, scales)) == pytest.approx(dense, rel=1e-9)


def test_coefficients_are_drawn_from_their_dense_conditional(model):
    w, y, block = design(model.data, model.scaling, True)
    mean, sd = model.gaussian(block)
    scales, noise = np.where(np.isnan(sd), 0.4, sd), 0.6
    precision = w[0].T @ w[0] / noise**2 + np.diag(1 / scales**2)
    want = np.linalg.solve(precision, w[0].T @ y[0] / noise**2 + mean / scales**2)
    p = model.products()
    np.testing.assert_allclose(draw_coefficients(p, np.array([noise]), scales[None], mean, Silent())[0], want, rtol=1e-9)
    n = 40_000
    draws = draw_coefficients(p, np.full(n, noise), np.tile(scales, (n, 1)), mean, np.random.default_rng(0))
    sizes = np.sqrt(np.diag(np.linalg.inv(precision)))
    np.testing.assert_allclose((draws.mean(axis=0) - want) / sizes, 0, atol=5 / np.sqrt(n))
    correlation = np.linalg.inv(precision) / np.outer(sizes, sizes)
    np.testing.assert_allclose(np.cov(draws.T) / np.outer(sizes, sizes), correlation, atol=6 * np.sqrt(2 / n))


def test_scales_of_zero_pool_completely(model):
    block = model.products().block
    mean, sd = model.gaussian(block)
    found = draw_coefficients(model.products(), np.array([0.5]), np.nan_to_num(sd)[None], mean, np.random.default_rng(0))[0]
    np.testing.assert_array_equal(found[[b.endswith("_sd") for b in block]], 0)


def test_both_forms_of_the_model_agree(model):
    """Collapsed density = joint density at the conditional mode of the coefficients + ½ log |2π covariance|."""
    point = {f"{name}_log__": np.log(0.5 * model.unit(name)) for name in model.parameters}
    w, y, block = design(model.data, model.scaling, True)
    mean, sd = model.gaussian(block)
    scales = np.where(np.isnan(sd), 0.5, sd)
    precision = (scales[:, None] * (w[0].T @ w[0]) * scales) / 0.25 + np.eye(len(block))
    mode = np.linalg.solve(precision, scales * (w[0].T @ (y[0] - w[0] @ mean)) / 0.25)
    collapsed = float(build(model).compile_logp(mode="JAX")(point))
    joint = float(build(model, "rows").compile_logp(mode="JAX")({**point, "standardised": mode}))
    laplace = 0.5 * (len(block) * np.log(2 * np.pi) - np.linalg.slogdet(precision)[1])
    assert collapsed == pytest.approx(joint + laplace, rel=1e-9)
    with pytest.raises(SpecificationError, match="collapsed"):
        build(model, "latent")


def test_density_and_gradient_are_finite_at_the_start(model):
    built = build(model)
    assert np.isfinite(built.compile_logp(mode="JAX")(built.initial_point()))
    assert np.isfinite(built.compile_dlogp(mode="JAX")(built.initial_point())).all()

"""The form of a stochastic frontier that is sampled: inefficiency integrated out, coefficients in nearly independent coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.frontier import likelihood
from bayes.frontier.algebra import pytensor_algebra
from bayes.frontier.arrays import Inputs, arrays_of, layout_of, over_variables
from bayes.frontier.data import FrontierData
from bayes.frontier.first_look import pilot
from bayes.frontier.prior_scale import unit_mean_and_variance
from bayes.frontier.scalars import Scaling, coords, scalar_parameters, scaling
from bayes.frontier.support import SHARED, WITH_UNIT_EFFECTS
from bayes.inference.programs import Prepared
from bayes.pooling import random_variable

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier


def marginal_model(spec: StochasticFrontier, data: FrontierData):
    """Inefficiency integrated out; coefficients and unit effects in the coordinates of :mod:`bayes.frontier.geometry`."""
    return marginal_posterior(spec, data).model()


def marginal_posterior(spec: StochasticFrontier, data: FrontierData) -> Prepared:
    """The marginal form with the panel's columns, the priors and what places coordinates as data (:mod:`bayes.frontier.arrays`)."""
    return posterior_over(spec, Inputs(data, scaling(spec, data), pilot(spec, data)))


def posterior_over(spec: StochasticFrontier, whole: Inputs) -> Prepared:
    """As :func:`marginal_posterior`, with priors and places of coordinates that may come from elsewhere than the data."""
    return Prepared(layout_of(spec, whole), arrays_of(spec, whole), partial(_marginal_over, spec, whole))


def model_with(spec: StochasticFrontier, whole: Inputs, log_likelihood: Callable[[dict[str, Any]], Any]):
    """The marginal form with another log likelihood, a function of :data:`bayes.frontier.likelihood.Parameters`, under the same priors."""
    return _marginal_over(spec, whole, arrays_of(spec, whole), log_likelihood)


def _marginal_over(spec: StochasticFrontier, whole: Inputs, given: Mapping[str, Any], log_likelihood: Callable | None = None):
    """The marginal form over given arrays: numbers become constants, PyTensor variables stay variables."""
    import pymc as pm
    import pytensor.tensor as pt

    constant = isinstance(given["output"], np.ndarray)
    used = whole if constant else over_variables(spec, whole, given)
    xp, data, scales = pytensor_algebra(), used.data, used.scales
    with pm.Model(coords=coords(spec, data)) as model:
        p = scalar_parameters(spec, data, scales, used.first)
        mean_u, variance_u = _moments_of_inefficiency(spec, p)
        p["technology"], log_prior = _technology(spec, data, scales, p, mean_u, variance_u)
        pm.Deterministic("technology", p["technology"], dims=("region", "term"))
        pm.Potential("technology_prior", log_prior)
        if spec.model in WITH_UNIT_EFFECTS:
            p["unit_effect"], log_jacobian = _unit_effects(spec, data, p, mean_u, variance_u)
            pm.Deterministic("unit_effect", p["unit_effect"], dims="unit")
            pm.Potential("unit_effect_prior", pt.sum(likelihood.log_density_of_unit_effects(p, spec, xp)) + log_jacobian)
        total = pt.sum(likelihood.log_likelihood_of_units(p, spec, data, xp)) if log_likelihood is None else log_likelihood(p)
        pm.Potential("likelihood", total)
        if spec.monotonicity == "soft":
            pm.Potential("monotonicity", likelihood.soft_monotonicity(p["technology"], spec, whole.data, xp))
    return model


def _moments_of_inefficiency(spec: StochasticFrontier, p: dict[str, Any]) -> tuple[Any, Any]:
    """Mean and variance of u by region at the mean of determinants: where the coordinates of coefficients are centred, nothing more."""
    mean, variance = unit_mean_and_variance(spec.inefficiency)
    if spec.inefficiency == "gamma":
        mean = variance = p["shape"]
    return mean * p["inefficiency_scale"], variance * p["inefficiency_scale"] ** 2


def _technology(spec: StochasticFrontier, data: FrontierData, scales: Scaling, p: dict[str, Any], mean_u: Any, variance_u: Any):
    """Coefficients (R, K) and their log prior density with the Jacobian of the coordinates."""
    import pymc as pm
    import pytensor.tensor as pt

    moments = scales.information.at(*_variances(spec, p, variance_u))
    gram = moments[:, :, :-2]
    score = moments[:, :, -2] + spec.sign * mean_u[:, None] * moments[:, :, -1]
    n_regions, n_terms = data.n_regions, len(data.terms)
    varies = "technology" in spec.pooled_parts and n_regions > 1
    if not varies:
        mean, log_prior = _gaussian_coordinates("technology_coordinate", 1, pt.sum(gram, axis=0)[None], pt.sum(score, axis=0)[None], scales)
        mean = pm.Deterministic("technology_mean", mean[0], dims="term")
        return pt.ones((n_regions, 1)) * mean, log_prior
    if spec.pooling == "none":
        return _gaussian_coordinates("region_coordinate", n_regions, gram, score, scales)
    relative = random_variable(scales.technology_spread, "relative_spread", shape=n_terms)
    spread = pm.Deterministic("technology_spread", relative * scales.technology_unit, dims="term")
    return _pooled_technology(scales, gram, score, spread)


def _variances(spec: StochasticFrontier, p: dict[str, Any], variance_u: Any) -> tuple[Any, Any]:
    """Variance of a row's residual and of what a unit's rows share, by region (R,)."""
    noise = p["noise_scale"] ** 2
    if spec.model in SHARED:
        return noise, variance_u
    if spec.model not in WITH_UNIT_EFFECTS:
        return noise + variance_u, 0.0 * variance_u
    unit = p["unit_effect_sd"] ** 2
    if spec.model == "four-component":
        unit = unit + (1 - 2 / np.pi) * p["persistent_scale"] ** 2
    return noise + variance_u, unit + 0.0 * variance_u


def _gaussian_coordinates(name: str, n_groups: int, gram: Any, score: Any, scales: Scaling) -> tuple[Any, Any]:
    """Coefficients of separate regressions (G, K) with the prior of the mean coefficients, from standard normal coordinates."""
    import pymc as pm
    import pytensor.tensor as pt
    from pytensor.tensor.linalg import cholesky, solve_triangular

    n_terms = len(scales.technology_names)
    x = pm.Flat(name, shape=(n_groups, n_terms))
    precision = pt.as_tensor(scales.technology_sd) ** -2.0
    factor = cholesky(gram + pt.diag(precision))
    half = solve_triangular(factor, (score + precision * scales.technology_mean)[..., None], lower=True)[..., 0]
    beta = solve_triangular(factor.mT, (half + x)[..., None], lower=False)[..., 0]
    log_prior = -0.5 * pt.sum(((beta - scales.technology_mean) / scales.technology_sd) ** 2)
    return beta, log_prior - _log_diagonal(factor)


def _pooled_technology(scales: Scaling, gram: Any, score: Any, spread: Any) -> tuple[Any, Any]:
    """m | data, then β_r = m + spread·γ_r with γ_r | m, data: both Gaussian under the least-squares approximation."""
    import pymc as pm
    import pytensor.tensor as pt
    from pytensor.tensor.linalg import cholesky, solve_triangular

    n_regions, n_terms = scales.information.n_regions, len(scales.technology_names)
    x_mean, x = pm.Flat("technology_coordinate", shape=n_terms), pm.Flat("region_coordinate", shape=(n_regions, n_terms))
    prior_precision = pt.as_tensor(scales.technology_sd) ** -2.0
    inner = cholesky(np.eye(n_terms) + spread[:, None] * gram * spread)  # (R, K, K)
    scaled_gram = solve_triangular(inner, spread[:, None] * gram, lower=True)
    scaled_score = solve_triangular(inner, (spread * score)[..., None], lower=True)[..., 0]
    precision = pt.diag(prior_precision) + pt.sum(gram - pt.matmul(scaled_gram.mT, scaled_gram), axis=0)
    target = prior_precision * scales.technology_mean + pt.sum(score - pt.sum(scaled_gram * scaled_score[..., None], axis=1), axis=0)
    outer = cholesky(precision)
    half = solve_triangular(outer, target, lower=True)
    mean = pm.Deterministic("technology_mean", solve_triangular(outer.T, half + x_mean, lower=False), dims="term")
    local = scaled_score - pt.sum(scaled_gram * mean, axis=-1) + x
    deviation = solve_triangular(inner.mT, local[..., None], lower=False)[..., 0]
    log_prior = -0.5 * pt.sum(((mean - scales.technology_mean) / scales.technology_sd) ** 2) - 0.5 * pt.sum(deviation**2)
    return mean + spread * deviation, log_prior - _log_diagonal(outer) - _log_diagonal(inner)


def _log_diagonal(factor: Any) -> Any:
    """Sum of the logarithms of the diagonals of (…, K, K) factors."""
    import pytensor.tensor as pt

    return pt.sum(pt.log(pt.diagonal(factor, axis1=-2, axis2=-1)))


def _unit_effects(spec: StochasticFrontier, data: FrontierData, p: dict[str, Any], mean_u: Any, variance_u: Any) -> tuple[Any, Any]:
    """Unit effects (U,) and the log Jacobian of their coordinates, standard normal under a Gaussian approximation of v − s·u."""
    import pymc as pm
    import pytensor.tensor as pt

    x = pm.Flat("unit_coordinate", shape=data.n_units)
    lengths = data.mask.sum(axis=1)
    eps = likelihood.residuals(p["technology"], data)
    noise = (p["noise_scale"] ** 2 + variance_u)[data.unit_region]
    sd, centre = p["unit_effect_sd"], 0.0
    if spec.model == "four-component":
        sd = pt.sqrt(sd**2 + (1 - 2 / np.pi) * p["persistent_scale"] ** 2)
        centre = -spec.sign * np.sqrt(2 / np.pi) * p["persistent_scale"]
    total = pt.sum(eps, axis=1) + lengths * (spec.sign * mean_u[data.unit_region] - centre)
    precision = 1 + sd**2 * lengths / noise
    effect = centre + sd * (sd * total / noise / precision + x / pt.sqrt(precision))
    return effect, data.n_units * pt.log(sd) - 0.5 * pt.sum(pt.log(precision))

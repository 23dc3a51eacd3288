"""From parameters to the log likelihood of each unit: one formula for sampling (PyTensor), maximum likelihood (JAX), criticism (NumPy)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayes.frontier import densities, quadrature
from bayes.frontier.algebra import NUMPY, Algebra
from bayes.frontier.data import FrontierData
from bayes.frontier.normal import HALF_LOG_2PI, log_normal_cdf
from bayes.frontier.support import SHARED, WITH_UNIT_EFFECTS
from bayes.frontier.technology import derivative

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

_MONOTONICITY_TOLERANCE = 0.01
"""Elasticity at which the soft constraint starts to bite."""

Parameters = Mapping[str, Any]
"""Named parameters in units of the output. Leading axes (draws) are allowed with NumPy and JAX.

``technology`` (…, R, K), ``noise_scale`` and ``inefficiency_scale`` (…, R); where the model has them ``location_ratio`` (…) (μ/σ_u of a
truncated normal), ``shape`` (…) of a gamma, ``degrees_of_freedom`` (…), ``decay`` (…) (BC92), ``path`` (…, 2) (Kumbhakar 1990),
``determinant`` and ``noise_determinant`` (…, Q) per standard deviation, ``unit_effect_sd`` and ``persistent_scale`` (…), ``unit_effect``
(…, U).
"""


@dataclass(frozen=True)
class RowParameters:
    """Parameters of every row, broadcastable to (…, U, T): scales of noise and inefficiency, mean before truncation, path of a shared u."""

    sigma_v: Any
    sigma_u: Any
    mu: Any
    h: Any


def residuals(technology: Any, data: FrontierData) -> Any:
    """ε = y − x'β of the unit's region, shape (…, U, T); 0 where padded."""
    beta = technology[..., data.unit_region, :]
    fitted = sum(beta[..., k, None] * data.design[k] for k in range(len(data.terms)))
    return data.output - fitted


def row_parameters(p: Parameters, spec: StochasticFrontier, data: FrontierData, xp: Algebra = NUMPY) -> RowParameters:
    """Scales, truncation mean and path of each row under the specification's determinants."""
    sigma_v = by_unit(p["noise_scale"], data)
    if spec.noise_determinants:
        sigma_v = sigma_v * xp.exp(_linear(p["noise_determinant"], data.noise_determinants))
    scale, mu, h = by_unit(p["inefficiency_scale"], data), 0.0, 1.0
    sigma_u = scale
    index = _linear(p["determinant"], data.determinants) if spec.determinants else 0.0
    if spec.inefficiency == "truncated-normal":
        mu = p["location_ratio"][..., None, None] * scale
    if spec.determinants and spec.determinants_in == "mean":
        mu = mu + index * scale
    elif spec.determinants and spec.model not in SHARED:
        sigma_u = scale * xp.exp(index)
        mu = mu * xp.exp(index) if spec.determinants_in == "scaling" else mu
    if spec.model in SHARED:
        h = path(p, spec, data, xp)
        if spec.determinants:
            h = h * xp.exp(index)
    return RowParameters(sigma_v, sigma_u, mu, h)


def path(p: Parameters, spec: StochasticFrontier, data: FrontierData, xp: Algebra = NUMPY) -> Any:
    """h(t) of u_it = h(t)·u_i: 1; exp(−η(t − T_i)) (Battese & Coelli 1992); 1/(1 + exp(bt + ct²)) (Kumbhakar 1990)."""
    if spec.model == "bc92":
        return xp.exp(-p["decay"][..., None, None] * data.since_last)
    if spec.model == "kumbhakar-1990":
        t = data.since_first
        return 1 / (1 + xp.exp(p["path"][..., 0, None, None] * t + p["path"][..., 1, None, None] * t**2))
    return 1.0


def log_density_of_rows(eps: Any, rows: RowParameters, p: Parameters, spec: StochasticFrontier, xp: Algebra = NUMPY) -> Any:
    """Log density of each row with its own u, given everything else; shape of ``eps``."""
    s = spec.sign
    if spec.noise == "student-t":
        degrees = p["degrees_of_freedom"][..., None, None]
        return quadrature.student_t(eps, s, rows.sigma_v, rows.sigma_u, degrees, spec.inefficiency, xp)
    match spec.inefficiency:
        case "half-normal":
            return densities.half_normal(eps, s, rows.sigma_v, rows.sigma_u, xp)
        case "exponential":
            return densities.exponential(eps, s, rows.sigma_v, rows.sigma_u, xp)
        case "truncated-normal":
            return densities.truncated_normal(eps, s, rows.sigma_v, rows.sigma_u, rows.mu, xp)
        case "rayleigh":
            return densities.rayleigh(eps, s, rows.sigma_v, rows.sigma_u, xp)
        case _:
            return quadrature.gamma(eps, s, rows.sigma_v, rows.sigma_u, p["shape"][..., None, None], xp)


def log_likelihood_of_units(p: Parameters, spec: StochasticFrontier, data: FrontierData, xp: Algebra = NUMPY) -> Any:
    """Log density of each unit's rows, u integrated out, given unit effects where the model has them. Shape (…, U)."""
    eps = residuals(p["technology"], data)
    if spec.model in WITH_UNIT_EFFECTS:
        eps = eps - p["unit_effect"][..., None]
    return log_likelihood_of_residuals(eps, p, spec, data, xp)


def log_likelihood_of_residuals(eps: Any, p: Parameters, spec: StochasticFrontier, data: FrontierData, xp: Algebra = NUMPY) -> Any:
    """Log density of each unit's residuals v − s·u, with technology and unit effects taken out. Shape (…, U)."""
    rows = row_parameters(p, spec, data, xp)
    if spec.model in SHARED:
        return _shared(eps, rows, spec, data, xp)
    by_row = log_density_of_rows(eps, rows, p, spec, xp)
    return xp.sum(by_row if data.is_full else by_row * data.mask, axis=-1)


def log_density_of_unit_effects(p: Parameters, spec: StochasticFrontier, xp: Algebra = NUMPY) -> Any:
    """Log density of the latent unit effects, shape (…, U): normal, or skew-normal w − s·h with persistent inefficiency h ~ N⁺(0, σ_h²)."""
    a, sigma_w = p["unit_effect"], p["unit_effect_sd"][..., None]
    if spec.model == "four-component":
        return densities.half_normal(a, spec.sign, sigma_w, p["persistent_scale"][..., None], xp)
    return -HALF_LOG_2PI - xp.log(sigma_w) - 0.5 * (a / sigma_w) ** 2


def soft_monotonicity(technology: Any, spec: StochasticFrontier, data: FrontierData, xp: Algebra = NUMPY) -> Any:
    """Σ log Φ(elasticity / 0.01) over inputs and units, elasticities at each unit's mean inputs and time: a wall below zero, smooth."""
    beta = technology[..., data.unit_region, :]
    lengths = data.mask.sum(axis=1)
    means = {name: (v * data.mask).sum(axis=1) / lengths for name, v in data.values.items()}
    slopes = (derivative(data.terms, name, means).T for name in spec.inputs)  # (U, K) each
    return sum(xp.sum(log_normal_cdf(xp.sum(slope * beta, axis=-1) / _MONOTONICITY_TOLERANCE, xp)) for slope in slopes)


def by_unit(values: Any, data: FrontierData) -> Any:
    """Regional values (…, R) for every unit, with an axis for its rows: (…, U, 1)."""
    return values[..., data.unit_region][..., None]


def _linear(coefficients: Any, columns: Any) -> Any:
    """Σ_q δ_q z_q, shape (…, U, T)."""
    return sum(coefficients[..., q, None, None] * columns[q] for q in range(len(columns)))


def _shared(eps: Any, rows: RowParameters, spec: StochasticFrontier, data: FrontierData, xp: Algebra) -> Any:
    mask = 1.0 if data.is_full else data.mask
    scale = rows.sigma_u[..., 0]
    if spec.inefficiency == "exponential":
        return densities.shared_exponential(eps, spec.sign, rows.sigma_v, scale, rows.h, mask, xp)
    mu = rows.mu[..., 0] if spec.inefficiency == "truncated-normal" else 0.0
    return densities.shared_truncated_normal(
        eps, spec.sign, rows.sigma_v, scale, mu, rows.h, mask, xp, half=spec.inefficiency == "half-normal"
    )

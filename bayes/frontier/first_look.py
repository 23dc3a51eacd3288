"""A first look at the scales: what each region's rows say about ln σ_u and ln σ_v. It places coordinates; it decides no result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes.frontier import likelihood
from bayes.frontier.data import FrontierData
from bayes.frontier.geometry import ols_residuals
from bayes.frontier.prior_scale import unit_mean_and_variance
from bayes.frontier.support import SHARED, WITH_UNIT_EFFECTS

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

_STEP = 1e-4
_SKEWNESS_OF_HALF_NORMAL = np.sqrt(2 / np.pi) * (4 / np.pi - 1)
_LEAST_RATIO, _GREATEST_RATIO = 0.3, 5.0
"""Bounds of σ_u/σ_v in the pilot: outside them moments of residuals say little."""


@dataclass(frozen=True, eq=False)
class Pilot:
    """Estimate and information (inverse variance) of the logarithm of each region's scale, arrays (R,)."""

    log_inefficiency: np.ndarray
    inefficiency_information: np.ndarray
    log_noise: np.ndarray
    noise_information: np.ndarray


def pilot(spec: StochasticFrontier, data: FrontierData) -> Pilot:
    """Moments of least-squares residuals, then one scoring step in each region with the outer product of unit scores as information."""
    residual = ols_residuals(data, "technology" in spec.pooled_parts)
    sigma_u, sigma_v, effects = _moments(residual, spec, data)
    mean, _ = unit_mean_and_variance(spec.inefficiency)
    shifted = residual - spec.sign * mean * sigma_u * data.mask  # least squares takes the mean inefficiency into the intercept

    def by_unit(shift: float, log_u: float, log_v: float) -> np.ndarray:
        p = {
            "noise_scale": np.full(data.n_regions, sigma_v * np.exp(log_v)),
            "inefficiency_scale": np.full(data.n_regions, sigma_u * np.exp(log_u)),
            "location_ratio": np.array(0.0),
            "shape": np.array(1.5),
            "degrees_of_freedom": np.array(8.0),
            "decay": np.array(0.0),
            "path": np.zeros(2),
            "determinant": np.zeros(len(spec.determinants)),
            "noise_determinant": np.zeros(len(spec.noise_determinants)),
        }
        return likelihood.log_likelihood_of_residuals(shifted - (shift + effects[:, None]) * data.mask, p, spec, data)

    steps = np.diag([_STEP * sigma_v, _STEP, _STEP])
    score = np.column_stack([(by_unit(*h) - by_unit(*-h)) / (2 * _STEP) for h in steps])
    log_u, info_u = np.full(data.n_regions, np.log(sigma_u)), np.zeros(data.n_regions)
    log_v, info_v = np.full(data.n_regions, np.log(sigma_v)), np.zeros(data.n_regions)
    for r in range(data.n_regions):
        own = score[data.unit_region == r]
        inverse = np.linalg.pinv(own.T @ own + 1e-8 * np.eye(3))
        step = np.clip(inverse @ own.sum(axis=0), -0.7, 0.7)
        log_u[r] += step[1]
        log_v[r] += step[2]
        info_u[r], info_v[r] = 1 / inverse[1, 1], 1 / inverse[2, 2]
    return Pilot(log_u, info_u, log_v, info_v)


def _moments(residual: np.ndarray, spec: StochasticFrontier, data: FrontierData) -> tuple[float, float, np.ndarray]:
    """σ_u and σ_v from second and third moments of residuals, and unit effects where the model has them."""
    lengths = data.mask.sum(axis=1)
    means = residual.sum(axis=1) / lengths
    effects = np.zeros(data.n_units)
    if spec.model in SHARED:
        values = means - means.mean()
        deviation = (residual - means[:, None]) * data.mask
        sigma_v = np.sqrt((deviation**2).sum() / max(data.n_rows - data.n_units, 1))
        variance = max(values.var() - sigma_v**2 / lengths.mean(), 0.05 * sigma_v**2)
        return float(np.sqrt(variance / (1 - 2 / np.pi))), float(sigma_v), effects
    if spec.model in WITH_UNIT_EFFECTS:
        effects = means
        residual = (residual - means[:, None]) * data.mask
    rows = residual[data.mask > 0]
    inflation = data.n_rows / max(data.n_rows - (data.n_units if spec.model in WITH_UNIT_EFFECTS else 1), 1)
    m2, m3 = (rows**2).mean() * inflation, (rows**3).mean() * inflation**2
    sigma_u = max(-spec.sign * m3 / _SKEWNESS_OF_HALF_NORMAL, 0.0) ** (1 / 3)
    unexplained = max(m2 - (1 - 2 / np.pi) * sigma_u**2, 0.1 * m2)
    sigma_v = np.sqrt(unexplained)
    sigma_u = float(np.clip(sigma_u, _LEAST_RATIO * sigma_v, _GREATEST_RATIO * sigma_v))
    mean, _ = unit_mean_and_variance(spec.inefficiency)
    scale = sigma_u * np.sqrt(2 / np.pi) / mean
    return scale, float(sigma_v), effects

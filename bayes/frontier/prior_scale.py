"""From the prior median efficiency that a user sets to the scale of inefficiency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from bayes.priors import Prior

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

_GRID = (np.arange(400) + 0.5) / 400
_COARSE = (np.arange(48) + 0.5) / 48


def scale_for_median(spec: StochasticFrontier, priors: Mapping[str, Prior]) -> float:
    """The scale σ_u at which the prior median of efficiency is ``spec.median_efficiency``.

    u = σ_u·exp(spread·z)·q, where z is standard normal (the log-normal prior of the scale) and q has the distribution of inefficiency at
    scale 1, averaged over the priors of its location ratio or shape: solved on a grid of quantiles, without random numbers. With four
    components u is the sum of a persistent part, half-normal of the same scale, and the transient one. Kumbhakar's path starts at ½.
    """
    log_q = _log_quantiles(spec.inefficiency, priors["location_ratio"], priors["shape"])
    u = np.exp(np.add.outer(log_q, _spread(priors["inefficiency_scale"]) * special.ndtri(_COARSE)).ravel())
    if spec.model == "four-component":
        log_h = _log_quantiles("half-normal", priors["location_ratio"], priors["shape"])
        h = np.exp(np.add.outer(log_h, _spread(priors["persistent_scale"]) * special.ndtri(_COARSE)).ravel())
        u = np.add.outer(np.quantile(u, _GRID), np.quantile(h, _GRID)).ravel()
    return float(-np.log(spec.median_efficiency) / np.median(u)) * (2.0 if spec.model == "kumbhakar-1990" else 1.0)


def _spread(prior: Prior) -> float:
    """Standard deviation of the logarithm of a scale; 0 for a prior of another family, which is then taken at its scale."""
    return prior.parameters["sigma"] if prior.family == "LogNormal" else 0.0


def unit_mean_and_variance(inefficiency: str, location_ratio: float = 0.0, shape: float = 1.5) -> tuple[float, float]:
    """Mean and variance of inefficiency at scale 1."""
    match inefficiency:
        case "half-normal":
            return np.sqrt(2 / np.pi), 1 - 2 / np.pi
        case "exponential":
            return 1.0, 1.0
        case "rayleigh":
            return np.sqrt(np.pi / 2), 2 - np.pi / 2
        case "gamma":
            return shape, shape
        case _:
            mills = np.exp(-0.5 * location_ratio**2 - 0.5 * np.log(2 * np.pi) - special.log_ndtr(location_ratio))
            mean = location_ratio + mills
            return mean, 1 - mills * mean


def _log_quantiles(inefficiency: str, location_ratio: Prior, shape: Prior) -> np.ndarray:
    """Logarithms of equally likely values of inefficiency at scale 1."""
    match inefficiency:
        case "half-normal":
            return np.log(special.ndtri((1 + _GRID) / 2))
        case "exponential":
            return np.log(-np.log1p(-_GRID))
        case "rayleigh":
            return 0.5 * np.log(-2 * np.log1p(-_GRID))
        case "gamma":
            p = shape.parameters if shape.family == "LogNormal" else {"median": 1.5, "sigma": 0.0}
            shapes = p["median"] * np.exp(p["sigma"] * special.ndtri(_COARSE))
            return np.log(special.gammaincinv(shapes[:, None], _GRID)).ravel()
        case _:
            p = location_ratio.parameters
            ratios = p["mu"] + p["sigma"] * special.ndtri(_COARSE) if location_ratio.family == "Normal" else np.array([0.0])
            below = special.ndtr(-ratios)[:, None]
            return np.log(ratios[:, None] + special.ndtri(below + (1 - below) * _GRID)).ravel()

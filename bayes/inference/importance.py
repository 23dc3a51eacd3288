"""Importance correction of draws from an approximation, with the gate that refuses it (Vehtari, Simpson, Gelman, Yao & Gabry 2024)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

K_HAT_LIMIT = 0.7


@dataclass(frozen=True, eq=False)
class Correction:
    """How far an approximation is from its target, and which of its draws stand for the target.

    Attributes
    ----------
    k_hat : float
        Shape of the generalised Pareto distribution fitted to the largest importance ratios; infinite where a ratio is not finite.
    limit : float
        The largest k-hat at which this number of draws is reliable: min(1 − 1/log₁₀ S, 0.7).
    effective : float
        Effective number of independent draws after weighting, 1/Σw², before autocorrelation.
    chosen : int array (S,)
        Positions of draws, in their order and repeated according to weight: equally weighted draws from the target.
    """

    k_hat: float
    limit: float
    effective: float
    chosen: np.ndarray

    @property
    def reliable(self) -> bool:
        return bool(self.k_hat <= self.limit)


def importance_correction(log_ratio: np.ndarray, seed: int) -> Correction:
    """Pareto-smoothed importance weights of draws, and a systematic resample.

    Parameters
    ----------
    log_ratio : array (chains, draws)
        Log of target over approximation, up to a constant.
    seed : int

    Returns
    -------
    Correction
        Positions count through ``log_ratio`` chain by chain. Systematic resampling keeps their order, so that effective sample sizes
        computed from the resampled chains account for autocorrelation and for repeated draws.
    """
    flat = np.asarray(log_ratio, dtype=float).ravel()
    size = flat.size
    limit = min(1 - 1 / math.log10(max(size, 11)), K_HAT_LIMIT)
    if not np.isfinite(flat).all():
        return Correction(np.inf, limit, 0.0, np.arange(size))
    from arviz_stats.base import array_stats

    independent = float(np.min(array_stats.ess(np.asarray(log_ratio), method="mean", chain_axis=0, draw_axis=1))) / size
    r_eff = min(independent, 1.0) if np.isfinite(independent) else 1.0
    # ArviZ takes log likelihoods of what is left out and weights by their inverse.
    log_weight, k_hat = array_stats.psislw(flat.max() - flat, r_eff=r_eff)
    weight = np.exp(log_weight - np.max(log_weight))
    weight /= weight.sum()
    points = (np.arange(size) + np.random.default_rng([seed, size]).uniform()) / size
    chosen = np.searchsorted(np.cumsum(weight), points).clip(max=size - 1)
    return Correction(float(k_hat), limit, float(1 / (weight**2).sum()), chosen)

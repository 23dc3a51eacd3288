"""Exact draws of slopes and flat coefficients given the scales: jointly normal, many draws at a time. Notation of the likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes.dynamics.lags import LaggedPair
from bayes.dynamics.likelihood import covariance, normal_equations, prior_score, slope_factor, weights

_CHUNK_BYTES = 64_000_000


@dataclass(frozen=True, eq=False)
class Scales:
    """Draws in scaled units: standard deviations (draws, 2), correlations (draws,), ``spread`` (draws, 8; empty without pooling)."""

    innovation_sd: np.ndarray
    unit_sd: np.ndarray
    innovation_correlation: np.ndarray
    unit_correlation: np.ndarray
    spread: np.ndarray

    def __len__(self) -> int:
        return len(self.innovation_sd)

    def take(self, index: slice) -> Scales:
        names = ("innovation_sd", "unit_sd", "innovation_correlation", "unit_correlation", "spread")
        return Scales(*(getattr(self, n)[index] for n in names))


@dataclass(frozen=True, eq=False)
class Drawn:
    """Slopes by region (draws, 8, R), their means over regions (draws, 8; empty with no pooling), flat coefficients (draws, 2, p)."""

    slopes: np.ndarray
    means: np.ndarray
    flat: np.ndarray


def draw_slopes(pair: LaggedPair, scales: Scales, mean_sd: np.ndarray, pooling: str, rng: np.random.Generator) -> Drawn:
    """One exact draw of every coefficient for each draw of the scales."""
    step = max(1, _CHUNK_BYTES // (8 * 16 * pair.n_columns**2))
    parts = [_draw(pair, scales.take(slice(a, a + step)), mean_sd, pooling, rng) for a in range(0, len(scales), step)]
    return Drawn(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("slopes", "means", "flat")))


def prior_slopes(scales: Scales, mean_sd: np.ndarray, regions: int, pooling: str, rng: np.random.Generator) -> Drawn:
    """Slopes from their prior given the scales."""
    factor = _factor(scales, mean_sd, regions, pooling)
    slopes, means = _split(factor, rng.standard_normal((len(scales), factor.shape[-1])), mean_sd, regions, pooling)
    return Drawn(slopes, means, np.zeros((len(scales), 2, 0)))


def _draw(pair: LaggedPair, scales: Scales, mean_sd: np.ndarray, pooling: str, rng: np.random.Generator) -> Drawn:
    innovation = covariance(scales.innovation_sd, scales.innovation_correlation)
    unit = covariance(scales.unit_sd, scales.unit_correlation)
    h, score, _ = normal_equations(weights(innovation, unit, pair.lengths)[0], pair)
    n, p = len(scales), 2 * pair.n_flat
    root = np.linalg.cholesky(h[:, :p, :p])
    swept = np.linalg.solve(root, np.concatenate([h[:, :p, p:], score[:, :p, None]], axis=2))
    across = swept[:, :, :-1].transpose(0, 2, 1)
    c = h[:, p:, p:] - across @ swept[:, :, :-1]
    g = score[:, p:, None] + prior_score(pair, pooling)[:, None] - across @ swept[:, :, -1:]
    factor = _factor(scales, mean_sd, len(pair.regions), pooling)
    turned = factor.transpose(0, 2, 1)
    lower = np.linalg.cholesky(np.eye(factor.shape[2]) + turned @ c @ factor)
    right = np.linalg.solve(lower, turned @ g)[..., 0] + rng.standard_normal((n, factor.shape[2]))
    normal = np.linalg.solve(lower.transpose(0, 2, 1), right[..., None])[..., 0]
    slopes, means = _split(factor, normal, mean_sd, len(pair.regions), pooling)
    right = swept[:, :, -1] - (swept[:, :, :-1] @ slopes.reshape(n, -1, 1))[..., 0] + rng.standard_normal((n, p))
    flat = np.linalg.solve(root.transpose(0, 2, 1), right[..., None])[..., 0]
    return Drawn(slopes, means, flat.reshape(n, 2, -1))


def _factor(scales: Scales, mean_sd: np.ndarray, regions: int, pooling: str) -> np.ndarray:
    factor = slope_factor(scales.spread, mean_sd, regions, pooling)
    return np.broadcast_to(factor, (len(scales), *factor.shape[-2:]))


def _split(factor: np.ndarray, normal: np.ndarray, mean_sd: np.ndarray, regions: int, pooling: str) -> tuple[np.ndarray, np.ndarray]:
    """Standard normals → slopes by region and their means."""
    slopes = (factor @ normal[..., None])[..., 0].reshape(len(normal), mean_sd.size, regions)
    means = normal[:, -mean_sd.size :] * mean_sd if pooling != "none" else np.zeros((len(normal), 0))
    return slopes, means

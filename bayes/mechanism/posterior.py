"""Exact draws of paths and covariates given the scales: jointly normal, drawn after sampling, many draws at a time.

Notation of :mod:`bayes.mechanism.likelihood`: θ = F(A⁻¹F'h + A^{-1/2}z) with A = I + F'HF, then in every equation the flat coefficients
given θ, S*_ff⁻¹(S*_fy − S*_fw θ) + s S*_ff^{-1/2} z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes.did.cross_products import CrossProducts
from bayes.did.posterior import Hyperparameters, shrunk_products
from bayes.mechanism.coupling import correlation_factor, path_factor
from bayes.mechanism.equations import Equations

_CHUNK_BYTES = 64_000_000


@dataclass(frozen=True)
class Scales:
    """Draws of the sampled parameters in units of the scaled columns.

    ``innovation_sd``, ``autocorrelation`` (draws, Q); ``unit_sd`` (draws, Q, random unit columns); ``spread`` (draws, J); ``partial``
    (draws, pairs). The last two are empty unless pooling is partial.
    """

    innovation_sd: np.ndarray
    autocorrelation: np.ndarray
    unit_sd: np.ndarray
    spread: np.ndarray
    partial: np.ndarray

    def __len__(self) -> int:
        return len(self.innovation_sd)

    def take(self, index: slice) -> Scales:
        return Scales(*(getattr(self, n)[index] for n in ("innovation_sd", "autocorrelation", "unit_sd", "spread", "partial")))

    def of_equation(self, q: int) -> Hyperparameters:
        empty = np.zeros((len(self), 0))
        return Hyperparameters(self.innovation_sd[:, q], self.autocorrelation[:, q], self.unit_sd[:, q], empty)


@dataclass(frozen=True)
class Drawn:
    """Paths by region (draws, J, R), their means over regions (draws, J; empty with no pooling), flat coefficients by equation."""

    paths: np.ndarray
    means: np.ndarray
    flat: tuple[np.ndarray, ...]


def draw_paths(equations: Equations, scales: Scales, mean_sd: np.ndarray, pooling: str, rng: np.random.Generator) -> Drawn:
    """One exact draw of every coefficient for each draw of the scales."""
    widest = max(e.products.unit[:, 0].size * 2 + 8 * e.products.n_columns**2 for e in equations.equations)
    step = max(1, _CHUNK_BYTES // (8 * widest))
    parts = [_draw(equations, scales.take(slice(a, a + step)), mean_sd, pooling, rng) for a in range(0, len(scales), step)]
    flat = tuple(np.concatenate([p.flat[q] for p in parts]) for q in range(len(equations.equations)))
    return Drawn(np.concatenate([p.paths for p in parts]), np.concatenate([p.means for p in parts]), flat)


def prior_paths(scales: Scales, mean_sd: np.ndarray, regions: int, pooling: str, rng: np.random.Generator) -> Drawn:
    """Paths from their prior given the scales."""
    factor = _factor(scales, mean_sd, regions, pooling)
    normal = rng.standard_normal((len(scales), factor.shape[-1]))
    return Drawn(*_split(factor, normal, mean_sd, regions, pooling), ())


def _draw(equations: Equations, scales: Scales, mean_sd: np.ndarray, pooling: str, rng: np.random.Generator) -> Drawn:
    swept = [_sweep(e.products, scales.of_equation(q)) for q, e in enumerate(equations.equations)]
    variance = scales.innovation_sd**2
    regions = len(equations.regions)
    factor = _factor(scales, mean_sd, regions, pooling)
    weighted, score, start = [], [], 0
    for q, (_, _, c) in enumerate(swept):
        size = c.shape[1] - 1
        weighted.append(c[:, :size, :size] / variance[:, q, None, None] @ factor[:, start : start + size])
        score.append(c[:, :size, size] / variance[:, q, None])
        start += size
    across = factor.transpose(0, 2, 1)
    lower = np.linalg.cholesky(np.eye(factor.shape[2]) + across @ np.concatenate(weighted, axis=1))
    right = np.linalg.solve(lower, across @ np.concatenate(score, axis=1)[..., None])[..., 0]
    normal = np.linalg.solve(lower.transpose(0, 2, 1), (right + rng.standard_normal(right.shape))[..., None])[..., 0]
    paths, means = _split(factor, normal, mean_sd, regions, pooling)
    flat, start, all_paths = [], 0, paths.reshape(len(scales), -1)
    for q, (root, fixed, c) in enumerate(swept):
        size = c.shape[1] - 1
        theta = np.concatenate([-all_paths[:, start : start + size], np.ones((len(scales), 1))], axis=1)
        z = (fixed @ theta[..., None])[..., 0] + scales.innovation_sd[:, q, None] * rng.standard_normal((len(scales), root.shape[1]))
        flat.append(np.linalg.solve(root.transpose(0, 2, 1), z[..., None])[..., 0])
        start += size
    return Drawn(paths, means, tuple(flat))


def _sweep(products: CrossProducts, h: Hyperparameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factor of S*_ff, S*_ff^{-1/2} S*_fw and what is left of S*_ww, by draw; the response is the last of w."""
    s, p = shrunk_products(products, h), products.n_flat
    root = np.linalg.cholesky(s[:, :p, :p])
    fixed = np.linalg.solve(root, s[:, :p, p:])
    return root, fixed, s[:, p:, p:] - fixed.transpose(0, 2, 1) @ fixed


def _factor(scales: Scales, mean_sd: np.ndarray, regions: int, pooling: str) -> np.ndarray:
    correlation = correlation_factor(scales.partial, mean_sd.size) if pooling == "partial" else None
    factor = path_factor(scales.spread, correlation, mean_sd, regions, pooling)
    return np.broadcast_to(factor, (len(scales), *factor.shape[-2:]))


def _split(factor: np.ndarray, normal: np.ndarray, mean_sd: np.ndarray, regions: int, pooling: str) -> tuple[np.ndarray, np.ndarray]:
    """Standard normals → paths by region and their means."""
    paths = (factor @ normal[..., None])[..., 0].reshape(len(normal), mean_sd.size, regions)
    means = normal[:, -mean_sd.size :] * mean_sd if pooling != "none" else np.zeros((len(normal), 0))
    return paths, means

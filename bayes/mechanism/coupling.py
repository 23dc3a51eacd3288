"""The distribution of paths over regions: θ_r = (a_1 … a_K, c', b_1 … b_K)_r ~ N(μ, diag(τ) Ω diag(τ)), μ_j ~ N(0, ω_j²).

Ω has the density of Lewandowski, Kurowicka & Joe (2009), ∝ |Ω|^{η−1}, written through its partial correlations: that of coordinates i > j
given the first j is 2·Beta(α_j, α_j) − 1 with α_j = η + (J − 2 − j)/2, all independent. Works for numpy and JAX arrays.
"""

from __future__ import annotations

import numpy as np

POOLINGS = ("partial", "complete", "none")


def pairs(size: int) -> list[tuple[int, int]]:
    """(i, j) of the partial correlations, i > j, in the order in which they are stored."""
    return [(i, j) for i in range(1, size) for j in range(i)]


def beta_parameters(size: int, concentration: float) -> np.ndarray:
    """α of each partial correlation, shape (size·(size − 1)/2,)."""
    return np.array([concentration + (size - 2 - j) / 2 for _, j in pairs(size)])


def correlation_factor(partial, size: int, xp=np):
    """Lower Cholesky factor of Ω from partial correlations in (−1, 1), shape (…, pairs) → (…, size, size)."""
    place = {pair: k for k, pair in enumerate(pairs(size))}
    zero, one = xp.zeros(partial.shape[:-1]), xp.ones(partial.shape[:-1])
    rows = []
    for i in range(size):
        left, row = one, []
        for j in range(i):
            z = partial[..., place[i, j]]
            row.append(z * xp.sqrt(left))
            left = left * (1 - z) * (1 + z)
        rows.append(xp.stack([*row, xp.sqrt(left), *[zero] * (size - 1 - i)], axis=-1))
    return xp.stack(rows, axis=-2)


def path_factor(spread, correlation, mean_sd, regions: int, pooling: str, xp=np):
    """F with FF' = prior covariance of the paths by region, ordered path by path, shape (…, J·R, columns).

    ``spread`` (…, J) are the standard deviations τ between regions, ``correlation`` (…, J, J) the factor of Ω, ``mean_sd`` (J,) those of μ,
    all of scaled columns. The columns are standard normals: deviations of regions under partial pooling, then μ; with ``"complete"`` the
    latter alone; with ``"none"`` every region has the prior of μ by itself.
    """
    size = mean_sd.shape[0]
    if pooling == "none":
        return _kronecker(xp.diag(mean_sd), np.eye(regions), xp)
    common = _kronecker(xp.diag(mean_sd), np.ones((regions, 1)), xp)
    if pooling == "complete":
        return common
    own = _kronecker(spread[..., :, None] * correlation, np.eye(regions), xp)
    return xp.concatenate([own, xp.broadcast_to(common, (*own.shape[:-2], size * regions, size))], axis=-1)


def _kronecker(left, right: np.ndarray, xp):
    """Kronecker product over the last two axes of ``left``."""
    out = left[..., :, None, :, None] * right[:, None, :]
    return out.reshape(*left.shape[:-2], left.shape[-2] * right.shape[0], left.shape[-1] * right.shape[1])

"""The log likelihood of a cross-lagged pair: unit effects, flat coefficients and slopes integrated out in closed form.

With M_0 = Σ⁻¹ and M_T = (Σ + TΩ)⁻¹ the precision of all coefficients is H = Σ_k M_k ⊗ W'W_k, their score h = Σ_k (M_k ⊗ W')Y_k. With flat
columns f swept out of H, h and y'y (C = H_ss − H_sf H_ff⁻¹ H_fs, g likewise) and FF' the prior covariance of the slopes,

    ℓ = −½[(2N − 2p) log 2π + Σ_i ((T_i − 1) log|Σ| + log|Σ + T_iΩ|) + log|H_ff| + y'y left] − ½ log|I + F'CF| + ½ g'F (I + F'CF)⁻¹ F'g,

flat coefficients as in restricted maximum likelihood, and g with the score of :mod:`bayes.dynamics.orthogonal` added. Finite where Ω or a
spread is zero. Works for numpy and JAX arrays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayes.dynamics.lags import LaggedPair
from bayes.mechanism.coupling import path_factor


def covariance(sd, correlation, xp=np):
    """2 × 2 covariance from standard deviations (…, 2) and a correlation (…)."""
    off = correlation * sd[..., 0] * sd[..., 1]
    rows = [xp.stack([sd[..., 0] ** 2, off], axis=-1), xp.stack([off, sd[..., 1] ** 2], axis=-1)]
    return xp.stack(rows, axis=-2)


def weights(innovation, unit, lengths: np.ndarray, xp=np):
    """Σ⁻¹ and (Σ + TΩ)⁻¹ for every T, (…, 1 + lengths, 2, 2), and their log determinants turned to those of the covariances."""
    t = np.r_[0.0, lengths][:, None, None]
    v = innovation[..., None, :, :] + t * unit[..., None, :, :]
    a, b, d = v[..., 0, 0], v[..., 0, 1], v[..., 1, 1]
    det = a * d - b * b
    rows = [xp.stack([d, -b], axis=-1), xp.stack([-b, a], axis=-1)]
    return xp.stack(rows, axis=-2) / det[..., None, None], xp.log(det)


def coefficient_order(pair: LaggedPair) -> np.ndarray:
    """Flat coefficients of both equations, then the slopes of both, among coefficients that come equation by equation. Shape (2K,)."""
    k, p = pair.n_columns, pair.n_flat
    return np.r_[0:p, k : k + p, p:k, k + p : 2 * k]


def normal_equations(m, pair: LaggedPair, xp=np):
    """H (…, 2K, 2K), h (…, 2K) and y'y (…), coefficients in :func:`coefficient_order`, from weights ``m`` (…, 1 + lengths, 2, 2)."""
    k, order = pair.n_columns, coefficient_order(pair)
    gram = pair.gram
    h = xp.einsum("...kpq,kab->...paqb", m, gram[:, :k, :k])
    h = h.reshape(*h.shape[:-4], 2 * k, 2 * k)[..., order[:, None], order]
    score = xp.einsum("...kpq,kaq->...pa", m, gram[:, :k, k:])
    score = score.reshape(*score.shape[:-2], 2 * k)[..., order]
    return h, score, xp.einsum("...kpq,kpq->...", m, gram[:, k:, k:])


def slope_factor(spread, mean_sd: np.ndarray, regions: int, pooling: str, xp=np):
    """F with FF' = prior covariance of the eight slopes by region, slope by slope; independent entries."""
    correlation = np.eye(mean_sd.size) if pooling == "partial" else None
    return path_factor(spread, correlation, mean_sd, regions, pooling, xp)


def prior_score(pair: LaggedPair, pooling: str) -> np.ndarray:
    """What the flat priors of unit-level coefficients in orthogonal coordinates add to the score of the slopes, (8 R,).

    Each region has an intercept; Π (two columns an equation, common but for deviations, or one a region without pooling) and the unit means
    of covariates count in proportion to the region's units.
    """
    share = pair.units / pair.units.sum()
    columns = 1 + (2 if pooling == "none" else 2 * share) + pair.unit_columns * share
    out = np.zeros((2, 4, len(pair.regions)))
    out[:, :2] = pair.pull * columns
    return out.ravel()


def make_log_likelihood(pair: LaggedPair, mean_sd: np.ndarray, pooling: str) -> Callable:
    """A JAX function ``(innovation_sd (2,), unit_sd (2,), innovation_correlation, unit_correlation, spread (8,)) → ℓ``, scaled units.

    ``mean_sd`` (8,) are prior standard deviations of the slopes' means over regions.
    """
    import jax.numpy as jnp
    from jax.scipy.linalg import solve_triangular

    p, n_rows = 2 * pair.n_flat, int(pair.lengths @ pair.length_counts)
    counts = np.r_[n_rows - pair.length_counts.sum(), pair.length_counts].astype(float)
    constant = -(n_rows - pair.n_flat) * np.log(2 * np.pi)
    regions, means, extra = len(pair.regions), jnp.asarray(mean_sd), prior_score(pair, pooling)

    def log_likelihood(innovation_sd, unit_sd, innovation_correlation, unit_correlation, spread):
        innovation, unit = covariance(innovation_sd, innovation_correlation, jnp), covariance(unit_sd, unit_correlation, jnp)
        m, log_det = weights(innovation, unit, pair.lengths, jnp)
        h, score, yy = normal_equations(m, pair, jnp)
        flat = jnp.linalg.cholesky(h[:p, :p], symmetrize_input=False)
        swept = solve_triangular(flat, jnp.concatenate([h[:p, p:], score[:p, None]], axis=1), lower=True)
        c = h[p:, p:] - swept[:, :-1].T @ swept[:, :-1]
        g = score[p:] + extra - swept[:, :-1].T @ swept[:, -1]
        factor = slope_factor(spread, means, regions, pooling, jnp)
        inner = jnp.linalg.cholesky(jnp.eye(factor.shape[1]) + factor.T @ c @ factor, symmetrize_input=False)
        fit = solve_triangular(inner, factor.T @ g, lower=True)
        left = yy - swept[:, -1] @ swept[:, -1]
        value = constant - 0.5 * (counts @ log_det + 2 * jnp.log(jnp.diagonal(flat)).sum() + left)
        return value - jnp.log(jnp.diagonal(inner)).sum() + 0.5 * fit @ fit

    return log_likelihood

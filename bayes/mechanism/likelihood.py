"""The joint log likelihood of all equations: unit and period effects, covariates and every path integrated out in closed form.

For one equation with S* as in :mod:`bayes.did.likelihood`, flat columns f and others w (the response last) and
C = S*_ww − S*_wf S*_ff⁻¹ S*_fw: precision H_q = C_ww/s², score h_q = C_wy/s² and

    ℓ_q = −½[(N − n − p)(log 2π + log s²) + Σ log|R̃ᵢ| + Σ log|Pᵢ| + log|S*_ff| + C_yy/s²].

With H = blockdiag(H_q), h = (h_q) and FF' the prior covariance of all paths (:mod:`bayes.mechanism.coupling`):

    ℓ = Σ_q ℓ_q − ½ log|I + F'HF| + ½ h'F (I + F'HF)⁻¹ F'h,

finite where a spread is zero. The equations meet in F only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayes.did.cross_products import CrossProducts, coefficients, log_determinant
from bayes.did.likelihood import factor_patterns, project
from bayes.mechanism.coupling import correlation_factor, path_factor
from bayes.mechanism.equations import Equations


def make_joint_log_likelihood(equations: Equations, mean_sd: np.ndarray, pooling: str) -> Callable:
    """A JAX function ``(innovation_sd (Q,), autocorrelation (Q,), unit_sd (Q, q), spread (J,), partial (pairs,)) → ℓ``.

    Q equations, J = 2Q − 1 paths; everything in units of the scaled columns. ``mean_sd`` (J,) are prior standard deviations of the means.
    """
    import jax.numpy as jnp

    parts = [_make_equation(e.products) for e in equations.equations]
    regions, size = len(equations.regions), 2 * len(parts) - 1
    means = jnp.asarray(mean_sd)

    def log_likelihood(innovation_sd, autocorrelation, unit_sd, spread, partial):
        found = [part(innovation_sd[q], autocorrelation[q], unit_sd[q]) for q, part in enumerate(parts)]
        correlation = correlation_factor(partial, size, jnp) if pooling == "partial" else None
        factor = path_factor(spread, correlation, means, regions, pooling, jnp)
        weighted, start = [], 0
        for _, precision, _ in found:
            weighted.append(precision @ factor[start : start + precision.shape[0]])
            start += precision.shape[0]
        inner = jnp.eye(factor.shape[1]) + factor.T @ jnp.concatenate(weighted)
        lower = jnp.linalg.cholesky(inner, symmetrize_input=False)
        z = _solve(lower, factor.T @ jnp.concatenate([score for _, _, score in found]))
        return sum(value for value, _, _ in found) - jnp.log(jnp.diagonal(lower)).sum() + 0.5 * z @ z

    return log_likelihood


def _solve(lower, right):
    from jax.scipy.linalg import solve_triangular

    return solve_triangular(lower, right, lower=True)


def _make_equation(products: CrossProducts) -> Callable:
    """``(innovation_sd, autocorrelation, unit_sds) → (ℓ_q, H_q, h_q)`` of one equation, in JAX."""
    import jax.numpy as jnp

    n, rows, p, k = products.n_units, products.n_rows, products.n_flat, products.n_columns
    q, size, n_pseudo = products.zz.shape[-1], products.total.shape[0], products.unit.shape[0]
    total = jnp.asarray(products.total.reshape(size, -1))
    units = [jnp.asarray(np.moveaxis(products.unit[..., a], 1, 0).reshape(size, -1)) for a in range(q)]
    zz, pattern = jnp.asarray(products.zz), products.pattern
    pattern_units = jnp.asarray(products.pattern_units, dtype=float)

    def equation(innovation_sd, autocorrelation, unit_sds):
        f = coefficients(autocorrelation, products.gaps, jnp)
        scale = [1.0, *[unit_sds[a] / innovation_sd for a in range(q - 1)]]
        lower = factor_patterns(jnp.einsum("f,pfab->abp", f, zz), scale)
        y = jnp.concatenate(project([(f @ u).reshape(n_pseudo, k + 1) for u in units], lower, scale, pattern), axis=0)
        s = (f @ total).reshape(k + 1, k + 1) - y.T @ y
        flat = jnp.linalg.cholesky(s[:p, :p], symmetrize_input=False)
        swept = _solve(flat, s[:p, p:])
        c = (s[p:, p:] - swept.T @ swept) / innovation_sd**2
        log_p = 2 * sum(pattern_units @ jnp.log(lower[a][a]) for a in range(q))
        log_r = log_determinant(autocorrelation, products.gaps, products.gap_counts, n, jnp)
        free = rows - n - p
        value = free * (np.log(2 * np.pi) + 2 * jnp.log(innovation_sd)) + log_r + log_p
        value = -0.5 * (value + 2 * jnp.log(jnp.diagonal(flat)).sum() + c[-1, -1])
        return value, c[:-1, :-1], c[:-1, -1]

    return equation

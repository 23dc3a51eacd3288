"""The same likelihood the plain way: whitened rows, dense algebra, JAX's own derivatives. A yardstick and an independent check."""

from __future__ import annotations

import numpy as np


def make_dense_log_likelihood(block, state):
    """JAX function (innovation_sd, autocorrelation, unit_effect_sd, component_sds) → ℓ of a balanced panel without covariates.

    Rows of every unit are whitened by the Cholesky factor of its T × T correlation matrix; units' flat intercepts and random effects
    are integrated unit by unit; the remaining columns by one dense factorisation, V⁻¹ and all.
    """
    import jax.numpy as jnp
    from jax.scipy.linalg import cho_solve, solve_triangular

    from bayes.did.likelihood import component_names

    v, z = _dense_columns(block, state)
    units, dates, width = v.shape
    k, p = width - 1, state.flat_columns.size
    distance = jnp.asarray(np.abs(np.subtract.outer(np.arange(dates), np.arange(dates))), dtype=float)
    names = component_names(state.basis)
    parts = [state.basis.matrix[:, state.basis.component == name] for name in names]
    covariances = jnp.asarray(np.stack([b @ b.T for b in parts]))
    v, z = jnp.asarray(v), jnp.asarray(z)

    def log_likelihood(innovation_sd, autocorrelation, unit_effect_sd, component_sds):
        correlation = autocorrelation**distance / (1 - autocorrelation**2)
        root = jnp.linalg.cholesky(correlation)
        white = solve_triangular(root, jnp.moveaxis(jnp.concatenate([v, z], axis=2), 1, 0).reshape(dates, -1), lower=True)
        white = jnp.moveaxis(white.reshape(dates, units, -1), 0, 1)
        wv, wz = white[:, :, :width], white[:, :, width:] * jnp.stack([jnp.ones(()), unit_effect_sd / innovation_sd])
        inner = jnp.swapaxes(wz, 1, 2) @ wz + jnp.diag(jnp.array([0.0, 1.0]))
        cross = jnp.swapaxes(wz, 1, 2) @ wv
        s = jnp.einsum("utk,utl->kl", wv, wv) - jnp.einsum("uqk,uql->kl", cross, jnp.linalg.solve(inner, cross))
        covariance = jnp.tensordot(component_sds**2, covariances, axes=1)
        lower_v = jnp.linalg.cholesky(covariance)
        precision = jnp.zeros((k, k)).at[p:, p:].set(cho_solve((lower_v, True), jnp.eye(k - p)))
        a = s[:k, :k] + innovation_sd**2 * precision
        lower = jnp.linalg.cholesky(a)
        fit = s[:k, k] @ cho_solve((lower, True), s[:k, k])
        log_r = units * 2 * jnp.log(jnp.diag(root)).sum()
        log_v, log_a = 2 * jnp.log(jnp.diag(lower_v)).sum(), 2 * jnp.log(jnp.diag(lower)).sum()
        free = units * dates - units
        return -0.5 * (
            (free - p) * jnp.log(2 * jnp.pi) + (free - k) * 2 * jnp.log(innovation_sd) + log_r
            + jnp.linalg.slogdet(inner)[1].sum() + log_v + log_a + (s[k, k] - fit) / innovation_sd**2
        )  # fmt: skip

    return log_likelihood


def _dense_columns(block, state) -> tuple[np.ndarray, np.ndarray]:
    """[period effects, cells, outcome] and [1, treated] of every unit: shapes (units, dates, K + 1) and (units, dates, 2)."""
    from bayes.did.rows import row_design

    rows = row_design(block, state.design, state.unit_columns)
    keep = np.r_[state.flat_columns, state.cell_columns]
    columns = np.column_stack([rows.fixed[:, keep], rows.outcome / state.scales[-1]])
    dates = block.periods.size // block.starts.size
    return columns.reshape(-1, dates, columns.shape[1]), rows.unit_columns.reshape(-1, dates, rows.unit_columns.shape[1])

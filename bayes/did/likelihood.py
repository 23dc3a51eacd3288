"""The collapsed log likelihood: unit effects, period effects, covariates and cell effects integrated out in closed form.

With V = [W, y], S = diag(1, sd/s …), P = S Z'R̃⁻¹Z S + diag(0, 1 …), S* = Σ V'R̃⁻¹V − Σ (V'R̃⁻¹Z S) P⁻¹ (S Z'R̃⁻¹V), and for random columns
with covariance V_τ = FF' the matrices T = blockdiag(I, F), A = T'S*_WW T + s² diag(0, I), c = T'S*_Wy:

    ℓ = −½[(N − n − p) log 2π + (N − n − K) log s² + Σ log|R̃ᵢ| + Σ log|Pᵢ| + log|A|] − (S*_yy − c'A⁻¹c) / 2s²,

where s² = σ²(1 − ρ²) is the innovation variance, p the flat and K all columns (flat ones as in restricted maximum likelihood: Patterson &
Thompson 1971; Harville 1974). Unlike the form with V_τ⁻¹ it stays finite when a scale is exactly zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayes.did.cells import Basis
from bayes.did.cross_products import CrossProducts, coefficients, log_determinant


def factor_patterns(zz, scale):
    """Lower Cholesky factor of P = S Z'R̃⁻¹Z S + diag(0, 1 …), as a nested list of arrays over patterns (or draws × patterns).

    ``zz`` is indexable as [a][b] with arrays of one shape; ``scale`` holds the q multipliers (1 for the flat intercept). The loops run
    over at most three unit columns. Works for numpy and JAX arrays.
    """
    q = len(scale)
    lower: list[list] = [[None] * q for _ in range(q)]
    for a in range(q):
        for b in range(a + 1):
            p = zz[a][b] * scale[a] * scale[b] + (1.0 if a == b and a > 0 else 0.0)
            value = p - sum((lower[a][c] * lower[b][c] for c in range(b)), 0.0)
            lower[a][b] = value**0.5 if a == b else value / lower[b][b]
    return lower


def project(columns, lower, scale, pattern):
    """Rows y (q arrays (…, pseudo, K + 1)) with Σ (V'R̃⁻¹Z S) P⁻¹ (S Z'R̃⁻¹V) = Σ y y', by forward substitution."""
    rows: list = []
    for a, column in enumerate(columns):
        y = column * _expand(scale[a])
        for b in range(a):
            y = y - lower[a][b][..., pattern, None] * rows[b]
        rows.append(y / lower[a][a][..., pattern, None])
    return rows


def _expand(scale):
    """A multiplier per draw (draws, 1) stretches over pseudo-units and columns."""
    return scale[..., None] if getattr(scale, "ndim", 0) else scale


def make_log_likelihood(products: CrossProducts, basis: Basis | None) -> Callable:
    """A JAX function ``(innovation_sd, autocorrelation, unit_sds (q − 1,), component_sds) → ℓ``.

    The last ``basis.matrix.shape[0]`` columns of ``products`` are random with covariance Σ_k sd_k² B_k B_k' over the components k of the
    basis, in the order of :func:`component_names`; ``basis=None`` leaves every column flat. All scales in units of the scaled outcome.
    Cost: two Cholesky factors of K columns, whatever the number of rows.
    """
    import jax.numpy as jnp

    n, rows, p, k = products.n_units, products.n_rows, products.n_flat, products.n_columns
    q, size, n_pseudo = products.zz.shape[-1], products.total.shape[0], products.unit.shape[0]
    total = jnp.asarray(products.total.reshape(size, -1))
    units = [jnp.asarray(np.moveaxis(products.unit[..., a], 1, 0).reshape(size, -1)) for a in range(q)]
    zz, pattern = jnp.asarray(products.zz), products.pattern
    pattern_units = jnp.asarray(products.pattern_units, dtype=float)
    constant = -0.5 * (rows - n - p) * np.log(2 * np.pi)
    random_columns = _random_columns(p, k, basis)

    def log_likelihood(innovation_sd, autocorrelation, unit_sds, component_sds):
        f = coefficients(autocorrelation, products.gaps, jnp)
        scale = [1.0, *[unit_sds[a] / innovation_sd for a in range(q - 1)]]
        by_pattern = jnp.einsum("f,pfab->abp", f, zz)
        lower = factor_patterns(by_pattern, scale)
        y = jnp.concatenate(project([(f @ u).reshape(n_pseudo, k + 1) for u in units], lower, scale, pattern), axis=0)
        s = (f @ total).reshape(k + 1, k + 1) - y.T @ y
        variance = innovation_sd**2
        log_a, fit = random_columns(s[:k, :k], s[:k, k], component_sds**2, variance)
        log_p = 2 * sum(pattern_units @ jnp.log(lower[a][a]) for a in range(q))
        log_r = log_determinant(autocorrelation, products.gaps, products.gap_counts, n, jnp)
        return constant - 0.5 * ((rows - n - p) * jnp.log(variance) + log_r + log_p + log_a + (s[k, k] - fit) / variance)

    return log_likelihood


def cell_padding(trace, cell_variance, size: int, xp=np):
    """What to add to the diagonal of a covariance of cells so that it keeps a Cholesky factor when ``cell_variance`` goes to zero.

    Nothing as long as the variance of single cells exceeds rounding error (4 · cells · machine precision of the trace).
    """
    return xp.maximum(4 * size * np.finfo(float).eps * trace - cell_variance, 0.0)


def component_names(basis: Basis) -> tuple[str, ...]:
    """Components of a basis in the order of its columns."""
    return tuple(dict.fromkeys(basis.component.tolist()))


def _random_columns(p: int, k: int, basis: Basis | None) -> Callable:
    """(S, c, sd², s²) → (log|T'ST + s²E| − m log s², c'Qc), with T = blockdiag(I, F), FF' = V, E = diag(0, I) and Q = T(T'ST + s²E)⁻¹T'.

    The gradient is written in closed form in (S, c, V, s²): no derivative of a Cholesky factor, and F may be any factor of V. With
    r = (c − SQc) on the random columns: ∂log/∂S = Q, ∂log/∂V = (S − SQS)/s², ∂(c'Qc)/∂S = −Qcc'Q, ∂(c'Qc)/∂V = rr'/s².
    """
    import jax
    import jax.numpy as jnp
    from jax.scipy.linalg import solve_triangular

    names = component_names(basis) if basis is not None else ()
    matrix = np.zeros((k - p, 0)) if basis is None else basis.matrix
    blocks = [matrix[:, basis.component == c] for c in names] if basis is not None else []
    covariances = np.stack([b @ b.T for b in blocks]).reshape(len(names), -1) if names else np.zeros((0, 0))
    member = np.array([names.index(c) for c in basis.component], dtype=int) if names else np.zeros(0, dtype=int)
    m = min(matrix.shape[1], k - p) if "cell" in names else matrix.shape[1]
    ridge = np.diag(np.r_[np.zeros(p), np.ones(m)])

    def factor(variances):
        if matrix.shape[1] > m:
            covariance = (variances @ covariances).reshape(k - p, k - p)
            padding = cell_padding(jnp.trace(covariance), variances[names.index("cell")], k - p, jnp)
            return jnp.linalg.cholesky(covariance + padding * jnp.eye(k - p), symmetrize_input=False)
        return matrix * jnp.sqrt(variances)[member]

    def solve(s, c, variances, variance):
        f = factor(variances)
        left = jnp.concatenate([s[:, :p], s[:, p:] @ f], axis=1)
        inner = jnp.concatenate([left[:p], f.T @ left[p:]], axis=0) + variance * ridge
        lower = jnp.linalg.cholesky(inner, symmetrize_input=False)
        z = solve_triangular(lower, jnp.concatenate([c[:p], f.T @ c[p:]]), lower=True)
        value = 2 * jnp.log(jnp.diagonal(lower)).sum() - m * jnp.log(variance), z @ z
        return value, (s, c, variance, f, lower, z)

    @jax.custom_vjp
    def log_determinant_and_fit(s, c, variances, variance):
        return solve(s, c, variances, variance)[0]

    def backward(saved, cotangent):
        s, c, variance, f, lower, z = saved
        inverse = solve_triangular(lower, jnp.eye(p + m), lower=True)
        root = jnp.concatenate([inverse[:, :p], inverse[:, p:] @ f.T], axis=1)
        q_matrix, solution, weights = root.T @ root, z @ root, z @ inverse
        sq = s[p:] @ q_matrix
        by_v = cotangent[0] * (s[p:, p:] - sq @ s[:, p:]) / variance
        residual = c[p:] - s[p:] @ solution
        by_v = by_v + cotangent[1] * jnp.outer(residual, residual) / variance
        by_variance = -cotangent[0] * jnp.trace(sq[:, p:]) / variance - cotangent[1] * weights[p:] @ weights[p:]
        by_s = cotangent[0] * q_matrix - cotangent[1] * jnp.outer(solution, solution)
        return by_s, 2 * cotangent[1] * solution, covariances @ by_v.reshape(-1), by_variance

    log_determinant_and_fit.defvjp(solve, backward)
    return log_determinant_and_fit

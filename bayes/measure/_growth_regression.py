"""Kernel of growth regressions: the design, the likelihood with coefficients integrated out, their exact draws, and least squares.

In scaled units y = W θ + e, e ~ N(0, σ²I), θ ~ N(m, D²) with D diagonal: with S = W'W, c = W'(y − Wm), q = |y − Wm|² and A = I + DSD/σ²

    ℓ = −½ [n log 2πσ² + log|A| + (q − c'D A⁻¹ Dc/σ²)/σ²],    θ | y ~ N(m + D A⁻¹ Dc/σ², D A⁻¹ D).

Both stay finite where a scale in D is zero. Nothing grows with n but the products, which are taken once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayes.measure._growth_data import GrowthData

SHARED = ("intercept", "slope")
DEVIATIONS = ("intercept_sd", "slope_sd")
_CHUNK = 2**22


@dataclass(frozen=True)
class Scaling:
    """Means and standard deviations (at the mean of the draws) that growth, initial value and conditions are measured by."""

    growth_mean: float
    growth_sd: float
    initial_mean: float
    initial_sd: float
    condition_mean: np.ndarray
    condition_sd: np.ndarray

    @classmethod
    def of(cls, data: GrowthData) -> Scaling:
        g, x, z = data.growth.mean(axis=0), data.initial.mean(axis=0), data.conditions
        return cls(g.mean(), g.std(ddof=1), x.mean(), x.std(ddof=1), z.mean(axis=0), z.std(axis=0, ddof=1) if len(z) > 1 else z[0])


@dataclass(frozen=True, eq=False)
class Products:
    """Cross-products of every draw: ``ww`` (draws, K, K), ``wy`` (draws, K), ``yy`` (draws,), ``n`` rows; ``block`` names what each
    column belongs to: intercept, slope, intercept_sd (regions' deviations), slope_sd, condition, period."""

    ww: np.ndarray
    wy: np.ndarray
    yy: np.ndarray
    n: int
    block: tuple[str, ...]

    def columns(self, block: str) -> np.ndarray:
        return np.flatnonzero([b == block for b in self.block])


def design(data: GrowthData, scaling: Scaling, pooled: bool) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Columns W (draws, n, K) and y (draws, n) in scaled units, and the block of each column; ``pooled`` adds deviations by region."""
    y = (data.growth - scaling.growth_mean) / scaling.growth_sd
    x = (data.initial - scaling.initial_mean) / scaling.initial_sd
    shape = (*x.shape, 1)
    parts = [np.ones(shape), x[..., None]]
    block = list(SHARED)
    if pooled:
        dummies = (data.region[:, None] == np.arange(len(data.regions))).astype(float)
        parts += [np.broadcast_to(dummies, (*x.shape, len(data.regions))), dummies * x[..., None]]
        block += [name for name in DEVIATIONS for _ in data.regions]
    z = (data.conditions - scaling.condition_mean) / scaling.condition_sd
    for name, columns in (("condition", z), ("period", data.period)):
        parts.append(np.broadcast_to(columns, (*x.shape, columns.shape[1])))
        block += [name] * columns.shape[1]
    return np.concatenate(parts, axis=2), y, tuple(block)


def products(data: GrowthData, scaling: Scaling, pooled: bool) -> Products:
    """Cross-products of the design."""
    w, y, block = design(data, scaling, pooled)
    return Products(w.transpose(0, 2, 1) @ w, np.einsum("dnk,dn->dk", w, y), (y**2).sum(axis=1), data.n, block)


def centred(p: Products, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """c = W'(y − Wm) and q = |y − Wm|² of every draw."""
    wm = p.ww @ mean
    return p.wy - wm, p.yy - 2 * p.wy @ mean + wm @ mean


def make_log_likelihood(p: Products, mean: np.ndarray) -> Callable:
    """A JAX function ``(σ, D (K,)) → ℓ`` of the first draw, scaled units."""
    import jax.numpy as jnp

    c, q = centred(p, mean)
    s, c, q, n = jnp.asarray(p.ww[0]), jnp.asarray(c[0]), float(q[0]), p.n

    def log_likelihood(noise, scales):
        a = jnp.eye(s.shape[0]) + scales[:, None] * s * scales[None, :] / noise**2
        lower = jnp.linalg.cholesky(a)
        half = jnp.linalg.solve(lower, scales * c) / noise
        return -0.5 * (n * jnp.log(2 * jnp.pi * noise**2) + 2 * jnp.log(jnp.diag(lower)).sum() + (q - half @ half) / noise**2)

    return log_likelihood


def draw_coefficients(
    p: Products, noise: np.ndarray, scales: np.ndarray, mean: np.ndarray, rng: np.random.Generator, which: np.ndarray | None = None
) -> np.ndarray:
    """One exact draw of all coefficients for each σ (N,) and D (N, K), shape (N, K), scaled units.

    ``which`` (N,) is the draw of the data that each belongs to; by default all to the first.
    """
    n, k = scales.shape
    which = np.zeros(n, dtype=int) if which is None else which
    c = centred(p, mean)[0]
    out = np.empty((n, k))
    step = max(1, _CHUNK // k**2)
    for start in range(0, n, step):
        part = slice(start, start + step)
        d, s, w = scales[part], noise[part, None], which[part]
        a = np.eye(k) + d[:, :, None] * p.ww[w] * d[:, None, :] / s[..., None] ** 2
        lower = np.linalg.cholesky(a)
        half = np.linalg.solve(lower, (d * c[w] / s**2)[..., None]) + rng.standard_normal((len(d), k, 1))
        out[part] = mean + d * np.linalg.solve(lower.transpose(0, 2, 1), half)[..., 0]
    return out


@dataclass(frozen=True)
class LeastSquares:
    """Slope on the initial value, classical standard error, degrees of freedom, R²; NaN and a reason where there are too few rows."""

    slope: float
    se: float
    df: int
    r2: float
    reason: str = ""


def least_squares(growth: np.ndarray, initial: np.ndarray, others: np.ndarray) -> LeastSquares:
    """Regression of growth (n,) on a constant, the initial value (n,) and other columns (n, p)."""
    others = others[:, np.ptp(others, axis=0) > 0] if len(others) else others
    w = np.column_stack([np.ones(growth.size), initial, others])
    df = growth.size - w.shape[1]
    if df < 1:
        spells = f"{growth.size} spell" + ("s" if growth.size > 1 else "")
        return LeastSquares(np.nan, np.nan, df, np.nan, f"{spells} for {w.shape[1]} coefficients: no least squares")
    # Deviations from the mean: the intercept drops out and nothing cancels.
    x = w[:, 1:] - w[:, 1:].mean(axis=0)
    y = growth - growth.mean()
    size = np.sqrt((x**2).sum(axis=0))
    if size[0] <= 1e-12 * np.abs(initial).max() or np.linalg.matrix_rank(x / size, tol=1e-10) < x.shape[1]:
        return LeastSquares(np.nan, np.nan, df, np.nan, "columns are collinear: no least squares")
    q, r = np.linalg.qr(x / size)
    beta = np.linalg.solve(r, q.T @ y) / size
    residual = y - x @ beta
    inverse = np.linalg.inv(r)
    se = np.sqrt(residual @ residual / df * (inverse[0] @ inverse[0])) / size[0]
    return LeastSquares(float(beta[0]), float(se), df, float(1 - residual @ residual / (y @ y)))


def speed(slope: np.ndarray, span: float) -> np.ndarray:
    """λ = −ln(1 + T b)/T; infinite where 1 + T b ≤ 0: the gap is closed within the span."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(1 + span * slope > 0, -np.log(np.maximum(1 + span * slope, 0)) / span, np.inf)


def half_life(speed_of: np.ndarray) -> np.ndarray:
    """ln 2/λ; infinite where λ ≤ 0: the gap does not close."""
    with np.errstate(divide="ignore"):
        return np.where(speed_of > 0, np.log(2) / np.where(speed_of > 0, speed_of, 1.0), np.inf)

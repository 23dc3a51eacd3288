"""The log likelihood of many rows, expanded to second order at its maximum: what a surrogate posterior is made of.

Rows are independent given the parameters (``model="pooled"``) and enter through three numbers that are linear in them: the residual, ln σ_v
and ln σ_u. Derivatives in these three come from JAX, forward over reverse, block by block of rows; the chain rule to the coefficients is a
cross-product. Memory stays that of one block, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.frontier import densities
from bayes.frontier.data import FrontierData
from bayes.frontier.prior_scale import unit_mean_and_variance

if TYPE_CHECKING:
    from bayes.frontier.first_look import Pilot
    from bayes.frontier.model import StochasticFrontier

_DENSITIES = {"half-normal": densities.half_normal, "exponential": densities.exponential}
_LARGEST_BLOCK = 2**14
_DRAWS_AT_ONCE = 32
_STEPS = 60
_DECREMENT = 1e-10
_LARGEST_CHANGE = 1.0
_FLATTEST = 1e-9
"""Smallest eigenvalue of the information, in units of its diagonal, that counts as a maximum and not as a ridge."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the parameters of a region stand in the vector θ that all regions share.

    Attributes
    ----------
    places : array (R, d)
        Positions in θ of the region's coefficients, ln σ_v, ln σ_u, effects of determinants and of noise determinants, in this order.
    size : int
        Length of θ.
    is_scale : array of bool (size,)
        Entries that are logarithms of scales.
    """

    places: np.ndarray
    size: int
    is_scale: np.ndarray


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of one region: outcome (B,), design (B, K), determinants (B, Q), noise determinants (B, N); 0 where ``mask`` is 0."""

    region: int
    output: np.ndarray
    design: np.ndarray
    determinants: np.ndarray
    noise_determinants: np.ndarray
    mask: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        return self.output, self.design, self.determinants, self.noise_determinants, self.mask


@dataclass(frozen=True, eq=False)
class Expansion:
    """ℓ(θ) ≈ value + gradient'(θ − at) − ½(θ − at)'information(θ − at), with the exact derivatives of the log likelihood at ``at``.

    ``converged``: ``at`` is an interior maximum, the gradient vanishes and the information is positive definite.
    """

    at: np.ndarray
    value: float
    gradient: np.ndarray
    information: np.ndarray
    converged: bool = False

    def quadratic(self, theta: np.ndarray) -> np.ndarray:
        """The expansion at θ (…, size)."""
        gap = theta - self.at
        return self.value + gap @ self.gradient - 0.5 * np.einsum("...i,ij,...j->...", gap, self.information, gap)


def layout(spec: StochasticFrontier, data: FrontierData) -> Layout:
    """What varies by region has an entry a region in θ, the rest one entry."""
    regions, n_terms = data.n_regions, len(data.terms)
    widths = {"technology": n_terms, "noise": 1, "efficiency": 1, "": len(spec.determinants) + len(spec.noise_determinants)}
    columns, scale, size = [], [], 0
    for part, width in widths.items():
        groups = regions if part in spec.pooled_parts and regions > 1 else 1
        own = size + np.arange(groups * width).reshape(groups, width)
        columns.append(np.broadcast_to(own, (regions, width)))
        scale.append(np.full(groups * width, part in ("noise", "efficiency")))
        size += groups * width
    return Layout(np.concatenate(columns, axis=1), size, np.concatenate(scale))


def stacked(p: Mapping[str, Any], spec: StochasticFrontier, data: FrontierData, xp: Any = np) -> Any:
    """θ (…, size) from parameters as :data:`bayes.frontier.likelihood.Parameters` names them; ``xp``: NumPy, or PyTensor without draws."""

    def own(values: Any, part: str) -> Any:
        return values if part in spec.pooled_parts and data.n_regions > 1 else values[..., :1]

    coefficients = p["technology"]
    if "technology" not in spec.pooled_parts or data.n_regions == 1:
        coefficients = coefficients[..., :1, :]
    lead = p["noise_scale"].ndim - 1
    flat = coefficients.reshape((*[coefficients.shape[i] for i in range(lead)], -1))
    parts = [flat, xp.log(own(p["noise_scale"], "noise")), xp.log(own(p["inefficiency_scale"], "efficiency"))]
    parts += [p[name] for name in ("determinant", "noise_determinant") if getattr(spec, f"{name}s")]
    return xp.concatenate(parts, axis=-1)


def blocks_of(data: FrontierData, largest: int = _LARGEST_BLOCK) -> list[Block]:
    """All rows by region in blocks of equal size, the last of each region filled up with rows that do not count."""
    size = min(largest, 1 << int(data.rows_per_region.max() - 1).bit_length())
    out = []
    for r in range(data.n_regions):
        units = data.unit_region == r
        real = data.mask[units] > 0
        columns = [data.output[units][real][:, None]]
        columns += [np.stack([c[units][real] for c in group], axis=-1) if len(group) else np.empty((real.sum(), 0))
                    for group in (data.design, data.determinants, data.noise_determinants)]  # fmt: skip
        columns.append(np.ones((len(columns[0]), 1)))
        for start in range(0, len(columns[0]), size):
            piece = [c[start : start + size] for c in columns]
            y, x, z, n, mask = (np.pad(c, ((0, size - len(c)), (0, 0))) for c in piece)
            out.append(Block(r, y[:, 0], x, z, n, mask[:, 0]))
    return out


def start(spec: StochasticFrontier, data: FrontierData, gram: np.ndarray, first: Pilot) -> np.ndarray:
    """Least squares with the pilot's mean inefficiency put back into the intercept, and the pilot's scales, as θ (size,).

    ``gram`` (R, K, K + 2) holds X'[X, y, 1] of each region.
    """
    mean, _ = unit_mean_and_variance(spec.inefficiency)
    log_v, log_u = np.array(first.log_noise), np.array(first.log_inefficiency)
    for values, part in ((log_v, "noise"), (log_u, "efficiency")):
        if part not in spec.pooled_parts:
            values[:] = values.mean()
    score = gram[:, :, -2] + spec.sign * mean * np.exp(log_u)[:, None] * gram[:, :, -1]
    if "technology" in spec.pooled_parts:
        beta = np.stack([np.linalg.lstsq(a, b, rcond=None)[0] for a, b in zip(gram[:, :, :-2], score, strict=True)])
    else:
        beta = np.broadcast_to(np.linalg.lstsq(gram[:, :, :-2].sum(axis=0), score.sum(axis=0), rcond=None)[0], score.shape)
    p = {"technology": beta, "noise_scale": np.exp(log_v), "inefficiency_scale": np.exp(log_u)}
    p |= {"determinant": np.zeros(len(spec.determinants)), "noise_determinant": np.zeros(len(spec.noise_determinants))}
    return stacked(p, spec, data)


def expand(theta: np.ndarray, blocks: list[Block], where: Layout, inefficiency: str, sign: int) -> Expansion:
    """Value, gradient and negative Hessian of the log likelihood at θ, exact."""
    function = _kernels(inefficiency, sign)[0]
    value, gradient, information = 0.0, np.zeros(where.size), np.zeros((where.size, where.size))
    for block in blocks:
        own = where.places[block.region]
        v, g, h = function(theta[own], *block.arrays)
        value += float(v)
        gradient[own] += np.asarray(g)
        information[np.ix_(own, own)] -= np.asarray(h)
    return Expansion(theta, value, gradient, information)


def maximum(theta: np.ndarray, blocks: list[Block], where: Layout, inefficiency: str, sign: int) -> Expansion:
    """Newton's method from θ, with halved steps where the log likelihood falls; ``converged`` False where no interior maximum is found."""
    now = expand(theta, blocks, where, inefficiency, sign)
    for _ in range(_STEPS):
        step, curvature = _newton_step(now, where)
        if now.gradient @ step < _DECREMENT and curvature > _FLATTEST:
            return Expansion(now.at, now.value, now.gradient, now.information, True)
        for _ in range(30):
            new = expand(now.at + step, blocks, where, inefficiency, sign)
            # Near the maximum differences of the sum drown in its rounding: a step that small is taken as it is.
            if new.value >= now.value - 1e-12 * abs(now.value):
                break
            step = 0.5 * step
        else:
            return now
        now = new
    return now


def log_likelihood(theta: np.ndarray, blocks: list[Block], where: Layout, inefficiency: str, sign: int, cores: int = 1) -> np.ndarray:
    """The exact log likelihood at each row of θ (S, size), shape (S,); groups of draws side by side on ``cores`` threads."""
    function = _kernels(inefficiency, sign)[1]
    filled = np.concatenate([theta, np.repeat(theta[-1:], -len(theta) % _DRAWS_AT_ONCE, axis=0)])

    def group(own: np.ndarray) -> np.ndarray:
        return sum(np.asarray(function(own[:, where.places[b.region]].T, *b.arrays)) for b in blocks)

    with ThreadPoolExecutor(cores) as pool:
        found = list(pool.map(group, filled.reshape(-1, _DRAWS_AT_ONCE, where.size)))
    return np.concatenate(found)[: len(theta)]


def _newton_step(now: Expansion, where: Layout) -> tuple[np.ndarray, float]:
    """The ascent step, curvature taken as positive, no logarithm of a scale changed by more than 1; and the smallest relative curvature."""
    unit = 1 / np.sqrt(np.maximum(np.abs(np.diag(now.information)), 1e-12))
    curvature, axes = np.linalg.eigh(unit[:, None] * now.information * unit)
    size = np.maximum(np.abs(curvature), _FLATTEST)
    step = unit * (axes @ ((axes.T @ (unit * now.gradient)) / size))
    longest = np.abs(step[where.is_scale]).max()
    return step * min(1.0, _LARGEST_CHANGE / max(longest, 1e-300)), float(curvature[0])


@cache
def _kernels(inefficiency: str, sign: int) -> tuple[Any, Any]:
    """Compiled for blocks of one shape: derivatives at a region's own θ (d,), and values at θ of several draws (d, S)."""
    import jax
    import jax.numpy as jnp

    from bayes.frontier.algebra import jax_algebra

    def by_row(eps, log_v, log_u):
        return _DENSITIES[inefficiency](eps, sign, jnp.exp(log_v), jnp.exp(log_u), jax_algebra())

    def derivatives(theta, y, x, z, n, mask):
        one, (_, k), q = mask[:, None], x.shape, z.shape[1]
        # Derivatives of the residual, ln σ_v and ln σ_u of each row with respect to θ.
        slopes = [jnp.zeros((len(y), len(theta))).at[:, :k].set(-x)]
        slopes.append(jnp.zeros_like(slopes[0]).at[:, k : k + 1].set(one).at[:, k + 2 + q :].set(n))
        slopes.append(jnp.zeros_like(slopes[0]).at[:, k + 1 : k + 2].set(one).at[:, k + 2 : k + 2 + q].set(z))
        three = [slope @ theta for slope in slopes]
        three[0] = y + three[0]
        density = jax.value_and_grad(lambda *rows: jnp.sum(mask * by_row(*rows)), argnums=(0, 1, 2))
        value, first = density(*three)
        hessian = jnp.zeros((len(theta), len(theta)))
        for j in range(3):
            unit = [jnp.ones_like(y) if i == j else jnp.zeros_like(y) for i in range(3)]
            second = jax.jvp(lambda *rows: density(*rows)[1], three, unit)[1]
            hessian += slopes[j].T @ sum(second[i][:, None] * slopes[i] for i in range(3))
        return value, sum(s.T @ f for s, f in zip(slopes, first, strict=True)), 0.5 * (hessian + hessian.T)

    def values(theta, y, x, z, n, mask):
        k, q = x.shape[1], z.shape[1]
        log_v = theta[k] + (n @ theta[k + 2 + q :] if n.shape[1] else 0.0)
        log_u = theta[k + 1] + (z @ theta[k + 2 : k + 2 + q] if q else 0.0)
        return jnp.sum(mask[:, None] * by_row(y[:, None] - x @ theta[:k], log_v, log_u), axis=0)

    return jax.jit(derivatives), jax.jit(values)

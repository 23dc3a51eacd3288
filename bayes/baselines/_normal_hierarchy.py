"""The hierarchical normal model with known standard errors, exactly: one numerical integral over the between-group sd.

y_r ~ N(θ_r, s_r²), θ_r ~ N(μ, τ²), μ flat or normal. Given τ, μ and every θ_r are normal, so each posterior is a mixture of normals over
τ, whose own density is known up to a constant. The integral runs over ln τ by the trapezoid rule, which converges geometrically for a
smooth integrand that dies out at both ends. Pure functions on arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

_STEP = 0.02
_REACH = 1e8


class Mixture(NamedTuple):
    """Posterior as a mixture of normals over the nodes of τ.

    ``tau`` and ``weight`` (nodes,); ``mean`` and ``sd`` (R + 2, nodes): the R groups, their mean μ, a new group; ``own`` (R, nodes) is the
    weight of a group's own estimate, τ²/(τ² + s_r²).
    """

    tau: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    own: np.ndarray


def posterior(
    y: np.ndarray, se: np.ndarray, log_prior: Callable[[np.ndarray], np.ndarray], prior_scale: float,
    mean_prior: tuple[float, float] | None = None,
) -> Mixture:  # fmt: skip
    """Posterior of groups, mean and a new group. ``y``, ``se`` (R,); ``log_prior`` is the log density of τ up to a constant and
    ``prior_scale`` a scale of it; ``mean_prior`` mean and sd of a normal prior on μ, None for a flat one (then R ≥ 2)."""
    scales = np.array([*se, prior_scale])
    # Mass below 1e-8 of the smallest scale is itself below 1e-8; above, a half-Cauchy with two groups has 1e-16 left.
    tau = np.exp(np.arange(np.log(scales.min() / _REACH), np.log(max(scales.max(), np.ptp(y)) * _REACH), _STEP))
    variance = se[:, None] ** 2 + tau**2
    precision, weighted = (1 / variance).sum(axis=0), (y[:, None] / variance).sum(axis=0)
    prior_fit = 0.0
    if mean_prior is not None:
        location, spread = mean_prior
        precision, weighted = precision + spread**-2, weighted + location * spread**-2
    mu, mu_variance = weighted / precision, 1 / precision
    if mean_prior is not None:
        prior_fit = -0.5 * ((mu - mean_prior[0]) / mean_prior[1]) ** 2
    log_density = log_prior(tau) + 0.5 * np.log(mu_variance) + prior_fit
    log_density = log_density - 0.5 * (np.log(variance) + (y[:, None] - mu) ** 2 / variance).sum(axis=0) + np.log(tau)
    weight = np.exp(log_density - log_density.max())
    own = tau**2 / variance
    groups = own * y[:, None] + (1 - own) * mu
    group_variance = own * se[:, None] ** 2 + (1 - own) ** 2 * mu_variance
    return Mixture(
        tau, weight / weight.sum(), np.vstack([groups, mu, mu]),
        np.sqrt(np.vstack([group_variance, mu_variance, mu_variance + tau**2])), own,
    )  # fmt: skip


def moments(mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each row, the sd of τ's own distribution last; shapes (R + 3,)."""
    w = mixture.weight
    mean = np.append(mixture.mean @ w, mixture.tau @ w)
    inner = mixture.sd**2 + (mixture.mean - mean[:-1, None]) ** 2
    return mean, np.sqrt(np.append(inner @ w, ((mixture.tau - mean[-1]) ** 2) @ w))


def quantiles(mixture: Mixture, probabilities: np.ndarray, rows: Sequence[int] | None = None) -> np.ndarray:
    """Quantiles of the rows named, by default of all R + 2, shape (rows, probabilities), by bisection of the distribution function."""
    used = mixture.weight > 1e-17
    chosen = np.arange(len(mixture.mean)) if rows is None else np.asarray(rows)
    w, mean, sd = mixture.weight[used], mixture.mean[np.ix_(chosen, used)], mixture.sd[np.ix_(chosen, used)]
    shape = (len(mean), probabilities.size)
    lower = np.broadcast_to((mean - 40 * sd).min(axis=1, keepdims=True), shape).copy()
    upper = np.broadcast_to((mean + 40 * sd).max(axis=1, keepdims=True), shape).copy()
    # The outermost τ can lie far out: halve the gap until it is at rounding.
    for _ in range(100):
        middle = 0.5 * (lower + upper)
        below = ndtr((middle[:, :, None] - mean[:, None]) / sd[:, None]) @ w < probabilities
        lower, upper = np.where(below, middle, lower), np.where(below, upper, middle)
    return 0.5 * (lower + upper)


def positive(mixture: Mixture) -> np.ndarray:
    """P(> 0) of each row, shape (R + 2,)."""
    return ndtr(mixture.mean / mixture.sd) @ mixture.weight


def tau_quantiles(mixture: Mixture, probabilities: np.ndarray) -> np.ndarray:
    """Quantiles of τ, linear in ln τ between nodes."""
    reached = np.cumsum(mixture.weight) - 0.5 * mixture.weight
    return np.exp(np.interp(probabilities, reached, np.log(mixture.tau)))


def draw(y: np.ndarray, se: np.ndarray, mixture: Mixture, n: int, rng: np.random.Generator) -> np.ndarray:
    """Joint draws of the groups, the mean, a new group and τ, shape (R + 3, n)."""
    tau = tau_quantiles(mixture, rng.random(n))
    node = np.log(mixture.tau)
    mu = np.interp(np.log(tau), node, mixture.mean[-2]) + np.interp(np.log(tau), node, mixture.sd[-2]) * rng.standard_normal(n)
    own = tau**2 / (tau**2 + se[:, None] ** 2)
    groups = own * y[:, None] + (1 - own) * mu + np.sqrt(own) * se[:, None] * rng.standard_normal((len(y), n))
    return np.vstack([groups, mu, mu + tau * rng.standard_normal(n), tau])

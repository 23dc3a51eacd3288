"""Are ranks uniform? Difference of their empirical distribution function from the uniform one, with simultaneous bands.

Ranks of a true value among L posterior draws are uniform on 0 … L when the posterior is right (Cook, Gelman & Rubin 2006; Talts et al.
2018). At each point z = (r + 1)/(L + 1) the number of ranks ≤ r is then binomial; the bands take all points together: pointwise intervals
whose level is lowered until the share of uniform samples that stay inside everywhere is the level asked for (Säilynoja, Bürkner & Vehtari
2022, Statistics and Computing 32:32, by simulation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

_SIMULATIONS = 4000


@dataclass(frozen=True, eq=False)
class Bands:
    """Points z, and the lower and upper ends between which the difference of the distribution functions stays at the simultaneous level."""

    z: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def difference(ranks: np.ndarray, n_ranks: int) -> np.ndarray:
    """Empirical distribution function minus uniform at z = 1/(L + 1) … 1, for ranks (replicates, …) among L = ``n_ranks`` draws."""
    points = np.arange(n_ranks + 1)
    below = (ranks[..., None] <= points).mean(axis=0)
    return below - (points + 1) / (n_ranks + 1)


def simultaneous_bands(n: int, n_ranks: int, level: float = 0.95, seed: int = 0) -> Bands:
    """Bands for n uniform ranks among ``n_ranks`` draws."""
    z = _points(n_ranks)
    tail = np.quantile(_extremes(_uniform_counts(n, n_ranks, seed), n, z), 1 - level)
    lower, upper = stats.binom.ppf(tail / 2, n, z) / n - z, stats.binom.ppf(1 - tail / 2, n, z) / n - z
    return Bands(z, lower, upper)


def p_values(ranks: np.ndarray, n_ranks: int, seed: int = 0) -> np.ndarray:
    """Probability that uniform ranks leave the binomial at some point as far as these do; for ranks (replicates, quantities).

    At most 1/4001 fine, from as many uniform samples; the bands of level 1 − p touch the ranks.
    """
    n, z = len(ranks), _points(n_ranks)
    counts = np.apply_along_axis(np.bincount, 0, ranks, minlength=n_ranks + 1).T.cumsum(axis=1)
    observed, uniform = _extremes(counts, n, z), _extremes(_uniform_counts(n, n_ranks, seed), n, z)
    return (1 + (uniform <= observed[:, None] * (1 + 1e-12)).sum(axis=1)) / (1 + uniform.size)


def _points(n_ranks: int) -> np.ndarray:
    return np.arange(1, n_ranks + 2) / (n_ranks + 1)


def _uniform_counts(n: int, n_ranks: int, seed: int) -> np.ndarray:
    """Numbers of ranks ≤ r in simulated uniform samples, shape (samples, points)."""
    equal = np.full(n_ranks + 1, 1 / (n_ranks + 1))
    return np.random.default_rng([seed, n, n_ranks]).multinomial(n, equal, size=_SIMULATIONS).cumsum(axis=1)


def _extremes(counts: np.ndarray, n: int, z: np.ndarray) -> np.ndarray:
    """Smallest two-sided binomial tail probability over all points, for cumulative counts (samples, points)."""
    k = np.arange(n + 1)[:, None]
    tails = 2 * np.minimum(stats.binom.cdf(k, n, z), stats.binom.sf(k - 1, n, z))
    return np.minimum(tails[counts, np.arange(z.size)].min(axis=1), 1.0)

"""Violations of parallel trends: their prior covariance, their posterior given the data's information, and what they are called in tables.

A violation δ_e is what the treated would have gained on the others at event time e without treatment; it is zero at the reference period.
δ ~ N(0, (M · scale)² K): K says how violations hang together over time, the scale how large they are, M how much of that is allowed.
Pure functions on arrays; who has a fit or an event study is no matter here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bayes.errors import SpecificationError
from bayes.validation import one_of

PRIORS = ("second-difference", "ar1")
"""``second-difference``: the slope of the violation is a random walk, smooth drifts that go on after treatment. ``ar1``: the treated
and the others part and meet again, shocks that fade."""

LARGEST_MULTIPLE = 256.0
"""Breakdown values are sought up to this M."""
_NULL = 1e-10
"""Directions with less information than this share of the best known one count as unknown; rounding is all that is there."""


def violation_covariance(steps: np.ndarray, prior: str, autocorrelation: float = 0.5) -> np.ndarray:
    """K for violations at these steps from the reference period (negative before it, none zero), shape (n, n).

    ``second-difference``: independent unit changes of slope in every period, and a unit-variance slope at the reference period that
    passes through δ = 0 there. ``ar1``: δ_s = γ_s − γ_0 with γ a stationary AR(1) of unit variance.
    """
    one_of("prior", prior, PRIORS)
    s = np.asarray(steps, dtype=float)
    if prior == "ar1":
        apart = np.abs(s[:, None] - s)
        return autocorrelation**apart - autocorrelation ** np.abs(s)[:, None] - autocorrelation ** np.abs(s) + 1.0
    same_side = np.sign(s)[:, None] == np.sign(s)
    size = np.abs(s)
    changes = np.arange(1, int(size.max(initial=1)) + 1)
    reach = np.maximum(size[:, None] - changes, 0.0)
    return np.outer(s, s) + np.outer(size, size) / 4 + np.where(same_side, reach @ reach.T, 0.0)


@dataclass(frozen=True)
class ViolationPosterior:
    """Violations given data that inform about them as a normal likelihood exp(h'δ − ½ δ'Iδ), for any scale κ of the prior N(0, κ²K).

    With K = LL' and L'IL = U diag(λ) U', δ = κ L U z with independent z ~ N(κ u/(1 + κ²λ), 1/(1 + κ²λ)), u = U'L'h: one decomposition
    serves every κ, and the same standard normals make draws move smoothly with κ.

    Attributes
    ----------
    directions : array (draws, n, n), LU
    information : array (draws, n), λ
    score : array (draws, n), u
    """

    directions: np.ndarray
    information: np.ndarray
    score: np.ndarray

    @classmethod
    def of(cls, information: np.ndarray, score: np.ndarray, covariance: np.ndarray) -> ViolationPosterior:
        """From I (draws, n, n), h (draws, n) and K (n, n). Directions without information keep their prior."""
        lower = np.linalg.cholesky(covariance)
        values, vectors = np.linalg.eigh(lower.T @ information @ lower)
        known = values > _NULL * np.maximum(values[:, -1:], np.finfo(float).tiny)
        along = ((score @ lower)[:, None, :] @ vectors)[:, 0]
        return cls(lower @ vectors, np.where(known, values, 0.0), np.where(known, along, 0.0))

    def mean(self, scale: float) -> np.ndarray:
        """Posterior mean of δ, shape (draws, n)."""
        return (self.directions @ (scale**2 * self.score / (1 + scale**2 * self.information))[..., None])[..., 0]

    def covariance(self, scale: float) -> np.ndarray:
        """Posterior covariance of δ, shape (draws, n, n); non-decreasing in the scale."""
        spread = self.directions * (scale / np.sqrt(1 + scale**2 * self.information))[:, None, :]
        return spread @ spread.transpose(0, 2, 1)

    def draw(self, scale: float, normals: np.ndarray) -> np.ndarray:
        """One δ per draw from standard normals (draws, n); exactly zero at scale 0."""
        weight = 1 + scale**2 * self.information
        return (self.directions @ (scale**2 * self.score / weight + scale * normals / np.sqrt(weight))[..., None])[..., 0]

    def log_evidence(self, scale: float) -> float:
        """Log marginal likelihood of the scale relative to scale 0, averaged (as likelihood ratios) over the draws."""
        weight = 1 + scale**2 * self.information
        ratio = 0.5 * (scale**2 * self.score**2 / weight - np.log(weight)).sum(axis=1)
        return float(np.logaddexp.reduce(ratio) - np.log(ratio.size))


def most_likely_scale(log_evidence: Callable[[float], float], floor: float, ceiling: float) -> float:
    """Scale with the largest marginal likelihood between floor and ceiling: best of a grid in logarithms, then refined around it."""
    grid = np.geomspace(floor, ceiling, 121)
    for _ in range(3):
        best = int(np.argmax([log_evidence(float(v)) for v in grid]))
        grid = np.geomspace(grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)], 21)
    best = int(np.argmax([log_evidence(float(v)) for v in grid]))
    return float(grid[best])


def breakdown_values(probability: Callable[[float], np.ndarray], certainty: float) -> tuple[np.ndarray, np.ndarray]:
    """Smallest M at which each row's sign is no longer certain, and which sign it is: arrays (rows,) of M and of ±1.

    ``probability(M)`` gives P(effect > 0) of every row. The sign is the one more probable at M = 0. Infinite where the sign stays
    certain up to :data:`LARGEST_MULTIPLE`, zero where it is uncertain from the start, NaN where the probability is.
    """
    start = probability(0.0)
    sign = np.where(start >= 0.5, 1.0, -1.0)

    def certain(multiple: float) -> np.ndarray:
        p = probability(multiple)
        return np.where(sign > 0, p, 1 - p) >= certainty

    out = np.where(np.isnan(start), np.nan, np.where(certain(0.0), np.inf, 0.0))
    grid = np.r_[0.0, np.geomspace(1 / 64, LARGEST_MULTIPLE, 57)]
    for before, after in pairwise(grid.tolist()):
        fallen = np.isinf(out) & ~certain(float(after))
        for row in np.flatnonzero(fallen):
            low, high = before, after
            while high - low > max(1e-3 * high, 1e-4):
                middle = (low + high) / 2
                low, high = (middle, high) if certain(middle)[row] else (low, middle)
            out[row] = high
        if not np.isinf(out).any():
            break
    return out, sign


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def variant_words(restriction: str, multiple: float) -> str:
    """What stands in the column ``variant``: the restriction and its M."""
    return f"{restriction}, M = {multiple:.6g}"


def read_variant(variant: str) -> tuple[str, float] | None:
    """Restriction and M of a ``variant`` that :func:`variant_words` wrote; None for any other text."""
    found = re.fullmatch(r"(.+), M = ([0-9.e+\-]+)", variant)
    return (found[1], float(found[2])) if found else None


_LARGEST = 1e12
"""Multiples and scales beyond this are no violations of trends any more, and their squares no numbers."""


def checked_multiples(max_violation: float | Sequence[float]) -> np.ndarray:
    """M as an increasing array. Raises :class:`SpecificationError` unless they are finite and not negative."""
    try:
        m = np.atleast_1d(np.asarray(max_violation, dtype=float))
    except (TypeError, ValueError):
        m = np.array([np.nan])
    if m.ndim != 1 or m.size == 0 or not (m <= _LARGEST).all() or (m < 0).any():
        raise SpecificationError(f"max_violation must hold finite numbers ≥ 0, for example [0, 0.5, 1], got {max_violation!r}.")
    return np.unique(m)


def checked_prior(prior: str, scale: float | None, autocorrelation: float, probability: float) -> None:
    """Raises :class:`SpecificationError` on words and numbers that :func:`violation_covariance` and the breakdown cannot use."""
    one_of("prior", prior, PRIORS)
    if scale is not None and not (isinstance(scale, int | float | np.number) and 0 < scale <= _LARGEST):
        raise SpecificationError(
            f"scale must be a positive number in units of the outcome, or None to learn it from the leads, got {scale!r}."
        )
    if not -1 < autocorrelation < 1:
        raise SpecificationError(f"autocorrelation of the violations must lie between −1 and 1, got {autocorrelation!r}.")
    if not 0.5 < probability < 1:
        raise SpecificationError(f"certainty must lie between 0.5 and 1, got {probability!r}.")

"""Flat priors on unit-level coefficients in coordinates that are orthogonal to the lags (Lancaster 2002).

A coefficient κ that is constant over the rows of a unit (an intercept of its region, Π, the mean of a covariate) is not orthogonal to A:
its flat prior costs what a share of the unit dummies would, and pulls own lags down by that share of the bias of Nickell (1981). With T
rows the orthogonal coordinate is κ e^{−b(A)} up to terms in the start, b(A) = Σ_{s=1}^{T−1} (T − s)/(T s) tr(Aˢ), so that a flat prior on
it is one on κ times e^{b(A)}. Taken to first order at a rough A*, the factor keeps A Gaussian: it adds ∇b(A*) to the score of A. ∇b
changes slowly, so that a rough A* is enough.
"""

from __future__ import annotations

import numpy as np

_LARGEST_ROOT = 0.98


def gradient(lag: np.ndarray, length: int) -> np.ndarray:
    """∂b/∂A at ``lag`` (2, 2) for a unit with ``length`` rows, shape (2, 2)."""
    out, power = np.zeros((2, 2)), np.eye(2)
    for s in range(1, length):
        out += (length - s) / length * power
        power = power @ lag
    return out.T


def reference_lag(within: np.ndarray, n_flat: int, regions: int, lengths: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """A*: one A for all regions by within regression, roughly corrected: every unit has a flat intercept in orthogonal coordinates, the
    error variance is that of within regression, too small. Shape (2, 2).

    ``within`` is Σ V'(I − P)V with the columns of :class:`bayes.dynamics.lags.LaggedPair`; ``lengths`` numbers of rows of units, ``counts``
    how many units have each. The largest root is kept below 0.98.
    """
    size = within.shape[0] - 2
    lags = np.zeros((within.shape[0], 2))
    for j in range(2):
        lags[n_flat + j * regions : n_flat + (j + 1) * regions, j] = 1.0
    chosen = np.hstack([np.eye(size + 2)[:, :n_flat], lags, np.eye(size + 2)[:, size:]])
    g = chosen.T @ within @ chosen
    left = g[n_flat:, n_flat:] - g[n_flat:, :n_flat] @ np.linalg.pinv(g[:n_flat, :n_flat], hermitian=True) @ g[:n_flat, n_flat:]
    inverse = np.linalg.pinv(left[:2, :2], hermitian=True)
    ols = left[2:, :2] @ inverse
    free = max(float((lengths - 1) @ counts), 1.0)
    noise = (left[2:, 2:] - ols @ left[:2, 2:]) / free
    lag = _stable(ols)
    for _ in range(50):
        pull = sum(n * gradient(lag, int(t)) for t, n in zip(lengths, counts, strict=True))
        lag = _stable(0.5 * lag + 0.5 * (ols + noise @ pull @ inverse))
    return lag


def _stable(lag: np.ndarray) -> np.ndarray:
    root = np.abs(np.linalg.eigvals(lag)).max()
    return lag * min(1.0, _LARGEST_ROOT / max(root, np.finfo(float).tiny))

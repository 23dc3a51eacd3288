"""Kernels of Markov chains over draws: counts of transitions, Dirichlet rows, stationary distributions, speed of mixing."""

from __future__ import annotations

import numpy as np


def count_transitions(classes: np.ndarray, n_classes: int, steps: int) -> np.ndarray:
    """Moves from a class to the one ``steps`` grid periods later: (draws, k, k) from ``classes`` (draws, units, periods), −1 = missing."""
    origin, target = classes[:, :, :-steps], classes[:, :, steps:]
    seen = (origin >= 0) & (target >= 0)
    draw = np.broadcast_to(np.arange(classes.shape[0])[:, None, None], seen.shape)[seen]
    cell = (draw * n_classes + origin[seen]) * n_classes + target[seen]
    return np.bincount(cell, minlength=classes.shape[0] * n_classes**2).reshape(-1, n_classes, n_classes)


def frequencies(counts: np.ndarray) -> np.ndarray:
    """Maximum-likelihood rows n_ij / n_i· (…, k, k); a class that no move starts from has a NaN row."""
    starts = counts.sum(axis=-1, keepdims=True)
    return np.where(starts > 0, counts / np.maximum(starts, 1), np.nan)


def dirichlet_rows(counts: np.ndarray, prior: float, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draws of rows ~ Dirichlet(counts + prior): (n_draws, k, k) from counts (n_draws or 1, k, k).

    Gamma(a) is drawn as Gamma(a + 1) · U^{1/a} in logarithms, so that rows do not underflow for a small prior.
    """
    shape = np.broadcast_to(counts + prior, (n_draws, *counts.shape[1:]))
    logs = np.log(rng.standard_gamma(shape + 1)) + np.log(1 - rng.random(shape.shape)) / shape
    rows = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return rows / rows.sum(axis=-1, keepdims=True)


def recurrent_sets(matrix: np.ndarray) -> list[np.ndarray]:
    """Closed sets of classes that communicate, of one transition matrix (k, k): one set means one stationary distribution."""
    k = matrix.shape[0]
    reach = (matrix > 0) | np.eye(k, dtype=bool)
    for _ in range(int(np.ceil(np.log2(k))) if k > 1 else 0):
        reach = reach @ reach
    recurrent = (~reach | reach.T).all(axis=1)
    return [np.flatnonzero(row) for row in np.unique(reach[recurrent], axis=0)]


def stationary_irreducible(matrices: np.ndarray) -> np.ndarray:
    """Stationary distributions (draws, k) of irreducible chains, by elimination without subtraction (Grassmann, Taksar & Heyman 1985)."""
    a, k = matrices.copy(), matrices.shape[-1]
    for n in range(k - 1, 0, -1):
        a[:, :n, n] /= a[:, n, :n].sum(axis=1)[:, None]
        a[:, :n, :n] += a[:, :n, n, None] * a[:, n, None, :n]
    out = np.ones((matrices.shape[0], k))
    for n in range(1, k):
        out[:, n] = (out[:, :n] * a[:, :n, n]).sum(axis=1)
    return out / out.sum(axis=1, keepdims=True)


def stationary(matrices: np.ndarray) -> tuple[np.ndarray, str]:
    """Stationary distributions (draws, k), NaN where there is not exactly one, and why there is not (in the first such draw)."""
    out, reason = np.full(matrices.shape[:2], np.nan), ""
    whole = np.isfinite(matrices).all(axis=(1, 2))
    positive = whole & (matrices > 0).all(axis=(1, 2))
    if positive.any():
        out[positive] = stationary_irreducible(matrices[positive])
    for d in np.flatnonzero(~positive):
        if not whole[d]:
            lost = ", ".join(str(c + 1) for c in np.flatnonzero(np.isnan(matrices[d]).any(axis=1)))
            reason = reason or f"no transition starts in class {lost}"
            continue
        sets = recurrent_sets(matrices[d])
        if len(sets) == 1:
            out[d] = 0.0
            out[d, sets[0]] = stationary_irreducible(matrices[d][np.ix_(sets[0], sets[0])][None])[0]
        else:
            shown = " and ".join("{" + ", ".join(str(c + 1) for c in s) + "}" for s in sets)
            reason = reason or f"reducible chain: classes {shown} are never left, so the long run depends on the start"
    return out, reason


def half_life(matrices: np.ndarray) -> np.ndarray:
    """Transitions until half the distance to the stationary distribution is left, −ln 2 / ln|λ₂|: (draws,); NaN for |λ₂| = 1."""
    out = np.full(matrices.shape[0], np.nan)
    whole = np.isfinite(matrices).all(axis=(1, 2))
    second = np.sort(np.abs(np.linalg.eigvals(matrices[whole])), axis=1)[:, -2] if matrices.shape[1] > 1 else np.zeros(whole.sum())
    decays = (second > 1e-12) & (second < 1 - 1e-12)
    out[whole] = np.where(decays, -np.log(2) / np.log(np.where(decays, second, 0.5)), np.where(second < 0.5, 0.0, np.nan))
    return out


def shorrocks(matrices: np.ndarray) -> np.ndarray:
    """Mobility (k − trace)/(k − 1): 0 when nobody moves, 1 when the next class does not depend on the present one. (draws,)"""
    k = matrices.shape[-1]
    return (k - np.trace(matrices, axis1=1, axis2=2)) / (k - 1)

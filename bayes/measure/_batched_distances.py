"""Distances to technologies in the form that :mod:`bayes.measure._batched_simplex` solves."""

from __future__ import annotations

import numpy as np

from bayes.measure._batched_simplex import Batch, solve_batch

_LEAST = 1e-9
"""A share 1/φ below this is left to the other solver: φ may be unbounded."""


def largest_movements(rows: np.ndarray, low: np.ndarray, high: np.ndarray, way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest β with low ≤ rows·λ + β·way ≤ high for some λ ≥ 0, and where none is proven to exist; NaN and False: solve it otherwise.

    ``rows`` (G, k, n) of G technologies; ``low``, ``high`` and ``way`` (P, k) of P points, each taken against every technology. Results (G,
    P).
    """
    equal = (low == high).all(axis=0)
    above = np.isinf(high).all(axis=0)
    sign = np.where(above, 1.0, -1.0)
    bound = np.where(above, low, high)
    nothing = np.full((len(rows), len(way)), np.nan), np.zeros((len(rows), len(way)), dtype=bool)
    if not ((equal | above | np.isinf(low).all(axis=0)).all() and np.isfinite(bound).all()):
        return nothing
    matrix = sign[:, None] * rows
    moves = (way != 0).any(axis=0)
    if not moves.any():
        return nothing
    proportional = not (way[:, moves] + bound[:, moves]).any()
    # β as −θ; where all that moves grows in proportion, over 1 + β = 1/θ, since then no other row can offer a start.
    score = np.where(moves, 0.0, -sign * bound) if proportional else way
    bounds = np.where(moves, way, 0.0) if proportional else sign * bound
    start = _start(matrix, score)
    if start is None:
        return nothing
    shape = (len(rows), *way.shape)
    theta, infeasible = solve_batch(Batch(matrix, np.broadcast_to(score, shape), np.broadcast_to(bounds, shape), equal, start))
    if not proportional:
        return -theta, infeasible
    return 1 / np.where(theta > _LEAST, theta, np.nan) - 1, infeasible


def _start(matrix: np.ndarray, score: np.ndarray) -> int | None:
    """The row without positive coefficients whose own coefficient is positive in most programs."""
    open_rows = (matrix <= 0).all(axis=(0, 2))
    counts = np.where(open_rows, (score > 0).sum(axis=0), 0)
    return int(counts.argmax()) if counts.any() else None

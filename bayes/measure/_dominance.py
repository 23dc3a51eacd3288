"""Reference units that another one dominates: they span nothing, and programs without them are smaller."""

from __future__ import annotations

import numpy as np

_MARGIN = 1e-12
"""A unit is left out only when another one is better by more than rounding, so that copies stay and no circle can arise."""
_CELLS = 2**21


def undominated(less: np.ndarray, more: np.ndarray, shrink: bool, grow: bool) -> np.ndarray:
    """Indices of the units that no other dominates, and of some that tie with one.

    Unit i dominates j when some multiple t of it uses at most the quantities ``less`` (n, ·) of j and has at least its quantities ``more``
    (n, ·). ``shrink`` allows t < 1, ``grow`` t > 1: both under constant returns, none under variable returns.
    """
    n = len(less)
    kept = np.ones(n, dtype=bool)
    step = max(1, _CELLS // n)
    for first in range(0, n, step):
        here = slice(first, first + step)
        lowest, highest = _multiples(less, more, here)
        lowest = lowest if shrink else np.maximum(lowest, 1.0)
        highest = highest if grow else np.minimum(highest, 1.0)
        better = _better_at_one(less, more, here)
        if shrink or grow:
            better |= lowest < highest * (1 - _MARGIN)
        kept[here] = ~better.any(axis=1)
    return np.flatnonzero(kept)


def _multiples(less: np.ndarray, more: np.ndarray, here: slice) -> tuple[np.ndarray, np.ndarray]:
    """Least multiple of i that reaches ``more`` of j, and largest within ``less`` of j: two arrays (units j of ``here``, units i)."""
    n_here = len(less[here])
    lowest, highest = np.zeros((n_here, len(less))), np.full((n_here, len(less)), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for column in more.T:  # 0/0 is NaN, which fmax and fmin pass over: no demand, no limit
            lowest = np.fmax(lowest, column[here, None] / column)
        for column in less.T:
            highest = np.fmin(highest, column[here, None] / column)
    return lowest, highest


def _better_at_one(less: np.ndarray, more: np.ndarray, here: slice) -> np.ndarray:
    """No worse in any quantity and better in one: array (units j of ``here``, units i)."""
    no_worse, better = np.ones((len(less[here]), len(less)), dtype=bool), np.zeros((len(less[here]), len(less)), dtype=bool)
    for column in (*(-less.T), *more.T):
        no_worse &= column >= column[here, None]
        better |= column > column[here, None]
    return no_worse & better

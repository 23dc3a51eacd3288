"""Means over rows of a frontier within a draw, with draws taken in chunks that keep memory small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from bayes.aggregation import Groups, RowIndex
from bayes.errors import SpecificationError
from bayes.frontier.data import FrontierData

CHUNK = 2**18
"""Numbers in one array of a chunk (2 MB): small enough for the processor's cache, large enough that Python's overhead does not show."""


def row_index(data: FrontierData) -> RowIndex:
    """Unit, region and period of the rows."""
    unit = data.in_rows(np.broadcast_to(np.arange(data.n_units)[:, None], data.mask.shape)).astype(int)
    return RowIndex(unit, data.unit_region[unit], data.in_rows(data.period))


def rows_of(values: Mapping[str, np.ndarray], data: FrontierData) -> dict[str, np.ndarray]:
    """Variables (U, T) as vectors over the panel's rows."""
    return {name: data.in_rows(v) for name, v in values.items()}


def draw_chunks(n_draws: int, n_elements: int) -> Iterator[slice]:
    """Slices of the draws such that ``n_elements`` numbers a draw make arrays of at most :data:`CHUNK` numbers."""
    size = max(1, CHUNK // max(n_elements, 1))
    return (slice(start, min(start + size, n_draws)) for start in range(0, n_draws, size))


def take(p: Mapping[str, np.ndarray], chunk: slice) -> dict[str, np.ndarray]:
    """Parameters of some draws."""
    return {name: values[chunk] for name, values in p.items()}


def count_draws(p: Mapping[str, np.ndarray]) -> int:
    """Draws in a parameter mapping: the length of the leading axis of ``technology`` (draws, R, K)."""
    if np.ndim(p["technology"]) != 3:
        raise SpecificationError(f"technology must have shape (draws, regions, terms), got {np.shape(p['technology'])}.")
    return p["technology"].shape[0]


def mean_by_draw(
    p: Mapping[str, np.ndarray],
    groups: Groups,
    evaluate: Callable[[dict[str, np.ndarray], slice], Sequence[np.ndarray]],
    n_elements: int,
    n_quantities: int = 1,
) -> np.ndarray:
    """Group means in every draw of what ``evaluate(parameters of a chunk, chunk)`` gives: ``n_quantities`` arrays (draws of it, n_rows).

    Returns shape (n_quantities, groups, draws). ``n_elements`` is the size of the largest array that evaluating one draw needs.
    """
    n_draws = count_draws(p)
    out = np.empty((n_quantities, len(groups), n_draws))
    for chunk in draw_chunks(n_draws, n_elements):
        for k, values in enumerate(evaluate(take(p, chunk), chunk)):
            out[k, :, chunk] = groups.mean(values)
    return out


def linear_in_rows(technology: np.ndarray, columns: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Σ_k β_r,k·column_k of the row's own region: technology (draws, R, K), columns (K, n_rows), region (n_rows,) → (draws, n_rows)."""
    out = np.empty((technology.shape[0], columns.shape[1]))
    for r in np.unique(region):
        rows = region == r
        out[:, rows] = technology[:, r] @ columns[:, rows]
    return out


def linear_mean(technology: np.ndarray, columns: np.ndarray, region: np.ndarray, groups: Groups) -> np.ndarray:
    """Group means of :func:`linear_in_rows`, shape (groups, draws), with the columns averaged before they meet the draws."""
    out = np.zeros((len(groups), technology.shape[0]))
    for r in np.unique(region):
        out += (groups.weights @ (columns * (region == r)).T) @ technology[:, r].T
    return out

"""From draws of every row to tables: groups of rows, weighted means within a draw, draws taken in chunks that keep memory small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.frontier.data import FrontierData

AGGREGATIONS = ("all", "region", "unit", "period", "region:period", "unit:period")
CHUNK = 2**18
"""Numbers in one array of a chunk (2 MB): small enough for the processor's cache, large enough that Python's overhead does not show."""


class RowIndex(NamedTuple):
    """Unit code, region code and calendar period of each row, in the order of ``panel.frame``. Shapes (n_rows,)."""

    unit: np.ndarray
    region: np.ndarray
    period: np.ndarray


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of rows and the weight of each row in its group's mean.

    Attributes
    ----------
    by : str
    labels : one dictionary of label columns a group
    keys : array (G, number of label parts)
        Codes behind the labels, sorted.
    weights : sparse array (G, n_rows), rows summing to one
    sizes : array (G,), rows of each group
    """

    by: str
    labels: tuple[dict[str, Any], ...]
    keys: np.ndarray
    weights: sparse.csr_array
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Weighted means of ``values`` (draws, n_rows), shape (groups, draws)."""
        return self.weights @ values.T


def row_index(data: FrontierData) -> RowIndex:
    """Unit, region and period of the rows."""
    unit = data.in_rows(np.broadcast_to(np.arange(data.n_units)[:, None], data.mask.shape)).astype(int)
    return RowIndex(unit, data.unit_region[unit], data.in_rows(data.period))


def rows_of(values: Mapping[str, np.ndarray], data: FrontierData) -> dict[str, np.ndarray]:
    """Variables (U, T) as vectors over the panel's rows."""
    return {name: data.in_rows(v) for name, v in values.items()}


def group_rows(by: str, index: RowIndex, data: FrontierData, weights: np.ndarray | None = None, chosen: np.ndarray | None = None) -> Groups:
    """Groups that ``by`` asks for. ``weights`` (n_rows,) default to equal ones; only rows where ``chosen`` is true belong to a group.

    Raises :class:`SpecificationError` on an unknown word, and on weights of another length, negative, or zero throughout a group.
    """
    if by not in AGGREGATIONS:
        raise SpecificationError(f"by={by!r} does not exist. Choose one of: {', '.join(AGGREGATIONS)}.")
    n = index.unit.size
    rows = np.arange(n) if chosen is None else np.flatnonzero(chosen)
    parts = () if by == "all" else tuple(by.split(":"))
    codes = np.column_stack([getattr(index, part)[rows] for part in parts]) if parts else np.zeros((rows.size, 1))
    keys, group, sizes = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    group = group.ravel()
    w = np.ones(n) if weights is None else _checked(weights, n)
    total = np.bincount(group, w[rows], len(keys))
    if (total <= 0).any():
        where = _labels(parts, keys[np.argmin(total)], data) or "all rows"
        raise SpecificationError(f"Weights sum to zero in {where}: give positive ones.")
    matrix = sparse.csr_array((w[rows] / total[group], (group, rows)), shape=(len(keys), n))
    return Groups(by, tuple(_labels(parts, key, data) for key in keys), keys, matrix, sizes)


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


def table(
    groups: Groups, draws: np.ndarray, estimand: str, level: float, source: str, term: str | None = None, above: float = 0.0, **labels: Any
) -> Estimates:
    """Estimates of one quantity by group. ``draws`` (groups, draws); ``prob_positive`` is P(quantity > ``above``)."""
    rows = [
        {**label, "estimand": estimand, "term": groups.by if term is None else term, "source": source, "n_obs": int(size), **labels}
        for label, size in zip(groups.labels, groups.sizes, strict=True)
    ]
    out = Estimates.from_draws(rows, draws, level, title=f"{estimand} by {groups.by}")
    if above:
        out.frame["prob_positive"] = (draws > above).mean(axis=1)
    return out


def stacked(parts: Sequence[Estimates], draws: np.ndarray, title: str) -> Estimates:
    """One table from several whose draws are consecutive rows of ``draws``, which is not copied."""
    return Estimates(pd.concat([part.frame for part in parts], ignore_index=True), draws, title)


def _labels(parts: Sequence[str], key: np.ndarray, data: FrontierData) -> dict[str, Any]:
    """Label columns of a group. A unit carries its region."""
    out: dict[str, Any] = {}
    for part, code in zip(parts, key, strict=False):
        if part == "unit":
            out |= {"region": str(data.regions[data.unit_region[int(code)]]), "unit": str(data.units[int(code)])}
        else:
            out[part] = str(data.regions[int(code)]) if part == "region" else float(code)
    return out


def _checked(weights: np.ndarray, n: int) -> np.ndarray:
    w = np.asarray(weights, dtype=float)
    if w.shape != (n,) or not np.isfinite(w).all() or (w < 0).any():
        raise SpecificationError(f"weights must be {n} finite numbers that are not negative, one for each row; got shape {w.shape}.")
    return w

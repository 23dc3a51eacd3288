"""Groups of panel rows (all, region, unit, period and their pairs), means over them within a draw, and the table of the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from scipy import sparse

from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.validation import one_of

AGGREGATIONS = ("all", "region", "unit", "period", "region:period", "unit:period")


class Labels(Protocol):
    """Who has names of units and regions: labels (U,) and (R,), and the region code of each unit (U,)."""

    @property
    def units(self) -> Any: ...
    @property
    def regions(self) -> Any: ...
    @property
    def unit_region(self) -> np.ndarray: ...


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


def group_rows(by: str, index: RowIndex, data: Labels, weights: np.ndarray | None = None, chosen: np.ndarray | None = None) -> Groups:
    """Groups that ``by`` asks for. ``weights`` (n_rows,) default to equal ones; only rows where ``chosen`` is true belong to a group.

    Raises :class:`SpecificationError` on an unknown word, and on weights of another length, negative, or zero throughout a group.
    """
    one_of("by", by, AGGREGATIONS)
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


def _labels(parts: Sequence[str], key: np.ndarray, data: Labels) -> dict[str, Any]:
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

"""Means of a measure over groups of panel rows, draw by draw, with what is missing left out and counted."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from bayes.aggregation import RowIndex, group_rows
from bayes.errors import SpecificationError
from bayes.panel import Panel
from bayes.validation import one_of

KINDS = ("arithmetic", "geometric")


@dataclass(frozen=True, eq=False)
class Means:
    """Means over groups of rows.

    Attributes
    ----------
    labels : one dictionary of label columns a group
    values : array (groups, draws), NaN where a group has no value in a draw
    used : array (groups,), rows with a value in every draw
    missing : array (groups,), rows that lack one in some draw and are left out of the mean there
    """

    labels: tuple[dict[str, Any], ...]
    values: np.ndarray
    used: np.ndarray
    missing: np.ndarray

    def note(self, group: int, kind: str = "arithmetic", what: str = "scores") -> str:
        """What a reader of one mean should know."""
        lost, total = int(self.missing[group]), int(self.used[group] + self.missing[group])
        return f"{kind} mean" + (f"; {lost} of {total} {what} have no value and are left out" if lost else "")


def group_means(
    panel: Panel, values: np.ndarray, by: str, kind: str = "arithmetic", weights: np.ndarray | None = None, rows: np.ndarray | None = None
) -> Means:
    """Means of ``values`` (n_rows,) or (draws, n_rows) over the groups that ``by`` names (:data:`bayes.aggregation.AGGREGATIONS`).

    ``rows`` are the panel rows that the values belong to (default: all); ``weights`` has the shape (n_rows,).

    Raises :class:`SpecificationError` on an unknown word, and for a geometric mean of values that are not positive.
    """
    one_of("kind", kind, KINDS)
    values = np.atleast_2d(values)
    rows = np.arange(panel.n_rows) if rows is None else rows
    unit = panel.unit_codes[rows]
    index = RowIndex(unit, panel.unit_regions[unit], panel.frame[panel.time].to_numpy()[rows])
    names = SimpleNamespace(units=panel.units, regions=panel.regions, unit_region=panel.unit_regions)
    groups = group_rows(by, index, names, weights)
    there = np.isfinite(values)
    if kind == "geometric" and (values[there] <= 0).any():
        raise SpecificationError("A geometric mean takes positive values only.")
    known = np.where(there, values, 1.0)
    share = groups.weights @ there.T.astype(float)
    total = groups.weights @ np.where(there, np.log(known) if kind == "geometric" else known, 0.0).T
    mean = np.divide(total, share, out=np.full(share.shape, np.nan), where=share > 0)
    missing = groups.weights.astype(bool).astype(int) @ (~there).any(axis=0).astype(int)
    return Means(groups.labels, np.exp(mean) if kind == "geometric" else mean, groups.sizes - missing, missing)

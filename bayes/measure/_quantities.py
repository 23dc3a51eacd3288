"""Inputs, outputs and undesirable outputs of a panel, checked, and the reference sets that technologies are spanned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes.errors import NotPositiveError, NoVariationError, SpecificationError
from bayes.measure._technologies import Quantities, Returns
from bayes.panel import Panel
from bayes.validation import one_of, places

REFERENCES = ("contemporaneous", "sequential", "global")
"""Whose quantities span the technology of a period: that period's, that and all earlier periods', all periods'."""


@dataclass(frozen=True, eq=False)
class Production:
    """A panel read as production: one row of quantities a panel row.

    Attributes
    ----------
    panel : Panel
    columns : names of inputs, outputs and undesirable outputs, in that order
    quantities : Quantities of all rows
    period : grid position of each row, shape (n_rows,)
    """

    panel: Panel
    columns: tuple[str, ...]
    quantities: Quantities
    period: np.ndarray

    @property
    def periods(self) -> np.ndarray:
        """Grid positions with at least one row, ascending."""
        return np.unique(self.period)

    def rows_of(self, period: int) -> np.ndarray:
        return np.flatnonzero(self.period == period)

    def reference_rows(self, period: int, reference: str) -> np.ndarray:
        """Rows that span the technology of a period."""
        if reference == "global":
            return np.arange(len(self.quantities))
        return np.flatnonzero(self.period <= period) if reference == "sequential" else self.rows_of(period)

    def by_period(self, reference: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Evaluated rows and reference rows, set by set; a global reference is one set."""
        if reference == "global":
            every = np.arange(len(self.quantities))
            yield every, every
            return
        for period in self.periods:
            yield self.rows_of(period), self.reference_rows(period, reference)

    def labels(self) -> list[dict[str, Any]]:
        """Label columns of each row in tables of estimates."""
        panel = self.panel
        times = panel.frame[panel.time].to_numpy()
        return [
            {"unit": str(panel.units[u]), "region": str(panel.regions[panel.unit_regions[u]]), "period": float(t)}
            for u, t in zip(panel.unit_codes, times, strict=True)
        ]


def production_of(
    panel: Panel, inputs: Sequence[str], outputs: Sequence[str], bad_outputs: Sequence[str] = (), positive: bool = False
) -> Production:
    """Read and check the columns. ``positive``: every quantity must be above zero (slack-based measures divide by it).

    Raises
    ------
    SpecificationError
        No input or no output, a column in two roles, or one unit only.
    NotPositiveError
        Negative quantities; zeros where ``positive``; a row whose inputs or outputs are all zero.
    NoVariationError
        Every row has the same quantities.
    """
    inputs, outputs, bad_outputs = (_names(words, role) for words, role in _roles(inputs, outputs, bad_outputs))
    columns = (*inputs, *outputs, *bad_outputs)
    if not inputs or not outputs:
        raise SpecificationError("At least one input and one output are needed: inputs=['capital', 'labour'], outputs=['value_added'].")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise SpecificationError(f"Columns {twice} stand in more than one role among inputs, outputs and bad_outputs.")
    if panel.n_units < 2:
        raise SpecificationError(f"The panel has one unit ({panel.units[0]}): efficiency compares units, so at least two are needed.")
    values = {name: panel.column(name) for name in columns}
    for name in columns:
        _refuse(panel, name, values[name] < 0, "are negative. Efficiency is a ratio of amounts: shift or recode the column.")
        if positive:
            _refuse(
                panel, name, values[name] == 0, "are zero, by which a slack-based measure divides. Use model='radial' or 'directional'."
            )
    quantities = Quantities(*(_side_by_side(values, names, panel.n_rows) for names in (inputs, outputs, bad_outputs)))
    for names, part, role in ((inputs, quantities.inputs, "inputs"), (outputs, quantities.outputs, "outputs")):
        _refuse(panel, ", ".join(names), (part == 0).all(axis=1), f"have all {role} zero. Drop or correct these rows.")
    stacked = quantities.stacked()
    if (stacked == stacked[0]).all():
        raise NoVariationError(
            f"All {len(stacked)} rows have the same {', '.join(columns)}: every unit is on the frontier and nothing can be compared."
        )
    return Production(panel, columns, quantities, panel.period_codes)


def returns_of(word: str) -> Returns:
    """Returns to scale by their word. Raises :class:`SpecificationError`."""
    return Returns(one_of("returns", word, [r.value for r in Returns]))


def is_weak(disposability: str, bad_outputs: Sequence[str]) -> bool:
    """Whether undesirable outputs are weakly disposable."""
    weak = one_of("disposability", disposability, ("strong", "weak")) == "weak"
    if weak and not len(bad_outputs):
        raise SpecificationError("disposability='weak' is about undesirable outputs: name them in bad_outputs.")
    return weak


def mean_weights(panel: Panel, column: str | None) -> np.ndarray | None:
    """Weights of rows in means: a column of positive numbers, by default the panel's weights, or none. Raises :class:`NotPositiveError`."""
    name = column or panel.weights
    if name is None:
        return None
    weights = panel.column(name)
    _refuse(panel, name, weights <= 0, "are zero or negative. Weights must be positive.")
    return weights


def _roles(inputs: Any, outputs: Any, bads: Any) -> tuple[tuple[Any, str], ...]:
    return (inputs, "inputs"), (outputs, "outputs"), (bads, "bad_outputs")


def _names(words: Any, role: str) -> tuple[str, ...]:
    if isinstance(words, str):
        raise SpecificationError(f"{role} takes a list of columns: {role}=[{words!r}].")
    names = tuple(words) if isinstance(words, Sequence) else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise SpecificationError(f"{role} takes a list of columns, got {words!r}.")
    return names


def _side_by_side(values: dict[str, np.ndarray], names: Sequence[str], n: int) -> np.ndarray:
    return np.column_stack([values[name] for name in names]) if names else np.empty((n, 0))


def _refuse(panel: Panel, column: str, bad: np.ndarray, words: str) -> None:
    if bad.any():
        where = places(panel.frame, bad, panel.unit, panel.time)
        raise NotPositiveError(f"Column {column!r} has {int(bad.sum())} values that {words} They stand at: {where}.")

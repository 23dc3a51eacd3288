"""What the measures of this folder share: quantities read together, columns at their rows, and a table that grows row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayes.errors import NotPositiveError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._values import POSTERIOR, Values, estimates_by_draw, values_of
from bayes.panel import Panel


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a table and the draws behind them, (n_draws,) each; one draw means points."""

    n_draws: int
    common: Mapping[str, Any] = field(default_factory=dict)
    labels: list[dict[str, Any]] = field(default_factory=list)
    draws: list[np.ndarray] = field(default_factory=list)

    def add(self, estimand: str, value: Any, reason: str = "", note: str = "", **labels: Any) -> None:
        """One row. Where ``value`` (n_draws,) is not finite in some draw, the row is NaN, not identified, and ``reason`` is its note."""
        value = np.broadcast_to(np.asarray(value, dtype=float), (self.n_draws,))
        found = bool(np.isfinite(value).all())
        share = (~np.isfinite(value)).mean()
        if not found:
            note = reason if share == 1 or self.n_draws == 1 else f"{reason} (in {share:.1%} of the draws)"
        self.labels.append({**self.common, "estimand": estimand, **labels, "identified": found, "note": note})
        self.draws.append(value if found else np.where(np.isfinite(value), value, np.nan))

    def estimates(self, title: str, level: float, interval: str = POSTERIOR, **meta: Any) -> Estimates:
        draws = np.stack(self.draws) if self.draws else np.empty((0, self.n_draws))
        return estimates_by_draw(self.labels, draws, title, level, interval, **meta)


def read_together(panel: Panel, quantities: Sequence[str | Estimates]) -> list[Values]:
    """Several quantities over the same units and periods; one without draws goes with each draw of the others.

    Raises :class:`SpecificationError` where rows or numbers of draws differ.
    """
    found = [values_of(panel, q) for q in quantities]
    first = found[0]
    counts = sorted({v.draws.shape[0] for v in found} - {1})
    if len(counts) > 1:
        shown = ", ".join(f"{v.name!r} {v.draws.shape[0]}" for v in found)
        raise SpecificationError(
            f"The quantities differ in their number of draws ({shown}). Take them from one fit, or thin them to one number."
        )
    for other in found[1:]:
        if other.unit.size != first.unit.size or (other.unit != first.unit).any() or (other.period != first.period).any():
            raise SpecificationError(_unshared(first, other))
    return found


def _unshared(first: Values, other: Values) -> str:
    keys = [set(zip(v.unit.tolist(), v.period.tolist(), strict=True)) for v in (first, other)]
    (owner, lacks, alone) = (first, other, keys[0] - keys[1]) if keys[0] - keys[1] else (other, first, keys[1] - keys[0])
    panel = owner.panel
    shown = "; ".join(f"{panel.unit} {panel.units[u]}, {panel.time} {t}" for u, t in sorted(alone)[:3])
    more = f"; and {len(alone) - 3} more" if len(alone) > 3 else ""
    return f"{owner.name!r} has {len(alone)} rows that {lacks.name!r} lacks: {shown}{more}. Give both over the same units and periods."


def unit_groups(v: Values, units: np.ndarray, by: str) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Label columns and positions in ``units`` (codes) of all units together (``by="all"``), or of those of each region."""
    if by == "all":
        yield {}, np.arange(units.size)
        return
    region = v.panel.unit_regions[units]
    for code in np.unique(region):
        yield {"region": str(v.panel.regions[code])}, np.flatnonzero(region == code)


def row_weights(v: Values, column: str | None) -> np.ndarray:
    """A column of positive weights at the rows of ``v``, or ones. Shape (n_rows,).

    Raises :class:`NotPositiveError` naming rows, and :class:`SpecificationError` where the panel has no such row.
    """
    if column is None:
        return np.ones(v.unit.size)
    panel = v.panel
    table = np.full((panel.n_units, panel.n_periods), np.nan)
    table[panel.unit_codes, panel.period_codes] = panel.column(column)
    weights = table[v.unit, (v.period - panel.periods[0]) // panel.step]
    absent = np.flatnonzero(np.isnan(weights))
    if absent.size:
        raise SpecificationError(f"The panel has no row for {v.describe_row(absent[0])}: {column!r} has no weight for {v.name!r} there.")
    bad = np.flatnonzero(weights <= 0)
    if bad.size:
        raise NotPositiveError(
            f"Weights {column!r} are zero or negative in {bad.size} rows: {v.describe_rows(bad)}. Weights must be positive."
        )
    return weights

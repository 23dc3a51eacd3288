"""What indices and convergence measures take: a column of the panel, or estimates by unit and period with their draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes.errors import DuplicateRowError, MissingValueError, NotPositiveError, SpecificationError
from bayes.estimates import Estimates
from bayes.panel import Panel

POSTERIOR = "equal-tailed posterior"


@dataclass(frozen=True, eq=False)
class Values:
    """One quantity by unit and period. Rows are sorted by unit, then period; they need not fill the panel (growth lacks a first period).

    Attributes
    ----------
    name : the column, or the estimand of the estimates
    draws : array (n_draws, n_rows); one draw when the quantity comes without uncertainty
    unit : codes into ``panel.units``, shape (n_rows,)
    period : calendar periods, shape (n_rows,)
    region : codes into ``panel.regions``, shape (n_rows,)
    panel : the panel that units and regions belong to
    source : where the quantity comes from, empty for a column
    interval : what an interval over the draws is called in tables
    """

    name: str
    draws: np.ndarray
    unit: np.ndarray
    period: np.ndarray
    region: np.ndarray
    panel: Panel
    source: str = ""
    interval: str = POSTERIOR

    @property
    def has_draws(self) -> bool:
        return self.draws.shape[0] > 1

    @property
    def periods(self) -> np.ndarray:
        """Periods with at least one row, ascending."""
        return np.unique(self.period)

    @property
    def region_names(self) -> np.ndarray:
        """Region label of each row. Shape (n_rows,)."""
        return self.panel.regions[self.region]

    def describe_row(self, row: int) -> str:
        return f"{self.panel.unit} {self.panel.units[self.unit[row]]}, {self.panel.time} {self.period[row]}"

    def describe_rows(self, rows: np.ndarray, limit: int = 3) -> str:
        """Unit and period of the first of ``rows`` in words, and how many more there are."""
        return "; ".join(self.describe_row(r) for r in rows[:limit]) + (f"; and {rows.size - limit} more" if rows.size > limit else "")

    def require_positive(self, why: str) -> None:
        """Raise :class:`NotPositiveError` naming the first rows with a value ≤ 0 in any draw."""
        bad = np.flatnonzero((self.draws <= 0).any(axis=0))
        if bad.size:
            raise NotPositiveError(f"{self.name!r} has {bad.size} rows that are zero or negative: {self.describe_rows(bad)}. {why}")

    def require_not_negative(self, why: str) -> None:
        """Raise :class:`NotPositiveError` naming the first rows with a value < 0 in any draw."""
        bad = np.flatnonzero((self.draws < 0).any(axis=0))
        if bad.size:
            raise NotPositiveError(f"{self.name!r} is negative in {bad.size} rows: {self.describe_rows(bad)}. {why}")

    def grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values as (n_draws, n_units, n_periods) with NaN where a unit is not observed, the unit codes and the periods."""
        codes, periods = np.unique(self.unit), self.periods
        out = np.full((self.draws.shape[0], codes.size, periods.size), np.nan)
        out[:, np.searchsorted(codes, self.unit), np.searchsorted(periods, self.period)] = self.draws
        return out, codes, periods


def values_of(panel: Panel, values: str | Estimates) -> Values:
    """Read a column of the panel, or estimates with one row a unit and period.

    Raises
    ------
    SpecificationError
        Estimates of several estimands or sources, without units or periods, or with units that the panel does not have.
    DuplicateRowError, MissingValueError
        A unit and period twice, or a value that is NaN (an infeasible score, an unidentified effect).
    """
    if isinstance(values, Estimates):
        return _from_estimates(panel, values)
    if not isinstance(values, str):
        raise SpecificationError(f"Expected the name of a column or bayes.Estimates, got {type(values).__name__}.")
    period = panel.frame[panel.time].to_numpy()
    return Values(values, panel.column(values)[None], panel.unit_codes, period, panel.unit_regions[panel.unit_codes], panel)


def _from_estimates(panel: Panel, estimates: Estimates) -> Values:
    frame = estimates.frame
    for column in ("estimand", "variant", "source"):
        found = list(dict.fromkeys(frame[column]))
        if len(found) != 1:
            raise SpecificationError(
                f"Estimates hold {len(found)} values of {column!r} ({', '.join(map(str, found[:5]))}); one is needed: choose with "
                f".where({column}=…)."
            )
    if (frame["unit"] == "").any() or frame["period"].isna().any():
        raise SpecificationError("Estimates by unit and period are needed (by='unit:period'): some rows have no unit or no period.")
    labels = np.array([str(u) for u in panel.units], dtype=object)
    order = np.argsort(labels)
    names = frame["unit"].astype(str).to_numpy(dtype=object)
    place = np.minimum(np.searchsorted(labels[order], names), labels.size - 1)
    unit = order[place]
    unknown = labels[unit] != names
    if unknown.any():
        raise SpecificationError(f"Estimates name units that the panel does not have: {', '.join(dict.fromkeys(names[unknown][:5]))}.")
    period = frame["period"].to_numpy()
    off = ~np.isin(period, panel.periods)
    if off.any():
        raise SpecificationError(
            f"Estimates name periods that the panel does not have: {', '.join(f'{p:g}' for p in np.unique(period[off])[:5])}."
        )
    period = period.astype(int)
    rows = np.lexsort((period, unit))
    unit, period = unit[rows], period[rows]
    twice = np.flatnonzero((unit[1:] == unit[:-1]) & (period[1:] == period[:-1]))
    if twice.size:
        raise DuplicateRowError(f"Estimates hold {labels[unit[twice[0]]]}, {period[twice[0]]} twice. Choose one row each with .where(…).")
    drawn = None if estimates.draws is None or np.isnan(estimates.draws).all() else estimates.draws  # points beside rows with draws
    draws = frame["estimate"].to_numpy(dtype=float)[None] if drawn is None else drawn.T
    draws = draws[:, rows]
    interval = next((i for i in frame["interval"] if i), POSTERIOR)
    out = Values(frame["estimand"].iloc[0], draws, unit, period, panel.unit_regions[unit], panel, frame["source"].iloc[0], interval)
    missing = np.flatnonzero(~np.isfinite(draws).all(axis=0))
    if missing.size:
        raise MissingValueError(
            f"{out.name!r} has {missing.size} rows without a value: {out.describe_rows(missing)}. Leave them out with "
            ".where(identified=True), or choose a reference set in which every score exists (reference='global')."
        )
    return out


def estimates_by_draw(
    rows: Sequence[dict[str, Any]], draws: np.ndarray, title: str, level: float = 0.95, interval: str = POSTERIOR, **meta: Any
) -> Estimates:
    """Estimates of results that were computed draw by draw: ``draws`` (rows, n_draws). One draw gives points without intervals."""
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    if draws.shape[1] == 1:
        return Estimates.from_rows([{**row, "estimate": value} for row, value in zip(rows, draws[:, 0], strict=True)], title=title, **meta)
    out = Estimates.from_draws(rows, draws, level, title, **meta)
    out.frame["interval"] = interval
    return out

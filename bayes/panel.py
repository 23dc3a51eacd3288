"""Panel: one validated table of units observed over periods. It is normalised here, once, and never again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked_methods
from bayes.errors import (
    EmptyPanelError,
    MissingValueError,
    NoComparisonError,
    NotPositiveError,
    SetAsideWarning,
    SinglePeriodError,
    SpecificationError,
    TooLargeError,
    warn_user,
)
from bayes.validation import (
    LARGEST,
    NEVER,
    as_numbers,
    as_pandas,
    first_treated_periods,
    label_words,
    places,
    refuse_duplicates,
    refuse_endless_grid,
    refuse_missing_labels,
    refuse_shared_columns,
    refuse_split_units,
    require_columns,
    sorted_rows,
    timing_from_treatment,
    whole_numbers,
)

if TYPE_CHECKING:
    from bayes.scan import ScannedPanel


@checked_methods
@dataclass(frozen=True, eq=False)
class Panel:
    """A unit × period table with regions and treatment timing.

    Build it with :meth:`from_frame`. Columns keep the names the user gave them; rows are sorted by unit and period.

    Attributes
    ----------
    frame : pandas.DataFrame
        The rows in use, sorted by unit and period.
    unit, time : str
        Column names of the unit and of the period (whole numbers, usually years).
    region : str or None
        Column with the region of each unit; every unit belongs to exactly one.
    first_treated : str or None
        Column with the first treated period of each unit, ``inf`` for never treated.
    weights : str or None
        Column of positive weights. They weight the aggregation of effects, not the likelihood.
    set_aside : pandas.DataFrame
        Rows that came in and are not used, with a column ``reason``. Rows in = ``len(frame) + len(set_aside)``.
    name : str
        What the data are called in tables and reports.
    note : str
        What every reader must know about the data ("Simulated data: …"); reports open with it and write it under their figures.
    """

    frame: pd.DataFrame
    unit: str
    time: str
    region: str | None = None
    first_treated: str | None = None
    weights: str | None = None
    set_aside: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"reason": pd.Series(dtype=object)}))
    name: str = "panel"
    note: str = ""

    @classmethod
    def from_frame(
        cls,
        data: Any,
        unit: str,
        time: str,
        region: str | None = None,
        first_treated: str | None = None,
        treated: str | None = None,
        weights: str | None = None,
        name: str = "panel",
    ) -> Panel:
        """Validate a pandas or polars table of unit × period rows.

        Parameters
        ----------
        data : pandas.DataFrame or polars.DataFrame
            One row per unit and period; rows in any order, gaps allowed.
        unit, time : str
            Columns of the unit and the period. Periods are whole numbers.
        region : str, optional
            Column of the region; constant within a unit.
        first_treated : str, optional
            Column with the first treated period; NaN, None, 0 and inf mean never. Constant within a unit.
        treated : str, optional
            Instead of ``first_treated``: a 0/1 column that switches on once and stays on.
        weights : str, optional
            Column of positive weights.
        name : str
            Label of the data in tables and reports.

        Raises
        ------
        EmptyPanelError, MissingColumnError, MissingValueError, NotNumericError, DuplicateRowError, SinglePeriodError,
        RegionNotNestedError, TreatmentTimingError, NonAbsorbingTreatmentError, NoComparisonError, NotPositiveError
            Each names the column, the unit and the period, and the remedy.

        Warns
        -----
        SetAsideWarning
            Units treated in all their observed periods have no untreated row; they move to ``set_aside``.
        """
        frame = as_pandas(data)
        if first_treated is not None and treated is not None:
            raise SpecificationError("Give first_treated or treated, not both: each determines the other.")
        named = {"unit": unit, "time": time, "region": region, "first_treated": first_treated, "treated": treated, "weights": weights}
        refuse_shared_columns(named, name)
        require_columns(frame, named)
        if frame.empty:
            raise EmptyPanelError("The table has no rows. Check the filter or the file that it was read from.")
        for column in (unit, time, region):
            if column is not None:
                refuse_missing_labels(frame, column, unit, time)
        frame = frame.assign(**{time: whole_numbers(frame, time, unit)})
        frame = sorted_rows(frame, unit, time)
        refuse_duplicates(frame, unit, time)
        if frame[time].min() == frame[time].max():
            raise SinglePeriodError(f"Column {time!r} holds one period only ({frame[time].iloc[0]}). A panel needs at least two.")
        refuse_endless_grid(np.unique(frame[time].to_numpy()), time)
        if region is not None:
            refuse_split_units(frame, unit, region)
        if treated is not None:
            frame, first_treated = timing_from_treatment(frame, unit, time, treated)
        elif first_treated is not None:
            frame = frame.assign(**{first_treated: first_treated_periods(frame, unit, time, first_treated)})
        panel = cls(frame, unit, time, region, first_treated, weights, frame.iloc[:0].assign(reason=pd.Series(dtype=object)), name)
        if weights is not None:
            panel._require_positive(weights)
        return panel._set_aside_always_treated() if first_treated is not None else panel

    @classmethod
    def scan(
        cls, source: str | Path, unit: str, time: str, region: str | None = None, first_treated: str | None = None,
        treated: str | None = None, weights: str | None = None, name: str = "panel", *, scratch: str | Path | None = None,
        progress: bool | None = None,
    ) -> ScannedPanel:  # fmt: skip
        """Validate rows that stay in Parquet files, for panels larger than memory: :meth:`bayes.StaggeredDiD.fit` takes the result.

        Makes the checks of :meth:`from_frame` in one pass over the index columns, in bounded memory. Rows sorted by unit and period, over
        the files taken together, are read where they are; others are sorted through temporary files at every pass.

        Parameters
        ----------
        source : path
            A Parquet file, a folder of them (``name=value`` folders become columns), or a pattern such as ``rows/*.parquet``.
        unit, time, region, first_treated, treated, weights, name : str
            As in :meth:`from_frame`.
        scratch : path, optional
            Folder for temporary files of rows that are not sorted: as large as the columns in use, uncompressed. Default: the system's.
        progress : bool, optional
            Count rows aloud; by default on a terminal only.

        Returns
        -------
        ScannedPanel
            Rows in = ``n_rows`` + the rows counted in ``set_aside``.

        Raises
        ------
        DataError
            No file, an unreadable one, no space to sort. And all errors of :meth:`from_frame`, with the first place of each.

        Warns
        -----
        SetAsideWarning
            As :meth:`from_frame`.
        """
        from bayes.scan import scan_rows

        return scan_rows(source, unit, time, region, first_treated, treated, weights, name, scratch, progress)

    # ── codes: the integer view that every kernel uses ──────────────────────────────────────────────────────────────

    @cached_property
    def _unit_factor(self) -> tuple[np.ndarray, np.ndarray]:
        column = self.frame[self.unit].to_numpy()
        starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
        return np.repeat(np.arange(starts.size), np.diff(np.r_[starts, column.size])), starts

    @property
    def unit_codes(self) -> np.ndarray:
        """Unit of each row, 0 … n_units − 1, in the order of :attr:`units`. Shape (n_rows,)."""
        return self._unit_factor[0]

    @property
    def unit_starts(self) -> np.ndarray:
        """First row of each unit. Shape (n_units,)."""
        return self._unit_factor[1]

    @cached_property
    def units(self) -> np.ndarray:
        """Unit labels, sorted. Shape (n_units,)."""
        return self.frame[self.unit].to_numpy()[self.unit_starts]

    @cached_property
    def step(self) -> int:
        """Distance between two neighbouring periods of the grid, in calendar units (1 for yearly data)."""
        return int(np.gcd.reduce(np.diff(np.unique(self.frame[self.time].to_numpy()))))

    @cached_property
    def periods(self) -> np.ndarray:
        """The calendar grid from the first to the last period. Shape (n_periods,)."""
        time = self.frame[self.time].to_numpy()
        return np.arange(time.min(), time.max() + 1, self.step)

    @cached_property
    def period_codes(self) -> np.ndarray:
        """Position of each row's period on the calendar grid. Shape (n_rows,)."""
        return (self.frame[self.time].to_numpy() - self.periods[0]) // self.step

    @cached_property
    def regions(self) -> np.ndarray:
        """Region labels, sorted; a panel without regions has the single region ``"all"``. Shape (n_regions,)."""
        if self.region is None:
            return np.array(["all"], dtype=object)
        return np.unique(label_words(self.frame[self.region].iloc[self.unit_starts]))

    @cached_property
    def unit_regions(self) -> np.ndarray:
        """Region code of each unit. Shape (n_units,)."""
        if self.region is None:
            return np.zeros(self.n_units, dtype=int)
        return np.searchsorted(self.regions, label_words(self.frame[self.region].iloc[self.unit_starts]))

    @cached_property
    def unit_first_treated(self) -> np.ndarray:
        """First treated period of each unit in calendar units, inf for never. Shape (n_units,)."""
        if self.first_treated is None:
            return np.full(self.n_units, NEVER)
        return self.frame[self.first_treated].to_numpy(dtype=float)[self.unit_starts]

    @cached_property
    def unit_cohort_codes(self) -> np.ndarray:
        """Grid position of each unit's first treated period (rounded up to the grid), inf for never. Shape (n_units,)."""
        return np.ceil((self.unit_first_treated - self.periods[0]) / self.step)

    @property
    def n_rows(self) -> int:
        return len(self.frame)

    @property
    def n_units(self) -> int:
        return self.unit_starts.size

    @property
    def n_periods(self) -> int:
        return self.periods.size

    @property
    def is_balanced(self) -> bool:
        """True when every unit is observed in every period of the grid."""
        return self.n_rows == self.n_units * self.n_periods

    # ── columns ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def column(self, name: str) -> np.ndarray:
        """A numeric column as float64, checked for text, NaN and infinity. Shape (n_rows,)."""
        require_columns(self.frame, {"column": name})
        values = as_numbers(self.frame, name, self.unit, self.time)
        bad = ~np.isfinite(values)
        if bad.any():
            raise MissingValueError(
                f"Column {name!r} has {int(bad.sum())} missing or infinite values: {places(self.frame, bad, self.unit, self.time)}. "
                f"Fill them, or use panel.drop_missing({[name]!r}), which lists the rows it sets aside."
            )
        bad = np.abs(values) > LARGEST
        if bad.any():
            raise TooLargeError(
                f"Column {name!r} has {int(bad.sum())} values beyond {LARGEST:g}: {places(self.frame, bad, self.unit, self.time)}. "
                "If they stand for missing values, make them NaN; otherwise choose another unit."
            )
        return values

    def matrix(self, names: Sequence[str]) -> np.ndarray:
        """Several checked columns side by side. Shape (n_rows, len(names))."""
        return np.column_stack([self.column(n) for n in names]) if len(names) else np.empty((self.n_rows, 0))

    def log(self, *names: str) -> Panel:
        """Add ``log_<name>`` for each column. Raises :class:`NotPositiveError` naming rows that are not positive."""
        for name in names:
            self._require_positive(name)
        return replace(self, frame=self.frame.assign(**{f"log_{n}": np.log(self.column(n)) for n in names}))

    def assign(self, **columns: Any) -> Panel:
        """Add or replace columns, as :meth:`pandas.DataFrame.assign`; the index columns cannot be replaced.

        Raises :class:`SpecificationError` for values of another length, and for a function that fails on the frame.
        """
        fixed = {self.unit, self.time, self.region, self.first_treated} & set(columns)
        if fixed:
            raise SpecificationError(f"Columns {sorted(fixed)} index the panel. Build a new one with Panel.from_frame to change them.")
        try:
            return replace(self, frame=self.frame.assign(**columns))
        except Exception as error:
            raise SpecificationError(
                f"{sorted(columns)} cannot become columns of {self.n_rows} rows: {type(error).__name__}: {error}"
            ) from error

    def drop_missing(self, columns: str | Sequence[str]) -> Panel:
        """Set aside rows with NaN or infinity in any of ``columns``; they stay listed in ``set_aside``.

        Units that keep no row before their treatment are set aside as well, with a :class:`SetAsideWarning`.
        """
        columns = [columns] if isinstance(columns, str) else list(columns)
        bad = np.zeros(self.n_rows, dtype=bool)
        for name in columns:
            require_columns(self.frame, {"column": name})
            bad |= ~np.isfinite(as_numbers(self.frame, name, self.unit, self.time))
        reason = f"missing or infinite value in {', '.join(columns)}"
        panel = self._without(bad, reason)
        first, last = panel.frame[self.time].agg(["min", "max"])
        if first == last:
            raise SinglePeriodError(f"Only {self.time} = {first} is left after setting aside every row with: {reason}.")
        return panel._set_aside_always_treated() if self.first_treated is not None else panel

    # ── reports ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def balance(self) -> pd.DataFrame:
        """Per unit: region, first treated period, number of rows, first and last period, missing periods inside the grid."""
        time = self.frame[self.time].to_numpy()
        ends = np.r_[self.unit_starts[1:], self.n_rows]
        rows = ends - self.unit_starts
        return pd.DataFrame(
            {
                "unit": self.units,
                "region": self.regions[self.unit_regions],
                "first_treated": self.unit_first_treated,
                "rows": rows,
                "first_period": time[self.unit_starts],
                "last_period": time[ends - 1],
                "missing_periods": self.n_periods - rows,
            }
        )

    def timing(self) -> pd.DataFrame:
        """Number of units by first treated period (rows, ``inf`` = never) and region (columns), with row totals."""
        table = pd.crosstab(
            pd.Series(self.unit_first_treated, name="first_treated"), pd.Series(self.regions[self.unit_regions], name="region")
        ).reindex(columns=list(self.regions), fill_value=0)
        return table.assign(total=table.sum(axis=1))

    def describe(self, columns: Sequence[str]) -> pd.DataFrame:
        """Mean, standard deviation (overall, between and within units), minimum, maximum and rows of each column."""
        rows = []
        for name in columns:
            x = self.column(name)
            means = np.add.reduceat(x, self.unit_starts) / np.diff(np.r_[self.unit_starts, self.n_rows])
            within = x - means[self.unit_codes]
            between = means.std(ddof=1) if means.size > 1 else np.nan
            rows.append((name, x.mean(), x.std(ddof=1), between, within.std(ddof=1), x.min(), x.max(), x.size))
        names = ["column", "mean", "sd", "sd_between", "sd_within", "min", "max", "rows"]
        return pd.DataFrame(rows, columns=names)

    def __repr__(self) -> str:
        treated = int(np.isfinite(self.unit_first_treated).sum())
        shape = "balanced" if self.is_balanced else "unbalanced"
        aside = f", {len(self.set_aside)} rows set aside" if len(self.set_aside) else ""
        note = f"\n{self.note}" if self.note else ""
        return (
            f"Panel({self.name!r}: {self.n_rows} rows, {self.n_units} units × {self.n_periods} periods "
            f"{self.periods[0]}–{self.periods[-1]} {shape}, {self.regions.size} regions, {treated} units treated{aside}){note}"
        )

    # ── internals ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _require_positive(self, name: str) -> None:
        bad = self.column(name) <= 0
        if bad.any():
            raise NotPositiveError(
                f"Column {name!r} has {int(bad.sum())} values that are zero or negative: {places(self.frame, bad, self.unit, self.time)}. "
                "Drop or correct these rows first."
            )

    def _without(self, rows: np.ndarray, reason: str) -> Panel:
        if not rows.any():
            return self
        if rows.all():
            raise EmptyPanelError(f"No row is left after setting aside every row with: {reason}.")
        aside = self.frame[rows].assign(reason=reason)
        return replace(
            self,
            frame=self.frame[~rows].reset_index(drop=True),
            set_aside=aside.reset_index(drop=True) if self.set_aside.empty else pd.concat([self.set_aside, aside], ignore_index=True),
        )

    def _set_aside_always_treated(self) -> Panel:
        first_seen = self.frame[self.time].to_numpy()[self.unit_starts]
        always = self.unit_first_treated <= first_seen
        panel = self
        if always.any():
            labels = ", ".join(map(str, self.units[always][:5])) + (" …" if always.sum() > 5 else "")
            if always.all():
                raise NoComparisonError(f"Every unit is treated from its first row on ({labels}): nothing untreated to compare with.")
            warn_user(
                f"{int(always.sum())} units are treated in every period observed ({labels}) and are set aside: they have no row before "
                "treatment. See panel.set_aside.",
                SetAsideWarning,
            )
            panel = self._without(always[self.unit_codes], "treated in every observed period")
            first, last = panel.frame[self.time].agg(["min", "max"])
            if first == last:
                raise SinglePeriodError(f"Only {self.time} = {first} is left once units treated in every period ({labels}) are set aside.")
        panel._require_comparison()
        return panel

    def _require_comparison(self) -> None:
        cohort = self.unit_cohort_codes[self.unit_codes]
        treated = self.period_codes >= cohort
        if not treated.any():
            return
        if not np.isin(np.unique(self.period_codes[treated]), np.unique(self.period_codes[~treated])).any():
            first = self.periods[int(self.period_codes[treated].min())]
            raise NoComparisonError(
                f"From {self.time} = {first} on every unit is treated: no never- or not-yet-treated unit is left. "
                "Add untreated units or earlier-untreated cohorts."
            )

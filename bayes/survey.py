"""One pass over the index columns of a panel on disk: every check of :meth:`bayes.Panel.from_frame`, batch by batch, and what it counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes.errors import (
    DuplicateRowError,
    EmptyPanelError,
    NoComparisonError,
    NonAbsorbingTreatmentError,
    NotNumericError,
    NotPositiveError,
    RegionNotNestedError,
    SinglePeriodError,
    TreatmentTimingError,
)
from bayes.rows_on_disk import RowsOnDisk, codes, decoded, numbers, refuse_nulls, refuse_unusable, starts_of_units
from bayes.validation import NEVER, refuse_endless_grid

_EXAMPLES = 5


class OutOfOrder(Exception):
    """The rows are not sorted by unit and period, so they have to be before they can be checked."""


@dataclass(frozen=True)
class Roles:
    """Columns that index a panel."""

    unit: str
    time: str
    region: str | None
    first_treated: str | None
    treated: str | None
    weights: str | None

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.unit, *([self.region] if self.region is not None else []))

    @property
    def numeric(self) -> tuple[str, ...]:
        return (self.time, *(c for c in (self.first_treated, self.treated, self.weights) if c is not None))

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.labels, *self.numeric)))


@dataclass(frozen=True)
class _Last:
    """The last row of the batch before: its unit goes on into the next one."""

    unit: Any
    time: int
    region: int
    timing: float
    is_aside: bool


class Survey:
    """Running counts of a pass. ``n_rows``, ``n_units``: in use; ``aside_rows``, ``aside_units``: treated from their first row on;
    ``cuts``: rows, of all, at which blocks of whole units begin."""

    def __init__(self, rows: RowsOnDisk, roles: Roles) -> None:
        self.rows, self.roles = rows, roles
        self.n_rows = self.n_units = self.aside_rows = self.aside_units = self.offset = 0
        self.examples: list[str] = []
        self._last: _Last | None = None
        self._open = 0
        self._regions: dict[str, int] = {} if roles.region is not None else {"all": 0}
        self._units: Counter = Counter()  # (region, first treated period) of units in use
        self._lengths: Counter = Counter()
        self._all_periods: set[int] = set()
        self.cuts: list[int] = []
        self._next_cut = 0  # among rows in use
        self._periods: tuple[Counter, Counter] = (Counter(), Counter())  # rows in use by period: not treated, treated

    def add(self, batch: Any) -> None:
        """Check a batch and count it. Raises what :meth:`bayes.Panel.from_frame` raises, and :class:`OutOfOrder`."""
        if batch.num_rows == 0:
            return
        roles, unit = self.roles, decoded(batch.column(self.roles.unit))
        for name in (roles.unit, roles.time, *([roles.region] if roles.region is not None else [])):
            refuse_nulls(batch.column(name), name, self.rows, self.offset)
        time = self._whole(numbers(batch.column(roles.time)), unit)
        region = np.zeros(time.size, dtype=np.int64)
        if roles.region is not None:
            region = codes(batch.column(roles.region), self._regions)
        timing = self._timing(batch)
        check = _Batch(self, unit, time, region, timing)
        check.order()
        check.constant()
        if roles.weights is not None:
            check.weights(numbers(batch.column(roles.weights)))
        self._count(check)
        self.offset += time.size

    def _whole(self, values: np.ndarray, unit: Any) -> np.ndarray:
        bad = ~np.isfinite(values) | (values != np.round(values)) | (np.abs(values) > 2**52)
        if bad.any():
            row = int(np.argmax(bad))
            raise NotNumericError(
                f"Column {self.roles.time!r} must hold whole numbers such as years; found {values[row]:g} (unit {unit[row].as_py()}). "
                "Number the periods (2001, 2002, …; or consecutive quarters 0, 1, 2, …)."
            )
        return values.astype(np.int64)

    def _timing(self, batch: Any) -> np.ndarray:
        """First treated period of each row's unit, or 0/1 where timing comes from a treatment column; inf without timing."""
        if self.roles.treated is not None:
            return numbers(batch.column(self.roles.treated))
        if self.roles.first_treated is None:
            return np.full(batch.num_rows, NEVER)
        values = numbers(batch.column(self.roles.first_treated))
        return np.where(np.isnan(values) | (values == 0), NEVER, values)

    def _count(self, c: _Batch) -> None:
        switches = self.roles.treated is not None
        always = c.timing == 1 if switches else c.timing <= c.time
        begins = np.flatnonzero(c.starts)
        carried = self._last is not None and self._last.is_aside
        aside = np.r_[carried, always[begins]][np.cumsum(c.starts)]
        self._count_lengths(begins, aside, carried, c.time.size)
        self._cut(begins[~aside[begins]], aside)
        self.n_rows += int((~aside).sum())
        self.aside_rows += int(aside.sum())
        out, kept = begins[aside[begins]], begins[~aside[begins]]
        self.aside_units += out.size
        self.n_units += kept.size
        self.examples += [str(c.unit[int(b)].as_py()) for b in out[: max(_EXAMPLES - len(self.examples), 0)]]
        treated = c.timing == 1 if switches else c.timing <= c.time
        for counter, rows in zip(self._periods, (~aside & ~treated, ~aside & treated), strict=True):
            _add(counter, c.time[rows])
        self._all_periods.update(np.unique(c.time).tolist() if aside.any() else [])
        self._count_timing(c, kept, switches, aside)
        self._last = _Last(c.unit[-1:], int(c.time[-1]), int(c.region[-1]), float(c.timing[-1]), bool(aside[-1]))

    def _cut(self, kept: np.ndarray, aside: np.ndarray) -> None:
        """Rows at which blocks of whole units begin; :func:`bayes.did.groups.block_cuts` finds the same among the rows in use."""
        from bayes.did import groups

        place = self.n_rows + np.cumsum(~aside)[kept] - 1
        while (at := int(np.searchsorted(place, self._next_cut))) < place.size:
            self.cuts.append(self.offset + int(kept[at]))
            self._next_cut = int(place[at]) + groups.BLOCK_ROWS

    def _count_timing(self, c: _Batch, kept: np.ndarray, switches: bool, aside: np.ndarray) -> None:
        first = np.full(kept.size, NEVER) if switches else c.timing[kept]
        _add_pairs(self._units, c.region[kept], first, 1)
        if switches:  # a unit counted as never treated moves to its date when it switches on
            before = np.r_[self._last.timing if self._last is not None else 0.0, c.timing[:-1]]
            on = np.flatnonzero(~c.starts & ~aside & (c.timing == 1) & (before == 0))
            _add_pairs(self._units, c.region[on], c.time[on].astype(float), 1)
            _add_pairs(self._units, c.region[on], np.full(on.size, NEVER), -1)

    def _count_lengths(self, begins: np.ndarray, aside: np.ndarray, carried: bool, n: int) -> None:
        """Rows of the units that end in this batch; the last one stays open."""
        if not begins.size:
            self._open += n
            return
        if self._open + begins[0] and not carried:
            self._lengths[self._open + int(begins[0])] += 1
        lengths, used = np.diff(np.r_[begins, n]), ~aside[begins]
        _add(self._lengths, lengths[:-1][used[:-1]])
        self._open = int(lengths[-1])

    # ── after the pass ──────────────────────────────────────────────────────────────────────────────────────────────

    def require_rows(self) -> None:
        """Raises :class:`EmptyPanelError` and :class:`SinglePeriodError`."""
        if not self.offset:
            raise EmptyPanelError(f"{self.rows.label} has no rows. Check the filter or the program that wrote it.")
        seen = self._all_periods | set(self._periods[0]) | set(self._periods[1])
        used = set(self._periods[0]) | set(self._periods[1])
        if len(seen) == 1 or len(used) == 1:
            raise SinglePeriodError(
                f"Column {self.roles.time!r} holds one period only ({min(used or seen)}) in the rows that can be used. A panel needs at "
                "least two."
            )

    def require_comparison(self) -> None:
        """Raises :class:`NoComparisonError` when no period with treated rows has untreated ones."""
        untreated, treated = self._periods
        if treated and not any(untreated[t] for t in treated):
            raise NoComparisonError(
                f"From {self.roles.time} = {min(treated)} on every unit is treated: no never- or not-yet-treated unit is left. "
                "Add untreated units or earlier-untreated cohorts."
            )

    def grid(self) -> tuple[np.ndarray, int]:
        """The calendar grid of the rows in use, and its step."""
        seen = np.array(sorted(set(self._periods[0]) | set(self._periods[1])))
        refuse_endless_grid(seen, self.roles.time)
        step = int(np.gcd.reduce(np.diff(seen)))
        return np.arange(seen[0], seen[-1] + 1, step), step

    def timing(self) -> tuple[np.ndarray, pd.DataFrame]:
        """Labels of the regions in use, sorted, and units by region and first treated period."""
        label = {code: name for name, code in self._regions.items()}
        found = sorted((label[r], first, n) for (r, first), n in self._units.items() if n)
        table = pd.DataFrame(found, columns=["region", "first_treated", "units"])
        return np.array(sorted({r for r, _, _ in found}), dtype=object), table

    def lengths(self) -> dict[int, int]:
        """Number of units in use by their number of rows."""
        out = Counter(self._lengths)
        if self._open and self._last is not None and not self._last.is_aside:
            out[self._open] += 1
        return dict(sorted(out.items()))


def _add(counter: Counter, values: np.ndarray) -> None:
    """Count whole numbers; in linear time where they span little."""
    if not values.size:
        return
    low, high = int(values.min()), int(values.max())
    if high - low < 1_000_000:
        counts = np.bincount(values - low)
        found = np.flatnonzero(counts)
        counter.update(dict(zip((found + low).tolist(), counts[found].tolist(), strict=True)))
    else:
        counter.update(Counter(values.tolist()))


def _add_pairs(counter: Counter, region: np.ndarray, first: np.ndarray, sign: int) -> None:
    dates, place = np.unique(first, return_inverse=True)
    if dates.size:
        counts = np.bincount(region * dates.size + place)
        for code in np.flatnonzero(counts).tolist():
            counter[code // dates.size, float(dates[code % dates.size])] += sign * int(counts[code])


@dataclass(frozen=True)
class _Batch:
    """The rows of a batch beside the last row before it."""

    survey: Survey
    unit: Any
    time: np.ndarray
    region: np.ndarray
    timing: np.ndarray

    def __post_init__(self) -> None:
        last = self.survey._last
        starts, backwards = starts_of_units(self.unit, None if last is None else last.unit)
        object.__setattr__(self, "starts", starts)
        object.__setattr__(self, "backwards", backwards)

    def before(self, name: str) -> np.ndarray:
        last, values = self.survey._last, getattr(self, name)
        return np.r_[getattr(last, name) if last is not None else values[0], values[:-1]]

    def at(self, row: int) -> str:
        return f"{self.survey.roles.unit} {self.unit[int(row)].as_py()}, {self.survey.roles.time} {self.time[row]}"

    def order(self) -> None:
        same, step = ~self.starts, self.time - self.before("time")
        if self.backwards.any() or (same & (step < 0)).any():
            raise OutOfOrder
        repeated = same & (step == 0)
        if repeated.any():
            roles = self.survey.roles
            raise DuplicateRowError(
                f"A unit and period is repeated: {self.at(np.argmax(repeated))} ({int(repeated.sum())} in its batch of rows). Aggregate or "
                f"drop such rows; df[df.duplicated([{roles.unit!r}, {roles.time!r}], keep=False)] shows them."
            )

    def constant(self) -> None:
        same, roles = ~self.starts, self.survey.roles
        moved = same & (self.region != self.before("region"))
        if moved.any():
            row = int(np.argmax(moved))
            label = {code: name for name, code in self.survey._regions.items()}
            raise RegionNotNestedError(
                f"A unit is in region {label[int(self.before('region')[row])]!r} and in {label[int(self.region[row])]!r} (column "
                f"{roles.region!r}): {self.at(row)}. Give every unit one region for all periods."
            )
        if roles.treated is not None:
            self._absorbing(same)
        elif roles.first_treated is not None:
            self._one_date(same)

    def _one_date(self, same: np.ndarray) -> None:
        name, first = self.survey.roles.first_treated, self.timing
        changed = same & (first != self.before("timing"))
        if changed.any():
            row = int(np.argmax(changed))
            raise TreatmentTimingError(
                f"Column {name!r} gives a unit two first treated periods ({self.before('timing')[row]:g} and {first[row]:g}): "
                f"{self.at(row)}. It must be constant within a unit; for a 0/1 column use treated=."
            )
        odd = (first == -np.inf) | (np.isfinite(first) & (first != np.round(first)))
        if odd.any():
            row = int(np.argmax(odd))
            raise TreatmentTimingError(
                f"Column {name!r} must hold periods (whole numbers), or null, NaN, 0 or inf for never treated; found {first[row]:g}: "
                f"{self.at(row)}."
            )

    def _absorbing(self, same: np.ndarray) -> None:
        name = self.survey.roles.treated
        odd = ~np.isin(self.timing, (0.0, 1.0))
        if odd.any():
            row = int(np.argmax(odd))
            raise TreatmentTimingError(
                f"Column {name!r} must hold 0 and 1 only; found {self.timing[row]:g}: {self.at(row)}. A dose or share is not a treatment "
                "indicator."
            )
        off = same & (self.timing == 0) & (self.before("timing") == 1)
        if off.any():
            raise NonAbsorbingTreatmentError(
                f"Column {name!r} switches off again: {self.at(np.argmax(off))}. Staggered difference-in-differences needs an absorbing "
                "treatment; a treatment that comes and goes needs another design (for example switchers, de Chaisemartin and "
                "D'Haultfœuille 2024)."
            )

    def weights(self, values: np.ndarray) -> None:
        name = self.survey.roles.weights
        refuse_unusable(values, name, self.at)
        if (values <= 0).any():
            row = int(np.argmax(values <= 0))
            raise NotPositiveError(
                f"Column {name!r} has values that are zero or negative: {values[row]:g} at {self.at(row)}. Correct them first."
            )

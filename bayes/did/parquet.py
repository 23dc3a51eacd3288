"""Panels larger than memory: blocks of whole units read batch by batch from a Parquet file sorted by unit and period."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from math import gcd
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bayes.did.groups import Block
from bayes.errors import (
    DataError,
    DuplicateRowError,
    EmptyPanelError,
    MissingColumnError,
    MissingValueError,
    NoComparisonError,
    NotNumericError,
    NotPositiveError,
    RegionNotNestedError,
    SinglePeriodError,
    SpecificationError,
    TreatmentTimingError,
)


class ParquetBlocks(NamedTuple):
    """The arguments of :meth:`bayes.StaggeredDiD.collapse_blocks`, in its order. ``blocks`` can be read once."""

    blocks: Iterator[Block]
    n_periods: int
    period_start: int
    step: int
    regions: list[str]


def blocks_from_parquet(
    path: str | Path, *, unit: str, time: str, region: str | None, first_treated: str, outcome: str, covariates: Sequence[str] = (),
    weights: str | None = None, batch_rows: int = 131_072,
) -> ParquetBlocks:  # fmt: skip
    """Stream a panel into :meth:`bayes.StaggeredDiD.collapse_blocks`.

    A first pass reads periods and regions only; the blocks are read, checked and handed on one batch at a time, so that memory is that
    of a batch. The result equals that of :meth:`bayes.StaggeredDiD.collapse` on the same rows.

    Parameters
    ----------
    path : path
        Parquet file, sorted by unit and period; gaps are allowed. Only the named columns are read.
    unit, time : str
        Columns of the unit (numbers or text) and of the period (whole numbers).
    region : str or None
        Column of the region, constant within a unit; None: one region.
    first_treated : str
        First treated period, constant within a unit; null, NaN, 0 and inf mean never.
    outcome, covariates, weights : str, sequence of str, str or None
        Numeric columns. Weights are positive and averaged over a unit's rows.
    batch_rows : int
        Rows read at a time. Default: 131,072.

    Returns
    -------
    ParquetBlocks
        ``spec.collapse_blocks(*blocks_from_parquet(...))``.

    Raises
    ------
    MissingColumnError, NotNumericError, MissingValueError, EmptyPanelError, SinglePeriodError
        At once for columns and periods; while the blocks are read for NaN and infinity, naming unit and period.
    DataError, DuplicateRowError, RegionNotNestedError, TreatmentTimingError, NotPositiveError, NoComparisonError
        While the blocks are read: rows out of order, repeated rows, units in two regions or with two first treated periods, weights that
        are not positive; after the last block, units that are treated from their first row on (all counted) and no comparison left.
    """
    if isinstance(covariates, str):
        raise SpecificationError(f"covariates must be a list of columns, for example covariates=[{covariates!r}].")
    if not isinstance(batch_rows, int) or isinstance(batch_rows, bool) or batch_rows < 1:
        raise SpecificationError(f"batch_rows must be a whole number of at least 1, got {batch_rows!r}.")
    source = _Source(Path(path), unit, time, region, first_treated, (*covariates, outcome), weights, batch_rows)
    source.check_columns()
    periods, regions = _periods_and_regions(source)
    step = gcd(*np.diff(periods).tolist())
    grid = _Grid(periods[0], step, (periods[-1] - periods[0]) // step + 1, tuple(regions))
    return ParquetBlocks(_blocks(source, grid), grid.n_periods, grid.start, grid.step, regions)


@dataclass(frozen=True)
class _Grid:
    start: int
    step: int
    n_periods: int
    regions: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    """A file and the role of each column; ``values`` are the covariates and, last, the outcome."""

    path: Path
    unit: str
    time: str
    region: str | None
    first_treated: str
    values: tuple[str, ...]
    weights: str | None
    batch_rows: int

    @property
    def numeric(self) -> tuple[str, ...]:
        return (self.time, self.first_treated, *self.values, *([self.weights] if self.weights is not None else []))

    def check_columns(self) -> None:
        """Every column exists, and those that must be are numeric. Raises at the first that is not."""
        import pyarrow as pa
        import pyarrow.parquet as pq
        from pyarrow import types

        try:
            schema = pq.read_schema(self.path)
        except pa.ArrowInvalid as error:
            raise DataError(f"{self.path} is not a readable Parquet file: {error}. Write it again.") from error
        for name in (self.unit, *([self.region] if self.region is not None else []), *self.numeric):
            if name not in schema.names:
                have = ", ".join(schema.names[:12]) + (" …" if len(schema.names) > 12 else "")
                raise MissingColumnError(f"Column {name!r} does not exist in {self.path}. Columns: {have}.")
        for name in self.numeric:
            kind = schema.field(name).type
            kind = kind.value_type if types.is_dictionary(kind) else kind
            number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)
            if not (number or types.is_null(kind)):
                raise NotNumericError(
                    f"Column {name!r} of {self.path} holds {kind} where numbers are expected. Convert it before writing the file."
                )

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        import pyarrow.parquet as pq
        from pyarrow import types

        # Text read as a dictionary is compared once per distinct label instead of once per row.
        with pq.ParquetFile(self.path) as plain:
            text = self.region is not None and types.is_string(plain.schema_arrow.field(self.region).type)
        # Without pre-buffering, which would keep the bytes of every row group read so far.
        with pq.ParquetFile(self.path, read_dictionary=[self.region] if text else None, pre_buffer=False) as file:
            yield from file.iter_batches(self.batch_rows, columns=list(dict.fromkeys(columns)))


@dataclass(frozen=True)
class _Rows:
    """One batch in the types of the kernel. ``unit`` stays an Arrow array, the others are numpy arrays along rows."""

    unit: Any
    period: np.ndarray
    region: np.ndarray
    first_treated: np.ndarray
    values: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return self.period.size

    def __getitem__(self, rows: slice) -> _Rows:
        return _Rows(*(getattr(self, f.name)[rows] for f in fields(self)))

    def followed_by(self, other: _Rows) -> _Rows:
        import pyarrow as pa

        arrays = (np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)[1:])
        return _Rows(pa.concat_arrays([self.unit, other.unit]), *arrays)


def _decoded(column: Any) -> Any:
    from pyarrow import types

    return column.dictionary_decode() if types.is_dictionary(column.type) else column


def _numbers(column: Any) -> np.ndarray:
    """A numeric Arrow column as float64, null as NaN."""
    import pyarrow as pa
    from pyarrow import types

    column = _decoded(column)
    if types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _refuse_nulls(column: Any, name: str, source: _Source, offset: int) -> None:
    null = column.is_null(nan_is_null=True)
    missing = null.true_count
    if missing:
        row = offset + int(np.argmax(null.to_numpy(zero_copy_only=False)))
        raise MissingValueError(
            f"Column {name!r} of {source.path} has missing values (first in row {row}, counted from 0; {missing} in its batch). "
            "Every row needs a unit, a period and, if given, a region."
        )


def _periods_and_regions(source: _Source) -> tuple[list[int], list[str]]:
    """Distinct periods and region labels, sorted, from a pass over these two columns."""
    named = [source.time] + ([source.region] if source.region is not None else [])
    periods: set[float] = set()
    regions: set[str] = set()
    offset = 0
    for batch in source.batches(named):
        for name in named:
            _refuse_nulls(_decoded(batch.column(name)) if name == source.time else batch.column(name), name, source, offset)
        periods.update(_numbers(batch.column(source.time).unique()).tolist())
        if source.region is not None:
            regions.update(map(str, _decoded(batch.column(source.region).unique()).to_pylist()))
        offset += batch.num_rows
    if not periods:
        raise EmptyPanelError(f"{source.path} has no rows.")
    odd = sorted(p for p in periods if not np.isfinite(p) or p != round(p))
    if odd:
        raise NotNumericError(f"Column {source.time!r} of {source.path} must hold whole numbers such as years; found {odd[0]:g}.")
    if len(periods) == 1:
        raise SinglePeriodError(f"Column {source.time!r} of {source.path} holds one period only. A panel needs at least two.")
    return sorted(int(p) for p in periods), sorted(regions) or ["all"]


def _region_codes(column: Any, labels: tuple[str, ...]) -> np.ndarray:
    from pyarrow import types

    if not types.is_dictionary(column.type):
        column = column.dictionary_encode()
    place = {label: j for j, label in enumerate(labels)}
    lookup = np.array([place.get(str(label), -1) for label in column.dictionary.to_pylist()], dtype=np.int64)
    return lookup[column.indices.to_numpy(zero_copy_only=False)]


def _rows(batch: Any, source: _Source, grid: _Grid, offset: int) -> _Rows:
    unit = _decoded(batch.column(source.unit))
    _refuse_nulls(unit, source.unit, source, offset)
    period = (_numbers(batch.column(source.time)).astype(np.int64) - grid.start) // grid.step
    first = _numbers(batch.column(source.first_treated))
    first = np.where(np.isnan(first) | (first == 0), np.inf, first)
    region = np.zeros(period.size, dtype=np.int64)
    if source.region is not None:
        region = _region_codes(batch.column(source.region), grid.regions)
    values = np.column_stack([_numbers(batch.column(name)) for name in source.values])
    weights = _numbers(batch.column(source.weights)) if source.weights is not None else np.ones(period.size)
    return _Rows(unit, period, region, first, values, weights)


class _Places:
    """Checks one batch, the open unit before it included, and says where the first violation is."""

    def __init__(self, rows: _Rows, source: _Source, grid: _Grid) -> None:
        import pyarrow.compute as pc

        self.rows, self.source, self.grid = rows, source, grid
        before, after = rows.unit[:-1], rows.unit[1:]
        self.starts_unit = np.r_[True, pc.not_equal(after, before).to_numpy(zero_copy_only=False)]
        self.backwards = np.r_[False, pc.less(after, before).to_numpy(zero_copy_only=False)]

    def at(self, row: int) -> str:
        label = self.rows.unit[int(row)].as_py()
        return f"{self.source.unit} {label}, {self.source.time} {self.grid.start + self.grid.step * int(self.rows.period[row])}"

    def check(self) -> None:
        same = ~self.starts_unit[1:]
        step = np.diff(self.rows.period)
        self._order(np.r_[False, same & (step == 0)], self.backwards | np.r_[False, same & (step < 0)])
        self._constant(np.r_[False, same & (np.diff(self.rows.region) != 0)], np.r_[False, same & _changes(self.rows.first_treated)])
        self._numbers()

    def _order(self, repeated: np.ndarray, unsorted: np.ndarray) -> None:
        if unsorted.any():
            row = int(np.argmax(unsorted))
            raise DataError(
                f"The rows of {self.source.path} are not sorted by unit and period: {self.at(row)} follows {self.at(row - 1)}. Sort them, "
                f"for example polars.scan_parquet(old).sort({self.source.unit!r}, {self.source.time!r}).sink_parquet(new)."
            )
        if repeated.any():
            raise DuplicateRowError(
                f"A unit and period is repeated: {self.at(np.argmax(repeated))} ({int(repeated.sum())} in its batch). "
                "Aggregate or drop such rows."
            )

    def _constant(self, region: np.ndarray, first_treated: np.ndarray) -> None:
        if region.any():
            row = int(np.argmax(region))
            labels = [self.grid.regions[self.rows.region[r]] for r in (row - 1, row)]
            raise RegionNotNestedError(
                f"A unit is in region {labels[0]!r} and then in {labels[1]!r} (column {self.source.region!r}): {self.at(row)}. "
                "Give every unit one region for all periods."
            )
        if first_treated.any():
            row = int(np.argmax(first_treated))
            raise TreatmentTimingError(
                f"Column {self.source.first_treated!r} changes within a unit, from {self.rows.first_treated[row - 1]:g} to "
                f"{self.rows.first_treated[row]:g}: {self.at(row)}. It must be constant within a unit."
            )
        first = self.rows.first_treated
        odd = self.starts_unit & ((first == -np.inf) | (np.isfinite(first) & (first != np.round(first))))
        if odd.any():
            row = int(np.argmax(odd))
            raise TreatmentTimingError(
                f"Column {self.source.first_treated!r} must hold periods (whole numbers), or null, NaN, 0 or inf for never treated; "
                f"found {first[row]:g}: {self.at(row)}."
            )

    def _numbers(self) -> None:
        columns = [*zip(self.source.values, self.rows.values.T, strict=True), (self.source.weights, self.rows.weights)]
        for name, values in columns:
            bad = ~np.isfinite(values)
            if bad.any():
                raise MissingValueError(
                    f"Column {name!r} of {self.source.path} has missing or infinite values, the first at {self.at(np.argmax(bad))} "
                    f"({int(bad.sum())} in its batch). Fill them, or leave these rows out of the file: gaps are allowed."
                )
        if (self.rows.weights <= 0).any():
            row = int(np.argmax(self.rows.weights <= 0))
            raise NotPositiveError(
                f"Weights in column {self.source.weights!r} must be positive; found {self.rows.weights[row]:g} at {self.at(row)}."
            )


def _changes(values: np.ndarray) -> np.ndarray:
    return values[1:] != values[:-1]


class _Timing:
    """What only the whole file can tell: units treated from their first row on, and periods with and without untreated rows."""

    def __init__(self, source: _Source, grid: _Grid) -> None:
        self.source, self.grid = source, grid
        self.always, self.examples = 0, []
        self.rows = np.zeros((2, grid.n_periods), dtype=np.int64)

    def add(self, block: Block, rows: _Rows) -> None:
        first_seen = self.grid.start + self.grid.step * block.periods[block.starts]
        always = np.flatnonzero(rows.first_treated[block.starts] <= first_seen)
        self.always += always.size
        if len(self.examples) < 3:
            self.examples += [str(rows.unit[int(block.starts[u])].as_py()) for u in always[: 3 - len(self.examples)]]
        treated = block.periods >= np.repeat(block.cohorts, np.diff(np.r_[block.starts, block.periods.size]))
        every = np.bincount(block.periods, minlength=self.grid.n_periods)
        after = np.bincount(block.periods[treated], minlength=self.grid.n_periods)
        self.rows += [every - after, after]

    def check(self) -> None:
        if self.always:
            raise DataError(
                f"{self.always} units are treated from their first row on ({self.source.unit} {', '.join(self.examples)}"
                f"{' …' if self.always > 3 else ''}): they have no row before treatment. Leave them out of the file."
            )
        untreated, treated = self.rows
        if treated.any() and not (untreated[treated > 0] > 0).any():
            raise NoComparisonError(
                f"From {self.source.time} = {self.grid.start + self.grid.step * int(np.argmax(treated > 0))} on every unit is treated: no "
                "never- or not-yet-treated unit is left. Add untreated units or earlier-untreated cohorts."
            )


def _blocks(source: _Source, grid: _Grid) -> Iterator[Block]:
    """Blocks of whole units. The last unit of a batch waits for the next batch, which may continue it."""
    columns = [source.unit, *source.numeric, *([source.region] if source.region is not None else [])]
    timing = _Timing(source, grid)
    waiting: _Rows | None = None
    starts = np.zeros(1, dtype=np.int64)
    offset = 0
    for batch in source.batches(columns):
        rows = _rows(batch, source, grid, offset)
        offset += len(rows)
        rows = rows if waiting is None else waiting.followed_by(rows)
        places = _Places(rows, source, grid)
        places.check()
        starts = np.flatnonzero(places.starts_unit)
        waiting = rows[starts[-1] :]
        if starts.size > 1:
            yield _block(rows[: starts[-1]], starts[:-1], grid, timing)
    if waiting is not None:
        yield _block(waiting, np.zeros(1, dtype=np.int64), grid, timing)
    timing.check()


def _block(rows: _Rows, starts: np.ndarray, grid: _Grid, timing: _Timing) -> Block:
    lengths = np.diff(np.r_[starts, len(rows)])
    cohorts = np.ceil((rows.first_treated[starts] - grid.start) / grid.step)
    cohorts = np.where(cohorts < grid.n_periods, cohorts, np.inf)
    weights = np.add.reduceat(rows.weights, starts) / lengths
    block = Block(starts, rows.period, rows.values, rows.region[starts], cohorts, weights)
    timing.add(block, rows)
    return block

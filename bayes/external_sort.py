"""Sorting more rows than memory holds: ranges of units go to temporary files, and each file is sorted by itself.

Sampled labels cut the units into ranges of about equal size. One pass appends every row to the file of its range; the files, read one
after another and sorted in memory, then give all rows by unit and period. Disk holds one more copy of the columns in use, memory one range.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from bayes.errors import DataError
from bayes.rows_on_disk import RowsOnDisk, decoded, kinds_in, refuse_nulls

RANGE_ROWS = 2_000_000
"""Rows of one range, which is sorted in memory."""
_PARTITION_BATCH = 1_000_000
_SAMPLE = 200_000


def sorted_through_files(rows: RowsOnDisk, columns: Sequence[str], what: str) -> Iterator[Any]:
    """Record batches of ``columns`` by unit and period.

    Raises :class:`MissingValueError` for rows without unit or period and :class:`DataError` when the temporary files find no space.
    """
    columns = list(dict.fromkeys([rows.unit, rows.time, *columns]))
    with tempfile.TemporaryDirectory(prefix="bayes-sort-", dir=rows.scratch) as folder:
        try:
            files = _partition(rows, columns, Path(folder))
        except OSError as error:
            raise DataError(
                f"The rows of {rows.label} are not sorted by {rows.unit} and {rows.time}, and sorting them through {folder} failed: "
                f"{error}. Give Panel.scan(scratch=...) a folder with space for a copy, or write the rows sorted."
            ) from error
        yield from rows.told(_sorted_files(files, rows), what)


def _sorted_files(files: Sequence[Path], rows: RowsOnDisk) -> Iterator[Any]:
    import pyarrow as pa

    for file in files:
        with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as stream:
            table = stream.read_all()
        file.unlink()
        if table.num_rows:
            yield from table.sort_by([(rows.unit, "ascending"), (rows.time, "ascending")]).combine_chunks().to_batches(rows.batch_rows)


def _partition(rows: RowsOnDisk, columns: list[str], folder: Path) -> list[Path]:
    """One Arrow stream per range of units, in the order of the ranges."""
    import pyarrow as pa

    bounds, schema = _bounds(rows), _wide(rows, columns)
    files = [folder / f"{j:05d}.arrow" for j in range(len(bounds) + 1)]
    offset = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(pa.ipc.new_stream(stack.enter_context(pa.OSFile(str(f), "wb")), schema)) for f in files]
        for batch in rows.told(rows.batches(columns, _PARTITION_BATCH), "Sorting through temporary files"):
            for name in (rows.unit, rows.time):
                refuse_nulls(batch.column(name), name, rows, offset)
            offset += batch.num_rows
            table = pa.table({n: decoded(batch.column(n)) for n in columns})
            _append(table.cast(schema), rows.unit, bounds, writers)
    return files


def _wide(rows: RowsOnDisk, columns: Sequence[str]) -> Any:
    """Types that hold what all of the files bring: numbers in 64 bits, whole where they are in every file; text without a limit of size."""
    import pyarrow as pa
    from pyarrow import types

    def wide(kinds: Sequence[Any]) -> Any:
        if all(types.is_unsigned_integer(k) for k in kinds):
            return pa.uint64()
        if all(types.is_integer(k) or types.is_boolean(k) for k in kinds):
            return pa.int64()
        if all((types.is_primitive(k) and not types.is_temporal(k)) or types.is_decimal(k) for k in kinds):
            return pa.float64()
        return pa.large_string() if types.is_string(kinds[0]) else kinds[0]

    found = [kinds_in(file, columns) for file in rows.files]
    known = {name: [kinds[name] for kinds in found if not types.is_null(kinds[name])] for name in columns}
    return pa.schema([(name, wide(kinds or [pa.null()])) for name, kinds in known.items()])


def _append(table: Any, unit: str, bounds: np.ndarray, writers: Sequence[Any]) -> None:
    where = np.searchsorted(bounds, _labels(table.column(unit)), side="right")
    order = np.argsort(where.astype(np.uint16), kind="stable")
    ends = np.cumsum(np.bincount(where, minlength=len(writers)))
    ordered = table.take(order)
    for writer, start, end in zip(writers, np.r_[0, ends[:-1]], ends, strict=True):
        if end > start:
            writer.write_table(ordered.slice(start, end - start))


def _labels(column: Any) -> np.ndarray:
    return decoded(column).to_numpy() if hasattr(column, "chunks") else decoded(column).to_numpy(zero_copy_only=False)


def _bounds(rows: RowsOnDisk) -> np.ndarray:
    """Units that open a new range, from every k-th row."""
    n_ranges = min(-(-rows.n_rows // RANGE_ROWS), 4_096)
    if n_ranges <= 1:
        return np.zeros(0)
    every, sample, offset = max(1, rows.n_rows // _SAMPLE), [], 0
    for batch in rows.batches([rows.unit], _PARTITION_BATCH):
        refuse_nulls(batch.column(0), rows.unit, rows, offset)
        offset += batch.num_rows
        sample.append(_labels(batch.column(0).take(np.arange(0, batch.num_rows, every))))
    seen = np.sort(np.concatenate(sample))
    return np.unique(seen[np.linspace(0, seen.size, n_ranges + 1)[1:-1].astype(int)])

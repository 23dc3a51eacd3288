"""Rows that stay in Parquet files: which files, which columns, and batches of rows sorted by unit and period, never all at once."""

from __future__ import annotations

import glob
import re
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bayes.errors import DataError, LabelError, MissingColumnError, MissingValueError, NotNumericError, SpecificationError, TooLargeError
from bayes.progress import is_shown, say
from bayes.validation import LARGEST
from bayes.writing import file_path

BATCH_ROWS = 131_072
"""Rows read at a time."""


@dataclass(frozen=True)
class RowsOnDisk:
    """Parquet files that together hold the rows of one panel.

    Attributes
    ----------
    files : tuple of Path
        In the order of the first unit of each, as far as the files say.
    unit, time : str
        Columns of the unit and of the period.
    n_rows : int
        Rows of all files.
    stamp : tuple
        Size and time of change of each file when it was scanned: a panel must not change between two passes over it.
    is_sorted : bool
        Rows come by unit and period as they are. Otherwise every pass sorts them through temporary files in ``scratch``.
    scratch : Path or None
        Folder of temporary files; None: the system's.
    batch_rows : int
        Rows read at a time.
    progress : bool or None
        Report rows read; None: on a terminal only.
    within : tuple of pairs or None
        First row and the one after the last that are read of each file; None: all.
    """

    files: tuple[Path, ...]
    unit: str
    time: str
    n_rows: int
    stamp: tuple[tuple[int, int], ...]
    is_sorted: bool = True
    scratch: Path | None = None
    batch_rows: int = BATCH_ROWS
    progress: bool | None = field(default=None, compare=False)
    within: tuple[tuple[int, int], ...] | None = None

    @property
    def label(self) -> str:
        """What the rows are called in messages."""
        return str(self.files[0]) if len(self.files) == 1 else f"{self.files[0].parent} ({len(self.files)} files)"

    def sorted_batches(self, columns: Sequence[str], what: str) -> Iterator[Any]:
        """Record batches of these columns by unit and period. Raises :class:`DataError` when the files changed since the scan."""
        self.require_unchanged()
        return self.told(self.batches(columns), what) if self.is_sorted else self._sorted_through_files(columns, what)

    def require_unchanged(self) -> None:
        """Raises :class:`DataError` when the files changed since the scan."""
        if self.stamp != stamps(self.files):
            raise DataError(f"{self.label} changed after it was scanned. Scan it again with Panel.scan.")

    def batches(self, columns: Sequence[str], size: int | None = None) -> Iterator[Any]:
        """Record batches in the order of the files."""
        for file, within in zip(self.files, self.within or (None,) * len(self.files), strict=True):
            yield from _file_batches(file, list(dict.fromkeys(columns)), self.unit, size or self.batch_rows, within)

    def partitions(self, starts: Sequence[int]) -> list[RowsOnDisk]:
        """Sorted rows in parts that begin at these rows, counted over all files; rows before the first of them are left out."""
        import pyarrow.parquet as pq

        first = np.cumsum([0, *(pq.read_metadata(file).num_rows for file in self.files)]).tolist()
        parts = []
        for start, stop in pairwise([*starts, first[-1]]):
            spans = {j: (max(start - a, 0), min(stop, b) - a) for j, (a, b) in enumerate(pairwise(first)) if max(a, start) < min(b, stop)}
            files, stamp = tuple(self.files[j] for j in spans), tuple(self.stamp[j] for j in spans)
            n_rows = stop - start
            parts.append(replace(self, files=files, stamp=stamp, n_rows=n_rows, progress=False, within=tuple(spans.values())))
        return parts

    def told(self, batches: Iterator[Any], what: str) -> Iterator[Any]:
        """The batches, with a line of progress now and then."""
        done, last, shown = 0, clock.monotonic(), is_shown(self.progress)
        for batch in batches:
            yield batch
            done += batch.num_rows
            if shown and (done == self.n_rows or clock.monotonic() - last > 0.5):
                last = clock.monotonic()
                say(f"{what}: {done:,} of {self.n_rows:,} rows", stays=done == self.n_rows)

    def _sorted_through_files(self, columns: Sequence[str], what: str) -> Iterator[Any]:
        from bayes.external_sort import sorted_through_files

        return sorted_through_files(self, columns, what)


def find_rows(
    source: Any, unit: str, time: str, numeric: Sequence[str], labels: Sequence[str], scratch: Any, progress: bool | None
) -> RowsOnDisk:
    """The files that ``source`` names, their columns checked.

    Raises :class:`DataError` (no file, unreadable file), :class:`MissingColumnError`, :class:`NotNumericError` and :class:`LabelError`.
    """
    import pyarrow.parquet as pq

    files = find_files(source)
    n_rows, first = 0, []
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                check_columns(file, opened.schema_arrow, numeric, labels)
                n_rows += opened.metadata.num_rows
                first.append(_first_unit(opened.metadata, unit))
        except (OSError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{file} is not a readable Parquet file: {error}. Write it again, or leave it out of the folder.") from error
    _refuse_mixed_labels(files, labels)
    known = [f for f in first if f is not None]
    if len(known) == len(files) and len({type(f) for f in known}) == 1:
        files = tuple(files[j] for j in sorted(range(len(files)), key=lambda j: (first[j], str(files[j]))))
    return RowsOnDisk(files, unit, time, n_rows, stamps(files), True, _scratch(scratch), BATCH_ROWS, progress)


def _refuse_mixed_labels(files: Sequence[Path], labels: Sequence[str]) -> None:
    """Raises :class:`LabelError` where a unit is text in one file and a number in the other: the same unit would be two."""
    from pyarrow import types

    first: dict[str, tuple[str, Path]] = {}
    for file in files:
        for name, kind in kinds_in(file, labels).items():
            if types.is_null(kind):  # a file without rows, or without a label
                continue
            text = types.is_string(kind) or types.is_large_string(kind)
            word = "whole numbers" if types.is_integer(kind) else "text" if text else str(kind)
            known, where = first.setdefault(name, (word, file))
            if known != word:
                raise LabelError(f"Column {name!r} holds {known} in {where} and {word} in {file}. Write it alike in all files.")


def _scratch(folder: Any) -> Path | None:
    if folder is None:
        return None
    if not file_path(folder).is_dir():
        raise SpecificationError(f"scratch={str(folder)!r} is not a folder. Give one with space for a copy of the columns in use.")
    return file_path(folder)


def find_files(source: Any) -> tuple[Path, ...]:
    """A file, the Parquet files in a folder (and below), or those that a pattern with * matches, by name."""
    path = file_path(source)
    if path.is_dir():
        inside = (f for f in path.rglob("*.parquet") if f.is_file())
        found = sorted(f for f in inside if not any(p.startswith((".", "_")) for p in f.relative_to(path).parts))
    elif path.is_file():
        found = [path]
    else:
        found = sorted(Path(f) for f in glob.glob(str(path), recursive=True) if Path(f).is_file())
    if not found:
        raise DataError(
            f"{path} names no Parquet file. Give a file, a folder that holds *.parquet files, or a pattern such as 'rows/*.parquet'."
        )
    return tuple(found)


def stamps(files: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    try:
        return tuple((s.st_size, s.st_mtime_ns) for s in (f.stat() for f in files))
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read any more ({error.strerror}). Scan the panel again with Panel.scan.") from error


def _first_unit(metadata: Any, unit: str) -> Any:
    """Smallest unit of the first row group as its statistics have it; None where they do not."""
    place = metadata.schema.names.index(unit) if unit in metadata.schema.names else -1
    if place < 0 or metadata.num_row_groups == 0:
        return None
    statistics = metadata.row_group(0).column(place).statistics
    return statistics.min if statistics is not None and statistics.has_min_max else None


def check_columns(file: Path, schema: Any, numeric: Sequence[str], labels: Sequence[str] = ()) -> None:
    """Every column exists, in the file or in the name of a folder, and those that must be are numeric."""
    import pyarrow as pa
    from pyarrow import types

    of_folders = _folder_columns(file)
    for name in (*labels, *numeric):
        if schema.names.count(name) > 1:
            raise MissingColumnError(f"Column {name!r} exists more than once in {file}. Rename the copies.")
        if name not in schema.names and name not in of_folders:
            have = ", ".join(schema.names[:12]) + (" …" if len(schema.names) > 12 else "")
            raise MissingColumnError(f"Column {name!r} does not exist in {file}. Columns: {have}.")
    for name in labels:
        kind = kind_of(schema, name)
        if kind is not None and (types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType)):
            raise LabelError(f"Column {name!r} of {file} holds {kind}, which is no label. Write it as text or as numbers.")
    for name in numeric:
        if name in schema.names:
            kind = kind_of(schema, name)
            number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)
            number = number or types.is_null(kind)
        else:
            kind, number = "text", not isinstance(of_folders[name], str)
        if not number:
            raise NotNumericError(f"Column {name!r} of {file} holds {kind} where numbers are expected. Convert it before writing the file.")


def kind_of(schema: Any, name: str) -> Any:
    """Arrow type of a column's values, those of a dictionary decoded; None for a column that is not in the file."""
    from pyarrow import types

    kind = schema.field(name).type if name in schema.names else None
    return kind.value_type if kind is not None and types.is_dictionary(kind) else kind


def kinds_in(file: Path, names: Sequence[str]) -> dict[str, Any]:
    """Arrow type of the values of each column, in the file or in the name of a folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, of_folders = pq.read_schema(file), _folder_columns(file)
    return {name: kind_of(schema, name) if name in schema.names else pa.infer_type([of_folders[name]]) for name in names}


def require_numbers(rows: RowsOnDisk, names: Sequence[str]) -> None:
    """Check columns that come into use after the scan. Raises :class:`MissingColumnError` and :class:`NotNumericError`."""
    import pyarrow.parquet as pq

    for file in rows.files:
        check_columns(file, pq.read_schema(file), names)


_WHOLE = re.compile(r"-?[0-9]+")


def _folder_columns(file: Path) -> dict[str, Any]:
    """Columns that the folders above a file spell as name=value, as tools that partition tables write them."""
    pairs = (part.split("=", 1) for part in file.parent.parts if "=" in part)
    return {name: int(value) if _WHOLE.fullmatch(value) else value for name, value in pairs}


def _file_batches(file: Path, columns: list[str], unit: str, size: int, within: tuple[int, int] | None = None) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import types

    with pq.ParquetFile(file) as opened:
        schema = opened.schema_arrow
    constant = {n: v for n, v in _folder_columns(file).items() if n in columns and n not in schema.names}
    # Text read as a dictionary is compared once per distinct label instead of once per row.
    text = [n for n in columns if n != unit and n in schema.names and types.is_string(schema.field(n).type)]
    inside = [n for n in columns if n not in constant]
    # Without pre-buffering, which would keep the bytes of every row group read so far.
    with pq.ParquetFile(file, read_dictionary=text, pre_buffer=False) as opened:
        for batch in _batches_within(opened, size, inside, within):
            if not constant:
                yield batch
                continue
            arrays = [pa.array([constant[n]] * batch.num_rows) if n in constant else batch.column(n) for n in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=columns)


def _batches_within(opened: Any, size: int, columns: list[str], within: tuple[int, int] | None) -> Iterator[Any]:
    """Batches of an open file, or of some of its rows: of the row groups that hold them, cut to them."""
    if within is None:
        yield from opened.iter_batches(size, columns=columns)
        return
    start, stop = within
    ends = np.cumsum([opened.metadata.row_group(j).num_rows for j in range(opened.metadata.num_row_groups)])
    groups = np.flatnonzero((ends > start) & (np.r_[0, ends[:-1]] < stop))
    at = int(np.r_[0, ends][groups[0]])
    for batch in opened.iter_batches(size, row_groups=groups.tolist(), columns=columns):
        low, high = max(start - at, 0), min(stop - at, batch.num_rows)
        at += batch.num_rows
        if low < high:
            yield batch.slice(low, high - low)
        if at >= stop:
            return


# ── columns of a batch ──────────────────────────────────────────────────────────────────────────────────────────────


def decoded(column: Any) -> Any:
    from pyarrow import types

    return column.dictionary_decode() if types.is_dictionary(column.type) else column


def numbers(column: Any) -> np.ndarray:
    """A numeric Arrow column as float64, null as NaN."""
    import pyarrow as pa
    from pyarrow import types

    column = decoded(column)
    if types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def refuse_nulls(column: Any, name: str, rows: RowsOnDisk, offset: int) -> None:
    """Raises :class:`MissingValueError` for a row without unit, period or region."""
    null = decoded(column).is_null(nan_is_null=True) if column.null_count or str(column.type) in ("float", "double") else None
    if null is not None and null.true_count:
        row = offset + int(np.argmax(null.to_numpy(zero_copy_only=False)))
        raise MissingValueError(
            f"Column {name!r} of {rows.label} has missing values (first in row {row}, counted from 0; {null.true_count} in its batch). "
            "Every row needs a unit, a period and, if given, a region."
        )


def refuse_unusable(values: np.ndarray, name: str, place: Callable[[int], str]) -> None:
    """Numbers of a batch (rows,) that no sum can hold; ``place`` words a row.

    Raises :class:`MissingValueError` (NaN, infinite) and :class:`TooLargeError`, as :meth:`bayes.Panel.column`.
    """
    if (np.abs(values) <= LARGEST).all():  # neither NaN nor infinite either
        return
    bad = ~np.isfinite(values)
    if bad.any():
        raise MissingValueError(
            f"Column {name!r} has missing or infinite values, the first at {place(int(np.argmax(bad)))} ({int(bad.sum())} in its batch of "
            "rows). Fill them, or leave these rows out of the files: gaps are allowed."
        )
    raise TooLargeError(
        f"Column {name!r} has values beyond {LARGEST:g}, the first at {place(int(np.argmax(np.abs(values) > LARGEST)))}. If they stand for "
        "missing values, leave these rows out of the files; otherwise choose another unit."
    )


def codes(column: Any, known: dict[str, int]) -> np.ndarray:
    """Labels as whole numbers; labels that are not ``known`` yet are numbered on."""
    from pyarrow import types

    if not types.is_dictionary(column.type):
        column = column.dictionary_encode()
    lookup = np.array([known.setdefault(str(label), len(known)) for label in column.dictionary.to_pylist()], dtype=np.int64)
    return lookup[column.indices.to_numpy(zero_copy_only=False)]


def starts_of_units(unit: Any, last: Any) -> tuple[np.ndarray, np.ndarray]:
    """Per row of a batch: the unit differs from that of the row before; it comes before it. ``last``: unit of the batch before, or None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    unit = decoded(unit)
    if last is not None:
        unit = pa.concat_arrays([decoded(last).cast(unit.type), unit])
    before, after = unit[:-1], unit[1:]
    new, lower = (f(after, before).to_numpy(zero_copy_only=False) for f in (pc.not_equal, pc.less))
    return (new, lower) if last is not None else (np.r_[True, new], np.r_[False, lower])

"""Panels that stay on disk, ten million rows or as many as ``--rows`` says: speed and peak memory beside those of the rows in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.benchmarks import simulate
from tests.benchmarks.process import job
from tests.benchmarks.table import Result

ROWS = "BAYES_SCAN_ROWS"
"""Environment variable with the number of rows, which ``--rows`` sets."""
IN_MEMORY = 20_000_000
"""Rows up to which the panel is also read into memory, and also sorted from random order."""
MEMORY = 4_000
"""Target for the whole process, in MB."""
_LATE, _GAP = 0.3, 0.1


def results(quick: bool) -> Iterator[Result]:
    """Scan and collapse a generated file with late entry and gaps; memory of fresh processes, imports included."""
    wanted = 1_000_000 if quick else int(os.environ.get(ROWS, 10_000_000))
    with tempfile.TemporaryDirectory(prefix="bayes-bench-") as folder:
        path = Path(folder) / "rows.parquet"
        rows = write_unbalanced(path, wanted)
        size = f"{rows:,} rows in {path.stat().st_size / 1e6:,.0f} MB, sorted, 30 % of units late, 10 % with a gap"
        disk = job("scanned", path=str(path)).report
        yield from _figures(f"{rows / 1e6:.0f} M rows on disk", rows, disk, size)
        if rows > IN_MEMORY:
            return
        memory = job("in_memory", path=str(path)).report
        yield from _figures(f"{rows / 1e6:.0f} M rows in memory", rows, memory, "read_parquet, Panel.from_frame, collapse", targets=False)
        apart = abs(disk["likelihood"] / memory["likelihood"] - 1)
        yield Result("log likelihood: on disk / in memory − 1", apart, "", 1e-9, details=f"{disk['likelihood']:.9g}")
        shuffle(path)
        again = job("scanned", path=str(path)).report
        yield from _figures(f"{rows / 1e6:.0f} M rows on disk, random order", rows, again, "sorted through files twice", targets=False)


def _figures(name: str, rows: int, r: dict, words: str, targets: bool = True) -> Iterator[Result]:
    seconds = r["check"] + r["sum"]
    details = f"{words}: checked in {r['check']:.1f} s, summed in {r['sum']:.1f} s, CPU {r['cpu']:.1f} s; {r['groups']:,} groups"
    yield Result(f"{name}: both passes", rows / seconds / 1e6, " M rows/s", None, details=details)
    yield Result(f"{name}: peak memory", r["peak"] / 1e6, " MB", MEMORY if targets else None, details="resident, fresh process")


def write_unbalanced(path: Path, rows: int, seed: int = 7, units_per_group: int = 57_000) -> int:
    """The synthetic panel with a covariate x (float32) and rows missing; sorted, piece by piece. Returns the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    years = simulate.PERIODS.size
    # Mean rows of a unit: late ones miss 1 to 3 years, those with a gap one year.
    n_units = round(rows / (years - 2 * _LATE - _GAP))
    writer, written = None, 0
    for first in range(0, n_units, units_per_group):
        n = min(units_per_group, n_units - first)
        piece = simulate.columns(n, seed, first)
        keep, x = _kept(n, years, np.random.default_rng([seed, first, 1]))
        piece["x"] = x.astype(np.float32)
        piece["y"] = piece["y"] + 0.3 * piece["x"]
        table = pa.table({k: v[keep] for k, v in piece.items()} | {"region": _text(piece["region"][keep])})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
        written += table.num_rows
    writer.close()
    return written


def _text(codes: np.ndarray):
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(codes, list(simulate.REGIONS))


def _kept(n: int, years: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    year = np.arange(years)
    entry = np.where(rng.random(n) < _LATE, rng.integers(1, 4, n), 0)
    gap = np.where(rng.random(n) < _GAP, rng.integers(4, years - 1, n), -1)
    return ((year >= entry[:, None]) & (year != gap[:, None])).ravel(), rng.normal(size=n * years)


def shuffle(path: Path, seed: int = 3) -> None:
    """Rewrite a file with its rows in random order. Takes the rows into memory."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    order = np.random.default_rng(seed).permutation(table.num_rows)
    pq.write_table(table.take(order), path, row_group_size=500_000)

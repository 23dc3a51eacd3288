"""Panels of three hundred thousand to thirty million rows: time must depend on columns, not on rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.benchmarks import simulate
from tests.benchmarks.process import job
from tests.benchmarks.table import Result

_SIZE = {"draws": 500, "tune": 300, "chains": 4}


def against_rows(quick: bool) -> Iterator[Result]:
    """313,500 rows. The row-level model is not sampled there: its gradient is timed, and draws cost what they cost at 3,135 rows."""
    size = {"draws": 200, "tune": 200, "chains": 2} if quick else _SIZE
    small = job("rows_nutpie", units=simulate.UNITS, seed=1, **size).report
    ours = job("collapsed", units=100 * simulate.UNITS, sampler="nutpie", seed=1, **size).report
    gradient = job("rows_gradient", units=100 * simulate.UNITS, repeats=10).report
    seconds = gradient["milliseconds"] / 1e3 * small["gradients"] / small["ess"]
    ratio = seconds * ours["ess"] / ours["cpu"]
    words = (
        f"CPU seconds per effective draw. Row-level EXTRAPOLATED: {gradient['milliseconds']:.0f} ms a gradient at 313,500 rows (JAX) × "
        f"{small['gradients'] / small['ess']:.0f} gradients per effective draw (nutpie, warm-up included, at 3,135 rows); "
        f"collapsed sampled: min ESS {ours['ess']:.0f} in {ours['cpu']:.1f} CPU s"
    )
    yield Result("313,500 rows: collapsed / row-level", ratio, "×", 200, True, words)


def sampling_time(quick: bool) -> Iterator[Result]:
    """The same sampler settings at 3,135 and 3,135,000 rows."""
    size = {"draws": 200, "tune": 200, "chains": 2} if quick else _SIZE
    runs = [job("sampling_phase", units=units, seed=1, **size).report for units in (simulate.UNITS, 1000 * simulate.UNITS)]
    words = "; ".join(
        f"{r['rows']:,} rows: {r['seconds']:.1f} s (CPU {r['cpu']:.1f} s), {r['gradients']:,} gradients after warm-up, "
        f"collapsed in {r['collapse']:.2f} s"
        for r in runs
    )
    yield Result("sampling at 3.1 M rows / at 3,135", runs[1]["cpu"] / runs[0]["cpu"], "×", 1.5, details=f"CPU time; {words}")


def parquet(quick: bool) -> Iterator[Result]:
    """Rows per second from a Parquet file, and the peak memory of the whole process, at 3.1 and 31 million rows."""
    for thousands in (1,) if quick else (1, 10):
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "panel.parquet")
            rows = simulate.write_parquet(path, thousands * 1000 * simulate.UNITS)
            megabytes = Path(path).stat().st_size / 1e6
            r = job("collapse_parquet", path=path, repeats=7 if thousands == 1 else 1).report
        seconds, cpu = np.median(r["seconds"]), np.median(r["cpu"])
        rate = rows / seconds / 1e6
        words = f"{rows:,} rows ({megabytes:.0f} MB): median of {len(r['seconds'])}, {seconds:.2f} s (CPU {cpu:.2f} s)"
        yield Result(f"collapsing {rows / 1e6:.1f} M rows from Parquet", rate, " M rows/s", 3, True, words)
        memory = r["peak"] / 1e6
        yield Result(f"peak memory, {rows / 1e6:.1f} M rows", memory, " MB", 1000, details="resident, whole process with its imports")

"""Work on one and two worker processes: the same work (strong scaling) and work that grows with them (weak scaling).

Wall seconds say what a user waits; where other jobs share the cores they say little, and the CPU seconds of workers and of the process that
collects say what a cluster of idle machines would need.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.process import job
from tests.benchmarks.scan import write_unbalanced
from tests.benchmarks.table import Result

PARTS = 2_100_000
"""Rows that one worker sums at a time, roughly."""


def results(quick: bool) -> Iterator[Result]:
    yield from _sums(2 if quick else 16)
    yield from _refits(40 if quick else 2000)
    yield from _replicates(4 if quick else 80)


def _sums(parts: int) -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="bayes-bench-") as folder:
        rows, runs = {}, {}
        for name, wanted in (("half", parts * PARTS // 2), ("whole", parts * PARTS)):
            path = Path(folder) / f"{name}.parquet"
            rows[name] = write_unbalanced(path, wanted)
            for workers in (0, 1, 2) if name == "whole" else (1,):
                runs[name, workers] = job("sums", module="scaling_jobs", path=str(path), workers=workers).report
    for (name, workers), run in runs.items():
        where = {0: "in this process", 1: "1 worker", 2: "2 workers"}[workers]
        used = run["workers"] if workers else run["here"]
        yield Result(
            f"sums of {rows[name] / 1e6:.1f} M rows, {where}", rows[name] / used / 1e6, " M rows/CPU s", details=_words(run, workers)
        )
    yield from _scaling("sums", runs["whole", 1], runs["whole", 2], runs["half", 1])
    apart = max(abs(runs["whole", w]["likelihood"] / runs["whole", 0]["likelihood"] - 1) for w in (1, 2))
    yield Result("sums, log likelihood: workers / this process − 1", apart, "", 0.0, details="the same to the last bit")


def _refits(n: int) -> Iterator[Result]:
    sizes = {("whole", 0): n, ("whole", 1): n, ("whole", 2): n, ("half", 1): n // 2}
    runs = {key: job("refits", module="scaling_jobs", n=size, workers=key[1]).report for key, size in sizes.items()}
    for key, run in runs.items():
        where = {0: "in this process, 1 thread", 1: "1 worker", 2: "2 workers"}[key[1]]
        words = f"{_words(run, key[1])}; each worker compiles once; {run['refit_seconds']:.1f} s of refits, the rest is the true dates'"
        yield Result(f"{sizes[key]} placebo refits, {where}", run["refit_seconds"], " s", details=words)
    yield from _scaling("placebo refits", runs["whole", 1], runs["whole", 2], runs["half", 1], "refit_seconds")
    same = runs["whole", 0]["p"] == runs["whole", 1]["p"] == runs["whole", 2]["p"]
    yield Result("placebo refits: the same p-value", float(same), "", 1.0, True)


def _replicates(n: int) -> Iterator[Result]:
    sizes = {("whole", 1): n, ("whole", 2): n, ("half", 1): n // 2}
    runs = {key: job("replicates", module="scaling_jobs", n=size, workers=key[1]).report for key, size in sizes.items()}
    for key, run in runs.items():
        where = {1: "1 worker", 2: "2 workers"}[key[1]]
        yield Result(f"calibration, {sizes[key]} replicates, {where}", run["seconds"], " s", details=_words(run, key[1]))
    yield from _scaling("calibration", runs["whole", 1], runs["whole", 2], runs["half", 1])
    yield Result("calibration: the same ranks", float(runs["whole", 1]["ranks"] == runs["whole", 2]["ranks"]), "", 1.0, True)


def _words(run: dict[str, Any], workers: int) -> str:
    if not workers:
        return f"{run['seconds']:.1f} s, CPU {run['here']:.1f} s"
    return f"{run['seconds']:.1f} s, CPU {run['workers']:.1f} s on workers and {run['here']:.1f} s here (scheduler included)"


def _scaling(what: str, one: dict[str, Any], two: dict[str, Any], half: dict[str, Any], seconds: str = "seconds") -> Iterator[Result]:
    cpu = f"CPU of workers {two['workers']:.1f} and {one['workers']:.1f} s"
    yield Result(f"{what}, strong scaling: 1 worker / 2 workers", one[seconds] / two[seconds], "×", None, details=f"ideal 2; {cpu}")
    cpu = f"CPU of workers {two['workers']:.1f} and {half['workers']:.1f} s"
    words = f"ideal 1; {cpu}"
    yield Result(f"{what}, weak scaling: half the work, 1 worker / the whole, 2 workers", half[seconds] / two[seconds], "×", details=words)

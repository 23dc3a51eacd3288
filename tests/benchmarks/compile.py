"""From the start of a process to the first draw: imports, and the start of sampling, with and without compiled programs on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.process import job
from tests.benchmarks.table import Result

CASES = {
    "difference-in-differences, nutpie": "did",
    "frontier, pooled, BlackJAX": "pooled",
    "frontier, true random effects, BlackJAX": "true-random-effects",
}


def results(quick: bool) -> Iterator[Result]:
    """Three processes each: nothing on disk; other data of the same shape with what the first left; the same with the cache off."""
    for name, kind in list(CASES.items())[: 1 if quick else None]:
        with tempfile.TemporaryDirectory() as folder:
            with _cache(folder):
                first, second = (job("started", "compile_jobs", kind=kind, seed=seed) for seed in (1, 2))
            with _cache("off"):
                off = job("started", "compile_jobs", kind=kind, seed=2)
        words = f"imports {second.report['imports']:.1f} s; CPU {second.report['cpu']:.1f} s after imports"
        yield Result(f"{name}: second process, other data, imports to sampling", second.report["start"], " s", 5, details=words)
        for label, run in (("first process, empty cache", first), ("second process, cache off", off)):
            words = f"imports {run.report['imports']:.1f} s; CPU {run.report['cpu']:.1f} s after imports"
            yield Result(f"{name}: {label}", run.report["start"], " s", details=words)
        words = f"{second.report['again_compiled']} programs compiled"
        yield Result(f"{name}: refit in the same process", second.report["again"], " s", 1, details=words)


@contextmanager
def _cache(folder: str) -> Iterator[None]:
    before = os.environ.get("BAYES_CACHE")
    os.environ["BAYES_CACHE"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["BAYES_CACHE"]
        else:
            os.environ["BAYES_CACHE"] = before

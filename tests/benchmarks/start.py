"""Waiting times a user feels: import, a cached fit, and the main script from a cold start."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator

from tests.benchmarks.process import ROOT, command, job
from tests.benchmarks.table import Result


def results(quick: bool) -> Iterator[Result]:
    code = "import time; start = time.perf_counter(); import bayes; print(time.perf_counter() - start)"
    times = [float(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT)) for _ in range(5)]
    yield Result("import bayes", min(times), " s", 0.3, details="best of 5 processes")
    with tempfile.TemporaryDirectory() as folder:
        first = job("cached_fit", folder=folder).report
        again = [job("cached_fit", folder=folder).report for _ in range(1 if quick else 3)]
    loaded = "; imports a sampler" if any(r["samplers"] for r in again) else ", no sampler imported"
    words = f"castle, best of {len(again)} processes{loaded}; first fit {first['seconds']:.1f} s"
    yield Result("cached fit", min(r["seconds"] for r in again), " s", 2, details=words)


def script(quick: bool) -> Iterator[Result]:
    """The main job from start to report, in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        run = command([sys.executable, "models/castle_doctrine.py", "--out", folder])
    yield Result("models/castle_doctrine.py", run.seconds, " s", 90, details=f"one cold process, CPU {run.cpu_seconds:.1f} s")

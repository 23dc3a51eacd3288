"""Run a job in a fresh Python process and measure it from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """``seconds`` of wall time and ``cpu_seconds`` of a whole process with its children, and what it reported."""

    seconds: float
    cpu_seconds: float
    report: dict[str, Any]


def job(name: str, module: str = "jobs", **options: Any) -> Run:
    """Run ``tests.benchmarks.<module>.<name>(**options)`` in a fresh process; what it returns comes back as ``report``."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        run = command([sys.executable, "-m", f"tests.benchmarks.{module}", name, json.dumps(options), str(answer)])
        return Run(run.seconds, run.cpu_seconds, json.loads(answer.read_text()))


def command(words: list[str]) -> Run:
    """Run a command from the project's root. Raises :class:`RuntimeError` with its last words when it fails.

    Nothing compiled is read from disk or kept there unless ``BAYES_CACHE`` is set.
    """
    environment = {"BAYES_CACHE": "off", **os.environ}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(words, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if child.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(words)} failed:\n{output.read().decode(errors='replace')[-2000:]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, {})

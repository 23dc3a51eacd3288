"""What every job shares: fit a peer to each data set in turn, time it, and write one line of JSON a data set.

Jobs run in the environments of the peers, so this file and the jobs import nothing of the project at the top. A line is written as soon as
it is known: a job that is stopped leaves what it has.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

Fit = Callable[[pd.DataFrame], dict[str, Any]]


def main(peers: Mapping[str, Callable[[], Fit]]) -> None:
    """``job.py PEER DATA.csv ANSWER.jsonl BUDGET PACKAGE STARTED``: data sets are the values of the column ``panel``, 0 first.

    A peer is a function that imports its library and returns the fit; the fit returns a flat dictionary of numbers, texts or lists. No
    data set is begun after BUDGET CPU seconds. STARTED is the time at which the process was.
    """
    warnings.simplefilter("ignore")
    peer, data, answer, budget, package, started = sys.argv[1:]
    with open(answer, "w", encoding="utf-8") as file:
        for line in lines(peers[peer], pd.read_csv(data), float(budget), package, float(started)):
            file.write(json.dumps(line) + "\n")
            file.flush()
    os._exit(0)  # results are written; pools of threads of some libraries wait forever at the end


def lines(maker: Callable[[], Fit], data: pd.DataFrame, budget: float, package: str, started: float) -> Iterator[dict[str, Any]]:
    """The version, then one record a data set with the clocks of this fit, those of the whole process so far and the peak of memory."""
    fit = maker()
    yield {"version": importlib.metadata.version(package)}
    for number, frame in data.groupby("panel"):
        if number and processor_time() > budget:
            break
        wall, cpu = time.perf_counter(), processor_time()
        try:
            found = fit(frame.drop(columns="panel").dropna(axis=1, how="all").reset_index(drop=True))
        except Exception as error:  # a peer may fail in any way on one data set; the others go on
            found = {"error": f"{type(error).__name__}: {error}"[:300]}
        clocks = {"fit_wall": time.perf_counter() - wall, "fit_cpu": processor_time() - cpu}
        clocks |= {"wall": time.time() - started, "cpu": processor_time(), "peak_mb": peak_memory()}
        yield {"panel": int(number), **{k: _plain(v) for k, v in found.items()}, **clocks}


def processor_time() -> float:
    """CPU seconds of this process from its start, and of the processes that it started and that have ended."""
    clocks = os.times()
    return clocks.user + clocks.system + clocks.children_user + clocks.children_system


def peak_memory() -> float:
    """Largest resident memory of this process in MB; NaN where the system does not say."""
    status = Path("/proc/self/status")
    found = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")] if status.exists() else []
    return float(found[0]) / 1024 if found else float("nan")


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return [float(v) for v in value] if hasattr(value, "__len__") else float(value)

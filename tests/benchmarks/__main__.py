"""``python -m tests.benchmarks``: measure, and print one Markdown table."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.benchmarks import compile as compile_time
from tests.benchmarks import (
    divergences,
    frontier,
    gradients,
    large_frontier,
    many_rows,
    measurement,
    placebo,
    sampling_speed,
    scaling,
    scan,
    start,
)
from tests.benchmarks.process import ROOT
from tests.benchmarks.table import Result, machine, markdown

GROUPS = {
    "gradient": gradients.results,
    "parquet": many_rows.parquet,
    "scan": scan.results,
    "scaling": scaling.results,
    "start": start.results,
    "compile": compile_time.results,
    "script": start.script,
    "sampling": sampling_speed.results,
    "rows": many_rows.against_rows,
    "size": many_rows.sampling_time,
    "divergences": divergences.results,
    "placebo": placebo.results,
    "frontier": frontier.sampling,
    "frontier-gradient": frontier.gradients,
    "frontier-divergences": frontier.divergences,
    "large-frontier": large_frontier.results,
    "programs": measurement.programs,
    "bootstrap": measurement.bootstraps,
    "mediation": measurement.mediation,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measured speeds beside their targets.")
    parser.add_argument("--only", choices=GROUPS, action="append", help="run this group only (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="fewer draws, repeats and seeds: a smoke test, not a measurement")
    parser.add_argument("--rows", type=int, help="rows of the group scan (default: 10,000,000; 100,000,000 need 2 GB of disk)")
    parser.add_argument("--write", action="store_true", help="also write docs/benchmarks.md")
    chosen = parser.parse_args()
    if chosen.rows is not None:
        os.environ[scan.ROWS] = str(chosen.rows)
    head, began = machine(), time.perf_counter()
    found: list[Result] = []
    failed: list[str] = []
    for name in chosen.only or GROUPS:
        print(f"… {name}", file=sys.stderr, flush=True)
        try:
            for result in GROUPS[name](chosen.quick):
                print(f"  {' | '.join(result.cells())}", file=sys.stderr, flush=True)
                found.append(result)
        except RuntimeError as error:  # a job that fails costs its own rows, not the hour of the others
            failed.append(f"{name} failed: {error}")
    text = f"{head}  \n{_how(chosen.quick, time.perf_counter() - began)}\n\n{markdown(found)}\n"
    print(text)
    if failed:
        sys.exit("\n".join(failed))
    if chosen.write:
        (ROOT / "docs" / "benchmarks.md").write_text(f"# Benchmarks\n\nWritten by `make bench`.\n\n{text}", encoding="utf-8")


def _how(quick: bool, seconds: float) -> str:
    words = "Quick run: a smoke test, not a measurement. " if quick else ""
    return (
        f"{words}Synthetic panel (tests/benchmarks/simulate.py): 285 units unless said otherwise × 11 years, 5 regions, cohorts 2013 and "
        f"2016, AR(1) errors. ESS is the smallest bulk effective sample size over all 55 cells. One run, {seconds / 60:.0f} minutes."
    )


if __name__ == "__main__":
    main()

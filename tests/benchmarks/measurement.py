"""Measurement: linear programs of a whole panel against linprog one by one, and the time of bootstraps."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.process import job
from tests.benchmarks.table import Result


def programs(quick: bool) -> Iterator[Result]:
    """A whole Malmquist–Luenberger call, tables included, beside linprog's bare programs in the same process."""
    units, every = (60, 6) if quick else (285, 1)
    runs = [job("luenberger", module="measurement_jobs", units=units, periods=11, every=every).report for _ in range(1 if quick else 3)]
    run = sorted(runs, key=lambda r: r["linprog"] / r["seconds"])[len(runs) // 2]
    words = (
        f"median of {len(runs)} runs; {run['programs']:,.0f} programs; largest difference {run['difference']:.1e}; "
        f"{100 * run['missing']:.1f} % infeasible, the same ones: {'yes' if run['same_missing'] else 'NO'}"
    )
    name = f"Malmquist–Luenberger {units} × 11"
    yield Result(f"{name}: linprog one by one / ours", run["linprog"] / run["seconds"], "×", 10, True, words)
    yield Result(f"{name}: ours", run["seconds"], " s")


def bootstraps(quick: bool) -> Iterator[Result]:
    replicates = 50 if quick else 2000
    for returns in ("crs", "vrs"):
        run = job("bootstrap", module="measurement_jobs", units=30, periods=11, replicates=replicates, returns=returns).report
        parts = "M, EC, TC" if returns == "crs" else "M, EC, TC, PTEC, SEC"
        yield Result(f"bootstrap of Malmquist 30 × 11, {replicates:,} replicates: {parts}", run["index"], " s", 180)
        yield Result(f"bootstrap of DEA scores 30 × 11, {replicates:,} replicates, {returns.upper()}", run["scores"], " s", 180)


def mediation(quick: bool) -> Iterator[Result]:
    """A cold process: imports, compilation, sampling."""
    size = {"draws": 200, "tune": 200, "chains": 2} if quick else {"draws": 1000, "tune": 500, "chains": 4}
    run = job("mediation", module="measurement_jobs", **size)
    r = run.report
    words = f"min ESS {r['ess']:.0f}, R-hat ≤ {r['rhat']:.3f}, {r['divergences']} divergences, CPU {run.cpu_seconds:.1f} s"
    yield Result("mediation 285 × 11, two mediators, 5 regions: whole cold process", run.seconds, " s", details=words)

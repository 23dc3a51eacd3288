"""Effective draws per second: the collapsed model against the row-level model, 285 units × 11 years, minimum over all cells."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.process import Run, job
from tests.benchmarks.simulate import UNITS
from tests.benchmarks.table import Result


def results(quick: bool) -> Iterator[Result]:
    """All samplers with the same draws, warm-up and chains, each with its own default target acceptance."""
    size = {"draws": 200, "tune": 200, "chains": 2} if quick else {"draws": 500, "tune": 300, "chains": 4}
    common = {"units": UNITS, "seed": 1, **size}
    ours = job("collapsed", sampler="nutpie", **common)
    yield Result("collapsed, nutpie-JAX: ESS per second of sampling", _per_second(ours), "/s", details=_words(ours))
    for name, label, target in (("rows_pymc", "PyMC's NUTS", 20), ("rows_nutpie", "nutpie (numba)", 10)):
        theirs = job(name, **common)
        yield Result(f"row-level, {label}: ESS per second of sampling", _per_second(theirs), "/s", details=_words(theirs))
        ratio = _per_second(ours) / _per_second(theirs)
        cpu = (ours.report["ess"] / ours.report["cpu"]) / (theirs.report["ess"] / theirs.report["cpu"])
        words = f"by CPU time {cpu:.3g}×" + (", theirs including compilation" if name == "rows_pymc" else "")
        yield Result(f"sampling: collapsed / row-level under {label}", ratio, "×", target, True, words)
        whole = (ours.report["ess"] / ours.seconds) / (theirs.report["ess"] / theirs.seconds)
        cpu = (ours.report["ess"] / ours.cpu_seconds) / (theirs.report["ess"] / theirs.cpu_seconds)
        yield Result(f"whole process: collapsed / row-level under {label}", whole, "×", 4, True, f"by CPU time {cpu:.3g}×")
    yield from _samplers(ours, common)


def _samplers(ours: Run, common: dict) -> Iterator[Result]:
    """Cold whole processes of the collapsed model by sampler: why nutpie is the default."""
    runs = {"nutpie": ours, **{name: job("collapsed", sampler=name, **common) for name in ("numpyro", "blackjax")}}
    for name, run in runs.items():
        yield Result(f"collapsed, whole cold process, {name}", run.seconds, " s", details=_words(run))


def _per_second(run: Run) -> float:
    return run.report["ess"] / run.report["seconds"]


def _words(run: Run) -> str:
    r = run.report
    return (
        f"min ESS {r['ess']:.0f}, sampling {r['seconds']:.1f} s, process {run.seconds:.1f} s (CPU {run.cpu_seconds:.1f} s), "
        f"{r['steps']:.1f} leapfrog steps a draw, {r['divergences']} divergences"
    )

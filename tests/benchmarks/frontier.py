"""Stochastic frontiers: effective draws against the textbook model, cost of gradients, default fits on real panels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from tests.benchmarks.process import Run, job
from tests.benchmarks.table import Result

_SIZES = ((30, 3, 8), (285, 5, 25))
"""Units, regions, and the target of the ratio of effective draws per second of sampling."""


def sampling(quick: bool) -> Iterator[Result]:
    """Minimum over structural parameters; same draws and warm-up for both, each with its own default target acceptance."""
    size = {"draws": 200, "tune": 200, "chains": 2, "seed": 1} if quick else {"draws": 1000, "tune": 500, "chains": 4, "seed": 1}
    for units, regions, target in _SIZES:
        name = f"frontier {units} × 11, {regions} regions"
        ours = job("marginal", module="frontier_jobs", units=units, regions=regions, sampler="blackjax", **size)
        theirs = job("textbook", module="frontier_jobs", units=units, regions=regions, **size)
        for label, run in (("marginal, BlackJAX", ours), ("textbook (u latent), PyMC's NUTS", theirs)):
            yield Result(
                f"{name}: {label}, ESS per second of sampling", run.report["ess"] / run.report["seconds"], "/s", details=_words(run)
            )
        ratio = (ours.report["ess"] / ours.report["seconds"]) / (theirs.report["ess"] / theirs.report["seconds"])
        cpu = (ours.report["ess"] / ours.report["cpu"]) / (theirs.report["ess"] / theirs.report["cpu"])
        yield Result(f"{name}: sampling, marginal / textbook", ratio, "×", target, True, f"by CPU time {cpu:.3g}×, theirs with compilation")
        whole = (ours.report["ess"] / ours.seconds) / (theirs.report["ess"] / theirs.seconds)
        yield Result(f"{name}: whole cold process, marginal / textbook", whole, "×", 2, True)
        yield Result(f"{name}: whole cold process", ours.seconds, " s", 60)
        for sampler in ("nutpie", "numpyro"):
            other = job("marginal", module="frontier_jobs", units=units, regions=regions, sampler=sampler, **size)
            rate = other.report["ess"] / other.report["seconds"]
            yield Result(f"{name}: marginal, {sampler}, ESS per second of sampling", rate, "/s", details=_words(other))


def gradients(quick: bool) -> Iterator[Result]:
    sizes = ((100, 400), (10_000, 20)) if quick else ((100, 2000), (1000, 400), (10_000, 40), (100_000, 5))
    per_row = []
    for units, repeats in sizes:
        report = job("gradient", module="frontier_jobs", units=units, repeats=repeats).report
        per_row.append(1e9 * report["seconds"] / report["rows"])
        yield Result(f"frontier gradient, {report['rows']:,} rows", per_row[-1], " ns/row", details="CPU time inside one compiled loop")
    yield Result("frontier gradient: cost per row, most rows / fewest", per_row[-1] / per_row[0], "×", 1.5, details="linear in rows: ≤ 1")
    seconds = job("log_normal_cdf", module="frontier_jobs", rows=100_000, repeats=20 if quick else 100).report["seconds"]
    yield Result("log Φ and its gradient, 100,000 rows", 1e4 * seconds, " ns/row", 100)


def divergences(quick: bool) -> Iterator[Result]:
    """Default fits of the panel of US states with nine divisions: several panel forms, two seeds each."""
    from bayes import StochasticFrontier, datasets

    panel = datasets.load("us_states_production").log("gsp", "pcap", "pc", "emp")
    common = {"output": "log_gsp", "inputs": ["log_pcap", "log_pc", "log_emp"], "covariates": ["unemp"], "technology": "cobb-douglas"}
    names = ("pooled", "true-random-effects", "time-invariant", "bc92", "four-component")
    forms = (*({"model": name} for name in names), {"technology": "translog"})
    for form in forms[:2] if quick else forms:
        spec = StochasticFrontier(**(common | form))
        found = [_diagnosis(spec, panel, seed) for seed in ((1,) if quick else (1, 2))]
        share = 100 * sum(d.divergences for d in found) / sum(d.draws for d in found)
        words = (
            f"default fits, seeds 1–{len(found)}: R-hat ≤ {max(d.rhat_max for d in found):.4f}, bulk ESS ≥ "
            f"{min(d.ess_bulk_min for d in found):.0f}, tail ESS ≥ {min(d.ess_tail_min for d in found):.0f}, "
            f"{sum(d.passed for d in found)} of {len(found)} pass the gate"
        )
        name = next(iter(form.values()))
        yield Result(f"divergent draws, US states, 9 divisions, {name}", share, " %", 0.1 if "four" in name else 0, details=words)


def _diagnosis(spec, panel, seed: int):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weak regions and wrong skewness, and of a gate that the table shows
        return spec.fit(panel, seed=seed, progress=False).diagnose()


def _words(run: Run) -> str:
    r = run.report
    return (
        f"min ESS {r['ess']:.0f}, R-hat ≤ {r['rhat']:.3f}, sampling {r['seconds']:.1f} s, process {run.seconds:.1f} s (CPU "
        f"{run.cpu_seconds:.1f} s), {r['steps']:.1f} leapfrog steps a draw, {r['divergences']} divergences"
    )

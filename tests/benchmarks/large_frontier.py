"""Frontiers with very many rows: the quadratic surrogate with importance correction, beside NUTS on all rows where that is bearable."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.jobs import clock, peak_bytes
from tests.benchmarks.process import Run, job
from tests.benchmarks.table import Result

_BESIDE = 30_000
"""Rows at which NUTS samples too."""


def results(quick: bool) -> Iterator[Result]:
    """Cobb–Douglas, half-normal, technology and efficiency pooled over 5 regions; each in a fresh process, compilation included."""
    size = {"draws": 250 if quick else 1000, "tune": 250 if quick else 500, "chains": 2 if quick else 4, "seed": 1}
    for rows in (3_000, _BESIDE) if quick else (3_000, _BESIDE, 100_000, 1_000_000):
        # A million rows take every second of their time for the exact likelihood of each draw: half of them will do.
        own = size | ({"draws": 500} if rows == 1_000_000 else {})
        ours = job("fit", module="large_frontier", rows=rows, method="surrogate", **own)
        yield from _rows(f"frontier, {rows:,} rows, surrogate", ours)
        if rows == _BESIDE:
            theirs = job("fit", module="large_frontier", rows=rows, method="nuts", **own)
            yield from _rows(f"frontier, {rows:,} rows, NUTS", theirs)
            yield from _agreement(f"frontier, {rows:,} rows, surrogate against NUTS", ours.report, theirs.report)


def _rows(name: str, run: Run) -> Iterator[Result]:
    r = run.report
    weights = "" if r["k_hat"] is None else f", k-hat {r['k_hat']:.2f}, {r['effective']:.0f} effective of {r['draws']} weighted draws"
    words = f"{r['method']}: fit {r['seconds']:.1f} s, process {run.seconds:.1f} s, bulk ESS ≥ {r['ess']:.0f}{weights}"
    yield Result(f"{name}: CPU time of the fit", r["cpu"], " s", details=words)
    yield Result(f"{name}: peak memory", r["peak"] / 2**20, " MB", details="resident, whole process with its imports and the panel")


def _agreement(name: str, ours: dict, theirs: dict) -> Iterator[Result]:
    """Spreads between five regions have long right tails: two runs of one sampler differ in their sd, which is counted in its own error."""
    for what, moment in (("means", "mean"), ("standard deviations", "sd")):
        pairs = zip(ours["names"], ours[moment], theirs[moment], ours[f"mcse_{moment}"], theirs[f"mcse_{moment}"], strict=True)
        gaps = {label: (abs(a - b) / (e**2 + g**2) ** 0.5, 100 * abs(a / b - 1)) for label, a, b, e, g in pairs}
        worst, widest = max(gaps, key=lambda k: gaps[k][0]), max(gaps, key=lambda k: gaps[k][1])
        words = f"worst of {len(gaps)} quantities, {worst}; largest difference {gaps[widest][1]:.1f} % ({widest})"
        yield Result(f"{name}: {what}", gaps[worst][0], " MCSE", 4, details=words)


def fit(rows: int, method: str, draws: int, tune: int, chains: int, seed: int) -> dict:
    import arviz_stats as az
    import numpy as np

    from bayes import StochasticFrontier
    from tests.benchmarks.simulate import production_panel

    panel = production_panel(rows // 10, 10, 5)
    spec = StochasticFrontier("y", ["x0", "x1"], technology="cobb-douglas", model="pooled")
    with warnings.catch_warnings(), clock() as took:
        warnings.simplefilter("ignore")
        found = spec.fit(panel, seed, method=method, draws=draws, tune=tune, chains=chains, progress=False)
    names = ["technology", "noise_scale", "inefficiency_scale", "technology_mean", "technology_spread", "inefficiency_spread"]
    table = az.summary(found.posterior[names].reset_coords(drop=True), round_to="none", kind="all")
    table = table[table["sd"] > 0]
    diagnosis = found.diagnose()
    return {
        "seconds": took.seconds, "cpu": took.cpu, "peak": peak_bytes(), "method": found.meta["method"], "k_hat": diagnosis.k_hat,
        "effective": found.meta.get("effective_draws"), "draws": draws * chains, "ess": diagnosis.ess_bulk_min,
        "names": table.index.tolist(), **{k: np.asarray(table[k]).tolist() for k in ("mean", "sd", "mcse_mean", "mcse_sd")},
    }  # fmt: skip


if __name__ == "__main__":
    name, options, answer = sys.argv[1:]
    Path(answer).write_text(json.dumps(globals()[name](**json.loads(options))))

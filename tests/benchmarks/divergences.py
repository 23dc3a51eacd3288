"""Divergences, R-hat and effective draws of default fits: none may diverge on castle and minimum wage."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from tests.benchmarks import simulate
from tests.benchmarks.table import Result


def results(quick: bool) -> Iterator[Result]:
    from bayes import StaggeredDiD, datasets

    studies = (
        ("285 × 11 synthetic", simulate.model(), simulate.panel(), 0.1, 2),
        ("castle", StaggeredDiD("log_homicide"), datasets.load("castle_doctrine"), 0, 5),
        ("minimum wage", StaggeredDiD("log_employment"), datasets.load("minimum_wage"), 0, 5),
    )
    for name, model, panel, allowed, seeds in studies:
        found = [_diagnosis(model, panel, seed) for seed in range(1, 2 if quick else 1 + seeds)]
        share = 100 * sum(d.divergences for d in found) / sum(d.draws for d in found)
        words = (
            f"default fits, seeds 1–{len(found)}, {sum(d.draws for d in found):,} draws: R-hat ≤ {max(d.rhat_max for d in found):.4f}, "
            f"bulk ESS ≥ {min(d.ess_bulk_min for d in found):.0f}, tail ESS ≥ {min(d.ess_tail_min for d in found):.0f}, "
            f"{sum(d.passed for d in found)} of {len(found)} pass the gate"
        )
        yield Result(f"divergent draws, {name}", share, " %", allowed, details=words)


def _diagnosis(model, panel, seed: int):
    from bayes.errors import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the table shows how many fits fail the gate
        return model.fit(panel, seed=seed, progress=False).diagnose()

"""Refits of a placebo test: seconds after compilation, on all cores, beside the target."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from tests.benchmarks import simulate
from tests.benchmarks.table import Result

REFITS = 500
DESIGNS = {"all": "free permutations of the synthetic panel", "region": "permutations within its five regions"}


def results(quick: bool) -> Iterator[Result]:
    from bayes.did.placebo import permuted_cohorts
    from bayes.did.placebo_result import Options

    n = 50 if quick else REFITS
    for within, design in DESIGNS.items():
        test = permuted_cohorts(simulate.model(), simulate.panel(), n, within, options=Options(progress=False))
        actual, fake = test.statistics()
        words = (
            f"{design}, 55 cells, {os.cpu_count()} cores; before them {test.meta['compile_seconds']:.1f} s to compile and to fit the true "
            f"dates; {test.converged:.1%} converged, sd of placebo effects {np.std(fake):.4f}, actual {actual[0]:.4f}, seed 0"
        )
        yield Result(f"{n} placebo refits, within {within}", test.meta["refit_seconds"], " s", 60 * n / REFITS, details=words)

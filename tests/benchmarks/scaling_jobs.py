"""Jobs of the scaling benchmark: sums of rows on disk and placebo refits on a cluster of processes on this machine, or in one process."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import simulate
from tests.benchmarks.jobs import clock


def sums(path: str, workers: int) -> dict[str, Any]:
    """Cross-products of rows on disk; ``workers`` 0: in this process."""
    from bayes import Panel
    from bayes.did.likelihood import component_names, make_log_likelihood

    spec, panel = simulate.model(covariates=("x",)), Panel.scan(path, **simulate.ROLES)
    report, state = _on(workers, lambda client: spec.collapse(panel, executor=client))
    density = make_log_likelihood(state.sampled_products, state.basis)
    scales = np.full(len(component_names(state.basis)), 0.1)
    return {**report, "likelihood": float(density(0.1, 0.5, np.array([0.05]), scales))}


def refits(n: int, workers: int) -> dict[str, Any]:
    """Placebo refits of the synthetic panel, compilation left to the report; one thread in this process for ``workers`` 0."""
    from bayes.did.placebo import permuted_cohorts
    from bayes.did.placebo_result import Options

    spec, panel = simulate.model(), simulate.panel()
    report, test = _on(workers, lambda client: permuted_cohorts(spec, panel, n, options=Options(cores=1, progress=False, executor=client)))
    # Before the refits the true dates are fitted in this process.
    return {**report, "refit_seconds": test.meta["refit_seconds"], "p": float(test.p_values().two_sided.iloc[0])}


def replicates(n: int, workers: int) -> dict[str, Any]:
    """Calibration of a small model: each replicate simulates, samples and compares."""
    import bayes
    from tests.statistical.sbc import model_and_panel

    spec, panel = model_and_panel("did-complete")
    report, result = _on(workers, lambda client: bayes.calibrate(spec, panel, n, seed=1, executor=client, progress=False))
    return {**report, "ranks": result.ranks.tolist()}


def _on(workers: int, work: Callable[[Any], Any]) -> tuple[dict[str, Any], Any]:
    with _client(workers) as client:
        before = _processor_seconds(client)
        with clock() as took:
            found = work(client)
        after = _processor_seconds(client)
    # The scheduler runs in this process: its share is in ``here``.
    return {"seconds": took.seconds, "here": took.cpu, "workers": sum(after) - sum(before)}, found


def _processor_seconds(client: Any) -> list[float]:
    return [0.0] if client is None else list(client.run(time.process_time).values())


@contextmanager
def _client(workers: int) -> Iterator[Any]:
    if not workers:
        yield None
        return
    from dask.distributed import Client, LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
        with LocalCluster(**options) as cluster, Client(cluster) as client:
            client.run(_imports)
            yield client


def _imports() -> None:
    """What a worker needs before it can begin: not part of what is measured."""
    from bayes.did.placebo import permuted_cohorts  # noqa: F401
    from bayes.did.scanned import with_sums  # noqa: F401
    from bayes.inference.sampling import prepare_jax

    prepare_jax()


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))), encoding="utf-8")

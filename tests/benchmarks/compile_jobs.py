"""A process that imports, prepares a default fit and starts to sample, for :mod:`tests.benchmarks.compile`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def started(kind: str, seed: int) -> dict:
    """Seconds of imports, of everything from there to the first draw, and of a refit to other data in the same process."""
    began = time.perf_counter()
    import arviz_stats  # noqa: F401
    import blackjax  # noqa: F401
    import jax
    import nutpie  # noqa: F401
    import pymc.sampling.jax  # noqa: F401

    from bayes.inference.sampling import SamplerOptions, sample

    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda n, _, **__: compiled.append(n) if "backend_compile" in n else None)
    imports = time.perf_counter() - began
    cpu, began = time.process_time(), time.perf_counter()
    options = SamplerOptions("nutpie" if kind == "did" else "blackjax", draws=1, tune=1, chains=1, seed=1, progress=False)
    first = sample(_posterior(kind, seed), options)
    start, cpu = time.perf_counter() - began - first.sampling_seconds, time.process_time() - cpu
    before = len(compiled)
    other = _posterior(kind, seed + 10)
    began = time.perf_counter()
    again = sample(other, options)
    seconds = time.perf_counter() - began - again.sampling_seconds
    return {"imports": imports, "start": start, "cpu": cpu, "again": seconds, "again_compiled": len(compiled) - before}


def _posterior(kind: str, seed: int):
    """The posterior of a synthetic panel: 285 × 11 in five regions, or 30 × 11 in three."""
    import numpy as np

    rng = np.random.default_rng(seed)
    if kind == "did":
        from bayes.did.pymc_models import collapsed_posterior
        from tests.benchmarks import simulate

        panel, spec = simulate.panel(285), simulate.model()
        panel = panel.assign(**{spec.outcome: panel.frame[spec.outcome] + 0.1 * rng.normal(size=panel.n_rows)})
        return collapsed_posterior(spec, spec.collapse(panel))
    from bayes import StochasticFrontier
    from bayes.frontier.data import frontier_data
    from bayes.frontier.marginal import marginal_posterior
    from tests.frontier.simulate import frontier_panel

    spec = StochasticFrontier("y", ["x0", "x1"], technology="cobb-douglas", model=kind)
    return marginal_posterior(spec, frontier_data(spec, frontier_panel(30, 11, 3, kind, seed=seed)))


if __name__ == "__main__":
    name, options, answer = sys.argv[1:]
    Path(answer).write_text(json.dumps(globals()[name](**json.loads(options))))

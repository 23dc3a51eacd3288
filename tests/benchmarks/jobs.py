"""What the benchmarks run in fresh processes. Each job takes plain values and returns plain values; imports are part of the job."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from tests.benchmarks import simulate


def cpu_seconds() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def peak_bytes() -> int:
    """Largest resident memory of this process. Linux hands the parent's figure down in ``ru_maxrss``, hence its own account."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def clock() -> Iterator[SimpleNamespace]:
    took = SimpleNamespace(seconds=0.0, cpu=0.0)
    start, cpu = time.perf_counter(), cpu_seconds()
    yield took
    took.seconds, took.cpu = time.perf_counter() - start, cpu_seconds() - cpu


def cell_ess(draws) -> float:
    """Smallest bulk effective sample size over the cells; ``draws`` (chain, draw, cell)."""
    import numpy as np
    from arviz_stats.base import array_stats

    return float(np.min(array_stats.ess(draws, method="bulk", chain_axis=0, draw_axis=1)))


def collapsed(units: int, sampler: str, draws: int, tune: int, chains: int, seed: int) -> dict:
    """Sample the collapsed model and draw the cells: what ``fit`` does. The exact draws of effects count as sampling."""
    from bayes.did.draws import posterior_dataset
    from bayes.did.pymc_models import collapsed_posterior
    from bayes.inference.sampling import SamplerOptions, sample

    spec, panel = simulate.model(), simulate.panel(units)
    state = spec.collapse(panel)
    model = collapsed_posterior(spec, state)
    options = SamplerOptions(sampler, draws, tune, chains, seed=seed, progress=False)
    with clock() as nuts:
        samples = sample(model, options)
    scalars = {name: samples.draws[name] for name in spec.parameters(state)}
    with clock() as exact:
        posterior = posterior_dataset(scalars, state, spec.resolved_priors(), seed)
    share = samples.sampling_seconds / (samples.sampling_seconds + samples.compile_seconds)
    return {
        "ess": cell_ess(posterior["cell_effect"].to_numpy()),
        "seconds": samples.sampling_seconds + exact.seconds,
        "cpu": nuts.cpu * share + exact.cpu,
        "divergences": int(samples.statistics["diverging"].sum()),
        "steps": float(samples.statistics["n_steps"].mean()),
    }


def rows_pymc(units: int, draws: int, tune: int, chains: int, seed: int) -> dict:
    """PyMC's own NUTS with its defaults on the row-level model; chains in parallel processes."""
    import os

    import pymc as pm

    model = simulate.model().build(simulate.panel(units), form="rows")
    with model, warnings.catch_warnings(), clock() as all_of_it:
        warnings.simplefilter("ignore")
        tree = pm.sample(
            draws, tune=tune, chains=chains, cores=min(chains, os.cpu_count() or 1), random_seed=seed, nuts_sampler="pymc",
            progressbar=False, compute_convergence_checks=False,
        )  # fmt: skip
    seconds = float(tree["posterior"].attrs["sampling_time"])
    return _rows_report(tree, seconds, all_of_it.cpu)


def rows_nutpie(units: int, draws: int, tune: int, chains: int, seed: int) -> dict:
    """nutpie with its numba backend, the fastest of its backends here, on the row-level model."""
    import nutpie

    model = simulate.model().build(simulate.panel(units), form="rows")
    with clock() as compiling:
        compiled = nutpie.compile_pymc_model(model, backend="numba")
    with clock() as sampling:
        tree = nutpie.sample(compiled, draws=draws, tune=tune, chains=chains, seed=seed, progress_bar=False, save_warmup=True)
    report = _rows_report(tree, sampling.seconds, sampling.cpu)
    warm = tree["warmup_sample_stats"]["n_steps"].to_numpy()
    return {**report, "compile": compiling.seconds, "gradients": float(warm.sum() + tree["sample_stats"]["n_steps"].to_numpy().sum())}


def _rows_report(tree, seconds: float, cpu: float) -> dict:
    stats = tree["sample_stats"]
    return {
        "ess": cell_ess(tree["posterior"]["cell_effect"].to_numpy()),
        "seconds": seconds,
        "cpu": cpu,
        "divergences": int(stats["diverging"].sum()),
        "steps": float(stats["n_steps"].mean()),
    }


def rows_gradient(units: int, repeats: int) -> dict:
    """Milliseconds of a gradient of the row-level model, as JAX compiles it: numba needs minutes to compile so many rows."""
    import jax
    import numpy as np
    from pymc.sampling.jax import get_jaxified_graph

    jax.config.update("jax_enable_x64", True)
    model = simulate.model().build(simulate.panel(units), form="rows")
    point = model.initial_point(random_seed=1)
    graph = get_jaxified_graph(inputs=model.value_vars, outputs=[model.logp()])
    gradient = jax.jit(jax.value_and_grad(lambda values: graph(*values)[0]))
    values = [np.asarray(point[v.name], dtype=float) for v in model.value_vars]
    jax.block_until_ready(gradient(values))
    times = []
    for _ in range(repeats):
        with clock() as took:
            jax.block_until_ready(gradient(values))
        times.append(took.cpu)
    return {"milliseconds": float(np.median(times)) * 1e3, "parameters": sum(v.size for v in values)}


def sampling_phase(units: int, draws: int, tune: int, chains: int, seed: int) -> dict:
    """Seconds of the sampling phase alone; the panel is collapsed from Parquet."""
    import tempfile

    from bayes import Panel
    from bayes.did.pymc_models import collapsed_posterior
    from bayes.inference.sampling import SamplerOptions, sample

    spec = simulate.model()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/panel.parquet"
        simulate.write_parquet(path, units)
        with clock() as collapsing:
            state = spec.collapse(Panel.scan(path, **simulate.ROLES))
    model = collapsed_posterior(spec, state)
    options = SamplerOptions("nutpie", draws, tune, chains, seed=seed, progress=False)
    with clock() as all_of_it:
        samples = sample(model, options)
    share = samples.sampling_seconds / (samples.sampling_seconds + samples.compile_seconds)
    return {
        "rows": state.products.n_rows,
        "collapse": collapsing.seconds,
        "seconds": samples.sampling_seconds,
        "cpu": all_of_it.cpu * share,
        "gradients": int(samples.statistics["n_steps"].sum()),
    }


def collapse_parquet(path: str, repeats: int) -> dict:
    """Seconds to collapse a Parquet file, imports excluded, several times over."""
    from bayes import Panel

    runs = []
    for _ in range(repeats):
        with clock() as took:
            state = simulate.model().collapse(Panel.scan(path, **simulate.ROLES))
        runs.append((took.seconds, took.cpu))
    return {"rows": state.products.n_rows, "seconds": [r[0] for r in runs], "cpu": [r[1] for r in runs], "peak": peak_bytes()}


def scanned(path: str) -> dict:
    """Check and sum the rows of a file that stays on disk."""
    from bayes import Panel

    return _two_passes(lambda: Panel.scan(path, **simulate.ROLES))


def in_memory(path: str) -> dict:
    """The same rows read into memory first."""
    import pandas as pd

    from bayes import Panel

    return _two_passes(lambda: Panel.from_frame(pd.read_parquet(path), **simulate.ROLES))


def _two_passes(read) -> dict:
    from bayes.did.likelihood import make_log_likelihood

    spec = simulate.model(covariates=("x",))
    with clock() as check:
        panel = read()
    with clock() as summing:
        state = spec.collapse(panel)
    peak = peak_bytes()
    report = {"check": check.seconds, "sum": summing.seconds, "cpu": check.cpu + summing.cpu, "peak": peak, "groups": len(state.groups)}
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    density = make_log_likelihood(state.sampled_products, state.basis)
    components = jnp.full(len(set(state.basis.component.tolist())), 0.3)
    return {**report, "likelihood": float(density(0.5, 0.4, jnp.array([0.3]), components))}


def cached_fit(folder: str) -> dict:
    """Seconds of ``fit(cache=…)`` on castle, imports excluded."""
    from bayes import StaggeredDiD, datasets

    panel = datasets.load("castle_doctrine")
    before = set(sys.modules)
    with clock() as took:
        fit = StaggeredDiD("log_homicide").fit(panel, seed=1, cache=folder)
    # ArviZ leaves empty stand-ins named jax and numpyro in sys.modules; what they stand for is not loaded.
    samplers = {"nutpie", "pymc", "jax._src", "numpyro.infer", "blackjax"} & (set(sys.modules) - before)
    return {"seconds": took.seconds, "samplers": sorted(samplers), "draws": fit.posterior.sizes["draw"]}


if __name__ == "__main__":
    name, options, answer = sys.argv[1:]
    Path(answer).write_text(json.dumps(globals()[name](**json.loads(options))))

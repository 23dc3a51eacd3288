"""What the frontier benchmarks run in fresh processes: the marginal form as ``fit`` samples it, and the textbook form under PyMC's NUTS."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from tests.benchmarks.jobs import clock

STRUCTURAL = ("technology", "technology_mean", "technology_spread", "inefficiency_scale", "noise_scale")


def _spec_and_panel(units: int, regions: int):
    from bayes import StochasticFrontier
    from tests.frontier.simulate import frontier_panel

    panel = frontier_panel(units, 11, regions, "pooled", sigma_u=0.3, sigma_v=0.1)
    return StochasticFrontier("y", ["x0", "x1"], technology="cobb-douglas", model="pooled"), panel


def _worst(draws: dict) -> tuple[float, float]:
    """Smallest bulk effective sample size and largest R-hat over structural parameters."""
    import numpy as np
    from arviz_stats.base import array_stats

    flat = [np.asarray(draws[name]).reshape(*draws[name].shape[:2], -1) for name in STRUCTURAL]
    values = np.concatenate([v[..., np.ptp(v, axis=(0, 1)) > 0] for v in flat], axis=-1)
    axes = {"chain_axis": 0, "draw_axis": 1}
    return float(np.min(array_stats.ess(values, method="bulk", **axes))), float(np.max(array_stats.rhat(values, **axes)))


def marginal(units: int, regions: int, sampler: str, draws: int, tune: int, chains: int, seed: int) -> dict:
    from bayes.frontier.marginal import marginal_posterior
    from bayes.inference.sampling import SamplerOptions, sample

    spec, panel = _spec_and_panel(units, regions)
    options = SamplerOptions(sampler, draws, tune, chains, 0.85, seed, progress=False)
    with clock() as took:
        samples = sample(marginal_posterior(spec, spec.data(panel)), options)
    ess, rhat = _worst(samples.draws)
    share = samples.sampling_seconds / (samples.sampling_seconds + samples.compile_seconds)
    return {
        "ess": ess, "rhat": rhat, "seconds": samples.sampling_seconds, "cpu": took.cpu * share,
        "steps": float(samples.statistics["n_steps"].mean()), "divergences": int(samples.statistics["diverging"].sum()),
    }  # fmt: skip


def textbook(units: int, regions: int, draws: int, tune: int, chains: int, seed: int) -> dict:
    import os

    import pymc as pm

    spec, panel = _spec_and_panel(units, regions)
    with spec.build(panel, form="latent"), warnings.catch_warnings(), clock() as took:
        warnings.simplefilter("ignore")
        tree = pm.sample(
            draws, tune=tune, chains=chains, cores=min(chains, os.cpu_count() or 1), random_seed=seed, nuts_sampler="pymc",
            progressbar=False, compute_convergence_checks=False,
        )  # fmt: skip
    ess, rhat = _worst({name: tree["posterior"][name].to_numpy() for name in STRUCTURAL})
    return {
        "ess": ess, "rhat": rhat, "seconds": float(tree["posterior"].attrs["sampling_time"]), "cpu": took.cpu,
        "steps": float(tree["sample_stats"]["n_steps"].mean()), "divergences": int(tree["sample_stats"]["diverging"].sum()),
    }  # fmt: skip


def gradient(units: int, repeats: int) -> dict:
    """Seconds of CPU of one gradient of the marginal form, repeated inside one compiled loop; panel of ``units`` × 10 in 5 regions."""
    import jax

    from bayes import StochasticFrontier
    from bayes.frontier.data import frontier_data
    from bayes.frontier.marginal import marginal_posterior
    from bayes.inference.programs import program_of
    from bayes.inference.sampling import prepare_jax
    from tests.benchmarks.simulate import production_panel

    panel = production_panel(units, 10, 5)
    spec = StochasticFrontier("y", ["x0", "x1"], technology="cobb-douglas", model="pooled")
    prepare_jax()
    program, data = program_of(marginal_posterior(spec, frontier_data(spec, panel)))
    density, start = jax.value_and_grad(lambda x: program.log_density(x, data)), program.centre(data)
    return {"rows": panel.n_rows, "seconds": _per_call(density, start, repeats)}


def log_normal_cdf(rows: int, repeats: int) -> dict:
    import jax
    import numpy as np

    from bayes.frontier.algebra import jax_algebra
    from bayes.frontier.normal import log_normal_cdf
    from bayes.inference.sampling import prepare_jax

    prepare_jax()
    z = 2 * np.random.default_rng(0).normal(size=rows)
    return {"seconds": _per_call(jax.value_and_grad(lambda z: log_normal_cdf(z, jax_algebra()).sum()), z, repeats)}


def _per_call(function, x, repeats: int) -> float:
    """Median over three loops of ``repeats`` calls that depend on each other."""
    import jax
    import numpy as np

    def step(x, _):
        value, slope = function(x)
        return x + 1e-12 * slope + 1e-20 * value, None

    loop = jax.jit(lambda x: jax.lax.scan(step, x, None, length=repeats)[0])
    jax.block_until_ready(loop(x))
    times = []
    for _ in range(3):
        with clock() as took:
            jax.block_until_ready(loop(x))
        times.append(took.cpu / repeats)
    return float(np.median(times))


if __name__ == "__main__":
    name, options, answer = sys.argv[1:]
    Path(answer).write_text(json.dumps(globals()[name](**json.loads(options))))

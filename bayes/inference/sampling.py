"""One door to four samplers. What they return is normalised here and nowhere else: names, types and order of draws and statistics."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from bayes.errors import SamplingError, SpecificationError

STATISTICS = ("diverging", "energy", "n_steps", "lp")
"""Sample statistics that every sampler reports: divergence flag, Hamiltonian energy, leapfrog steps, log posterior density."""


@dataclass(frozen=True)
class SamplerOptions:
    """How to sample: ``draws`` kept and ``tune`` warm-up iterations for each of ``chains``; ``target_accept`` of NUTS; ``seed``;
    ``cores`` chains at a time (default: all cores); ``progress`` None shows progress on a terminal only."""

    sampler: str = "nutpie"
    draws: int = 1000
    tune: int = 300
    chains: int = 4
    target_accept: float = 0.8
    seed: int = 0
    cores: int | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise SpecificationError(f"Unknown sampler {self.sampler!r}. Known: {', '.join(SAMPLERS)}.")
        for name in ("draws", "tune", "chains"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
                raise SpecificationError(f"{name} must be a whole number of at least 1, got {value!r}.")
        if not isinstance(self.seed, int | np.integer) or isinstance(self.seed, bool) or self.seed < 0:
            raise SpecificationError(f"seed must be a whole number ≥ 0, got {self.seed!r}.")
        if not isinstance(self.target_accept, Real) or not 0 < self.target_accept < 1:
            raise SpecificationError(f"target_accept must lie between 0 and 1, got {self.target_accept!r}.")
        if self.cores is not None and (not isinstance(self.cores, int | np.integer) or isinstance(self.cores, bool) or self.cores < 1):
            raise SpecificationError(f"cores must be a whole number of at least 1, or None for all, got {self.cores!r}.")
        # Numbers of numpy become Python's: options are written as JSON beside the draws.
        for name in ("draws", "tune", "chains", "seed"):
            object.__setattr__(self, name, int(getattr(self, name)))
        object.__setattr__(self, "target_accept", float(self.target_accept))

    @property
    def shows_progress(self) -> bool:
        return sys.stderr.isatty() if self.progress is None else self.progress


@dataclass(frozen=True)
class Samples:
    """Draws of the model's variables and sample statistics, arrays (chains, draws, …), with the seconds of both phases."""

    draws: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]
    compile_seconds: float
    sampling_seconds: float


def sample(model: Any, options: SamplerOptions) -> Samples:
    """Draw from the posterior of a PyMC model.

    Parameters
    ----------
    model : pymc.Model
    options : SamplerOptions

    Returns
    -------
    Samples
        Free and deterministic variables in the model's order, float64; statistics named as in :data:`STATISTICS`.

    Raises
    ------
    SamplingError
        The sampler failed; its own message follows.
    """
    prepare_jax()
    driver = SAMPLERS[options.sampler]
    try:
        with single_threaded_algebra(), warnings.catch_warnings():
            # Samplers warn about what the diagnostics gate reports anyway, and about their own internals.
            warnings.simplefilter("ignore")
            raw = driver(model, options)
    except SpecificationError:
        raise
    except Exception as error:
        raise SamplingError(f"{options.sampler} stopped: {type(error).__name__}: {error}") from error
    names = [v.name for v in [*model.free_RVs, *model.deterministics]]
    draws = {name: np.asarray(raw.draws[name], dtype=float) for name in names}
    kinds = {"diverging": bool, "n_steps": np.int64}
    statistics = {s: np.asarray(raw.statistics[s]).astype(kinds.get(s, float)) for s in STATISTICS}
    return Samples(draws, statistics, raw.compile_seconds, raw.sampling_seconds)


def prepare_jax() -> None:
    """Double precision, and one thread per XLA computation: the matrices are small, and chains already use every core.

    The thread pool of XLA's CPU client takes its size from the environment when the client starts and offers no other switch.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    # Computed in the calling thread: chains of nutpie would otherwise queue for XLA's one thread instead of running side by side.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    before = os.environ.get("NPROC")
    os.environ.setdefault("NPROC", "1")
    try:
        jax.devices()
    finally:
        if before is None:
            del os.environ["NPROC"]


@contextlib.contextmanager
def single_threaded_algebra() -> Iterator[None]:
    """One BLAS thread: the matrices are small, and threads that wait for each other made a gradient forty times slower.

    The limit reaches only libraries that are loaded already, and JAX loads SciPy's LAPACK at its first factorisation: load it before.
    """
    import scipy.linalg.cython_blas
    import scipy.linalg.cython_lapack  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


@contextlib.contextmanager
def _phase(label: str, options: SamplerOptions) -> Iterator[Callable[[], float]]:
    """Time a phase and, on a terminal, say that it runs and how long it took."""
    start = time.perf_counter()
    if options.shows_progress:
        print(f"{label} …", file=sys.stderr, end="\r", flush=True)
    stop: list[float] = []
    yield lambda: stop[0]
    stop.append(time.perf_counter() - start)
    if options.shows_progress:
        print(f"{label}: {stop[0]:.1f} s", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _quiet_log(name: str, options: SamplerOptions) -> Iterator[None]:
    """Hold back a library's progress messages, and its advice on draws that the diagnostics gate gives anyway, unless progress is shown."""
    logger = logging.getLogger(name)
    level = logger.level
    if not options.shows_progress:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _cores(options: SamplerOptions) -> int:
    return min(options.chains, options.cores or os.cpu_count() or 1)


def _nutpie(model: Any, options: SamplerOptions) -> Samples:
    import nutpie

    with _phase("Compiling (nutpie, JAX)", options) as compiling:
        compiled = nutpie.compile_pymc_model(model, backend="jax", gradient_backend="jax")
        compiled._make_logp_func()(np.zeros(compiled.n_dim))
    with _phase("Sampling", options) as sampling:
        tree = nutpie.sample(
            compiled, draws=options.draws, tune=options.tune, chains=options.chains, cores=_cores(options), seed=int(options.seed),
            target_accept=options.target_accept, progress_bar=options.shows_progress,
        )  # fmt: skip
    stats = tree["sample_stats"]
    statistics = {"diverging": stats["diverging"], "energy": stats["energy"], "n_steps": stats["n_steps"], "lp": stats["logp"]}
    return Samples({k: v.to_numpy() for k, v in tree["posterior"].data_vars.items()}, statistics, compiling(), sampling())


def _pymc(model: Any, options: SamplerOptions) -> Samples:
    import pymc as pm

    with _phase("Sampling (PyMC, compilation included)", options) as sampling, _quiet_log("pymc", options), model:
        tree = pm.sample(
            options.draws, tune=options.tune, chains=options.chains, cores=1, random_seed=int(options.seed), nuts_sampler="pymc",
            target_accept=options.target_accept, progressbar=options.shows_progress, compute_convergence_checks=False,
        )  # fmt: skip
    stats = tree["sample_stats"]
    return Samples({k: v.to_numpy() for k, v in tree["posterior"].data_vars.items()}, {s: stats[s] for s in STATISTICS}, 0.0, sampling())


@dataclass(frozen=True)
class _JaxModel:
    """A PyMC model as JAX functions of one flat unconstrained vector."""

    log_density: Callable
    constrain: Callable[[np.ndarray], dict[str, np.ndarray]]
    start: np.ndarray


def _jax_model(model: Any, options: SamplerOptions) -> _JaxModel:
    """Log density, map to the model's variables, and one jittered start per chain (uniform ±1 around PyMC's initial point)."""
    import jax
    from pymc.sampling.jax import get_jaxified_graph

    point = model.initial_point(random_seed=int(options.seed))
    values = [np.asarray(point[v.name], dtype=float) for v in model.value_vars]
    bounds = np.cumsum([0, *[v.size for v in values]])
    # get_jaxified_logp(negative_logp=False) of PyMC 6 returns the density with its sign turned, so the graph is taken directly.
    logp = get_jaxified_graph(inputs=model.value_vars, outputs=[model.logp()])

    def parts(x):
        return [x[bounds[i] : bounds[i + 1]].reshape(v.shape) for i, v in enumerate(values)]

    outputs = model.unobserved_value_vars
    wanted = [v for v in outputs if v.name in {r.name for r in [*model.free_RVs, *model.deterministics]}]
    graph = get_jaxified_graph(inputs=model.value_vars, outputs=wanted)
    batched = jax.jit(jax.vmap(lambda x: graph(*parts(x))))

    def constrain(x: np.ndarray) -> dict[str, np.ndarray]:
        flat = batched(x.reshape(-1, x.shape[-1]))
        return {v.name: np.asarray(a).reshape(*x.shape[:-1], *a.shape[1:]) for v, a in zip(wanted, flat, strict=True)}

    centre = np.concatenate([v.ravel() for v in values])
    jitter = np.random.default_rng(int(options.seed)).uniform(-1, 1, (options.chains, centre.size))
    return _JaxModel(lambda x: logp(*parts(x))[0], constrain, centre + jitter)


def _numpyro(model: Any, options: SamplerOptions) -> Samples:
    import jax
    from numpyro.infer import MCMC, NUTS

    fields = ("diverging", "energy", "num_steps", "potential_energy")
    with _phase("Compiling (NumPyro)", options) as compiling:
        jax_model = _jax_model(model, options)
        kernel = NUTS(potential_fn=lambda x: -jax_model.log_density(x), target_accept_prob=options.target_accept)
        mcmc = MCMC(kernel, num_warmup=options.tune, num_samples=options.draws, num_chains=1, progress_bar=False, jit_model_args=False)
        keys = jax.random.split(jax.random.PRNGKey(int(options.seed)), options.chains)
    runs = []
    with _phase("Sampling (compilation of the loop included)", options) as sampling:
        for key, start in zip(keys, jax_model.start, strict=True):
            mcmc.run(key, init_params=start, extra_fields=fields)
            runs.append((np.asarray(mcmc.get_samples()), {f: np.asarray(v) for f, v in mcmc.get_extra_fields().items()}))
            mcmc.post_warmup_state = None
    stats = {f: np.stack([r[1][f] for r in runs]) for f in fields}
    statistics = {
        "diverging": stats["diverging"],
        "energy": stats["energy"],
        "n_steps": stats["num_steps"],
        "lp": -stats["potential_energy"],
    }
    return Samples(jax_model.constrain(np.stack([r[0] for r in runs])), statistics, compiling(), sampling())


def _blackjax(model: Any, options: SamplerOptions) -> Samples:
    import blackjax
    import jax

    with _phase("Compiling (BlackJAX)", options) as compiling:
        jax_model = _jax_model(model, options)

        def chain(key, start):
            warm, run = jax.random.split(key)
            adaptation = blackjax.window_adaptation(blackjax.nuts, jax_model.log_density, target_acceptance_rate=options.target_accept)
            (state, parameters), _ = adaptation.run(warm, start, num_steps=options.tune)
            step = blackjax.nuts(jax_model.log_density, **parameters).step

            def one(state, key):
                state, info = step(key, state)
                return state, (state.position, info.is_divergent, info.energy, info.num_integration_steps, state.logdensity)

            return jax.lax.scan(one, state, jax.random.split(run, options.draws))[1]

        keys = jax.random.split(jax.random.PRNGKey(int(options.seed)), options.chains)
        compiled = jax.jit(chain).lower(keys[0], jax_model.start[0]).compile()
    # Computed in the calling thread (see prepare_jax), so as many chains as threads run side by side.
    with _phase("Sampling", options) as sampling, ThreadPoolExecutor(_cores(options)) as pool:
        runs = list(pool.map(lambda key, start: jax.block_until_ready(compiled(key, start)), keys, jax_model.start))
    position, diverging, energy, steps, lp = (np.stack([np.asarray(r[j]) for r in runs]) for j in range(5))
    statistics = {"diverging": diverging, "energy": energy, "n_steps": steps, "lp": lp}
    return Samples(jax_model.constrain(position), statistics, compiling(), sampling())


SAMPLERS: dict[str, Callable[[Any, SamplerOptions], Samples]] = {
    "nutpie": _nutpie,
    "numpyro": _numpyro,
    "blackjax": _blackjax,
    "pymc": _pymc,
}
"""Samplers by name. All but the last run on JAX; ``make bench`` times the first three from a cold start."""

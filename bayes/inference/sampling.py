"""One door to four samplers. What they return is normalised here and nowhere else: names, types and order of draws and statistics."""

from __future__ import annotations

import contextlib
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from bayes.errors import SamplingError, SpecificationError
from bayes.inference.compilation import keep_compiled_programs
from bayes.inference.programs import Prepared, Program, program_of
from bayes.progress import is_shown, on_terminal, say
from bayes.validation import whole_number

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
        # Numbers of numpy become Python's: options are written as JSON beside the draws.
        for name, least in (("draws", 1), ("tune", 1), ("chains", 1), ("seed", 0)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        if self.cores is not None:
            object.__setattr__(self, "cores", whole_number("cores", self.cores, 1))
        if not isinstance(self.target_accept, Real) or not 0 < self.target_accept < 1:
            raise SpecificationError(f"target_accept must lie between 0 and 1, got {self.target_accept!r}.")
        object.__setattr__(self, "target_accept", float(self.target_accept))

    @property
    def shows_progress(self) -> bool:
        return is_shown(self.progress)


@dataclass(frozen=True)
class Samples:
    """Draws of the model's variables and sample statistics, arrays (chains, draws, …), with the seconds of both phases."""

    draws: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]
    compile_seconds: float
    sampling_seconds: float


def sample(posterior: Any, options: SamplerOptions) -> Samples:
    """Draw from a posterior.

    Parameters
    ----------
    posterior : Prepared or pymc.Model
        A :class:`bayes.inference.programs.Prepared` posterior is compiled once for all data of one layout; a PyMC model, whose data are
        constants, each time.
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
    with single_threaded_algebra(), warnings.catch_warnings():
        # Samplers warn about what the diagnostics gate reports anyway, and about their own internals.
        warnings.simplefilter("ignore")
        return drawn(posterior, options)


def drawn(posterior: Any, options: SamplerOptions) -> Samples:
    """:func:`sample` for batches on several threads, whose caller prepares JAX, holds the algebra to one thread and warnings back."""
    try:
        raw = SAMPLERS[options.sampler](posterior, options)
    except SpecificationError:
        raise
    except Exception as error:
        raise SamplingError(f"{options.sampler} stopped: {type(error).__name__}: {error}") from error
    draws = {name: np.asarray(values, dtype=float) for name, values in raw.draws.items()}
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
    keep_compiled_programs()
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
    """Time a phase and, where progress is shown, say that it runs and how long it took."""
    start = time.perf_counter()
    if options.shows_progress:
        say(f"{label} …", stays=False)
    stop: list[float] = []
    yield lambda: stop[0]
    stop.append(time.perf_counter() - start)
    if options.shows_progress:
        say(f"{label}: {stop[0]:.1f} s")


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


def _nutpie(posterior: Any, options: SamplerOptions) -> Samples:
    import nutpie

    with _phase("Compiling (nutpie, JAX)", options) as compiling:
        program, data = program_of(posterior)
        compiled = _with_nutpie(program, data)
        compiled._make_logp_func()(np.zeros(compiled.n_dim), **compiled._shared_data)
    with _phase("Sampling", options) as sampling:
        tree = nutpie.sample(
            compiled, draws=options.draws, tune=options.tune, chains=options.chains, cores=_cores(options), seed=int(options.seed),
            target_accept=options.target_accept, progress_bar=on_terminal(options.progress),
        )  # fmt: skip
    stats, found = tree["sample_stats"], tree["posterior"]
    statistics = {"diverging": stats["diverging"], "energy": stats["energy"], "n_steps": stats["n_steps"], "lp": stats["logp"]}
    return Samples({name: found[name].to_numpy() for name in program.names}, statistics, compiling(), sampling())


def _with_nutpie(program: Program, data: dict[str, np.ndarray]) -> Any:
    """nutpie's model of a program with these data. Its starting points depend on the data too, through the program's shared variables."""
    import jax.numpy as jnp
    import nutpie

    compiled = program.once("nutpie", lambda: nutpie.compile_pymc_model(program.model, backend="jax", gradient_backend="jax"))
    if not data:
        return compiled
    first = compiled._make_initial_points

    def initial_points(seed: int) -> np.ndarray:
        with program.lock:
            for name, variable in program.shared.items():
                variable.set_value(data[name])
            return first(seed)

    used = {name: jnp.asarray(data[name]) for name in compiled._shared_data}
    return replace(compiled.with_data(**used), _make_initial_points=initial_points)


def _pymc(posterior: Any, options: SamplerOptions) -> Samples:
    import pymc as pm

    model = posterior.model() if isinstance(posterior, Prepared) else posterior
    with _phase("Sampling (PyMC, compilation included)", options) as sampling, _quiet_log("pymc", options), model:
        tree = pm.sample(
            options.draws, tune=options.tune, chains=options.chains, cores=1, random_seed=int(options.seed), nuts_sampler="pymc",
            target_accept=options.target_accept, progressbar=on_terminal(options.progress), compute_convergence_checks=False,
        )  # fmt: skip
    stats, found = tree["sample_stats"], tree["posterior"]
    draws = {name: found[name].to_numpy() for name in Program(model, {}).names}
    return Samples(draws, {s: stats[s] for s in STATISTICS}, 0.0, sampling())


def _starts(program: Program, data: dict[str, np.ndarray], options: SamplerOptions) -> np.ndarray:
    """One start per chain: uniform ±1 around PyMC's initial point, shape (chains, parameters)."""
    centre = program.centre(data)
    return centre + np.random.default_rng(int(options.seed)).uniform(-1, 1, (options.chains, centre.size))


def _numpyro(posterior: Any, options: SamplerOptions) -> Samples:
    import jax
    from numpyro.infer import MCMC, NUTS

    fields = ("diverging", "energy", "num_steps", "potential_energy")
    with _phase("Compiling (NumPyro)", options) as compiling:
        program, data = program_of(posterior)
        kernel = NUTS(potential_fn=lambda x: -program.log_density(x, data), target_accept_prob=options.target_accept)
        mcmc = MCMC(kernel, num_warmup=options.tune, num_samples=options.draws, num_chains=1, progress_bar=False, jit_model_args=False)
        keys, starts = jax.random.split(jax.random.PRNGKey(int(options.seed)), options.chains), _starts(program, data, options)
    runs = []
    with _phase("Sampling (compilation of the loop included)", options) as sampling:
        for key, start in zip(keys, starts, strict=True):
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
    return Samples(program.constrain(np.stack([r[0] for r in runs]), data), statistics, compiling(), sampling())


def _blackjax(posterior: Any, options: SamplerOptions) -> Samples:
    import jax

    with _phase("Compiling (BlackJAX)", options) as compiling:
        program, data = program_of(posterior)
        keys, starts = jax.random.split(jax.random.PRNGKey(int(options.seed)), options.chains), _starts(program, data, options)
        shape = (options.draws, options.tune, options.target_accept)
        compiled = program.once(("blackjax", *shape), lambda: jax.jit(_chain(program, *shape)).lower(keys[0], starts[0], data).compile())
    # Computed in the calling thread (see prepare_jax), so as many chains as threads run side by side.
    with _phase("Sampling", options) as sampling, ThreadPoolExecutor(_cores(options)) as pool:
        runs = list(pool.map(lambda key, start: jax.block_until_ready(compiled(key, start, data)), keys, starts))
    position, diverging, energy, steps, lp = (np.stack([np.asarray(r[j]) for r in runs]) for j in range(5))
    statistics = {"diverging": diverging, "energy": energy, "n_steps": steps, "lp": lp}
    return Samples(program.constrain(position, data), statistics, compiling(), sampling())


def _chain(program: Program, draws: int, tune: int, target_accept: float) -> Callable:
    """One chain of BlackJAX's NUTS, warm-up included, as a JAX function of key, start and data."""
    import blackjax
    import jax

    def chain(key, start, data):
        def log_density(x):
            return program.log_density(x, data)

        warm, run = jax.random.split(key)
        adaptation = blackjax.window_adaptation(blackjax.nuts, log_density, target_acceptance_rate=target_accept)
        (state, parameters), _ = adaptation.run(warm, start, num_steps=tune)
        step = blackjax.nuts(log_density, **parameters).step

        def one(state, key):
            state, info = step(key, state)
            return state, (state.position, info.is_divergent, info.energy, info.num_integration_steps, state.logdensity)

        return jax.lax.scan(one, state, jax.random.split(run, draws))[1]

    return chain


SAMPLERS: dict[str, Callable[[Any, SamplerOptions], Samples]] = {
    "nutpie": _nutpie,
    "numpyro": _numpyro,
    "blackjax": _blackjax,
    "pymc": _pymc,
}
"""Samplers by name. All but the last run on JAX; ``make bench`` times the first three from a cold start."""

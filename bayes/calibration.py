"""Does a model find what it is told? Simulation-based calibration and coverage on the user's own panel."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.executors import Executor, Portable
from bayes.inference.calibration_result import CalibrationResult
from bayes.inference.diagnostics import diagnose
from bayes.inference.sampling import SamplerOptions, Samples, drawn, prepare_jax, single_threaded_algebra
from bayes.panel import Panel
from bayes.replicates import Record, Replicate, run_replicates
from bayes.validation import one_of, whole_number

_RANKS = 99
"""Posterior draws that a true value is ranked among, thinned from all of them so that they are nearly independent."""


@checked
def calibrate(
    model: Any, panel: Panel, n: int = 200, seed: int = 0, quantities: Sequence[str] | None = None, *, draws: int = 250, tune: int = 250,
    chains: int = 2, target_accept: float | None = None, sampler: str = "blackjax", cores: int | None = None, progress: bool | None = None,
    resume: str | Path | None = None, executor: Executor | None = None,
) -> CalibrationResult:  # fmt: skip
    """Simulation-based calibration of a model on the panel that it will be used on.

    Each replicate draws parameters from the priors, an outcome from the model on the panel's own rows (units, dates, gaps, treatment,
    covariates or inputs), and fits it again. Where the posterior is right, true values rank uniformly among posterior draws and intervals
    cover as often as they say. It is a check of computation and of the design under the model; it says nothing about whether the model
    is true of the data. The program is compiled once and its data change from replicate to replicate.

    Priors that are measured in the data are fixed in units of this panel's outcome. Flat parts of a difference-in-differences (unit and
    period effects, coefficients, and all cells where nothing is pooled) are held at zero: adding any combination of flat columns to an
    outcome moves posterior and truth alike, so ranks do not depend on the value (``bayes.did.simulated_outcomes``). Frontiers have no
    flat part.

    Parameters
    ----------
    model : StaggeredDiD or StochasticFrontier
        Without dose, moderators, Student-t errors or the soft constraint of monotonicity. Leads play no part.
    panel : Panel
        The outcome's values are replaced, and only set the units of priors.
    n : int
        Replicates.
    seed : int
        Replicate k depends on ``(seed, k)`` alone.
    quantities : sequence of str, optional
        What is ranked. Difference-in-differences: ``att`` (sample, overall), ``att_population``, ``region``, ``event`` (ATT by region, by
        event time), ``scales``; all but ``event`` unless chosen. Frontier: ``elasticities`` (by region), ``efficiency`` (mean, overall and
        by region), ``scales``; all of them unless chosen. Averages that the panel does not identify are left out.
    draws, tune, chains, target_accept, sampler
        Of each short fit. ``target_accept`` defaults to that of the model's own ``fit``.
    cores : int, optional
        Replicates at a time (default: all cores).
    progress : bool, optional
        Count aloud; by default on a terminal only.
    resume : path, optional
        A folder: finished replicates are kept there, and an interrupted calibration goes on where it was; asking for more adds to them.
    executor : dask.distributed.Client, optional
        Its workers fit the replicates, with the same result (docs/scaling.md).

    Returns
    -------
    CalibrationResult
        Ranks, coverage, errors and failed fits; drawn by :func:`bayes.plots.calibration`.

    Raises
    ------
    SpecificationError, UnsupportedModelError
        A model that cannot be calibrated, unknown quantities, or options that are no numbers; and the errors of the model's own ``fit``.
    OutputFileError
        The folder cannot be written.

    References
    ----------
    Talts, Betancourt, Simpson, Vehtari & Gelman (2018), arXiv:1804.06788; Säilynoja, Bürkner & Vehtari (2022), Statistics and Computing
    32:32.
    """
    if not isinstance(panel, Panel):
        raise SpecificationError(f"calibrate takes a bayes.Panel with its rows in memory, got {type(panel).__name__}.")
    n, seed = whole_number("n", n, 2), whole_number("seed", seed, 0)
    design, accept = _design(model, panel, quantities)
    options = SamplerOptions(sampler, draws, tune, chains, accept if target_accept is None else target_accept, cores=1, progress=False)
    if options.draws * options.chains <= _RANKS:
        raise SpecificationError(f"draws × chains must be more than {_RANKS}, got {options.draws} × {options.chains}.")
    record = _record(model, panel, design, options, seed, resume)
    started = time.perf_counter()

    replicate = Portable(_replicate, _on_worker, (model, panel, quantities, options, seed), (design, options, seed))
    prepare_jax()
    with single_threaded_algebra(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(jax|blackjax|numpyro|nutpie|pymc|pytensor|arviz)")
        done = run_replicates(replicate, n, record, cores, progress, "Calibration", executor)
    meta = {"model": str(model), "seed": seed, "draws": options.draws, "tune": options.tune, "chains": options.chains, "sampler": sampler,
            "fixed": design.fixed, "seconds": time.perf_counter() - started, "note": panel.note}  # fmt: skip
    arrays = {name: np.stack([one[name] for one in done]) for name in done[0]}
    return CalibrationResult(tuple(design.labels), **arrays, n_ranks=_RANKS, meta=meta)


def _replicate(state: tuple[Any, SamplerOptions, int], k: int) -> Replicate:
    """Parameters and an outcome drawn, fitted, and compared."""
    design, options, seed = state
    rng = np.random.default_rng([seed, k])
    simulated = design.simulate(rng)
    samples = drawn(design.posterior(simulated), replace(options, seed=int(rng.integers(2**31))))
    return _compared(simulated.truth, design.draws(simulated, samples), samples)


def _on_worker(
    model: Any, panel: Panel, quantities: Sequence[str] | None, options: SamplerOptions, seed: int
) -> tuple[Any, SamplerOptions, int]:
    """What :func:`_replicate` takes, in a process that has not compiled the model."""
    prepare_jax()
    return _design(model, panel, quantities)[0], options, seed


def _design(model: Any, panel: Panel, quantities: Sequence[str] | None) -> tuple[Any, float]:
    """What simulates and compares for this family, and the target acceptance of its own fits."""
    from bayes.did.model import StaggeredDiD
    from bayes.frontier.model import StochasticFrontier

    if isinstance(model, StaggeredDiD):
        from bayes.did import simulated_outcomes as did

        return did.DiDDesign(model, panel, _words(quantities, did.QUANTITIES, did.DEFAULT)), 0.8
    if isinstance(model, StochasticFrontier):
        from bayes.frontier import simulated_outcomes as frontier

        chosen = _words(quantities, frontier.QUANTITIES, frontier.DEFAULT)
        return frontier.FrontierDesign(model, panel, chosen), model.target_accept
    raise SpecificationError(f"calibrate takes a StaggeredDiD or a StochasticFrontier, got {type(model).__name__}.")


def _words(chosen: Sequence[str] | None, known: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    if chosen is None:
        return default
    if isinstance(chosen, str | Mapping) or not isinstance(chosen, Sequence) or not chosen:
        raise SpecificationError(f"quantities must be a list with some of {', '.join(map(repr, known))}; got {chosen!r}.")
    return tuple(dict.fromkeys(one_of("quantities", word, known) for word in chosen))


def _record(model: Any, panel: Panel, design: Any, options: SamplerOptions, seed: int, resume: str | Path | None) -> Record | None:
    """Where finished replicates are kept, by all that they depend on."""
    if resume is None:
        return None
    from bayes.inference.files import data_hash, versions

    own = [options.sampler, options.draws, options.tune, options.chains, options.target_accept, list(design.quantities), _RANKS]
    used = model.needed(panel)
    return Record.of(resume, "calibration", [model.to_dict(), data_hash(used), own, seed, versions(options.sampler)])


def _compared(truth: np.ndarray, draws: np.ndarray, samples: Samples) -> Replicate:
    """What is kept of a replicate: where the truth lies among the posterior draws (Q, draws), and how the chains did."""
    import xarray as xr

    thinned = draws[:, np.linspace(0, draws.shape[1] - 1, _RANKS).round().astype(int)]
    posterior = xr.Dataset({k: (("chain", "draw", *(f"{k}_{j}" for j in range(v.ndim - 2))), v) for k, v in samples.draws.items()})
    found = diagnose(posterior, xr.Dataset({k: (("chain", "draw"), v) for k, v in samples.statistics.items()}))
    return {
        "ranks": (thinned < truth[:, None]).sum(axis=1),
        "below": (draws < truth[:, None]).mean(axis=1),
        "truth": truth,
        "mean": draws.mean(axis=1),
        "sd": draws.std(axis=1, ddof=1),
        "divergences": np.array(found.divergences),
        "rhat": np.array(found.rhat_max),
        "ess": np.array(found.ess_bulk_min),
    }

"""Frontiers with very many rows: a quadratic surrogate of the likelihood under the exact hierarchical prior, then importance correction.

One gradient of the surrogate costs the same at a thousand rows and at a million. The rows are read a few dozen times: by Newton's method
for the maximum of the likelihood, and once for each draw that is kept, for its exact log likelihood. The ratio of exact and quadratic
likelihood weights the draws; where the weights are unreliable (k-hat), the surrogate is refused.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.errors import SurrogateWarning, UnsupportedModelError, warn_user
from bayes.frontier.arrays import Inputs
from bayes.frontier.data import FrontierData
from bayes.frontier.expansion import Expansion, blocks_of, layout, log_likelihood, maximum, stacked, start
from bayes.frontier.first_look import pilot
from bayes.frontier.scalars import scaling
from bayes.inference.sampling import SamplerOptions, Samples
from bayes.validation import one_of

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

METHODS = ("auto", "nuts", "surrogate")
SURROGATE_FROM = 30_000
"""Rows from which ``method="auto"`` takes the surrogate."""


@dataclass(frozen=True)
class FrontierOptions(SamplerOptions):
    """How to sample a frontier: ``method`` is ``nuts`` or ``surrogate``; the rest is how either walks."""

    method: str = "nuts"


@dataclass(frozen=True, eq=False)
class SurrogateRun:
    """What came of a surrogate: ``record`` for the fit's meta, and the corrected draws, or why they were refused."""

    record: dict[str, Any]
    samples: Samples | None = None
    refusal: str = ""


def chosen_method(spec: StochasticFrontier, n_rows: int, method: str) -> str:
    """``nuts`` or ``surrogate``.

    Raises :class:`SpecificationError` on another word, :class:`UnsupportedModelError` for a form that has no surrogate.
    """
    one_of("method", method, METHODS)
    lacking = _lacking(spec)
    if method == "surrogate" and lacking:
        raise UnsupportedModelError(f"method='surrogate' does not exist for {lacking}. Use method='nuts', or 'auto', which does.")
    if method == "auto":
        return "surrogate" if n_rows >= SURROGATE_FROM and not lacking else "nuts"
    return method


def _lacking(spec: StochasticFrontier) -> str:
    """The first choice of the specification that the surrogate does not know, in words; empty where it knows all."""
    known = {"model": ("pooled",), "inefficiency": ("half-normal", "exponential"), "noise": ("normal",), "monotonicity": ("free",)}
    for name, words in known.items():
        if getattr(spec, name) not in words:
            return f"{name}={getattr(spec, name)!r}, only for {' or '.join(map(repr, words))}"
    return ""


def draw(spec: StochasticFrontier, data: FrontierData, options: FrontierOptions) -> tuple[Samples, dict[str, Any]]:
    """Posterior draws by ``options.method``, and what the fit's meta says about it beyond the options.

    A refused surrogate costs its own minutes, warns (:class:`SurrogateWarning`) and gives way to NUTS.
    """
    from bayes.frontier.marginal import marginal_posterior
    from bayes.inference.sampling import sample

    record: dict[str, Any] = {}
    if options.method == "surrogate":
        run = sample_surrogate(spec, data, options)
        if run.samples is not None:
            return run.samples, run.record
        warn_user(
            f"The quadratic surrogate of the likelihood was refused: {run.refusal}. NUTS samples all {data.n_rows:,} rows instead, "
            "which takes longer.",
            SurrogateWarning,
        )
        record = {"method": "nuts", "surrogate_refused": run.refusal, "surrogate": run.record}
    return sample(marginal_posterior(spec, data), options), record


def surrogate_model(spec: StochasticFrontier, inputs: Inputs, expansion: Expansion):
    """The marginal form with the second-order expansion in the place of the likelihood: same priors, same coordinates, no rows."""
    import pytensor.tensor as pt

    from bayes.frontier.marginal import model_with

    def quadratic(p: Mapping[str, Any]) -> Any:
        gap = stacked(p, spec, inputs.data, pt) - expansion.at
        return pt.dot(gap, expansion.gradient) - 0.5 * pt.dot(gap, pt.dot(pt.as_tensor(expansion.information), gap))

    return model_with(spec, inputs, quadratic)


def sample_surrogate(spec: StochasticFrontier, data: FrontierData, options: SamplerOptions) -> SurrogateRun:
    """Expand the log likelihood at its maximum, sample the surrogate posterior, weight with the exact likelihood, resample."""
    from bayes.inference.importance import importance_correction
    from bayes.inference.sampling import prepare_jax, sample, single_threaded_algebra

    prepare_jax()
    began = time.perf_counter()
    inputs = Inputs(data, scaling(spec, data), pilot(spec, data))
    where, blocks = layout(spec, data), blocks_of(data)
    first = start(spec, data, inputs.scales.information.rows, inputs.first)
    with single_threaded_algebra():
        expansion = maximum(first, blocks, where, spec.inefficiency, spec.sign)
    record: dict[str, Any] = {"expansion_seconds": round(time.perf_counter() - began, 3)}
    if not expansion.converged:
        return SurrogateRun(record, refusal="the likelihood has no interior maximum in some region (residuals skewed the wrong way)")
    samples = sample(surrogate_model(spec, inputs, expansion), options)
    theta = stacked(_named(samples, spec, data), spec, data)
    began, cores = time.perf_counter(), options.cores or os.cpu_count() or 1
    with single_threaded_algebra():
        exact = log_likelihood(theta.reshape(-1, where.size), blocks, where, spec.inefficiency, spec.sign, cores)
    ratio = exact.reshape(theta.shape[:2]) - expansion.quadratic(theta)
    correction = importance_correction(ratio, options.seed)
    record |= {
        "correction_seconds": round(time.perf_counter() - began, 3),
        "k_hat": round(correction.k_hat, 4),
        "k_hat_limit": round(correction.limit, 4),
        "effective_draws": round(correction.effective, 1),
    }
    if not correction.reliable:
        return SurrogateRun(record, refusal=f"k-hat {correction.k_hat:.2f} exceeds {correction.limit:.2f}")
    seconds = samples.sampling_seconds + record["expansion_seconds"] + record["correction_seconds"]
    draws = {name: _taken(values, correction.chosen) for name, values in samples.draws.items()}
    return SurrogateRun(record, replace(samples, draws=draws, sampling_seconds=seconds))


def _named(samples: Samples, spec: StochasticFrontier, data: FrontierData) -> dict[str, np.ndarray]:
    """Draws as the likelihood takes them: determinants per standard deviation."""
    p = {name: samples.draws[name] for name in ("technology", "noise_scale", "inefficiency_scale")}
    for name, scale in (("determinant", data.determinant_scale), ("noise_determinant", data.noise_determinant_scale)):
        if scale.size:
            p[name] = samples.draws[name] * scale
    return p


def _taken(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Draws (chains, draws, …) at positions that count through all of them."""
    return values.reshape(-1, *values.shape[2:])[chosen].reshape(values.shape)

"""From sampled scales to draws of paths: the bridge between a sampler's output and the tables of a mediation fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayes.inference.sampling import single_threaded_algebra
from bayes.mechanism.coupling import beta_parameters, correlation_factor
from bayes.mechanism.equations import Equations
from bayes.mechanism.posterior import Drawn, Scales, draw_paths, prior_paths
from bayes.priors import Prior

SPREADS = ("driving_sd", "direct_sd", "mediator_effect_sd")
"""Between-region standard deviations, in the order of the paths."""


def mean_sds(equations: Equations, priors: Mapping[str, Prior]) -> np.ndarray:
    """Prior standard deviation of each path's mean over regions, in units of the scaled columns. Shape (J,)."""
    chosen = [priors[name.removesuffix("_sd")] for name in path_kinds(equations)]
    return np.array([p.scaled(s).parameters["sigma"] / s for p, s in zip(chosen, equations.path_scales, strict=True)])


def path_kinds(equations: Equations) -> tuple[str, ...]:
    """Which of :data:`SPREADS` each path belongs to: a of every mediator, c', b of every mediator."""
    k = len(equations.mediators)
    return ("driving_sd",) * k + ("direct_sd",) + ("mediator_effect_sd",) * k


def path_names(equations: Equations) -> list[str]:
    """Labels of the paths."""
    return [f"driving {m}" for m in equations.mediators] + ["direct"] + [f"mediator effect {m}" for m in equations.mediators]


def scales_of(values: Mapping[str, np.ndarray], equations: Equations) -> Scales:
    """Sampled values in units of the data, arrays (chain, draw, …) → scaled units, chains joined."""
    flat = {name: np.asarray(v, dtype=float).reshape(-1, *np.shape(v)[2:]) for name, v in values.items()}
    n, q = flat["innovation_sd"].shape
    unit = (flat["unit_effect_sd"] / equations.unit_effect_scales)[..., None] if "unit_effect_sd" in flat else np.zeros((n, q, 0))
    spread = np.zeros((n, 0))
    if "direct_sd" in flat:
        spread = (
            np.concatenate([flat["driving_sd"], flat["direct_sd"][:, None], flat["mediator_effect_sd"]], axis=1) / equations.path_scales
        )
    return Scales(
        flat["innovation_sd"] / equations.scales, flat.get("autocorrelation", np.zeros((n, q))), unit, spread,
        flat.get("partial_correlation", np.zeros((n, 0))),
    )  # fmt: skip


@single_threaded_algebra()
def posterior_dataset(
    values: Mapping[str, np.ndarray], equations: Equations, priors: Mapping[str, Prior], pooling: str, seed: int
) -> xr.Dataset:
    """Sampled scales (chain, draw, …) with exact draws of every path and covariate, in units of the data."""
    shape = values["innovation_sd"].shape[:2]
    scales = scales_of(values, equations)
    drawn = draw_paths(equations, scales, mean_sds(equations, priors), pooling, np.random.default_rng([seed, 1]))
    arrays = _scale_arrays(values, scales, equations) | _path_arrays(drawn, equations)
    if equations.covariates:
        place, size = equations.covariate_columns, equations.scales[:, None] / equations.covariate_scales
        coefficient = np.stack([f[:, place] for f in drawn.flat], axis=1) * size
        arrays["coefficient"] = (("equation", "covariate"), coefficient)
    return _dataset(arrays, shape, equations)


@single_threaded_algebra()
def unpooled_dataset(values: Mapping[str, np.ndarray], equations: Equations, priors: Mapping[str, Prior], seed: int) -> xr.Dataset:
    """The same draws of the error process, but every region by itself, under the wide prior of the means."""
    kept = {n: v for n, v in values.items() if n in ("innovation_sd", "autocorrelation", "unit_effect_sd")}
    return posterior_dataset(kept, equations, priors, "none", seed)


def prior_dataset(equations: Equations, priors: Mapping[str, Prior], names: tuple[str, ...], spec: Any, n: int, seed: int) -> xr.Dataset:
    """Draws of scales and paths from the prior, dims chain (1) and draw, in units of the data."""
    rng = np.random.default_rng([seed, 2])
    values = {name: _prior_values(name, equations, priors, spec.correlation_concentration, n, rng) for name in names}
    scales = scales_of(values, equations)
    drawn = prior_paths(scales, mean_sds(equations, priors), len(equations.regions), spec.effective_pooling(equations), rng)
    return _dataset(_scale_arrays(values, scales, equations) | _path_arrays(drawn, equations), (1, n), equations)


def units_of(name: str, equations: Equations) -> np.ndarray:
    """Units of each entry of a sampled parameter: its prior is relative to them."""
    if name in SPREADS:
        return equations.path_scales[np.array(path_kinds(equations)) == name]
    return equations.unit_effect_scales if name == "unit_effect_sd" else equations.scales


def _prior_values(name: str, equations: Equations, priors: Mapping[str, Prior], concentration: float, n: int, rng) -> np.ndarray:
    if name == "partial_correlation":
        alpha = beta_parameters(equations.path_scales.size, concentration)
        return 2 * rng.beta(alpha, alpha, (1, n, alpha.size)) - 1
    drawn = np.stack([priors[name].scaled(s).sample(rng, n) for s in units_of(name, equations)], axis=-1)[None]
    return drawn[..., 0] if name == "direct_sd" else drawn


def _scale_arrays(values: Mapping[str, np.ndarray], scales: Scales, equations: Equations) -> dict[str, Any]:
    dims = {"driving_sd": ("mediator",), "mediator_effect_sd": ("mediator",), "direct_sd": ()}
    out = {n: (dims.get(n, ("equation",)), v) for n, v in values.items() if n != "partial_correlation"}
    if "partial_correlation" in values:
        factor = correlation_factor(scales.partial, equations.path_scales.size)
        out["path_correlation"] = (("path", "path_to"), factor @ factor.transpose(0, 2, 1))
    return out


def _path_arrays(drawn: Drawn, equations: Equations) -> dict[str, Any]:
    k = len(equations.mediators)
    paths = drawn.paths * equations.path_scales[:, None]
    out = {
        "driving": (("mediator", "region"), paths[:, :k]),
        "direct": (("region",), paths[:, k]),
        "mediator_effect": (("mediator", "region"), paths[:, k + 1 :]),
    }
    if drawn.means.size:
        means = drawn.means * equations.path_scales
        out |= {"driving_mean": (("mediator",), means[:, :k]), "direct_mean": ((), means[:, k])}
        out["mediator_effect_mean"] = (("mediator",), means[:, k + 1 :])
    return out


def _dataset(arrays: Mapping[str, Any], shape: tuple[int, int], equations: Equations) -> xr.Dataset:
    data = {name: (("chain", "draw", *dims), np.asarray(v).reshape(*shape, *_tail(v, len(dims)))) for name, (dims, v) in arrays.items()}
    names = path_names(equations)
    coords = {
        "equation": list(equations.names), "mediator": list(equations.mediators), "region": list(equations.regions),
        "covariate": list(equations.covariates), "path": names, "path_to": names,
    }  # fmt: skip
    coords = {name: np.array(labels, dtype=object) for name, labels in coords.items()}
    facts = {
        "treated_rows": ("region", equations.treated_rows.astype(np.int64)), "treated_weight": ("region", equations.treated_weight),
        "rows": ("region", equations.rows.astype(np.int64)), "direct_identified": ("region", equations.direct_identified),
        "driving_identified": (("mediator", "region"), equations.driving_identified),
        "mediator_identified": (("mediator", "region"), equations.mediator_identified), "dichotomous": ("mediator", equations.dichotomous),
    }  # fmt: skip
    used = {d for dims, _ in arrays.values() for d in dims} | {"mediator", "region"}
    out = xr.Dataset(data, {name: labels for name, labels in coords.items() if name in used})
    return out.assign_coords({"chain": np.arange(shape[0]), "draw": np.arange(shape[1])} | facts)


def _tail(values: np.ndarray, n: int) -> tuple[int, ...]:
    return np.shape(values)[np.ndim(values) - n :] if n else ()

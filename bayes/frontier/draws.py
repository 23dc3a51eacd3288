"""Draws of a frontier as named arrays: the posterior that is kept, the prior, and the parameters that kernels take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy import special

from bayes.frontier.data import FrontierData
from bayes.frontier.support import WITH_UNIT_EFFECTS

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

DIMS: dict[str, tuple[str, ...]] = {
    "technology": ("region", "term"),
    "technology_mean": ("term",),
    "technology_spread": ("term",),
    "noise_scale": ("region",),
    "noise_scale_mean": (),
    "noise_spread": (),
    "inefficiency_scale": ("region",),
    "inefficiency_scale_mean": (),
    "inefficiency_spread": (),
    "location_ratio": (),
    "shape": (),
    "degrees_of_freedom": (),
    "decay": (),
    "path_linear": (),
    "path_quadratic": (),
    "determinant": ("determinant_column",),
    "noise_determinant": ("noise_column",),
    "unit_effect_sd": (),
    "persistent_scale": (),
    "unit_effect": ("unit",),
}
"""Variables of a frontier's posterior and their dimensions after (chain, draw), in the order of tables."""


_OWN = {
    "truncated-normal": ("location_ratio",),
    "gamma": ("shape",),
    "bc92": ("decay",),
    "kumbhakar-1990": ("path_linear", "path_quadratic"),
    "true-random-effects": ("unit_effect_sd",),
    "four-component": ("unit_effect_sd", "persistent_scale"),
}
"""Priors that a distribution of inefficiency or a panel form adds."""


def posterior_dataset(draws: dict[str, np.ndarray], spec: StochasticFrontier, data: FrontierData) -> xr.Dataset:
    """What is kept of a sampled model: quantities with a meaning, not the coordinates they were sampled in."""
    coords = {
        "region": data.regions.astype(str).astype(object),
        "term": np.array(data.term_names, dtype=object),
        "unit": np.array([str(u) for u in data.units], dtype=object),
        "determinant_column": np.array(spec.determinants, dtype=object),
        "noise_column": np.array(spec.noise_determinants, dtype=object),
    }
    kept = {name: (("chain", "draw", *dims), draws[name]) for name, dims in DIMS.items() if name in draws}
    used = {dim for dims, _ in kept.values() for dim in dims}
    return xr.Dataset(kept, {name: values for name, values in coords.items() if name in used})


def parameters(
    posterior: xr.Dataset, spec: StochasticFrontier, data: FrontierData, chosen: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Draws as kernels take them (:data:`bayes.frontier.likelihood.Parameters`): chains and draws in one leading axis, determinants per
    standard deviation. ``chosen`` are positions on that axis; default all."""

    def flat(name: str) -> np.ndarray:
        values = posterior[name].to_numpy()
        values = values.reshape(-1, *values.shape[2:])
        return values if chosen is None else values[chosen]

    names = ["technology", "noise_scale", "inefficiency_scale"]
    optional = ("location_ratio", "shape", "degrees_of_freedom", "decay", "unit_effect_sd", "persistent_scale")
    names += [name for name in optional if name in posterior]
    if spec.model in WITH_UNIT_EFFECTS:
        names.append("unit_effect")
    p = {name: flat(name) for name in names}
    if spec.model == "kumbhakar-1990":
        p["path"] = np.stack([flat("path_linear"), flat("path_quadratic")], axis=-1)
    if spec.determinants:
        p["determinant"] = flat("determinant") * data.determinant_scale
    if spec.noise_determinants:
        p["noise_determinant"] = flat("noise_determinant") * data.noise_determinant_scale
    return p


def prior_dataset(spec: StochasticFrontier, data: FrontierData, seed: int, size: int = 4000) -> xr.Dataset:
    """Independent prior draws of the scalar parameters and of the regions' scales and coefficients, dims (chain, draw, …)."""
    from bayes.frontier.scalars import scaling

    rng, scales = np.random.default_rng(seed), scaling(spec, data)
    out: dict[str, np.ndarray] = {}
    for part, word in (("noise", "noise"), ("inefficiency", "efficiency")):
        out |= _prior_scale(part, word in spec.pooled_parts and data.n_regions > 1, spec, data, scales.priors, rng, size)
    n_terms = len(data.terms)
    mean = scales.technology_mean + scales.technology_sd * rng.normal(size=(size, n_terms))
    varies = "technology" in spec.pooled_parts and data.n_regions > 1
    if varies and spec.pooling == "none":
        draws = rng.normal(size=(size, data.n_regions, n_terms))
        out["technology"] = scales.technology_mean + scales.technology_sd * draws
    elif varies:
        spread = np.column_stack([u * scales.technology_spread.sample(rng, size) for u in scales.technology_unit])
        out["technology_mean"], out["technology_spread"] = mean, spread
        out["technology"] = mean[:, None] + spread[:, None] * rng.normal(size=(size, data.n_regions, n_terms))
    else:
        out["technology_mean"], out["technology"] = mean, np.repeat(mean[:, None], data.n_regions, axis=1)
    out |= _prior_others(spec, data, scales.priors, rng, size)
    return posterior_dataset({name: values[None] for name, values in out.items()}, spec, data)


def prior_names(spec: StochasticFrontier, data: FrontierData) -> set[str]:
    """Names of the priors that this specification uses on these data, coefficients aside."""
    names = {"noise_scale", "inefficiency_scale", *(n for key in (spec.inefficiency, spec.model) for n in _OWN.get(key, ()))}
    partial = spec.pooling != "none" and data.n_regions > 1
    spreads = {"technology": "technology_spread", "efficiency": "inefficiency_spread", "noise": "noise_spread"}
    names |= {spreads[part] for part in spec.pooled_parts if partial}
    if spec.noise == "student-t":
        names.add("excess_degrees")
    return names | {n for n in ("determinant", "noise_determinant") if getattr(spec, f"{n}s")}


def _prior_scale(part, varies, spec, data, priors, rng, size) -> dict[str, np.ndarray]:
    name, regions = f"{part}_scale", data.n_regions
    if varies and spec.pooling == "none":
        return {name: _sample_scale(part, spec, priors[name], rng, size * regions).reshape(size, regions)}
    centre = _sample_scale(part, spec, priors[name], rng, size)
    out = {f"{name}_mean": centre, name: np.repeat(centre[:, None], regions, axis=1)}
    if varies:
        spread = priors[f"{part}_spread"].sample(rng, size)
        out[f"{part}_spread"] = spread
        out[name] = centre[:, None] * np.exp(spread[:, None] * rng.normal(size=(size, regions)))
    return out


def _sample_scale(part, spec, prior, rng, size) -> np.ndarray:
    if part == "noise" or spec.efficiency_prior == "median" or "inefficiency_scale" in spec.priors:
        return prior.sample(rng, size)
    log_r = np.log(spec.median_efficiency)
    if spec.inefficiency == "exponential":
        return 1 / rng.gamma(1, -1 / log_r, size)
    return rng.gamma(5, 1 / (10 * log_r**2), size) ** -0.5


def _prior_others(spec, data, priors, rng, size) -> dict[str, np.ndarray]:
    out = {n: priors[n].sample(rng, size) for key in (spec.inefficiency, spec.model) for n in _OWN.get(key, ())}
    if spec.noise == "student-t":
        out["degrees_of_freedom"] = 2 + priors["excess_degrees"].sample(rng, size)
    for name, scale in (("determinant", data.determinant_scale), ("noise_determinant", data.noise_determinant_scale)):
        if scale.size:
            out[name] = priors[name].sample(rng, size * scale.size).reshape(size, -1) / scale
    return out


def prior_efficiency_draws(prior: xr.Dataset, spec: StochasticFrontier, seed: int) -> np.ndarray:
    """exp(−u) of a row under the prior, at the mean of determinants and at u's reference period, for each prior draw and region."""
    rng = np.random.default_rng(seed)
    scale = prior["inefficiency_scale"].to_numpy().reshape(-1)
    repeat = prior.sizes["region"]
    match spec.inefficiency:
        case "half-normal":
            u = scale * np.abs(rng.normal(size=scale.size))
        case "exponential":
            u = scale * rng.exponential(size=scale.size)
        case "rayleigh":
            u = scale * rng.rayleigh(size=scale.size)
        case "gamma":
            u = scale * rng.gamma(np.repeat(prior["shape"].to_numpy().ravel(), repeat))
        case _:
            ratio = np.repeat(prior["location_ratio"].to_numpy().ravel(), repeat)
            below = special.ndtr(-ratio)
            u = scale * (ratio + special.ndtri(below + (1 - below) * rng.uniform(size=scale.size)))
    if spec.model == "four-component":
        u = u + np.repeat(prior["persistent_scale"].to_numpy().ravel(), repeat) * np.abs(rng.normal(size=scale.size))
    return np.exp(-u if spec.model != "kumbhakar-1990" else -0.5 * u)

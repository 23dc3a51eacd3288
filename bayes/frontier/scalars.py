"""Random variables of scales and other scalars, with priors in units of the data: shared by both forms of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.frontier.data import FrontierData
from bayes.frontier.first_look import Pilot
from bayes.frontier.geometry import Information, information
from bayes.frontier.prior_scale import scale_for_median
from bayes.frontier.support import WITH_UNIT_EFFECTS
from bayes.frontier.technology import INTERCEPT
from bayes.pooling import random_variable
from bayes.priors import Prior

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier


@dataclass(frozen=True, eq=False)
class Scaling:
    """Priors in units of the data: mean and sd of each coefficient, prior and unit of its between-region sd, and the other priors."""

    technology_names: tuple[str, ...]
    technology_mean: np.ndarray
    technology_sd: np.ndarray
    technology_spread: Prior
    technology_unit: np.ndarray
    priors: dict[str, Prior]
    information: Information


def scaling(spec: StochasticFrontier, data: FrontierData) -> Scaling:
    """Default and chosen priors, measured in the data as :data:`bayes.priors.FRONTIER_PRIORS` says."""
    priors = spec.resolved_priors()
    rows = data.mask > 0
    info = information(data, spec.model != "pooled", "technology" in spec.pooled_parts)
    sd_output = data.output[rows].std()
    unit = [
        sd_output / (x[rows].std() or 1.0) if name != INTERCEPT else sd_output for x, name in zip(data.design, data.term_names, strict=True)
    ]
    used = [priors["intercept" if name == INTERCEPT else "technology"].scaled(u) for name, u in zip(data.term_names, unit, strict=True)]
    centre = np.where([name == INTERCEPT for name in data.term_names], data.output[rows].mean(), 0.0)
    unit_scale = scale_for_median(spec, priors)
    own = {
        "noise_scale": info.residual_sd,
        "unit_effect_sd": info.unit_sd or info.residual_sd,
        "inefficiency_scale": unit_scale,
        "persistent_scale": unit_scale,
    }
    return Scaling(
        data.term_names,
        centre + np.array([p.parameters["mu"] for p in used]),
        np.array([p.parameters["sigma"] for p in used]),
        priors["technology_spread"],
        np.array(unit) if priors["technology_spread"].relative else np.ones(len(unit)),
        {name: prior.scaled(own.get(name, 1.0)) for name, prior in priors.items()},
        info,
    )


def coords(spec: StochasticFrontier, data: FrontierData) -> dict[str, list]:
    coords = {"region": list(data.regions), "term": list(data.term_names)}
    if spec.model in WITH_UNIT_EFFECTS:
        coords["unit"] = [str(u) for u in data.units]
    return coords


def scalar_parameters(spec: StochasticFrontier, data: FrontierData, scales: Scaling, first: Pilot | None) -> dict[str, Any]:
    """Random variables of everything but coefficients and unit effects, as the likelihood expects them (determinants standardised).

    ``first`` places the coordinates of regional scales; None: plain standard normal deviations of regions, the readable form.
    """
    import pymc as pm
    import pytensor.tensor as pt

    priors, p = scales.priors, {}
    p["noise_scale"] = _regional_scale("noise", priors, first, spec, data)
    p["inefficiency_scale"] = _regional_scale("inefficiency", priors, first, spec, data)
    if spec.inefficiency == "truncated-normal":
        p["location_ratio"] = random_variable(priors["location_ratio"], "location_ratio")
    if spec.inefficiency == "gamma":
        p["shape"] = random_variable(priors["shape"], "shape")
    if spec.noise == "student-t":
        p["degrees_of_freedom"] = pm.Deterministic("degrees_of_freedom", 2 + random_variable(priors["excess_degrees"], "excess_degrees"))
    if spec.model == "bc92":
        p["decay"] = random_variable(priors["decay"], "decay")
    if spec.model == "kumbhakar-1990":
        p["path"] = pt.stack([random_variable(priors[name], name) for name in ("path_linear", "path_quadratic")])
    for name, columns, scale in (
        ("determinant", spec.determinants, data.determinant_scale),
        ("noise_determinant", spec.noise_determinants, data.noise_determinant_scale),
    ):
        if columns:
            p[name] = random_variable(priors[name], f"{name}_standardised", shape=len(columns))
            pm.Deterministic(name, p[name] / scale)
    if spec.model in WITH_UNIT_EFFECTS:
        p["unit_effect_sd"] = random_variable(priors["unit_effect_sd"], "unit_effect_sd")
    if spec.model == "four-component":
        p["persistent_scale"] = random_variable(priors["persistent_scale"], "persistent_scale")
    return p


def _regional_scale(part: str, priors: dict[str, Prior], first: Pilot | None, spec: StochasticFrontier, data: FrontierData) -> Any:
    """σ_v or σ_u of every region: common, partially pooled on the log scale, or independent."""
    import pymc as pm
    import pytensor.tensor as pt

    word = {"noise": "noise", "inefficiency": "efficiency"}[part]
    prior, name = priors[f"{part}_scale"], f"{part}_scale"
    if word not in spec.pooled_parts or data.n_regions == 1:
        common = _scale_variable(part, f"{name}_mean", prior, spec)
        return pm.Deterministic(name, common * pt.ones(data.n_regions), dims="region")
    if spec.pooling == "none":
        return _scale_variable(part, name, prior, spec, dims="region")
    centre = _scale_variable(part, f"{name}_mean", prior, spec)
    spread = random_variable(priors[f"{part}_spread"], f"{part}_spread")
    if first is None:
        deviation = pm.Normal(f"{part}_deviation", 0, 1, dims="region")
        return pm.Deterministic(name, centre * pt.exp(spread * deviation), dims="region")
    x = pm.Flat(f"{part}_coordinate", shape=data.n_regions)
    estimate, info = (getattr(first, field) for field in (f"log_{part}", f"{part}_information"))
    precision = 1 + spread**2 * info  # of γ_r given the pilot's estimate: non-centred where it knows nothing, centred where it is sure
    deviation = spread * info * (estimate - pt.log(centre)) / precision + x / pt.sqrt(precision)
    pm.Potential(f"{part}_prior", -0.5 * pt.sum(deviation**2) - 0.5 * pt.sum(pt.log(precision)))
    return pm.Deterministic(name, centre * pt.exp(spread * deviation), dims="region")


def _scale_variable(part: str, name: str, prior: Prior, spec: StochasticFrontier, **kwargs: Any) -> Any:
    """The scale's prior, or the classic one of van den Broeck, Koop, Osiewalski & Steel (1994) on σ_u⁻¹ or σ_u⁻²."""
    if part == "noise" or spec.efficiency_prior == "median" or "inefficiency_scale" in spec.priors:
        return random_variable(prior, name, **kwargs)
    import pymc as pm

    log_r = np.log(spec.median_efficiency)
    if spec.inefficiency == "exponential":
        rate = pm.Gamma(f"{name}_rate", 1, -log_r, **kwargs)
        return pm.Deterministic(name, 1 / rate, **kwargs)
    precision = pm.Gamma(f"{name}_precision", 5, 10 * log_r**2, **kwargs)
    return pm.Deterministic(name, precision**-0.5, **kwargs)

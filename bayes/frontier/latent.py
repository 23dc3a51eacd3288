"""The textbook form of a stochastic frontier: every inefficiency and unit effect a parameter, one observed row each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.frontier import likelihood
from bayes.frontier.algebra import pytensor_algebra
from bayes.frontier.data import FrontierData
from bayes.frontier.scalars import Scaling, coords, scalar_parameters, scaling
from bayes.frontier.support import SHARED, WITH_UNIT_EFFECTS
from bayes.pooling import random_variable

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier


def latent_model(spec: StochasticFrontier, data: FrontierData):
    """Same priors as the marginal form; the output is an observed variable, so that prior predictive sampling works."""
    import pymc as pm

    scales, rows = scaling(spec, data), data.mask > 0
    with pm.Model(coords=coords(spec, data) | {"row": np.arange(data.n_rows), "unit": [str(u) for u in data.units]}) as model:
        p = scalar_parameters(spec, data, scales, first=None)
        p["technology"] = _technology(spec, data, scales)
        eps_at_zero = -likelihood.residuals(p["technology"], data)[rows] + data.output[rows]  # the frontier itself
        by_row = likelihood.row_parameters(p, spec, data, pytensor_algebra())
        frontier = eps_at_zero + _unit_effect(spec, data, p)[rows] if spec.model in WITH_UNIT_EFFECTS else eps_at_zero
        u = _inefficiency(spec, data, p, by_row, rows)
        sigma_v = _in_rows(by_row.sigma_v, rows)
        centre = frontier - spec.sign * u
        if spec.noise == "student-t":
            pm.StudentT("output", nu=p["degrees_of_freedom"], mu=centre, sigma=sigma_v, observed=data.output[rows], dims="row")
        else:
            pm.Normal("output", centre, sigma_v, observed=data.output[rows], dims="row")
        if spec.monotonicity == "soft":
            pm.Potential("monotonicity", likelihood.soft_monotonicity(p["technology"], spec, data, pytensor_algebra()))
    return model


def _technology(spec: StochasticFrontier, data: FrontierData, scales: Scaling) -> Any:
    """Coefficients by region: common, separate, or mean + spread × standard normal deviation."""
    import pymc as pm
    import pytensor.tensor as pt

    varies = "technology" in spec.pooled_parts and data.n_regions > 1
    if varies and spec.pooling == "none":
        return pm.Normal("technology", scales.technology_mean, scales.technology_sd, dims=("region", "term"))
    mean = pm.Normal("technology_mean", scales.technology_mean, scales.technology_sd, dims="term")
    if not varies:
        return pm.Deterministic("technology", pt.ones((data.n_regions, 1)) * mean, dims=("region", "term"))
    relative = random_variable(scales.technology_spread, "relative_spread", shape=len(data.terms))
    spread = pm.Deterministic("technology_spread", relative * scales.technology_unit, dims="term")
    deviation = pm.Normal("technology_deviation", 0, 1, dims=("region", "term"))
    return pm.Deterministic("technology", mean + spread * deviation, dims=("region", "term"))


def _unit_effect(spec: StochasticFrontier, data: FrontierData, p: dict[str, Any]) -> Any:
    """w_i, less persistent inefficiency where the model has it, shape (U, 1) broadcast to rows."""
    import pymc as pm
    import pytensor.tensor as pt

    effect = p["unit_effect_sd"] * pm.Normal("unit_deviation", 0, 1, dims="unit")
    if spec.model == "four-component":
        effect = effect - spec.sign * p["persistent_scale"] * pm.HalfNormal("persistent_deviation", 1, dims="unit")
    effect = pm.Deterministic("unit_effect", effect, dims="unit")
    return effect[:, None] * pt.ones(data.mask.shape)


def _inefficiency(
    spec: StochasticFrontier, data: FrontierData, p: dict[str, Any], by_row: likelihood.RowParameters, rows: np.ndarray
) -> Any:
    """u of every row: one variable a row, or one a unit times its path."""
    import pytensor.tensor as pt

    if spec.model in SHARED:
        scale = by_row.sigma_u[:, 0]
        u = _variable(spec, "unit_inefficiency", scale, by_row.mu[:, 0] if spec.inefficiency == "truncated-normal" else 0.0, p, "unit")
        return (u[:, None] * by_row.h * pt.ones(data.mask.shape))[rows]
    mu = _in_rows(by_row.mu, rows) if spec.inefficiency == "truncated-normal" else 0.0
    return _variable(spec, "inefficiency", _in_rows(by_row.sigma_u, rows), mu, p, "row")


def _variable(spec: StochasticFrontier, name: str, scale: Any, mu: Any, p: dict[str, Any], dim: str) -> Any:
    import pymc as pm

    match spec.inefficiency:
        case "half-normal":
            return pm.HalfNormal(name, scale, dims=dim)
        case "exponential":
            return pm.Exponential(name, scale=scale, dims=dim)
        case "truncated-normal":
            return pm.TruncatedNormal(name, mu, scale, lower=0, dims=dim)
        case "rayleigh":
            return pm.Weibull(name, 2, np.sqrt(2) * scale, dims=dim)
        case _:
            return pm.Gamma(name, p["shape"], 1 / scale, dims=dim)


def _in_rows(values: Any, rows: np.ndarray) -> Any:
    import pytensor.tensor as pt

    return (values * pt.ones(rows.shape))[rows]

"""Priors as plain data: a family, its parameters, and whether it is measured in units of the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from bayes.errors import SpecificationError

_FAMILIES: dict[str, tuple[str, ...]] = {
    "HalfNormal": ("sigma",),
    "HalfStudentT": ("nu", "sigma"),
    "Exponential": ("scale",),
    "Normal": ("mu", "sigma"),
    "Uniform": ("lower", "upper"),
    "LogNormal": ("median", "sigma"),
    "Gamma": ("alpha", "beta"),
}
_POSITIVE = ("sigma", "scale", "nu", "median", "alpha", "beta")
_SCALED = ("sigma", "scale", "mu", "lower", "upper", "median")


_LARGEST = 1e150
"""A number beyond this has no square."""


@dataclass(frozen=True)
class Prior:
    """One prior distribution.

    Attributes
    ----------
    family : str
        HalfNormal(sigma), HalfStudentT(nu, sigma), Exponential(scale: its mean), Normal(mu, sigma), Uniform(lower, upper),
        LogNormal(median, sigma: standard deviation of the logarithm) or Gamma(alpha, beta: its rate).
    parameters : Mapping[str, float]
        The family's parameters.
    relative : bool
        True (default): locations and scales are multiples of a standard deviation of the data, so that one default fits outcomes in
        any unit (which one, the table of defaults says). False: they are absolute.
    meaning : str
        What the parameter is, for the table of priors.

    Raises
    ------
    SpecificationError
        On an unknown family, a missing or surplus parameter, or a scale that is not positive.
    """

    family: str
    parameters: Mapping[str, float]
    relative: bool = True
    meaning: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.family, str) or self.family not in _FAMILIES:
            raise SpecificationError(f"Unknown prior family {self.family!r}. Known: {', '.join(_FAMILIES)}.")
        if not isinstance(self.parameters, Mapping) or set(self.parameters) != set(_FAMILIES[self.family]):
            raise SpecificationError(f"{self.family} takes {{{', '.join(_FAMILIES[self.family])}}}, got {self.parameters!r}.")
        for name, value in self.parameters.items():
            if not _is_number(value) or not abs(value) <= _LARGEST or (name in _POSITIVE and value <= 0):
                raise SpecificationError(
                    f"{self.family}({name}={value!r}): {name} must be a finite{' positive' if name in _POSITIVE else ''} number."
                )
        object.__setattr__(self, "parameters", {name: float(self.parameters[name]) for name in _FAMILIES[self.family]})
        if self.family == "Uniform" and self.parameters["lower"] >= self.parameters["upper"]:
            raise SpecificationError(f"Uniform needs lower < upper, got {dict(self.parameters)}.")

    def scaled(self, scale: float) -> Prior:
        """The same prior in units of the outcome, whose within standard deviation is ``scale``."""
        if not self.relative:
            return self
        fixed = ("sigma",) if self.family == "LogNormal" else ()  # the spread of a logarithm has no unit
        values = {k: v * scale if k in _SCALED and k not in fixed else v for k, v in self.parameters.items()}
        if "beta" in values:  # a rate
            values["beta"] /= scale
        return Prior(self.family, values, False, self.meaning)

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Independent draws, shape (size,). Relative priors are drawn in relative units."""
        p = self.parameters
        match self.family:
            case "HalfNormal":
                return np.abs(rng.normal(0, p["sigma"], size))
            case "HalfStudentT":
                return np.abs(rng.standard_t(p["nu"], size)) * p["sigma"]
            case "Exponential":
                return rng.exponential(p["scale"], size)
            case "LogNormal":
                return p["median"] * np.exp(rng.normal(0, p["sigma"], size))
            case "Normal":
                return rng.normal(p["mu"], p["sigma"], size)
            case "Gamma":
                return rng.gamma(p["alpha"], 1 / p["beta"], size)
            case _:
                return rng.uniform(p["lower"], p["upper"], size)

    def log_density(self, x, xp=np):
        """Log density at ``x`` inside the family's support, up to a constant. Works for numpy and JAX arrays."""
        p = self.parameters
        match self.family:
            case "HalfNormal":
                return -0.5 * (x / p["sigma"]) ** 2
            case "HalfStudentT":
                return -0.5 * (p["nu"] + 1) * xp.log1p((x / p["sigma"]) ** 2 / p["nu"])
            case "Exponential":
                return -x / p["scale"]
            case "LogNormal":
                return -xp.log(x) - 0.5 * (xp.log(x / p["median"]) / p["sigma"]) ** 2
            case "Normal":
                return -0.5 * ((x - p["mu"]) / p["sigma"]) ** 2
            case "Gamma":
                return (p["alpha"] - 1) * xp.log(x) - p["beta"] * x
            case _:
                return xp.zeros_like(x)

    def times(self, factor: float) -> Prior:
        """The same prior, ``factor`` times as wide: its scale multiplied. Uniform and Gamma, whose range or shape is meant, stay."""
        scales = {"HalfNormal": "sigma", "HalfStudentT": "sigma", "Exponential": "scale", "Normal": "sigma", "LogNormal": "median"}
        if self.family not in scales:
            return self
        name = scales[self.family]
        return Prior(self.family, {**self.parameters, name: factor * self.parameters[name]}, self.relative, self.meaning)

    def __str__(self) -> str:
        return f"{self.family}({', '.join(f'{k}={v:.4g}' for k, v in self.parameters.items())})"

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "parameters": dict(self.parameters)}


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def half_normal(sigma: float, meaning: str) -> Prior:
    """A half-normal prior whose scale counts in standard deviations of the response."""
    return Prior("HalfNormal", {"sigma": sigma}, True, meaning)


DID_PRIORS: dict[str, Prior] = {
    "innovation_sd": half_normal(2.0, "standard deviation of the innovations of the AR(1) errors, s² = σ²(1 − ρ²)"),
    "autocorrelation": Prior("Uniform", {"lower": -1.0, "upper": 1.0}, False, "AR(1) correlation ρ of errors one period apart"),
    "unit_effect_sd": half_normal(1.0, "between-unit standard deviation of treatment effects within a cell"),
    "unit_trend_sd": half_normal(0.1, "between-unit standard deviation of linear trends, per period"),
    "level": Prior("Normal", {"mu": 0.0, "sigma": 2.5}, True, "common level of the effect at its first event time"),
    "drift": Prior("Normal", {"mu": 0.0, "sigma": 0.25}, True, "linear change of the effect per period since treatment"),
    "event_sd": half_normal(0.25, "step of the random walk of effects over event time"),
    "region_sd": half_normal(0.5, "between-region standard deviation of effects"),
    "cohort_sd": half_normal(0.5, "between-cohort standard deviation of effects"),
    "region_event_sd": half_normal(0.25, "step of each region's own random walk over event time"),
    "cell_sd": half_normal(0.25, "standard deviation of what is left in a single cell"),
    "degrees_of_freedom": Prior("Gamma", {"alpha": 2.0, "beta": 0.1}, False, "degrees of freedom ν of Student-t errors"),
}
"""Default priors of :class:`bayes.StaggeredDiD`, relative to the outcome's standard deviation within units and periods."""


FRONTIER_PRIORS: dict[str, Prior] = {
    "intercept": Prior("Normal", {"mu": 0.0, "sigma": 2.5}, True, "frontier at mean inputs and time, less mean output; × sd(output)"),
    "technology": Prior("Normal", {"mu": 0.0, "sigma": 2.5}, True, "mean coefficient of a term; × sd(output)/sd(term)"),
    "technology_spread": half_normal(0.25, "between-region standard deviation of a coefficient; × sd(output)/sd(term)"),
    "noise_scale": Prior("LogNormal", {"median": 0.7, "sigma": 1.0}, True, "standard deviation σ_v of the noise; × sd of OLS residuals"),
    "noise_spread": Prior("HalfNormal", {"sigma": 0.3}, False, "between-region standard deviation of ln σ_v"),
    "inefficiency_scale": Prior(
        "LogNormal", {"median": 1.0, "sigma": 0.75}, True, "scale σ_u of inefficiency; × the scale that gives the median efficiency"
    ),
    "inefficiency_spread": Prior("HalfNormal", {"sigma": 0.5}, False, "between-region standard deviation of ln σ_u"),
    "location_ratio": Prior("Normal", {"mu": 0.0, "sigma": 1.0}, False, "μ/σ_u of a truncated normal"),
    "shape": Prior("LogNormal", {"median": 1.5, "sigma": 0.5}, False, "shape of gamma inefficiency"),
    "excess_degrees": Prior("Exponential", {"scale": 20.0}, False, "degrees of freedom of Student-t noise, less 2"),
    "decay": Prior("Normal", {"mu": 0.0, "sigma": 0.1}, False, "η of u_i·exp(−η(t − T_i)), per period"),
    "path_linear": Prior("Normal", {"mu": 0.0, "sigma": 0.25}, False, "b of u_i/(1 + exp(bt + ct²)), per period"),
    "path_quadratic": Prior("Normal", {"mu": 0.0, "sigma": 0.025}, False, "c of u_i/(1 + exp(bt + ct²)), per squared period"),
    "determinant": Prior("Normal", {"mu": 0.0, "sigma": 0.5}, False, "δ of a determinant of inefficiency, per standard deviation of it"),
    "noise_determinant": Prior("Normal", {"mu": 0.0, "sigma": 0.5}, False, "coefficient in ln σ_v, per standard deviation of the column"),
    "unit_effect_sd": Prior("LogNormal", {"median": 0.7, "sigma": 0.7}, True, "sd of unit effects; × sd of unit means of OLS residuals"),
    "persistent_scale": Prior("LogNormal", {"median": 1.0, "sigma": 0.75}, True, "scale σ_h of persistent inefficiency"),
}
"""Default priors of :class:`bayes.StochasticFrontier`; what a relative one is measured in stands in its meaning."""

MEDIATION_PRIORS: dict[str, Prior] = {
    "innovation_sd": half_normal(2.0, "standard deviation of the innovations of the AR(1) errors; × sd(response)"),
    "autocorrelation": Prior("Uniform", {"lower": -1.0, "upper": 1.0}, False, "AR(1) correlation ρ of errors one period apart"),
    "unit_effect_sd": half_normal(1.0, "between-unit standard deviation of the treatment's effect on the response; × sd(response)"),
    "driving": Prior("Normal", {"mu": 0.0, "sigma": 2.5}, True, "mean over regions of a, treatment → mediator; × sd(mediator)"),
    "mediator_effect": Prior(
        "Normal", {"mu": 0.0, "sigma": 2.5}, True, "mean over regions of b, mediator → outcome; × sd(outcome)/sd(mediator)"
    ),
    "direct": Prior("Normal", {"mu": 0.0, "sigma": 2.5}, True, "mean over regions of c', treatment → outcome; × sd(outcome)"),
    "driving_sd": half_normal(0.5, "between-region standard deviation of a; × sd(mediator)"),
    "mediator_effect_sd": half_normal(0.5, "between-region standard deviation of b; × sd(outcome)/sd(mediator)"),
    "direct_sd": half_normal(0.5, "between-region standard deviation of c'; × sd(outcome)"),
}
"""Default priors of :class:`bayes.Mediation`; standard deviations are those of a column within units and periods."""

CROSS_LAGGED_PRIORS: dict[str, Prior] = {
    "innovation_sd": half_normal(2.0, "standard deviation of the innovations; × sd(series)"),
    "unit_effect_sd": half_normal(1.0, "standard deviation of what the start does not say of a unit's effect; × sd(series)"),
    "own_lag": Prior("Normal", {"mu": 0.0, "sigma": 1.0}, False, "mean over regions of a series' effect on itself a period later"),
    "cross_lag": Prior(
        "Normal", {"mu": 0.0, "sigma": 1.0}, True, "mean over regions of the effect on the other series; × sd(moved)/sd(moving)"
    ),
    "start": Prior(
        "Normal", {"mu": 0.0, "sigma": 1.0}, True, "mean over regions of Π, first observation → unit effect; × sd(moved)/sd(start)"
    ),
    "own_lag_sd": Prior("HalfNormal", {"sigma": 0.25}, False, "between-region standard deviation of an own lag"),
    "cross_lag_sd": half_normal(0.25, "between-region standard deviation of a cross lag; × sd(moved)/sd(moving)"),
    "start_sd": half_normal(0.25, "between-region standard deviation of an entry of Π; × sd(moved)/sd(start)"),
}
"""Default priors of :class:`bayes.CrossLagged`; standard deviations are those of a series within units and periods."""

_INTEGRATED = {"level": "Normal", "drift": "Normal", "intercept": "Normal", "technology": "Normal"}
"""Coefficients that a model needs Gaussian, because they are integrated out or drawn in Gaussian coordinates."""
_INTEGRATED |= dict.fromkeys(("driving", "mediator_effect", "direct", "own_lag", "cross_lag", "start"), "Normal")
_CENTRED = ("level", "drift", "driving", "mediator_effect", "direct", "own_lag", "cross_lag", "start")
"""Those of them whose mean is zero."""


def resolve(defaults: Mapping[str, Prior], chosen: Mapping[str, Any]) -> dict[str, Prior]:
    """Defaults with the user's choices put in; a number σ stands for HalfNormal(σ), Normal(0, σ) or a log-normal with median σ, in
    the default's units.

    Raises :class:`SpecificationError` on names that are not parameters of the model.
    """
    unknown = set(chosen) - set(defaults)
    if unknown:
        raise SpecificationError(f"No parameter called {sorted(unknown)} takes a prior. Parameters: {', '.join(defaults)}.")
    out = dict(defaults)
    for name, prior in chosen.items():
        default = defaults[name]
        if isinstance(prior, Prior):
            relative = prior.relative and default.relative  # a correlation has no unit
            out[name] = Prior(prior.family, prior.parameters, relative, prior.meaning or default.meaning)
        elif _is_number(prior) and "sigma" in default.parameters and default.family != "LogNormal":
            out[name] = Prior(default.family, {**default.parameters, "sigma": float(prior)}, default.relative, default.meaning)
        elif _is_number(prior) and default.family == "LogNormal":
            out[name] = Prior("LogNormal", {**default.parameters, "median": float(prior)}, default.relative, default.meaning)
        else:
            raise SpecificationError(f"priors[{name!r}] must be a bayes.Prior or a positive number (a scale), got {prior!r}.")
    for name, prior in out.items():
        if name == "autocorrelation" and not (prior.family == "Uniform" and _inside(prior, -1, 1)):
            raise SpecificationError(f"priors[{name!r}] must be Uniform(lower, upper) between -1 and 1, got {prior}.")
        if name in _INTEGRATED and (prior.family != "Normal" or (name in _CENTRED and prior.parameters["mu"] != 0)):
            raise SpecificationError(f"priors[{name!r}] must be Normal(mu=0, sigma): it is integrated out in closed form. Got {prior}.")
        positive = name.endswith(("_sd", "_spread", "_scale")) or name in ("shape", "excess_degrees")
        if positive and prior.family in ("Normal", "Uniform") and prior.parameters.get("lower", -1) < 0:
            raise SpecificationError(f"priors[{name!r}] must live on positive numbers, got {prior}.")
    return out


def _inside(prior: Prior, lower: float, upper: float) -> bool:
    return lower <= prior.parameters["lower"] and prior.parameters["upper"] <= upper


def prior_table(priors: Mapping[str, Prior], chosen: Mapping[str, Any], scale: float) -> pd.DataFrame:
    """Priors in use in units of the outcome: parameter, distribution, meaning, set_by."""
    rows = [(name, str(p.scaled(scale)), p.meaning, "user" if name in chosen else "default") for name, p in priors.items()]
    return pd.DataFrame(rows, columns=["parameter", "distribution", "meaning", "set_by"])

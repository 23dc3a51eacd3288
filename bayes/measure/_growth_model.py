"""The hierarchical growth regression in PyMC: priors, the model that is sampled, and the same model row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes.errors import SpecificationError
from bayes.measure._growth_data import GrowthData
from bayes.measure._growth_regression import DEVIATIONS, Products, Scaling, design, draw_coefficients, make_log_likelihood, products
from bayes.priors import Prior, half_normal, resolve

GROWTH_PRIORS: dict[str, Prior] = {
    "intercept": Prior("Normal", {"mu": 0.0, "sigma": 2.5}, True, "growth at the mean initial value, less mean growth; × sd(growth)"),
    "slope": Prior("Normal", {"mu": 0.0, "sigma": 2.5}, True, "mean slope on the initial value; × sd(growth)/sd(initial value)"),
    "condition": Prior("Normal", {"mu": 0.0, "sigma": 2.5}, True, "coefficient of a condition; × sd(growth)/sd(condition)"),
    "period": Prior("Normal", {"mu": 0.0, "sigma": 2.5}, True, "growth in a starting period, less that in the first; × sd(growth)"),
    "intercept_sd": half_normal(0.5, "between-region standard deviation of intercepts; × sd(growth)"),
    "slope_sd": half_normal(0.5, "between-region standard deviation of slopes; × sd(growth)/sd(initial value)"),
    "noise_sd": half_normal(1.5, "standard deviation of the noise; × sd(growth)"),
}
"""Default priors of :func:`bayes.measure.beta_convergence`."""

COEFFICIENTS = ("intercept", "slope", "condition", "period")


@dataclass(frozen=True, eq=False)
class GrowthModel:
    """A growth regression on its data (at the mean of the draws): what is sampled, and how its draws are read.

    Attributes
    ----------
    data, pooled : spells, and whether intercepts and slopes differ by region
    priors : priors as chosen
    chosen : what the user set
    """

    data: GrowthData
    pooled: bool
    priors: Mapping[str, Prior]
    chosen: Mapping[str, Any]

    @classmethod
    def of(cls, data: GrowthData, pooled: bool, chosen: Mapping[str, Any]) -> GrowthModel:
        if not isinstance(chosen, Mapping):
            raise SpecificationError(f"priors must be a mapping such as {{'slope_sd': 0.2}}, got {chosen!r}.")
        priors = resolve(GROWTH_PRIORS, chosen)
        for name in COEFFICIENTS:
            if priors[name].family != "Normal":
                raise SpecificationError(f"priors[{name!r}] must be Normal(mu, sigma): it is integrated out. Got {priors[name]}.")
        return cls(data, pooled, priors, dict(chosen))

    @property
    def scaling(self) -> Scaling:
        return Scaling.of(self.data)

    @property
    def parameters(self) -> tuple[str, ...]:
        """What is sampled."""
        return ("noise_sd", *DEVIATIONS) if self.pooled else ("noise_sd",)

    def products(self, data: GrowthData | None = None) -> Products:
        """Cross-products of the data (by default at their mean), scaled as the model is."""
        return products(self.data.mean() if data is None else data, self.scaling, self.pooled)

    def unit(self, name: str, condition: int = 0) -> float:
        """What one scaled unit of a parameter is in growth per year (per unit of the initial value, or of a condition)."""
        s = self.scaling
        if name in ("slope", "slope_sd"):
            return s.growth_sd / s.initial_sd
        return s.growth_sd / s.condition_sd[condition] if name == "condition" else s.growth_sd

    def gaussian(self, block: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Prior mean and standard deviation of every coefficient in scaled units; NaN where the standard deviation is a parameter."""
        mean, sd = np.zeros(len(block)), np.full(len(block), np.nan)
        condition = 0
        for k, name in enumerate(block):
            if name in COEFFICIENTS:
                unit = 1.0 if self.priors[name].relative else self.unit(name, condition)
                mean[k], sd[k] = (self.priors[name].parameters[p] / unit for p in ("mu", "sigma"))
                condition += name == "condition"
        return mean, sd

    def draw(self, p: Products, scales: Mapping[str, np.ndarray], rng: np.random.Generator, which: np.ndarray | None = None) -> np.ndarray:
        """Exact draws of coefficients (N, K) in scaled units, given draws (N,) of the sampled scales in units of the data."""
        mean, sd = self.gaussian(p.block)
        noise = scales["noise_sd"] / self.unit("noise_sd")
        d = np.tile(sd, (noise.size, 1))
        for name in DEVIATIONS if self.pooled else ():
            d[:, p.columns(name)] = (scales[name] / self.unit(name))[:, None]
        return draw_coefficients(p, noise, d, mean, rng, which)

    def table(self) -> pd.DataFrame:
        """Priors in use, in units of the data: parameter, distribution, meaning, set_by."""
        rows = []
        for name, prior in self.priors.items():
            used = name in self.parameters or (name in COEFFICIENTS and (name != "condition" or self.data.names))
            if not used or (name == "period" and not self.data.period.shape[1]):
                continue
            shown = prior if name == "condition" else prior.scaled(self.unit(name))
            rows.append((name, str(shown), prior.meaning, "user" if name in self.chosen else "default"))
        return pd.DataFrame(rows, columns=["parameter", "distribution", "meaning", "set_by"])


def build(model: GrowthModel, form: str = "collapsed"):
    """A :class:`pymc.Model` of the regression at the mean of the draws.

    ``form="collapsed"`` is what is sampled: noise and between-region scales, all coefficients integrated out. ``form="rows"`` is the
    textbook model with every coefficient a parameter, in scaled units. Raises :class:`SpecificationError` on another form.
    """
    if form not in ("collapsed", "rows"):
        raise SpecificationError(f"form={form!r} does not exist. Choose 'collapsed' or 'rows'.")
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    from bayes.inference.sampling import prepare_jax
    from bayes.pooling import random_variable

    prepare_jax()
    w, y, block = design(model.data.mean(), model.scaling, model.pooled)
    mean, sd = model.gaussian(block)
    with pm.Model(coords={"coefficient": np.arange(len(block))}) as out:
        scales = {name: random_variable(model.priors[name].scaled(model.unit(name)), name) for name in model.parameters}
        noise = scales["noise_sd"] / model.unit("noise_sd")
        d = pt.stack([pt.as_tensor(s) if np.isfinite(s) else scales[b] / model.unit(b) for b, s in zip(block, sd, strict=True)])
        if form == "rows":
            theta = mean + d * pm.Normal("standardised", 0.0, 1.0, dims="coefficient")
            pm.Normal("growth", w[0] @ theta, noise, observed=y[0])
        else:
            likelihood = make_log_likelihood(model.products(), mean)
            stacked = pt.concatenate([noise[None], d])
            pm.Potential("collapsed_likelihood", pytensor.wrap_jax(lambda x: likelihood(x[0], x[1:]))(stacked))
    return out

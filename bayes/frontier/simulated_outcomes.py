"""Outputs drawn from a stochastic frontier on a panel's own rows, and refits to them: what calibration repeats.

Every prior of a frontier is proper, so nothing is held fixed. Priors that are measured in the data (sd of output, of residuals) are those
of the panel that is given, before and after outputs are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayes.errors import UnsupportedModelError
from bayes.frontier import elasticities, likelihood
from bayes.frontier.arrays import Inputs
from bayes.frontier.data import FrontierData
from bayes.frontier.draws import DIMS, parameters, posterior_dataset, prior_dataset
from bayes.frontier.first_look import pilot
from bayes.frontier.geometry import information
from bayes.frontier.inefficiency import inefficiency_draws
from bayes.frontier.marginal import posterior_over
from bayes.frontier.scalars import scaling
from bayes.frontier.support import SHARED, WITH_UNIT_EFFECTS
from bayes.inference.programs import Prepared
from bayes.inference.sampling import Samples
from bayes.panel import Panel

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

QUANTITIES = ("elasticities", "efficiency", "scales")
DEFAULT = QUANTITIES
_NOT_SCALES = ("technology", "technology_mean", "technology_spread", "noise_scale", "inefficiency_scale", "unit_effect")


@dataclass(frozen=True, eq=False)
class Simulated:
    """One drawn output: the data with it, and the true values of what is asked for."""

    data: FrontierData
    truth: np.ndarray
    seed: int


class FrontierDesign:
    """A model and a panel, with priors in units of the panel's own output."""

    fixed = "nothing: every prior is proper"

    def __init__(self, spec: StochasticFrontier, panel: Panel, quantities: tuple[str, ...]) -> None:
        if spec.monotonicity == "soft" or spec.noise == "student-t":
            raise UnsupportedModelError("Calibration draws from normal noise without the soft constraint. Set noise and monotonicity so.")
        self.spec, self.quantities = spec, quantities
        self.data = spec.data(panel)
        self.scales = scaling(spec, self.data)
        self.labels = tuple(self._truth(np.random.default_rng(0))[3])

    def simulate(self, rng: np.random.Generator) -> Simulated:
        p, u, truth, _ = self._truth(rng)
        data = self.data
        rows = likelihood.row_parameters(p, self.spec, data)
        noise = np.broadcast_to(rows.sigma_v, (1, *data.output.shape))[0] * rng.standard_normal(data.output.shape)
        frontier = data.output - likelihood.residuals(p["technology"], data)[0]
        effect = p["unit_effect"][0][:, None] if self.spec.model in WITH_UNIT_EFFECTS else 0.0
        output = (frontier + effect + noise - self.spec.sign * u) * data.mask
        return Simulated(replace(data, output=output), truth, int(rng.integers(2**31)))

    def posterior(self, simulated: Simulated) -> Prepared:
        data, spec = simulated.data, self.spec
        own = information(data, spec.model != "pooled", "technology" in spec.pooled_parts)
        return posterior_over(spec, Inputs(data, replace(self.scales, information=own), pilot(spec, data)))

    def draws(self, simulated: Simulated, samples: Samples) -> np.ndarray:
        """Posterior draws of every quantity, shape (Q, draws)."""
        posterior = posterior_dataset(samples.draws, self.spec, simulated.data)
        p = parameters(posterior, self.spec, simulated.data)
        u = inefficiency_draws(p, self.spec, simulated.data, simulated.seed) if "efficiency" in self.quantities else None
        return self._values(posterior, p, u)[1]

    def _truth(self, rng: np.random.Generator):
        """Parameters, inefficiency (units, rows), true values and labels of one draw from the prior."""
        spec, data = self.spec, self.data
        prior = prior_dataset(spec, data, int(rng.integers(2**31)), 1)
        if spec.model in WITH_UNIT_EFFECTS:
            effect = float(prior["unit_effect_sd"].item()) * rng.standard_normal(data.n_units)
            if spec.model == "four-component":
                persistent = float(prior["persistent_scale"].item()) * np.abs(rng.standard_normal(data.n_units))
                effect = effect - spec.sign * persistent
            prior = prior.assign(unit_effect=(("chain", "draw", "unit"), effect[None, None]))
        p = parameters(prior, spec, data)
        u = self._inefficiency(p, rng)
        total = u + persistent[:, None] if spec.model == "four-component" else u
        twice = prior.isel(draw=[0, 0])  # two draws alike: tables of one draw have no standard deviation
        rows = data.in_rows(total)
        labels, values = self._values(twice, parameters(twice, spec, data), np.stack([rows, rows]))
        return p, u, values[:, 0], labels

    def _inefficiency(self, p, rng: np.random.Generator) -> np.ndarray:
        """u of every row, shape (U, T), without its persistent part."""
        from scipy import special

        spec, shape = self.spec, self.data.output.shape
        rows = likelihood.row_parameters(p, spec, self.data)
        size = (shape[0], 1) if spec.model in SHARED else shape
        match spec.inefficiency:
            case "half-normal":
                u = np.abs(rng.standard_normal(size))
            case "exponential":
                u = rng.exponential(size=size)
            case "rayleigh":
                u = rng.rayleigh(size=size)
            case "gamma":
                u = rng.gamma(float(p["shape"][0]), size=size)
            case _:
                ratio = np.broadcast_to(np.asarray(rows.mu / rows.sigma_u), (1, *shape))[0][:, : size[1]]
                below = special.ndtr(-ratio)
                u = ratio + special.ndtri(below + (1 - below) * rng.uniform(size=size))
        scale = np.broadcast_to(rows.sigma_u, (1, *shape))[0]
        path = np.broadcast_to(np.asarray(rows.h), (1, *shape))[0] if spec.model in SHARED else 1.0
        return scale * path * u

    def _values(self, posterior, p, u: np.ndarray | None) -> tuple[list[dict[str, str]], np.ndarray]:
        """Labels and draws (Q, draws) of the quantities."""
        labels: list[dict[str, str]] = []
        values = []
        regions = [str(r) for r in self.data.regions]
        for word in self.quantities:
            if word == "elasticities":
                table = elasticities.input_elasticities(p, self.spec, self.data, by="region", level=0.9, weights=None, source="")
                labels += [{"estimand": "elasticity", "term": r.term, "region": r.region} for r in table.frame.itertuples()]
                values.append(table.draws)
            elif word == "efficiency":
                efficiency = np.exp(-u)
                own = self.data.in_rows(np.broadcast_to(self.data.unit_region[:, None], self.data.output.shape)).astype(int)
                groups = [own == r for r in range(len(regions))] if len(regions) > 1 else []
                labels += [{"estimand": "efficiency", "term": "mean", "region": r} for r in ["", *(regions if groups else [])]]
                values.append(np.stack([efficiency[:, g].mean(axis=1) for g in [np.ones(own.size, dtype=bool), *groups]]))
            else:
                names = [n for n in DIMS if n in posterior and n not in _NOT_SCALES]
                flat = [posterior[n].to_numpy().reshape(posterior[n].sizes["chain"] * posterior[n].sizes["draw"], -1).T for n in names]
                labels += [
                    {"estimand": n, "term": str(j) if len(v) > 1 else "", "region": ""}
                    for n, v in zip(names, flat, strict=True)
                    for j in range(len(v))
                ]
                values += flat
        return labels, np.concatenate(values)

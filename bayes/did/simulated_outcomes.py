"""Outcomes drawn from a staggered difference-in-differences on a panel's own rows, and refits to them: what calibration repeats.

Unit effects, period effects and coefficients of covariates are flat in the model and are held at zero, and so are the cells where nothing
is pooled. The posterior of everything else does not depend on these values: adding any combination of flat columns to the outcome leaves
the restricted likelihood as it is and moves the effects along with their true values. Ranks are therefore uniform whatever the values,
and improper priors need no proper stand-in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.did import effects
from bayes.did.draws import hyperparameters, labelled_dataset, posterior_dataset
from bayes.did.groups import Block
from bayes.did.intensity import refuse_extensions
from bayes.did.likelihood import component_names
from bayes.did.pymc_models import collapsed_posterior
from bayes.did.state import CollapsedPanel
from bayes.inference.programs import Prepared
from bayes.inference.sampling import Samples
from bayes.panel import Panel

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD

QUANTITIES = ("att", "att_population", "region", "event", "scales")
DEFAULT = ("att", "att_population", "region", "scales")
_TABLES = {"att": ("simple", "att"), "att_population": ("simple", "att_population"), "region": ("region", "att"), "event": ("event", "att")}


@dataclass(frozen=True, eq=False)
class Simulated:
    """One drawn outcome: the panel as the likelihood sees it, and the true values of what is asked for."""

    collapsed: CollapsedPanel
    truth: np.ndarray
    seed: int


class DiDDesign:
    """A model and a panel, with priors fixed in units of the panel's outcome so that they are the same before and after data are drawn."""

    fixed = "unit effects, period effects and coefficients at zero; with pooling='none' the effects too"

    def __init__(self, spec: StaggeredDiD, panel: Panel, quantities: tuple[str, ...]) -> None:
        refuse_extensions(spec, "Calibration")
        self.panel, self.quantities = panel, quantities
        start = replace(spec, leads=False)
        self.block = start.block(panel)
        self.template = start.collapse(panel)
        scale = float(self.template.scales[-1])
        self.spec = replace(start, priors={name: prior.scaled(scale) for name, prior in start.resolved_priors().items()})
        self.groups = _groups_of_units(self.block, self.template)
        self._check_identified()
        self.labels = tuple(self._values(self._truth_dataset(*self._parameters(np.random.default_rng(0))))[0])

    def simulate(self, rng: np.random.Generator) -> Simulated:
        scalars, cells, unit_effects, slopes = drawn = self._parameters(rng)
        y = self._outcome(drawn, rng)
        values = np.column_stack([self.block.values[:, :-1], y])
        panel = self.panel
        collapsed = self.spec.collapse_blocks(
            [replace(self.block, values=values)], panel.n_periods, int(panel.periods[0]), panel.step, panel.regions.tolist()
        )
        truth = self._values(self._truth_dataset(scalars, cells, unit_effects, slopes))[1][:, 0]
        return Simulated(collapsed, truth, int(rng.integers(2**31)))

    def posterior(self, simulated: Simulated) -> Prepared:
        return collapsed_posterior(self.spec, simulated.collapsed)

    def draws(self, simulated: Simulated, samples: Samples) -> np.ndarray:
        """Posterior draws of every quantity, shape (Q, draws)."""
        names = self.spec.parameters(simulated.collapsed)
        scalars = {name: samples.draws[name] for name in names}
        dataset = posterior_dataset(scalars, simulated.collapsed, self.spec.resolved_priors(), simulated.seed)
        return self._values(dataset)[1]

    def _parameters(self, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
        """Scales and ρ from their priors, cell effects, unit effects and unit slopes given these."""
        priors, template = self.spec.resolved_priors(), self.template
        scalars = {name: priors[name].sample(rng, 1)[None] for name in self.spec.parameters(template)}
        cells = np.zeros(template.design.cells.size)
        if template.basis is not None:
            names = component_names(template.basis)
            sds = hyperparameters(scalars, template, priors).component_sds[0] * template.scales[-1]
            by_column = sds[[names.index(c) for c in template.basis.component]]
            cells = template.basis.matrix @ (by_column * rng.standard_normal(by_column.size))
        units = [float(scalars[name][0, 0]) for name in template.unit_columns.names]
        drawn = {n: sd * rng.standard_normal(self.block.starts.size) for n, sd in zip(template.unit_columns.names, units, strict=True)}
        nothing = np.zeros(self.block.starts.size)
        return scalars, cells, drawn.get("unit_effect_sd", nothing), drawn.get("unit_trend_sd", nothing)

    def _outcome(self, drawn: tuple[Any, ...], rng: np.random.Generator) -> np.ndarray:
        """Effects in treated rows, a trend per unit, and stationary AR(1) errors on the calendar; zero elsewhere."""
        scalars, cells, unit_effects, slopes = drawn
        block, design = self.block, self.template.design
        unit = np.repeat(np.arange(block.starts.size), np.diff(np.r_[block.starts, block.periods.size]))
        event = block.periods - block.cohorts[unit]
        place = {key: c for c, key in enumerate(zip(design.cells.region, design.cells.cohort, design.cells.event, strict=True))}
        keys = zip(block.regions[unit], block.cohorts[unit], event, strict=True)
        cell = np.array([place.get(key, -1) for key in keys])
        effect = np.where(cell >= 0, np.r_[cells, 0.0][cell] + unit_effects[unit], 0.0)
        s, rho = float(scalars["innovation_sd"][0, 0]), float(scalars.get("autocorrelation", np.zeros((1, 1)))[0, 0])
        grid = s * rng.standard_normal((block.starts.size, self.panel.n_periods))
        grid[:, 0] /= np.sqrt(1 - rho**2)
        for t in range(1, grid.shape[1]):
            grid[:, t] += rho * grid[:, t - 1]
        centre = 0.5 * (block.periods.min() + block.periods.max())
        return effect + slopes[unit] * (block.periods - centre) + grid[unit, block.periods]

    def _truth_dataset(self, scalars: dict[str, np.ndarray], cells: np.ndarray, unit_effects: np.ndarray, _: np.ndarray):
        """The true parameters as draws (two alike), so that estimands are computed by the code that computes them from a posterior."""
        arrays: dict[str, Any] = {"cell_effect": (("cell",), np.stack([cells, cells]))}
        if self.template.unit_columns.treatment:
            for name, weights in (("group_effect", np.ones(unit_effects.size)), ("group_effect_weighted", self.block.weights)):
                sums = np.bincount(self.groups, weights * unit_effects) / np.bincount(self.groups, weights)
                arrays[name] = (("group",), np.stack([sums, sums]))
            arrays["new_unit_effect"] = ((), np.zeros(2))
        twice = {name: np.repeat(value, 2, axis=1) for name, value in scalars.items()}
        return labelled_dataset(twice, (1, 2), arrays, self.template)

    def _values(self, dataset) -> tuple[list[dict[str, str]], np.ndarray]:
        """Labels and draws (Q, draws) of the quantities; averages that are not identified on this design are left out."""
        labels, values = [], []
        for word in self.quantities:
            if word == "scales":
                for name in self.spec.parameters(self.template):
                    labels.append({"estimand": name, "term": "", "region": ""})
                    values.append(dataset[name].to_numpy().reshape(1, -1))
                continue
            by, estimand = _TABLES[word]
            table = effects.estimates(dataset, by, estimand, "rows", 0.9, False, tuple(self.panel.regions.tolist()), "")
            known = table.frame["identified"].to_numpy() & np.isfinite(table.draws).all(axis=1)
            for row in table.frame[known].to_dict("records"):
                event = "" if np.isnan(row["event_time"]) else f"e={row['event_time']:g}"
                labels.append({"estimand": estimand, "term": event or by, "region": str(row["region"])})
            values.append(table.draws[known])
        return labels, np.concatenate(values)

    def _check_identified(self) -> None:
        from bayes.errors import NoComparisonError

        if not self.template.identified_cells.any():
            raise NoComparisonError("No effect is identified on this panel, so there is nothing to calibrate. Add untreated units.")


def _groups_of_units(block: Block, collapsed: CollapsedPanel) -> np.ndarray:
    """Position of each unit's group among the panel's."""
    ends = np.r_[block.starts[1:], block.periods.size]
    place = {(g.region, g.cohort, g.dates.tobytes()): j for j, g in enumerate(collapsed.groups)}
    dates = [block.periods[a:b].astype(collapsed.groups[0].dates.dtype).tobytes() for a, b in zip(block.starts, ends, strict=True)]
    return np.array([place[key] for key in zip(block.regions.tolist(), block.cohorts.tolist(), dates, strict=True)])

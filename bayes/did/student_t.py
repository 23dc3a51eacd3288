"""Student-t errors: the row-level model sampled with all its latents, and its draws in the form of a collapsed fit.

Nothing can be integrated out of a Student-t likelihood in closed form, so unit effects, period effects, coefficients and cells are sampled
(with the wide proper priors of :mod:`bayes.did.rows`). ν ~ Gamma(2, 0.1) follows Juárez & Steel (2010), Journal of Business & Economic
Statistics 28(1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes.did.draws import labelled_dataset
from bayes.did.groups import Block, Trajectories, group_of_units
from bayes.did.rows import row_design
from bayes.did.state import CollapsedPanel
from bayes.inference.sampling import Samples

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD


def rows_posterior(spec: StaggeredDiD, collapsed: CollapsedPanel, block: Block, samples: Samples, seed: int) -> xr.Dataset:
    """Draws of the row-level model as :func:`bayes.did.draws.posterior_dataset` lays them out, in units of the outcome."""
    draws = samples.draws
    scalars = {name: draws[name] for name in spec.parameters(collapsed)}
    shape = next(iter(scalars.values())).shape

    def flat(values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, *values.shape[2:])

    arrays: dict[str, Any] = {"cell_effect": (("cell",), flat(draws["cell_effect"]))}
    arrays["period_effect"] = (("period_column",), flat(draws["period_effect"]))
    if collapsed.covariates:
        arrays["coefficient"] = (("covariate",), flat(draws["coefficient"]))
    if collapsed.unit_columns.treatment:
        sd = scalars["unit_effect_sd"].reshape(-1, 1)
        effects = _unit_effects(collapsed, block, flat(draws["unit_effect_z"])) * sd
        for name, weight in (("group_effect", np.ones(block.starts.size)), ("group_effect_weighted", block.weights)):
            arrays[name] = (("group",), effects @ _group_means(block, collapsed.groups, weight).T)
        arrays["new_unit_effect"] = ((), np.random.default_rng([seed, 1]).standard_normal(sd.size) * sd[:, 0])
    return labelled_dataset(scalars, shape, arrays, collapsed)


def _unit_effects(collapsed: CollapsedPanel, block: Block, z: np.ndarray) -> np.ndarray:
    """Standardised treatment effects of all units, 0 where a unit has no treated row, shape (draws, units)."""
    rows = row_design(block, collapsed.design, collapsed.unit_columns)
    members = np.flatnonzero(np.bincount(rows.unit, weights=rows.unit_columns[:, 1] != 0))
    out = np.zeros((len(z), block.starts.size))
    out[:, members] = z
    return out


def _group_means(block: Block, groups: tuple[Trajectories, ...], weight: np.ndarray) -> np.ndarray:
    """Matrix that averages units within groups, shape (groups, units)."""
    out = np.zeros((len(groups), block.starts.size))
    out[group_of_units(block, groups), np.arange(block.starts.size)] = weight
    return out / out.sum(axis=1, keepdims=True)

"""What violations of parallel trends would do to a fitted model: how estimates move with them, and what the data say about them.

Violations enter the collapsed model as columns treated × event time (all but the reference period). Given the scales everything is
normal, so that an effect under violations δ is the headline's draw minus B δ, where B is the effect that the model would find if the
outcome were the violation's own column, and δ is drawn from its posterior with the effects integrated out. At δ = 0 the headline is
untouched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayes.did.cross_products import group_products, rearrange
from bayes.did.draws import hyperparameters
from bayes.did.intensity import refuse_extensions
from bayes.did.posterior import Hyperparameters, chunks, conditional_factor, shrunk_products, unit_effect_weights
from bayes.did.state import CollapsedPanel
from bayes.estimates import Estimates
from bayes.inference.sampling import single_threaded_algebra

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit


@dataclass(frozen=True)
class LinearEffects:
    """Rows of a table as weights on cells (rows, cells) and on mean unit effects of groups (rows, groups).

    ``by_weight`` says which mean of a group's unit effects is meant: by unit weight, or equally.
    """

    cells: np.ndarray
    groups: np.ndarray
    by_weight: bool


@dataclass(frozen=True)
class ViolationResponse:
    """Violations δ by event time, in units of the outcome, against one draw of the scales each.

    Attributes
    ----------
    event : array (n,)
        Event times of δ, without the reference.
    reference : float
        Event time at which δ is zero.
    bias : array (rows, draws, n)
        B: what a unit violation at each event time adds to each row's estimate.
    information, score : arrays (draws, n, n), (draws, n)
        I and h of the likelihood exp(h'δ − ½ δ'Iδ), effects integrated out.
    """

    event: np.ndarray
    reference: float
    bias: np.ndarray
    information: np.ndarray
    score: np.ndarray

    @property
    def leads(self) -> np.ndarray:
        """Positions of the event times before the reference."""
        return np.flatnonzero(self.event < self.reference)


def headline(fit: DiDFit, by: str, estimand: str, level: float, weights: str | None) -> Estimates:
    """The rows of ``fit.att`` without leads."""
    dataset = fit.posterior.drop_vars("lead_effect", errors="ignore")
    return fit._aggregate(dataset, by, estimand, level, weights, False, fit._source)


def linear_effects(fit: DiDFit, by: str, estimand: str, weights: str | None) -> LinearEffects:
    """The weights behind the rows of :func:`headline`, found by aggregating unit vectors."""
    posterior = fit.posterior
    n_cells = posterior.sizes["cell"]
    coords = {k: v for k, v in posterior.coords.items() if v.dims and set(v.dims) <= {"cell", "group"}}
    cells = _unit_vectors(coords, {"cell": n_cells, "group": posterior.sizes.get("group", 0)}, "cell")
    by_cell = fit._aggregate(cells, by, estimand, 0.95, weights, False, "").draws[:, :n_cells]
    n_groups = posterior.sizes.get("group", 0)
    by_group = np.zeros((len(by_cell), 0))
    if n_groups:
        groups = _unit_vectors(coords, {"cell": n_cells, "group": n_groups}, "group")
        found = fit._aggregate(groups, by, estimand, 0.95, weights, False, "").draws[:, :n_groups]
        by_group = found if np.nan_to_num(found).any() else by_group
    return LinearEffects(by_cell, by_group, (weights or ("panel" if fit.panel.weights is not None else "rows")) == "panel")


def _unit_vectors(coords: dict, sizes: dict[str, int], one: str) -> xr.Dataset:
    """A dataset whose k-th draw has a one in the k-th cell (or group) and zeros elsewhere."""
    draws = max(sizes[one], 2)
    values = {d: np.eye(draws, n)[None] if d == one else np.zeros((1, draws, n)) for d, n in sizes.items()}
    data = {"cell_effect": (("chain", "draw", "cell"), values["cell"])}
    if sizes["group"]:
        data |= {n: (("chain", "draw", "group"), values["group"]) for n in ("group_effect", "group_effect_weighted")}
        data["new_unit_effect"] = (("chain", "draw"), np.zeros((1, draws)))
    return xr.Dataset(data, coords)


@single_threaded_algebra()
def response_to_violations(fit: DiDFit, effects: LinearEffects) -> ViolationResponse:
    """B, I and h for every draw of the fit's scales. The panel is collapsed again when the fit has no leads.

    Raises :class:`UnsupportedModelError` for a dose (a violation is not proportional to it) and Student-t errors.
    """
    refuse_extensions(fit.model, "An analysis of violations of parallel trends", allowed=("moderators",))
    collapsed = fit._collapsed if fit.model.leads else replace(fit.model, leads=True).collapse(fit.panel)
    scalars = {n: fit.posterior[n].to_numpy() for n in fit.model.parameters(collapsed)}
    hyper = hyperparameters(scalars, collapsed, fit.model.resolved_priors())
    event, columns = violation_columns(collapsed)
    out = _respond(collapsed, hyper, columns, effects)
    scale = collapsed.scales[-1]
    return ViolationResponse(event, -1.0 - collapsed.design.anticipation, out[0], out[1] / scale**2, out[2] / scale)


def violation_columns(collapsed: CollapsedPanel) -> tuple[np.ndarray, np.ndarray]:
    """Event times of the treated but the reference, and the sums of cell and lead columns that stand for them, shape (columns, n)."""
    design = collapsed.design
    of_column = np.full(collapsed.products.n_columns, np.nan)
    of_column[collapsed.cell_columns] = design.cells.event
    of_column[collapsed.lead_columns] = design.leads.event
    event = np.unique(of_column[~np.isnan(of_column)])
    return event, (of_column[:, None] == event).astype(float)


def _respond(
    collapsed: CollapsedPanel, hyper: Hyperparameters, columns: np.ndarray, effects: LinearEffects
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(B, I, h) in units of the scaled outcome."""
    eye, n = np.eye(collapsed.products.n_columns), columns.shape[1]
    pooled = collapsed.basis is not None
    flat = collapsed.flat_columns if pooled else collapsed.flat_cell_columns(())
    model = np.r_[flat, collapsed.cell_columns] if pooled else flat
    products = rearrange(collapsed.products, flat, np.hstack([eye[:, collapsed.cell_columns], columns]) if pooled else columns)
    k, p = model.size, flat.size
    groups = _group_sums(collapsed, np.hstack([eye[:, model], columns]), effects) if effects.groups.size else None
    on_model = effects.cells @ eye[collapsed.cell_columns][:, model]
    bias = np.empty((len(effects.cells), len(hyper), n))
    information, score = np.empty((len(hyper), n, n)), np.empty((len(hyper), n))
    for part in chunks(len(hyper), 8 * (products.unit[:, 0].size * 2 + 8 * (k + n) ** 2)):
        h = hyper.take(part)
        s = shrunk_products(products, h)
        t, lower = conditional_factor(s[:, :k, :k], p, collapsed.basis, h)
        z = np.linalg.solve(lower, t.transpose(0, 2, 1) @ s[:, :k, k:])
        rest = (s[:, k:, k:] - z.transpose(0, 2, 1) @ z) / h.innovation_sd[:, None, None] ** 2
        information[part], score[part] = rest[:, :n, :n], rest[:, :n, n]
        found = t @ np.linalg.solve(lower.transpose(0, 2, 1), z[:, :, :n])
        bias[:, part] = np.moveaxis(on_model @ found, 1, 0)
        if groups is not None:
            bias[:, part] += _through_unit_effects(groups, collapsed, found, h)
    return bias, information, score


def _group_sums(collapsed: CollapsedPanel, transform: np.ndarray, effects: LinearEffects) -> np.ndarray:
    """V'R_f Z of the model's columns and of the violations', averaged within groups and summed over the groups of a pattern with the
    weights of each row: (rows, patterns, F, columns, q)."""
    found = group_products(collapsed.groups, collapsed.design, collapsed.unit_columns, collapsed.scales)
    mean = (found.weighted_mean if effects.by_weight else found.mean)[:, :, :-1]
    member = (found.pattern[:, None] == np.arange(len(collapsed.products.zz))).astype(float)
    return np.einsum("rg,gp,gfkq,ka->rpfaq", effects.groups, member, mean, transform, optimize=True)


def _through_unit_effects(sums: np.ndarray, collapsed: CollapsedPanel, found: np.ndarray, h: Hyperparameters) -> np.ndarray:
    """The part of B that reaches the sample's effect through the units' own deviations, shape (rows, draws, n)."""
    k = found.shape[1]
    weights = unit_effect_weights(collapsed.products.zz, collapsed.products.gaps, h).reshape(len(h), -1)
    by_column = np.moveaxis(sums, 3, 4).reshape(len(sums), -1, sums.shape[3])
    on_columns = weights @ by_column
    return on_columns[:, :, k:] - (on_columns[:, :, None, :k] @ found)[:, :, 0]

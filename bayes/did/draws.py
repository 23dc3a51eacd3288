"""From sampled scales to draws of effects: the bridge between a sampler's output and the tables of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from bayes.did.cells import Basis, Cells, component_basis
from bayes.did.likelihood import cell_padding, component_names
from bayes.did.posterior import Hyperparameters, draw_coefficients, draw_group_effects
from bayes.did.state import CollapsedPanel, cell_coordinates
from bayes.inference.sampling import single_threaded_algebra
from bayes.priors import Prior

_FIXED = ("level", "drift")
"""Components whose prior scale is a constant, not a parameter."""


def sampled_scales(basis: Basis | None) -> tuple[str, ...]:
    """Names of the component scales that are sampled."""
    return tuple(f"{c}_sd" for c in component_names(basis) if c not in _FIXED) if basis is not None else ()


def hyperparameters(values: Mapping[str, np.ndarray], collapsed: CollapsedPanel, priors: Mapping[str, Prior]) -> Hyperparameters:
    """Sampled values in outcome units → scaled units, draws flattened over chains."""
    scale = collapsed.scales[-1]
    flat = {k: np.asarray(v, dtype=float).reshape(-1) for k, v in values.items()}
    n = flat["innovation_sd"].size
    unit = [flat[name] / scale for name in collapsed.unit_columns.names]
    names = component_names(collapsed.basis) if collapsed.basis is not None else ()
    constant = {c: priors[c].scaled(scale).parameters["sigma"] / scale for c in _FIXED}
    component = [np.full(n, constant[c]) if c in _FIXED else flat[f"{c}_sd"] / scale for c in names]
    return Hyperparameters(
        flat["innovation_sd"] / scale, flat.get("autocorrelation", np.zeros(n)), np.array(unit).reshape(len(unit), n).T,
        np.array(component).reshape(len(component), n).T,
    )  # fmt: skip


@single_threaded_algebra()
def posterior_dataset(scalars: Mapping[str, np.ndarray], collapsed: CollapsedPanel, priors: Mapping[str, Prior], seed: int) -> xr.Dataset:
    """Sampled scalars (chain, draw) with exact draws of everything integrated out, in units of the outcome."""
    shape = next(iter(scalars.values())).shape
    hyper = hyperparameters(scalars, collapsed, priors)
    rng = np.random.default_rng([seed, 1])
    drawn = draw_coefficients(collapsed.sampled_products, collapsed.basis, hyper, rng)
    columns = collapsed.flat_cell_columns(()) if collapsed.basis is None else np.r_[collapsed.flat_columns, collapsed.cell_columns]
    arrays = _arrays(collapsed, drawn, columns)
    if collapsed.unit_columns.treatment:
        group = draw_group_effects(collapsed.group_products, collapsed.products.zz, collapsed.products.gaps, drawn, hyper, rng)
        arrays |= _group_arrays(collapsed, group)
        arrays["new_unit_effect"] = ((), rng.standard_normal(len(hyper)) * hyper.unit_sds[:, 0] * collapsed.scales[-1])
    if collapsed.design.leads.size:
        arrays["lead_effect"] = (("lead",), _lead_draws(collapsed, hyper, rng))
    return labelled_dataset(scalars, shape, arrays, collapsed)


def unpooled_dataset(scalars: Mapping[str, np.ndarray], collapsed: CollapsedPanel, priors: Mapping[str, Prior], seed: int) -> xr.Dataset:
    """The same draws of scales and error structure, but every cell flat: what the data say cell by cell, without pooling."""
    return posterior_dataset(scalars, replace(collapsed, components=()), priors, seed)


def prior_dataset(collapsed: CollapsedPanel, priors: Mapping[str, Prior], names: tuple[str, ...], n: int, seed: int) -> xr.Dataset:
    """Draws of the scales and of cell and group effects from the prior, dims chain (1) and draw, in units of the outcome."""
    rng = np.random.default_rng([seed, 2])
    scale = collapsed.scales[-1]
    scalars = {name: priors[name].scaled(scale).sample(rng, n)[None] for name in names}
    arrays: dict[str, Any] = {}
    hyper = hyperparameters(scalars, collapsed, priors)
    if collapsed.basis is not None:
        member = np.array([component_names(collapsed.basis).index(c) for c in collapsed.basis.component])
        z = rng.standard_normal((n, member.size)) * hyper.component_sds[:, member]
        arrays["cell_effect"] = (("cell",), z @ collapsed.basis.matrix.T * scale)
    if collapsed.unit_columns.treatment:
        sd = hyper.unit_sds[:, :1] * scale
        g = collapsed.group_products
        equal = rng.standard_normal((n, g.n.size)) * sd / np.sqrt(g.n)
        extra = rng.standard_normal((n, g.n.size)) * sd * np.sqrt(np.maximum(g.weight_squares / g.weight**2 - 1 / g.n, 0))
        arrays |= {"group_effect": (("group",), equal), "group_effect_weighted": (("group",), equal + extra)}
        arrays["new_unit_effect"] = ((), rng.standard_normal(n) * sd[:, 0])
    return labelled_dataset(scalars, (1, n), arrays, collapsed)


def _arrays(collapsed: CollapsedPanel, drawn: np.ndarray, columns: np.ndarray) -> dict[str, Any]:
    """Coefficient draws sorted into period effects, covariates and cells; columns that are redundant stay NaN."""
    scale = collapsed.scales[-1]
    full = np.full((drawn.shape[0], collapsed.products.n_columns), np.nan)
    full[:, columns] = drawn * scale
    n_periods = len(collapsed.design.period_columns)
    out = {"cell_effect": (("cell",), full[:, collapsed.cell_columns]), "period_effect": (("period_column",), full[:, :n_periods])}
    if collapsed.covariates:
        out["coefficient"] = (("covariate",), full[:, n_periods : collapsed.n_flat_common] / collapsed.scales[:-1])
    return out


def _group_arrays(collapsed: CollapsedPanel, group: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    scale = collapsed.scales[-1]
    return {"group_effect": (("group",), group[0] * scale), "group_effect_weighted": (("group",), group[1] * scale)}


def _lead_draws(collapsed: CollapsedPanel, hyper: Hyperparameters, rng: np.random.Generator) -> np.ndarray:
    """Leads given the fitted scales: a check on the model that leaves its effects untouched (Borusyak, Jaravel & Spiess 2024, §4.4)."""
    products, where = collapsed.lead_products()
    drawn = draw_coefficients(products, collapsed.basis, hyper, rng)
    return np.where(where >= 0, drawn[:, where], np.nan) * collapsed.scales[-1]


def labelled_dataset(
    scalars: Mapping[str, np.ndarray], shape: tuple[int, ...], arrays: Mapping[str, Any], collapsed: CollapsedPanel
) -> xr.Dataset:
    """Scalars (chain, draw) and arrays (flat draws, …) with their dimensions, and cells, groups and columns in calendar terms."""
    data = {k: (("chain", "draw"), np.asarray(v).reshape(shape)) for k, v in scalars.items()}
    data |= {k: (("chain", "draw", *dims), v.reshape(*shape, *v.shape[1:])) for k, (dims, v) in arrays.items()}
    coords: dict[str, Any] = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    coords |= cell_coordinates(collapsed, collapsed.design.cells, collapsed.identified_cells, "cell")
    if "lead_effect" in arrays:
        coords |= cell_coordinates(collapsed, collapsed.design.leads, collapsed.identified_leads, "lead")
    if "group_effect" in arrays:
        groups = collapsed.groups
        coords |= {
            "group_region": ("group", np.array([collapsed.regions[g.region] for g in groups], dtype=object)),
            "group_cohort": ("group", np.array([collapsed.calendar(g.cohort) for g in groups], dtype=float)),
            "group_units": ("group", np.array([g.n for g in groups])),
            "group_weight": ("group", np.array([g.weight for g in groups])),
            "group_in_cell": (("cell", "group"), collapsed.group_in_cell),
        }
    if "period_effect" in arrays:
        columns = collapsed.design.period_columns
        names = ("all", *collapsed.regions)
        coords["period_column_period"] = ("period_column", collapsed.calendar(columns[:, 1]))
        coords["period_column_region"] = ("period_column", np.array([names[r + 1] for r in columns[:, 0]], dtype=object))
    if "coefficient" in arrays:
        coords["covariate"] = np.array(collapsed.covariates, dtype=object)
    return xr.Dataset(data, coords)


def with_untreated_regions(dataset: xr.Dataset, collapsed: CollapsedPanel, priors: Mapping[str, Prior], seed: int) -> xr.Dataset:
    """Add predicted cells for regions without treated units, so that they can be reported as what they are: draws from the hierarchy.

    The new cells have the cohorts and event times of the others and no rows in the likelihood. They are jointly normal with the
    fitted cells given the scales, so an exact conditional draw predicts them.
    """
    cells, basis = collapsed.design.cells, collapsed.basis
    missing = [r for r in range(len(collapsed.regions)) if r not in set(cells.region.tolist())]
    if not missing or basis is None:
        return dataset
    pairs, first = np.unique(np.column_stack([cells.cohort, cells.event]), axis=0, return_inverse=True)
    rows, weight = np.bincount(first.ravel(), weights=cells.rows), np.bincount(first.ravel(), weights=cells.weight)
    new = Cells(
        np.repeat(missing, len(pairs)), np.tile(pairs[:, 0], len(missing)), np.tile(pairs[:, 1], len(missing)).astype(int),
        np.tile(rows, len(missing)).astype(int), np.tile(weight, len(missing)),
    )  # fmt: skip
    both = Cells(*(np.concatenate([getattr(cells, n), getattr(new, n)]) for n in ("region", "cohort", "event", "rows", "weight")))
    wider = component_basis(both, collapsed.components, collapsed.path_order)
    names = [
        n
        for n in dataset.data_vars
        if n in ("innovation_sd", "autocorrelation", "unit_effect_sd", "unit_trend_sd") or n in sampled_scales(basis)
    ]
    hyper = hyperparameters({n: dataset[n].to_numpy() for n in names}, collapsed, priors)
    scale = collapsed.scales[-1]
    fitted = dataset["cell_effect"].to_numpy().reshape(len(hyper), -1) / scale
    rng = np.random.default_rng([seed, 4])
    drawn = _predict(wider, fitted, _wider_sds(wider, basis, hyper, priors, scale, rng), rng) * scale
    extra = xr.Dataset(
        {"cell_effect": (("chain", "draw", "cell"), drawn.reshape(*dataset["cell_effect"].shape[:2], -1))},
        cell_coordinates(collapsed, new, np.zeros(new.size, dtype=bool), "cell", observed=False),
    )
    merged = xr.concat([dataset[["cell_effect"]].reset_coords(drop=True).assign_coords(_cell_coords(dataset)), extra], dim="cell")
    out = dataset.drop_dims("cell").merge(merged)
    if "group_in_cell" in dataset.coords:
        inside = np.vstack([dataset["group_in_cell"].to_numpy(), np.zeros((new.size, dataset.sizes["group"]), dtype=bool)])
        out = out.assign_coords(group_in_cell=(("cell", "group"), inside))
    return out


def _cell_coords(dataset: xr.Dataset) -> dict[str, Any]:
    return {k: v for k, v in dataset.coords.items() if v.dims == ("cell",)}


def _wider_sds(wider: Basis, basis: Basis, hyper: Hyperparameters, priors: Mapping[str, Prior], scale: float, rng: np.random.Generator):
    """Scales of the wider basis, shape (draws, components), scaled outcome. What a single treated region cannot tell, the spread between
    regions, comes from its prior: leaving it out would predict the others as if they were the same."""
    known = component_names(basis)
    columns = [
        hyper.component_sds[:, known.index(c)] if c in known else priors[f"{c}_sd"].scaled(scale).sample(rng, len(hyper)) / scale
        for c in component_names(wider)
    ]
    return np.column_stack(columns)


def _predict(basis: Basis, fitted: np.ndarray, sds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells after the first ``fitted.shape[1]`` of the basis given these, draw by draw, shape (draws, new cells).

    A draw (a, b) of all cells from the hierarchy becomes b + V_ba V_aa⁻¹ (fitted − a), a draw of the new cells that goes with the fitted
    ones (Matheron's rule), so that both can be compared within a draw.
    """
    names, n = component_names(basis), fitted.shape[1]
    scale = sds[:, [names.index(c) for c in basis.component]]
    prior = (rng.standard_normal(scale.shape) * scale) @ basis.matrix.T
    out = np.empty((len(fitted), len(basis.matrix) - n))
    for d in range(len(fitted)):
        weighted = basis.matrix * scale[d] ** 2
        among = weighted[:n] @ basis.matrix[:n].T
        own = sds[d, names.index("cell")] ** 2 if "cell" in names else 0.0
        among[np.diag_indices(n)] += cell_padding(np.trace(among), own, n)
        out[d] = prior[d, n:] + weighted[n:] @ basis.matrix[:n].T @ np.linalg.solve(among, fitted[d] - prior[d, :n])
    return out

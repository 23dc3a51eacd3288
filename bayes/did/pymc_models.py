"""The two PyMC forms of a staggered difference-in-differences: collapsed (sampled) and row by row (read, simulated)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.did.cross_products import CrossProducts
from bayes.did.groups import Block
from bayes.did.likelihood import component_names, make_log_likelihood
from bayes.did.rows import add_rows_to_model, row_design
from bayes.did.state import CollapsedPanel
from bayes.errors import UnsupportedModelError
from bayes.inference.programs import Prepared
from bayes.pooling import SymbolicPrior, prior_arrays, random_variable, symbolic_priors
from bayes.priors import Prior

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD


_DATA = ("total", "unit", "pattern", "zz", "pattern_units")
"""Cross-products that are arguments of the compiled density; the rest of them is its layout."""


def collapsed_model(spec: StaggeredDiD, collapsed: CollapsedPanel):
    """Scales and ρ as random variables; the collapsed likelihood as one potential computed by a native JAX function."""
    return collapsed_posterior(spec, collapsed).model()


def collapsed_posterior(spec: StaggeredDiD, collapsed: CollapsedPanel) -> Prepared:
    """The collapsed model with cross-products and priors as data. Its layout: columns, distances between dates, counts, pooling."""
    from bayes.inference.sampling import prepare_jax

    if spec.likelihood != "normal":
        raise UnsupportedModelError('Only normal errors can be integrated out. Use form="rows" with likelihood="student-t".')
    prepare_jax()
    products, basis, priors = _rounded_up(collapsed.sampled_products), collapsed.basis, _scaled_priors(spec, collapsed)
    arrays = {name: np.asarray(getattr(products, name)) for name in _DATA} | prior_arrays(priors)
    arrays["scale"] = np.array(float(collapsed.scales[-1]))
    pooling = () if basis is None else (basis.matrix.shape, basis.matrix.tobytes(), tuple(basis.component.tolist()))
    families = tuple((name, p.family) for name, p in priors.items())
    counts = (products.n_units, products.n_rows, products.n_flat, products.gaps.tobytes(), products.gap_counts.tobytes())
    layout = ("collapsed", collapsed.unit_columns.names, families, counts, pooling)
    return Prepared(layout, arrays, partial(_collapsed_over, spec, collapsed, products, priors))


def _collapsed_over(
    spec: StaggeredDiD, collapsed: CollapsedPanel, products: CrossProducts, priors: Mapping[str, Prior], given: Mapping[str, Any]
):
    """The collapsed model over given arrays: numbers become constants, PyTensor variables stay variables."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    basis, n_units = collapsed.basis, len(collapsed.unit_columns.names)
    constant = isinstance(given["total"], np.ndarray)
    scale = float(given["scale"]) if constant else given["scale"]
    with pm.Model() as model:
        own = priors if constant else symbolic_priors(priors, given)
        innovation, rho, units, components = _parameters(spec, collapsed, own)
        stacked = pt.stack([innovation / scale, rho, *[u / scale for u in units], *[c / scale for c in components]])

        def log_likelihood(x, *arrays):
            used = replace(products, **dict(zip(_DATA, arrays, strict=True))) if arrays else products
            return make_log_likelihood(used, basis)(x[0], x[1], x[2 : 2 + n_units], x[2 + n_units :])

        arguments = () if constant else tuple(given[name] for name in _DATA)
        pm.Potential("collapsed_likelihood", pytensor.wrap_jax(log_likelihood)(stacked, *arguments))
    return model


def _rounded_up(products: CrossProducts, multiple: int = 8) -> CrossProducts:
    """Zero pseudo-units added, which change no sum: their number depends on rounding, and each number would be compiled for itself."""
    more = -products.pattern.size % multiple
    unit = np.concatenate([products.unit, np.zeros((more, *products.unit.shape[1:]))])
    return replace(products, unit=unit, pattern=np.r_[products.pattern, np.zeros(more, dtype=products.pattern.dtype)])


def rows_model(spec: StaggeredDiD, collapsed: CollapsedPanel, block: Block):
    """Every latent variable and row; see :mod:`bayes.did.rows`."""
    import pymc as pm
    import pytensor.tensor as pt

    rows = row_design(block, collapsed.design, collapsed.unit_columns)
    cells, basis = collapsed.design.cells, collapsed.basis
    names = component_names(basis) if basis is not None else ()
    coords = {
        "unit": np.arange(rows.starts.size),
        "row": np.arange(rows.unit.size),
        "period_column": [
            f"{collapsed.calendar(t):g}" if r < 0 else f"{collapsed.regions[r]} {collapsed.calendar(t):g}"
            for r, t in collapsed.design.period_columns
        ],
        "covariate": list(collapsed.covariates),
        "cell": [
            f"{collapsed.regions[r]}, cohort {collapsed.calendar(g):g}, e={e}"
            for r, g, e in zip(cells.region, cells.cohort, cells.event, strict=True)
        ],
        "component": [] if basis is None else [f"{c}[{label}]" for c, label in zip(basis.component, basis.label, strict=True)],
    }
    with pm.Model(coords=coords) as model:
        innovation, rho, units, components = _parameters(spec, collapsed, _scaled_priors(spec, collapsed))
        by_column = None
        if basis is not None:
            by_column = pt.stack([pt.as_tensor(c) for c in components])[np.array([names.index(c) for c in basis.component])]
        degrees = model["degrees_of_freedom"] if spec.likelihood == "student-t" else None
        add_rows_to_model(
            rows, collapsed.design, collapsed.unit_columns, basis, by_column, innovation, rho, units, collapsed.scales, degrees
        )
    return model


def _scaled_priors(spec: StaggeredDiD, collapsed: CollapsedPanel) -> dict[str, Prior]:
    """Priors in units of the outcome: those of sampled parameters, then those of level and drift where cells are pooled."""
    priors, scale = spec.resolved_priors(), float(collapsed.scales[-1])
    fixed = [c for c in component_names(collapsed.basis) if f"{c}_sd" not in priors] if collapsed.basis is not None else []
    return {name: priors[name].scaled(scale) for name in (*spec.parameters(collapsed), *fixed)}


def _parameters(spec: StaggeredDiD, collapsed: CollapsedPanel, priors: Mapping[str, Prior | SymbolicPrior]):
    """Sampled parameters in units of the outcome: innovation sd, ρ, unit scales, component scales (constants for level and drift)."""
    import pytensor.tensor as pt

    variables = {name: random_variable(priors[name], name) for name in spec.parameters(collapsed)}
    names = component_names(collapsed.basis) if collapsed.basis is not None else ()
    components = [variables[f"{c}_sd"] if f"{c}_sd" in variables else pt.as_tensor(priors[c].parameters["sigma"]) for c in names]
    rho = variables.get("autocorrelation", pt.constant(0.0))
    return variables["innovation_sd"], rho, [variables[n] for n in collapsed.unit_columns.names], components

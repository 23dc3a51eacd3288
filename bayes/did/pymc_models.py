"""The two PyMC forms of a staggered difference-in-differences: collapsed (sampled) and row by row (read, simulated)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes.did.groups import Block
from bayes.did.likelihood import component_names, make_log_likelihood
from bayes.did.rows import add_rows_to_model, row_design
from bayes.did.state import CollapsedPanel
from bayes.errors import UnsupportedModelError
from bayes.pooling import random_variable

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD


def collapsed_model(spec: StaggeredDiD, collapsed: CollapsedPanel):
    """Scales and ρ as random variables; the collapsed likelihood as one potential computed by a native JAX function."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    from bayes.inference.sampling import prepare_jax

    if spec.likelihood != "normal":
        raise UnsupportedModelError('Only normal errors can be integrated out. Use form="rows" with likelihood="student-t".')
    prepare_jax()
    likelihood = make_log_likelihood(collapsed.sampled_products, collapsed.basis)
    scale = float(collapsed.scales[-1])
    with pm.Model() as model:
        innovation, rho, units, components = _parameters(spec, collapsed)
        stacked = pt.stack([innovation / scale, rho, *[u / scale for u in units], *[c / scale for c in components]])
        n_units = len(units)

        def log_likelihood(x):
            return likelihood(x[0], x[1], x[2 : 2 + n_units], x[2 + n_units :])

        pm.Potential("collapsed_likelihood", pytensor.wrap_jax(log_likelihood)(stacked))
    return model


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
        innovation, rho, units, components = _parameters(spec, collapsed)
        by_column = None
        if basis is not None:
            by_column = pt.stack([pt.as_tensor(c) for c in components])[np.array([names.index(c) for c in basis.component])]
        degrees = model["degrees_of_freedom"] if spec.likelihood == "student-t" else None
        add_rows_to_model(
            rows, collapsed.design, collapsed.unit_columns, basis, by_column, innovation, rho, units, collapsed.scales, degrees
        )
    return model


def _parameters(spec: StaggeredDiD, collapsed: CollapsedPanel):
    """Sampled parameters in units of the outcome: innovation sd, ρ, unit scales, component scales (constants for level and drift)."""
    import pytensor.tensor as pt

    scale = float(collapsed.scales[-1])
    priors = {name: prior.scaled(scale) for name, prior in spec.resolved_priors().items()}
    variables = {name: random_variable(priors[name], name) for name in spec.parameters(collapsed)}
    names = component_names(collapsed.basis) if collapsed.basis is not None else ()
    components = [variables[f"{c}_sd"] if f"{c}_sd" in variables else pt.constant(priors[c].parameters["sigma"]) for c in names]
    rho = variables.get("autocorrelation", pt.constant(0.0))
    return variables["innovation_sd"], rho, [variables[n] for n in collapsed.unit_columns.names], components

"""The row-level model: every unit effect, period effect and cell a latent variable. For reading, graphs and prior predictive checks.

It is the same model as the collapsed one, but with proper, weakly informative priors where that one is flat, so that it can simulate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes.did.cells import Basis, Design
from bayes.did.cross_products import UnitColumns
from bayes.did.groups import Block

_WIDE = 10.0
"""Prior standard deviation of unit and period effects and coefficients, in (within) standard deviations of the outcome."""


@dataclass(frozen=True)
class Rows:
    """Design at row level: unit of each row, deterministic columns and covariates, unit columns, and distance to the row before.

    ``gap`` is the number of grid steps since the unit's previous row, 0 at its first; shapes (rows, …).
    """

    unit: np.ndarray
    starts: np.ndarray
    fixed: np.ndarray
    covariates: np.ndarray
    unit_columns: np.ndarray
    outcome: np.ndarray
    gap: np.ndarray


def row_design(block: Block, design: Design, z: UnitColumns) -> Rows:
    """Columns of every row in the order of the block. Dense: meant for panels that fit in memory many times over."""
    lengths = np.diff(np.r_[block.starts, block.periods.size])
    centre = 0.5 * (int(block.periods.min()) + int(block.periods.max()))
    fixed = np.empty((block.periods.size, design.size))
    unit_columns = np.empty((block.periods.size, 1 + len(z.names)))
    for i, (start, length) in enumerate(zip(block.starts, lengths, strict=True)):
        rows = slice(start, start + length)
        dose = None if block.dose is None else block.dose[rows]
        fixed[rows] = design.columns(int(block.regions[i]), block.cohorts[i], block.periods[rows], dose)
        unit_columns[rows] = z.matrix(block.cohorts[i], block.periods[rows], design.anticipation, centre, dose)
    gap = np.diff(block.periods, prepend=block.periods[:1])
    gap[block.starts] = 0
    unit = np.repeat(np.arange(lengths.size), lengths)
    return Rows(unit, block.starts, fixed, block.values[:, :-1], unit_columns, block.values[:, -1], gap)


def add_rows_to_model(
    rows: Rows, design: Design, z: UnitColumns, basis: Basis | None, component_sds, innovation_sd, rho, unit_sds, scales, degrees=None
):  # fmt: skip
    """Latent variables and the AR(1) likelihood of every row, added to the PyMC model on the context stack.

    ``scales`` are the within standard deviations of covariates and outcome; ``degrees`` of freedom make the innovations Student-t.
    Coordinates ``unit``, ``period_column``, ``covariate``,
    ``cell``, ``component`` and ``row`` must be in the model.
    """
    import pymc as pm
    import pytensor.tensor as pt

    wide = _WIDE * scales[-1]
    n_periods = len(design.period_columns)
    spread = max(float(np.std(rows.outcome)), scales[-1])
    intercept = pm.Normal("unit_intercept", float(rows.outcome.mean()), _WIDE * spread, dims="unit")
    mu = intercept[rows.unit]
    period = pm.Normal("period_effect", 0.0, wide, dims="period_column")
    mu = mu + pt.dot(rows.fixed[:, :n_periods], period)
    if rows.covariates.shape[1]:
        mu = mu + pt.dot(rows.covariates, pm.Normal("coefficient", 0.0, wide / scales[:-1], dims="covariate"))
    cells = rows.fixed[:, n_periods : n_periods + design.cells.size]
    if basis is None:
        effect = pm.Normal("cell_effect", 0.0, wide, dims="cell")
    else:
        standard = pm.Normal("component_z", 0.0, 1.0, dims="component")
        effect = pm.Deterministic("cell_effect", pt.dot(basis.matrix, component_sds * standard), dims="cell")
    mu = mu + pt.dot(cells, effect)
    for j, name in enumerate(z.names):
        members = np.flatnonzero(np.bincount(rows.unit, weights=rows.unit_columns[:, 1 + j] != 0))
        deviation = pm.Normal(f"{name.removesuffix('_sd')}_z", 0.0, 1.0, shape=members.size)
        full = pt.zeros(rows.starts.size)[members].set(unit_sds[j] * deviation)
        mu = mu + rows.unit_columns[:, 1 + j] * full[rows.unit]
    return _ar1_outcome(rows, mu, innovation_sd, rho, degrees)


def _ar1_outcome(rows: Rows, mu, innovation_sd, rho, degrees=None):
    """Stationary AR(1) errors in calendar time as one distribution that can also be simulated.

    ε_first ~ N(0, s²/(1 − ρ²)); after a gap of g periods ε_t | ε_{t−g} ~ N(ρ^g ε_{t−g}, s²(1 − ρ^{2g})/(1 − ρ²)). With ``degrees`` these
    normals become Student-t with the same centre and scale (s is then a scale, not a standard deviation).
    """
    import pymc as pm
    import pytensor.tensor as pt

    first = rows.gap == 0
    before = np.maximum(np.arange(rows.gap.size) - 1, 0)
    gap = np.where(first, 1, rows.gap)

    def log_density(value, mu, innovation_sd, rho, *degrees):
        residual = value - mu
        power = pt.switch(first, 0.0, rho**gap)
        variance = innovation_sd**2 * pt.switch(first, 1.0, 1 - rho ** (2 * gap)) / (1 - rho**2)
        shock = residual - power * residual[before]
        if degrees:
            return pt.sum(pm.logp(pm.StudentT.dist(nu=degrees[0], mu=0.0, sigma=1.0), shock / pt.sqrt(variance)) - 0.5 * pt.log(variance))
        return pt.sum(-0.5 * (np.log(2 * np.pi) + pt.log(variance) + shock**2 / variance))

    def simulate(mu, innovation_sd, rho, *degrees_and_size):
        # ε_t = Σ ρ^(t − j) w_j z_j over the rows j of the unit up to t: the recursion written out, so that it compiles.
        position, distance, earlier = _distances(rows)
        degrees = degrees_and_size[:-1]
        n = rows.gap.size
        noise = pm.StudentT.dist(nu=degrees[0], mu=0.0, sigma=1.0, shape=n) if degrees else pm.Normal.dist(0.0, 1.0, shape=n)
        weight = pt.switch(first, 1.0, pt.sqrt(1 - rho ** (2 * gap))) * innovation_sd / pt.sqrt(1 - rho**2)
        shocks = pt.zeros(distance.shape[:2])[rows.unit, position].set(weight * noise)
        return mu + pt.sum(earlier * rho**distance * shocks[:, None, :], axis=2)[rows.unit, position]

    parameters = (mu, innovation_sd, rho) if degrees is None else (mu, innovation_sd, rho, degrees)
    signature = f"{','.join(['(n)', *['()'] * (len(parameters) - 1)])}->(n)"
    return pm.CustomDist(
        "outcome", *parameters, logp=log_density, dist=simulate, signature=signature, observed=rows.outcome, dims="row"
    )  # fmt: skip


def _distances(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place of each row within its unit; for each pair of places (units, later, earlier) the grid steps between, and whether it exists."""
    position = np.arange(rows.gap.size) - rows.starts[rows.unit]
    dates = np.zeros((rows.starts.size, int(position.max()) + 1), dtype=int)
    seen = np.zeros(dates.shape, dtype=bool)
    steps = np.cumsum(rows.gap)
    dates[rows.unit, position] = steps - steps[rows.starts][rows.unit]
    seen[rows.unit, position] = True
    places = np.arange(dates.shape[1])
    earlier = seen[:, :, None] & seen[:, None, :] & (places[:, None] >= places)
    return position, np.where(earlier, dates[:, :, None] - dates[:, None, :], 0), earlier.astype(float)

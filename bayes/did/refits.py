"""Many refits of one panel with other first treated periods: posterior mode of the scales, exact conditional mean and sd of averages.

One compiled density serves all assignments (:mod:`bayes.did.reassignment` gives them one shape). The mode of the actual dates, sought
from the middle of the priors, is where every refit starts, in coordinates in which the posterior there is round: a refit is then some
twenty gradients, run on as many threads as there are cores, and does not depend on the refit before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayes.did.cells import Cells, Design, make_design
from bayes.did.cross_products import UnitColumns, build, data_scales
from bayes.did.draws import hyperparameters
from bayes.did.groups import Block, group_units
from bayes.did.mode import GRADIENT_LIMIT, Coordinate, Mode, log_posterior, maximum
from bayes.did.moments import Averages, conditional_moments, term_weights
from bayes.did.posterior import Hyperparameters
from bayes.did.reassignment import ReassignableRows, Reassigned, prepare, reassign
from bayes.did.state import CollapsedPanel
from bayes.executors import Executor, Portable
from bayes.inference.sampling import prepare_jax, single_threaded_algebra
from bayes.replicates import Record, Replicate, run_replicates

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD

_STEP = 1e-4
_AT_A_TIME = 10
"""Refits in one piece of work of an executor."""
_LEAST_CURVATURE = 0.05
"""Smallest curvature of the log posterior in log scales or logit ρ that the first steps of a refit trust."""


@dataclass(frozen=True)
class Refit:
    """One refit: ``estimate`` and ``sd`` of each term given the scales at their ``mode``, in units of the outcome (NaN where no cell of
    the term is identified), and ``share``, how much of the term's weight is identified."""

    mode: Mode
    estimate: np.ndarray
    sd: np.ndarray
    share: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class RefittedPanel:
    """A panel whose dates can be moved: specification, a template with every cell that may fill, rows, and the compiled density."""

    spec: StaggeredDiD
    template: CollapsedPanel
    rows: ReassignableRows
    density: Callable

    @cached_property
    def coordinates(self) -> list[Coordinate]:
        priors = self.spec.resolved_priors()
        return [Coordinate.of(n, priors[n], self.scale) for n in self.spec.parameters(self.template)]

    @property
    def scale(self) -> float:
        return float(self.template.scales[-1])

    def arguments(self, assigned: Reassigned) -> tuple:
        """What the density takes besides its coordinates, on the device."""
        import jax.numpy as jnp

        p = assigned.products
        arrays = (p.total, p.unit, p.pattern, p.zz, p.pattern_units.astype(float), float(assigned.dropped.size), self.scale)
        return tuple(jnp.asarray(a) for a in arrays)

    def values(self, z: np.ndarray) -> dict[str, float]:
        """Scales and ρ of a place, in units of the outcome."""
        names = self.spec.parameters(self.template)
        return {n: float(c.value(v) * c.unit(self.scale)) for n, c, v in zip(names, self.coordinates, z, strict=True)}

    def hyperparameters(self, mode: Mode) -> Hyperparameters:
        values = {n: np.full(1, v) for n, v in mode.values.items()}
        return hyperparameters(values, self.template, self.spec.resolved_priors())


def refitted_panel(
    spec: StaggeredDiD, block: Block, cells: Cells, cohorts: np.ndarray, n_periods: int, regions: Sequence[str],
    density: Callable | None = None,
) -> RefittedPanel:  # fmt: skip
    """Prepare a panel, given as a block with one admissible assignment, for refits over ``cells``.

    ``density`` of an earlier panel of the same layout (other outcomes) spares the compilation. Raises what a collapse raises.
    """
    prepare_jax()
    z = UnitColumns(spec.unit_effects == "random-treatment", spec.unit_trends)
    groups = group_units([block])
    found = make_design(groups, n_periods, spec.period_effects, spec.anticipation, False)
    design = Design(found.period_columns, cells, _none(cells), spec.anticipation)
    scales = data_scales(groups)
    products = build(groups, design, z, scales)
    template = CollapsedPanel(
        tuple(groups), design, z, spec.covariates, tuple(regions), 0, 1, scales, products, spec.components, spec.path_order,
    )  # fmt: skip
    rows = prepare(
        block, design.period_columns, cells, cohorts, template.flat_columns, products, scales, z, spec.anticipation, bool(spec.components),
    )  # fmt: skip
    return RefittedPanel(spec, template, rows, density or compiled_density(spec, template, rows))


def _none(cells: Cells) -> Cells:
    return Cells(*(getattr(cells, n)[:0] for n in ("region", "cohort", "event", "rows", "weight")))


def compiled_density(spec: StaggeredDiD, template: CollapsedPanel, rows: ReassignableRows) -> Callable:
    """Compiled ``(z, total, unit, pattern, zz, pattern_units, dropped, scale) → (log posterior density, gradient in z)``.

    A dropped flat column stands in the padded products as a one in R̃⁻¹'s first part, 1 − ρ²; what it adds is taken off again.
    """
    import jax
    import jax.numpy as jnp

    density, base = log_posterior(spec, template), rows.base
    flat = rows.kept.size - 1 - (rows.cells.size if rows.pooled else 0)
    names = spec.parameters(template)
    priors = spec.resolved_priors()

    def of_arrays(z, total, unit, pattern, zz, pattern_units, dropped, scale):
        products = replace(base, total=total, unit=unit, pattern=pattern, zz=zz, pattern_units=pattern_units, n_flat=flat)
        value = density(z, products, scale)
        if rows.pooled:
            return value
        x = {n: Coordinate.of(n, priors[n], scale).value(z[j], jnp) for j, n in enumerate(names)}
        rho = x.get("autocorrelation", jnp.asarray(0.0))
        return value - 0.5 * dropped * (jnp.log(2 * jnp.pi * x["innovation_sd"] ** 2) - jnp.log1p(-(rho**2)))

    return jax.jit(jax.value_and_grad(of_arrays))


# ── optimum ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Start:
    """Where refits start, and the map from coordinates in which the posterior is round there to z."""

    z: np.ndarray
    shape: np.ndarray


def start_of(panel: RefittedPanel, cohort: np.ndarray) -> Start:
    """Mode of one assignment, sought from the middle of the priors, with the curvature there."""
    arguments = panel.arguments(reassign(panel.rows, cohort))
    z = maximum(panel.density, arguments, panel.coordinates, None)[0]
    gradient = lambda at: np.asarray(panel.density(at, *arguments)[1])  # noqa: E731
    steps = _STEP * np.eye(z.size)
    hessian = np.array([(gradient(z + h) - gradient(z - h)) / (2 * _STEP) for h in steps])
    values, vectors = np.linalg.eigh(-0.5 * (hessian + hessian.T))
    usable = np.isfinite(values).all()
    return Start(z, vectors / np.sqrt(np.maximum(values, _LEAST_CURVATURE)) if usable else np.eye(z.size))


def mode_from(panel: RefittedPanel, assigned: Reassigned, start: Start) -> Mode:
    """Mode of the scales of one assignment; sought again from the middle of the priors where the quick way does not arrive."""
    from scipy.optimize import minimize

    arguments = panel.arguments(assigned)
    bounds = np.array([c.bounds for c in panel.coordinates])

    def negative(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = panel.density(start.z + start.shape @ x, *arguments)
        value, gradient = float(value), np.asarray(gradient) @ start.shape
        return (-value, -gradient) if np.isfinite(value) and np.isfinite(gradient).all() else (1e10, np.zeros(x.size))

    options = {"ftol": 1e-13, "gtol": 1e-5, "maxiter": 200}
    found = minimize(negative, np.zeros(start.z.size), jac=True, method="L-BFGS-B", options=options)
    z = start.z + start.shape @ found.x
    left = float(np.abs(np.linalg.solve(start.shape.T, found.jac)).max())
    inside = ((z > bounds[:, 0]) & (z < bounds[:, 1])).all()
    if found.fun < 1e10 and left < GRADIENT_LIMIT and inside:
        return Mode(panel.values(z), True, left)
    z, converged, left = maximum(panel.density, arguments, panel.coordinates, None)
    return Mode(panel.values(z), converged, left)


def refit(panel: RefittedPanel, cohort: np.ndarray, averages: Averages, start: Start) -> Refit:
    """Averages when unit i is first treated with cohort number ``cohort[i]``."""
    assigned = reassign(panel.rows, cohort)
    mode = mode_from(panel, assigned, start)
    return refit_at(panel, assigned, mode, averages)


def refit_at(panel: RefittedPanel, assigned: Reassigned, mode: Mode, averages: Averages) -> Refit:
    """Averages of one assignment given its scales."""
    on_cells, on_units, share, n = term_weights(panel.rows, assigned, averages)
    moments = conditional_moments(assigned, panel.template.basis, panel.hyperparameters(mode), on_cells, on_units)
    mean, sd = (np.where(share > 0, m, np.nan) for m in moments)
    return Refit(mode, mean * panel.scale, sd * panel.scale, share, n)


@single_threaded_algebra()
def refit_all(
    panel: RefittedPanel, cohorts: np.ndarray, averages: Averages, start: Start, cores: int | None = None, progress: bool | None = None,
    record: Record | None = None, executor: Executor | None = None,
) -> list[Refit]:  # fmt: skip
    """A refit for each row of ``cohorts`` (refits, units), in their order; those in the record are not computed again."""
    given = (panel.spec, panel.template, panel.rows, cohorts.astype(np.min_scalar_type(int(cohorts.max()))), averages, start)
    replicate = Portable(_replicate, _prepared, given, (panel, cohorts, averages, start))
    done = run_replicates(replicate, len(cohorts), record, cores, progress, "Placebo refits", executor, _AT_A_TIME)
    return [_from_arrays(arrays, panel.spec.parameters(panel.template)) for arrays in done]


def _replicate(state: tuple[RefittedPanel, np.ndarray, Averages, Start], k: int) -> Replicate:
    panel, cohorts, averages, start = state
    return _as_arrays(refit(panel, cohorts[k], averages, start))


def _prepared(spec: StaggeredDiD, template: CollapsedPanel, rows: ReassignableRows, cohorts: np.ndarray, averages: Averages, start: Start):
    """What :func:`_replicate` takes, in a process that has not compiled the density."""
    prepare_jax()
    panel = RefittedPanel(spec, template, rows, compiled_density(spec, template, rows))
    return panel, cohorts.astype(np.int64), averages, start


def _as_arrays(one: Refit) -> Replicate:
    mode = one.mode
    values = np.array(list(mode.values.values()))
    return {"values": values, "converged": np.array(mode.converged), "gradient": np.array(mode.gradient),
            "estimate": one.estimate, "sd": one.sd, "share": one.share, "rows": one.rows}  # fmt: skip


def _from_arrays(arrays: Replicate, names: Sequence[str]) -> Refit:
    values = dict(zip(names, arrays["values"].tolist(), strict=True))
    mode = Mode(values, bool(arrays["converged"]), float(arrays["gradient"]))
    return Refit(mode, *(arrays[name] for name in ("estimate", "sd", "share", "rows")))

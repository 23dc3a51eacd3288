"""How much treatment, and for whom: a dose that multiplies the treatment columns, and moderators of the effect.

With a dose d_it the model is y_it = α_i + λ_t + x_it'β + d_it Σ_c D_it^c (τ_c + b_i) + ε_it. Inside, doses count in multiples of their mean
over treated rows, so that priors speak of the effect at the mean dose and the unit of the dose does not matter. A moderator m adds the
column D_it d_it (m_it − m̄) with a flat coefficient: the change of the effect per unit of m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes.did import effects
from bayes.did.groups import Block
from bayes.did.state import CollapsedPanel
from bayes.errors import (
    CollinearColumnsError,
    DoseError,
    DoseWarning,
    MissingValueError,
    SpecificationError,
    UnsupportedModelError,
    warn_user,
)
from bayes.estimates import Estimates
from bayes.panel import Panel
from bayes.validation import as_numbers, places, require_columns

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit
    from bayes.did.model import StaggeredDiD

AT_DOSE = {"att_at_dose": "att", "att_population_at_dose": "att_population"}
"""Estimands at the doses received, and what they are per unit of dose."""


def product_name(moderator: str) -> str:
    """Name of a moderator's column in the posterior."""
    return f"{moderator} × treatment"


def refuse_extensions(spec: StaggeredDiD, what: str, allowed: Sequence[str] = ()) -> None:
    """Raise :class:`UnsupportedModelError` where ``what`` does not know the dose, moderators or Student-t errors of a model."""
    found = {"dose": spec.dose is not None, "moderators": bool(spec.moderators), "student-t": spec.likelihood != "normal"}
    used = [name for name, is_used in found.items() if is_used and name not in allowed]
    if used:
        raise UnsupportedModelError(
            f"{what} does not exist for a model with {' and '.join(used)}. Fit the model without, and use that fit."
        )


# ── columns ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Dose:
    """``relative`` (rows,): doses in multiples of ``mean``, their mean over treated rows; a unit's own mean before treatment, 0 for
    never-treated units. ``constant``: every treated row has the same dose."""

    relative: np.ndarray
    mean: float
    constant: bool


def dose_of(panel: Panel, column: str) -> Dose:
    """The checked dose of every row.

    Before treatment a dose does not act: rows of anticipation and leads count the unit's mean dose over its treated rows.
    Raises :class:`DoseError` for negative doses, doses missing where the unit is treated, or zero in every treated row.
    """
    require_columns(panel.frame, {"dose": column})
    values = as_numbers(panel.frame, column, panel.unit, panel.time)
    if (values < 0).any():
        raise DoseError(
            f"Dose {column!r} is negative in {int((values < 0).sum())} rows: {places(panel.frame, values < 0, panel.unit, panel.time)}. "
            "A dose counts from 0, no treatment; shift or rescale it (a logarithm below 1 is negative: use the level, or log(1 + level))."
        )
    cohort = _cohorts(panel)[panel.unit_codes]
    treated, ever = panel.period_codes >= cohort, np.isfinite(cohort)
    missing = treated & ~np.isfinite(values)
    if missing.any():
        raise DoseError(
            f"Dose {column!r} is missing or infinite in {int(missing.sum())} treated rows: "
            f"{places(panel.frame, missing, panel.unit, panel.time)}. Fill it, or leave these rows out."
        )
    if not treated.any() or values[treated].max() == 0:
        raise DoseError(f"Dose {column!r} is zero in every treated row: there is no treatment whose effect could be estimated.")
    mean = float(values[treated].mean())
    before = _unit_dose(panel, column, values, treated, ever)[panel.unit_codes]
    relative = np.where(treated, values, np.where(ever, before, 0.0)) / mean
    return Dose(relative, mean, bool(np.ptp(values[treated]) <= 1e-12 * mean))


def _cohorts(panel: Panel) -> np.ndarray:
    """First treated grid position of each unit, infinity where that lies outside the panel."""
    return np.where(panel.unit_cohort_codes < panel.n_periods, panel.unit_cohort_codes, np.inf)


def _unit_dose(panel: Panel, column: str, values: np.ndarray, treated: np.ndarray, ever: np.ndarray) -> np.ndarray:
    """Mean dose of each unit over its treated rows; over its other rows where it is treated only after its last row."""
    starts = panel.unit_starts
    counted = treated | (ever & np.isfinite(values) & ~np.logical_or.reduceat(treated, starts)[panel.unit_codes])
    n = np.add.reduceat(counted.astype(int), starts)
    none = (n == 0) & ever[starts]
    if none.any():
        raise DoseError(f"Dose {column!r} is missing for {panel.unit} {panel.units[none][0]!r}, which has a treatment date. Give its dose.")
    low, high = (f.reduceat(np.where(counted, values, fill), starts) for f, fill in ((np.minimum, np.inf), (np.maximum, -np.inf)))
    total = np.add.reduceat(np.where(counted, values, 0.0), starts)
    return np.where(low == high, low, total / np.maximum(n, 1))  # equal doses stay exactly equal, so that units share a group


def with_intensity(block: Block, panel: Panel, spec: StaggeredDiD) -> Block:
    """The block with the dose of each row, and moderators × treatment as columns before the outcome."""
    if spec.dose is None and not spec.moderators:
        return block
    dose = None if spec.dose is None else dose_of(panel, spec.dose).relative
    columns = [moderator_of(panel, m, spec.anticipation)[0] for m in spec.moderators]
    if dose is not None:
        columns = [c * dose for c in columns]
    return replace(block, values=np.column_stack([block.values[:, :-1], *columns, block.values[:, -1]]), dose=dose)


def moderator_of(panel: Panel, column: str, anticipation: int) -> tuple[np.ndarray, float]:
    """D_it (m_it − m̄) of every row, and m̄, the mean over treated rows.

    Raises :class:`MissingValueError` where a treated row has no value, and :class:`CollinearColumnsError` for a constant.
    """
    require_columns(panel.frame, {"moderator": column})
    values = as_numbers(panel.frame, column, panel.unit, panel.time)
    cohort = _cohorts(panel)[panel.unit_codes]
    acts, treated = panel.period_codes >= cohort - anticipation, panel.period_codes >= cohort
    missing = acts & ~np.isfinite(values)
    if missing.any():
        raise MissingValueError(
            f"Moderator {column!r} is missing or infinite in {int(missing.sum())} treated rows: "
            f"{places(panel.frame, missing, panel.unit, panel.time)}. Fill it, or leave these rows out."
        )
    if not treated.any() or np.ptp(values[acts]) <= 1e-12 * np.abs(values[acts]).max():
        raise CollinearColumnsError(
            f"Moderator {column!r} is constant over treated rows: nothing tells its product with the treatment from the effect itself."
        )
    centre = float(values[treated].mean())
    return np.where(acts, np.where(acts, values, 0.0) - centre, 0.0), centre


def refuse_collinear_moderators(collapsed: CollapsedPanel, moderators: Sequence[str]) -> None:
    """Raise :class:`CollinearColumnsError` for moderators that effects by region × cohort × event time absorb."""
    last = collapsed.n_flat_common
    products = np.arange(last - len(moderators), last)
    others = collapsed.flat_columns[collapsed.flat_columns < last - len(moderators)]
    keep = collapsed._independent(np.r_[others, collapsed.cell_columns, products])[-len(moderators) :]
    lost = [m for m, kept in zip(moderators, keep, strict=True) if not kept]
    if lost:
        raise CollinearColumnsError(
            f"Moderators {lost} do not vary between treated units of the same region, cohort and event time (or repeat another): their "
            "products with the treatment are combinations of the effects themselves. Read fit.att by region, cohort or event instead."
        )


def warn_of_constant_dose(spec: StaggeredDiD, panel: Panel) -> None:
    """Warn where a dose only rescales the treatment."""
    if spec.dose is not None and (dose := dose_of(panel, spec.dose)).constant:
        warn_user(
            f"Dose {spec.dose!r} is {dose.mean:g} in every treated row: the model is the one without a dose, its effects divided by "
            f"{dose.mean:g}.",
            DoseWarning,
        )


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────────────


_ONE_TREATED = "one treated unit: what the effect would be on others rests on the prior of their spread"


def estimates_of(
    dataset: xr.Dataset, spec: StaggeredDiD, panel: Panel, collapsed: CollapsedPanel, by: str, estimand: str, weights: str, level: float,
    extrapolate: bool, source: str, **meta: Any,
) -> Estimates:  # fmt: skip
    """:func:`bayes.did.effects.estimates` of a model's draws, in the units that dose and estimand ask for."""
    dataset, base, label, words = _in_units(dataset, spec, panel, collapsed, estimand, weights)
    regions = tuple(panel.regions.tolist())
    if sum(g.n for g in collapsed.groups if np.isfinite(g.cohort)) == 1:
        words = "; ".join(filter(None, [words, _ONE_TREATED]))
    found = effects.estimates(dataset, by, base, weights, level, extrapolate, regions, source, **meta)
    if label == base and not words:
        return found
    frame = found.frame.assign(estimand=label, note=[f"{n}; {words}" if n else words for n in found.frame.note])
    return replace(found, frame=frame, title=f"{label} by {by}")


def _in_units(
    dataset: xr.Dataset, spec: StaggeredDiD, panel: Panel, collapsed: CollapsedPanel, estimand: str, weights: str
) -> tuple[xr.Dataset, str, str, str]:
    """Draws of effects at the mean dose turned into what ``estimand`` asks for; the estimand to average, its label, and a note.

    Raises :class:`SpecificationError` for an estimand at the doses received without a dose.
    """
    moderated = f"at the mean of {' and '.join(spec.moderators)} over treated rows" if spec.moderators else ""
    if spec.dose is None:
        if estimand in AT_DOSE:
            raise SpecificationError(f"estimand={estimand!r} needs a model with a dose: StaggeredDiD(..., dose=column).")
        return dataset, estimand, estimand, moderated
    mean = dose_of(panel, spec.dose).mean
    if estimand in AT_DOSE:
        base = AT_DOSE[estimand]
        note = f"at the doses received ({spec.dose}; leads at the mean dose {mean:.4g})"
        return _at_dose(dataset, collapsed, base, weights), base, estimand, "; ".join(filter(None, [note, moderated]))
    scaled = {name: dataset[name] / mean for name in _EFFECTS if name in dataset}
    return dataset.assign(scaled), estimand, f"{estimand}_per_dose", "; ".join(filter(None, [f"per unit of {spec.dose}", moderated]))


_EFFECTS = ("cell_effect", "group_effect", "group_effect_weighted", "new_unit_effect", "lead_effect")


def _at_dose(dataset: xr.Dataset, collapsed: CollapsedPanel, estimand: str, weights: str) -> xr.Dataset:
    """Effects of cells as means over their treated rows of dose × (effect + the unit's own deviation), units' deviations put in."""
    name, size = ("group_effect", "n") if weights == "rows" else ("group_effect_weighted", "weight")
    share = collapsed.group_in_cell * np.array([getattr(g, size) for g in collapsed.groups], dtype=float)
    received = share * _doses(collapsed) / share.sum(axis=1, keepdims=True)
    extra = dataset.sizes["cell"] - len(received)  # cells predicted for regions without treated units: at the mean dose
    effect = dataset["cell_effect"] * xr.DataArray(np.r_[received.sum(axis=1), np.ones(extra)], dims="cell")
    if estimand == "att" and name in dataset:
        matrix = np.vstack([received, np.zeros((extra, received.shape[1]))])
        effect = effect + dataset[name].dot(xr.DataArray(matrix, dims=("cell", "group")))
    kept = [n for n in ("group_effect", "group_effect_weighted", "new_unit_effect") if n in dataset]
    return dataset.drop_vars(kept).assign(cell_effect=effect.transpose("chain", "draw", "cell"))


def _doses(collapsed: CollapsedPanel) -> np.ndarray:
    """Relative dose of each group's units in each cell, shape (cells, groups)."""
    period = collapsed.design.cells.period
    out = np.zeros((period.size, len(collapsed.groups)))
    for j, g in enumerate(collapsed.groups):
        place = np.minimum(np.searchsorted(g.dates, period), g.dates.size - 1)
        out[:, j] = np.where(collapsed.group_in_cell[:, j], g.dose[place], 0.0)
    return out


def moderation_of(fit: DiDFit, level: float) -> Estimates:
    """What :meth:`bayes.did.fit.DiDFit.moderation` does."""
    spec, panel = fit.model, fit.panel
    if not spec.moderators:
        raise SpecificationError("The model has no moderators. Fit StaggeredDiD(..., moderators=[column]).")
    per, mean = (f" and of {spec.dose}", dose_of(panel, spec.dose).mean) if spec.dose is not None else ("", 1.0)
    treated = int((panel.period_codes >= _cohorts(panel)[panel.unit_codes]).sum())
    rows, values = [], []
    for m in spec.moderators:
        centre = moderator_of(panel, m, spec.anticipation)[1]
        note = f"change of the effect per unit of {m}{per}; the effects are those at its mean over treated rows, {centre:.4g}"
        rows.append({"estimand": "moderation", "term": m, "source": fit._source, "n_obs": treated, "note": note})
        values.append(fit.posterior["coefficient"].sel(covariate=product_name(m)).to_numpy().reshape(-1) / mean)
    meta = {"outcome": spec.outcome, "verdict": fit.diagnose().verdict, "passed": fit.diagnose().passed}
    return Estimates.from_draws(rows, np.array(values), level, title="Moderation of the effect", **meta)

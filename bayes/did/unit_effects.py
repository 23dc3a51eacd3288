"""Effects unit by unit: exact draws of each treated unit's own deviation, averages over chosen units, and outcomes without treatment.

Given coefficients and scales the deviations b_i are independent normals, so each is drawn from its own conditional; a group's draws are
then moved to the mean of the group that the fit already holds (both are exact, and so is the result), so that averages over units equal
:meth:`bayes.did.fit.DiDFit.att` draw by draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.did import intensity
from bayes.did.groups import group_of_units
from bayes.did.unit_algebra import prepared
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.inference.sampling import single_threaded_algebra
from bayes.panel import Panel

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit

WHAT = "Effects of single units"
ESTIMANDS = ("att", "att_population", *intensity.AT_DOSE)


@dataclass(frozen=True)
class TreatedRows:
    """Rows in which the model allows an effect (event time ≥ −anticipation), in the order of ``panel.frame``; all of shape (rows,).

    Attributes
    ----------
    row, unit, cell : numpy.ndarray
        Row of the panel, code of its unit, index of its treatment cell.
    post, identified : numpy.ndarray
        Event time ≥ 0; the flat design identifies the cell.
    weight : numpy.ndarray
        The unit's weight (1 without panel weights).
    dose : numpy.ndarray
        Dose in multiples of its mean over treated rows (1 without a dose).
    moderators : numpy.ndarray
        Moderators less their means over treated rows, shape (rows, moderators).
    """

    row: np.ndarray
    unit: np.ndarray
    cell: np.ndarray
    post: np.ndarray
    identified: np.ndarray
    weight: np.ndarray
    dose: np.ndarray
    moderators: np.ndarray

    @classmethod
    def of(cls, fit: DiDFit) -> TreatedRows:
        panel, collapsed, spec = fit.panel, fit._collapsed, fit.model
        cells, n = collapsed.design.cells, panel.n_periods
        cohort = np.where(panel.unit_cohort_codes < n, panel.unit_cohort_codes, np.inf)[panel.unit_codes]
        event = panel.period_codes - cohort
        row = np.flatnonzero(event >= -spec.anticipation)

        def key(region: np.ndarray, cohort: np.ndarray, event: np.ndarray) -> np.ndarray:
            return ((region * n + cohort) * 3 * n + event + n).astype(np.int64)

        known = key(cells.region, cells.cohort, cells.event)
        order = np.argsort(known)
        asked = key(panel.unit_regions[panel.unit_codes[row]], cohort[row], event[row])
        cell = order[np.searchsorted(known, asked, sorter=order)]
        unit = panel.unit_codes[row]
        dose = np.ones(row.size) if spec.dose is None else intensity.dose_of(panel, spec.dose).relative[row]
        moderators = [intensity.moderator_of(panel, m, spec.anticipation)[0][row] for m in spec.moderators]
        return cls(
            row, unit, cell, event[row] >= 0, collapsed.identified_cells[cell], spec.block(panel).weights[unit], dose,
            np.column_stack(moderators) if moderators else np.zeros((row.size, 0)),
        )  # fmt: skip


@dataclass(frozen=True)
class UnitEffects:
    """Draws of all that the effect in a row is made of, in units of the outcome (at the mean dose): cells (draws, cells), deviations of
    units (draws, units), coefficients of moderators (draws, moderators)."""

    rows: TreatedRows
    cells: np.ndarray
    deviations: np.ndarray
    moderation: np.ndarray

    @classmethod
    def of(cls, fit: DiDFit, own: bool = True) -> UnitEffects:
        """``own=False`` leaves the units' deviations out. Raises :class:`UnsupportedModelError` for Student-t errors."""
        intensity.refuse_extensions(fit.model, WHAT, allowed=("dose", "moderators"))
        posterior = fit.posterior
        cells = _flat(posterior["cell_effect"].to_numpy())
        names = [intensity.product_name(m) for m in fit.model.moderators]
        moderation = _flat(posterior["coefficient"].sel(covariate=names).to_numpy()) if names else np.zeros((len(cells), 0))
        deviations = unit_deviations(fit) if own else np.zeros((len(cells), fit.panel.n_units))
        return cls(TreatedRows.of(fit), np.nan_to_num(cells), deviations, moderation)

    def averages(self, weights: np.ndarray, received: bool) -> np.ndarray:
        """Weighted sums of row effects, (terms, draws), for ``weights`` (terms, rows); times the dose ``received``, or at its mean."""
        rows = self.rows
        weights = weights * rows.dose if received else weights
        on_cells, on_units = np.zeros((len(weights), self.cells.shape[1])), np.zeros((len(weights), self.deviations.shape[1]))
        for t, w in enumerate(weights):
            on_cells[t] = np.bincount(rows.cell, w, on_cells.shape[1])
            on_units[t] = np.bincount(rows.unit, w, on_units.shape[1])
        return on_cells @ self.cells.T + on_units @ self.deviations.T + weights @ rows.moderators @ self.moderation.T


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1])


@single_threaded_algebra()
def unit_deviations(fit: DiDFit) -> np.ndarray:
    """Exact draws of b_i of every unit, (draws, units), jointly with the draws of the fit; zero in a model without them.

    Units that are never treated have draws of N(0, σ_b²). The seed is the fit's own.
    """
    n = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
    if not fit._collapsed.unit_columns.treatment:
        return np.zeros((n, fit.panel.n_units))
    algebra, h, mean = prepared(fit, np.arange(n), WHAT)
    f, lower, scale = algebra.factor(h)
    scale_y = fit._collapsed.scales[-1]
    projected = algebra.projections(algebra.rows.outcome / scale_y - mean, f, lower, scale)
    rng = np.random.default_rng([fit.meta["seed"], 6])
    free = algebra.drawn_unit_effects(projected, lower, scale, h, rng)[1] * scale_y
    block = fit.model.block(fit.panel)
    means = [_flat(fit.posterior[name].to_numpy()) for name in ("group_effect", "group_effect_weighted")]
    return with_group_means(free, group_of_units(block, fit._collapsed.groups), block.weights, *means)


def with_group_means(free: np.ndarray, group: np.ndarray, weight: np.ndarray, equal: np.ndarray, weighted: np.ndarray) -> np.ndarray:
    """Independent normals of equal variance within groups, (draws, units), given their means by group, equal and by weight.

    A draw b becomes b + A'(AA')⁻¹(a − Ab), a draw from the distribution given Ab = a; the rows of A here are 1/n and w/Σw.
    """
    out = free.copy()
    order = np.argsort(group, kind="stable")
    for g, members in zip(*_members(group, order), strict=True):
        own = out[:, members]
        own += (equal[:, g] - own.mean(axis=1))[:, None]
        tilt = weight[members] / weight[members].sum() - 1 / members.size
        size = tilt @ tilt
        if size * members.size > 1e-12:  # equal weights make the two means one
            own += ((weighted[:, g] - equal[:, g] - own @ tilt) / size)[:, None] * tilt
        out[:, members] = own
    return out


def _members(group: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    labels, starts = np.unique(group[order], return_index=True)
    return labels, np.split(order, starts[1:])


# ── averages over chosen units ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Averaging:
    """Words of the averages: ``estimand`` of :data:`ESTIMANDS`, ``weights`` "rows" or "panel"."""

    estimand: str
    weights: str

    def __post_init__(self) -> None:
        if self.estimand not in ESTIMANDS:
            raise SpecificationError(f"estimand={self.estimand!r} has no effects of single units. Choose one of {', '.join(ESTIMANDS)}.")
        if self.weights not in ("rows", "panel"):
            raise SpecificationError(f"weights must be 'rows' or 'panel', got {self.weights!r}.")

    def check(self, fit: DiDFit) -> None:
        if self.estimand in intensity.AT_DOSE and fit.model.dose is None:
            raise SpecificationError(f"estimand={self.estimand!r} needs a model with a dose: StaggeredDiD(..., dose=column).")

    @property
    def own(self) -> bool:
        return intensity.AT_DOSE.get(self.estimand, self.estimand) == "att"

    @property
    def received(self) -> bool:
        return self.estimand in intensity.AT_DOSE

    def label(self, fit: DiDFit) -> str:
        return f"{self.estimand}_per_dose" if fit.model.dose is not None and not self.received else self.estimand

    def words(self, fit: DiDFit) -> str:
        found = [f"weights: {'treated rows' if self.weights == 'rows' else 'panel weights'}"]
        if fit.model.moderators:
            found.append("at the units' own values of the moderators")
        if fit.model.dose is not None:
            found.append(f"at the doses received ({fit.model.dose})" if self.received else f"per unit of {fit.model.dose}")
        return "; ".join(found)


def averages_over(fit: DiDFit, members: Sequence[np.ndarray], how: Averaging) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Average effect over the treated rows (event time ≥ 0) of each set of units.

    ``members`` are masks (units,). Returns draws (sets, draws), NaN where no cell is identified, and for each set the columns
    ``identified``, ``n_obs`` and ``note``.
    """
    how.check(fit)
    effects = UnitEffects.of(fit, how.own)
    rows = effects.rows
    row_weight = rows.post * (rows.weight if how.weights == "panel" else 1.0)
    asked = np.stack([row_weight * m[rows.unit] for m in members])
    total, usable = asked.sum(axis=1), (asked * rows.identified).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        weights = asked * rows.identified / usable[:, None]
    values = effects.averages(np.nan_to_num(weights), how.received)
    values[usable == 0] = np.nan
    if fit.model.dose is not None and not how.received:
        values /= intensity.dose_of(fit.panel, fit.model.dose).mean
    facts = []
    for k in range(len(asked)):
        share = usable[k] / total[k] if total[k] > 0 else 0.0
        note = "no treated unit" if total[k] == 0 else "not identified: no untreated comparison for these cells" if share == 0 else ""
        note = f"over identified cells only ({share:.0%} of the weight)" if 0 < share < 1 - 1e-12 else note
        words = "; ".join(filter(None, [how.words(fit), note]))
        facts.append({"identified": bool(share > 1 - 1e-12), "n_obs": int((asked[k] > 0).sum()), "note": words})
    return values, facts


def treated_units(fit: DiDFit) -> np.ndarray:
    """True for each unit with a treated row (event time ≥ 0)."""
    rows = TreatedRows.of(fit)
    return np.bincount(rows.unit[rows.post], minlength=fit.panel.n_units) > 0


# ── one unit without treatment ──────────────────────────────────────────────────────────────────────────────────────


def counterfactual_of(fit: DiDFit, unit: Any, level: float) -> Estimates:
    """What :meth:`Heterogeneity.counterfactual` does."""
    panel = fit.panel
    asked = unit if isinstance(unit, list | tuple | np.ndarray | pd.Index) else [unit]
    codes = [_unit_code(panel, one) for one in asked]
    never = [panel.units[u] for u in codes if not panel.unit_cohort_codes[u] < panel.n_periods]
    if never or not codes:
        raise SpecificationError(
            f"{panel.unit} {never[0]!r} is never treated within the panel: without treatment it is what was observed."
            if never
            else "counterfactual needs at least one unit."
        )
    effects = UnitEffects.of(fit)
    rows, treated = effects.rows, {int(r): k for k, r in enumerate(effects.rows.row)}
    outcome, calendar = panel.column(fit.model.outcome), panel.frame[panel.time].to_numpy()
    table, draws = [], []
    zero = np.zeros(len(effects.cells))
    for row in (r for u in codes for r in np.flatnonzero(panel.unit_codes == u)):
        u, k = panel.unit_codes[row], treated.get(int(row))
        effect, note = zero, "before treatment"
        if k is not None:
            known = bool(rows.identified[k])
            effect = effects.averages((np.arange(rows.row.size) == k)[None].astype(float), True)[0] if known else zero + np.nan
            note = "" if known else "not identified: no untreated comparison for this cell"
        label = {
            "term": "unit", "unit": str(panel.units[u]), "region": panel.regions[panel.unit_regions[u]], "period": float(calendar[row]),
            "event_time": float(panel.period_codes[row] - panel.unit_cohort_codes[u]), "cohort": float(panel.unit_first_treated[u]),
            "n_obs": 1, "source": fit._source, "identified": "not" not in note,
        }  # fmt: skip
        parts = [("observed", zero + outcome[row], ""), ("counterfactual", outcome[row] - effect, note)]
        for estimand, values, words in parts + ([("effect", effect, note)] if k is not None else []):
            table.append({**label, "estimand": estimand, "note": words, "identified": estimand == "observed" or label["identified"]})
            draws.append(values)
    out = Estimates.from_draws(table, np.array(draws), level, title=f"{fit.model.outcome} without treatment", **meta_of(fit))
    observed, effect = out.frame.estimand == "observed", out.frame.estimand == "effect"
    out.frame.loc[observed, ["se", "lower", "upper", "level"]] = np.nan
    out.frame.loc[observed, "interval"] = ""
    out.frame.loc[~effect, "prob_positive"] = np.nan
    return out


def _unit_code(panel: Panel, label: Any) -> int:
    found = np.flatnonzero(panel.units == label)
    found = found if found.size else np.flatnonzero(panel.units.astype(str) == str(label))
    if found.size != 1:
        raise SpecificationError(
            f"The panel has no {panel.unit} {label!r}. It has {panel.n_units}: {', '.join(map(str, panel.units[:5]))}"
            f"{' …' if panel.n_units > 5 else ''}."
        )
    return int(found[0])


def meta_of(fit: DiDFit) -> dict[str, Any]:
    """What a table of this fit carries."""
    return {"outcome": fit.model.outcome, "verdict": fit.diagnose().verdict, "passed": fit.diagnose().passed, "seed": fit.meta["seed"]}

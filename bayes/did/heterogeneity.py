"""How effects differ: between regions, along a covariate, from unit to unit; and how much of it lies where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.arguments import checked_methods
from bayes.did import unit_effects as units
from bayes.did import unit_groups
from bayes.did.likelihood import component_names
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.panel import Panel
from bayes.ranking import Ranks, differences, rank_draws, ranks_of

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit
    from bayes.did.state import CollapsedPanel

_COMPONENTS = {"event": "event", "region": "region", "cohort": "cohort", "region:event": "region_event", "cell": "cell"}
"""Words of ``pooling`` and names in the posterior."""


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class Heterogeneity:
    """Differences between effects in one fit: ``fit.heterogeneity``. The region × event surface itself is ``fit.att("region:event")``."""

    fit: DiDFit

    def __repr__(self) -> str:
        methods = ("variance_components", "region_contrasts", "region_ranks", "effect_by", "unit_effects", "counterfactual")
        return f"Heterogeneity of effects on {self.fit.model.outcome}: {', '.join(f'.{m}()' for m in methods)}"

    def variance_components(self, level: float = 0.95) -> Estimates:
        """Scale of each component of the effects and the share of the effects' variance it stands for, posterior and prior.

        Estimand ``effect_sd``: the standard deviation in the model (for ``event`` and ``region:event`` the step of a random walk per
        period). Estimand ``variance_share``: what the component adds, in expectation given the scales, to the variance of effects over
        treated rows (event time ≥ 0), as a share of all components. ``unit`` is the deviation b_i of units within cells. The common level
        and drift, whose priors have fixed scales, are in no share.

        Returns
        -------
        Estimates
            ``term`` names the component (words of ``pooling``, and ``unit``), ``source`` tells the posterior from the ``prior``; draws
            beside. In units of the outcome (with a dose, at its mean). A component with nothing to tell apart is NaN.

        Raises
        ------
        SpecificationError
            The model has no such component (``pooling="none"`` or ``"complete"`` and ``unit_effects="fixed"``).

        References
        ----------
        Gelman (2005), Annals of Statistics 33(1), on components instead of tests.
        """
        return variance_components_of(self.fit, level)

    def region_contrasts(
        self, level: float = 0.95, estimand: str = "att", weights: str | None = None, extrapolate: bool = False
    ) -> Estimates:
        """Differences of the effect between regions: ``term`` less ``term_to``, one row a pair; ``prob_positive`` is P(A > B).

        Words as in :meth:`bayes.did.fit.DiDFit.att`; draws are joint. A region without treated units, or whose effect is not identified
        (all its units treated, and period effects of its own), makes its contrasts NaN unless ``extrapolate``.
        Raises :class:`SpecificationError` when the panel has one region.
        """
        by_region = _by_region(self.fit, level, estimand, weights, extrapolate)
        return differences(by_region, "region", level, f"Differences of {by_region.frame.estimand.iloc[0]} between regions")

    def region_ranks(self, level: float = 0.95, estimand: str = "att", weights: str | None = None, extrapolate: bool = False) -> Ranks:
        """Ranks of regions by their effect in each draw, 1 the largest: mean rank, P(first), and ``.probability`` = P(rank = k).

        Words and errors as for :meth:`region_contrasts`; regions without an identified effect have no rank and take no place.
        """
        by_region = _by_region(self.fit, level, estimand, weights, extrapolate)
        draws = rank_draws(by_region.draws)
        ranked = int(np.isfinite(draws).all(axis=1).sum())
        frame = by_region.frame[["term", "region", "source", "n_obs", "identified", "note"]].assign(estimand="rank")
        frame["note"] = [f"1 = largest effect of {ranked} regions; {note}" for note in frame.note]
        rows = frame.to_dict("records")
        return ranks_of(Estimates.from_draws(rows, draws, level, title="Rank of the effect by region", **by_region.meta), "region")

    def unit_effects(self, estimand: str = "att", level: float = 0.95) -> Estimates:
        """Average effect in each treated unit over its treated rows: its cells and its own deviation b_i, drawn jointly with the fit.

        ``estimand`` is ``att`` or ``att_population`` (without b_i), or ``att_at_dose``, ``att_population_at_dose`` in a model with dose.
        With moderators the effect is that at the unit's own values. Averages of these draws over units, by treated rows, are those of
        :meth:`bayes.did.fit.DiDFit.att` in every draw (of a model without moderators).
        """
        fit, how = self.fit, units.Averaging(estimand, "rows")
        chosen = np.flatnonzero(units.treated_units(fit))
        members = [np.arange(fit.panel.n_units) == u for u in chosen]
        draws, facts = units.averages_over(fit, members, how)
        panel, common = fit.panel, {"estimand": how.label(fit), "term": "unit", "source": fit._source}
        rows = [
            {**common, "unit": str(panel.units[u]), "region": panel.regions[panel.unit_regions[u]],
             "cohort": float(panel.unit_first_treated[u]), **fact}
            for u, fact in zip(chosen, facts, strict=True)
        ]  # fmt: skip
        return Estimates.from_draws(rows, draws, level, title=f"{how.label(fit)} by unit", **units.meta_of(fit))

    def effect_by(
        self, column: str, groups: int | Sequence[float] = 3, estimand: str = "att", level: float = 0.95, weights: str | None = None,
        panel: Panel | None = None,
    ) -> Estimates:  # fmt: skip
        """Average effect over treated units grouped by what they were before treatment, for example by city size.

        Units are sorted by the mean of ``column`` over their rows before (anticipated) treatment. Assumes nothing about the shape of the
        relation; but groups also differ in region, cohort and whatever goes with the column, so that it describes, and does not explain.

        Parameters
        ----------
        column : str
            A numeric column of the panel.
        groups : int or sequence of numbers
            Number of groups with equally many treated units each, or the cut points between groups (a value at a cut belongs below).
        estimand, level
            As in :meth:`unit_effects`.
        weights : str, optional
            As in :meth:`bayes.did.fit.DiDFit.att`.
        panel : Panel, optional
            The panel that was fitted, for columns that the fit does not keep.

        Returns
        -------
        Estimates
            A row a group (``term`` names it, ``note`` counts its units), then the differences between groups (estimand with
            ``_difference``, ``term`` less ``term_to``). Groups without treated units are NaN.

        Raises
        ------
        SpecificationError, MissingColumnError, MissingValueError
            Groups that the values cannot form; a column that is not there, or not finite before treatment.
        """
        return unit_groups.effect_by_of(self.fit, column, groups, estimand, level, weights, panel)

    def counterfactual(self, unit: Any, level: float = 0.95) -> Estimates:
        """What treated units would have been without treatment: the observed outcome less the effect in that row, by draw.

        y_it(0) = y_it − (τ_c + b_i) (times the dose, plus moderation). Everything else of the row is kept as it was, its error included,
        so the interval is that of the effect; before (anticipated) treatment nothing is taken off.

        Parameters
        ----------
        unit : label or list of labels
            Units that are treated within the panel.

        Returns
        -------
        Estimates
            For each unit and period: estimands ``observed`` (no interval), ``counterfactual`` and, from (anticipated) treatment on,
            ``effect``; draws (rows, draws). NaN where the cell is not identified. Drawn by :func:`bayes.plots.counterfactual`.

        Raises
        ------
        SpecificationError
            A unit that does not exist, or is never treated.
        """
        return units.counterfactual_of(self.fit, unit, level)


# ── regions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _by_region(fit: DiDFit, level: float, estimand: str, weights: str | None, extrapolate: bool) -> Estimates:
    if fit.panel.regions.size == 1:
        raise SpecificationError(
            f"The panel has one region ({fit.panel.regions[0]!r}): there is nothing to compare. Give region= to Panel.from_frame."
        )
    return fit.att("region", estimand, level, weights=weights, extrapolate=extrapolate)


# ── variance components ─────────────────────────────────────────────────────────────────────────────────────────────


def variance_components_of(fit: DiDFit, level: float) -> Estimates:
    """What :meth:`Heterogeneity.variance_components` does."""
    collapsed = fit._collapsed
    spread = effect_spread(collapsed)
    asked = [_COMPONENTS[c] for c in fit.model.components if c != "level"] + (["unit"] if collapsed.unit_columns.treatment else [])
    if not asked:
        raise SpecificationError(
            f"pooling={fit.model.pooling!r} and unit_effects={fit.model.unit_effects!r} leave no variance component to report."
        )
    n = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
    rows, draws = [], []
    words = {v: k for k, v in _COMPONENTS.items()}
    for source, dataset in ((fit._source, fit.posterior), ("prior", fit.tree["prior"].to_dataset())):
        sds = {c: _resized(dataset[_parameter(c)].to_numpy(), n) if c in spread else np.full(n, np.nan) for c in asked}
        variance = {c: sds[c] ** 2 * spread.get(c, np.nan) for c in asked}
        total = sum(np.nan_to_num(v) for v in variance.values())
        for estimand, values in (("effect_sd", sds), ("variance_share", {c: v / total for c, v in variance.items()})):
            for c in asked:
                note = "" if c in spread else "nothing to tell apart: one region, cohort, event time or cell"
                note = "step of a random walk per period" if c in spread and "event" in c and estimand == "effect_sd" else note
                row = {"estimand": estimand, "term": words.get(c, c), "source": source, "identified": c in spread, "note": note}
                rows.append(row)
                draws.append(values[c])
    out = Estimates.from_draws(rows, np.array(draws), level, title="Components of the variance of effects", **units.meta_of(fit))
    out.frame["prob_positive"] = np.nan
    return out


def _parameter(component: str) -> str:
    return "unit_effect_sd" if component == "unit" else f"{component}_sd"


def _resized(values: np.ndarray, n: int) -> np.ndarray:
    """``n`` draws out of many, evenly spaced, or over again where there are fewer."""
    flat = values.reshape(-1)
    return flat[np.linspace(0, flat.size - 1, n).round().astype(int)] if flat.size >= n else np.resize(flat, n)


def effect_spread(collapsed: CollapsedPanel) -> dict[str, float]:
    """Expected variance over treated rows (event time ≥ 0) of each component with a standard deviation of one.

    For columns B of the cells' basis and shares w of the rows Σ_j (Σ_c w_c B_cj² − (Σ_c w_c B_cj)²); for units 1 − Σ_i v_i².
    """
    cells, basis = collapsed.design.cells, collapsed.basis
    share = np.where(cells.event >= 0, cells.rows, 0) / cells.rows[cells.event >= 0].sum()
    out = {}
    if basis is not None:
        column = share @ basis.matrix**2 - (share @ basis.matrix) ** 2
        names = [c for c in component_names(basis) if c not in ("level", "drift")]
        out = {c: float(column[basis.component == c].sum()) for c in names}
    if collapsed.unit_columns.treatment:
        rows = np.array([(g.dates >= g.cohort).sum() for g in collapsed.groups], dtype=float)
        n = np.array([g.n for g in collapsed.groups])
        out["unit"] = float(1 - (n @ rows**2) / (n @ rows) ** 2)
    return out

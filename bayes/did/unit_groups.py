"""Effects by groups of treated units that a covariate forms before treatment."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bayes.did import unit_effects as units
from bayes.did.variants import _wider
from bayes.errors import MissingValueError, SpecificationError
from bayes.estimates import Estimates
from bayes.panel import Panel
from bayes.ranking import differences
from bayes.validation import as_numbers, places, require_columns

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit


def effect_by_of(
    fit: DiDFit, column: str, groups: int | Sequence[float], estimand: str, level: float, weights: str | None, panel: Panel | None
) -> Estimates:
    """What :meth:`Heterogeneity.effect_by` does."""
    how = units.Averaging(estimand, weights or ("panel" if fit.panel.weights is not None else "rows"))
    how.check(fit)
    treated = units.treated_units(fit)
    before = means_before_treatment(_wider(fit, panel), column, treated, fit.model.anticipation)
    cuts = cut_points(before[treated], groups, column)
    group = np.searchsorted(cuts, before, side="left")
    members = [treated & (group == g) for g in range(cuts.size + 1)]
    draws, facts = units.averages_over(fit, members, how)
    common = {"estimand": how.label(fit), "source": fit._source}
    rows = []
    for name, inside, fact in zip(_group_names(column, cuts), members, facts, strict=True):
        n = int(inside.sum())
        note = "; ".join([f"{n} treated unit{'s' if n != 1 else ''}", fact["note"]]) if n else fact["note"]
        rows.append({**common, "term": name, **fact, "note": note})
    title = f"{how.label(fit)} by {column} before treatment"
    out = Estimates.from_draws(rows, draws, level, title=title, cut_points=cuts.tolist(), **units.meta_of(fit))
    return out + differences(out, "term", level)


def means_before_treatment(panel: Panel, column: str, units_asked: np.ndarray, anticipation: int = 0) -> np.ndarray:
    """Mean of a column over each asked unit's rows before (anticipated) treatment, (units,), NaN for the others.

    Raises :class:`MissingColumnError`, :class:`MissingValueError` for such rows without a finite value, and units without such rows.
    """
    require_columns(panel.frame, {"column": column})
    values = as_numbers(panel.frame, column, panel.unit, panel.time)
    before = (panel.period_codes < panel.unit_cohort_codes[panel.unit_codes] - anticipation) & units_asked[panel.unit_codes]
    bad = before & ~np.isfinite(values)
    if bad.any():
        raise MissingValueError(
            f"Column {column!r} is missing or infinite in {int(bad.sum())} rows before treatment: "
            f"{places(panel.frame, bad, panel.unit, panel.time)}. Fill it, or fit without these units."
        )
    n = np.bincount(panel.unit_codes, before, panel.n_units)
    if (empty := units_asked & (n == 0)).any():
        raise MissingValueError(
            f"{panel.unit} {panel.units[empty][0]!r} has no row before (anticipated) treatment to take {column!r} from."
        )
    total = np.bincount(panel.unit_codes, np.where(before, np.nan_to_num(values), 0.0), panel.n_units)
    return np.where(units_asked, total / np.maximum(n, 1), np.nan)


def cut_points(values: np.ndarray, groups: int | Sequence[float], column: str) -> np.ndarray:
    """Cuts between groups: as given, or halfway between neighbouring units so that groups are equally large.

    Raises :class:`SpecificationError` for cuts that do not increase, and more groups than distinct values.
    """
    if isinstance(groups, int | np.integer) and not isinstance(groups, bool):
        ordered = np.sort(values)
        places_between = np.round(np.arange(1, groups) * ordered.size / max(groups, 1)).astype(int)
        if groups < 2 or groups > ordered.size or (ordered[places_between] == ordered[places_between - 1]).any():
            raise SpecificationError(
                f"groups={groups!r} of {column!r} cannot be formed from {ordered.size} treated units with {np.unique(ordered).size} "
                "distinct values before treatment, equally many units each. Choose fewer groups (at least 2), or give cut points."
            )
        return (ordered[places_between] + ordered[places_between - 1]) / 2
    cuts = np.asarray(groups, dtype=float) if isinstance(groups, Sequence | np.ndarray) and not isinstance(groups, str) else np.empty(0)
    if cuts.ndim != 1 or not cuts.size or not np.isfinite(cuts).all() or (np.diff(cuts) <= 0).any():
        raise SpecificationError(f"groups must be a number of groups or increasing cut points of {column!r}, got {groups!r}.")
    return cuts


def _group_names(column: str, cuts: np.ndarray) -> list[str]:
    words = [f"{c:,.0f}" if abs(c) >= 1e4 else f"{c:.4g}" for c in cuts]
    inner = [f"{a} < {column} ≤ {b}" for a, b in pairwise(words)]
    return [f"{column} ≤ {words[0]}", *inner, f"{column} > {words[-1]}"]

"""Does a covariate move with the treatment? Two-way within regression of the covariate on it, clustered by unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bayes.errors import AffectedCovariateWarning, warn_user
from bayes.panel import Panel

THRESHOLD = 2.0
"""|t| from which on a covariate counts as affected."""


def treatment_t(panel: Panel, column: str, anticipation: int = 0) -> float:
    """t of the treatment in a regression of ``column`` on unit effects, period effects and the treatment indicator, clustered by unit.

    NaN where the column or the treatment is absorbed by the effects.
    """
    unit, period = panel.unit_codes, panel.period_codes
    treated = (period >= panel.unit_cohort_codes[unit] - anticipation).astype(float)
    values = np.column_stack([treated, panel.column(column)])
    dummies = (period[:, None] == np.unique(period)[1:]).astype(float)
    swept, dummies = _without_unit_means(values, unit), _without_unit_means(dummies, unit)
    swept = swept - dummies @ np.linalg.lstsq(dummies, swept, rcond=None)[0]
    d, x = swept.T
    size = d @ d
    if size < 1e-9 * max(treated.sum(), 1) or x @ x < 1e-18 * max(values[:, 1] @ values[:, 1], np.finfo(float).tiny):
        return np.nan
    slope = d @ x / size
    scores = np.bincount(unit, d * (x - d * slope))
    n = panel.n_units
    return float(slope * size / np.sqrt(n / (n - 1) * scores @ scores))


def warn_of_affected_covariates(panel: Panel, covariates: Sequence[str], anticipation: int = 0) -> None:
    """Name the covariates whose |t| exceeds :data:`THRESHOLD` in an :class:`AffectedCovariateWarning`.

    Columns that are zero in all treated or in all other rows are made from the treatment (exposure to that of neighbours) and left alone.
    """
    treated = panel.period_codes >= panel.unit_cohort_codes[panel.unit_codes]
    own = [c for c in covariates if all(panel.column(c)[rows].any() for rows in (treated, ~treated))]
    warn_of_moved({c: treatment_t(panel, c, anticipation) for c in own})


def warn_of_moved(found: Mapping[str, float]) -> None:
    """The warning of :func:`warn_of_affected_covariates` from the t of each covariate."""
    moved = [f"{c!r} (t = {t:.1f})" for c, t in found.items() if abs(t) > THRESHOLD]
    if moved:
        warn_user(
            f"Covariates move with the treatment: {', '.join(moved)}, within units and periods, clustered by unit. If the treatment moves "
            "them, holding them fixed removes that part of its effect: leave them out, or make them mediators (bayes.Mediation).",
            AffectedCovariateWarning,
        )


def _without_unit_means(x: np.ndarray, unit: np.ndarray) -> np.ndarray:
    n = unit[-1] + 1
    means = np.column_stack([np.bincount(unit, column, n) for column in x.T]) / np.bincount(unit, minlength=n)[:, None]
    return x - means[unit]

"""Exposure to the treatment of neighbours: columns of the panel, and the spillover effects that a fit finds for them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bayes.arguments import checked
from bayes.did.spatial import Neighbours, spatial_weights
from bayes.errors import NoVariationError, SpecificationError
from bayes.estimates import Estimates
from bayes.panel import Panel

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit

STATES = ("untreated", "treated")


@checked
def neighbour_exposure(
    panel: Panel, neighbours: Neighbours, name: str = "neighbour_exposure", *, levels: Sequence[float] = (), by_region: bool = False,
    row_standardised: bool = True, outside: str = "refuse",
) -> Panel:  # fmt: skip
    """Add how much of each unit's neighbourhood is treated, as columns that enter a model as covariates.

    E_it = Σ_j w_ij D_jt with D_jt = 1 from unit j's first treated period on: the share of treated neighbours, if rows are standardised.
    ``<name>_untreated`` is E_it in rows that are not treated yet and 0 elsewhere, ``<name>_treated`` the same for treated rows: the
    coefficient of the first is what a neighbour's treatment does to an untreated unit (a spillover, or a siphon where it is negative), that
    of the second what it adds to the effect on a treated one. With them the effects of ``att`` are those without treated neighbours, and
    rows far from any treatment carry the comparison.

    Recipe: ``exposed = neighbour_exposure(panel, neighbours)``; ``fit = StaggeredDiD(outcome,
    covariates=exposure_columns(exposed)).fit(exposed)``; ``spillover(fit)``.

    Assumes that spillovers reach neighbours by these weights only and from the first treated period on.

    Parameters
    ----------
    panel : Panel
        With treatment timing. Neighbours count by their dates also in periods in which they have no row.
    neighbours : mapping or pandas.DataFrame
        See :func:`bayes.did.spatial.spatial_weights`.
    name : str
        Head of the new columns' names.
    levels : sequence of numbers, optional
        Cut points: instead of one column linear in E, one 0/1 column for each of (0, a], (a, b], …, (last, ∞).
    by_region : bool
        Columns of each region of their own, ``<name>_untreated:<region>``.
    row_standardised : bool
        Weights sum to one over a unit's neighbours.
    outside : "refuse" or "leave-out"
        What to do with neighbours that are not in the panel.

    Returns
    -------
    Panel
        With the new columns. Columns that are zero everywhere (nobody exposed) are not added.

    Raises
    ------
    SpecificationError
        No timing, unusable weights or cut points.
    NoVariationError
        No row is exposed.

    Warns
    -----
    SpatialWarning
        Units without neighbours, neighbours left out.

    References
    ----------
    Clarke (2017), MPRA 81475; Butts (2021), arXiv:2105.03737.
    """
    if panel.first_treated is None:
        raise SpecificationError("The panel has no treatment timing. Give first_treated= or treated= to Panel.from_frame.")
    cuts = np.asarray(levels, dtype=float)
    if cuts.ndim != 1 or (cuts.size and (not np.isfinite(cuts).all() or cuts[0] <= 0 or (np.diff(cuts) <= 0).any())):
        raise SpecificationError(f"levels must be increasing positive numbers, got {levels!r}.")
    share = _share(panel, spatial_weights(panel.units.tolist(), neighbours, row_standardised, outside))
    treated = panel.period_codes >= panel.unit_cohort_codes[panel.unit_codes]
    region = panel.unit_regions[panel.unit_codes]
    columns = {}
    for state, rows in zip(STATES, (~treated, treated), strict=True):
        for label, value in _in_levels(share, cuts):
            for code, suffix in enumerate(f":{r}" for r in panel.regions) if by_region else [(None, "")]:
                here = rows if code is None else rows & (region == code)
                columns[f"{name}_{state}{label}{suffix}"] = np.where(here, value, 0.0)
    columns = {k: v for k, v in columns.items() if v.any()}
    if not columns:
        raise NoVariationError("No unit has a treated neighbour in any period: there is no exposure. Check the names in the weights.")
    taken = sorted(set(columns) & set(panel.frame.columns))
    if taken:
        raise SpecificationError(f"The panel has columns {taken} already. Give another name=.")
    return panel.assign(**columns)


@checked
def exposure_columns(panel: Panel, name: str = "neighbour_exposure") -> list[str]:
    """Names of the columns that :func:`neighbour_exposure` added, to be used as covariates."""
    heads = tuple(f"{name}_{state}" for state in STATES)
    return [c for c in panel.frame.columns if isinstance(c, str) and c.startswith(heads)]


def _share(panel: Panel, weights) -> np.ndarray:
    """E of every row."""
    on = np.arange(panel.n_periods) >= panel.unit_cohort_codes[:, None]
    return (weights @ on.astype(float))[panel.unit_codes, panel.period_codes]


def _in_levels(share: np.ndarray, cuts: np.ndarray) -> list[tuple[str, np.ndarray]]:
    if not cuts.size:
        return [("", share)]
    edges = [0.0, *cuts.tolist(), np.inf]
    return [(f"({a:g},{b:g}]" if np.isfinite(b) else f"(>{a:g})", ((share > a) & (share <= b)).astype(float)) for a, b in pairwise(edges)]


@checked
def spillover(fit: DiDFit, name: str = "neighbour_exposure", level: float = 0.95) -> Estimates:
    """Effects of neighbours' treatment from a fit that has the columns of :func:`neighbour_exposure` among its covariates.

    Parameters
    ----------
    fit : DiDFit
    name : str
        Head of the columns' names, as given to :func:`neighbour_exposure`.
    level : float
        Probability of the equal-tailed interval.

    Returns
    -------
    Estimates
        With draws. ``spillover``: the average over exposed rows, coefficient × mean exposure; ``spillover_per_exposure``: the coefficient,
        at an exposure of one (all neighbours treated). ``term`` is ``untreated`` or ``treated`` (with its level), ``region`` where asked.

    Raises
    ------
    SpecificationError
        The model has no such covariate.
    """
    columns = [c for c in exposure_columns(fit.panel, name) if c in fit.model.covariates]
    if not columns:
        raise SpecificationError(
            f"The model has no covariate called {name}_untreated or {name}_treated. Add them by neighbour_exposure(panel, neighbours), "
            "fit with covariates=bayes.exposure_columns(panel)."
        )
    exposed = [x[x != 0] for x in map(fit.panel.column, columns)]
    draws = np.array([fit.posterior["coefficient"].sel(covariate=c).to_numpy().reshape(-1) for c in columns])
    mean = np.array([x.mean() for x in exposed])
    rows = []
    for estimand, words in (("spillover", "average over exposed rows"), ("spillover_per_exposure", "at an exposure of one")):
        for column, x in zip(columns, exposed, strict=True):
            head, _, region = column.removeprefix(f"{name}_").partition(":")
            note = f"{words}; mean exposure {x.mean():.3g} in {x.size} exposed rows"
            rows.append({"estimand": estimand, "term": head, "region": region, "source": fit._source, "n_obs": x.size, "note": note})
    meta = {"outcome": fit.model.outcome, "verdict": fit.diagnose().verdict, "passed": fit.diagnose().passed}
    return Estimates.from_draws(rows, np.vstack([draws * mean[:, None], draws]), level, title="Effects of neighbours' treatment", **meta)

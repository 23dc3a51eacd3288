"""Scores of observations against the technologies of their own and of their neighbours' periods: what productivity indices are made of.

A score is larger the better, 1 on the frontier (of the slack-based measure: 1 without slacks) and above 1 outside the technology:
1/φ or θ of the radial measures, 1/(1 + β) of the directional one, ρ of Tone (2001, 2003) and, outside, his super-efficiency δ (2002).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayes.measure._dea import NOTHING, movement
from bayes.measure._linear_programs import Status
from bayes.measure._quantities import Production
from bayes.measure._technologies import Quantities, Returns, Scores, Technology, directional, slack_based, slack_based_super
from bayes.progress import counted

_LABEL = "Distances, technology"
UNDEFINED = len(Status)
"""Status of a score that does not exist because the point is so far outside that 1 + β is not positive."""


@dataclass(frozen=True, eq=False)
class Measure:
    """How a distance is measured: the options of :func:`bayes.measure.malmquist` that concern one distance."""

    model: str = "radial"
    orientation: str = "output"
    weak: bool = False
    direction: Mapping[str, float | str] | None = None
    backend: str = "auto"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Consecutive observations of a unit, gaps included. Arrays (n_pairs,).

    Attributes
    ----------
    first, second : rows of the earlier and of the later observation
    steps : periods of the grid between them, 1 without a gap
    """

    first: np.ndarray
    second: np.ndarray
    steps: np.ndarray

    def __len__(self) -> int:
        return self.first.size


@dataclass(frozen=True, eq=False)
class Distances:
    """Scores under one assumption on returns, with the status of each program.

    Attributes
    ----------
    own : array (n_rows,), against the technology of the own period (or of all periods)
    ahead : array (n_pairs,), the later observation against the technology of the earlier period; None for a common technology
    behind : array (n_pairs,), the earlier observation against the technology of the later period; None likewise
    own_status, ahead_status, behind_status : integer arrays of the same shapes
    """

    own: np.ndarray
    own_status: np.ndarray
    ahead: np.ndarray | None = None
    ahead_status: np.ndarray | None = None
    behind: np.ndarray | None = None
    behind_status: np.ndarray | None = None


def consecutive_pairs(production: Production) -> Pairs:
    """Pairs of each unit's neighbouring rows."""
    unit = production.panel.unit_codes
    first = np.flatnonzero(unit[1:] == unit[:-1])
    return Pairs(first, first + 1, production.period[first + 1] - production.period[first])


def own_scores(
    production: Production, measure: Measure, returns: Returns, reference: str = "contemporaneous", spanning: Quantities | None = None,
    progress: bool = False,
) -> Distances:  # fmt: skip
    """Every row against the technology of its period, or against that of all periods (``reference="global"``).

    ``spanning`` holds the quantities that technologies are spanned from, row by row; by default the evaluated ones.
    """
    spanning = production.quantities if spanning is None else spanning
    score, status = _empty(len(production.quantities))
    sets = list(production.by_period(reference))
    for rows, span in counted(sets, len(sets), _LABEL, progress):
        found = scores(production, rows, Technology(spanning.only(span), returns, measure.weak), measure)
        score[rows], status[rows] = found.value, found.status
    return Distances(score, status)


def crossed_scores(
    production: Production, pairs: Pairs, measure: Measure, returns: Returns, reference: str = "contemporaneous",
    spanning: Quantities | None = None, progress: bool = False,
) -> Distances:  # fmt: skip
    """Own scores and both crossed ones of each pair, in one block of programs a technology: each starts from the last one's optimum."""
    spanning = production.quantities if spanning is None else spanning
    own, own_status = _empty(len(production.quantities))
    (ahead, ahead_status), (behind, behind_status) = _empty(len(pairs)), _empty(len(pairs))
    for period in counted(production.periods, production.periods.size, _LABEL, progress):
        rows = production.rows_of(period)
        later = np.flatnonzero(production.period[pairs.first] == period)
        earlier = np.flatnonzero(production.period[pairs.second] == period)
        technology = Technology(spanning.only(production.reference_rows(period, reference)), returns, measure.weak)
        found = scores(production, np.r_[rows, pairs.second[later], pairs.first[earlier]], technology, measure)
        ends = np.cumsum([rows.size, later.size])
        own[rows], ahead[later], behind[earlier] = np.split(found.value, ends)
        own_status[rows], ahead_status[later], behind_status[earlier] = np.split(found.status, ends)
    return Distances(own, own_status, ahead, ahead_status, behind, behind_status)


def scores(production: Production, rows: np.ndarray, technology: Technology, measure: Measure) -> Scores:
    """Scores of some rows of a panel against one technology, NaN where there is none. Each row moves in its own direction."""
    evaluated = production.quantities.only(rows)
    if measure.model == "sbm":
        return _slack_based(technology, evaluated, measure)
    found = directional(technology, evaluated, movement(production, rows, measure.model, measure.orientation, measure.direction),
                        backend=measure.backend)  # fmt: skip
    contracts = measure.model == "radial" and measure.orientation == "input"
    base = 1 - found.value if contracts else 1 + found.value
    undefined = base <= NOTHING
    base = np.where(undefined, np.nan, base)
    return Scores(base if contracts else 1 / base, np.where(undefined, UNDEFINED, found.status))


def _slack_based(technology: Technology, evaluated: Quantities, measure: Measure) -> Scores:
    """ρ of points that the reference reaches, δ of the others: the slack-based program has no solution exactly outside the technology."""
    inside = slack_based(technology, evaluated, measure.orientation, backend=measure.backend)
    outside = np.flatnonzero(inside.status == Status.INFEASIBLE)
    if not outside.size:
        return inside
    beyond = slack_based_super(technology, evaluated.only(outside), measure.orientation, backend=measure.backend)
    value, status = inside.value.copy(), inside.status.copy()
    value[outside], status[outside] = beyond.value, beyond.status
    return Scores(value, status)


def _empty(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(n, np.nan), np.full(n, Status.FAILED, dtype=int)

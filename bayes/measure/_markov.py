"""Transitions of units between classes of a quantity: Dirichlet rows, long-run distribution, mobility."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import NotPositiveError, NoVariationError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._chains import count_transitions, dirichlet_rows, frequencies, half_life, shorrocks, stationary
from bayes.measure._rows import Rows
from bayes.measure._values import Values, values_of
from bayes.panel import Panel
from bayes.validation import one_of, whole_number

CONVENTION = "transition: from class term to class term_to, class 1 is the lowest; mobility 0: nobody moves"


@checked
def markov_transitions(
    panel: Panel, values: str | Estimates, classes: int | Sequence[float] = 5, relative: str = "period", by: str = "all", steps: int = 1,
    prior: float | None = None, draws: int = 2000, seed: int = 0, level: float = 0.95,
) -> Estimates:  # fmt: skip
    """Probabilities of moving from one class to another, and the distribution that they lead to.

    Moves are counted between periods of the calendar grid that lie ``steps`` grid periods apart; where a unit is not observed at the end of
    such a span the move is not counted, and the notes say how often. For ``steps`` > 1 spans overlap. Rows of the matrix have a
    Dirichlet(prior, …, prior) prior and, given moves n_ij, independent Dirichlet(n_i· + prior) posteriors (Lee, Judge & Zellner 1968,
    Journal of the American Statistical Association 63). Moves count as independent given the class: intervals are too short where
    neighbouring units move together. Quah (1993), European Economic Review 37, for the use on incomes of regions.

    Parameters
    ----------
    values : column, or Estimates by unit and period; with draws, classes and moves are formed in each draw and the chain is drawn once for
        each (``draws`` then does not apply)
    classes : number of quantile classes, or increasing cut points; class 1 is the lowest, a value on a bound belongs to the class below it
    relative : "period" (quantiles of each period; with cut points, values divided by their period's mean) or "pooled" (quantiles of all
        rows; with cut points, values as they are). Quantiles interpolate linearly
    by : "all", or "region": a chain for each region, classes formed over all units
    steps : grid periods that a move spans
    prior : Dirichlet parameter of each cell; default 1/k, which together weigh as much as one observed move a row
    draws, seed : of the posterior; ``meta`` keeps them (``n_draws``, ``seed``)

    Returns
    -------
    Estimates
        Variant ``posterior`` and ``frequency`` (maximum likelihood, n_ij/n_i·) of: ``transition`` (``term`` from class, ``term_to`` to
        class, ``n_obs`` moves that start in the class, the mean over draws of values), ``ergodic`` (``term`` class; the stationary
        distribution), ``mobility`` (Shorrocks 1978: (k − trace)/(k − 1), 0 = no moves) and ``half_life`` of a departure from the ergodic
        distribution, in calendar units. Frequencies of a class that no move starts from, and the long run of a chain with several closed
        sets of classes, are NaN with the reason; a posterior row without moves is the prior's and not identified.

    Raises
    ------
    SpecificationError
        Options outside their words, cut points that do not increase, fewer units than quantile classes in a period, no pair of periods.
    NoVariationError
        All values of a period (or of the panel) are equal, so that quantiles do not exist.
    NotPositiveError
        A period's mean is not positive where values are taken relative to it.
    """
    one_of("relative", relative, ("period", "pooled"))
    one_of("by", by, ("all", "region"))
    steps, draws, seed = whole_number("steps", steps, 1), whole_number("draws", draws, 2), whole_number("seed", seed, 0)
    v = values_of(panel, values)
    codes, k = _classes(v, classes, relative)
    prior = _checked_prior(prior, k)
    grid = _on_grid(v, codes, steps)
    shown = k if np.ndim(classes) == 0 else [float(c) for c in classes]
    options = {"classes": shown, "relative": relative, "by": by, "steps": steps, "prior": prior, "seed": seed, "convention": CONVENTION}
    return _estimates(v, grid, k, by, steps, prior, draws, level, {"values": v.name, **options})


def _estimates(
    v: Values, grid: np.ndarray, k: int, by: str, steps: int, prior: float, draws: int, level: float, meta: dict[str, Any]
) -> Estimates:  # fmt: skip
    """Posterior and frequencies of the chains of all regions, from the classes on the grid (draws of values, n_units, n_periods)."""
    panel, n_draws = v.panel, v.draws.shape[0] if v.has_draws else draws
    rng = np.random.default_rng(meta["seed"])
    exact, posterior = Rows(v.draws.shape[0], {"source": v.source}), Rows(n_draws, {"source": v.source})
    for region in panel.regions if by == "region" else [""]:
        units = panel.regions[panel.unit_regions] == region if region else slice(None)
        counts = count_transitions(grid[:, units], k, steps)
        label, note = ({"region": region} if region else {}), _gap_note(grid[0, units], steps)
        _add_chain(posterior, dirichlet_rows(counts, prior, n_draws, rng), counts, steps * panel.step, note, variant="posterior", **label)
        _add_chain(exact, frequencies(counts), counts, steps * panel.step, note, variant="frequency", **label)
    title = f"Transitions of {v.name} between {k} classes, Dirichlet({prior:g}) prior"
    out = posterior.estimates(title, level, "equal-tailed posterior", n_draws=n_draws, **meta)
    return out + _beside(exact.estimates(title, level, v.interval, **meta), n_draws)


def _checked_prior(prior: float | None, k: int) -> float:
    if prior is None:
        return 1 / k
    if isinstance(prior, bool) or not isinstance(prior, int | float) or not 0 < prior < np.inf:
        raise SpecificationError(f"prior must be a positive number (Dirichlet parameter of each cell), got {prior!r}.")
    return float(prior)


def _beside(points: Estimates, n_draws: int) -> Estimates:
    """Points with draws of NaN, so that the draws of the rows before them are kept."""
    if points.draws is not None:
        return points
    return Estimates(points.frame, np.full((len(points), n_draws), np.nan), points.title, points.meta)


def _classes(v: Values, classes: int | Sequence[float], relative: str) -> tuple[np.ndarray, int]:
    """Class of each row, 0 … k − 1, (draws, n_rows), and k."""
    if np.ndim(classes) == 0:
        k = whole_number("classes", classes, 2)
        sets = [np.flatnonzero(v.period == p) for p in v.periods] if relative == "period" else [np.arange(v.period.size)]
        out = np.empty(v.draws.shape, dtype=int)
        for rows in sets:
            here = v.draws[:, rows]
            where = f"{v.panel.time} {v.period[rows[0]]}" if relative == "period" else "all periods"
            if relative == "period" and rows.size < k:
                raise SpecificationError(f"{where} has {rows.size} units for {k} quantile classes: use fewer classes or relative='pooled'.")
            if (np.ptp(here, axis=1) == 0).any():
                raise NoVariationError(f"All values of {v.name!r} are equal in {where}: quantile classes do not exist.")
            out[:, rows] = (here[:, :, None] > quantile_bounds(here, k)[:, None, :]).sum(axis=2)
        return out, k
    try:
        cuts = np.asarray(classes, dtype=float)
    except (TypeError, ValueError):
        cuts = np.empty(0)
    if cuts.ndim != 1 or not cuts.size or not np.isfinite(cuts).all() or (np.diff(cuts) <= 0).any():
        raise SpecificationError(f"Cut points must be finite numbers and increase, got {classes!r}.")
    levels = _relative_to_mean(v) if relative == "period" else v.draws
    return np.searchsorted(cuts, levels, side="left"), cuts.size + 1


def quantile_bounds(values: np.ndarray, k: int) -> np.ndarray:
    """Upper bounds of the first k − 1 of k quantile classes, (draws, k − 1) from (draws, n), interpolated linearly.

    Positions are kept as whole numbers, so that a bound that falls on a value equals it and the value stays in the class below.
    """
    ordered = np.sort(values, axis=1)
    low, rest = np.divmod(np.arange(1, k) * (values.shape[1] - 1), k)
    high = np.minimum(low + 1, values.shape[1] - 1)
    return ordered[:, low] + rest / k * (ordered[:, high] - ordered[:, low])


def _relative_to_mean(v: Values) -> np.ndarray:
    out = np.empty(v.draws.shape)
    for period in v.periods:
        here = v.period == period
        mean = v.draws[:, here].mean(axis=1, keepdims=True)
        if (mean <= 0).any():
            raise NotPositiveError(
                f"The mean of {v.name!r} is not positive in {v.panel.time} {period}: use relative='pooled' for raw values."
            )
        out[:, here] = v.draws[:, here] / mean
    return out


def _on_grid(v: Values, codes: np.ndarray, steps: int) -> np.ndarray:
    """Classes on the calendar grid of the panel, −1 where a unit is not observed: (draws, n_units, n_periods)."""
    panel = v.panel
    out = np.full((codes.shape[0], panel.n_units, panel.n_periods), -1, dtype=np.int32)
    out[:, v.unit, (v.period - panel.periods[0]) // panel.step] = codes
    if steps >= panel.n_periods or not ((out[0, :, :-steps] >= 0) & (out[0, :, steps:] >= 0)).any():
        raise SpecificationError(f"No unit is observed {steps} grid periods apart (grid step {panel.step}): choose fewer steps.")
    return out


def _gap_note(classes: np.ndarray, steps: int) -> str:
    """How many moves are lost to gaps: rows of a unit that is seen later, but not ``steps`` periods later. ``classes`` (units, periods)."""
    seen = classes >= 0
    later = np.flip(np.logical_or.accumulate(np.flip(seen, axis=1), axis=1), axis=1)
    lost = int((seen[:, :-steps] & later[:, steps:] & ~seen[:, steps:]).sum())
    moves = int((seen[:, :-steps] & seen[:, steps:]).sum())
    return f"{moves} moves" + (f"; {lost} not counted (a gap at the end of the span)" if lost else "")


def _add_chain(rows: Rows, matrices: np.ndarray, counts: np.ndarray, span: int, note: str, **labels: str) -> None:
    k = matrices.shape[-1]
    starts = counts.sum(axis=2)
    idle = starts.max(axis=0) == 0
    long_run, reason = stationary(matrices)
    for i in range(k):
        lost = f"no transition starts in class {i + 1}"
        for j in range(k):
            rows.add(
                "transition", matrices[:, i, j], reason=lost, note=note, term=str(i + 1), term_to=str(j + 1),
                n_obs=starts[:, i].mean(), **labels,
            )  # fmt: skip
            if idle[i] and rows.labels[-1]["identified"]:
                rows.labels[-1].update(identified=False, note=f"{lost}: the prior alone")
    for i in range(k):
        rows.add("ergodic", long_run[:, i], reason=reason, note=note, term=str(i + 1), **labels)
    rows.add("mobility", shorrocks(matrices), reason=reason or "a class that no transition starts in", note=note, **labels)
    rows.add("half_life", half_life(matrices) * span, reason=reason or "a second eigenvalue of modulus one", note=note, **labels)

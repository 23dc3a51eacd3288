"""Growth of total factor productivity from posterior draws: technical change, efficiency change, scale change, and their product.

For consecutive rows (t, t') of a unit, with f its region's frontier, e_k the elasticities and E = Σ e_k over inputs (products for cost):

- production: ln TC = ½[f(t', x_t) − f(t, x_t) + f(t', x_t') − f(t, x_t')], ln EC = u_t − u_t',
  ln SEC = ½Σ_k[(1 − 1/E_t)e_kt + (1 − 1/E_t')e_kt'](x_kt' − x_kt); Orea (2002), Journal of Productivity Analysis 18(1).
- cost: ln TC is minus the same average of cost shifts, ln EC as above, ln SEC = ½Σ_m[(1/E_t − 1)e_mt + (1/E_t' − 1)e_mt'](y_mt' − y_mt),
  which is ½[(1 − e_t) + (1 − e_t')]Δ ln y with one product.

TFPC = TC·EC·SEC in every draw. It is the change of the noise-free index, for production Δ(ln y − v) − ½Σ_k(e_kt/E_t + e_kt'/E_t')Δx_k,
exactly, because the frontier is quadratic in inputs and time. Observed productivity also moves with Δv and with covariates: left out here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayes.aggregation import Groups, RowIndex, group_rows, stacked, table
from bayes.errors import ProductivityWarning, SpecificationError, warn_user
from bayes.estimates import Estimates
from bayes.frontier import technology as tech
from bayes.frontier.aggregation import count_draws, linear_in_rows, mean_by_draw, row_index, rows_of
from bayes.frontier.data import FrontierData
from bayes.frontier.elasticities import scale_variables, slopes
from bayes.frontier.likelihood import Parameters
from bayes.frontier.support import SHARED

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

PARTS = ("tc", "ec", "sec", "tfpc")


@dataclass(frozen=True, eq=False)
class Changes:
    """Pairs of consecutive rows of a unit. Arrays (n_pairs,).

    Attributes
    ----------
    first, second : positions of the earlier and the later row among the panel's rows
    steps : periods of the panel's grid between them, 1 without a gap
    index : unit, region and period of the later row
    """

    first: np.ndarray
    second: np.ndarray
    steps: np.ndarray
    index: RowIndex


def productivity_change(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, u_draws: np.ndarray, by: str = "all", cumulative: bool = False,
    level: float = 0.95, weights: np.ndarray | None = None, source: str = "Bayes",
) -> Estimates:  # fmt: skip
    """Indices of technical change, efficiency change, scale change and total factor productivity change (1 = no change), by draw.

    Parameters
    ----------
    u_draws : array (draws, n_rows)
        Draws of inefficiency, from :func:`bayes.frontier.inefficiency.inefficiency_draws` on the same parameters.
    by : "all", "region", "unit", "period", "region:period" or "unit:period"
        A change belongs to its later period. Groups hold geometric means over changes within a draw (posterior means would not multiply).
    cumulative : bool
        Chain the groups' mean changes over time, first period = 1; needs a ``by`` with periods. A chain over regions or all units holds for
        the units observed in each period.
    weights : array (n_rows,), optional
        Weights of rows; a change has the weight of its later row. Equal by default.

    A change over a gap is annualised: its logarithm is divided by the number of periods that it spans, and it counts once, in its later
    period; cumulative indices multiply it back.

    Returns
    -------
    Estimates
        Estimands ``tc``, ``ec``, ``sec``, ``tfpc``, ``term`` = by, ``variant`` = "cumulative" for chained indices; ``prob_positive`` is
        P(index > 1), and ``n_obs`` counts changes.

    Raises
    ------
    SpecificationError
        Without products of a cost frontier, units observed twice, or draws that fit; on ``cumulative`` without periods in ``by``.

    Warns
    -----
    ProductivityWarning
        Where the panel form, not the data, shapes efficiency change, and where returns to scale are not positive in some draws.
    """
    if cumulative and "period" not in by.split(":"):
        raise SpecificationError(f"cumulative=True chains over time: choose by='period', 'region:period' or 'unit:period', not {by!r}.")
    variables = scale_variables(spec)
    needed = (count_draws(p), data.n_rows)
    if np.shape(u_draws) != needed:
        raise SpecificationError(
            f"u_draws has shape {np.shape(u_draws)}; (draws, rows) = {needed} is needed: take them from inefficiency_draws."
        )
    changes = row_changes(data)
    warn_of_model(spec)
    groups = group_rows(by, changes.index, data, None if weights is None else np.asarray(weights)[changes.second])
    logs = log_changes(p, spec, data, u_draws, changes, groups, variables)
    if cumulative:
        groups, logs = chained(groups, logs, data)
    np.exp(logs, out=logs)
    note = "geometric mean; prob_positive is P(index > 1)"
    if cumulative:
        note = "chained, first period = 1; prob_positive is P(index > 1)"
    if (changes.steps > 1).any():
        note += f"; {int((changes.steps > 1).sum())} changes over gaps annualised"
    variant = "cumulative" if cumulative else ""
    parts = [table(groups, v, name, level, source, above=1.0, variant=variant, note=note) for name, v in zip(PARTS, logs, strict=True)]
    return stacked(parts, logs.reshape(-1, logs.shape[-1]), f"{'Cumulative p' if cumulative else 'P'}roductivity change by {by}")


def row_changes(data: FrontierData) -> Changes:
    """Consecutive rows of each unit. Raises :class:`SpecificationError` when no unit has two."""
    index = row_index(data)
    first = np.flatnonzero(index.unit[1:] == index.unit[:-1])
    if not first.size:
        raise SpecificationError("No unit is observed twice: productivity change needs two rows of a unit.")
    second = first + 1
    steps = (index.period[second] - index.period[first]) / grid_step(data)
    return Changes(first, second, steps, RowIndex(*(labels[second] for labels in index)))


def grid_step(data: FrontierData) -> float:
    """Distance between neighbouring periods of the panel's grid, in calendar units."""
    return float(np.gcd.reduce(np.diff(np.unique(data.period[data.mask > 0])).astype(int)))


def log_changes(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, u_draws: np.ndarray, changes: Changes, groups: Groups,
    variables: tuple[str, ...],
) -> np.ndarray:  # fmt: skip
    """Group means of ln TC, ln EC, ln SEC and their sum per period of the grid, shape (4, groups, draws)."""
    region, s = row_index(data).region, spec.sign
    shift, columns = s * technical_shift(data, changes), [slopes(data, name) for name in variables]
    moved = [values[changes.second] - values[changes.first] for values in (data.in_rows(data.values[name]) for name in variables)]
    negative = 0

    def evaluate(chunk: Parameters, draws: slice) -> list[np.ndarray]:
        nonlocal negative
        beta, u = chunk["technology"], u_draws[draws]
        elasticities = [linear_in_rows(beta, column, region) for column in columns]
        total = sum(elasticities)
        negative += int((total <= 0).sum())
        pull = s * (1 - 1 / total)
        weighted = [pull * e for e in elasticities]
        scale = sum(0.5 * (w[:, changes.first] + w[:, changes.second]) * dx for w, dx in zip(weighted, moved, strict=True))
        tc = linear_in_rows(beta, shift, changes.index.region)
        ec = u[:, changes.first] - u[:, changes.second]
        return [part / changes.steps for part in (tc, ec, scale, tc + ec + scale)]

    out = mean_by_draw(p, groups, evaluate, data.output.size, len(PARTS))
    if negative:
        share = negative / (p["technology"].shape[0] * data.n_rows)
        warn_user(
            f"Elasticities sum to zero or less in {share:.2%} of rows and draws, where scale change has no meaning and may be very large. "
            "See monotonicity(); monotonicity='soft' or a Cobb–Douglas technology keeps them positive.",
            ProductivityWarning,
        )
    return out


def technical_shift(data: FrontierData, changes: Changes) -> np.ndarray:
    """½[d(t', x_t) − d(t, x_t) + d(t', x_t') − d(t, x_t')] of every term d, shape (K, n_pairs): what coefficients turn into the shift."""
    values = rows_of(data.values, data)
    time = values[tech.TIME]

    def shift(at: np.ndarray) -> np.ndarray:
        here = {name: v[at] for name, v in values.items()}
        later = tech.design(data.terms, here | {tech.TIME: time[changes.second]})
        return later - tech.design(data.terms, here | {tech.TIME: time[changes.first]})

    return 0.5 * (shift(changes.first) + shift(changes.second))


def chained(groups: Groups, logs: np.ndarray, data: FrontierData) -> tuple[Groups, np.ndarray]:
    """Cumulative logs of each series of periods, with its first period (log 0) put before; shape (4, groups + series, draws)."""
    index, part = row_index(data), groups.by.split(":")[0]
    codes = None if part == "period" else getattr(index, part)
    series = np.zeros(len(groups)) if codes is None else groups.keys[:, 0]
    keys, labels, sizes, pieces = [], [], [], []
    for code in np.unique(series):
        at = np.flatnonzero(series == code)
        start = (index.period if codes is None else index.period[codes == code]).min()
        periods = np.r_[start, groups.keys[at, -1]]
        spans = np.diff(periods) / grid_step(data)
        pieces.append(np.concatenate([np.zeros((len(PARTS), 1, logs.shape[-1])), np.cumsum(logs[:, at] * spans[:, None], axis=1)], axis=1))
        labels += [{**groups.labels[at[0]], "period": float(t)} for t in periods]
        keys += [groups.keys[at[0]], *groups.keys[at]]
        sizes += [0, *groups.sizes[at]]
    return replace(groups, labels=tuple(labels), keys=np.array(keys), sizes=np.array(sizes)), np.concatenate(pieces, axis=1)


def refuse_convergence(spec: StochasticFrontier) -> None:
    """Raise :class:`SpecificationError` where β-convergence of efficiencies would measure the model's assumption.

    With u_it independent over time given its determinants, the regression of u_i,t+1 − u_it on u_it has slope −1 whatever the data say.
    """
    if spec.model in SHARED:
        return
    raise SpecificationError(
        f"model={spec.model!r} takes inefficiency as independent over time, so the slope of its change on its level is −1 by construction: "
        "β-convergence of these efficiencies says nothing about the data. Use model='bc92' or 'kumbhakar-1990', or test the convergence of "
        "output or of measured productivity."
    )


def warn_of_model(spec: StochasticFrontier) -> None:
    """Say what the panel form, not the data, puts into efficiency change: :class:`ProductivityWarning`."""
    if spec.model == "time-invariant":
        only = " but through its determinants" if spec.determinants else ", so efficiency change is 1 in every draw"
        words = f"inefficiency does not change over time{only}"
    elif spec.model in SHARED:
        words = "every unit's inefficiency follows one path, so efficiency change has the same sign for all units in a period"
        words += ", and one sign in all periods" if spec.model == "bc92" else ""
        words += ", but for determinants" if spec.determinants else ""
    else:
        words = "inefficiency is independent over time given its determinants, so consecutive efficiency changes are correlated by −0.5"
    warn_user(
        f"model={spec.model!r}: {words}. That comes from the model, not from the data; technical and scale change and means over many "
        "periods are less affected.",
        ProductivityWarning,
    )

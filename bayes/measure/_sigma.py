"""σ-convergence: does the dispersion of a quantity over units fall from period to period?"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.estimates import Estimates
from bayes.measure._rows import unit_groups
from bayes.measure._values import estimates_by_draw, values_of
from bayes.panel import Panel
from bayes.validation import one_of, whole_number

CONVENTION = "a falling dispersion over units, sigma_trend below 0, is σ-convergence"
MEASURES = ("sd", "cv")
TRENDS = ("log", "level")
GROUPINGS = ("all", "region")


@checked
def sigma_convergence(
    panel: Panel, values: str | Estimates, log: bool = True, by: str = "all", measure: str = "sd", level: float = 0.95,
    trend: str = "log", replicates: int = 1000, seed: int = 0,
) -> Estimates:  # fmt: skip
    """Dispersion over units in every period, and its trend; a falling dispersion is σ-convergence.

    Parameters
    ----------
    values : str or Estimates
        A column, or estimates by unit and period. Levels by default; see ``log``.
    log : bool
        True: the standard deviation is that of natural logarithms. False: of the values as they are (a column that is in logs already).
        The coefficient of variation is always that of the values as they are.
    by : "all" or "region"
        Over all units, or over the units of each region.
    measure : "sd" or "cv"
        Standard deviation with divisor n − 1, or the coefficient of variation: standard deviation with divisor n over the mean.
    trend : "log" or "level"
        Least-squares slope, per calendar unit of time (year), of the logarithm of the dispersion (a rate: −0.01 is one per cent a year), or
        of the dispersion itself. Periods count equally; they need not be evenly spaced.
    replicates, seed : int
        Replicates of the bootstrap that a quantity without draws gets.

    Returns
    -------
    Estimates
        ``sigma`` by period (``variant`` = "sd of logs", "sd" or "cv"; ``n_obs`` = units), then ``sigma_trend``; ``prob_positive`` of the
        trend is P(slope > 0), its note gives P(slope < 0). Values with draws: the dispersion in every draw, so that intervals hold the
        uncertainty of the values, not that of which units there are. Values without: the estimate is the plain one, and intervals come
        from a Bayesian bootstrap over units (Rubin 1981, Annals of Statistics 9(1)), one vector of weights for all periods of a
        replicate, weighted variances rescaled so that their mean is the plain variance. With one unit in a period the dispersion is NaN.

    Raises
    ------
    SpecificationError
        On an unknown word, or fewer than two replicates.
    NotPositiveError
        A value ≤ 0 under a logarithm or a coefficient of variation.

    Barro & Sala-i-Martin (1992), Journal of Political Economy 100(2).
    """
    for name, value, allowed in (("by", by, GROUPINGS), ("measure", measure, MEASURES), ("trend", trend, TRENDS)):
        one_of(name, value, allowed)
    replicates, seed = whole_number("replicates", replicates, 2), whole_number("seed", seed, 0)
    v = values_of(panel, values)
    in_logs = log and measure == "sd"
    if in_logs or measure == "cv":
        v.require_positive(
            "Logarithms need positive values: use log=False." if in_logs else "A coefficient of variation needs positive values."
        )
    variant = "sd of logs" if in_logs else measure
    grid, units, periods = v.grid()
    grid = np.log(grid) if in_logs else grid
    weights = None if v.has_draws else np.random.default_rng(seed).dirichlet(np.ones(units.size), replicates)
    rows, plain, draws = [], [], []
    for label, chosen in unit_groups(v, units, by):
        part = grid[:, chosen]
        count = np.isfinite(part[0]).sum(axis=0)
        at = dispersion(part, measure)
        spread = at if weights is None else dispersion(part, measure, weights[:, chosen])
        common = {**label, "term": by, "variant": variant, "source": v.source}
        rows += [{**common, "estimand": "sigma", **_period(t, n, c)} for t, n, c in zip(periods, count, at[0], strict=True)]
        rows.append({**common, "estimand": "sigma_trend", **_trend_row(at, periods, trend)})
        plain += [*at.mean(axis=0), slope(at, periods, trend).mean()]
        draws.append(np.column_stack([spread, slope(spread, periods, trend)]))
    interval = v.interval if weights is None else f"Bayesian bootstrap over units, {replicates} replicates"
    out = estimates_by_draw(
        rows, np.concatenate(draws, axis=1).T, f"σ-convergence of {v.name}", level, interval, seed=seed, convention=CONVENTION
    )
    _complete(out, np.array(plain), weights is not None)
    return out


def dispersion(grid: np.ndarray, measure: str, weights: np.ndarray | None = None) -> np.ndarray:
    """Dispersion over units by period: ``grid`` (draws, units, periods), NaN where a unit is missing → (draws, periods).

    With ``weights`` (replicates, units) the first draw is weighted in every replicate → (replicates, periods); the weights of the units
    observed in a period are scaled to sum to one. Under Dirichlet(1, …, 1) weights a weighted variance falls short of the plain one by
    n/(n + 1) on average, which is undone.
    """
    seen = np.isfinite(grid)
    n = seen.sum(axis=1)
    centre = np.where(n[:1] > 0, np.where(seen[:1], grid[:1], 0).sum(axis=1) / np.maximum(n[:1], 1), 0.0)[:, None]
    y = np.where(seen, grid - centre, 0.0)
    if weights is None:
        total, first, second, stretch = n, y.sum(axis=1), (y**2).sum(axis=1), 1.0
    else:
        total, first, second = (weights @ a for a in (seen[0].astype(float), y[0], y[0] ** 2))
        stretch = (n + 1) / np.maximum(n, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = first / total
        variance = np.maximum(second / total - mean**2, 0) * stretch
        out = np.sqrt(variance * n / (n - 1)) if measure == "sd" else np.sqrt(variance) / (mean + centre[:, 0])
    return np.where(n > 1, out, np.nan)


def slope(spread: np.ndarray, periods: np.ndarray, trend: str) -> np.ndarray:
    """Least-squares slope over the periods with a dispersion: (draws, periods) → (draws,); NaN with fewer than two such periods."""
    known = np.isfinite(spread[0])
    y, t = spread[:, known], periods[known].astype(float)
    if t.size < 2:
        return np.full(spread.shape[0], np.nan)
    if trend == "log":
        y = np.log(np.where(y > 0, y, np.nan))
    t = t - t.mean()
    return y @ t / (t @ t)


def _period(period: float, count: int, value: float) -> dict[str, Any]:
    row = {"period": float(period), "n_obs": int(count), "identified": bool(np.isfinite(value)), "note": ""}
    if not row["identified"]:
        row["note"] = f"{count} unit{'' if count == 1 else 's'} in this period: dispersion needs two"
    return row


def _trend_row(spread: np.ndarray, periods: np.ndarray, trend: str) -> dict[str, Any]:
    known = np.isfinite(spread[0])
    words = f"slope per year of {'the logarithm of ' if trend == 'log' else ''}the dispersion"
    left_out = ", ".join(f"{t:g}" for t in periods[~known])
    row = {"n_obs": int(known.sum()), "identified": True, "note": words + (f"; without {left_out}" if left_out else "")}
    if known.sum() < 2:
        return row | {"identified": False, "note": "fewer than two periods with a dispersion"}
    if trend == "log" and (spread[:, known] <= 0).any():
        return row | {
            "identified": False,
            "note": "all units equal in some period: no logarithm of a dispersion of zero; use trend='level'",
        }
    return row


def _complete(out: Estimates, plain: np.ndarray, bootstrapped: bool) -> None:
    """Put the plain estimate over the mean of bootstrap replicates, and P(slope < 0) into the notes of trends."""
    frame = out.frame
    if bootstrapped:
        frame["estimate"] = plain
    for i in np.flatnonzero((frame["estimand"] == "sigma_trend") & frame["identified"] & frame["prob_positive"].notna()):
        frame.loc[i, "note"] = f"{frame.note[i]}; P(slope < 0) = {1 - frame.prob_positive[i]:.3f}"

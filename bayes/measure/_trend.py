"""Trend growth and steadiness: how fast a quantity grows within units, how uneven its path is, and how regions differ in both."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.estimates import Estimates
from bayes.measure._rows import Rows, unit_groups
from bayes.measure._values import Values, values_of
from bayes.panel import Panel
from bayes.validation import one_of, whole_number

CONVENTION = "trend_growth per period of the log; trend_sd is the standard deviation of log deviations from the units' trends: 0.1 is 10 %"
GROUPINGS = ("region", "all")
_EXACT = 1e-12
"""Deviations from the trend below this share of the values' size are rounding."""


@checked
def trend_growth(
    panel: Panel, values: str | Estimates, log: bool = True, by: str = "region", draws: int = 4000, seed: int = 0, level: float = 0.95
) -> Estimates:
    """Growth along a log-linear trend, and how steady it is, by region.

    In each region ln x_it = a_i + g·t + e_it, e ~ N(0, σ²), with flat a_i and g and p(σ) ∝ 1/σ, so that with S the sum of squared
    deviations, ν = rows − units − 1 and Q the sum of squared deviations of t from its unit's mean the posterior is exact:

        σ² | x ~ S/χ²(ν),    g | σ, x ~ N(ĝ, σ²/Q).

    A trend uses all periods; the mean of yearly growth rates is last less first and moves with those two. For an index of productivity
    change (``bayes.measure.malmquist(…, by="unit:period", cumulative=True)``) g is the speed and σ the unevenness of growth.

    Assumes one trend for the units of a region, and deviations that are independent over units and periods; a slump that lasts makes
    intervals too short. Regions are taken apart, nothing is pooled.

    Parameters
    ----------
    panel : Panel
        Units, periods and regions.
    values : str or Estimates
        Positive levels (``log=False``: in logs already), a column or estimates by unit and period. With draws, one draw of (σ, g) for each
        draw of the values; without, ``draws`` of them.
    log : bool
        Take logarithms; False for values that are in logs already.
    by : "region" (default) or "all"
    draws, seed : int
        Number of draws for values without draws, and their seed.
    level : float
        Coverage of the equal-tailed intervals.

    Returns
    -------
    Estimates
        ``trend_growth`` (P(> 0)) and ``trend_sd`` by ``region``; for every pair of regions ``trend_growth_difference`` (``region`` less
        ``term_to``, P(> 0)) and ``trend_sd_ratio`` (``region`` over ``term_to``, ``prob_positive`` is P(ratio > 1)). NaN with the reason
        where a region has too few rows, or lies exactly on its trend.

    Raises
    ------
    SpecificationError
        An unknown word, fewer than two draws, or what :func:`bayes.measure.sigma_convergence` refuses in ``values``.
    NotPositiveError
        A value ≤ 0 with ``log=True``.
    """
    one_of("by", by, GROUPINGS)
    whole_number("draws", draws, 2)
    v = values_of(panel, values)
    if log:
        v.require_positive("Trend growth is that of logarithms: use log=False for values that are in logs already.")
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    logs = np.log(v.draws) if log else v.draws
    rows = Rows(v.draws.shape[0] if v.has_draws else draws, {"source": v.source or "log-linear trend, exact posterior"})
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for label, chosen in unit_groups(v, np.arange(panel.n_units), by):
        at = np.flatnonzero(np.isin(v.unit, chosen))
        if not at.size:
            continue
        growth, sd, reason = _posterior(logs[:, at], v, at, rows.n_draws, rng)
        found[label.get("region", "")] = (growth, sd)
        common = {**label, "term": by, "n_obs": int(at.size)}
        rows.add("trend_growth", growth, reason, "per period", **common)
        rows.add("trend_sd", sd, reason, "deviations from the units' trends", **common)
    _add_pairs(rows, found, by)
    out = rows.estimates(f"Trend growth of {v.name}", level, convention=CONVENTION, seed=seed)
    ratios = (out.frame["estimand"] == "trend_sd_ratio").to_numpy() & out.frame["identified"].to_numpy()
    out.frame.loc[out.frame["estimand"] == "trend_sd", "prob_positive"] = np.nan  # positive by construction
    out.frame.loc[ratios, "prob_positive"] = (out.draws[ratios] > 1).mean(axis=1)
    return out


def _posterior(logs: np.ndarray, v: Values, at: np.ndarray, n_draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, str]:
    """Draws of g and σ of one region, and the reason where there are none."""
    unit, t = np.unique(v.unit[at], return_inverse=True)[1], v.period[at].astype(float)
    size = np.bincount(unit)
    within = t - (np.bincount(unit, t) / size)[unit]
    q, df = within @ within, at.size - size.size - 1
    nothing = np.full(n_draws, np.nan)
    if q == 0 or df < 1:
        return nothing, nothing, f"{at.size} rows of {size.size} units leave no deviation from a trend"
    means = np.stack([np.bincount(unit, row) for row in logs]) / size
    centred = logs - means[:, unit]
    slope = centred @ within / q
    squares = ((centred - slope[:, None] * within) ** 2).sum(axis=1)
    if (squares <= (_EXACT * np.abs(logs).max(axis=1)) ** 2).any():
        return nothing, nothing, "the units lie exactly on their trends"
    sd = np.sqrt(squares / rng.chisquare(df, n_draws))
    return slope + sd / np.sqrt(q) * rng.standard_normal(n_draws), sd, ""


def _add_pairs(rows: Rows, found: dict[str, tuple[np.ndarray, np.ndarray]], by: str) -> None:
    for a, b in combinations(found, 2):
        labels: dict[str, Any] = {"term": by, "region": a, "term_to": b}
        reason = "one of the two has no value"
        rows.add("trend_growth_difference", found[a][0] - found[b][0], reason, "region less term_to, per period", **labels)
        with np.errstate(invalid="ignore"):
            ratio = found[a][1] / found[b][1]
        rows.add("trend_sd_ratio", ratio, reason, "region over term_to; prob_positive is P(ratio > 1)", **labels)

"""Estimands of a cross-lagged pair by draw: own and cross lags, dominance, long-run effects, the largest root; by region or averaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.validation import one_of

AGGREGATIONS = ("simple", "region")
ESTIMANDS = ("own_lag", "cross_lag", "cross_lag_standardised", "dominance", "long_run", "largest_root")
ASSUMPTION = (
    "A cross lag says what past values predict. It is an effect only if nothing unobserved that varies over time moves one series first "
    "and the other later, one lag is enough, and past values of the pair do not move the covariates. The data cannot show the first."
)
_STATIONARY = 0.95
"""Share of draws that must be stationary for a long run to be printed."""


class Quantity(NamedTuple):
    """One estimand: draws by region (draws, R), where the data identify it (R,), and a note."""

    estimand: str
    term: str
    draws: np.ndarray
    identified: np.ndarray
    note: str


def largest_root(lag: np.ndarray) -> np.ndarray:
    """Largest modulus of the eigenvalues of matrices (…, 2, 2)."""
    half, det = (lag[..., 0, 0] + lag[..., 1, 1]) / 2, lag[..., 0, 0] * lag[..., 1, 1] - lag[..., 0, 1] * lag[..., 1, 0]
    left = half**2 - det
    real = np.abs(half) + np.sqrt(np.maximum(left, 0))
    return np.where(left >= 0, real, np.sqrt(np.maximum(det, 0)))


def quantities(draws: xr.Dataset) -> list[Quantity]:
    """Every estimand by region. Long runs are NaN in draws that are not stationary."""
    lag = draws["lag"].to_numpy()
    lag = lag.reshape(-1, *lag.shape[2:])
    names, scale = [str(s) for s in draws["series"].to_numpy()], draws["scale"].to_numpy()
    seen = draws["lag_identified"].to_numpy()
    root = largest_root(np.moveaxis(lag, -1, 1))
    directions = [(1, 0, f"{names[0]} → {names[1]}"), (0, 1, f"{names[1]} → {names[0]}")]
    strength = {term: lag[:, to, by] * scale[by] / scale[to] for to, by, term in directions}
    found = [Quantity("own_lag", name, lag[:, j, j], seen[j], "") for j, name in enumerate(names)]
    found += [Quantity("cross_lag", term, lag[:, to, by], seen[by], "") for to, by, term in directions]
    found += [
        Quantity("cross_lag_standardised", term, strength[term], seen[by], "in standard deviations within units and periods")
        for _, by, term in directions
    ]
    (_, _, forward), (_, _, back) = directions
    difference = np.abs(strength[forward]) - np.abs(strength[back])
    words = "absolute standardised cross lag less that of the other direction; P(> 0): this one dominates"
    found += [Quantity("dominance", term, sign * difference, seen.all(axis=0), words) for term, sign in ((forward, 1.0), (back, -1.0))]
    with np.errstate(divide="ignore", invalid="ignore"):
        long = [np.where(root < 1, lag[:, to, by] / (1 - lag[:, to, to]), np.nan) for to, by, _ in directions]
    found += [Quantity("long_run", term, value, seen.all(axis=0), "") for value, (_, _, term) in zip(long, directions, strict=True)]
    return [*found, Quantity("largest_root", "all", root, seen.all(axis=0), "")]


def gap_words(counts: Mapping[str, Any]) -> str:
    """Rows that were not used for want of a previous period; empty where every row but the first of each unit was."""
    out = []
    if counts.get("rows_after_gap"):
        out.append(f"{counts['rows_after_gap']} rows not used: no previous period")
    if counts.get("units_without_pair"):
        out.append(f"{counts['units_without_pair']} units without two consecutive periods")
    return "; ".join(out)


def effect_table(draws: xr.Dataset, by: str, level: float, source: str, gaps: str, **meta: Any) -> Estimates:
    """Rows of every estimand with draws. Raises :class:`SpecificationError` on unknown words."""
    one_of("by", by, AGGREGATIONS)
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    regions, rows = [str(r) for r in draws["region"].to_numpy()], draws["rows"].to_numpy().astype(float)
    groups = [("", rows)] if by == "simple" else [(r, np.eye(len(regions))[j]) for j, r in enumerate(regions)]
    found, table, values = quantities(draws), [], []
    for region, weight in groups:
        n_obs = int(rows[weight > 0].sum())
        averaged = "mean over regions; weights: rows used" if by == "simple" and len(regions) > 1 else ""
        for q in found:
            value, identified, note = _average(q, weight)
            table.append(
                {
                    "estimand": q.estimand, "term": q.term, "region": region, "source": source, "n_obs": n_obs, "identified": identified,
                    "note": "; ".join(filter(None, [averaged, q.note, note, gaps])),
                }
            )  # fmt: skip
            values.append(value)
    return _summarised(table, np.array(values), level, by, meta)


def _summarised(table: list[dict[str, Any]], values: np.ndarray, level: float, by: str, meta: Mapping[str, Any]) -> Estimates:
    """Posterior summaries; long runs by median and quantiles over stationary draws, NaN where too few are."""
    long = np.array([row["estimand"] == "long_run" for row in table])
    share = np.isfinite(values).mean(axis=1)
    for j, row in enumerate(table):
        if row["estimand"] == "largest_root" and row["identified"]:
            row["note"] = "; ".join(filter(None, [f"P(< 1) = {(values[j] < 1).mean():.2f}", row["note"]]))
        if not long[j] or not row["identified"]:
            continue
        enough = share[j] >= _STATIONARY
        words = "median and quantiles of a ratio over stationary draws" if enough else "not stationary: no long run"
        which = "all regions stationary" if by == "simple" and not row["region"] else "stationary"
        row["note"] = "; ".join(filter(None, [f"{words} (P({which}) = {share[j]:.2f})", row["note"]]))
        row["identified"] = bool(enough)
        if not enough:
            values[j] = np.nan
    out = Estimates.from_draws(table, values, level, title=f"Cross-lagged effects by {by}", assumption=ASSUMPTION, **meta)
    tail = (1 - level) / 2
    for j in np.flatnonzero(long & out.frame["identified"].to_numpy()):
        kept = values[j][np.isfinite(values[j])]
        lower, middle, upper = np.quantile(kept, [tail, 0.5, 1 - tail])
        columns = ["estimate", "se", "lower", "upper", "prob_positive"]
        out.frame.loc[j, columns] = [middle, np.nan, lower, upper, (kept > 0).mean()]
    return out


def _average(q: Quantity, weight: np.ndarray) -> tuple[np.ndarray, bool, str]:
    """Weighted mean over the regions that the data identify; NaN where there are none."""
    used = (weight > 0) & q.identified
    if not used.any():
        return np.full(len(q.draws), np.nan), False, "not identified: the lags do not vary in this region"
    share = weight[used].sum() / weight.sum()
    note = "" if share == 1 else f"over identified regions only ({share:.0%})"
    return q.draws[:, used] @ (weight[used] / weight[used].sum()), bool(share == 1), note

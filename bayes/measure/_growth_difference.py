"""Productivity growth of a stochastic frontier against a Malmquist index: by how much they differ, and whether they agree in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.errors import DuplicateRowError, NotPositiveError, SpecificationError
from bayes.estimates import Estimates

KEYS = ["region", "unit", "period"]
FEWEST = 3
"""Rows that a correlation needs."""


@checked
def growth_difference(malmquist_estimates: Estimates, productivity_estimates: Estimates, level: float = 0.95) -> Estimates:
    """ln TFPC of a frontier minus ln Malmquist, by draw of the frontier, and their correlations across units.

    Both are changes per period of the grid (annualised over gaps), and above zero the frontier sees more growth. The Malmquist index
    counts noise as productivity and needs no functional form; the frontier sets noise aside: they need not agree.

    Parameters
    ----------
    malmquist_estimates : Estimates
        From :func:`bayes.measure.malmquist`. Draws of a bootstrap, where there are any, are paired with the frontier's in order, as two
        independent sources; of the longer one evenly spaced draws are used. They are draws of a sampling distribution, not of a posterior.
    productivity_estimates : Estimates
        From ``FrontierFit.productivity(by=…)``, with draws, of the same ``by`` and the same choice of ``cumulative``.

    Returns
    -------
    Estimates
        ``growth_difference`` for each row of the two, and with ``term`` "all" the plain mean over the rows that have both;
        ``prob_positive`` is P(> 0). ``growth_correlation`` (``variant`` "pearson" and "spearman"; with ``cumulative`` behind it,
        "cumulative pearson") across the rows: all together (``term`` "all"), and across the units (or regions) of each period where there
        are several. Rows without a Malmquist index are NaN with its reason, and correlations leave them out; ``n_obs`` counts the rows
        used. Fewer than three rows, or no variation in some draw, leave a correlation NaN.

    Raises
    ------
    SpecificationError
        Estimates without the index, of several sources, of different ``by`` or ``cumulative``, rows that only one of them has, or a
        frontier without draws.
    DuplicateRowError, NotPositiveError
        A row twice, or an index that is not positive.
    """
    index, index_draws = _chosen(malmquist_estimates, "malmquist", "bayes.measure.malmquist(…)")
    growth, growth_draws = _chosen(productivity_estimates, "tfpc", "FrontierFit.productivity(…)")
    if productivity_estimates.draws is None:
        raise SpecificationError("The frontier's estimates carry no draws. Take them from FrontierFit.productivity(…).")
    for column, option in (("term", "by"), ("variant", "cumulative")):
        if index[column].iloc[0] != growth[column].iloc[0]:
            raise SpecificationError(
                f"The two differ in {column!r} ({index[column].iloc[0]!r} and {growth[column].iloc[0]!r}): compute both with the same "
                f"{option}."
            )
    order = _matched(index, growth)
    a, b = _paired(np.where(order[:, None] >= 0, np.log(growth_draws[order]), np.nan), np.log(index_draws))
    source = f"{growth['source'].iloc[0]} − {index['source'].iloc[0]}"
    return _estimates(index, a, np.broadcast_to(b, a.shape), source, level)


def _chosen(estimates: Estimates, estimand: str, maker: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows of one index with its draws, (rows, draws); one column where there are none."""
    if not isinstance(estimates, Estimates):
        raise SpecificationError(f"Expected bayes.Estimates from {maker}, got {type(estimates).__name__}.")
    part = estimates.where(estimand=estimand)
    if not len(part):
        have = ", ".join(dict.fromkeys(estimates.frame["estimand"])) or "none"
        raise SpecificationError(f"The estimates hold no {estimand!r} (they hold {have}). Take them from {maker}.")
    for column in ("source", "term", "variant"):
        found = list(dict.fromkeys(part.frame[column]))
        if len(found) > 1:
            raise SpecificationError(
                f"{estimand!r} has {len(found)} values of {column!r} ({', '.join(found[:4])}): choose with .where({column}=…)."
            )
    twice = part.frame.duplicated(KEYS)
    if twice.any():
        raise DuplicateRowError(f"{estimand!r} has {_place(part.frame[twice].iloc[0])} twice. Choose one row each with .where(…).")
    points = part.draws is None or np.isnan(part.draws).all()  # rows of points may stand beside bootstrapped ones
    draws = part.frame["estimate"].to_numpy(dtype=float)[:, None] if points else part.draws
    bad = (draws <= 0).any(axis=1)
    if bad.any():
        raise NotPositiveError(f"{estimand!r} is not positive at {_place(part.frame[bad].iloc[0])}: an index of change has a logarithm.")
    return part.frame, draws


def _matched(index: pd.DataFrame, growth: pd.DataFrame) -> np.ndarray:
    """Position in ``growth`` of each row of ``index``; −1 for a row without a value, such as that of a unit observed once."""
    left, right = (pd.MultiIndex.from_frame(frame[KEYS].fillna({"period": -np.inf})) for frame in (index, growth))
    for mine, other, frame, names in ((left, right, index, ("Malmquist", "frontier")), (right, left, growth, ("frontier", "Malmquist"))):
        alone = ~mine.isin(other) & ~((frame is index) & frame["estimate"].isna().to_numpy())
        if alone.any():
            raise SpecificationError(
                f"{int(alone.sum())} of {len(frame)} rows of the {names[0]} estimates have no counterpart among the {names[1]} ones, the "
                f"first at {_place(frame[alone].iloc[0])}: compute both on the same panel, with the same region column."
            )
    return right.get_indexer(left)


def _paired(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As many draws of each; one without draws stays one column."""
    if b.shape[1] == 1 or a.shape[1] == b.shape[1]:
        return a, b
    n = min(a.shape[1], b.shape[1])
    thin = [np.linspace(0, x.shape[1] - 1, n).round().astype(int) for x in (a, b)]
    return a[:, thin[0]], b[:, thin[1]]


def _estimates(index: pd.DataFrame, a: np.ndarray, b: np.ndarray, source: str, level: float) -> Estimates:
    """Differences by row, their mean, and correlations over all rows and by period."""
    difference = a - b
    there = np.isfinite(difference).all(axis=1)
    lost = int((~there).sum())
    left = f"{lost} of {there.size} rows have no value and are left out" if lost else ""
    common = {"source": source, "variant": index["variant"].iloc[0]}
    rows: list[dict[str, Any]] = [
        {**{k: row[k] for k in KEYS}, "term": row["term"], "n_obs": row["n_obs"], "identified": bool(ok), "note": row["note"]}
        for row, ok in zip(index.to_dict("records"), there, strict=True)
    ]
    draws = [difference]
    if there.size > 1:
        rows.append({"term": "all", "n_obs": int(there.sum()), "identified": bool(there.any()), "note": left})
        draws.append(difference[there].mean(axis=0, keepdims=True) if there.any() else np.full((1, a.shape[1]), np.nan))
    rows = [{**common, "estimand": "growth_difference", **row} for row in rows]
    for label, members in _sets(index):
        used = members & there
        for kind, values in _correlations(a[used], b[used]).items():
            ok = bool(np.isfinite(values).all())
            note = (left if label["term"] == "all" else "") if ok else f"fewer than {FEWEST} rows, or no variation among them"
            known = {"n_obs": int(used.sum()), "identified": ok, "note": note}
            rows.append({**common, "estimand": "growth_correlation", **label, "variant": f"{common['variant']} {kind}".strip(), **known})
            draws.append(values[None])
    convention = "growth_difference = ln TFPC − ln Malmquist per period of the grid (chained: since the first period)"
    return Estimates.from_draws(rows, np.concatenate(draws), level, "Productivity growth: frontier − Malmquist", convention=convention)


def _sets(index: pd.DataFrame) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Rows that correlations are taken over: all of them, and those of each period where several units or regions have one."""
    if len(index) < 2:
        return []
    periods = index["period"].to_numpy(dtype=float)
    known = [t for t in np.unique(periods[np.isfinite(periods)]) if (periods == t).sum() > 1]
    return [({"term": "all"}, np.ones(len(index), dtype=bool)), *(({"term": "period", "period": float(t)}, periods == t) for t in known)]


def _correlations(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """Pearson's and Spearman's correlation across rows in every draw, (draws,) each; NaN where there is none."""
    from scipy.stats import rankdata

    return {"pearson": _correlation(a, b), "spearman": _correlation(rankdata(a, axis=0), rankdata(b, axis=0))}


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.shape[0] < FEWEST:
        return np.full(a.shape[1], np.nan)
    x, y = a - a.mean(axis=0), b - b.mean(axis=0)
    size = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    flat = (np.ptp(a, axis=0) <= 1e-12 * np.abs(a).max(axis=0)) | (np.ptp(b, axis=0) <= 1e-12 * np.abs(b).max(axis=0))
    return np.where(flat, np.nan, (x * y).sum(axis=0) / np.where(flat, 1.0, size))


def _place(row: pd.Series) -> str:
    parts = [f"{name} {row[name]}" for name in ("unit", "region") if row[name]][:1]
    parts += [f"period {row['period']:g}"] if pd.notna(row["period"]) else []
    return ", ".join(parts) or "the whole sample"

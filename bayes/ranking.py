"""Ranks and differences in posterior draws: who comes first, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from bayes.comparison import remark
from bayes.errors import SpecificationError
from bayes.estimates import Estimates


@dataclass(frozen=True, eq=False)
class Ranks:
    """Posterior of ranks; rank 1 is the largest value (of efficiency, of an effect).

    Attributes
    ----------
    estimates : Estimates
        Estimand ``rank``: posterior mean and interval of each rank, with the ranks of every draw beside it.
    frame : pandas.DataFrame
        region, unit, mean_rank, lower, upper, prob_first = P(rank = 1), prob_top_quartile = P(rank ≤ n/4, rounded up).
    probability : pandas.DataFrame
        P(rank = k): one row a unit (or region), one column a rank; rows and columns sum to one. NaN for a row without rank.
    """

    estimates: Estimates
    frame: pd.DataFrame
    probability: pd.DataFrame


def rank_draws(values: np.ndarray) -> np.ndarray:
    """Rank of each row in each draw, 1 for the largest, shape of ``values`` (n, draws). Rows with NaN have none and take no place."""
    ranked = np.full(values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    order = np.argsort(-values[known], axis=0)
    found = np.empty(order.shape)
    np.put_along_axis(found, order, np.arange(1.0, known.size + 1)[:, None], axis=0)
    ranked[known] = found
    return ranked


def ranks_of(estimates: Estimates, by: str) -> Ranks:
    """Tables of ranks from estimates whose draws are those of :func:`rank_draws`; ``by`` names the column of what is ranked."""
    draws = estimates.draws
    known = np.isfinite(draws).all(axis=1)
    n = int(known.sum())
    share = np.full((len(draws), n), np.nan)
    for k in np.flatnonzero(known):
        share[k] = np.bincount(draws[k].astype(int) - 1, minlength=n) / draws.shape[1]
    estimates.frame["prob_positive"] = np.nan
    frame = estimates.frame[["region", "unit"]].assign(
        mean_rank=estimates.frame.estimate, lower=estimates.frame.lower, upper=estimates.frame.upper,
        prob_first=share[:, 0] if n else np.nan,
        prob_top_quartile=share[:, : -(-n // 4)].sum(axis=1) if n else np.nan,
    )  # fmt: skip
    names = pd.Index(estimates.frame[by], name=by)
    return Ranks(estimates, frame, pd.DataFrame(share, names, pd.RangeIndex(1, n + 1, name="rank")))


def differences(estimates: Estimates, key: str, level: float = 0.95, title: str = "") -> Estimates:
    """All pairwise differences between rows of one table with joint draws, named by their column ``key``: ``term`` less ``term_to``.

    Identified where both rows are. Raises :class:`SpecificationError` without draws, or with one row.
    """
    frame = estimates.frame
    if estimates.draws is None or len(frame) < 2:
        raise SpecificationError(f"Differences by {key} need at least two rows with joint draws; there are {len(frame)} rows.")
    rows, draws = [], []
    for a, b in combinations(range(len(frame)), 2):
        first, second = frame.iloc[a], frame.iloc[b]
        notes = [f"{row[key]}: {remark(row['note'])}" for row in (first, second) if not row["identified"]]
        rows.append(
            {"estimand": f"{first['estimand']}_difference", "term": first[key], "term_to": second[key], "source": first["source"],
             "identified": bool(first["identified"] and second["identified"]), "n_obs": first["n_obs"] + second["n_obs"],
             "note": "; ".join(notes)}
        )  # fmt: skip
        draws.append(estimates.draws[a] - estimates.draws[b])
    return Estimates.from_draws(rows, np.array(draws), level, title=title, **estimates.meta)

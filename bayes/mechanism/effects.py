"""Estimands of a mediation by draw: direct, driving, mediator, indirect and total effects, the share mediated; by region or averaged.

Products are taken within a region and a draw, then averaged over regions, so that an average indirect effect is the mean of a_r·b_r, which
is not the product of the mean paths where the two go together over regions (Kenny, Korchmaros & Bolger 2003, eq. 9).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.mechanism.wording import TREATMENT, Wording, words_for
from bayes.validation import one_of

AGGREGATIONS = ("all", "region")
ESTIMANDS = ("direct", "driving", "mediator_effect", "indirect", "total", "share")
ASSUMPTION = TREATMENT.assumption
_RATIO = "median and quantiles of a ratio, no standard deviation"


class Quantity(NamedTuple):
    """One estimand of one mediator (or of all): draws by region (draws, R), and where the data identify it (R,)."""

    estimand: str
    term: str
    draws: np.ndarray
    identified: np.ndarray
    note: str


def quantities(draws: xr.Dataset, words: Wording = TREATMENT) -> list[Quantity]:
    """Every estimand but the share, by region."""
    a, b, c = (_flat(draws[name]) for name in ("driving", "mediator_effect", "direct"))
    seen_a, seen_b, seen_c = (draws[f"{n}_identified"].to_numpy() for n in ("driving", "mediator", "direct"))
    mediators = [str(m) for m in draws["mediator"].to_numpy()]
    binary = [_binary_note(m, two) for m, two in zip(mediators, draws["dichotomous"].to_numpy(), strict=True)]
    product, seen = a * b, seen_a & seen_b
    found = [Quantity("direct", "all", c, seen_c, words.sequential)]
    for k, m in enumerate(mediators):
        found += [
            Quantity("driving", m, a[:, k], seen_a[k], _join(words.driving, binary[k])),
            Quantity("mediator_effect", m, b[:, k], seen_b[k], _join(words.sequential, binary[k])),
            Quantity("indirect", m, product[:, k], seen[k], _join(words.sequential, binary[k])),
        ]
    return [
        *found,
        Quantity("indirect", "all", product.sum(axis=1), seen.all(axis=0), words.sequential),
        Quantity("total", "all", c + product.sum(axis=1), seen_c & seen.all(axis=0), words.total),
    ]


def effect_table(
    draws: xr.Dataset, by: str, level: float, weights: str, extrapolate: bool, source: str, exposure: str | None = None, **meta: Any
) -> Estimates:
    """Rows of every estimand with draws; ``exposure`` names the column that takes the place of the treatment.

    Raises :class:`SpecificationError` on unknown words.
    """
    wording = words_for(exposure)
    one_of("by", by, AGGREGATIONS)
    if weights not in ("rows", "panel"):
        raise SpecificationError(f"weights must be 'rows' or 'panel', got {weights!r}.")
    words = wording.rows if weights == "rows" else wording.weights
    weight = draws["treated_rows" if weights == "rows" else "treated_weight"].to_numpy().astype(float)
    regions = [str(r) for r in draws["region"].to_numpy()]
    groups = [("", weight)] if by == "all" else [(r, np.eye(len(regions))[j]) for j, r in enumerate(regions)]
    rows, values = [], []
    for region, w in groups:
        own, drawn = _rows(quantities(draws, wording), w, extrapolate, draws, level, wording)
        note = f"mean over regions; weights: {words}" if by == "all" else ""
        rows += [{**r, "region": region, "source": source, "note": _join(note, r["note"])} for r in own]
        values += drawn
    out = Estimates.from_draws(
        rows, np.array(values), level, title=f"Mechanism by {by}", assumption=wording.assumption, weights=words, **meta
    )
    ratio = (out.frame["estimand"] == "share").to_numpy()
    out.frame.loc[ratio, "estimate"] = np.median(out.draws[ratio], axis=1)
    out.frame.loc[ratio, "se"] = np.nan
    return out


def _rows(
    found: list[Quantity], weight: np.ndarray, extrapolate: bool, draws: xr.Dataset, level: float, words: Wording
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """Rows and draws of one group of regions, shares after the totals that they divide by."""
    rows, values = [], []
    for q in found:
        counts = draws["rows" if q.estimand == "mediator_effect" else "treated_rows"].to_numpy()
        value, share, note = _average(q, weight, extrapolate, draws["treated_rows"].to_numpy(), words)
        rows.append({"estimand": q.estimand, "term": q.term, "identified": share == 1, "note": _join(q.note, note)})
        rows[-1]["n_obs"] = int(counts[weight > 0].sum())
        values.append(value)
    total = values[-1]
    lower, upper = np.quantile(total, [(1 - level) / 2, (1 + level) / 2])
    unclear = "the interval of the total effect holds zero: the share means little" if lower < 0 < upper else ""
    known = rows[-1]["identified"]
    for row, value in list(zip(rows, values, strict=True)):
        if row["estimand"] == "indirect":
            rows.append({**row, "estimand": "share", "note": _join(row["note"], _RATIO, unclear), "identified": known})
            with np.errstate(divide="ignore", invalid="ignore"):
                values.append(value / total)
    return rows, values


def _average(q: Quantity, weight: np.ndarray, extrapolate: bool, treated_rows: np.ndarray, words: Wording) -> tuple[np.ndarray, float, str]:
    """Weighted mean over regions, the share of the weight that is identified, and a note; NaN where nothing is."""
    used = (weight > 0) & (q.identified | extrapolate)
    share = float(weight[q.identified].sum() / weight.sum())
    if not used.any():
        empty = treated_rows[weight > 0].sum() == 0 or words is not TREATMENT
        return np.full(len(q.draws), np.nan), share, words.empty if empty else "not identified: the region's columns do not vary"
    note = ""
    if share < 1:
        where = "lies in regions where the data do not identify it" if weight.max() < weight.sum() else "is not identified by the data"
        note = f"prior-driven: {1 - share:.0%} of the weight {where}" if extrapolate else f"over identified regions only ({share:.0%})"
    return q.draws[:, used] @ (weight[used] / weight[used].sum()), share, note


def _flat(values: xr.DataArray) -> np.ndarray:
    a = values.to_numpy()
    return a.reshape(-1, *a.shape[2:])


def _binary_note(mediator: str, two_values: bool) -> str:
    return f"{mediator} takes two values: linear probability" if two_values else ""


def _join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)

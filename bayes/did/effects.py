"""Estimands: averages of cell effects over treated rows, with the units' own deviations where the sample is meant.

``att`` is the effect on the treated units here (cells plus their units' random effects); ``att_population`` leaves the units' own
deviations out (the mean over units like these); ``att_new_unit`` predicts one new unit. Weights are treated rows, or summed panel weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayes.errors import SpecificationError
from bayes.estimates import Estimates

AGGREGATIONS = ("simple", "event", "cohort", "calendar", "region", "region:event", "cell")
ESTIMANDS = ("att", "att_population", "att_new_unit")


@dataclass(frozen=True)
class CellTable:
    """Cells of a fit in calendar terms, one entry a cell: labels, treated rows, summed weights, whether the flat design identifies it.

    ``observed`` is False for a predicted cell of a region without treated units; its ``rows`` are then only the weights of the average.
    """

    region: np.ndarray
    cohort: np.ndarray
    event_time: np.ndarray
    period: np.ndarray
    rows: np.ndarray
    weight: np.ndarray
    identified: np.ndarray
    observed: np.ndarray

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset, dim: str = "cell") -> CellTable:
        names = ("region", "cohort", "event_time", "period", "rows", "weight", "identified", "observed")
        return cls(*(np.asarray(dataset[f"{dim}_{n}"].to_numpy()) for n in names))


@dataclass(frozen=True)
class Term:
    """One row of a table: its labels and the cells it averages."""

    labels: dict[str, Any]
    cells: np.ndarray


def terms(table: CellTable, by: str, regions: Sequence[str]) -> list[Term]:
    """The averages that ``by`` asks for. Averages over event time use event time ≥ 0; anticipation cells appear where event time does."""
    if by not in AGGREGATIONS:
        raise SpecificationError(f"Unknown aggregation {by!r}. Known: {', '.join(AGGREGATIONS)}.")
    post = table.event_time >= 0
    match by:
        case "simple":
            return [Term({}, post)]
        case "event":
            return [Term({"event_time": e}, table.event_time == e) for e in np.unique(table.event_time)]
        case "cohort":
            return [Term({"cohort": g}, post & (table.cohort == g)) for g in np.unique(table.cohort[post])]
        case "calendar":
            return [Term({"period": t}, post & (table.period == t)) for t in np.unique(table.period[post])]
        case "region":
            return [Term({"region": r}, post & (table.region == r)) for r in regions]
        case "region:event":
            events = np.unique(table.event_time)
            found = [Term({"region": r, "event_time": e}, (table.region == r) & (table.event_time == e)) for r in regions for e in events]
            return [t for t in found if t.cells.any()]
    names = ("region", "cohort", "period", "event_time")
    return [Term({n: getattr(table, n)[c] for n in names}, np.arange(table.region.size) == c) for c in range(table.region.size)]


def lead_terms(table: CellTable, by: str) -> list[Term]:
    """Leads exist by event time and by region × event time; other averages have none."""
    if by == "event":
        return [Term({"event_time": e}, table.event_time == e) for e in np.unique(table.event_time)]
    if by == "region:event":
        return [Term({"region": r, "event_time": e}, (table.region == r) & (table.event_time == e))
                for r, e in dict.fromkeys(zip(table.region.tolist(), table.event_time.tolist(), strict=True))]  # fmt: skip
    return []


def average(effect: np.ndarray, term: Term, weight: np.ndarray, identified: np.ndarray, extrapolate: bool) -> tuple[np.ndarray, float, str]:
    """Weighted average over a term's cells: draws (draws,), share of its weight that is identified, note.

    Unidentified cells are left out of an average that has identified ones; alone they give NaN unless ``extrapolate``.
    """
    used = term.cells & (identified | extrapolate) & (weight > 0)
    share = float((weight * (term.cells & identified)).sum() / max((weight * term.cells).sum(), np.finfo(float).tiny))
    if not used.any():
        return np.full(effect.shape[0], np.nan), share, "not identified: no untreated comparison for these cells"
    w = weight[used]
    if share == 1:
        note = ""
    elif extrapolate:
        note = f"prior-driven: {1 - share:.0%} of the weight lies in cells that the data do not identify"
    else:
        note = f"over identified cells only ({share:.0%} of the weight)"
    return effect[:, used] @ (w / w.sum()), share, note


def estimates(
    draws: xr.Dataset,
    by: str,
    estimand: str,
    weights: str,
    level: float,
    extrapolate: bool,
    regions: Sequence[str],
    source: str,
    **meta: Any,
) -> Estimates:
    """Aggregate the draws of a fit (or of its prior, or without pooling) into a table with draws.

    ``draws`` has ``cell_effect`` (…, cell), ``group_effect`` (…, group), ``lead_effect`` (…, lead) where fitted, and the cell tables
    as coordinates. Raises :class:`SpecificationError` on unknown words.
    """
    if estimand not in ESTIMANDS:
        raise SpecificationError(f"Unknown estimand {estimand!r}. Known: {', '.join(ESTIMANDS)}.")
    if weights not in ("rows", "panel"):
        raise SpecificationError(f"weights must be 'rows' or 'panel', got {weights!r}.")
    table = CellTable.from_dataset(draws)
    effect = _flat(draws["cell_effect"]) + _unit_part(draws, table, estimand, weights)
    weight = table.rows.astype(float) if weights == "rows" else table.weight
    rows, values = [], []
    words = "treated rows" if weights == "rows" else "panel weights"
    if "lead_effect" in draws:
        leads = CellTable.from_dataset(draws, "lead")
        lead_weight = leads.rows.astype(float) if weights == "rows" else leads.weight
        for term in lead_terms(leads, by):
            value, share, note = average(_flat(draws["lead_effect"]), term, lead_weight, leads.identified, extrapolate)
            rows.append(
                _row(term, by, estimand, share, "; ".join(filter(None, ["lead, not pooled", note])), int(leads.rows[term.cells].sum()))
            )
            values.append(value)
    for term in terms(table, by, regions):
        value, share, note = np.full(effect.shape[0], np.nan), 0.0, ""
        if term.cells.any():
            value, share, note = average(effect, term, weight, table.identified, extrapolate)
        if not (term.cells & table.observed).any():
            note = "prior-driven: no treated unit in this region"
        note = "; ".join(filter(None, [f"weights: {words}", note]))
        rows.append(_row(term, by, estimand, share, note, int(table.rows[term.cells & table.observed].sum())))
        values.append(value)
    return Estimates.from_draws(
        [{**r, "source": source} for r in rows], np.array(values), level, title=f"{estimand} by {by}", weights=words, **meta
    )


def _row(term: Term, by: str, estimand: str, share: float, note: str, n_obs: int) -> dict[str, Any]:
    return {"region": "", **term.labels, "estimand": estimand, "term": by, "identified": share == 1, "note": note, "n_obs": n_obs}


def _flat(values: xr.DataArray) -> np.ndarray:
    a = values.to_numpy()
    return a.reshape(-1, a.shape[-1])


def _unit_part(draws: xr.Dataset, table: CellTable, estimand: str, weights: str) -> np.ndarray | float:
    """What the estimand adds to the cell effects: the mean deviation of the cell's own units, nothing, or a new unit's."""
    if estimand == "att_population" or "group_effect" not in draws:
        return 0.0
    if estimand == "att_new_unit":
        return draws["new_unit_effect"].to_numpy().reshape(-1, 1)
    name, size = ("group_effect", "group_units") if weights == "rows" else ("group_effect_weighted", "group_weight")
    share = draws["group_in_cell"].to_numpy() * draws[size].to_numpy()
    total = share.sum(axis=1, keepdims=True)
    return _flat(draws[name]) @ np.divide(share, total, out=np.zeros_like(share, dtype=float), where=total > 0).T

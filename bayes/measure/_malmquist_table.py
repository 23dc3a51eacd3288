"""Tables of productivity indices: annualised over gaps, geometric means over groups, chains over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from bayes.aggregation import AGGREGATIONS, Groups, RowIndex, group_rows
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.measure._malmquist_distances import Pairs
from bayes.measure._values import POSTERIOR
from bayes.panel import Panel
from bayes.validation import one_of

OBSERVED_ONCE = "observed once: no pair of periods"
POSITIVE_NOTE = "prob_positive is P(index > 1)"


@dataclass(frozen=True, eq=False)
class Series:
    """Rows of one index: labels, ln of the index (rows, draws), pairs behind each row, and what to say of it."""

    labels: list[dict[str, Any]]
    logs: np.ndarray
    sizes: np.ndarray
    notes: list[str]


def index_table(
    panel: Panel, pairs: Pairs, parts: Mapping[str, np.ndarray], reasons: Mapping[str, Mapping[int, str]], by: str = "unit:period",
    cumulative: bool = False, weights: np.ndarray | None = None, source: str = "", title: str = "", level: float = 0.95,
    interval: str = POSTERIOR, **meta: Any,
) -> Estimates:  # fmt: skip
    """Estimates of indices by group.

    ``parts``: {name: (n_pairs,) or (draws, n_pairs)}, over the whole span of each pair; NaN where an index does not exist, for which
    ``reasons`` {name: {pair: words}} says why. ``weights`` (n_rows,): a change has the weight of its later row. With draws,
    ``prob_positive`` is P(index > 1); ``n_obs`` counts pairs that have a value in every draw.
    """
    refuse_grouping(by, cumulative)
    time = panel.frame[panel.time].to_numpy()
    unit = panel.unit_codes
    index = RowIndex(unit, panel.unit_regions[unit], time)
    later = RowIndex(*(labels[pairs.second] for labels in index))
    names = SimpleNamespace(units=panel.units, regions=panel.regions, unit_region=panel.unit_regions)
    groups = group_rows(by, later, names, None if weights is None else weights[pairs.second])
    tables = []
    for name, values in parts.items():
        series = _series(groups, pairs, np.atleast_2d(values), reasons.get(name, {}), by)
        if cumulative:
            series = _chained(groups, series, index, panel)
        elif by == "unit":
            series = _with_lone_units(series, panel, later)
        tables.append((name, series))
    return _estimates(tables, by, cumulative, source, title or "Productivity indices", level, interval, meta)


def refuse_grouping(by: str, cumulative: bool) -> None:
    """Raise :class:`SpecificationError` where ``by`` does not exist or cannot be chained."""
    one_of("by", by, AGGREGATIONS)
    if cumulative and "period" not in by.split(":"):
        raise SpecificationError(f"cumulative=True chains over time: choose by='period', 'region:period' or 'unit:period', not {by!r}.")


def _series(groups: Groups, pairs: Pairs, values: np.ndarray, reasons: Mapping[int, str], by: str) -> Series:
    """Mean logs per period of the grid over the pairs that have a value in a draw."""
    there = np.isfinite(values) & (values > 0)
    logs = np.where(there, np.log(np.where(there, values, 1.0)), 0.0) / pairs.steps
    weight = groups.weights @ there.T.astype(float)
    mean = np.divide(groups.weights @ logs.T, weight, out=np.full(weight.shape, np.nan), where=weight > 0)
    member = groups.weights.astype(bool).astype(int)
    lost, gaps = member @ (~there).any(axis=0).astype(int), member @ (pairs.steps > 1).astype(int)
    single = by == "unit:period"
    notes = []
    for g in range(len(groups)):
        inside = member.indices[member.indptr[g] : member.indptr[g + 1]]
        words = [] if single or lost[g] == groups.sizes[g] else ["geometric mean"]
        if gaps[g]:
            words.append(
                f"change over {pairs.steps[inside[0]]} periods, annualised" if single else f"changes over gaps annualised: {gaps[g]}"
            )
        if lost[g]:
            why = [reasons[int(p)] for p in inside if int(p) in reasons]
            count = "" if single else f"{lost[g]} of {groups.sizes[g]} pairs have no value and are left out" + (", as " if why else "")
            words.append(count + (why[0] if why else ""))
        notes.append("; ".join(w for w in words if w))
    return Series(list(groups.labels), mean, groups.sizes - lost, notes)


def _chained(groups: Groups, series: Series, index: RowIndex, panel: Panel) -> Series:
    """Cumulative logs of each series of periods, with its first period (log 0) put before. A period without a value ends its chain."""
    part = groups.by.split(":")[0]
    codes = None if part == "period" else getattr(index, part)
    key = np.zeros(len(groups)) if codes is None else groups.keys[:, 0]
    labels, logs, sizes, notes = [], [], [], []
    for code in np.unique(key):
        at = np.flatnonzero(key == code)
        start = (index.period if codes is None else index.period[codes == code]).min()
        periods = np.r_[start, groups.keys[at, -1]]
        steps = np.diff(periods) / panel.step
        chain = np.cumsum(series.logs[at] * steps[:, None], axis=0)
        labels += [{**groups.labels[at[0]], "period": float(t)} for t in periods]
        logs += [np.zeros((1, chain.shape[1])), chain]
        sizes += [0, *series.sizes[at]]
        ended = np.isnan(chain).all(axis=1)
        stop = "" if not ended.any() else f"the chain ends before {periods[1:][ended][0]:g}: {series.notes[at[np.argmax(ended)]]}"
        notes += ["first period = 1", *(stop if over else _chain_note(series.notes[g]) for over, g in zip(ended, at, strict=True))]
    return Series(labels, np.concatenate(logs), np.array(sizes), notes)


def _chain_note(note: str) -> str:
    return "chained, first period = 1" + (f"; {note}" if note else "")


def _with_lone_units(series: Series, panel: Panel, later: RowIndex) -> Series:
    lone = lone_units(panel, later.unit)
    labels = [{"region": str(panel.regions[panel.unit_regions[u]]), "unit": str(panel.units[u])} for u in lone]
    logs = np.vstack([series.logs, np.full((lone.size, series.logs.shape[1]), np.nan)])
    return Series(series.labels + labels, logs, np.r_[series.sizes, np.zeros(lone.size, int)], series.notes + [OBSERVED_ONCE] * lone.size)


def lone_units(panel: Panel, in_pairs: np.ndarray) -> np.ndarray:
    """Codes of units that are in no pair."""
    return np.setdiff1d(np.arange(panel.n_units), in_pairs)


def _estimates(
    tables: list[tuple[str, Series]], by: str, cumulative: bool, source: str, title: str, level: float, interval: str, meta: dict[str, Any]
) -> Estimates:
    rows, variant = [], "cumulative" if cumulative else ""
    for name, series in tables:
        common = {"estimand": name, "term": by, "variant": variant, "source": source}
        for label, size, note, logs in zip(series.labels, series.sizes, series.notes, series.logs, strict=True):
            rows.append({**label, **common, "n_obs": int(size), "identified": bool(np.isfinite(logs).all()), "note": note})
    values = np.exp(np.concatenate([series.logs for _, series in tables]))
    if values.shape[1] == 1:
        return Estimates.from_rows(pd.DataFrame(rows).assign(estimate=values[:, 0]), title=title, **meta)
    out = Estimates.from_draws(rows, values, level, title, **meta)
    out.frame["prob_positive"] = np.where(np.isnan(values).any(axis=1), np.nan, (values > 1).mean(axis=1))
    out.frame["interval"] = interval
    out.frame["note"] = [f"{note}; {POSITIVE_NOTE}" if note else POSITIVE_NOTE for note in out.frame["note"]]
    return out

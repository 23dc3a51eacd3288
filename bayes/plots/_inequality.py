"""Inequality and its parts over time, stacked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.plots import _dots as d
from bayes.plots import _panels as p
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INDICES = {"dagum_gini": "Gini ratio (Dagum)", "theil_t": "Theil T", "theil_l": "Theil L"}
PARTS = {
    "within": ("within regions", "#56B4E9", ""),
    "between": ("between regions", "#E69F00", ""),
    "transvariation": ("transvariation (overlap of regions)", "#CC79A7", ""),
}
"""Term → words and colour, from the bottom of the stack."""


@checked
def gini_decomposition(estimates: Any, label: str = "", time_unit: str = "", width: float = 7.0, path: str | Path | None = None) -> Figure:
    """Inequality between units by period: parts within and between regions and transvariation as a stack, their total as a line.

    Parameters
    ----------
    estimates : Estimates
        ``bayes.measure.dagum_gini(...)`` or ``bayes.measure.theil(...)``: rows by period, ``term`` within, between, transvariation, total;
        one source. Rows of regions and of pairs of regions are not shown.
    label : str
        What is unequal, for the vertical axis (``energy use per person``).
    time_unit : str
        Name of the horizontal axis.
    width, path
        As in :func:`bayes.plots.event_study`.

    Notes
    -----
    Bars end at the total, whose intervals are drawn where there are any. A cross marks a period without a value.

    Raises
    ------
    SpecificationError
        No row of ``dagum_gini``, ``theil_t`` or ``theil_l`` by period, several of them, no parts, several rows of a part.
    """
    frame = _rows(estimates)
    parts = [part for part in PARTS if part in set(frame["term"])]
    wide = frame.pivot_table("estimate", "period", "term", dropna=False).sort_index()
    with s.style():
        figure, axes = s.canvas(width, 3.5)
        handles, labels = _bars(axes, wide, parts)
        total = frame[frame["term"] == "total"].sort_values("period")
        if len(total):
            handles.append(_total(axes, total))
            levels = s.level_words(total[total["lower"].notna()])
            labels.append(f"total ({levels} interval)" if levels else "total")
        if (lost := wide[parts].isna().any(axis=1)).any():
            p.mark_missing(axes, wide.index[lost].to_numpy())
            handles.append(p.missing_handle())
            labels.append("no value")
        axes.set_ylim(bottom=0)
        axes.locator_params(axis="y", nbins=6)
        axes.yaxis.set_major_formatter(d.plain_number)
        axes.grid(axis="y", color=s.FAINT, linewidth=0.6, zorder=0)
        axes.set_axisbelow(True)
        p.time_axis(axes, wide.index.to_numpy(), width - 0.6)
        words = INDICES[frame["estimand"].iloc[0]]
        axes.set_ylabel(s.wrap(f"{words} of {label}" if label else words, 36))
        axes.set_xlabel(time_unit)
        s.top_legend(figure, handles, labels, width)
        return s.finish(figure, path)


def _rows(estimates: Any) -> pd.DataFrame:
    p.require_estimates(estimates, "bayes.measure.dagum_gini(...)")
    frame = estimates.frame
    frame = frame[frame["estimand"].isin(list(INDICES)) & frame["period"].notna() & (frame["region"] == "")]
    present = list(dict.fromkeys(frame["estimand"]))
    if not present:
        raise SpecificationError(f"No row is an index of inequality by period ({', '.join(INDICES)}). Give bayes.measure.dagum_gini(...).")
    if len(present) > 1:
        raise SpecificationError(f"A figure shows one index, not {', '.join(present)}: choose one with .where(estimand={present[0]!r}).")
    d.refuse_repeated(frame, ["term", "period"], "Give one source.")
    if not frame["term"].isin(list(PARTS)).any():
        raise SpecificationError("There are totals only, no parts: a decomposition needs a panel with regions.")
    return frame


def _bars(axes: Axes, wide: pd.DataFrame, parts: list[str]) -> tuple[list[Any], list[str]]:
    from matplotlib.patches import Patch

    x = wide.index.to_numpy(dtype=float)
    step = np.diff(x).min() if len(x) > 1 else 1.0
    floor = np.zeros(len(x))
    for part in parts:
        height = np.nan_to_num(wide[part].to_numpy(dtype=float))
        axes.bar(x, height, bottom=floor, width=0.82 * step, color=PARTS[part][1], linewidth=0, zorder=2)
        floor = floor + height
    shown = parts[::-1]  # the legend reads from the top of the stack
    return [Patch(facecolor=PARTS[part][1]) for part in shown], [PARTS[part][0] for part in shown]


def _total(axes: Axes, total: pd.DataFrame) -> Any:
    from matplotlib.lines import Line2D

    x, middle, low, high = (total[column].to_numpy(dtype=float) for column in ("period", "estimate", "lower", "upper"))
    axes.vlines(x, low, high, color=s.INK, linewidth=1.3, zorder=4)
    axes.plot(x, middle, color=s.INK, marker="o", markersize=3.5, linewidth=1.3, zorder=5)
    return Line2D([], [], color=s.INK, marker="o", markersize=3.5, linewidth=1.3)

"""Efficiency by unit: a ranked dot plot, grouped or coloured by region."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.plots import _dots as d
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NAMED = 80
_LINE = 0.152
"""Inches for a named unit."""
_GAP = 0.8
"""Empty rows between two regions."""


@checked
def efficiency(
    estimates: Any, order: str = "region", label: str = "efficiency", width: float = 7.0, path: str | Path | None = None
) -> Figure:
    """Efficiency of every unit with its interval, most efficient first.

    Parameters
    ----------
    estimates : Estimates
        One row a unit, for example ``fit.efficiency("unit")``; one source.
    order : "region" or "rank"
        ``region``: units within their region, regions by their mean, which a thin line marks. ``rank``: all units in one list, coloured by
        region where there are at most eight.
    label : str
        What is shown, for the horizontal axis.
    width, path
        As in :func:`bayes.plots.event_study`.

    Notes
    -----
    Above 80 units their names are left out.

    Raises
    ------
    SpecificationError
        An unknown order, no row with a unit, or several rows of a unit.
    """
    if order not in ("region", "rank"):
        raise SpecificationError(f"order={order!r} does not exist. Choose 'region' or 'rank'.")
    frame = _units(estimates)
    grouped = order == "region" and len(set(frame["region"])) > 1
    frame = _placed(frame, grouped)
    named = len(frame) <= _MOST_NAMED
    with s.style():
        rows = frame["y"].max() + 1
        figure, axes = s.canvas(width, 0.95 + (rows * _LINE if named else min(0.05 * rows, 9.0)))
        colours = _colours(frame, grouped)
        axes.hlines(frame["y"], frame["lower"], frame["upper"], color=frame["region"].map(colours), linewidth=1.4, zorder=3)
        axes.scatter(frame["estimate"], frame["y"], color=frame["region"].map(colours), s=17 if named else 5, zorder=5, linewidths=0)
        if grouped:
            _mark_regions(axes, frame, width)
        _finish_axes(axes, frame, label, named)
        if not grouped and len(set(colours.values())) > 1:
            from matplotlib.lines import Line2D

            handles = [Line2D([], [], color=colour, marker="o", linewidth=1.4, markersize=4.5) for colour in colours.values()]
            s.top_legend(figure, handles, list(colours), width)
        return s.finish(figure, path)


def _units(estimates: Any) -> pd.DataFrame:
    if not isinstance(estimates, Estimates):
        raise SpecificationError(f"Expected bayes.Estimates, for example fit.efficiency('unit'), got {type(estimates).__name__}.")
    frame = estimates.frame[(estimates.frame["unit"] != "") & estimates.frame["estimate"].notna()]
    if frame.empty:
        raise SpecificationError("No estimate has a unit. Give rows by unit, for example fit.efficiency('unit').")
    d.refuse_repeated(frame, ["unit"], "Give one row a unit, for example fit.efficiency('unit'), and one source.")
    return frame


def _placed(frame: pd.DataFrame, grouped: bool) -> pd.DataFrame:
    """Rows in the order drawn, with their vertical place in ``y``."""
    if not grouped:
        out = frame.sort_values("estimate", ascending=False)
        return out.assign(y=np.arange(len(out), dtype=float))
    mean = frame.groupby("region")["estimate"].transform("mean")
    out = frame.assign(mean=mean).sort_values(["mean", "region", "estimate"], ascending=[False, True, False])
    new = (out["region"] != out["region"].shift()).cumsum() - 1
    return out.assign(y=np.arange(len(out)) + _GAP * new.to_numpy())


def _colours(frame: pd.DataFrame, grouped: bool) -> dict[str, str]:
    regions = list(dict.fromkeys(frame["region"]))
    palette = (s.POSTERIOR, *s.PALETTE)
    if grouped or len(regions) > len(palette):
        return dict.fromkeys(regions, s.POSTERIOR)
    return dict(zip(regions, palette, strict=False))


def _mark_regions(axes: Axes, frame: pd.DataFrame, width: float) -> None:
    for region, part in frame.groupby("region", sort=False):
        top, bottom = part["y"].min() - 0.5, part["y"].max() + 0.5
        axes.vlines(part["estimate"].mean(), top, bottom, color=s.MUTED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=2)
        axes.axhspan(top, bottom, color=s.WASH, zorder=0, linewidth=0)
        words = s.wrap(str(region), 14 if width > s.NARROW else 9)
        lines = words.split("\n")
        room = max(1, int((bottom - top) * _LINE / 0.125))  # lines of 8 points that fit beside the region's rows
        words = "\n".join(lines) if len(lines) <= room + 1 else " ".join(lines)
        axes.text(1.015, (top + bottom) / 2, words, transform=axes.get_yaxis_transform(), va="center", fontsize=8)


def _finish_axes(axes: Axes, frame: pd.DataFrame, label: str, named: bool) -> None:
    axes.set_yticks(frame["y"] if named else [], [s.wrap(str(u), 22).split("\n")[0] for u in frame["unit"]] if named else [], fontsize=8)
    axes.set_ylim(frame["y"].max() + 0.7, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color="white" if len(set(frame["region"])) > 1 else s.FAINT, linewidth=0.8, zorder=1)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=6)
    axes.xaxis.set_major_formatter(d.plain_number)
    if axes.get_xlim()[1] > 1:
        axes.set_xlim(right=1.0 + 0.01 * (1 - axes.get_xlim()[0]))
        axes.axvline(1, color=s.MUTED, linewidth=0.9, zorder=1)
    axes.set_xlabel(f"{label} (1 = on the frontier)" if label == "efficiency" else label)
    levels = s.level_words(frame)
    what = "units" if len(frame) > 1 else "unit"
    axes.set_title(f"{len(frame)} {what}, {levels} intervals" if levels else "", loc="right", fontsize=8, color=s.MUTED, pad=3)

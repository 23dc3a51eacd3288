"""Productivity change and its parts: by region as points, over time as lines with bands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.plots import _dots as d
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = {"tc": "technical change", "ec": "efficiency change", "sec": "scale change", "tfpc": "total productivity"}
_LOOKS = {"tc": (s.PALETTE[1], (0, (4, 1.5))), "ec": (s.PALETTE[0], (0, (1.2, 1.2))), "sec": (s.PALETTE[2], (0, (5, 1, 1, 1)))}
"""Colour and dashes of the parts beside total productivity, which is drawn in full with its band."""


def productivity(estimates: Any, time_unit: str = "periods", width: float = 7.0, path: str | Path | None = None) -> Figure:
    """Technical, efficiency, scale and total factor productivity change, as percentages: 100·(index − 1).

    Parameters
    ----------
    estimates : Estimates
        ``fit.productivity(by)``. Without periods (``region``, ``unit``, ``all``): a panel a part and a row a group. With periods, cumulated
        or not: a panel a region (or one for all) with the parts as lines and the interval of total productivity as a band.
    time_unit : str
        What one period is (``years``).
    width, path
        As in :func:`bayes.plots.event_study`.

    Raises
    ------
    SpecificationError
        No row of ``tc``, ``ec``, ``sec`` or ``tfpc``, several rows for a point, or more than 40 panels.
    """
    if not isinstance(estimates, Estimates):
        raise SpecificationError(f"Expected bayes.Estimates, for example fit.productivity('region'), got {type(estimates).__name__}.")
    frame = estimates.frame[estimates.frame["estimand"].isin(list(PARTS))]
    if frame.empty:
        raise SpecificationError("No row is an index of productivity (tc, ec, sec, tfpc). Give fit.productivity('region').")
    by = "unit" if (frame["unit"] != "").any() else "region"
    d.refuse_repeated(frame, ["estimand", by, "period"], "Give one source, and either yearly or cumulative changes.")
    with s.style():
        draw = _over_time if frame["period"].notna().any() else _by_group
        return s.finish(draw(frame, by, time_unit, width), path)


def _by_group(frame: pd.DataFrame, by: str, time_unit: str, width: float) -> Figure:
    overall = (frame[by] == "").any()
    frame = frame.assign(**{by: frame[by].replace("", "all")})
    groups = d.groups_of([frame[frame["estimand"] == "tfpc"], frame], by)
    if overall:
        groups = [*(g for g in groups if g != "all"), "all"]
    parts = [part for part in PARTS if part in set(frame["estimand"])]
    figure, axes = d.panel_grid(width, len(parts), groups)
    for panel, part in zip(axes, parts, strict=True):
        s.zero_line(panel, vertical=True)
        d.dots(panel, [("", frame[frame["estimand"] == part])], groups, by, scale=100.0, shift=1.0)
        panel.set_title(PARTS[part], loc="left", fontsize=8.5, pad=3)
    limits = np.array([panel.get_xlim() for panel in axes])  # one range, so that the parts can be compared by eye
    for panel in axes:
        panel.set_xlim(limits[:, 0].min(), limits[:, 1].max())
    figure.supxlabel(f"% per {_one(time_unit)}{_levels(frame)}", fontsize=8.5, color=s.INK)
    return figure


def _over_time(frame: pd.DataFrame, by: str, time_unit: str, width: float) -> Figure:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    groups = list(dict.fromkeys(frame[by]))
    if len(groups) > 40:
        raise SpecificationError(f"{len(groups)} panels are too many to read: choose units with .where(unit=[...]) or group by region.")
    columns = min(len(groups), 3 if width > s.NARROW else 2)
    lines = -(-len(groups) // columns)
    tall = 2.9 if len(groups) == 1 else 1.45
    figure, axes = s.canvas(width, 0.75 + tall * lines, lines, columns, squeeze=False, sharex=True, sharey=True)
    parts = [part for part in _LOOKS if part in set(frame["estimand"])]
    for panel, group in zip(axes.flat, groups, strict=False):
        s.zero_line(panel)
        _lines(panel, frame[frame[by] == group], parts)
        panel.set_title(s.wrap(str(group), int(13 * width / columns)) if group else "", loc="left", fontsize=8.5, pad=3)
        _time_axis(panel, frame["period"].to_numpy(), width / columns)
    for spare in axes.flat[len(groups) :]:
        spare.set_axis_off()
    for column in range(columns):  # the last drawn panel of a column names the periods, also where the line below is spare
        used = [row for row in range(lines) if row * columns + column < len(groups)]
        axes[used[-1], column].tick_params(labelbottom=True)
    cumulative = (frame["variant"] == "cumulative").any()
    words = f"% since {frame['period'].min():g}" if cumulative else f"% per {_one(time_unit)}"
    figure.supylabel(f"{words}{_levels(frame)}", fontsize=8.5, color=s.INK)
    handles = [(Patch(facecolor=s.POSTERIOR, alpha=0.2), Line2D([], [], color=s.POSTERIOR, linewidth=1.8))]
    handles += [Line2D([], [], color=_LOOKS[part][0], linestyle=_LOOKS[part][1], linewidth=1.5) for part in parts]
    s.top_legend(figure, handles, [PARTS["tfpc"], *(PARTS[part] for part in parts)], width)
    return figure


def _lines(axes: Axes, frame: pd.DataFrame, parts: list[str]) -> None:
    total = frame[frame["estimand"] == "tfpc"].sort_values("period")
    x = total["period"].to_numpy()
    axes.fill_between(x, 100 * (total["lower"] - 1), 100 * (total["upper"] - 1), color=s.POSTERIOR, alpha=0.2, linewidth=0, zorder=2)
    axes.plot(x, 100 * (total["estimate"] - 1), color=s.POSTERIOR, linewidth=1.8, zorder=5)
    for part in parts:
        here = frame[frame["estimand"] == part].sort_values("period")
        colour, dashes = _LOOKS[part]
        axes.plot(here["period"], 100 * (here["estimate"] - 1), color=colour, linestyle=dashes, linewidth=1.4, zorder=4)
    axes.locator_params(axis="y", nbins=5)
    axes.yaxis.set_major_formatter(d.plain_number)


def _time_axis(axes: Axes, periods: np.ndarray, width: float) -> None:
    """Whole periods, as many labels as the panel has room for."""
    low, high = int(np.floor(periods.min())), int(np.ceil(periods.max()))
    room = max(2, int(width / 0.55))
    steps = np.array([1, 2, 5, 10, 20, 25, 50, 100])
    step = int(steps[min(np.searchsorted(steps, (high - low) / room), len(steps) - 1)])
    axes.set_xticks(np.arange(-(-low // step) * step, high + 1, step))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")


def _one(time_unit: str) -> str:
    """``years`` → ``year``."""
    return time_unit.removesuffix("s") or time_unit


def _levels(frame: pd.DataFrame) -> str:
    words = s.level_words(frame)
    return f" ({words} intervals)" if words else ""

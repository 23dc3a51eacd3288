"""What the figures of measurement share: small multiples, axes of periods and indices, labels moved apart, marks for lost values."""

from __future__ import annotations

from collections.abc import Sequence
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

MOST_PANELS = 40
HATCH = "/////"
MISSING = {"facecolor": "#EFEFEF", "edgecolor": "#9A9A9A", "hatch": HATCH, "linewidth": 0.0}
"""How a value that does not exist is drawn, in a cell and in the legend."""


def require_estimates(estimates: Any, example: str) -> None:
    """Raise :class:`SpecificationError` for anything but estimates."""
    if not isinstance(estimates, Estimates):
        raise SpecificationError(f"Expected bayes.Estimates, for example {example}, got {type(estimates).__name__}.")


def small_multiples(
    width: float, groups: Sequence[str], labels: Sequence[str], tall: float = 1.45, single: float = 2.9
) -> tuple[Figure, list[Axes]]:
    """A titled panel a group, up to three beside each other (two on a phone), with shared axes; spare places stay empty.

    ``labels`` are those of the legend, for which there is room above. Raises :class:`SpecificationError` above 40 panels.
    """
    if len(groups) > MOST_PANELS:
        raise SpecificationError(f"{len(groups)} panels are too many to read: choose units with .where(unit=[...]) or group by region.")
    columns = min(len(groups), 3 if width > s.NARROW else 2)
    lines = -(-len(groups) // columns)
    height = 0.4 + legend_height(labels, width) + (single if len(groups) == 1 else tall) * lines
    figure, axes = s.canvas(width, height, lines, columns, squeeze=False, sharex=True, sharey=True)
    for panel, group in zip(axes.flat, groups, strict=False):
        panel.set_title(s.wrap(str(group), int(13 * width / columns)) if group else "", loc="left", fontsize=8.5, pad=3)
    for spare in axes.flat[len(groups) :]:
        spare.set_axis_off()
    for column in range(columns):  # the last drawn panel of a column names the periods, also where the line below is spare
        used = [row for row in range(lines) if row * columns + column < len(groups)]
        axes[used[-1], column].tick_params(labelbottom=True)
    return figure, list(axes.flat[: len(groups)])


def time_axis(axes: Axes, periods: np.ndarray, width: float) -> None:
    """Whole periods, as many labels as the panel has room for."""
    low, high = int(np.floor(periods.min())), int(np.ceil(periods.max()))
    room = max(2, int(width / 0.55))
    steps = np.array([1, 2, 5, 10, 20, 25, 50, 100])
    step = int(steps[min(np.searchsorted(steps, (high - low) / room), len(steps) - 1)])
    axes.set_xticks(np.arange(-(-low // step) * step, high + 1, step))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")


def index_axis(axes: Axes, direction: str) -> None:
    """A logarithmic axis of an index (a halving is as long as a doubling), labelled by plain numbers, with the line of no change at 1."""
    from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

    vertical = direction == "x"
    (axes.axvline if vertical else axes.axhline)(1, color=s.MUTED, linewidth=0.9, zorder=1)
    (axes.set_xscale if vertical else axes.set_yscale)("log")
    low, high = axes.get_xlim() if vertical else axes.get_ylim()
    axis = axes.xaxis if vertical else axes.yaxis
    steps = 1 + MaxNLocator(4 if vertical else 5).tick_values(low - 1, high - 1)  # from 1 both ways, so that 1 has a label
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if high / low > 5 else FixedLocator(steps[steps > 0]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(d.plain_number)


def mark_missing(axes: Axes, periods: np.ndarray) -> None:
    """A cross at the foot of the panel for each period whose value does not exist."""
    foot = np.full(len(periods), 0.05)
    axes.plot(periods, foot, "x", transform=axes.get_xaxis_transform(), color=s.MUTED, markersize=4.5, zorder=6)


def missing_handle() -> Any:
    """What :func:`mark_missing` draws, for the legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=s.MUTED, marker="x", markersize=4.5, linestyle="none")


def missing_words(frame: pd.DataFrame) -> str:
    """``no solution`` where linear programs have none or nothing is said, otherwise ``no value``."""
    notes = frame.loc[frame["estimate"].isna(), "note"].astype(str)
    programs = notes.str.contains("infeasible|unbounded|solution|not solved") | (notes == "")
    return "no solution" if programs.all() else "no value"


def legend_height(labels: Sequence[str], width: float) -> float:
    """Inches that :func:`bayes.plots._style.top_legend` takes for these labels."""
    return 0.19 * -(-len(labels) // s.columns_that_fit(list(labels), width)) + 0.08


def alone(values: np.ndarray) -> np.ndarray:
    """Values whose neighbours do not exist: a line through them would show nothing."""
    known = np.isfinite(values)
    before, after = np.r_[False, known[:-1]], np.r_[known[1:], False]
    return known & ~before & ~after


def spread(centres: np.ndarray, heights: np.ndarray, low: float, high: float) -> np.ndarray:
    """Places of labels nearest to their ``centres`` (increasing) at which labels of these heights do not overlap.

    They stay between ``low`` and ``high`` where there is room for all.
    """
    from scipy.optimize import isotonic_regression

    offsets = np.r_[0.0, np.cumsum((heights[:-1] + heights[1:]) / 2)]
    places = isotonic_regression(centres - offsets).x
    first, last = low + heights[0] / 2, high - heights[-1] / 2 - offsets[-1]
    return np.clip(places, first, max(first, last)) + offsets


def ink_on(face: Any) -> str:
    """Colour of letters on a tile of this colour."""
    return "white" if np.dot(face[:3], [0.299, 0.587, 0.114]) < 0.55 else s.INK

"""Points with intervals, one row a group and one panel a quantity: what the figures of frontiers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.errors import SpecificationError
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Source = tuple[str, pd.DataFrame]
"""Name of a source and its rows."""


def panel_grid(width: float, n_panels: int, groups: Sequence[str], n_sources: int = 1, most: int = 4) -> tuple[Figure, list[Axes]]:
    """Canvas of panels that share their rows, which the groups name at the left of each line; figure and axes, spare ones switched off."""
    columns = min(n_panels, most if width > s.NARROW else 2)
    lines = -(-n_panels // columns)
    names = [s.wrap(name, 20 if width > s.NARROW else 12) for name in groups]
    tallest = max(name.count("\n") + 1 for name in names)
    height = 0.5 + 0.22 * n_sources + lines * (0.55 + len(groups) * max(0.2, 0.14 * tallest + 0.03, 0.12 * n_sources))
    figure, axes = s.canvas(width, max(height, 2.0), lines, columns, squeeze=False, sharey=True)
    for spare in axes.flat[n_panels:]:
        spare.set_axis_off()
    for first in axes[:, 0]:
        first.set_yticks(range(len(groups)), names, fontsize=8)
    return figure, list(axes.flat[:n_panels])


def dots(axes: Axes, sources: Sequence[Source], groups: Sequence[str], by: str, scale: float = 1.0, shift: float = 0.0) -> list[Any]:
    """Draw each source's rows at the groups' places, moved apart so that none hides another; returns the legend's handles.

    Values are shown as ``scale × (value − shift)``: an index as a percentage.
    """
    from matplotlib.lines import Line2D

    handles = []
    for number, (_, frame) in enumerate(sources):
        colour, marker = look(number)
        place = (number - (len(sources) - 1) / 2) * 0.62 / len(sources)
        shown = frame[frame[by].isin(groups) & frame["estimate"].notna()]
        y = np.array([list(groups).index(name) for name in shown[by]]) + place
        middle, low, high = (scale * (shown[column].to_numpy(dtype=float) - shift) for column in ("estimate", "lower", "upper"))
        known = np.isfinite(low) & np.isfinite(high)
        axes.hlines(y[known], low[known], high[known], color=colour, linewidth=1.5, zorder=3)
        axes.plot(middle, y, marker=marker, color=colour, markersize=4.8, linestyle="none", zorder=5)
        handles.append(Line2D([], [], color=colour, marker=marker, linewidth=1.5, markersize=4.8))
    axes.set_ylim(len(groups) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=s.FAINT, linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter(plain_number)
    return handles


def look(number: int) -> tuple[str, str]:
    """Colour and marker of a source: the first is the posterior's."""
    if number == 0:
        return s.POSTERIOR, "o"
    return s.PALETTE[(number - 1) % len(s.PALETTE)], s.MARKERS[(number - 1) % len(s.MARKERS)]


def plain_number(value: float, _: Any = None) -> str:
    """A tick label without needless zeros, with a true minus."""
    return f"{value:.6g}".replace("-", "−")


def groups_of(frames: Sequence[pd.DataFrame], by: str) -> list[str]:
    """Named groups in order of the first source's mean, highest first. Raises :class:`SpecificationError` when there is none."""
    order: dict[str, None] = {}
    for frame in frames:
        named = frame[frame[by].astype(str) != ""]
        order.update(dict.fromkeys(named.groupby(by)["estimate"].mean().sort_values(ascending=False).index))
    if not order:
        raise SpecificationError(f"No estimate has a {by}: give rows by {by}.")
    return list(order)


def refuse_repeated(frame: pd.DataFrame, keys: list[str], remedy: str) -> None:
    """Raise :class:`SpecificationError` when a point would be drawn twice."""
    repeated = frame.duplicated(keys)
    if repeated.any():
        first = frame[repeated].iloc[0]
        named = [(key, first[key]) for key in keys if first[key] != "" and not pd.isna(first[key])]
        where = ", ".join(f"{key} {value!r}" if isinstance(value, str) else f"{key} {value:g}" for key, value in named)
        raise SpecificationError(f"There are several estimates for {where}. {remedy}")

"""Treatment timing: who is treated when, region by region."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_UNITS = 80
_MISSING, _UNTREATED, _TREATED = 0, 1, 2


def treatment_timing(panel: Any, width: float = 7.0, path: str | Path | None = None) -> Figure:
    """A tile per unit and period, units ordered by first treated period within their region.

    Parameters
    ----------
    panel : Panel
        With treatment timing.
    width, path
        As in :func:`bayes.plots.event_study`.

    Notes
    -----
    Above 80 units a row is a cohort of a region with its number of units, and white tiles are periods in which none of them is observed.
    """
    tiles, rows = _unit_tiles(panel) if panel.n_units <= _MOST_UNITS else _cohort_tiles(panel)
    line = 0.125 if panel.n_units <= _MOST_UNITS else 0.19
    with s.style():
        figure, axes = s.canvas(width, 1.0 + line * len(rows))
        _draw_tiles(axes, tiles)
        _label_rows(axes, rows, 8.0 if line > 0.15 else 8.0, width)
        _label_periods(axes, panel.periods, width)
        s.top_legend(figure, *_legend(bool((tiles == _MISSING).any())), width)
        return s.finish(figure, path)


def _observed(panel: Any) -> np.ndarray:
    """Shape (n_units, n_periods): observed or not."""
    seen = np.zeros((panel.n_units, panel.n_periods), dtype=bool)
    seen[panel.unit_codes, panel.period_codes] = True
    return seen


def _order(panel: Any) -> pd.DataFrame:
    """One row per unit: region, first treated period, label; region order by name, cohorts by date, never treated last."""
    frame = pd.DataFrame({"region": panel.regions[panel.unit_regions], "first": panel.unit_first_treated, "label": panel.units.astype(str)})
    return frame.sort_values(["region", "first", "label"])


def _unit_tiles(panel: Any) -> tuple[np.ndarray, pd.DataFrame]:
    rows = _order(panel)
    state = np.where(panel.periods[None, :] >= panel.unit_first_treated[:, None], _TREATED, _UNTREATED)
    return np.where(_observed(panel), state, _MISSING)[rows.index.to_numpy()], rows


def _cohort_tiles(panel: Any) -> tuple[np.ndarray, pd.DataFrame]:
    units, seen = _order(panel), _observed(panel)
    tiles, rows = [], []
    for (region, first), members in units.groupby(["region", "first"], sort=True):
        any_seen = seen[members.index.to_numpy()].any(axis=0)
        tiles.append(np.where(any_seen, np.where(panel.periods >= first, _TREATED, _UNTREATED), _MISSING))
        name = "never" if np.isinf(first) else f"{first:g}"
        rows.append((region, first, f"{name} ({len(members)} unit{'s' if len(members) > 1 else ''})"))
    return np.array(tiles), pd.DataFrame(rows, columns=["region", "first", "label"])


def _draw_tiles(axes: Axes, tiles: np.ndarray) -> None:
    from matplotlib.colors import ListedColormap

    axes.pcolormesh(tiles, cmap=ListedColormap(["white", "#DCE3E8", s.POSTERIOR]), vmin=0, vmax=2, edgecolors="white", linewidth=0.8)
    axes.invert_yaxis()
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)


def _label_rows(axes: Axes, rows: pd.DataFrame, size: float, width: float) -> None:
    axes.set_yticks(np.arange(len(rows)) + 0.5, [s.wrap(label, 26).split("\n")[0] for label in rows["label"]], fontsize=size)
    regions = rows["region"].to_numpy()
    starts = np.flatnonzero(np.r_[True, regions[1:] != regions[:-1]])
    ends = np.r_[starts[1:], len(rows)]
    if len(starts) == 1:
        return
    for start, end in zip(starts, ends, strict=True):
        axes.axhline(start, color=s.INK, linewidth=0.8, clip_on=False, xmin=0, xmax=1.01)
        axes.text(1.015, (start + end) / 2, s.wrap(regions[start], 14 if width > s.NARROW else 11), transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)


def _label_periods(axes: Axes, periods: np.ndarray, width: float) -> None:
    every = max(1, int(np.ceil(len(periods) / (width * 1.7))))
    axes.set_xticks(np.arange(len(periods))[::every] + 0.5, [f"{t}" for t in periods[::every]])


def _legend(missing: bool) -> tuple[list[Any], list[str]]:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor="#DCE3E8"), Patch(facecolor=s.POSTERIOR)]
    labels = ["not (yet) treated", "treated"]
    if missing:
        handles.append(Patch(facecolor="white", edgecolor=s.MUTED))
        labels.append("not observed")
    return handles, labels

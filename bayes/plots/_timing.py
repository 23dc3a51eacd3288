"""Treatment timing: who is treated when, region by region."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_UNITS = 80
_MISSING, _UNTREATED, _TREATED = 0, 1, 2
_CALM = "#DCE3E8"


@checked
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
    s.require("panel", panel, ("units", "periods", "unit_first_treated"), "a bayes.Panel")
    tiles, rows = _unit_tiles(panel) if panel.n_units <= _MOST_UNITS else _cohort_tiles(panel)
    line = 0.13 if panel.n_units <= _MOST_UNITS else 0.19
    with s.style():
        figure, axes = s.canvas(width, 1.0 + line * len(rows))
        _draw_tiles(axes, tiles)
        _label_rows(axes, rows, width)
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
    """Runs of equal tiles as one bar each, cut by white lines: a fifth of the size of single tiles in a vector file."""
    rows, columns = tiles.shape
    for state, colour in ((_UNTREATED, _CALM), (_TREATED, s.POSTERIOR)):
        bars = [bar for row in range(rows) for bar in _runs(tiles[row] == state, row)]
        if bars:
            y, start, length = np.array(bars).T
            axes.barh(y + 0.5, length, left=start, height=1.0, color=colour, linewidth=0)
    axes.vlines(np.arange(1, columns), 0, rows, color="white", linewidth=0.8)
    axes.hlines(np.arange(1, rows), 0, columns, color="white", linewidth=0.8)
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)


def _runs(on: np.ndarray, row: int) -> list[tuple[int, int, int]]:
    """Row, start and length of each run of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, on, False].astype(int)))
    return [(row, start, end - start) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _label_rows(axes: Axes, rows: pd.DataFrame, width: float) -> None:
    axes.set_yticks(np.arange(len(rows)) + 0.5, [s.wrap(label, 26).split("\n")[0] for label in rows["label"]], fontsize=8)
    regions = rows["region"].to_numpy()
    starts = np.flatnonzero(np.r_[True, regions[1:] != regions[:-1]])
    ends = np.r_[starts[1:], len(rows)]
    if len(starts) == 1:
        return
    for start, end in zip(starts, ends, strict=True):
        axes.axhline(start, color=s.INK, linewidth=0.8, clip_on=False, xmin=0, xmax=1.01)
        axes.text(
            1.015,
            (start + end) / 2,
            s.wrap(regions[start], 14 if width > s.NARROW else 11),
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8.5,
        )


def _label_periods(axes: Axes, periods: np.ndarray, width: float) -> None:
    every = max(1, int(np.ceil(len(periods) / (width * 1.7))))
    axes.set_xticks(np.arange(len(periods))[::every] + 0.5, [f"{t}" for t in periods[::every]])


def _legend(missing: bool) -> tuple[list[Any], list[str]]:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=_CALM), Patch(facecolor=s.POSTERIOR)]
    labels = ["not (yet) treated", "treated"]
    if missing:
        handles.append(Patch(facecolor="white", edgecolor=s.MUTED))
        labels.append("not observed")
    return handles, labels

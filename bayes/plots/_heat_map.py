"""Heat map: a quantity of every unit in every period."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.plots import _dots as d
from bayes.plots import _panels as p
from bayes.plots import _style as s
from bayes.plots._productivity import PARTS
from bayes.plots._tile_map import SHADES, us_state_codes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NAMED = 80
_LINE = 0.152
"""Inches for a named unit."""
_HEIGHT = 8.5
"""Inches for all units where they are too many to be named."""
_GAP = 0.06
"""Inches between two regions."""
_BOTH_WAYS = ("#9C3D00", "#E8A070", "#ECECE8", "#7FB2D6", "#00507F")
"""Below and above a neutral value: orange and blue."""
_UNSEEN = {"facecolor": "white", "edgecolor": s.FAINT, "linewidth": 0.6}
INDICES = {**PARTS, "malmquist": "Malmquist index", "tfpc": PARTS["total"]}
"""Estimands for which 1 is no change, in words."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Values of units (rows, top first) in periods (columns, calendar grid), NaN where there is none.

    ``lost`` marks rows of the table without a value; a cell that is neither known nor lost was not observed. ``y`` is the place of each
    unit in inches from the top, ``line`` its height.
    """

    values: np.ndarray
    lost: np.ndarray
    periods: np.ndarray
    units: list[str]
    regions: list[str]
    y: np.ndarray
    line: float


@checked
def heat_map(
    estimates: Any,
    estimand: str | None = None,
    order: str = "region",
    label: str = "",
    neutral: float | None = None,
    width: float = 7.0,
    path: str | Path | None = None,
) -> Figure:
    """A coloured cell for each unit and period.

    Parameters
    ----------
    estimates : Estimates
        One row a unit and period, for example ``bayes.measure.dea(...)`` or ``fit.efficiency("unit:period")``; one source.
    estimand : str, optional
        Which quantity; by default the first that has units and periods. Of an index with dimensions, ``overall``, unless they are chosen by
        ``.where(term=...)``.
    order : "region" or "mean"
        ``region``: units within their region, regions by their mean, highest first. ``mean``: all units in one list by their mean.
    label : str
        What the colours show, with its unit; the estimand by default.
    neutral : float, optional
        Value on whose two sides the colours differ; 1 by default for indices of change. Values far outside the others (three interquartile
        ranges beyond the quartiles) have the colour of the end of the bar, which then has an arrow.
    width, path
        As in :func:`bayes.plots.event_study`.

    Notes
    -----
    A row without a value is a hatched cell (``no solution``); a unit that is not observed in a period leaves it white. Above 80 units
    regions are named instead of units, and US states have their postal codes below 5 inches.

    Raises
    ------
    SpecificationError
        An unknown order or estimand, no row with unit and period, no finite value, or several rows for a cell.
    """
    if order not in ("region", "mean"):
        raise SpecificationError(f"order={order!r} does not exist. Choose 'region' or 'mean'.")
    frame = _cells(estimates, estimand)
    shown = frame["estimand"].iloc[0]
    grouped = order == "region" and len(set(frame["region"])) > 1
    matrix = _matrix(frame, grouped)
    with s.style():
        regions = _runs(matrix.regions) if grouped else []
        height = max(matrix.y[-1] + matrix.line, 0.14 * len(regions) if len(matrix.units) > _MOST_NAMED else 0.0)
        figure, axes = s.canvas(width, 1.35 + height)
        scale, extend = _scale(matrix.values, 1.0 if neutral is None and shown in INDICES else neutral)
        _draw(axes, matrix, scale)
        _name_rows(axes, matrix, regions, width, height)
        p.time_axis(axes, matrix.periods, 0.6 * width)
        axes.set_xlim(matrix.periods[0] - 0.5 * _step(matrix.periods), matrix.periods[-1] + 0.5 * _step(matrix.periods))
        bar = figure.colorbar(scale, ax=axes, location="top", shrink=0.85, aspect=40, pad=0.012, extend=extend, extendfrac=0.03)
        bar.outline.set_visible(False)
        bar.set_label(label or _words(shown), fontsize=8.5, labelpad=4)
        bar.ax.locator_params(axis="x", nbins=5)
        bar.ax.xaxis.set_major_formatter(d.plain_number)
        _legend(figure, frame, matrix, width)
        return s.finish(figure, path)


def _cells(estimates: Any, estimand: str | None) -> pd.DataFrame:
    p.require_estimates(estimates, "bayes.measure.dea(...)")
    frame = estimates.frame[(estimates.frame["unit"] != "") & estimates.frame["period"].notna()]
    present = list(dict.fromkeys(frame["estimand"]))
    if not present:
        raise SpecificationError(
            "No estimate has a unit and a period. Give rows by unit and period, for example fit.efficiency('unit:period')."
        )
    if estimand is not None and estimand not in present:
        raise SpecificationError(f"estimand={estimand!r} has no rows by unit and period. Present: {', '.join(present)}.")
    frame = frame[frame["estimand"] == (estimand or present[0])]
    if len(set(frame["term"])) > 1 and (frame["term"] == "overall").any():
        frame = frame[frame["term"] == "overall"]
    d.refuse_repeated(frame, ["unit", "period"], "A cell shows one number: choose a term, a variant and a source with .where().")
    if not np.isfinite(frame["estimate"]).any():
        raise SpecificationError(f"Nothing to show: no row of {frame['estimand'].iloc[0]!r} has a finite value.")
    return frame


def _matrix(frame: pd.DataFrame, grouped: bool) -> Matrix:
    units = frame.groupby("unit", sort=False).agg(region=("region", "first"), mean=("estimate", "mean")).reset_index()
    units["of_region"] = units["region"].map(frame.groupby("region")["estimate"].mean()) if grouped else 0.0
    units["region"] = units["region"] if grouped else ""
    units = units.sort_values(["of_region", "region", "mean"], ascending=[False, True, False], kind="stable", na_position="last")
    found = np.unique(frame["period"].to_numpy())
    periods = np.arange(found[0], found[-1] + _step(found) / 2, _step(found))
    row = pd.Index(units["unit"]).get_indexer(frame["unit"])
    column = np.rint((frame["period"].to_numpy() - periods[0]) / _step(found)).astype(int)
    values, listed = np.full((len(units), len(periods)), np.nan), np.zeros((len(units), len(periods)), dtype=bool)
    values[row, column], listed[row, column] = frame["estimate"], True
    line = _LINE if len(units) <= _MOST_NAMED else min(_HEIGHT / len(units), 0.105)
    breaks = (units["region"] != units["region"].shift()).cumsum().to_numpy() - 1
    y = line * np.arange(len(units)) + (2 * _GAP if line == _LINE else _GAP) * breaks
    return Matrix(values, listed & ~np.isfinite(values), periods, list(units["unit"]), list(units["region"]), y, line)


def _step(periods: np.ndarray) -> float:
    """Distance of neighbouring periods on the calendar grid."""
    return float(np.gcd.reduce(np.rint(np.diff(periods)).astype(int))) if len(periods) > 1 else 1.0


def _runs(regions: list[str]) -> list[tuple[str, int, int]]:
    """Name, first and last row of each region."""
    starts = [k for k in range(len(regions)) if k == 0 or regions[k] != regions[k - 1]]
    return [(regions[a], a, b - 1) for a, b in zip(starts, [*starts[1:], len(regions)], strict=True)]


def _scale(values: np.ndarray, neutral: float | None) -> tuple[Any, str]:
    """Colours of values, and at which ends of the bar some lie beyond."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    first, third = np.quantile(known, [0.25, 0.75])
    if third > first:
        low, high = max(low, first - 3 * (third - first)), min(high, third + 3 * (third - first))
    if neutral is not None:
        far = max(abs(low - neutral), abs(high - neutral))
        low, high = neutral - far, neutral + far
    margin = 0.005 * max(abs(low), 1e-6) if high - low < 1e-12 else 0.0
    colours = LinearSegmentedColormap.from_list("cells", SHADES if neutral is None else _BOTH_WAYS)
    below, above = bool((known < low - 1e-12).any()), bool((known > high + 1e-12).any())
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]
    return ScalarMappable(Normalize(low - margin, high + margin), colours), extend


def _draw(axes: Axes, matrix: Matrix, scale: Any) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    step = _step(matrix.periods)
    edges = np.r_[matrix.periods - step / 2, matrix.periods[-1] + step / 2]
    for _, first, last in _runs(matrix.regions):
        rows = slice(first, last + 1)
        sides = np.r_[matrix.y[rows] - matrix.line / 2, matrix.y[last] + matrix.line / 2]
        cells = np.ma.masked_invalid(matrix.values[rows])
        lines = {"edgecolors": "white", "linewidth": 0.4} if matrix.line == _LINE else {"linewidth": 0, "rasterized": True}
        axes.pcolormesh(edges, sides, cells, cmap=scale.cmap, norm=scale.norm, **lines)
    unseen = ~np.isfinite(matrix.values) & ~matrix.lost
    for cells, look in ((matrix.lost, p.MISSING), (unseen, _UNSEEN)):
        corners = [(matrix.periods[column] - step / 2, matrix.y[row] - matrix.line / 2) for row, column in np.argwhere(cells)]
        if corners:
            axes.add_collection(PatchCollection([Rectangle(corner, step, matrix.line) for corner in corners], **look, zorder=3))


def _name_rows(axes: Axes, matrix: Matrix, regions: list[tuple[str, int, int]], width: float, height: float) -> None:
    named = len(matrix.units) <= _MOST_NAMED
    codes = us_state_codes(matrix.units) if width <= s.NARROW else None
    names = [(codes or {}).get(unit) or s.wrap(unit, 22).split("\n")[0] for unit in matrix.units] if named else []
    axes.set_yticks(matrix.y if named else [], names, fontsize=8)
    axes.set_ylim(max(matrix.y[-1], height - 1.5 * matrix.line) + 0.5 * matrix.line, -0.5 * matrix.line)
    axes.tick_params(axis="y", length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    if not named and not regions:
        axes.set_ylabel(f"{len(matrix.units)} units, highest mean first")
    if not regions:
        return
    words = [s.wrap(name or "no region", 16 if width > s.NARROW else 10) for name, _, _ in regions]
    centres = np.array([(matrix.y[first] + matrix.y[last]) / 2 for _, first, last in regions])
    heights = np.array([0.135 * (word.count("\n") + 1) + 0.02 for word in words])
    places = p.spread(centres, heights, *sorted(axes.get_ylim()))
    across = axes.get_yaxis_transform()
    for word, place, (_, first, last) in zip(words, places, regions, strict=True):
        top, bottom = matrix.y[first] - 0.42 * matrix.line, matrix.y[last] + 0.42 * matrix.line
        axes.plot([1.008, 1.008], [top, bottom], transform=across, color=s.MUTED, linewidth=1.2, clip_on=False, solid_capstyle="butt")
        axes.plot([1.012, 1.03], [(top + bottom) / 2, place], transform=across, color=s.MUTED, linewidth=0.6, clip_on=False)
        axes.text(1.038, place, word, transform=across, va="center", fontsize=8)


def _words(estimand: str) -> str:
    return f"{INDICES[estimand]} (1 = no change)" if estimand in INDICES else str(estimand).replace("_", " ")


def _legend(figure: Figure, frame: pd.DataFrame, matrix: Matrix, width: float) -> None:
    from matplotlib.patches import Patch

    handles, labels = [], []
    if count := int(matrix.lost.sum()):
        handles.append(Patch(**p.MISSING))
        labels.append(f"{p.missing_words(frame)} ({count} of {len(frame)})")
    if count := int((~np.isfinite(matrix.values) & ~matrix.lost).sum()):
        handles.append(Patch(**_UNSEEN))
        labels.append(f"not observed ({count})")
    if handles:
        s.top_legend(figure, handles, labels, width)

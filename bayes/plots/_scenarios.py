"""Scenarios of convergence: output and emission of every unit against no convergence, and which scenario is best for whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.frontier.scenario_result import BASELINE, CRITERIA, QUANTITIES, ScenarioResult
from bayes.plots import _dots as d
from bayes.plots import _panels as p
from bayes.plots import _style as s
from bayes.plots._transitions import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_UNITS = 60
_SHADES = ("#FFFFFF", "#8FBBDA", "#0072B2", "#00406B")
_LINE = 0.235
"""Inches of a unit in the decision strip."""


@checked
def scenarios(
    result: Any,
    units: Sequence[str] | None = None,
    labels: tuple[str, str] = QUANTITIES,
    width: float = 7.0,
    path: str | Path | None = None,
) -> Figure:
    """Change of output and of emission under each direction against no convergence, one row a unit, one panel a quantity.

    Parameters
    ----------
    result : ScenarioResult
        ``bayes.scenarios(…)``.
    units : sequence of str, optional
        Only these; all by default, within their regions, the regions and the units with the largest gain of output first.
    labels : (str, str)
        What output and emission are called, for example ("industrial output", "energy").
    width, path
        As in :func:`bayes.plots.event_study`.

    Notes
    -----
    A direction that leaves a quantity as it is, and a leader, have points at zero without an interval; the leader of a panel is named.

    Raises
    ------
    SpecificationError
        Anything but a ScenarioResult, unknown units, or more than 60 of them.
    """
    _require(result)
    order = _ordered(result, units)
    names = list(order["unit"])
    directions = [name for name in result.scenarios if name != BASELINE]
    with s.style():
        figure, panels = d.panel_grid(width, 2, names, len(directions))
        for axes, quantity, label in zip(panels, QUANTITIES, labels, strict=True):
            rows = result.estimates.where(estimand=f"{quantity}_ratio", term="unit", unit=names).frame
            sources = [(name, rows[rows["variant"] == name]) for name in directions]
            handles = d.dots(axes, sources, names, "unit", scale=100, shift=1)
            s.zero_line(axes, vertical=True)
            axes.set_title(s.wrap(label, int(4.5 * width)), loc="left", fontsize=8.5, pad=3)
            _separate(axes, order)
        limits = np.array([axes.get_xlim() for axes in panels])
        for axes, quantity in zip(panels, QUANTITIES, strict=True):  # one range, so that the panels can be compared by eye
            axes.set_xlim(limits[:, 0].min(), limits[:, 1].max())
            _name_leader(axes, names, result.leaders[quantity])
        _name_regions(panels[-1], order, width)
        levels = s.level_words(rows)
        figure.supxlabel(f"% change against {BASELINE}{f', {levels} intervals' if levels else ''}", fontsize=8.5, color=s.INK)
        s.top_legend(figure, handles, directions, width)
        return s.finish(figure, path)


@checked
def scenario_decision(
    result: Any, criterion: str = "distance", units: Sequence[str] | None = None, width: float = 7.0, path: str | Path | None = None
) -> Figure:
    """P(scenario is best) as a strip of cells for each unit, in percent; the criterion stands above.

    Parameters
    ----------
    result : ScenarioResult
        ``bayes.scenarios(…)``.
    criterion : "distance", "output", "emission" or "ratio"
        As in :meth:`ScenarioResult.decision`.
    units, width, path
        As in :func:`bayes.plots.scenarios`.

    Notes
    -----
    A hatched row is a unit that every scenario leaves the same.

    Raises
    ------
    SpecificationError
        As :func:`bayes.plots.scenarios`, and on an unknown criterion.
    """
    _require(result)
    table = result.decision_table(criterion).set_index("unit")
    order = _ordered(result, units)
    table = table.loc[order["unit"], list(result.scenarios)]
    with s.style():
        heading = s.wrap(f"P(best), %; best: {CRITERIA[criterion]}", int(11.5 * width))
        names = [s.wrap(name, max(9, int((width - 2) / len(table.columns) / 0.075))) for name in table.columns]
        tallest = 0.15 * (1 + max(name.count("\n") for name in names))
        figure, axes = s.canvas(width, 0.35 + tallest + 0.15 * (1 + heading.count("\n")) + _LINE * len(table))
        _cells(axes, table.to_numpy())
        axes.set_xticks(range(len(names)), names, fontsize=8)
        axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        axes.set_yticks(range(len(table)), [s.wrap(str(unit), 22).split("\n")[0] for unit in table.index], fontsize=8)
        for spine in axes.spines.values():
            spine.set_visible(False)
        _separate(axes, order)
        _name_regions(axes, order, width)
        figure.suptitle(heading, x=0.01, ha="left", fontsize=8.5)
        return s.finish(figure, path)


def _require(result: Any) -> None:
    if not isinstance(result, ScenarioResult):
        raise SpecificationError(f"Expected the result of bayes.scenarios(…), got {type(result).__name__}.")


def _ordered(result: ScenarioResult, units: Sequence[str] | None) -> pd.DataFrame:
    """unit, region and distance in output, in the order drawn."""
    frame = pd.DataFrame({"unit": result.units, "region": result.regions, "distance": result.distances[0].mean(axis=0)})
    if units is not None:
        wanted = [units] if isinstance(units, str) else [str(unit) for unit in units]
        unknown = [unit for unit in wanted if unit not in set(frame["unit"])]
        if unknown or not wanted:
            raise SpecificationError(f"Units {unknown or 'none'} are not in the result. Its units: {', '.join(frame['unit'][:12])}, …")
        frame = frame[frame["unit"].isin(wanted)]
    if len(frame) > _MOST_UNITS:
        raise SpecificationError(f"{len(frame)} units are too many to read: choose up to {_MOST_UNITS} with units=[…].")
    mean = frame.groupby("region")["distance"].transform("mean")
    return frame.assign(mean=mean).sort_values(["mean", "region", "distance"], ascending=[False, True, False]).reset_index(drop=True)


def _runs(order: pd.DataFrame) -> list[tuple[str, int, int]]:
    """Region, first and last place."""
    places = order.groupby("region", sort=False).indices
    return [(str(region), int(rows[0]), int(rows[-1])) for region, rows in places.items()]


def _separate(axes: Axes, order: pd.DataFrame) -> None:
    for _, first, _ in _runs(order)[1:]:
        axes.axhline(first - 0.5, color=s.MUTED, linewidth=0.8, zorder=2)


def _name_regions(axes: Axes, order: pd.DataFrame, width: float) -> None:
    """Names of the regions at the right, where there are several and room for them."""
    runs = _runs(order)
    if len(runs) < 2:
        return
    words = [s.wrap(region, 14 if width > s.NARROW else 10) for region, _, _ in runs]
    low, high = sorted(axes.get_ylim())
    line = 0.14 / (0.2 if width > s.NARROW else 0.24)  # a line of text in units of rows
    heights = np.array([line * (1 + word.count("\n")) for word in words])
    places = p.spread(np.array([(first + last) / 2 for _, first, last in runs]), heights, low, high)
    for word, place in zip(words, places, strict=True):
        axes.text(1.02, place, word, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=s.INK)


def _name_leader(axes: Axes, names: Sequence[str], leader: str) -> None:
    """The word beside the leader's points at zero, on the side with more room."""
    if leader not in names:
        return
    low, high = axes.get_xlim()
    way, side = (1, "left") if high >= -low else (-1, "right")
    place = (0, list(names).index(leader))
    look = {"ha": side, "va": "center", "fontsize": 8, "color": s.MUTED}
    axes.annotate("leader", place, (6 * way, 0), textcoords="offset points", **look)


def _cells(axes: Axes, values: np.ndarray) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    shades = LinearSegmentedColormap.from_list("best", _SHADES)
    for (row, column), value in np.ndenumerate(values):
        known = bool(np.isfinite(value))
        corner = (column - 0.5, row - 0.5)
        look = {"facecolor": shades(float(value)), "edgecolor": "white", "linewidth": 1.0} if known else p.MISSING
        axes.add_patch(Rectangle(corner, 1, 1, **look))
        if known:
            colour = p.ink_on(shades(float(value)))
            axes.text(column, row, percent(value), ha="center", va="center", fontsize=8.5, color=colour)
    axes.set_xlim(-0.5, values.shape[1] - 0.5)
    axes.set_ylim(values.shape[0] - 0.5, -0.5)

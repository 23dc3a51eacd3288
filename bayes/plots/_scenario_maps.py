"""Scenarios on tile-grid maps: what each direction of convergence would do to output and to emission, unit by unit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.frontier.scenario_result import BASELINE, QUANTITIES
from bayes.plots import _style as s
from bayes.plots import _tile_map as t
from bayes.plots._scenarios import _require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayes.frontier.scenario_result import ScenarioResult


@checked
def scenario_maps(
    result: Any,
    grid: Mapping[str, tuple[int, int]] | None = None,
    labels: tuple[str, str] = QUANTITIES,
    width: float = 7.0,
    path: str | Path | None = None,
) -> Figure:
    """Posterior mean change of output and of emission against no convergence, a map for each quantity and direction that moves it.

    Parameters
    ----------
    result : ScenarioResult
        ``bayes.scenarios(…)``.
    grid : mapping of unit to (row, column), optional
        As in :func:`bayes.plots.tile_map`. US states and Chinese provinces have their places; only the part with units is drawn.
    labels : (str, str)
        What output and emission are called.
    width, path
        As in :func:`bayes.plots.event_study`.

    Notes
    -----
    A darker tile is a larger change; maps of one quantity share their shades. Chinese provinces carry their letter code (GB/T 2260).

    Raises
    ------
    SpecificationError
        Anything but a ScenarioResult, units without a place, or directions that move nothing.
    """
    _require(result)
    codes, places = _places(result, grid)
    panels = [(q, d) for q in QUANTITIES for d in result.scenarios[1:] if result.weights.loc[d, q] > 0]
    if not panels or not result.share.any():
        raise SpecificationError("No direction moves output or emission: there is no change to map.")
    changes = {panel: _changes(result, *panel) for panel in panels}
    rows, columns = (1 + max(place[k] for place in places.values()) for k in (0, 1))
    beside = 2 if width > s.NARROW and columns <= 8 else 1
    lines = -(-len(panels) // beside)
    tile = min((width - 0.2) / beside / columns - 0.03, 0.115 * max(width, 6.0))
    with s.style():
        figure, grid_of_axes = s.canvas(width, lines * (rows * tile + 0.36) + 0.4, lines, beside, squeeze=False)
        for axes in grid_of_axes.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, (quantity, direction) in zip(grid_of_axes.flat, panels, strict=False):
            most = max(np.abs(list(changes[panel].values())).max() for panel in panels if panel[0] == quantity)
            _map(axes, changes[quantity, direction], codes, places, most, tile)
            name = labels[QUANTITIES.index(quantity)]
            axes.set_title(s.wrap(f"{name}: {direction}", int(13 * width / beside)), loc="left", fontsize=8.5, pad=3)
        words = f"% change against {BASELINE}, posterior mean; darker: larger"
        figure.supxlabel(s.wrap(words, int(13 * width)), fontsize=8.5, color=s.INK)
        return s.finish(figure, path)


def _places(result: ScenarioResult, grid: Mapping[str, tuple[int, int]] | None) -> tuple[dict[str, str], dict[str, tuple[int, int]]]:
    """What is written in the tile of every unit, and where its tile stands."""
    units = [str(unit) for unit in result.units]
    if grid is not None:
        codes, places = {unit: unit for unit in units}, {str(k): (int(v[0]), int(v[1])) for k, v in grid.items()}
    elif (found := t.china_province_codes(units)) is not None:
        codes, places = found, t.CHINA_GRID
    elif (found := t.us_state_codes(units)) is not None:
        codes, places = found, t.US_GRID
    else:
        codes, places = {unit: unit for unit in units}, {}
    lost = [unit for unit in units if codes[unit] not in places]
    if lost:
        raise SpecificationError(f"No place on a map for {lost[:5]}: give grid=, a mapping of every unit to (row, column).")
    here = t.cropped(places, [codes[unit] for unit in units])
    return codes, {unit: here[codes[unit]] for unit in units}


def _changes(result: ScenarioResult, quantity: str, direction: str) -> dict[str, float]:
    frame = result.estimates.where(estimand=f"{quantity}_ratio", term="unit", variant=direction).frame
    return dict(zip(frame["unit"], 100 * (frame["estimate"] - 1), strict=True))


def _map(
    axes: Axes, changes: dict[str, float], codes: dict[str, str], places: dict[str, tuple[int, int]], most: float, inches: float
) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("tiles", t.SHADES)
    for unit, place in places.items():
        value = changes[unit]
        t.draw_tile(axes, codes[unit], place, shades(abs(value) / most if most > 0 else 0.0), _percent(value), inches)
    axes.set_xlim(-0.02, max(column for _, column in places.values()) + 1.02)
    axes.set_ylim(max(row for row, _ in places.values()) + 1.02, -0.02)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _percent(value: float) -> str:
    text = f"{value:+.0f}" if abs(value) >= 9.95 else f"{value:+.1f}"
    return "0" if float(text) == 0 else text.replace("-", "−")

"""Markov transitions: an annotated matrix with the long-run distribution beside it."""

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

_SHADES = ("#FFFFFF", "#8FBBDA", "#0072B2", "#00406B")
_CELL, _CELL_WITH_INTERVAL = 0.22, 0.43
"""Inches of width that a probability needs, alone and with its interval."""
_MOST_WITH_INTERVALS = 4
"""Regions; more of them have smaller cells, with the numbers only."""


@checked
def transition_matrix(estimates: Any, variant: str | None = None, width: float = 7.0, path: str | Path | None = None) -> Figure:
    """Probabilities of moving from one class to another, in percent, and the distribution that they lead to.

    Parameters
    ----------
    estimates : Estimates
        ``bayes.measure.markov_transitions(...)``: ``transition`` with ``term`` (from) and ``term_to`` (to), and ``ergodic`` with ``term``,
        which is drawn as bars beside the matrix; a panel for each region.
    variant : str, optional
        ``posterior`` (default where there is one) or ``frequency``.
    width, path
        As in :func:`bayes.plots.event_study`.

    Notes
    -----
    Rows sum to 100 %. Intervals are printed below the numbers where the cells have room for them. A hatched row has no moves: it is empty,
    or holds the prior alone.

    Raises
    ------
    SpecificationError
        No row of ``transition``, an unknown variant, several rows for a cell, more than 40 regions.
    """
    moves, long_run = _rows(estimates, variant)
    classes = _ordered(moves)
    regions = list(dict.fromkeys(moves["region"]))
    if len(regions) > p.MOST_PANELS:
        raise SpecificationError(f"{len(regions)} panels are too many to read: choose regions with .where(region=[...]).")
    columns, cell, strip = _widths(width, len(regions), len(classes), len(long_run) > 0)
    with_intervals = cell >= _CELL_WITH_INTERVAL and len(regions) <= _MOST_WITH_INTERVALS and moves["lower"].notna().any()
    tall = min(cell, 0.62) if with_intervals else min(max(cell, 0.24), 0.27 if len(regions) > _MOST_WITH_INTERVALS else 0.5)
    with s.style():
        lines = -(-len(regions) // columns)
        end = 100 * float(np.nanmax([0.01, *long_run["estimate"], *long_run["upper"]]))
        titles = [s.wrap(region, int(12.5 * cell * len(classes))) for region in regions]
        height = 0.85 + lines * (len(classes) * tall + 0.36 + 0.14 * max(title.count("\n") + 1 for title in titles))
        figure, panels = _grid(width, height, lines, columns, cell * len(classes), strip)
        for (axes, bars), region, title in zip(panels, regions, titles, strict=False):
            _matrix(axes, moves[moves["region"] == region], classes, with_intervals, 9.5 if cell > 0.3 else 8.5)
            axes.set_title(title, loc="left", fontsize=8.5, pad=4)
            if bars is not None:
                _bars(bars, long_run[long_run["region"] == region], classes, end)
        for axes, bars in panels[len(regions) :]:
            axes.set_axis_off()
            if bars is not None:
                bars.set_axis_off()
        _around(figure, moves, with_intervals, width)
        return s.finish(figure, path)


def _rows(estimates: Any, variant: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    p.require_estimates(estimates, "bayes.measure.markov_transitions(...)")
    frame = estimates.frame[estimates.frame["estimand"].isin(["transition", "ergodic"])]
    moves = frame[frame["estimand"] == "transition"]
    if moves.empty:
        raise SpecificationError("No row is a transition probability. Give bayes.measure.markov_transitions(...).")
    variants = list(dict.fromkeys(moves["variant"]))
    if variant is not None and variant not in variants:
        raise SpecificationError(f"variant={variant!r} has no transitions. Present: {', '.join(map(repr, variants))}.")
    chosen = variant if variant is not None else "posterior" if "posterior" in variants else variants[0]
    frame = frame[frame["variant"] == chosen]
    d.refuse_repeated(frame, ["estimand", "term", "term_to", "region"], "A cell shows one number: give one source.")
    return frame[frame["estimand"] == "transition"], frame[frame["estimand"] == "ergodic"]


def _widths(width: float, n_regions: int, n_classes: int, with_bars: bool) -> tuple[int, float, float]:
    """Matrices beside each other, and inches of a cell and of the bars: as many matrices as leave a cell room for its number."""
    most = (2 if n_regions <= _MOST_WITH_INTERVALS else 3) if width > s.NARROW else (1 if n_regions <= _MOST_WITH_INTERVALS else 2)
    for columns in range(min(most, n_regions), 0, -1):
        strip = (0.9 if width / columns > s.NARROW else 0.62) if with_bars else 0.0
        cell = (width / columns - 0.5 - strip - 0.1 * with_bars) / n_classes
        if cell >= _CELL:
            break
    return columns, cell, strip


def _ordered(moves: pd.DataFrame) -> list[str]:
    """Classes, as numbers where they are numbers, otherwise in the order of the rows."""
    classes = list(dict.fromkeys([*moves["term"].astype(str), *moves["term_to"].astype(str)]))
    return sorted(classes, key=int) if all(name.isdigit() for name in classes) else classes


def _grid(
    width: float, height: float, lines: int, columns: int, matrix: float, strip: float
) -> tuple[Figure, list[tuple[Axes, Axes | None]]]:
    """Canvas with a matrix, and beside it a strip of bars (where it has a width), for each region."""
    if not strip:
        figure, axes = s.canvas(width, height, lines, columns, squeeze=False)
        return figure, [(one, None) for one in axes.flat]
    figure, axes = s.canvas(width, height, lines, 2 * columns, squeeze=False, gridspec_kw={"width_ratios": [matrix, strip] * columns})
    return figure, [(row[2 * k], row[2 * k + 1]) for row in axes for k in range(columns)]


def _matrix(axes: Axes, moves: pd.DataFrame, classes: list[str], with_intervals: bool, size: float) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    shades = LinearSegmentedColormap.from_list("moves", _SHADES)
    for move in moves.to_dict("records"):
        row, column, value = classes.index(str(move["term"])), classes.index(str(move["term_to"])), move["estimate"]
        known = bool(np.isfinite(value))
        face = shades(float(value)) if known else (1, 1, 1, 1)
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=face, edgecolor="white", linewidth=1.0))
        if not known or not move["identified"]:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="#B9B9B9", hatch=p.HATCH, linewidth=0.0))
        if not known:
            continue
        shown = with_intervals and np.isfinite(move["lower"])
        colour = p.ink_on(face)
        axes.text(column, row - (0.14 if shown else 0), percent(value), ha="center", va="center", fontsize=size, color=colour)
        if shown:
            words = f"{percent(move['lower'])}–{percent(move['upper'])}"
            axes.text(column, row + 0.22, words, ha="center", va="center", fontsize=8, color=colour, alpha=0.85)
    axes.set_xlim(-0.5, len(classes) - 0.5)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(s.FAINT)


def _bars(axes: Axes, long_run: pd.DataFrame, classes: list[str], end: float) -> None:
    """The long-run share of each class, in the line of its row; ``end`` is the largest of all regions, in percent."""
    share = long_run.set_index(long_run["term"].astype(str)).reindex(classes)
    y = np.arange(len(classes))
    middle, low, high = (100 * share[column].to_numpy(dtype=float) for column in ("estimate", "lower", "upper"))
    axes.barh(y, np.nan_to_num(middle), height=0.55, color=s.PALETTE[0], alpha=0.75, linewidth=0)
    axes.hlines(y, low, high, color=s.INK, linewidth=1.2)
    for place, value, top in zip(y, middle, high, strict=True):
        words = percent(value / 100) if np.isfinite(value) else "none"
        axes.text(np.nanmax([value, top, 0]) + 0.06 * end, place, words, va="center", fontsize=8)
    axes.set_xlim(0, 1.5 * end)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_title("long run, %", loc="left", fontsize=8, color=s.MUTED, pad=4)


def _around(figure: Figure, moves: pd.DataFrame, with_intervals: bool, width: float) -> None:
    from matplotlib.patches import Patch

    figure.supylabel("from class", fontsize=8.5, color=s.INK)
    figure.supxlabel("to class", fontsize=8.5, color=s.INK)
    levels = s.level_words(moves[moves["lower"].notna()])
    handles: list[Any] = [Patch(facecolor=_SHADES[2])]
    labels = [f"% that move, {levels} interval below" if with_intervals and levels else "% that move from the row's class"]
    idle = moves["estimate"].isna() | ~moves["identified"]
    if idle.any():
        handles.append(Patch(facecolor="white", edgecolor="#B9B9B9", hatch=p.HATCH, linewidth=0.0))
        labels.append("no moves start here" + (": the prior alone" if moves.loc[idle, "estimate"].notna().any() else ""))
    s.top_legend(figure, handles, labels, width)


def percent(probability: float) -> str:
    """Whole percent; ``<1`` for what is positive and rounds to zero."""
    value = 100 * float(probability)
    return "<1" if 0 < value < 0.5 else f"{value:.0f}"

"""Specification curve: an effect under every variant, sorted, above a matrix of what each variant chose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = 0.175
"""Height of a line of the matrix in inches."""


@checked
def specification_curve(estimates: Any, outcome: str = "", width: float = 7.0, path: str | Path | None = None) -> Figure:
    """Estimates sorted by size with their intervals, and below a dot for each choice behind them (Simonsohn, Simmons & Nelson 2020).

    Parameters
    ----------
    estimates : Estimates
        One row a source, as ``fit.variants(...).estimates``; ``meta["choices"]`` names what a source chose in each dimension. Without it
        every source is its own choice. The first source is the headline; what has no number or stands in other units than the headline is
        named below the figure.
    outcome : str
        Outcome and its unit, for the vertical axis.
    width, path
        As in :func:`bayes.plots.event_study`.

    Raises
    ------
    SpecificationError
        Several rows of one source in the headline's units: choose one with ``.where(...)``.
    """
    s.sources_of((estimates,))
    frame = estimates.frame
    shown, missing = _rows(frame)
    choices = estimates.meta.get("choices") or {"variant": {source: source for source in shown["source"]}}
    lines = _lines(choices, list(frame["source"]), set(shown["source"]))
    with s.style():
        top = 1.9 if width > s.NARROW else 1.7
        height = top + _LINE * len(lines) + 0.35
        figure, axes = s.canvas(width, height, 2, 1, sharex=True, height_ratios=[top, _LINE * len(lines) + 0.1])
        handles, labels = _curve(axes[0], shown, str(frame["source"].iloc[0]), outcome)
        _matrix(axes[1], shown, lines, choices, width)
        s.top_legend(figure, handles, labels, width)
        if missing:
            figure.supxlabel(s.wrap(missing, int(width * 15)), fontsize=8, color=s.MUTED, x=0.01, ha="left")
        return s.finish(figure, path)


def _rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Rows with a number in the headline's units, in order of size; and words on the others."""
    same = frame["estimand"] == frame["estimand"].iloc[0]
    known = frame["estimate"].notna()
    shown = frame[same & known]
    if shown.empty:
        raise SpecificationError("No row has a number: there is nothing to draw.")
    if shown["source"].duplicated().any():
        source = shown["source"][shown["source"].duplicated()].iloc[0]
        raise SpecificationError(f"Source {source!r} has several rows. Choose one estimand, term and region with .where(...).")
    other = [x for x in dict.fromkeys(frame.loc[~same, "source"]) if x not in set(shown["source"])]
    empty = [x for x in dict.fromkeys(frame.loc[same & ~known, "source"]) if x not in set(shown["source"])]
    words = [f"Not shown, in other units: {'; '.join(other)}."] * bool(other) + [f"Not identified: {'; '.join(empty)}."] * bool(empty)
    return shown.sort_values("estimate", kind="stable").reset_index(drop=True), " ".join(words)


def _lines(choices: dict[str, dict[str, str]], order: list[str], shown: set[str]) -> list[tuple[str, str]]:
    """Lines of the matrix: a dimension in which the rows shown differ and one of its choices, the headline's choice first."""
    found = []
    for dimension, chosen in choices.items():
        labels = list(dict.fromkeys(chosen[x] for x in dict.fromkeys(order) if x in chosen and x in shown))
        found += [(dimension, label) for label in labels] if len(labels) > 1 or len(choices) == 1 else []
    return found


def _curve(axes: Axes, shown: pd.DataFrame, headline: str, outcome: str) -> tuple[list[Any], list[str]]:
    """Points and intervals; returns handles and labels of the legend."""
    from matplotlib.lines import Line2D

    place = np.arange(len(shown))
    named = shown["source"].str.startswith("headline").to_numpy() | (shown["source"] == headline).to_numpy()
    full = (shown["source"] == headline).to_numpy()
    s.zero_line(axes)
    for mask, colour, marker, size in ((~named, s.MUTED, "o", 4.2), (named, s.POSTERIOR, "D", 5.2)):
        face = [colour if here else "white" for here in (full[mask] | ~named[mask])]
        axes.vlines(place[mask], shown["lower"][mask], shown["upper"][mask], color=colour, linewidth=1.5, zorder=3)
        for x, y, f in zip(place[mask], shown["estimate"][mask], face, strict=True):
            axes.plot([x], [y], marker=marker, color=colour, markerfacecolor=f, markersize=size, linestyle="none", zorder=5)
    if full.any():
        axes.axhline(float(shown["estimate"][full].iloc[0]), color=s.POSTERIOR, linewidth=0.8, linestyle=(0, (3, 2)), zorder=2)
    level = s.level_words(shown)
    axes.set_ylabel(s.wrap(f"effect on {outcome}" if outcome else "effect", 30) + (f"\n({level} interval)" if level else ""))
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.spines["bottom"].set_visible(False)
    axes.grid(axis="y", color=s.FAINT, linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    look = {"linewidth": 1.5, "markersize": 5}
    handles = [Line2D([], [], color=s.POSTERIOR, marker="D", **look), Line2D([], [], color=s.MUTED, marker="o", **look)]
    labels = [headline, "variants"]
    if (named & ~full).any():
        handles.insert(1, Line2D([], [], color=s.POSTERIOR, marker="D", markerfacecolor="white", **look))
        labels.insert(1, str(shown["source"][named & ~full].iloc[0]))
    return handles, labels


def _matrix(axes: Axes, shown: pd.DataFrame, lines: list[tuple[str, str]], choices: dict[str, dict[str, str]], width: float) -> None:
    """A dot where a variant made the choice of a line; dimensions set apart by shading."""
    sources = shown["source"].tolist()
    dimensions = list(dict.fromkeys(d for d, _ in lines))
    for y, (dimension, label) in enumerate(lines):
        if dimensions.index(dimension) % 2 == 0:
            axes.axhspan(y - 0.5, y + 0.5, color=s.WASH, linewidth=0, zorder=0)
        made = np.array([choices[dimension].get(x) == label for x in sources])
        headline = np.array([x.startswith("headline") for x in sources])
        other = label != choices[dimension].get(next((x for x in choices[dimension]), ""), "")
        axes.plot(np.flatnonzero(~made), np.full((~made).sum(), y), marker=".", color=s.FAINT, markersize=2.5, linestyle="none", zorder=2)
        for mask, colour in ((made & ~headline, s.INK if other else s.MUTED), (made & headline, s.POSTERIOR)):
            size = 4.2 if other else 3.2
            axes.plot(np.flatnonzero(mask), np.full(mask.sum(), y), marker="o", color=colour, markersize=size, linestyle="none", zorder=3)
    most = 36 if width > s.NARROW else 27
    names = [_short(label if dimension in ("sample", "regions") else f"{dimension}: {label}", most) for dimension, label in lines]
    axes.set_yticks(range(len(lines)), names, fontsize=8)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlim(-0.6, len(sources) - 0.4)
    axes.tick_params(axis="both", length=0, labelbottom=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _short(text: str, most: int) -> str:
    """The text, its end cut off where it is longer than a line."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"

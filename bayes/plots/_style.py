"""What every figure shares: palette, type size, canvas, saving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.errors import SpecificationError
from bayes.estimates import Estimates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which stay apart under the common forms of colour blindness, without their yellow (unreadable on white).
POSTERIOR = "#0072B2"
PALETTE = ("#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5D3A9B", "#7A7A7A")
MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">")
INK = "#222222"
MUTED = "#6B6B6B"
FAINT = "#D9D9D9"
WASH = "#F3F3F3"
NARROW = 5.0
"""Below this width in inches a figure stacks its panels and puts its legend in fewer columns."""

_SETTINGS = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.unicode_minus": True,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "bayes",
    "savefig.facecolor": "white",
    "text.parse_math": False,  # a dollar sign in a label is a dollar sign
}


@contextmanager
def style() -> Iterator[None]:
    """The settings above inside the block only; the user's own matplotlib settings return afterwards."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        yield


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure without pyplot, with constrained layout, and its axes."""
    from matplotlib.figure import Figure

    if not (np.isfinite(width) and width >= 3.0):
        raise SpecificationError(f"width is in inches and must be at least 3, got {width!r}.")
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def finish(figure: Figure, path: str | Path | None) -> Figure:
    """Draw nothing more; save when a path was given (the suffix chooses the format)."""
    if path is not None:
        figure.savefig(path, dpi=200)
    return figure


def top_legend(figure: Figure, handles: list[Any], labels: list[str], width: float) -> None:
    """The legend above the axes, where it can hide nothing; as many columns as the longest label leaves room for."""
    columns = columns_that_fit(labels, width)
    shown = [wrap(label, int((width - 0.6) * 12 / columns)) for label in labels]
    figure.legend(handles, shown, loc="outside upper left", ncols=columns, handlelength=1.6, columnspacing=1.4, borderaxespad=0.2)


def columns_that_fit(labels: list[str], width: float) -> int:
    """Number of legend columns: a character is about 0.075 in wide, a handle with its padding 0.45 in."""
    longest = max((len(label) for label in labels), default=1)
    return max(1, min(len(labels), int((width - 0.1) / (0.42 + 0.07 * min(longest, 44)))))


def wrap(text: str, characters: int) -> str:
    """The text broken into lines of at most so many characters, at blanks."""
    from textwrap import fill

    return fill(text, max(characters, 8), break_long_words=False)


def zero_line(axes: Axes, vertical: bool = False) -> None:
    """The line of no effect, behind everything."""
    draw = axes.axvline if vertical else axes.axhline
    draw(0, color=MUTED, linewidth=0.9, zorder=1)


def sources_of(estimates: tuple[Any, ...]) -> list[tuple[str, pd.DataFrame, np.ndarray | None]]:
    """Each source's rows and draws, in the order given. Raises :class:`SpecificationError` for anything but estimates."""
    found = []
    for table in estimates:
        if not isinstance(table, Estimates):
            raise SpecificationError(f"Expected bayes.Estimates, for example fit.att('event'), got {type(table).__name__}.")
        for source in dict.fromkeys(table.frame["source"]):
            part = table.where(source=source)
            found.append((str(source) or table.title or "estimates", part.frame, part.draws))
    if not found:
        raise SpecificationError("Nothing to plot: give at least one bayes.Estimates with rows.")
    return found


def is_posterior(frame: pd.DataFrame) -> bool:
    """True when the intervals of these rows are posterior intervals."""
    return bool(frame["interval"].astype(str).str.contains("posterior").any())


def level_words(frame: pd.DataFrame) -> str:
    """``95 %`` when the rows share one level, else ``interval levels differ``; empty without intervals."""
    levels = sorted(set(frame["level"].dropna()))
    if not levels:
        return ""
    return f"{100 * levels[0]:g} %" if len(levels) == 1 else "levels " + ", ".join(f"{100 * v:g} %" for v in levels)

"""What every figure shares: palette, type size, canvas, saving."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.errors import FontWarning, SpecificationError, warn_user
from bayes.estimates import Estimates
from bayes.writing import file_path, write_whole

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

_EASTERN_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
)
_GLYPH = re.compile(r"Glyph (\d+) .* missing from font")

_SETTINGS = {
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

    with matplotlib.rc_context({**_SETTINGS, "font.family": fonts()}):
        yield


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure without pyplot, with constrained layout, and its axes."""
    from matplotlib.figure import Figure

    if not 3.0 <= width <= 60.0:
        raise SpecificationError(f"width is in inches and must be at least 3 and at most 60, got {width!r}.")
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def finish(figure: Figure, path: str | Path | None) -> Figure:
    """Draw nothing more; save when a path was given (the suffix chooses the format). Raises :class:`SpecificationError` for a format that
    does not exist, :class:`OutputFileError` where the file cannot be written."""
    if path is not None:
        known, kind = figure.canvas.get_supported_filetypes(), file_path(path).suffix.lower().removeprefix(".")
        if kind not in known:
            raise SpecificationError(
                f"{file_path(path).name!r}: figures are written as {', '.join(f'.{known_kind}' for known_kind in known)}."
            )
        write_whole(path, saved(figure, kind, dpi=200), "the figure")
    return figure


def saved(figure: Figure, kind: str, **options: Any) -> bytes:
    """The figure as a file's content. Characters that no installed font has are drawn as boxes and named in a :class:`FontWarning`."""
    content = BytesIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(content, format=kind, **options)
    glyphs = [found for said in caught if (found := _GLYPH.match(str(said.message)))]
    if glyphs:
        characters = " ".join(dict.fromkeys(ascii(chr(int(found[1]))).strip("'") for found in glyphs))
        warn_user(
            f"No installed font has the characters {characters}; the figure shows boxes. Install one (Noto Sans CJK, say).",
            FontWarning,
        )
    for said in caught:
        if not _GLYPH.match(str(said.message)):
            warnings.warn_explicit(said.message, said.category, said.filename, said.lineno)
    return content.getvalue()


@cache
def fonts() -> list[str]:
    """DejaVu Sans, and whichever font for Chinese, Japanese and Korean is installed."""
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return ["DejaVu Sans", *(name for name in _EASTERN_FONTS if name in installed)]


def require(name: str, value: Any, attributes: tuple[str, ...], kind: str) -> None:
    """Raise :class:`SpecificationError` for something that lacks what the figure draws."""
    if isinstance(value, type) or not all(hasattr(value, attribute) for attribute in attributes):
        raise SpecificationError(f"{name} must be {kind}, got {type(value).__name__}.")


def numbers(name: str, values: Any) -> np.ndarray:
    """Values as an array of floats. Raises :class:`SpecificationError` for what is none."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise SpecificationError(f"{name} must be an array of numbers, got {type(values).__name__}.") from error


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

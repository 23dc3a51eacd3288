"""Figures as data addresses, so that one HTML file holds everything."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from bayes.reporting.sections import Figure

PAGE_WIDTH = 7.0
PHONE_WIDTH = 3.8
_STRIP = 0.2
"""Height in inches of the strip that holds a stamp."""
_LARGEST_SVG = 260_000
"""Above so many bytes a figure is embedded as a bitmap: many thin lines are smaller that way."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure: an address for the page, one for phones, and the words beside it. Sizes in CSS pixels."""

    page: str
    phone: str
    alt: str
    caption: str
    width: int
    height: int


def picture(figure: Figure, stamp: str = "") -> Picture:
    """Draw a figure for the page and for a phone, with a word about the data below its lower right corner."""
    wide, narrow = figure.draw(PAGE_WIDTH), figure.draw(PHONE_WIDTH)
    page, phone = data_address(wide, stamp), data_address(narrow, stamp)
    width, height = (float(size) for size in wide.get_size_inches())
    return Picture(page, phone, figure.alt, figure.caption, round(96 * width), round(96 * (height + (_STRIP if stamp else 0))))


def data_address(figure: Any, stamp: str = "") -> str:
    """The figure as SVG, or as PNG when the SVG would be large. The same figure gives the same bytes."""
    area = stamped(figure, stamp)
    data = _saved(figure, "svg", metadata={"Date": None, "Creator": None}, **area)
    if len(data) <= _LARGEST_SVG:
        return "data:image/svg+xml;base64," + b64encode(data).decode("ascii")
    return "data:image/png;base64," + b64encode(_saved(figure, "png", dpi=170, metadata={"Software": None}, **area)).decode("ascii")


def stamped(figure: Any, stamp: str) -> dict[str, Any]:
    """Write the stamp below the figure, so that a copied figure still says what it shows; returns the area to save, a strip higher."""
    if not stamp:
        return {}
    from matplotlib.transforms import Bbox

    width, height = (float(size) for size in figure.get_size_inches())
    below = -_STRIP / height
    figure.text(0.995, 0.55 * below, stamp, ha="right", va="center", fontsize=7.5, color="#5a5f66", style="italic")
    return {"bbox_inches": Bbox([[0.0, -_STRIP], [width, height]])}


def _saved(figure: Any, kind: str, **options: Any) -> bytes:
    from bayes.plots._style import saved, style

    with style():  # fixes how text is written and how the parts of the file are named
        return saved(figure, kind, **options)

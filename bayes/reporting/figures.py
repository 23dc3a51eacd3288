"""Figures as data addresses, so that one HTML file holds everything."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from bayes.reporting.sections import Figure

PAGE_WIDTH = 7.0
PHONE_WIDTH = 3.8
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


def picture(figure: Figure) -> Picture:
    """Draw a figure for the page and for a phone."""
    wide, narrow = figure.draw(PAGE_WIDTH), figure.draw(PHONE_WIDTH)
    page, phone = data_address(wide), data_address(narrow)
    width, height = (round(96 * float(size)) for size in wide.get_size_inches())
    return Picture(page, phone, figure.alt, figure.caption, width, height)


def data_address(figure: Any) -> str:
    """The figure as SVG, or as PNG when the SVG would be large. The same figure gives the same bytes."""
    data = _saved(figure, "svg", metadata={"Date": None, "Creator": None})
    if len(data) <= _LARGEST_SVG:
        return "data:image/svg+xml;base64," + b64encode(data).decode("ascii")
    return "data:image/png;base64," + b64encode(_saved(figure, "png", dpi=170, metadata={"Software": None})).decode("ascii")


def _saved(figure: Any, kind: str, **options: Any) -> bytes:
    from bayes.plots._style import style

    buffer = BytesIO()
    with style():  # fixes how text is written and how the parts of the file are named
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()

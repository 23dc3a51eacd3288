"""Sections of a report, as data. A model family writes sections; the document writes them to a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bayes.errors import SpecificationError
from bayes.reporting.tables import Table


@dataclass(frozen=True)
class Figure:
    """A figure that can be drawn at any width.

    Attributes
    ----------
    draw : callable
        ``draw(width)`` in inches returns a matplotlib Figure. Called once for the page and once for a phone.
    alt : str
        What the figure shows, in words, for readers who cannot see it.
    caption : str
        Below the figure.
    """

    draw: Callable[[float], Any]
    alt: str
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise SpecificationError("Every figure needs alt text: one sentence on what it shows.")


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Attributes
    ----------
    title : str
        Heading; empty for the opening box.
    anchor : str
        Name in links, unique in the document.
    paragraphs, tables, figures : tuple
        Shown in this order.
    note : str
        Small print at the end.
    tone : {"", "good", "bad"}
        A coloured box: diagnostics that pass or fail.
    references : bool
        Paragraphs are a list of references.
    """

    title: str
    anchor: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    note: str = ""
    tone: str = ""
    references: bool = False

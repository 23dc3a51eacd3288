"""Sections that a script adds to a report under headings of its own: sentences, tables, figures, estimates and other fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bayes.errors import SpecificationError
from bayes.reporting import did_robustness
from bayes.reporting.sections import Figure, Section

_TAKES = "sentences, data frames, Estimates, Comparisons, robustness results, fits and functions width → matplotlib Figure"
_BESIDE = ("headline", "diagnostics", "mechanisms", "paths", "effects", "regions", "comparison", "efficiency", "productivity", "gap")
"""Sections of another fit's own report that stand beside the first fit."""

Builder = Callable[..., tuple[Section, ...]]


def sections_of(extra: Mapping[str, Any], outcome: str, family: Callable[[Any], Builder]) -> tuple[Section, ...]:
    """One section a heading, in the order given.

    Parameters
    ----------
    extra : mapping of str to an item or a list of items
        A sentence, a data frame, Estimates, a Comparison, anything that ``robustness=`` takes, a fit (its diagnostics and estimates), or
        a function that draws: ``draw(width)`` in inches returns a matplotlib Figure.
    outcome : str
        For the axes of figures.
    family : callable
        Gives the function that builds a fit's sections.

    Raises
    ------
    SpecificationError
        Not a mapping, or an item that is none of these.
    """
    if not isinstance(extra, Mapping):
        raise SpecificationError(f"extra= takes a mapping of headings to items ({_TAKES}), got {type(extra).__name__}.")
    sections = []
    for number, (heading, items) in enumerate(extra.items()):
        parts = [_part(item, str(heading), outcome, family) for item in (items if isinstance(items, list | tuple) else [items])]
        word = re.sub(r"[^a-z0-9]+", "-", str(heading).lower()).strip("-")
        sections.append(_joined(str(heading), f"extra-{number + 1}-{word}", parts))
    return tuple(sections)


def reference_keys(extra: Mapping[str, Any]) -> list[str]:
    """References of the robustness results among the items."""
    found = [item for items in extra.values() for item in (items if isinstance(items, list | tuple) else [items])]
    return did_robustness.reference_keys(found)


def _part(item: Any, heading: str, outcome: str, family: Callable[[Any], Builder]) -> Section:
    if isinstance(item, str):
        return Section("", "", (item,))
    if hasattr(item, "model") and hasattr(item, "diagnose"):
        return _fit_part(item, family(item))
    if callable(item):
        return Section("", "", figures=(Figure(item, f"Figure: {heading}."),))
    if type(item).__name__ not in did_robustness.WRITERS:
        raise SpecificationError(f"extra= has no section for {type(item).__name__} under {heading!r}; it takes {_TAKES}.")
    return did_robustness.WRITERS[type(item).__name__](item, outcome, "")


def _fit_part(fit: Any, build: Builder) -> Section:
    """Diagnostics and estimates of another fit; its tables open with the verdict where it failed."""
    diagnosis = fit.diagnose()
    warning = "" if diagnosis.passed else str(diagnosis.verdict)
    kept = [part for part in build(fit) if part.anchor in _BESIDE]
    words = [text for part in kept if part.anchor != "diagnostics" for text in part.paragraphs]
    tables = [replace(table, title=table.title or part.title, warning=table.warning or warning) for part in kept for table in part.tables]
    return Section("", "", (str(diagnosis.verdict), *words), tuple(tables), tuple(figure for part in kept for figure in part.figures))


def _joined(heading: str, anchor: str, parts: list[Section]) -> Section:
    """All parts under one heading. What was the heading of a part becomes the title of its first table."""
    tables = []
    for part in parts:
        for number, table in enumerate(part.tables):
            title = table.title or (part.title if number == 0 and len(parts) > 1 and part.title not in ("Table", "Estimates") else "")
            tables.append(replace(table, title=title))
    return Section(
        heading,
        anchor,
        tuple(text for part in parts for text in part.paragraphs),
        tuple(tables),
        tuple(figure for part in parts for figure in part.figures),
        " ".join(part.note for part in parts if part.note),
    )

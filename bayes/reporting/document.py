"""The report: sections of any model family written into one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.reporting import did_robustness, extra_sections, measurement_sections
from bayes.reporting.measurement_sections import is_measured
from bayes.reporting.references import listed
from bayes.reporting.sections import Section
from bayes.writing import file_path, write_text

_FAMILIES = {
    "StaggeredDiD": "bayes.reporting.did_sections",
    "StochasticFrontier": "bayes.reporting.frontier_sections",
    "Mediation": "bayes.reporting.mediation_sections",
    "CrossLagged": "bayes.reporting.cross_lagged_sections",
}
"""Name of the specification's class → module whose functions ``build_sections`` and ``default_title`` write its report."""


def report(
    fit: Any,
    path: str | Path,
    comparison: Any = None,
    title: str | None = None,
    descriptive: Sequence[str] | pd.DataFrame | None = None,
    outcome: str | None = None,
    time_unit: str = "periods",
    sections: Callable[..., Sequence[Section]] | None = None,
    measured: Estimates | Sequence[Estimates] = (),
    robustness: Any = None,
    extra: Mapping[str, Any] | None = None,
    note: str | None = None,
) -> Path:
    """Write one HTML file with everything that a reader needs to judge a fit: diagnostics, estimates, comparison, figures, data, methods.

    Parameters
    ----------
    fit : DiDFit, FrontierFit, MediationFit, Estimates or a list of Estimates
        A fitted model, the class of ``fit.model`` chooses the sections; or what functions of ``bayes.measure`` return, a section each.
    path : str or Path
        File to write, ending in .html; folders are made. The file asks for nothing outside itself.
    comparison : Comparison, optional
        From :func:`bayes.compare`. Without it the fit's own estimates stand alone.
    title : str, optional
        Heading; by default made from the data and the outcome.
    descriptive : sequence of str or pandas.DataFrame, optional
        Columns of the fit's panel to describe; by default the columns of the model. For other columns of your data give the table
        that ``panel.describe([...])`` returns.
    outcome : str, optional
        The outcome in words, with its unit, for axes and sentences; by default its column name.
    time_unit : str
        What one period is (``years``).
    sections : callable, optional
        ``sections(fit, comparison=, descriptive=, outcome=, time_unit=)`` returning Section objects, instead of the family's own.
    measured : Estimates or list of Estimates, optional
        Beside a fit: measured quantities (``bayes.measure``), a section each, after the comparison.
    robustness : list, or mapping of headings to results, optional
        What ``fit.placebo``, ``fit.sensitivity``, ``fit.parallel_trends``, ``fit.variants``, ``fit.cluster_robust``,
        ``fit.heterogeneity``, ``bayes.compare_pooling`` or ``bayes.baselines.honest_did`` return: one section each with its figure,
        after the estimates.
    extra : mapping of headings to items, optional
        Sections of your own after the comparison: a sentence, a data frame, Estimates, a Comparison, another fit (its diagnostics and
        estimates), what ``robustness`` takes, a function ``draw(width)`` that returns a matplotlib Figure, or a list of these.
    note : str, optional
        What every reader must know about the data ("Simulated data: …"). It opens the page; its words before the colon stand under every
        table and on every figure. By default the note of the fit's panel.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    SpecificationError
        The path does not end in .html, or no sections are known for this model, or for a result in ``robustness`` or ``extra``.
    """
    target = file_path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise SpecificationError(
            f"A report is an HTML file; {target.name!r} does not end in .html. For Word or LaTeX tables use bayes.reporting.export_tables."
        )
    build = sections if sections is not None else _family_sections(fit)
    parts = build(fit, comparison=comparison, descriptive=descriptive, outcome=outcome, time_unit=time_unit)
    if robustness is not None:
        parts = did_robustness.with_results(parts, robustness, outcome or str(getattr(getattr(fit, "model", None), "outcome", "")))
    if len(measured):
        parts = _with_measured(parts, measured)
    if extra is not None:
        parts = _inserted(parts, extra_sections.sections_of(extra, outcome or "", _family_sections), extra_sections.reference_keys(extra))
    if note is None:
        note = "" if is_measured(fit) else fit.panel.note
    page = render(parts, title or default_title(fit, outcome), language="en", warning=failure_of(fit), note=note)
    return write_text(target, page, "the report")


def render(sections: Sequence[Section], title: str, language: str = "en", warning: str = "", note: str = "") -> str:
    """The page as text. ``warning`` opens every table; ``note`` opens the page and, up to its colon, goes with tables and figures."""
    _refuse_repeated_anchors(sections)
    stamp = note.partition(":")[0].strip()
    written = [_written(section, warning, stamp) for section in sections]
    return template("template.html").render(title=title, language=language, sections=written, note=note, style=page_style())


def failure_of(fit: Any) -> str:
    """The verdict of a fit that failed its diagnostics, empty when it passed."""
    if is_measured(fit):
        return ""
    diagnosis = fit.diagnose()
    return "" if diagnosis.passed else str(diagnosis.verdict)


def default_title(fit: Any, outcome: str | None = None) -> str:
    """The family's own heading; for a model without one the name of the data."""
    if is_measured(fit):
        return measurement_sections.default_title(fit, outcome)
    name = type(fit.model).__name__
    return import_module(_FAMILIES[name]).default_title(fit, outcome) if name in _FAMILIES else str(fit.panel.name)


def _with_measured(parts: Sequence[Section], measured: Estimates | Sequence[Estimates]) -> tuple[Section, ...]:
    """Measured quantities after the comparison, their references among the others."""
    listed_parts = [measured] if isinstance(measured, Estimates) else list(measured)
    return _inserted(parts, measurement_sections.sections_of(measured), measurement_sections.reference_keys(listed_parts))


def _inserted(parts: Sequence[Section], more: Sequence[Section], keys: Sequence[str]) -> tuple[Section, ...]:
    """Further sections after the comparison, what they rest on among the references."""
    place = _after_comparison(parts)
    rest = [
        replace(part, paragraphs=tuple(sorted({*part.paragraphs, *listed(keys)}))) if part.references else part for part in parts[place:]
    ]
    return (*parts[:place], *more, *rest)


def _after_comparison(parts: Sequence[Section]) -> int:
    """Where sections about other quantities go: after the comparison, else before the references."""
    anchors = [part.anchor for part in parts]
    last = len(parts) - 1 if parts and parts[-1].references else len(parts)
    return anchors.index("comparison") + 1 if "comparison" in anchors else last


def _family_sections(fit: Any) -> Callable[..., Sequence[Section]]:
    if is_measured(fit):
        return measurement_sections.build_sections
    name = type(fit.model).__name__
    if name not in _FAMILIES:
        raise SpecificationError(
            f"No report is known for the model {name!r} (known: {', '.join(_FAMILIES)}). Pass sections=, a function returning sections."
        )
    return import_module(_FAMILIES[name]).build_sections


def _refuse_repeated_anchors(sections: Sequence[Section]) -> None:
    anchors = [section.anchor for section in sections]
    repeated = sorted({anchor for anchor in anchors if anchors.count(anchor) > 1})
    if repeated:
        raise SpecificationError(f"Sections share the anchors {repeated}: every section needs its own.")


def _written(section: Section, warning: str, stamp: str) -> dict[str, Any]:
    """A section with its tables and figures as markup; table markup is escaped where it is made, the template escapes the rest."""
    from markupsafe import Markup

    from bayes.reporting.figures import picture

    tables = [
        replace(table, warning=table.warning or warning, note="\n".join(filter(None, [table.note, f"{stamp}." if stamp else ""])))
        for table in section.tables
    ]
    return {
        "section": section,
        "tables": [{"markup": Markup(table.html()), "folded": table.folded, "title": table.title} for table in tables],
        "pictures": [picture(figure, stamp) for figure in section.figures],
    }


@cache
def template(name: str) -> Any:
    """A template of this package; everything that is put into it is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files("bayes.reporting").joinpath(name).read_text(encoding="utf-8"))


@cache
def page_style() -> Any:
    """The style sheet of every page."""
    from markupsafe import Markup

    return Markup(files("bayes.reporting").joinpath("style.css").read_text(encoding="utf-8"))

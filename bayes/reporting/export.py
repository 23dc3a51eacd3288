"""Tables of a fit or a comparison as a Word, LaTeX, Markdown or HTML file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bayes.comparison import Comparison
from bayes.errors import SpecificationError
from bayes.reporting import tables as writing
from bayes.reporting.tables import Table
from bayes.writing import file_path, write_text

_SUFFIXES = (".docx", ".tex", ".md", ".html")


def export_tables(fit_or_comparison: Any, path: str | Path) -> Path:
    """Write the tables of a fit's report, or a comparison, in the format that the suffix names.

    Parameters
    ----------
    fit_or_comparison : DiDFit or Comparison
        A fit gives every table of its report; a comparison gives its one table.
    path : str or Path
        Ending in .docx, .tex, .md or .html; folders are made. LaTeX needs booktabs, tabularx, threeparttable, makecell and array.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    SpecificationError
        Another suffix, or an object without tables.
    OutputFileError
        The file cannot be written; nothing half-written stays.
    """
    target = file_path(path)
    suffix = target.suffix.lower()
    if suffix not in _SUFFIXES:
        raise SpecificationError(f"{target.name!r}: tables are written as {', '.join(_SUFFIXES)}.")
    found = tables_of(fit_or_comparison)
    if suffix == ".docx":
        writing.save_docx(found, target)
        return target
    return write_text(target, {".tex": _latex, ".md": _markdown, ".html": _html}[suffix](found), "the tables")


def tables_of(fit_or_comparison: Any) -> list[Table]:
    """The tables, each opening with the verdict where a fit failed."""
    if isinstance(fit_or_comparison, Comparison):
        return [fit_or_comparison.as_table()]
    if not hasattr(fit_or_comparison, "model") or not hasattr(fit_or_comparison, "diagnose"):
        raise SpecificationError(f"export_tables takes a fit or a Comparison, got {type(fit_or_comparison).__name__}.")
    from bayes.reporting.document import _family_sections, failure_of

    warning = failure_of(fit_or_comparison)
    sections = _family_sections(fit_or_comparison)(fit_or_comparison)
    return [replace(table, warning=table.warning or warning) for section in sections for table in section.tables]


def _latex(tables: list[Table]) -> str:
    return "\n\n".join(writing.as_latex(table) for table in tables) + "\n"


def _markdown(tables: list[Table]) -> str:
    return "\n\n".join(table.markdown() for table in tables)


def _html(tables: list[Table]) -> str:
    from bayes.reporting.document import render
    from bayes.reporting.sections import Section

    open_tables = tuple(replace(table, folded=False) for table in tables)
    return render((Section("", "tables", tables=open_tables),), "Tables")

"""Table: cells with a title, a note and, where a fit failed its diagnostics, a warning that opens it; written as text, HTML, Markdown,
LaTeX, Word or CSV. Every writer escapes the text for its own format."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd

from bayes.writing import write_text, write_whole


@dataclass(frozen=True, eq=False)
class Table:
    """A table ready to be written.

    Attributes
    ----------
    title : str
        Heading.
    frame : pandas.DataFrame
        Cells; numbers are formatted when written, text is used as it is. The index is not shown.
    note : str
        Below the table; one line per note.
    warning : str
        Opens the table, in every format.
    grouped : bool
        In HTML, the first column becomes headings above its rows, which leaves a phone room for the numbers.
    folded : bool
        In HTML, shown only after a click: long tables that a figure already shows.
    """

    title: str
    frame: pd.DataFrame
    note: str = ""
    warning: str = ""
    grouped: bool = False
    folded: bool = False

    @property
    def cells(self) -> list[list[str]]:
        """Formatted cells, shape (rows, columns)."""
        return [[format_cell(value) for value in row] for row in self.frame.itertuples(index=False, name=None)]

    @property
    def columns(self) -> list[str]:
        return [str(column) for column in self.frame.columns]

    @property
    def numeric(self) -> list[bool]:
        """Per column: aligned right, because the cells start with a number or are empty."""
        cells = self.cells
        return [any(row[k] for row in cells) and all(_NUMBER.match(row[k]) for row in cells) for k in range(len(self.columns))]

    def text(self, width: int = 120) -> str:
        return as_text(self, width)

    def html(self) -> str:
        return as_html(self)

    def markdown(self) -> str:
        return as_markdown(self)


_NUMBER = re.compile(r"^(|[−+-]?[\d,]*\.?\d+([eE][−+-]?\d+)?( %)?( \[.*\])?)$")


def format_number(value: float, signed: bool = False) -> str:
    """Three decimals near one, fewer for large numbers, two significant figures in powers of ten for very small ones."""
    if not np.isfinite(value):
        return "" if np.isnan(value) else ("∞" if value > 0 else "−∞")
    size = abs(value)
    if (value == int(value) and size >= 1000) or size >= 1000:
        words = f"{value:,.0f}"
    elif size >= 100:
        words = f"{value:.1f}"
    elif size >= 10:
        words = f"{value:.2f}"
    elif size >= 0.0005 or size == 0:
        words = f"{value:.3f}"
    else:
        words = f"{value:.1e}"
    words = f"+{words}" if signed and value > 0 else words
    return words.replace("-", "−", 1) if words.startswith("-") else words


def format_cell(value: Any) -> str:
    """A cell as text: missing values are empty, truth values are yes or no, whole numbers have no decimals."""
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return str(value).replace("-", "−") if abs(int(value)) < 10_000 else f"{value:,}".replace("-", "−")
    if isinstance(value, float | np.floating):
        return format_number(float(value))
    return str(value)


def estimate_words(estimate: float, lower: float = np.nan, upper: float = np.nan) -> str:
    """``0.081 [−0.035, 0.199]``; without an interval the number alone; empty when there is no estimate."""
    if np.isnan(estimate):
        return ""
    words = format_number(estimate)
    return words if np.isnan(lower) or np.isnan(upper) else f"{words} [{format_number(lower)}, {format_number(upper)}]"


# ── text ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def as_text(table: Table, width: int = 120) -> str:
    """Aligned columns no wider than ``width`` characters; the widest text columns are wrapped until they fit."""
    cells, columns, numeric = table.cells, table.columns, table.numeric
    widths = [max([len(columns[k]), *(len(row[k]) for row in cells)]) for k in range(len(columns))]
    floors = [min(widths[k], 24 if numeric[k] else 12) for k in range(len(columns))]
    while sum(widths) + 2 * (len(widths) - 1) > width and any(w > f for w, f in zip(widths, floors, strict=True)):
        widest = max((k for k in range(len(widths)) if widths[k] > floors[k]), key=lambda k: widths[k] - (1000 if numeric[k] else 0))
        widths[widest] -= 1
    lines = [f"! {line}" for line in wrap(table.warning, width - 2)]
    lines += [table.title] if table.title else []
    rule = "─" * min(width, sum(widths) + 2 * (len(widths) - 1))
    lines += [rule, *_text_row(columns, widths, numeric), rule]
    for row in cells:
        lines += _text_row(row, widths, numeric)
    lines.append(rule)
    for note in table.note.split("\n") if table.note else []:
        lines += wrap(note, width)
    return "\n".join(lines)


def _text_row(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    broken = [wrap(cell, size) or [""] for cell, size in zip(row, widths, strict=True)]
    height = max(len(lines) for lines in broken)
    out = []
    for line in range(height):
        parts = [lines[line] if line < len(lines) else "" for lines in broken]
        out.append("  ".join(p.rjust(w) if n else p.ljust(w) for p, w, n in zip(parts, widths, numeric, strict=True)).rstrip())
    return out


# ── markup ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def as_html(table: Table) -> str:
    """A ``<table>`` with caption and notes; every text is escaped."""
    first = 1 if table.grouped else 0
    numeric = table.numeric[first:]
    head = "".join(f'<th scope="col"{_side(n)}>{html.escape(c)}</th>' for c, n in zip(table.columns[first:], numeric, strict=True))
    body, group = "", ""
    for row in table.cells:
        if table.grouped and row[0] not in ("", group):
            group = row[0]
            body += f'<tr class="group"><th scope="rowgroup" colspan="{len(numeric)}">{html.escape(group)}</th></tr>'
        body += (
            "<tr>"
            + "".join(f"<td{_side(n, cell)}>{html.escape(cell)}</td>" for cell, n in zip(row[first:], numeric, strict=True))
            + "</tr>"
        )
    opening = f'<p class="failed">{html.escape(table.warning)}</p>' if table.warning else ""
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in table.note.split("\n") if note)
    caption = f"<caption>{html.escape(table.title)}</caption>" if table.title else ""
    return f'{opening}<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{notes}'


def _side(numeric: bool, cell: str = "") -> str:
    """Class of a cell: numbers right, long text with a least width, so that a narrow screen does not stack it word by word."""
    return ' class="number"' if numeric else ' class="words"' if len(cell) > 28 else ""


def as_markdown(table: Table) -> str:
    """A pipe table; pipes, angle brackets and line breaks inside cells are escaped."""
    rows = [" | ".join(["", *map(_markdown, table.columns), ""]).strip()]
    rows.append("|" + "|".join("---:" if n else "---" for n in table.numeric) + "|")
    rows += [" | ".join(["", *map(_markdown, row), ""]).strip() for row in table.cells]
    opening = f"**{_markdown(table.warning)}**\n\n" if table.warning else ""
    title = f"**{_markdown(table.title)}**\n\n" if table.title else ""
    notes = "".join(f"\n\n{_markdown(note)}" for note in table.note.split("\n") if note)
    return f"{opening}{title}" + "\n".join(rows) + notes + "\n"


def _markdown(text: str) -> str:
    text = re.sub(r"([\\`*_\[\]|])", r"\\\1", one_line(text))
    return text.replace("<", "&lt;").replace(">", "&gt;")


_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def one_line(text: str) -> str:
    """Text on one line: whatever breaks lines is a blank, control characters and halves of characters are left out."""
    return _UNPRINTABLE.sub("", _BREAKS.sub(" ", text))


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "−": "$-$", "×": r"$\times$", "≥": r"$\geq$", "≤": r"$\leq$", "ρ": r"$\rho$", "σ": r"$\sigma$", "∞": r"$\infty$",
    "→": r"$\to$",
}  # fmt: skip


def latex_text(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def as_latex(table: Table) -> str:
    """A ``table`` environment written by maketables from escaped cells (packages booktabs, tabularx, threeparttable, makecell, array)."""
    notes = " ".join(latex_text(note) for note in [*([table.warning] if table.warning else []), *table.note.split("\n")] if note)
    return _maketable(table, latex_text, notes).make(type="tex")


def save_docx(tables: Sequence[Table], path: str | Path) -> None:
    """One Word document with all tables; each is written by maketables, the warning as a paragraph above it."""
    from docx import Document

    document = Document()
    for table in tables:
        if table.warning:
            document.add_paragraph().add_run(_xml_text(table.warning)).bold = True
        piece = _maketable(table, _xml_text, "\n".join(map(_xml_text, table.note.split("\n"))))
        for element in list(piece.make(type="docx").element.body):
            if not element.tag.endswith("sectPr"):
                document.element.body.insert(len(document.element.body) - 1, element)
        document.add_paragraph()
    content = BytesIO()
    document.save(content)
    write_whole(path, content.getvalue(), "the tables")


def _xml_text(text: str) -> str:
    """Without the control characters that an XML file cannot hold."""
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", "", text)


def _maketable(table: Table, clean: Any, notes: str) -> Any:
    from maketables import MTable

    cells = pd.DataFrame([[clean(cell) for cell in row] for row in table.cells], columns=range(len(table.columns)), dtype=object)
    first = pd.Index(cells.pop(0).to_list() if len(table.columns) else [], name=clean(table.columns[0]) if table.columns else None)
    cells.index = first
    cells.columns = [clean(column) for column in table.columns[1:]]
    return MTable(cells, notes=notes, caption=clean(table.title) or None)


# ── spreadsheets ────────────────────────────────────────────────────────────────────────────────────────────────────


def save_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Numbers as numbers; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    safe = frame.rename(columns=lambda name: spreadsheet_text(str(name)))
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column].dtype):
            safe[column] = safe[column].map(lambda value: spreadsheet_text(value) if isinstance(value, str) else value)
    write_text(path, safe.to_csv(index=False, lineterminator="\n"), "the table")


def spreadsheet_text(text: str) -> str:
    """An apostrophe before text that starts like a formula (=, +, -, @, tab, carriage return; their wide forms; after blanks as well)."""
    first = text.lstrip()[:1]
    return f"'{text}" if text[:1] in ("\t", "\r", "\n") or (first and first in "=+-@＝＋－＠") else text

"""Cells, text tables and export."""

from __future__ import annotations

import html
import re

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes.errors import SpecificationError
from bayes.reporting import export_tables
from bayes.reporting.tables import Table, estimate_words, format_cell, format_number, latex_text, spreadsheet_text
from tests.reporting.fakes import FakeFit, synthetic_panel


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0812, "0.081"),
        (-0.0812, "−0.081"),
        (0.0, "0.000"),
        (12.345, "12.35"),
        (123.45, "123.5"),
        (4567.0, "4,567"),
        (12345.6, "12,346"),
        (2e-5, "2.0e-05"),
        (np.nan, ""),
        (np.inf, "∞"),
        (-np.inf, "−∞"),
        (-3000.0, "−3,000"),
    ],
)
def test_numbers(value, words):
    assert format_number(value) == words


def test_signed_numbers_and_cells():
    assert format_number(0.02, signed=True) == "+0.020"
    assert format_number(-0.02, signed=True) == "−0.020"
    assert [format_cell(v) for v in (None, pd.NA, pd.NaT, np.nan, True, np.bool_(False), 7, -7, np.int64(12000), 0.5, "x")] == [
        "",
        "",
        "",
        "",
        "yes",
        "no",
        "7",
        "−7",
        "12,000",
        "0.500",
        "x",
    ]
    assert estimate_words(0.1) == "0.100"
    assert estimate_words(np.nan, 0, 1) == ""
    assert estimate_words(0.1, -0.2, 0.4) == "0.100 [−0.200, 0.400]"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_fits_its_width_and_loses_nothing(width):
    frame = pd.DataFrame(
        {"Source": ["a long name of an estimator with many words " * 2, "b"], "Note": ["word " * 30, ""], "Estimate": [0.5, -0.25]}
    )
    lines = Table("Title", frame, note="note " * 60, warning="FAILED " * 30).text(width).splitlines()
    assert max(map(len, lines)) <= width
    joined = " ".join(lines)
    assert joined.count("word") == 30 + 2
    assert "−0.250" in joined
    assert lines[0].startswith("! FAILED")


def test_grouped_tables_have_headings_and_keep_every_row():
    frame = pd.DataFrame({"Estimand": ["<a>", "", "b", "b"], "Source": ["x", "y", "z", "w"], "Estimate": [1.0, 2.0, 3.0, 4.0]})
    text = Table("T", frame, grouped=True).html()
    assert re.findall(r'<th scope="rowgroup" colspan="2">(.*?)</th>', text) == ["&lt;a&gt;", "b"]
    assert text.count("<td") == 8
    assert "Estimand" not in text


def test_latex_and_spreadsheet_escapes():
    assert latex_text("a_b & 5% #1 {x} $ ~ ^ \\ <−>") == (
        r"a\_b \& 5\% \#1 \{x\} \$ \textasciitilde{} \textasciicircum{} \textbackslash{} \textless{}$-$\textgreater{}"
    )
    assert [spreadsheet_text(t) for t in ("=1", "+1", "-1", "@x", "\tx", " =1", "plain", "")] == [
        "'=1",
        "'+1",
        "'-1",
        "'@x",
        "'\tx",
        "' =1",
        "plain",
        "",
    ]


@pytest.fixture(scope="module")
def fit() -> FakeFit:
    return FakeFit(synthetic_panel(), passed=False, draws=100)


@pytest.mark.parametrize("suffix", [".docx", ".tex", ".md", ".html"])
def test_export_writes_every_table_with_the_failure_on_top(fit, tmp_path, suffix):
    path = export_tables(fit, tmp_path / "new" / f"tables{suffix}")
    verdict = fit.diagnose().verdict
    if suffix == ".docx":
        from docx import Document

        document = Document(str(path))
        assert len(document.tables) >= 10
        assert sum(p.text == verdict for p in document.paragraphs) == len(document.tables)
        assert "East" in "".join(c.text for t in document.tables for r in t.rows for c in r.cells)
        return
    text = path.read_text(encoding="utf-8")
    marks = {".tex": r"\begin{tabular", ".md": "\n|---", ".html": "<table>"}
    shown = {".tex": latex_text(verdict), ".md": verdict.replace("_", "\\_"), ".html": html.escape(verdict)}[suffix]
    assert text.count(marks[suffix]) >= 10
    assert text.count(shown) == text.count(marks[suffix])


def test_export_of_a_comparison_and_misuse(fit, tmp_path):
    comparison = bayes.compare(fit.att("simple"), title="Mine")
    assert "Mine" in export_tables(comparison, tmp_path / "c.md").read_text(encoding="utf-8")
    with pytest.raises(SpecificationError, match=r"\.docx, \.tex, \.md, \.html"):
        export_tables(comparison, tmp_path / "c.xlsx")
    with pytest.raises(SpecificationError, match="takes a fit or a Comparison, got int"):
        export_tables(3, tmp_path / "c.md")

"""Names and labels with markup, LaTeX commands and spreadsheet formulas: text in every file that leaves the package, never code."""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayes
from bayes.errors import FontWarning
from bayes.estimates import Estimates
from bayes.reporting import export_tables
from bayes.reporting.tables import Table, as_latex, latex_text, save_csv, save_docx, spreadsheet_text

NASTY = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><b>&amp;'", "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)",
    "\t=1+1", "\r=1", " =1+1", "＝1+1", r"\input{/etc/passwd}", r"100% of $x_1$ & #2 {a} ~ ^ \\", "a|b", "a\nb", "省份 ü", "\x07bell",
    "{{ 7*7 }}", "{% raw %}", "[link](javascript:alert(1))", "`code`", "![x](y)",
)  # fmt: skip


@pytest.fixture(scope="module")
def comparison():
    rows = [
        {"estimand": "att", "term": "region", "region": text, "variant": text, "source": source, "note": text, "unit": text,
         "estimate": 0.1, "se": 0.1, "lower": 0.0, "upper": 0.2, "level": 0.95, "interval": "normal"}
        for text in NASTY for source in ("one", NASTY[0], NASTY[3])
    ]  # fmt: skip
    return bayes.compare(Estimates.from_rows(rows), title=NASTY[0])


def markup_of(text: str) -> set[str]:
    """Names of the elements, and the attributes, of a page."""
    return set(re.findall(r"<\s*([a-zA-Z][a-zA-Z0-9]*)", text)) | set(re.findall(r"<[^>]*\s(on[a-z]+)\s*=", text))


def test_html_shows_text_as_text(comparison, tmp_path):
    page = export_tables(comparison, tmp_path / "t.html").read_text("utf-8")
    assert not markup_of(page) & {"script", "img", "onerror", "b"}
    assert html.escape("<script>alert(1)</script>") in page
    assert "{{ 7*7 }}" in page
    assert "script" not in markup_of(comparison._repr_html_())
    assert "script" not in markup_of(Estimates(comparison.frame)._repr_html_())


def nasty_panel() -> bayes.Panel:
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(len(NASTY)), 4)
    return bayes.Panel.from_frame(
        pd.DataFrame(
            {NASTY[3]: np.array(NASTY, dtype=object)[unit], "year": np.tile(np.arange(2001, 2005), len(NASTY)),
             NASTY[0]: np.array([NASTY[1], NASTY[11]], dtype=object)[unit % 2],
             NASTY[12]: np.exp(rng.normal(size=unit.size)), NASTY[9]: np.exp(rng.normal(size=unit.size))}
        ), unit=NASTY[3], time="year", region=NASTY[0], name=NASTY[1],
    )  # fmt: skip


def test_a_report_of_data_with_such_names_holds_no_code(tmp_path):
    panel = nasty_panel()
    measured = [bayes.measure.theil(panel, NASTY[12]), bayes.measure.dea(panel, [NASTY[12]], [NASTY[9]])]
    with pytest.warns(FontWarning, match=r"x07"):
        page = bayes.report(measured, tmp_path / "r.html", title=NASTY[0], outcome=NASTY[1], time_unit=NASTY[2]).read_text("utf-8")
    assert not markup_of(page) & {"script", "onerror", "b"}
    assert set(re.findall(r'<img src="(.{5})', page)) <= {"data:"}
    assert page.count("<title>") == 1
    assert html.escape(NASTY[0]) in page


def test_latex_commands_are_text(comparison, tmp_path):
    text = export_tables(comparison, tmp_path / "t.tex").read_text("utf-8")
    assert r"\input" not in text.replace(r"\textbackslash{}input", "")
    assert r"100\% of \$x\_1\$ \& \#2 \{a\} \textasciitilde{} \textasciicircum{}" in text
    assert "\x07" not in text
    body = re.sub(r"\\[%$&#_{}]", "", text)
    assert body.count("{") == body.count("}")


def test_word_shows_text_as_text(comparison, tmp_path):
    path = export_tables(comparison, tmp_path / "t.docx")
    with zipfile.ZipFile(path) as archive:
        xml = archive.read("word/document.xml")
        assert not [name for name in archive.namelist() if name.endswith((".bin", ".vba", ".exe"))]
    words = "".join(ElementTree.fromstring(xml).itertext())
    assert "<script>alert(1)</script>" in words
    assert "=cmd|' /C calc'!A0" in words
    fields = re.findall(rb"<w:instrText[^>]*>(.*?)</w:instrText>", xml)
    assert set(fields) <= {b" SEQ Table \\* ARABIC ", b"SEQ Table \\* ARABIC"}, "fields number the tables and hold no text of the data"


def test_markdown_renders_no_markup(comparison, tmp_path):
    text = export_tables(comparison, tmp_path / "t.md").read_text("utf-8")
    assert "<script" not in text
    assert "<img" not in text
    assert r"\[link\](javascript" in text
    table = [line for line in text.splitlines() if line.startswith("|") and line.endswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1, "every row has the same cells"


def test_spreadsheets_run_nothing(comparison, tmp_path):
    comparison.to_csv(tmp_path / "t.csv")
    save_csv(pd.DataFrame({"=1+1": ["@x", "plain"], "-a": [1.0, -2.0], "c": pd.Categorical(["=2", "b"])}), tmp_path / "names.csv")
    for file in tmp_path.glob("*.csv"):
        for row in csv.reader(io.StringIO(file.read_text("utf-8"), newline="")):
            for cell in row:
                assert not starts_a_formula(cell), cell
    assert "-2.0" in (tmp_path / "names.csv").read_text(), "numbers stay numbers"


def starts_a_formula(cell: str) -> bool:
    text = cell.lstrip(" \n")
    try:
        float(text)
        return False
    except ValueError:
        return text[:1] in ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(text=st.text(max_size=30))
def test_any_text_is_safe_everywhere(text):
    assert not starts_a_formula(spreadsheet_text(text))
    table = Table(text, pd.DataFrame({text or "a": [text]}), note=text, warning=text)
    assert not markup_of(table.html()) - {"p", "div", "table", "caption", "thead", "tr", "th", "tbody", "td"}
    assert not re.search(r"(?<!\\)[%&#$_]", re.sub(r"\$\\?[a-z−-]*\$", "", latex_text(text)))
    assert "<" not in table.markdown()


@pytest.mark.parametrize("text", ["\x07bell", "\ufffe", "\x7f", "a\u2028b"])
def test_characters_that_no_document_holds(text, tmp_path):
    table = Table(text, pd.DataFrame({text: [text]}), note=text)
    save_docx([table], tmp_path / "t.docx")
    ElementTree.fromstring(zipfile.ZipFile(tmp_path / "t.docx").read("word/document.xml"))
    assert as_latex(table)
    assert table.html()
    assert table.markdown()

"""The page that links the reports of a folder."""

from __future__ import annotations

import pytest

from bayes.errors import SpecificationError
from bayes.reporting.document import render
from bayes.reporting.index import summary, write_index
from bayes.reporting.sections import Section

SECTIONS = (
    Section("Headline", "headline", ("An effect of 3.", "It is sure.", "More.")),
    Section("Checks", "diagnostics", ("All passed.",)),
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b & c.html").write_text(render(SECTIONS, "Laws <and> orders", note="Simulated data: drawn."), encoding="utf-8")
    (tmp_path / "a.html").write_text(render((Section("Measured", "measured", ("Words.",)),), "Measured"), encoding="utf-8")
    return tmp_path


def test_a_report_is_summed_up_from_its_page(folder):
    found = summary(folder / "b & c.html")
    assert (found.title, found.note, found.file) == ("Laws <and> orders", "Simulated data: drawn.", "b%20%26%20c.html")
    assert found.headline == ("An effect of 3.", "It is sure.")
    assert found.verdicts == ("All passed.",)
    assert (found.sections, found.tables, found.figures) == (2, 0, 0)
    assert summary(folder / "a.html").headline == ("Words.",)


def test_the_index_links_every_report_in_order_and_not_itself(folder):
    for _ in range(2):
        page = write_index(folder, "All").read_text(encoding="utf-8")
    assert page.index('href="a.html"') < page.index('href="b%20%26%20c.html"')
    assert "index.html" not in page
    assert "Laws &lt;and&gt; orders" in page
    assert page.count('class="box about"') == 1


def test_an_empty_folder_says_what_to_run(tmp_path):
    with pytest.raises(SpecificationError, match="models/"):
        write_index(tmp_path)

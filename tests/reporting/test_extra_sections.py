"""Sections of one's own in a report, and the note that goes with everything."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from bayes import plots, report
from bayes.errors import SpecificationError
from bayes.reporting.extra_sections import sections_of
from bayes.reporting.figures import stamped


def family(fit):
    raise AssertionError("no fit was given")


def test_all_items_under_one_heading(tiny_fit):
    att = tiny_fit.att("region")
    items = ["A sentence.", pd.DataFrame({"a": [1], "b_c": [2.0]}), att, lambda width: plots.forest(att, by="region", width=width)]
    (section,) = sections_of({"Mine": items}, "y", family)
    assert section.title == "Mine"
    assert section.paragraphs[0] == "A sentence."
    assert [len(table.frame) for table in section.tables] == [1, len(att)]
    assert len(section.figures) == 2, "the estimates' own figure and the one given"


@pytest.mark.parametrize(
    ("extra", "words"), [(["a"], "mapping of headings"), ({"A": 3}, "no section for int"), ({"A": [object()]}, "object")]
)
def test_what_has_no_section_is_refused(extra, words):
    with pytest.raises(SpecificationError, match=words):
        sections_of(extra, "", family)


def test_another_fit_brings_its_verdict_and_a_note_goes_with_every_table(tiny_fit, tmp_path):
    known = replace(tiny_fit, panel=replace(tiny_fit.panel, note="Simulated data: drawn for this test."))
    page = report(known, tmp_path / "page.html", extra={"The same again": [tiny_fit, "Words."]}).read_text(encoding="utf-8")
    assert '<p class="box about">Simulated data: drawn for this test.</p>' in page
    assert page.count('<p class="note">Simulated data.') + page.count("Simulated data.</p>") >= page.count("<table") > 10
    section = page[page.index('id="extra-1-the-same-again"') :]
    assert str(tiny_fit.diagnose().verdict).split(":")[0] in section[: section.index("<table")]
    assert "Simulated" not in report(known, tmp_path / "other.html", note="").read_text(encoding="utf-8").split("<section")[0]


def test_a_stamp_gets_a_strip_of_its_own_below_the_figure(tiny_fit):
    figure = plots.forest(tiny_fit.att("region"), by="region")
    assert stamped(figure, "") == {}
    area = stamped(figure, "Simulated data")["bbox_inches"]
    assert figure.texts[-1].get_text() == "Simulated data"
    assert figure.texts[-1].get_position()[1] < 0
    assert (area.width, area.y1) == tuple(figure.get_size_inches())
    assert area.y0 < 0

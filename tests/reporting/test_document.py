"""bayes.report: order and content of the sections, escaping, size, and a fit that failed its diagnostics."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace

import pandas as pd
import pytest

import bayes
from bayes.errors import InfluentialUnitsWarning, SpecificationError
from bayes.panel import Panel
from bayes.reporting.did_words import prior_driven
from bayes.reporting.document import render
from bayes.reporting.figures import Picture, data_address
from bayes.reporting.references import REFERENCES
from bayes.reporting.sections import Figure, Section
from bayes.reporting.tables import Table
from tests.reporting.fakes import FakeFit, StaggeredDiD, synthetic_baselines, synthetic_panel

ORDER = [
    "diagnostics",
    "headline",
    "comparison",
    "event-study",
    "regions",
    "heterogeneity",
    "prior-driven",
    "prior-posterior",
    "prior-sensitivity",
    "predictive",
    "chains",
    "priors",
    "criticism",
    "descriptive",
    "timing",
    "data",
    "software",
    "methods",
    "references",
]


@pytest.fixture(scope="module")
def fit() -> FakeFit:
    return FakeFit(synthetic_panel(), StaggeredDiD(covariates=("log_income",)), draws=100)


@pytest.fixture(scope="module")
def comparison(fit):
    return bayes.compare(fit.att("simple"), fit.att("simple", estimand="att_population"), fit.att("event"), synthetic_baselines(fit))


@pytest.fixture(scope="module")
def page(fit, comparison, tmp_path_factory) -> str:
    path = bayes.report(fit, tmp_path_factory.mktemp("r") / "deep" / "report.html", comparison=comparison)
    assert path.stat().st_size < 3_000_000
    return path.read_text(encoding="utf-8")


@pytest.fixture
def without_drawing(monkeypatch):
    """Where a test is about words, figures need not be drawn."""
    drawn = Picture("data:,", "data:,", "alt", "caption", 1, 1)
    monkeypatch.setattr("bayes.reporting.figures.picture", lambda figure, *_: drawn)


def text_of(page: str, anchor: str) -> str:
    part = re.search(rf'<section id="{anchor}".*?</section>', page, re.DOTALL).group(0)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part))


def test_sections_come_in_the_order_a_reader_needs(page):
    assert re.findall(r'<section id="([^"]+)"', page) == ORDER
    links = re.findall(r'<li><a href="#([^"]+)"', page)
    assert links == ORDER


def test_headline_is_one_plain_sentence_with_the_fits_own_numbers(page, fit):
    row = fit.att("simple").frame.iloc[0]
    words = text_of(page, "headline")
    assert f"{row['estimate']:.3f} higher in the 15 treated units" in words
    assert "95 % equal-tailed posterior interval" in words
    assert "The outcome is a logarithm" in words
    assert "1.00)" not in words.split("probability that")[1][:60]


def test_prior_driven_region_is_named(page):
    assert "East has no treated unit." in text_of(page, "prior-driven")
    assert "prior-driven: no treated unit in this region" in text_of(page, "regions")


def test_unidentified_and_partly_identified_rows_are_told_apart(fit):
    event, region = fit.att("event"), fit.att("region")
    event.frame.loc[event.frame["event_time"] == 3, ["identified", "note"]] = [False, ""]
    event.frame.loc[event.frame["event_time"] == 2, ["identified", "note"]] = [False, "over identified cells only (80% of the weight)"]
    text = prior_driven(fit, {"by event time": event, "by region": region}, {"region_sd": 0.9, "cell_sd": 0.2})
    assert text[0].startswith("East has no treated unit.")
    assert text[1] == "Not identified by event time: event time 3. There the data hold no comparison."
    assert text[2].startswith("Partly identified by event time: event time 2.")
    assert "little about region sd:" in text[3]
    assert len(text) == 4


def test_warnings_of_the_criticism_are_on_the_page(fit, without_drawing, tmp_path):
    class Warned(FakeFit):
        def loo(self):
            warnings.warn("two units move the posterior", InfluentialUnitsWarning, stacklevel=2)
            return super().loo()

    page = bayes.report(Warned(fit.panel, draws=50), tmp_path / "r.html").read_text(encoding="utf-8")
    assert "two units move the posterior" in text_of(page, "criticism")


def test_described_columns_may_come_as_a_table(fit, without_drawing, tmp_path):
    given = fit.panel.describe(["log_income"])
    page = bayes.report(fit, tmp_path / "r.html", descriptive=given).read_text(encoding="utf-8")
    assert "log_income" in text_of(page, "descriptive")
    assert "log_outcome" not in text_of(page, "descriptive")


def test_every_picture_has_words_and_a_phone_version(page):
    alts = re.findall(r'<img [^>]*alt="([^"]+)"', page)
    assert len(alts) == 7
    assert all(len(alt) > 30 for alt in alts)
    assert page.count('<source media="(max-width: 600px)" srcset="data:image/') == 7


def test_facts_of_data_and_software(page, fit):
    data, software = text_of(page, "data"), text_of(page, "software")
    assert "Rows used 216" in data
    assert fit.meta["data_hash"] in data
    for words in ("nutpie 0.16", "Seed 1", "Sampling, seconds 6.100"):
        assert words in software


def test_rows_set_aside_are_counted_with_their_reason(fit, without_drawing, tmp_path):
    frame = fit.panel.frame.copy()
    frame.loc[[3, 50], "log_income"] = float("nan")
    panel = Panel.from_frame(frame, "unit", "year", region="region", first_treated="law").drop_missing(["log_income"])
    page = bayes.report(replace(fit, panel=panel), tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Rows in 216 Rows used 214 Rows set aside 2" in text_of(page, "data")
    assert "missing or infinite value in log_income" in text_of(page, "data")
    assert "unbalanced: 2 of 24 units miss periods (2 in all)" in text_of(page, "timing")


def test_methods_follow_the_specification(page, fit, without_drawing, tmp_path):
    methods = text_of(page, "methods")
    assert "first-order autoregression" in methods
    assert "linear terms in log_income" in methods
    assert "partially pooled over regions, cohorts" in methods
    other = replace(
        fit,
        model=StaggeredDiD(errors="iid", pooling="none", period_effects="region", unit_effects="fixed", unit_trends=True, anticipation=2),
    )
    words = text_of(bayes.report(other, tmp_path / "o.html").read_text(encoding="utf-8"), "methods")
    for expected in (
        "independent and identically distributed",
        "Cells are not pooled",
        "period effect for every region",
        "random linear trend",
        "from 2 periods before",
    ):
        assert expected in words
    assert "autoregression" not in words
    assert "integrated out. " not in words.split("Cells are not pooled")[0]


def test_references_list_only_what_is_used(page, fit, without_drawing, tmp_path):
    listed = text_of(page, "references")
    for used in ("Callaway", "Borusyak", "Seyboldt", "Hoffman", "Abril-Pla", "JAX"):
        assert used in listed
    for unused in ("Goodman-Bacon", "Müller", "NumPyro", "BlackJAX", "Gardner"):
        assert unused not in listed
    alone = text_of(bayes.report(fit, tmp_path / "alone.html").read_text(encoding="utf-8"), "references")
    assert "Callaway" not in alone
    assert all(text.endswith(".") for text in REFERENCES.values())


def test_a_failed_fit_says_so_first_and_on_every_table(fit, comparison, without_drawing, tmp_path):
    failed = replace(fit, passed=False)
    page = bayes.report(failed, tmp_path / "failed.html", comparison=comparison).read_text(encoding="utf-8")
    assert page.index('class="box bad"') < page.index('id="headline"')
    assert "Diagnostics FAILED" in text_of(page, "diagnostics")
    assert "Do not use the numbers below" in text_of(page, "diagnostics")
    assert page.count('<p class="failed">') == page.count("<table>")
    assert page.count("<table>") > 8


def test_a_passing_fit_has_a_green_box_and_no_failure(page):
    assert 'class="box good"' in page
    assert '<p class="failed">' not in page


def test_names_from_the_data_are_escaped(fit, tmp_path):
    frame = fit.panel.frame.assign(region=fit.panel.frame["region"].replace({"West": "<b>W&amp;est</b>", "East": "<script>x</script>"}))
    panel = Panel.from_frame(frame, "unit", "year", region="region", first_treated="law", name='<img src=x onerror="y">')
    page = bayes.report(replace(fit, panel=panel), tmp_path / "r.html", title="<i>T</i>").read_text(encoding="utf-8")
    for raw in ("<script>x", "<b>W", "<img src=x", "<i>T</i>"):
        assert raw not in page
    assert "&lt;script&gt;x&lt;/script&gt; has no treated unit." in page


def test_the_same_fit_gives_the_same_file(fit, without_drawing, tmp_path):
    first, second = (bayes.report(fit, tmp_path / name) for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()
    figures = [bayes.plots.shrinkage(fit.att("region"), fit.unpooled("region")) for _ in range(2)]
    assert data_address(figures[0]) == data_address(figures[1])


@dataclass(frozen=True)
class Frontier:
    outcome: str = "y"


def test_misuse_is_refused_in_words(fit, tmp_path):
    with pytest.raises(SpecificationError, match=r"does not end in \.html"):
        bayes.report(fit, tmp_path / "report.pdf")
    with pytest.raises(SpecificationError, match="No report is known for the model 'Frontier'"):
        bayes.report(replace(fit, model=Frontier()), tmp_path / "r.html")
    with pytest.raises(SpecificationError, match=r"comparison= takes"):
        bayes.report(fit, tmp_path / "r.html", comparison=pd.DataFrame())
    with pytest.raises(TypeError, match="colour"):
        bayes.report(fit, tmp_path / "r.html", colour="red")
    with pytest.raises(SpecificationError, match="alt text"):
        Figure(lambda width: None, " ")
    with pytest.raises(SpecificationError, match="anchors"):
        render([Section("A", "x"), Section("B", "x")], "t")


def test_another_family_brings_its_own_sections(fit, tmp_path):
    def sections(fit, comparison, descriptive, outcome, time_unit):
        return [Section("Mine", "mine", ("One line.",), (Table("T", pd.DataFrame({"a": [1, None]}), note="n1\nn2"),), note="end")]

    page = bayes.report(replace(fit, model=Frontier()), tmp_path / "r.html", sections=sections).read_text(encoding="utf-8")
    assert "One line." in page
    assert page.count('class="note"') == 3
    assert "<nav" not in page

"""Robustness, heterogeneity and priors in the report: every kind of result has its section, its words and its figure."""

from __future__ import annotations

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes.comparison import compare
from bayes.errors import ConvergenceWarning, SpecificationError, UnsupportedModelError
from bayes.estimates import Estimates
from bayes.reporting import did_heterogeneity, did_robustness
from bayes.reporting.figures import Picture, picture
from tests.conftest import fabricated
from tests.did.dense import panel_of
from tests.panels import simulated_frame
from tests.reporting.test_document import text_of


@pytest.fixture(scope="module")
def panel():
    return panel_of(simulated_frame(n_units=24, n_periods=8))


@pytest.fixture(scope="module")
def fit(panel):
    return fabricated(panel, covariates=("x",), draws=60)


@pytest.fixture(scope="module")
def results(fit, panel):
    spread = fit.heterogeneity
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {
            "Drifting trends": fit.sensitivity("simple", max_violation=[0, 1]),
            "Trends before": fit.parallel_trends(bound=0.1),
            "Other choices": fit.variants(errors="iid", draws=60),
            "By cluster": fit.cluster_robust("region"),
            "Poolings": bayes.compare_pooling(panel, fit.model, ["complete"], draws=100),
            "Priors": fit.prior_sensitivity(),
            "Contrasts": spread.region_contrasts(),
            "Ranks": spread.region_ranks(),
            "Along x": spread.effect_by("x"),
            "Units": spread.counterfactual(["u000", "u001"]),
            "Side by side": compare(fit.att("simple")),
            "Table": pd.DataFrame({"a_b": [1.0]}),
        }


@pytest.fixture(scope="module")
def sections(results):
    return did_robustness.sections_of(results, "the outcome")


def test_every_result_has_a_section_and_a_line_before_them(sections, results):
    assert [s.title for s in sections] == ["Robustness", *results]
    anchors = [s.anchor for s in sections]
    assert len(set(anchors)) == len(anchors)
    assert all(a.startswith("robustness") for a in anchors)
    lines = sections[0].paragraphs
    assert "By cluster: 3 of 3 rows have no number" in " ".join(lines)  # three regions of eight units cannot tell it
    assert lines[0].startswith("Drifting trends: P(att simple > 0)")
    assert all(s.paragraphs or s.tables for s in sections)


def test_figures_can_be_drawn_and_have_words(sections):
    drawn = {s.title: [picture(f) for f in s.figures] for s in sections if s.figures}
    assert {"Drifting trends", "Trends before", "Other choices", "Contrasts", "Along x", "Units"} == set(drawn)
    assert all(p.page.startswith("data:image/") and len(p.alt) > 15 for pictures in drawn.values() for p in pictures)


def test_numbers_are_those_of_the_results(sections, results):
    by_title = {s.title: s for s in sections}
    contrasts = by_title["Contrasts"].tables[0].frame
    assert contrasts["Quantity"].tolist() == ["Centre − North", "Centre − South", "North − South"]
    row = results["Contrasts"].frame.iloc[0]
    assert contrasts.iloc[0, 1].startswith(f"{row.estimate:.3f}".replace("-", "−"))
    poolings = by_title["Poolings"].tables[0].frame
    assert poolings["Pooling"].tolist() == results["Poolings"].table.pooling.tolist()
    groups = by_title["Along x"].tables[0].frame
    assert len(groups) == 6
    assert by_title["Along x"].paragraphs[0].startswith("From ")
    assert by_title["Table"].tables[0].columns == ["A b"]
    assert "mode, prior scales × 2" in by_title["Priors"].tables[1].frame["Priors"].tolist()


def test_a_list_gives_headings_and_repeats_get_anchors_of_their_own(results):
    found = did_robustness.sections_of([results["Contrasts"], results["By cluster"], results["Poolings"]], "y")
    assert [s.anchor for s in found] == ["robustness", "robustness-estimates", "robustness-estimates--2", "robustness-pooling"]
    assert found[1].title == "Differences of att between regions"
    assert did_robustness.sections_of([], "y") == ()


def test_a_row_without_number_says_why(results):
    missing = Estimates(results["Contrasts"].frame.assign(estimate=np.nan, note="North: no treated unit"))
    section = did_robustness.sections_of([missing], "y")[1]
    assert section.paragraphs == ("3 of 3 rows have no number (North: no treated unit).",)
    assert section.figures == ()


def test_a_placebo_test_has_its_p_value(fit):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        test = fit.placebo(n=5, cores=1, progress=False)
    section = did_robustness.sections_of([test], "y")[1]
    assert section.paragraphs == (test.verdict,)
    assert section.anchor == "robustness-placebo"
    assert picture(section.figures[0]).alt.startswith("Estimates under 5 fake sets")


def test_other_things_are_refused_by_name(results):
    with pytest.raises(SpecificationError, match=r"no section for int; it takes PlaceboTest, Sensitivity"):
        did_robustness.sections_of([3], "y")
    for wrong in (results["Contrasts"], "placebo", pd.DataFrame(), 3):
        with pytest.raises(SpecificationError, match="takes a list of results"):
            did_robustness.sections_of(wrong, "y")


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def page(fit, results, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bayes.reporting.figures.picture", lambda figure, *_: Picture("data:,", "data:,", figure.alt, figure.caption, 1, 1))
        path = bayes.report(fit, tmp_path_factory.mktemp("r") / "r.html", robustness=results)
    return path.read_text(encoding="utf-8")


def test_the_part_stands_after_the_estimates(page):
    order = re.findall(r'<section id="([^"]+)"', page)
    place = order.index("heterogeneity")
    assert order[place + 1 : place + 4] == ["robustness", "robustness-sensitivity", "robustness-trends"]
    assert order.index("prior-sensitivity") == order.index("prior-posterior") + 1


def test_references_of_the_results_are_listed(page, fit):
    listed = text_of(page, "references")
    for name in ("Kallioinen", "Yao", "Rambachan", "Roth, J. (2022)", "Simonsohn"):
        assert name in listed
    assert "Moran" not in listed


def test_heterogeneity_of_a_real_fit(page, fit):
    words = text_of(page, "heterogeneity")
    assert "The surest difference between regions" in words
    assert "Centre − North" in words
    assert "P(rank 1)" in words
    for component in ("event", "region:event", "cohort", "unit"):
        assert component in words
    assert "Share of variance, prior" in words


def test_replication_statistics_are_in_the_report(page):
    words = text_of(page, "predictive")
    assert "autocorrelation at lag 1" in words
    assert "largest unit sd / median unit sd" in words


def test_priors_are_in_the_report(page):
    words = text_of(page, "prior-sensitivity")
    assert "Power-scaling" in words
    assert "mode, prior scales × 0.5" in words


def test_what_a_model_does_not_have_is_said():
    def refuse(*_):
        raise UnsupportedModelError("not for Student-t errors")

    section = did_heterogeneity.prior_sensitivity(SimpleNamespace(prior_sensitivity=refuse))
    assert section.paragraphs == ("not for Student-t errors",)
    one = panel_of(simulated_frame(n_units=12, n_periods=6)).frame.assign(region="all")
    alone = fabricated(panel_of(one), pooling="none", unit_effects="fixed", draws=20)
    section = did_heterogeneity.heterogeneity(alone, alone.att("event"), "y", "years")
    assert section.figures == ()
    assert "no variance component" in section.paragraphs[0]


def test_a_model_with_student_t_errors_has_a_report_that_says_what_it_lacks(panel, tmp_path, monkeypatch):
    monkeypatch.setattr("bayes.reporting.figures.picture", lambda figure, *_: Picture("data:,", "data:,", figure.alt, figure.caption, 1, 1))
    heavy = fabricated(panel, leads=False, draws=20)
    object.__setattr__(heavy.model, "likelihood", "student-t")
    monkeypatch.setattr(type(heavy.model), "parameters", lambda self, collapsed: ("innovation_sd", "autocorrelation", "unit_effect_sd"))
    written = bayes.report(heavy, tmp_path / "r.html").read_text(encoding="utf-8")
    for anchor in ("predictive", "criticism", "prior-sensitivity"):
        assert "does not exist for a model with student-t" in text_of(written, anchor)
    assert "Effects by region" in text_of(written, "regions")

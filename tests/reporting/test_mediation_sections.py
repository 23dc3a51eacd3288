"""The report of a mechanism: its sections, its words, and every specification that it must be able to write about."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import pytest

import bayes
from bayes.reporting.figures import Picture
from bayes.reporting.mediation_sections import build_sections
from tests.mechanism.fits import fabricated
from tests.mechanism.panels import mechanism_frame, panel_of

FRAME, _ = mechanism_frame(seed=2, n_units=36, n_periods=6, gaps=True)
NO_TREATED = FRAME.assign(first_treated=FRAME.first_treated.where(FRAME.region != "R1"))
ORDER = [
    "diagnostics", "headline", "mechanisms", "paths", "comparison", "assumption", "priors", "prior-posterior", "prior-driven", "chains",
    "descriptive", "data", "software", "methods", "references",
]  # fmt: skip


@pytest.fixture(scope="module")
def fit():
    return fabricated(panel_of(NO_TREATED), covariates=("x",), chains=4)


@pytest.fixture(scope="module")
def page(fit, tmp_path_factory) -> str:
    peers = bayes.baselines.mediation(fit.panel, "y", ["m1", "m2"], ["x"])
    path = tmp_path_factory.mktemp("r") / "mechanism.html"
    return bayes.report(fit, path, comparison=bayes.compare(fit.effects(), peers), outcome="output").read_text(encoding="utf-8")


def text_of(page: str, anchor: str) -> str:
    part = re.search(rf'<section id="{anchor}".*?</section>', page, re.DOTALL).group(0)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", part)))


def section(parts, anchor: str):
    return next(part for part in parts if part.anchor == anchor)


def test_sections_come_in_the_order_a_reader_needs(page):
    assert re.findall(r'<section id="([^"]+)"', page) == ORDER


def test_headline_has_the_fits_own_numbers_and_the_assumption(page, fit):
    row = fit.effects().where(estimand="total").frame.iloc[0]
    said = text_of(page, "headline")
    assert f"Treatment changed output by {row['estimate']:+.3f} on average".replace("-", "−") in said
    assert "sequential ignorability" in said
    assert fit.assumption in text_of(page, "assumption")


def test_table_is_region_by_mechanism_and_says_what_is_not_identified(page):
    said = text_of(page, "mechanisms")
    assert "Region Direct Through m1 Through m2 Total" in said
    assert "R1 not identified not identified not identified not identified" in said
    assert "All (treated rows)" in said
    assert "Not identified: effects in R1" in text_of(page, "prior-driven")


def test_every_picture_has_words_and_a_phone_version(page):
    alts = re.findall(r'<img [^>]*alt="([^"]+)"', page)
    assert len(alts) == 3  # forest, prior and posterior, chains
    assert all(len(alt) > 30 for alt in alts)
    assert page.count('<source media="(max-width: 600px)" srcset="data:image/') == 3


def test_references_are_those_of_what_was_used(page):
    listed = text_of(page, "references")
    for used in ("Baron", "Kenny, D. A., Korchmaros", "Lewandowski", "Sobel"):
        assert used in listed


@pytest.mark.parametrize("options", [{"pooling": "none"}, {"pooling": "complete"}, {"errors": "iid", "unit_effects": "fixed"}])
def test_every_specification_has_a_report(options, monkeypatch, tmp_path):
    monkeypatch.setattr("bayes.reporting.figures.picture", lambda figure, *_: Picture("data:,", "data:,", "alt", "caption", 1, 1))
    made = fabricated(panel_of(FRAME), mediators=("m1",), **options)
    text = bayes.report(made, tmp_path / "a.html").read_text(encoding="utf-8")
    assert 'id="comparison"' not in text
    assert "mechanism of the effect on y" in text


def test_a_total_that_may_be_zero_has_no_share_in_the_headline():
    frame = FRAME.assign(y=np.random.default_rng(0).normal(size=len(FRAME)))
    said = " ".join(section(build_sections(fabricated(panel_of(frame))), "headline").paragraphs)
    assert "no share of it is reported" in said
    assert "median" not in said

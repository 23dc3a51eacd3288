"""The report of a cross-lagged pair: its sections, its words, and every specification that it must be able to write about."""

from __future__ import annotations

import re
from html import unescape

import pytest

import bayes
from bayes.reporting.cross_lagged_sections import build_sections
from bayes.reporting.figures import Picture
from tests.dynamics.fits import fabricated
from tests.dynamics.panels import pair_frame, panel_of

FRAME, _ = pair_frame(seed=2, n_units=15, n_periods=7, gaps=True)
ORDER = [
    "diagnostics", "headline", "specification", "effects", "cross-lags", "comparison", "assumption", "priors", "prior-posterior",
    "prior-driven", "chains", "descriptive", "data", "software", "methods", "references",
]  # fmt: skip


@pytest.fixture(scope="module")
def fit():
    return fabricated(panel_of(FRAME), covariates=["x"], chains=4)


@pytest.fixture(scope="module")
def page(fit, tmp_path_factory) -> str:
    peers = bayes.baselines.cross_lagged(fit.panel, "f", "s", ["x"])
    both = bayes.compare(fit.effects().where(estimand=["own_lag", "cross_lag"]), peers)
    return bayes.report(fit, tmp_path_factory.mktemp("r") / "pair.html", comparison=both).read_text(encoding="utf-8")


def text_of(page: str, anchor: str) -> str:
    part = re.search(rf'<section id="{anchor}".*?</section>', page, re.DOTALL).group(0)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", part)))


def test_sections_come_in_the_order_a_reader_needs(page):
    assert re.findall(r'<section id="([^"]+)"', page) == ORDER


def test_headline_has_the_fits_own_numbers_and_the_rows_left_out(page, fit):
    row, said = fit.effects().where(estimand="cross_lag", term="f → s").frame.iloc[0], text_of(page, "headline")
    assert f"One unit more of f goes with {row['estimate']:+.3f} of s a period later".replace("-", "−") in said
    assert f"{fit.meta['rows_after_gap']} rows not used: no previous period." in said
    assert "statements on prediction" in said


def test_tables_have_regions_and_both_directions(page):
    said = text_of(page, "effects")
    for words in ("Own lags", "Cross lags", "dominates", "Long-run", "R0", "All (rows used)", "f → s", "s → f"):
        assert words in said


def test_method_names_the_equation_and_its_references(page):
    assert "z_it = λ_t + A_r z_i,t−1" in text_of(page, "specification")
    for used in ("Nickell", "Wooldridge, J. M. (2005)", "Hsiao", "Allison"):
        assert used in text_of(page, "references")


def test_every_picture_has_words_and_a_phone_version(page):
    assert all(len(alt) > 30 for alt in re.findall(r'<img [^>]*alt="([^"]+)"', page))
    assert page.count('<source media="(max-width: 600px)" srcset="data:image/') == 3


@pytest.mark.parametrize("options", [{"pooling": "none"}, {"pooling": "complete"}, {"period_effects": "region"}])
def test_every_specification_has_a_report(options, monkeypatch, tmp_path):
    monkeypatch.setattr("bayes.reporting.figures.picture", lambda figure, *_: Picture("data:,", "data:,", "alt", "caption", 1, 1))
    text = bayes.report(fabricated(panel_of(FRAME), **options), tmp_path / "a.html").read_text(encoding="utf-8")
    assert 'id="comparison"' not in text
    assert "f and s, cross-lagged" in text


def test_one_region_has_a_report():
    parts = build_sections(fabricated(panel_of(FRAME, region=None)))
    assert next(p for p in parts if p.anchor == "effects").tables

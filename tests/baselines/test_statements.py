"""Statements of a study beside what was measured."""

from __future__ import annotations

import numpy as np
import pytest

import bayes
from bayes.baselines import beside_statements
from bayes.errors import SpecificationError
from bayes.estimates import Estimates

SAID = Estimates.from_rows(
    [
        {"estimand": "effect", "term": "openness", "identified": False, "note": "stated: positive; no figure printed", "source": "study"},
        {"estimand": "effect", "term": "distance", "identified": False, "note": "stated: none", "source": "study"},
        {"estimand": "level", "term": "energy", "region": "East", "identified": False, "note": "stated: highest", "source": "study"},
        {"estimand": "level", "term": "energy", "region": "West", "estimate": 0.4, "source": "study"},
    ]
)


def rows(*labels, seed=1):
    draws = np.random.default_rng(seed).normal(0.3, 1, (len(labels), 400))
    return Estimates.from_draws([{"source": "made up", **label} for label in labels], draws)


def test_a_probability_is_that_of_the_claim():
    found = rows({"estimand": "log_effect", "term": "openness", "variant": "economic"})
    p = found.frame["prob_positive"].item()
    for claim, known in ((">", f"{p:.2f}"), ("<", f"{1 - p:.2f}"), ("", "")):
        table = beside_statements(SAID, [({"term": "openness"}, claim, found)])
        assert table["P(as stated)"].iloc[0] == known
    assert table["Measured here"].iloc[0] == "log effect, openness, economic"
    assert table["Statement"].iloc[0] == "positive"


def test_every_statement_has_a_line_and_printed_figures_have_none():
    found = rows({"estimand": "ratio", "term": "region", "region": "East", "term_to": "West"}, {"estimand": "trend", "region": "East"})
    table = beside_statements(SAID, [({"estimand": "level"}, ">", found)])
    assert list(table["About"]) == ["openness", "distance", "energy, East", ""]
    assert list(table["Measured here"]) == ["nothing", "nothing", "ratio, East against West", "trend, East"]
    assert list(table["Statement"]) == ["positive", "none", "highest", ""]


def test_rows_without_a_value_give_the_reason_and_sources_are_told_apart():
    empty = Estimates.from_rows([{"estimand": "slope", "identified": False, "note": "too few rows", "source": "OLS"}])
    both = rows({"estimand": "slope"}) + empty
    table = beside_statements(SAID, [({"term": "openness"}, ">", both)])
    assert list(table["Measured here"][:2]) == ["slope, made up", "slope, OLS"]
    assert table["Estimate"].iloc[1] == "none: too few rows"
    assert table["P(as stated)"].iloc[1] == ""


def test_counts_have_no_decimals_and_one_note_of_a_missing_figure_is_left_out():
    said = Estimates.from_rows([{"estimand": "clubs", "identified": False, "note": "stated: clubs; no single figure printed"}])
    found = Estimates.from_rows([{"estimand": "clubs", "estimate": 2.0}, {"estimand": "growth", "estimate": 0.028}])
    table = beside_statements(said, [({"estimand": "clubs"}, "", found)])
    assert list(table["Estimate"]) == ["2", "0.028"]
    assert list(table["Statement"]) == ["clubs", ""]


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        ([({"term": "nothing"}, ">", rows({"estimand": "x"}))], "No statement has"),
        ([({"term": "openness"}, "up", rows({"estimand": "x"}))], "claim"),
        ([({"term": "openness"}, ">", rows({"estimand": "x"}).where(estimand="y"))], "no rows"),
        ([({"term": "openness"}, ">")], "A finding is"),
    ],
)
def test_wrong_findings_are_refused(findings, words):
    with pytest.raises(SpecificationError, match=words):
        beside_statements(SAID, findings)


def test_a_study_that_prints_figures_only_has_no_statements():
    with pytest.raises(SpecificationError, match="states something"):
        beside_statements(SAID.where(region="West"), [])
    assert len(beside_statements(bayes.published("yangtze_green_tfp"), [])) == 18

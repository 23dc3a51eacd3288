"""Measured quantities in a report: sections of their own, alone on a page and beside a fit."""

from __future__ import annotations

import re

import numpy as np
import pytest

import bayes
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.reporting.measurement_sections import _listed_rows, reference_keys, sections_of

CONVENTION = "efficiency is the share of attainable outputs; 1 is best practice"


def scores(title: str = "DEA, output-oriented", missing: bool = False) -> Estimates:
    """Made-up scores of six units in three periods, two regions."""
    rng = np.random.default_rng(5)
    rows = [
        {"estimand": "efficiency", "term": "unit:period", "unit": f"u{u}", "region": "NS"[u % 2], "period": float(t), "source": "DEA, VRS",
         "estimate": rng.uniform(0.5, 1)}
        for u in range(6) for t in (2001, 2002, 2003)
    ]  # fmt: skip
    if missing:
        rows[4] |= {"estimate": np.nan, "identified": False, "note": "infeasible: no such point"}
    return Estimates.from_rows(rows, title=title, convention=CONVENTION)


def growth() -> Estimates:
    rows = [
        {"estimand": name, "term": "region:period", "region": r, "period": float(t), "source": "Malmquist, output", "estimate": 1.01}
        for name in ("malmquist", "ec", "tc") for r in "NS" for t in (2002, 2003)
    ]  # fmt: skip
    return Estimates.from_rows(rows, title="Malmquist index")


def test_a_section_says_how_to_read_the_numbers_and_what_is_missing():
    section, other = sections_of([scores(missing=True), growth()])
    assert section.title == "DEA, output-oriented"
    assert section.paragraphs[0] == CONVENTION.capitalize() + "."
    assert "1 of 18 values do not exist (infeasible: no such point)" in section.paragraphs[1]
    assert len(section.figures) == 1
    assert section.tables[0].frame.shape == (6, 4)
    assert section.tables[0].folded
    assert [t.title for t in other.tables] == ["Malmquist", "Ec", "Tc"]
    assert len(other.figures) == 1


def test_two_tables_with_one_title_get_anchors_of_their_own():
    anchors = [s.anchor for s in sections_of([scores(), scores(), scores()])]
    assert len(set(anchors)) == 3


def test_a_matrix_with_a_missing_score_keeps_its_row_and_column():
    one = scores(missing=True)
    frame = sections_of(one)[0].tables[0].frame
    assert frame.isna().sum().sum() == 1


def test_short_tables_are_joined_and_probabilities_say_of_what():
    rows = [
        {
            "estimand": name,
            "source": "Bayes",
            "estimate": 1.1,
            "prob_positive": 0.9,
            "note": "geometric mean; prob_positive is P(index > 1)",
        }
        for name in ("growth_sum", "growth_mean")
    ]
    (table,) = sections_of(Estimates.from_rows(rows, title="Growth"))[0].tables
    assert list(table.frame.columns) == ["Quantity", "Estimate", "P(index > 1)", "Note"]
    assert table.frame["Quantity"].tolist() == ["Growth sum", "Growth mean"]
    assert set(table.frame["Note"]) == {"geometric mean"}


def test_references_follow_sources_and_estimands():
    keys = reference_keys([scores(), growth()])
    assert {"charnes1978", "fare1994", "banker1984", "huangfu2018"} <= set(keys)
    assert not {"simar1998", "simar1999", "ray1997", "tone2002"} & set(keys)


def test_what_real_measures_rest_on():
    """Estimands and sources as the functions name them, so that a renamed one is noticed."""
    states = bayes.datasets.load("us_states_production")
    few = states.frame[(states.frame[states.time] < 1973) & states.frame[states.unit].isin(states.units[:12])]
    panel = bayes.Panel.from_frame(few.assign(a=0.2 + few.unemp / 30, b=0.5), unit=states.unit, time=states.time)
    quantities = {"inputs": ["pc", "emp"], "outputs": ["gsp"]}
    measure = bayes.measure
    for found, expected in (
        (measure.dea(panel, **quantities, replicates=100), {"charnes1978", "banker1984", "simar1998"}),
        (measure.dea(panel, **quantities, model="sbm", returns="crs", super_efficiency=True), {"tone2001", "tone2002"}),
        (measure.dea(panel, **quantities, returns="crs", super_efficiency=True), {"andersen1993"}),
        (measure.malmquist(panel, **quantities, decomposition="ray-desli", replicates=100), {"ray1997", "simar1999"}),
        (measure.malmquist(panel, **quantities, reference="global"), {"pastor2005"}),
        (measure.malmquist(panel, **quantities, bad_outputs=["pcap"], reference="global"), {"oh2010", "chung1997"}),
        (measure.sigma_convergence(panel, "gsp", replicates=20), {"barro1992", "rubin1981"}),
    ):
        assert expected <= set(reference_keys([found])), expected
    (section,) = sections_of(measure.coupling_coordination(panel, ["a", "b"]))
    assert len(section.figures) == 1


def test_a_page_of_measured_quantities_alone(tmp_path):
    page = bayes.report([scores(), growth()], tmp_path / "m.html").read_text(encoding="utf-8")
    assert "<title>DEA, output-oriented" in page
    assert len(re.findall("data:image", page)) == 4  # two figures, each for the page and for a phone
    assert "Färe" in page
    bayes.report(scores(), tmp_path / "one.html", title="Own heading")
    assert "Own heading" in (tmp_path / "one.html").read_text(encoding="utf-8")


def test_measured_quantities_beside_a_fit(tmp_path):
    from tests.reporting.frontier_fakes import fabricated_frontier

    page = bayes.report(fabricated_frontier(), tmp_path / "f.html", measured=[scores()]).read_text(encoding="utf-8")
    order = [page.index(f'id="{anchor}"') for anchor in ("comparison", "measured-dea-output-oriented", "efficiency", "references")]
    assert order == sorted(order)
    assert "Charnes" in page


@pytest.mark.parametrize("wrong", [[], "text", [1], 5])
def test_anything_else_is_refused(wrong):
    with pytest.raises(SpecificationError, match=r"bayes\.measure"):
        sections_of(wrong)


@pytest.mark.parametrize("by", ["unit:period", "region", "region:period"])
def test_every_grouping_of_an_index_has_a_figure(by):
    panel = bayes.datasets.load("us_states_production")
    few = panel.frame[panel.frame[panel.time] < 1973]
    panel = bayes.Panel.from_frame(few, unit=panel.unit, time=panel.time, region=panel.region)
    (section,) = sections_of(bayes.measure.malmquist(panel, ["pc", "emp"], ["gsp"], by=by))
    (figure,) = section.figures
    assert len(figure.draw(7.0).axes)


def test_totals_without_parts_have_no_figure_and_do_not_stop_a_report():
    states = bayes.datasets.load("us_states_production")
    panel = bayes.Panel.from_frame(states.frame, unit=states.unit, time=states.time)
    (section,) = sections_of(bayes.measure.dagum_gini(panel, "gsp"))
    assert section.figures == ()
    assert len(section.tables)


def test_rows_with_probabilities_of_different_things_each_say_it():
    draws = np.random.default_rng(2).normal(1.0, 0.5, (2, 400))
    rows = [{"estimand": "slope", "source": "made up"}, {"estimand": "ratio", "source": "made up", "note": "prob_positive is P(ratio > 1)"}]
    table = _listed_rows(Estimates.from_draws(rows, draws).frame)
    assert [cell.split(" ", 1)[1] for cell in table["Probability"]] == ["P(> 0)", "P(ratio > 1)"]
    alone = _listed_rows(Estimates.from_draws(rows[1:], draws[1:]).frame)
    assert "P(ratio > 1)" in alone
    assert " " not in alone["P(ratio > 1)"].item()

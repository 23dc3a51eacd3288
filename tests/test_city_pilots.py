"""The simulated city panel: printed moments, counts, the same bytes every time, and a truth that is in the panel."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

import bayes
from tests.generators import generator

FOLDER = bayes.datasets.path("city_pilots")
PRINTED_DIGITS = 3


@pytest.fixture(scope="module")
def panel():
    return bayes.datasets.load("city_pilots")


@pytest.fixture(scope="module")
def truth():
    return pd.read_csv(FOLDER / "truth.csv", engine="pyarrow").fillna({"region": ""})


def written(table: pd.DataFrame) -> str:
    out = io.StringIO()
    table.to_csv(out, index=False, lineterminator="\n")
    return out.getvalue()


def within(values: np.ndarray) -> np.ndarray:
    """Deviations from city and year means of (cities, years)."""
    return (values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()).ravel()


# ── facts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pilots_and_their_dates():
    pilots = pd.read_csv(FOLDER / "pilots.csv", keep_default_na=False)
    assert len(pilots) == pilots.city.nunique() == 49
    assert pilots.first_treated.value_counts().to_dict() == {2011: 41, 2016: 8}
    second = pilots[pilots.second_batch == "2016"]
    assert second.second_batch_status.value_counts().to_dict() == {"unverified": 8, "verified": 1}
    assert second[second.second_batch_status == "verified"].city.tolist() == ["Nanchang"]
    assert second[second.first_treated == 2011].city.tolist() == ["Ningbo"]
    assert (pilots.status == "unverified").sum() == 7, "Ningbo's first date is another"
    assert pilots.region.value_counts().to_dict() == {"East": 27, "West": 13, "Central": 7, "Northeast": 2}
    provinces = bayes.datasets.provinces().set_index("province").region4
    assert (pilots.province.map(provinces) == pilots.region).all()
    assert (pilots.source != "").all()


def test_cities_by_region_and_province(panel):
    units = panel.frame.drop_duplicates("city")
    assert units.region.value_counts().to_dict() == {"East": 86, "West": 85, "Central": 80, "Northeast": 34}
    provinces = bayes.datasets.provinces().set_index("province").region4
    assert (units.province.map(provinces) == units.region).all()
    assert set(units.province) == set(provinces.index)
    named = units[units.first_treated < np.inf]
    coded = units[units.first_treated == np.inf]
    assert not named.city.str.contains(r"\d").any()
    assert coded.city.str.fullmatch(r"[A-Z][A-Za-z ]+ \d\d").all()
    assert set(panel.frame.loc[panel.frame.first_treated < np.inf, "date_status"]) == {"verified", "unverified"}


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_printed_moments_hold_to_the_last_digit_but_that_of_the_treatment(panel):
    did = (panel.frame.year >= panel.frame.first_treated).astype(float)
    ours = bayes.measure.moments(panel.assign(did=did), ["npro", "did", "lgdp", "nhs", "ltep", "ids", "nip"]).frame
    printed = bayes.published("city_pilot_did").where(estimand=["mean", "sd"]).frame
    both = printed.merge(ours, on=["estimand", "term"], suffixes=("_printed", ""), validate="one_to_one")
    assert len(both) == 14
    same = (both.estimate.round(PRINTED_DIGITS) - both.estimate_printed).abs() < 1e-9
    assert both[~same].term.unique().tolist() == ["did"]
    assert did.sum() == 401
    assert round(did.mean(), 3) == 0.128


def test_columns_that_must_be_positive_are(panel):
    positive = ["npro", "nhs", "ids", "nip", "lnjp", *generator("city_pilots").INDICATORS]
    assert (panel.frame[positive].min() > 0).all()
    assert panel.frame.npro.max() < 1
    assert panel.frame.npro.std() > panel.frame.npro.mean()


@pytest.mark.parametrize("name", ["panel", "truth"])
def test_files_are_what_the_generator_makes_byte_for_byte(name):
    tables = dict(zip(("panel", "truth"), generator("city_pilots").simulate(), strict=True))
    assert written(tables[name]) == (FOLDER / f"{name}.csv").read_text(encoding="utf-8")


def test_other_seeds_give_other_panels_with_the_same_moments_and_truth():
    simulate, (_, first) = generator("city_pilots").simulate, generator("city_pilots").simulate()
    for seed in (2, 3):
        frame, truth = simulate(seed)
        assert [round(frame[c].mean(), 3) for c in ("npro", "lgdp", "nhs")] == [0.046, 16.459, 8.677]
        assert [round(frame[c].std(), 3) for c in ("npro", "lgdp", "nhs")] == [0.068, 0.95, 14.757]
        averages = first.term != "event"
        pd.testing.assert_frame_equal(truth[averages], first[averages], rtol=1e-5)
        assert not np.allclose(frame.npro, simulate(1)[0].npro)


def test_the_index_of_the_indicators_ranks_rows_as_the_outcome_does(panel):
    scores = bayes.measure.composite_index(panel, benefit=list(generator("city_pilots").INDICATORS)).where(estimand="index")
    assert scores.frame.estimate.corr(panel.frame.npro.reset_index(drop=True), method="spearman") > 0.9


# ── truth ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_truth_is_the_printed_effects_and_adds_up(truth):
    one = truth[truth.term != "event"].set_index(["estimand", "term", "region"]).estimate.sort_index()
    assert round(one["att", "simple", ""], 3) == 0.020
    assert [round(one["driving", m, ""], 3) for m in ("ids", "nip")] == [0.022, 0.012]
    assert [one["coefficient", x, ""] for x in ("lgdp", "nhs", "ltep")] == [0.006, 0.002, 0.006]
    by_region = one["att", "region"]
    assert by_region["East"] > by_region["Central"] > max(by_region["West"], by_region["Northeast"])
    rows = {"East": 25 * 9 + 2 * 4, "Central": 5 * 9 + 2 * 4, "West": 10 * 9 + 3 * 4, "Northeast": 9 + 4}
    assert one["att", "simple", ""] == pytest.approx(sum(n * by_region[r] for r, n in rows.items()) / 401, rel=1e-5)
    for r in ("", *rows):
        assert one["total", "all", r] == pytest.approx(one["direct", "all", r] + one["indirect", "all", r], rel=1e-5)
        assert one["indirect", "all", r] == pytest.approx(one["indirect", "ids", r] + one["indirect", "nip", r], rel=1e-5)
        for m in ("ids", "nip"):
            assert one["indirect", m, r] == pytest.approx(one["driving", m, r] * one["mediator_effect", m, r], rel=1e-5)
    events = truth[truth.term == "event"].set_index("event_time").estimate
    assert events.index.tolist() == list(range(9))
    assert events[8] > events[0] > 0.01


def test_the_panel_holds_its_truth():
    """Outcome less the true effects has no effect of the treatment left, and the coefficients that the truth says (five panels, by least
    squares on rows without city and year means)."""
    module, found = generator("city_pilots"), []
    for seed in range(1, 6):
        frame, effects = module.draw(seed)
        column = {c: frame[c].to_numpy(float).reshape(285, 11) for c in ("npro", "ids", "nip", "lgdp", "nhs", "ltep")}
        treated = frame.year.to_numpy() >= frame.first_treated.to_numpy(dtype=float, na_value=np.inf)
        x = [treated.astype(float).reshape(285, 11), *(column[c] for c in ("lgdp", "nhs", "ltep"))]
        total = np.linalg.lstsq(np.column_stack([within(v) for v in x]), within(column["npro"] - effects["npro"]), rcond=None)[0]
        net = {m: column[m] - effects[m] for m in ("ids", "nip")}
        x += [column["ids"], column["nip"]]
        paths = np.linalg.lstsq(np.column_stack([within(v) for v in x]), within(column["npro"] - effects["direct"]), rcond=None)[0]
        driving = [np.linalg.lstsq(within(x[0])[:, None], within(v), rcond=None)[0][0] for v in net.values()]
        found.append([*total, *paths, *driving])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(5)
    wanted = np.array([0, 0.006, 0.002, 0.006, 0, 0.006, 0.002, 0.006, 0.2, 0.5, 0, 0])
    assert (np.abs(mean - wanted) < 5 * error).all(), (mean, error)
    assert (error < np.r_[5e-4, 1e-3, 1e-4, 4e-4, 5e-4, 1e-3, 1e-4, 4e-4, 0.01, 0.05, 1e-3, 2e-4]).all(), error


def test_universities_grow_before_the_pilots_and_leaving_them_out_overstates_the_effect(panel):
    without, with_them = (
        bayes.baselines.stepwise(panel, "npro", {"1": controls}).where(estimand="att").frame.estimate[0] for controls in ([], ["nhs"])
    )
    assert without > with_them + 0.002
    early = panel.frame[panel.frame.year <= 2015]
    growth = early.groupby("city").nhs.agg(lambda x: x.iloc[-1] - x.iloc[0])
    second = early.groupby("city").first_treated.first() == 2016
    never = early.groupby("city").first_treated.first() == np.inf
    assert growth[second].mean() > growth[never].mean() + 1, "the second batch, before its own date"


# ── the door to it ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_truth_is_one_more_source_and_nothing_for_other_panels(panel):
    found = bayes.datasets.truth(panel)
    assert set(found.frame.source) == {"Truth of the simulation"}
    assert found.where(estimand="att", term="region").frame.region.tolist() == ["East", "Central", "West", "Northeast"]
    castle = bayes.datasets.load("castle_doctrine")
    assert len(bayes.datasets.truth(castle)) == 0
    own = bayes.datasets.read(FOLDER / "panel.csv", "city_pilots")
    assert len(bayes.datasets.truth(own)) == 0
    printed = bayes.published("city_pilot_did").where(estimand="att")
    assert set(bayes.compare(printed, bayes.datasets.truth(own).where(estimand="att")).frame.source) == set(printed.frame.source)


def test_a_file_of_ones_own_in_the_place_of_the_panel(panel):
    own = bayes.datasets.read(FOLDER / "panel.csv", "city_pilots")
    assert own.note == ""
    assert panel.note.startswith("Simulated data")
    assert "eight dates" in panel.note
    np.testing.assert_array_equal(own.column("npro"), panel.column("npro"))
    np.testing.assert_array_equal(own.unit_first_treated, panel.unit_first_treated)

"""Printed figures come in as they were printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes.datasets
from bayes import Estimates
from bayes.baselines import published
from bayes.errors import DataError, DatasetError, MissingColumnError
from bayes.estimates import KEYS

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "published_estimates.csv"
STUDIES = ["castle_doctrine", "city_pilot_did", "province_tfp", "regional_coordination", "yangtze_green_tfp"]


def test_castle_doctrine_is_a_point_without_standard_error():
    row = published("castle_doctrine").where(term="simple").frame.iloc[0]
    assert row.estimate == 0.08
    assert np.isnan(row.se)
    assert np.isnan(row.lower)
    assert row.identified
    assert "Cheng" in row.source
    assert row.region == ""


def test_unknown_study_is_refused():
    with pytest.raises(DatasetError, match="castle_doctrine"):
        published("castle")


def test_types_and_defaults(tmp_path, monkeypatch):
    file = tmp_path / "study.csv"
    lines = ("estimand,term,source,estimate,se,identified,region", "att,simple,A,0.1,,true,", "att,region,A,,,False,East")
    file.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr(bayes.datasets, "published_path", lambda study: file)
    frame = published("study").frame
    assert list(frame.region) == ["", "East"]
    assert list(frame.identified) == [True, False]
    assert frame.se.isna().all()
    assert frame.estimate[0] == 0.1


def test_misspelt_column_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "study.csv"
    file.write_text("estimand,term,source,estimat\natt,simple,A,0.1\n", encoding="utf-8")
    monkeypatch.setattr(bayes.datasets, "published_path", lambda study: file)
    with pytest.raises(MissingColumnError, match=r"unknown columns \['estimat'\], missing columns \['estimate'\]"):
        published("study")


def test_figures_that_are_not_numbers_are_refused(tmp_path, monkeypatch):
    file = tmp_path / "study.csv"
    monkeypatch.setattr(bayes.datasets, "published_path", lambda study: file)
    file.write_text("estimand,term,source,estimate\natt,simple,A,0.1\natt,simple,B,0.1*\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"row 2, column 'estimate': '0\.1\*' is not a number"):
        published("study")
    file.write_text("estimand,term,source,estimate\natt,simple,A,0.1,more\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 1: 5 fields under 4 columns"):
        published("study")


# ── the studies ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_studies_are_listed_and_every_row_can_be_compared():
    assert bayes.datasets.published_names() == STUDIES
    for study in STUDIES:
        frame = published(study).frame
        assert not frame.duplicated(["source", *KEYS]).any(), study
        assert len(set(frame["source"])) == 1
        assert (frame["identified"] == frame["estimate"].notna()).all(), "a statement without a figure is not identified"
        assert (frame.loc[~frame["identified"], "note"] != "").all()


def test_city_study_joins_with_our_estimands():
    table = published("city_pilot_did")
    att = table.where(estimand="att", term="simple").frame
    assert att["estimate"].tolist() == [0.025, 0.024, 0.02, 0.02]
    assert att["se"].tolist() == [0.004, 0.004, 0.004, 0.003]
    assert (att["n_obs"] == 3135).all()
    assert table.where(estimand="driving").frame.set_index("term")["estimate"].to_dict() == {"ids": 0.022, "nip": 0.012}
    draws = np.random.default_rng(0).normal(0.02, 0.005, (1, 500))
    ours = Estimates.from_draws([{"estimand": "att", "term": "simple", "source": "ours (synthetic)"}], draws)
    joined = bayes.compare(ours, table.where(estimand="att")).joined
    assert joined["difference"].notna().sum() == 4
    assert joined["sd_ratio"].notna().sum() == 4


def test_standard_errors_come_from_t_where_only_t_is_printed():
    frame = published("province_tfp").where(estimand="direct").frame.set_index(["term", "region"])
    row = frame.loc[("ec", "East")]
    assert row["se"] == pytest.approx(0.003 / 0.435)
    assert "se = |estimate/t|, [0.0057405, 0.0080552] given the rounding of both" in row["note"]
    assert frame.loc[("ptec", "Central"), "se"] == pytest.approx(0.234 / 0.874)
    assert frame.loc[("tertiary", "West"), "se"] != frame.loc[("tertiary", "West"), "se"], "neither t nor se is printed"
    table2 = published("province_tfp").where(estimand=["driving", "mediator_effect", "indirect"], term=["tfpc", "tc", "ec", "ptec", "sec"])
    assert len(table2) == 15
    assert table2.frame["se"].isna().all()


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference table is not part of the project")
def test_files_hold_every_figure_of_the_reference_table():
    reference = pd.read_csv(REFERENCE)
    for study, part in reference.groupby("study_file"):
        ours = published(study).frame
        assert len(ours) == len(part)
        assert ours["estimate"].to_numpy() == pytest.approx(part["estimate"].to_numpy())
        # The reference rounds its standard errors to five decimals.
        assert ours["se"].to_numpy() == pytest.approx(part["se"].to_numpy(), abs=6e-6, nan_ok=True)
        assert ours["n_obs"].to_numpy() == pytest.approx(part["n"].to_numpy(), nan_ok=True)
        places = pd.read_csv(bayes.datasets.published_path(study))
        assert (places["stars"].fillna("") == part["stars"].fillna("").to_numpy()).all()
        expected = part["table"] + ", " + part["row"] + ", " + part["column_region"]
        assert (places["place"].to_numpy() == expected.to_numpy()).all()
    assert len(reference) == sum(len(published(s)) for s in ("city_pilot_did", "province_tfp"))

"""Printed figures come in as they were printed."""

from __future__ import annotations

import numpy as np
import pytest

import bayes.datasets
from bayes.baselines import published
from bayes.errors import DatasetError, MissingColumnError


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

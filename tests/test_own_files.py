"""A user's own file in the place of a data set: renamed, checked, and refused with the line and the remedy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes import datasets
from bayes.errors import DatasetError, DuplicateRowError, MissingColumnError, NotNumericError, ProvinceError, SpecificationError
from bayes.own_files import read_table

ROLES = {"unit": "province", "time": "year", "region": "region", "province": "province", "grouping": "region3", "needs": ["gdp", "credit"]}


@pytest.fixture
def rows() -> pd.DataFrame:
    """Synthetic: four provinces × two years."""
    names = ["北京市", "Shanxi", "shaanxi", "Liaoning Province"]
    return pd.DataFrame(
        [
            {"province": name, "year": year, "GDP total": 10.0 * year + k, "credit": k + 0.5, "city": f"{k:03d}"}
            for k, name in enumerate(names)
            for year in (2010, 2011)
        ]
    )


def read(frame, tmp_path, columns=None, encoding="utf-8", roles=ROLES):
    path = tmp_path / "mine.csv"
    frame.to_csv(path, index=False, encoding=encoding)
    return read_table(path, {"gdp": "GDP total"} if columns is None else columns, roles, datasets.provinces())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_columns_are_renamed_and_provinces_bring_their_region(rows, tmp_path, encoding):
    frame = read(rows, tmp_path, encoding=encoding)
    assert list(frame.province[::2]) == ["Beijing", "Shanxi", "Shaanxi", "Liaoning"]
    assert list(frame.region[::2]) == ["East", "Central", "West", "East"]
    np.testing.assert_array_equal(frame.gdp, rows["GDP total"])
    assert frame.year.dtype == float


def test_regions_of_the_file_stay(rows, tmp_path):
    assert set(read(rows.assign(region="all"), tmp_path).region) == {"all"}


def test_text_that_the_study_does_not_use_stays(rows, tmp_path):
    assert list(read(rows.assign(remark="a"), tmp_path).remark) == ["a"] * 8


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda f: f.rename(columns={"credit": "loans"}), MissingColumnError, "columns={'credit'"),
        (lambda f: f.drop(columns="GDP total"), MissingColumnError, "named in columns="),
        (lambda f: f.assign(gdp=1.0), MissingColumnError, "more than one column 'gdp'"),
        (lambda f: f.assign(credit=["#REF!"] + ["1"] * 7), NotNumericError, "line 2: '#REF!'.*spreadsheet"),
        (lambda f: f.assign(credit=["1"] * 7 + ["1,234"]), NotNumericError, "line 9.*thousands separators"),
        (lambda f: f.assign(province=f.province.replace("shaanxi", "Shanxi")), ProvinceError, "Shaanxi .* has none"),
        (lambda f: pd.concat([f, f.tail(1)]), DuplicateRowError, "Liaoning has more than one row in 2011"),
        (lambda f: f.assign(province="Shannxi"), ProvinceError, "Shannxi"),
    ],
)
def test_what_cannot_be_used_is_named(rows, tmp_path, change, error, words):
    with pytest.raises(error, match=words):
        read(change(rows), tmp_path)


def test_missing_cells_stay_missing(rows, tmp_path):
    frame = read(rows.assign(credit=["", "NA", "--", *"12345"]), tmp_path)
    assert list(frame.credit.isna()) == [True] * 3 + [False] * 5


def test_no_file_no_csv_no_text(tmp_path):
    with pytest.raises(DatasetError, match="There is no file"):
        read_table(tmp_path / "none.csv", {}, ROLES, datasets.provinces())
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DatasetError, match="no readable CSV"):
        read_table(tmp_path / "empty.csv", {}, ROLES, datasets.provinces())
    (tmp_path / "odd.csv").write_bytes(b"a,b\n\xff\xff\xff,1\n")
    with pytest.raises(DatasetError, match="neither UTF-8 nor GB 18030"):
        read_table(tmp_path / "odd.csv", {}, ROLES, datasets.provinces())


def test_a_data_set_written_out_is_read_back_as_itself(tmp_path):
    castle = datasets.load("castle_doctrine")
    file = tmp_path / "mine.csv"
    castle.frame.replace({"law_year": {np.inf: 0}}).rename(columns={"state": "Bundesstaat"}).to_csv(file, index=False)
    mine = datasets.read(file, like="castle_doctrine", columns={"state": "Bundesstaat"})
    assert (mine.n_rows, mine.name, mine.note) == (castle.n_rows, "mine", "")
    np.testing.assert_array_equal(mine.column("log_homicide"), castle.column("log_homicide"))
    np.testing.assert_array_equal(mine.unit_first_treated, castle.unit_first_treated)


def test_columns_must_be_a_mapping(tmp_path):
    with pytest.raises(SpecificationError, match="mapping"):
        datasets.read(tmp_path / "x.csv", like="castle_doctrine", columns=["a"])

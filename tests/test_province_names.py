"""Chinese provinces: whatever a sheet calls them is one name, and nothing is guessed where two are possible."""

from __future__ import annotations

import pytest

from bayes import datasets
from bayes.errors import ProvinceError
from bayes.plots._tile_map import CHINA_NAMES
from bayes.province_names import canonical_provinces

TABLE = datasets.provinces()


def name(entry):
    return canonical_provinces([entry], TABLE)[0]


def test_the_table_has_31_units_and_the_letters_of_the_tile_map():
    assert len(TABLE) == 31
    assert dict(zip(TABLE.province, TABLE.letter, strict=True)) == CHINA_NAMES
    assert TABLE.code.is_unique
    assert TABLE.code.str.fullmatch(r"\d\d").all()
    assert (TABLE.reach != "").sum() == 11
    assert set(TABLE.region4) == {"East", "Central", "West", "Northeast"}


@pytest.mark.parametrize("column", ["province", "province_zh", "code"])
def test_every_unit_is_found_by_its_own_names(column):
    assert canonical_provinces(TABLE[column], TABLE) == list(TABLE.province)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("beijing shi", "Beijing"), ("北京", "Beijing"), ("110000", "Beijing"), (11, "Beijing"),
        (110101.0, "Beijing"), (" 11.0 ", "Beijing"),
        ("Nei Menggu", "Inner Mongolia"), ("INNER MONGOLIA AUTONOMOUS REGION", "Inner Mongolia"), ("内蒙古", "Inner Mongolia"),
        ("Guangxi Zhuang Autonomous Region", "Guangxi"), ("宁夏", "Ningxia"), ("新疆维吾尔自治区", "Xinjiang"), ("Xizang", "Tibet"),
        ("Shānxī", "Shanxi"), ("Shǎnxī", "Shaanxi"), ("Shan3xi", "Shaanxi"), ("山西", "Shanxi"), ("陕西省", "Shaanxi"), ("陝西", "Shaanxi"),
    ],
)  # fmt: skip
def test_spellings_suffixes_and_codes(entry, expected):
    assert name(entry) == expected


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("Shannxi", "Shanxi, 山西, or Shaanxi, 陕西"), ("Hubai", "Hubei"), (71, "Taiwan"), (None, "empty"), (float("nan"), "empty"),
        ("1.5", "'1.5'"), (True, "True"), ("12345", "'12345'"), ("Narnia", "'Narnia'"), ("99", "'99'"),
    ],
)  # fmt: skip
def test_what_is_no_province_is_named_with_its_row(entry, hint):
    with pytest.raises(ProvinceError, match="row 1") as error:
        canonical_provinces(["Hebei", entry], TABLE)
    assert hint in str(error.value)

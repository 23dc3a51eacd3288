"""Names and codes of the 31 provincial units of mainland China: whatever a sheet calls them becomes one English name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from typing import Any

import pandas as pd

from bayes.errors import ProvinceError

_CHINESE_SUFFIX = re.compile(r"(壮族|回族|维吾尔)?(自治区|省|市)$")
_LATIN_SUFFIX = re.compile(
    r"\s*\b((zhuang|hui|uyghur|uygur|uighur)\s+)?(autonomous\s+region|province|municipality|city|sheng|shi|a\.?r\.?)\.?$", re.IGNORECASE
)
_OTHER_NAMES = {
    "neimenggu": "Inner Mongolia", "neimongol": "Inner Mongolia", "xizang": "Tibet", "内蒙": "Inner Mongolia", "陝西": "Shaanxi",
    "shan1xi": "Shanxi", "shan3xi": "Shaanxi",
}  # fmt: skip
_THIRD_TONE = re.compile(r"^sh[ǎă]nx", re.IGNORECASE)
"""Shǎnxī is 陕西, Shānxī is 山西: without its tones one spelling stands for both."""
_OUTSIDE = {"71": "Taiwan", "81": "Hong Kong", "82": "Macau"}


def canonical_provinces(values: Iterable[Any], provinces: pd.DataFrame, column: str = "province") -> list[str]:
    """English names of provinces given by name or code.

    Accepted: English and pinyin names in any case, with tone marks or not, with or without "Province", "Municipality", "Autonomous
    Region", Sheng or Shi; Chinese names with or without 省, 市, 自治区; codes of GB/T 2260 with two or six digits, as text or as numbers
    (six digits name a place within the province).

    Parameters
    ----------
    values : iterable
        One entry a row.
    provinces : pandas.DataFrame
        The table of :func:`bayes.datasets.provinces`.
    column : str
        What the entries are called in messages.

    Returns
    -------
    list of str
        One English name a row, as in ``provinces.province``.

    Raises
    ------
    ProvinceError
        An entry is empty, unknown, outside the 31 units, or a spelling that may be Shanxi (山西) or Shaanxi (陕西). The message names the
        first rows and, where something is close, what may be meant.
    """
    known = _names(tuple(provinces.itertuples(index=False, name=None)), tuple(provinces.columns))
    entries = pd.Series(list(values), dtype=object)
    found = {entry: _name_of(entry, known) for entry in entries.unique()}
    wrong = [(row, entry) for row, entry in enumerate(entries) if found[entry] is None]
    if wrong:
        places = "; ".join(f"row {row}: {entry!r}{_hint(entry, known)}" for row, entry in _first_of_each(wrong))
        raise ProvinceError(
            f"Column {column!r} holds {len(wrong)} entries that are no provincial unit of mainland China: {places}. Give English, pinyin "
            "or Chinese names, or codes of GB/T 2260 with two or six digits."
        )
    return [found[entry] for entry in entries]


@cache
def _names(rows: tuple[tuple[Any, ...], ...], columns: tuple[str, ...]) -> dict[str, str]:
    """Every accepted key → English name: codes, Chinese and Latin names without suffix, spaces and case."""
    table = pd.DataFrame(rows, columns=list(columns))
    keys = dict(_OTHER_NAMES)
    for row in table.itertuples():
        keys |= {row.code: row.province, _latin(row.province): row.province, _CHINESE_SUFFIX.sub("", row.province_zh): row.province}
    return keys


def _name_of(entry: Any, known: dict[str, str]) -> str | None:
    text = unicodedata.normalize("NFKC", str(entry)).strip()
    digits = re.sub(r"\.0+$", "", text)
    if digits.isascii() and digits.isdigit():
        return known.get(digits[:2]) if len(digits) in (2, 6) else None
    if _THIRD_TONE.match(text):
        return known["shan3xi"]
    latin = _latin(text)
    return known.get(_CHINESE_SUFFIX.sub("", text)) or (None if latin.isdigit() else known.get(latin))


def _latin(text: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[\s'’`\-_.]", "", _LATIN_SUFFIX.sub("", plain)).lower()


def _first_of_each(wrong: list[tuple[int, Any]], limit: int = 3) -> list[tuple[int, Any]]:
    first: dict[str, tuple[int, Any]] = {}
    for row, entry in wrong:
        first.setdefault(repr(entry), (row, entry))
    return list(first.values())[:limit]


def _hint(entry: Any, known: dict[str, str]) -> str:
    text = str(entry)
    if pd.isna(entry):
        return " (empty)"
    digits = re.sub(r"\.0+$", "", text.strip())
    if digits[:2] in _OUTSIDE and digits.isdigit():
        return f" ({_OUTSIDE[digits[:2]]}, outside the 31)"
    if re.match(r"shan+.?x", _latin(text)):
        return " (Shanxi, 山西, or Shaanxi, 陕西?)"
    close = get_close_matches(_latin(text), [key for key in known if key.isascii() and not key.isdigit()], n=1, cutoff=0.75)
    return f" ({known[close[0]]}?)" if close else ""

"""A user's own file in the place of a data set: columns renamed, numbers checked, Chinese provinces under one name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bayes.errors import DatasetError, DuplicateRowError, MissingColumnError, NotNumericError, ProvinceError
from bayes.province_names import canonical_provinces

_ENCODINGS = ("utf-8-sig", "gb18030")
"""Chinese sheets are saved as one or the other; GB 18030 contains GBK and GB 2312."""
_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "#N/A", "--", "—", "…"]
_BROKEN = ("#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!")


def read_table(path: Path, columns: Mapping[str, str], roles: Mapping[str, Any], provinces: pd.DataFrame) -> pd.DataFrame:
    """The rows of a CSV under the names of a study, numbers as numbers.

    Parameters
    ----------
    path : Path
        CSV in UTF-8 or GB 18030, one row a unit and period, names of columns in the first line.
    columns : mapping of str to str
        Name in the study → name in the file; columns that are not named keep theirs. What is named is needed, and holds numbers unless
        it is the unit, the region or the province.
    roles : mapping
        ``unit``, ``time``, ``region``, ``first_treated``, ``weights``: columns of the study; ``needs``: numeric columns it uses;
        ``province``: column with Chinese provinces; ``grouping``: column of ``provinces`` that gives the region where the file has none.
    provinces : pandas.DataFrame
        The table of :func:`bayes.datasets.provinces`.

    Raises
    ------
    DatasetError, MissingColumnError, NotNumericError, ProvinceError, DuplicateRowError
        Each says which column or row, and what to do.
    """
    frame = _text_of(path)
    frame = _renamed(frame, columns, path)
    province = roles.get("province")
    named = {name: roles[name] for name in ("unit", "time", "first_treated", "weights") if roles.get(name)}
    needed = [*named.values(), *([province] if province else []), *roles.get("needs", ()), *columns]
    if roles.get("region") and "grouping" not in roles:
        needed.append(roles["region"])
    _require(frame, list(dict.fromkeys(needed)), path)
    if province:
        frame[province] = canonical_provinces(frame[province], provinces, province)
        if roles["unit"] == province:
            _refuse_two_provinces_as_one(frame, province, roles["time"])
    if roles.get("region") and roles["region"] not in frame.columns:
        grouping = dict(zip(provinces["province"], provinces[roles["grouping"]], strict=True))
        frame[roles["region"]] = frame[province].map(grouping)
    labels = {roles["unit"], roles.get("region"), province}
    must = {named["time"], *roles.get("needs", ()), *columns, *(named[n] for n in ("first_treated", "weights") if n in named)} - labels
    numbers = {name: _numbers(frame, name, path, name in must) for name in frame.columns if name not in labels}
    return frame.assign(**numbers).reset_index(drop=True)  # until here the index is the line of the file


def _text_of(path: Path) -> pd.DataFrame:
    """Every cell as text: codes keep their zeros, and nothing is guessed."""
    if not path.is_file():
        raise DatasetError(f"There is no file {path}. Give the path of a CSV with one row a unit and period.")
    for encoding in _ENCODINGS:
        try:
            frame = pd.read_csv(
                path, dtype=str, keep_default_na=False, na_values=_MISSING, encoding=encoding, skipinitialspace=True, skip_blank_lines=False
            )
        except UnicodeDecodeError:
            continue
        except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
            raise DatasetError(
                f"{path} is no readable CSV ({error}). Save the sheet as CSV with commas, names of columns in the first line."
            ) from error
        return frame.rename(columns=lambda name: str(name).strip()).dropna(how="all")
    raise DatasetError(f"{path} is neither UTF-8 nor GB 18030 text. Save the sheet as CSV in UTF-8.")


def _renamed(frame: pd.DataFrame, columns: Mapping[str, str], path: Path) -> pd.DataFrame:
    absent = [theirs for theirs in columns.values() if theirs not in frame.columns]
    if absent:
        raise MissingColumnError(f"{path.name} has no column {_list(absent)}, named in columns=. It has {_list(frame.columns)}.")
    renamed = {theirs: ours for ours, theirs in columns.items()}
    frame = frame.rename(columns=renamed)
    twice = sorted(set(frame.columns[frame.columns.duplicated()]))
    if twice:
        raise MissingColumnError(f"After renaming, {path.name} has more than one column {_list(twice)}. Rename one in the file.")
    return frame


def _require(frame: pd.DataFrame, needed: list[str], path: Path) -> None:
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        example = f"columns={{{absent[0]!r}: 'your name for it'}}"
        raise MissingColumnError(
            f"{path.name} lacks {_list(absent)}. If it is there under another name, say so with {example}. It has {_list(frame.columns)}."
        )


def _numbers(frame: pd.DataFrame, name: str, path: Path, must: bool) -> pd.Series:
    """The column as numbers; a column that the study does not use stays text where it is text."""
    text = frame[name]
    numbers = pd.to_numeric(text, errors="coerce")
    bad = numbers.isna() & text.notna()
    if not bad.any():
        return numbers.astype("float64") if must else numbers
    if not must:
        return text
    rows = ", ".join(f"line {int(row) + 2}: {text[row]!r}" for row in bad[bad].index[:3])
    broken = " It is an error of the spreadsheet: repair the formula there and save again." if text[bad].isin(_BROKEN).any() else ""
    raise NotNumericError(
        f"Column {name!r} of {path.name} holds {int(bad.sum())} cells that are no numbers ({rows}).{broken} Write numbers with a decimal "
        "point and without thousands separators; leave missing cells empty."
    )


def _refuse_two_provinces_as_one(frame: pd.DataFrame, province: str, time: str) -> None:
    twice = frame[frame.duplicated([province, time], keep=False)]
    if twice.empty:
        return
    name, period = twice[province].iloc[0], twice[time].iloc[0]
    if name in ("Shanxi", "Shaanxi") and not {"Shanxi", "Shaanxi"} <= set(frame[province]):
        other = "Shaanxi (陕西)" if name == "Shanxi" else "Shanxi (山西)"
        raise ProvinceError(
            f"{name} has more than one row in {period} and {other} has none: two provinces carry one name. Rename one of them."
        )
    raise DuplicateRowError(f"{name} has more than one row in {period}. One row a province and period is expected.")


def _list(names: Any, limit: int = 12) -> str:
    names = [repr(str(name)) for name in names]
    return ", ".join(names[:limit]) + (" …" if len(names) > limit else "")

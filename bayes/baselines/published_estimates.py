"""Figures that a study printed, as rows of estimates."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.baselines._printed_numbers import rounded
from bayes.errors import DataError, MissingColumnError, SpecificationError
from bayes.estimates import COLUMNS, Estimates

_REQUIRED = ("estimand", "term", "source", "estimate")
_FIGURES = ("estimate", "se", "lower", "upper", "t", "t_printed")
PRINTED_ONLY = ("place", "t", "t_printed", "stars")
"""Columns of a file that are not columns of estimates: where a figure stands, its t as read and as printed, its stars."""


@checked
def published(study: str) -> Estimates:
    """Estimates printed in a study or for a data set, for example ``published("castle_doctrine")``.

    They are read from ``data/published/<study>.csv``, whose columns are among :data:`bayes.estimates.COLUMNS` and :data:`PRINTED_ONLY`.
    What a study does not print stays empty: a point without a standard error or t has neither ``se`` nor interval, and a statement without
    a figure is a row without estimate, ``identified`` False, whose note says what is stated. One thing is computed: where t is printed and
    the standard error is not, ``se`` = \\|estimate/t\\|, with its range given the rounding of both in the note.

    Parameters
    ----------
    study : str
        ``castle_doctrine``, ``city_pilot_did``, ``province_tfp``, ``regional_coordination`` or ``yangtze_green_tfp``;
        :func:`bayes.datasets.published_names` lists them.

    Returns
    -------
    Estimates
        Rows that share estimand, term and region with ours join in :func:`bayes.compare`; ``variant`` holds the study's column.

    Raises
    ------
    DatasetError
        The study is not shipped; the message lists those that are.
    MissingColumnError
        The file lacks or misspells a column.
    DataError
        A figure is not a number.
    """
    from bayes.datasets import published_path

    path = published_path(study)
    return Estimates.from_rows(_typed(printed_text(path), path.name), title=f"Published: {study}", study=study)


def printed_text(path: Path) -> pd.DataFrame:
    """The file as text, digits as printed, absent columns filled with what "does not apply" looks like.

    Raises :class:`MissingColumnError` naming the columns that are unknown or missing, :class:`DataError` on a row of another length.
    """
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = [line for line in csv.reader(file) if line] or [[]]
    wrong = next((k for k, line in enumerate(lines, start=1) if len(line) != len(header)), None)
    if wrong is not None:
        fields = len(lines[wrong - 1])
        raise DataError(f"{path.name}, row {wrong}: {fields} fields under {len(header)} columns. Put quotes around text with commas.")
    text = pd.DataFrame(lines, columns=header, dtype=str)
    unknown, missing = set(text.columns) - set(COLUMNS) - set(PRINTED_ONLY), set(_REQUIRED) - set(text.columns)
    if unknown or missing:
        allowed = ", ".join((*COLUMNS, *PRINTED_ONLY))
        raise MissingColumnError(f"{path.name}: unknown columns {sorted(unknown)}, missing columns {sorted(missing)}. Allowed: {allowed}.")
    absent = {name: "" for name in (*COLUMNS, *PRINTED_ONLY) if name not in text}
    text = text.assign(**absent)[[*COLUMNS, *PRINTED_ONLY]]
    return text.assign(**{name: text[name].str.strip().str.replace("−", "-") for name in _FIGURES})


def _typed(text: pd.DataFrame, file: str) -> pd.DataFrame:
    """Text, numbers and flags as :data:`bayes.estimates.COLUMNS` has them; standard errors from t where only t is printed."""
    typed = {}
    for name, default in COLUMNS.items():
        column = text[name]
        if isinstance(default, bool):
            typed[name] = ~column.str.lower().isin(["false", "0"])
        elif isinstance(default, float):
            typed[name] = _numbers(column, name, file)
        else:
            typed[name] = column
    frame = pd.DataFrame(typed)
    t = _numbers(text["t"], "t", file)
    for i in np.flatnonzero(frame["se"].isna() & frame["estimate"].notna() & t.notna() & (t != 0)):
        span = abs(rounded(text["estimate"][i])) / abs(rounded(text["t"][i]))
        frame.loc[i, "se"] = abs(frame["estimate"][i] / t[i])
        said = f"se = |estimate/t|, {span} given the rounding of both"
        frame.loc[i, "note"] = "; ".join(filter(None, [frame["note"][i], said]))
    return frame


def _numbers(column: pd.Series, name: str, file: str) -> pd.Series:
    values = pd.to_numeric(column.where(column != "", np.nan), errors="coerce").astype(float)
    wrong = values.isna() & (column != "")
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(f"{file}, row {row + 1}, column {name!r}: {column[row]!r} is not a number. Give digits as printed, or nothing.")
    return values


def facts_path(table: Path) -> Path:
    """The file beside a table of figures that holds what the study's text states. It need not exist."""
    if table.suffix != ".csv":
        raise SpecificationError(f"{table.name}: a table of printed figures is a .csv file with the columns of data/published.")
    return table.with_suffix(".toml")

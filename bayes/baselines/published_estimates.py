"""Figures that a study printed, as rows of estimates."""

from __future__ import annotations

import pandas as pd

from bayes.errors import MissingColumnError
from bayes.estimates import COLUMNS, Estimates

_REQUIRED = ("estimand", "term", "source", "estimate")


def published(study: str) -> Estimates:
    """Estimates printed in a study or for a data set, for example ``published("castle_doctrine")``.

    They are read from ``data/published/<study>.csv``, whose columns are among :data:`bayes.estimates.COLUMNS`. What a study does not print
    stays empty: a printed point without a standard error has neither ``se`` nor interval. Nothing is computed from printed figures.

    Raises
    ------
    DatasetError
        The study is not shipped; the message lists those that are.
    MissingColumnError
        The file lacks or misspells a column.
    """
    from bayes.datasets import published_path

    path = published_path(study)
    printed = pd.read_csv(path, keep_default_na=False, na_values=[""])
    return Estimates.from_rows(_typed(printed, path.name), title=f"Published: {study}", study=study)


def _typed(frame: pd.DataFrame, file: str) -> pd.DataFrame:
    """Text, numbers and flags as :data:`bayes.estimates.COLUMNS` has them."""
    unknown, missing = set(frame.columns) - set(COLUMNS), set(_REQUIRED) - set(frame.columns)
    if unknown or missing:
        allowed = ", ".join(COLUMNS)
        raise MissingColumnError(f"{file}: unknown columns {sorted(unknown)}, missing columns {sorted(missing)}. Allowed: {allowed}.")
    typed = {}
    for name, column in frame.items():
        default = COLUMNS[name]
        if isinstance(default, bool):
            typed[name] = ~column.fillna(default).astype(str).str.lower().isin(["false", "0"])
        elif isinstance(default, float):
            typed[name] = pd.to_numeric(column).astype(float)
        else:
            typed[name] = column.astype(object).where(column.notna(), default).astype(str)
    return pd.DataFrame(typed)

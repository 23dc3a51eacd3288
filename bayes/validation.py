"""What a table must satisfy to become a panel: each function checks one thing and raises the error that names place and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from bayes.errors import (
    DuplicateRowError,
    LabelError,
    MissingColumnError,
    MissingValueError,
    NonAbsorbingTreatmentError,
    NotNumericError,
    RegionNotNestedError,
    SpecificationError,
    TreatmentTimingError,
)

NEVER = np.inf
"""First treated period of a unit that is never treated."""

LARGEST = 1e100
"""Squares and cubes of larger numbers, and their sums, are infinite in double precision."""

_MOST_PERIODS = 100_000
_DERIVED_COLUMN = "first_treated"


def as_pandas(data: Any) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    try:
        if hasattr(data, "collect"):
            data = data.collect()
        if hasattr(data, "to_pandas"):
            data = data.to_pandas()
        elif isinstance(data, Mapping):
            data = pd.DataFrame(data)
    except Exception as error:  # a library of the user's choice: whatever it says, the table cannot be read
        raise SpecificationError(
            f"The {type(data).__name__} given cannot be read as a table ({error}). Give a pandas or polars DataFrame."
        ) from error
    if not isinstance(data, pd.DataFrame):
        raise SpecificationError(f"Expected a pandas or polars DataFrame, got {type(data).__name__}.")
    return data


def refuse_shared_columns(named: Mapping[str, str | None], name: str) -> None:
    """One column in two roles would be changed under the other; a region a unit is the only pair that makes sense."""
    if not isinstance(name, str):
        raise SpecificationError(f"The panel's name must be text, got {name!r}.")
    given = {role: column for role, column in named.items() if isinstance(column, str)}
    if given.get("region") == given.get("unit"):
        given.pop("region", None)
    for role, column in given.items():
        others = [other for other, same in given.items() if other != role and same == column]
        if others:
            raise SpecificationError(f"Column {column!r} is given as {role} and as {others[0]}. Copy it, or name another column.")


def require_names(named: Mapping[str, str | None]) -> None:
    """Names of columns are text, and unit and time have one. Raises :class:`SpecificationError`."""
    for role, column in named.items():
        if not isinstance(column, str) and (column is not None or role in ("unit", "time")):
            raise SpecificationError(f"{role}={column!r} is no name of a column: names are text. Rename the column and give its name.")


def require_columns(frame: pd.DataFrame, named: Mapping[str, str | None]) -> None:
    if frame.columns.nlevels > 1:
        raise SpecificationError(f"The columns have names in {frame.columns.nlevels} levels. Give each column one name (a text).")
    for role, column in named.items():
        if column is None and role not in ("unit", "time"):
            continue
        require_names({role: column})
        if column not in frame.columns:
            have = ", ".join(map(str, list(frame.columns)[:12])) + (" …" if frame.shape[1] > 12 else "")
            raise MissingColumnError(f"Column {column!r} (given as {role}) does not exist. Columns: {have}.")
        if isinstance(frame[column], pd.DataFrame):
            raise MissingColumnError(f"Column {column!r} (given as {role}) exists more than once. Rename the copies.")


def places(frame: pd.DataFrame, bad: np.ndarray, unit: str, time: str, limit: int = 3) -> str:
    """Unit and period of the first few bad rows, in words."""
    rows = frame.loc[np.asarray(bad), [unit, time]].head(limit)
    named = [f"{unit} {u}, {time} {t}" for u, t in rows.itertuples(index=False)]
    return "; ".join(named) + (f"; and {int(bad.sum()) - limit} more" if bad.sum() > limit else "")


def refuse_missing_labels(frame: pd.DataFrame, column: str, unit: str, time: str) -> None:
    """Labels of units, regions and periods: none missing, each a single value."""
    bad = frame[column].isna().to_numpy()
    if bad.any():
        raise MissingValueError(
            f"Column {column!r} has {int(bad.sum())} missing values (rows {', '.join(map(str, np.flatnonzero(bad)[:3]))} …; "
            f"{places(frame, bad, unit, time)}). Every row needs a unit, a period and, if given, a region."
        )
    if frame[column].dtype == object:
        bad = np.array([not _is_label(value) for value in frame[column]])
        if bad.any():
            raise LabelError(
                f"Column {column!r} holds {type(frame[column][bad].iloc[0]).__name__} in row {int(np.flatnonzero(bad)[0])} "
                f"({int(bad.sum())} rows in all), which is no label. Use text or numbers: df[{column!r}] = df[{column!r}].astype(str)."
            )


def _is_label(value: Any) -> bool:
    """One value that equals itself and can be looked up."""
    try:
        hash(value)
        return bool(value == value)  # an array or NaN answers otherwise
    except (TypeError, ValueError):
        return False


def label_words(labels: pd.Series) -> np.ndarray:
    """Labels as text, whatever they are. Shape (n,), dtype object."""
    if labels.dtype == object:
        return np.array([*map(str, labels), ""], dtype=object)[:-1]
    return labels.astype(str).to_numpy(dtype=object)


def as_numbers(frame: pd.DataFrame, name: str, unit: str, time: str) -> np.ndarray:
    """The column as float64; NaN and inf pass, text does not."""
    series = frame[name]
    if pd.api.types.is_bool_dtype(series.dtype) or pd.api.types.is_numeric_dtype(series.dtype):
        if pd.api.types.is_complex_dtype(series.dtype):
            raise NotNumericError(f"Column {name!r} holds complex numbers; real numbers are expected.")
        return series.to_numpy(dtype=float, na_value=np.nan)
    if series.dtype == object or isinstance(series.dtype, pd.CategoricalDtype | pd.StringDtype):
        is_text = series.map(lambda v: isinstance(v, str)).to_numpy(dtype=bool)
        numbers = _numbers_of(series.astype(object).where(~is_text))
        bad = is_text | (np.isnan(numbers) & series.notna().to_numpy())
        if not bad.any():
            return numbers
        example = series[bad].iloc[0]
    else:
        bad, example = np.ones(len(frame), dtype=bool), series.iloc[0]
    raise NotNumericError(
        f"Column {name!r} holds {type(example).__name__} {example!r} where a number is expected: {places(frame, bad, unit, time)}. "
        f"Convert it, for example with pandas.to_numeric(df[{name!r}], errors='coerce'), and check what becomes NaN."
    )


def _numbers_of(objects: pd.Series) -> np.ndarray:
    """Objects as float64, NaN for what is missing or no real number."""
    try:
        found = pd.to_numeric(objects, errors="coerce")
    except OverflowError:  # whole numbers beyond what a float holds
        found = objects
    if pd.api.types.is_bool_dtype(found.dtype) or pd.api.types.is_integer_dtype(found.dtype) or pd.api.types.is_float_dtype(found.dtype):
        return found.to_numpy(dtype=float, na_value=np.nan)
    return np.array([_number_of(value) for value in objects])


def _number_of(value: Any) -> float:
    if not isinstance(value, Real | Decimal):
        return np.nan
    try:
        return float(value)
    except (OverflowError, ValueError):
        return np.nan


def whole_numbers(frame: pd.DataFrame, time: str, unit: str) -> np.ndarray:
    values = as_numbers(frame, time, unit, time)
    bad = ~np.isfinite(values) | (values != np.round(values)) | (np.abs(values) > 2**52)
    if bad.any():
        raise NotNumericError(
            f"Column {time!r} must hold whole numbers such as years; found {values[bad][0]:g}: {places(frame, bad, unit, time)}. "
            "Number the periods (2001, 2002, …; or consecutive quarters 0, 1, 2, …)."
        )
    return values.astype(np.int64)


def sorted_rows(frame: pd.DataFrame, unit: str, time: str) -> pd.DataFrame:
    sortable = frame[unit].dtype != object or len(set(map(type, frame[unit]))) == 1
    try:
        codes, _ = pd.factorize(frame[unit].to_numpy(), sort=sortable)
    except TypeError:  # values without an order, such as complex numbers
        codes, _ = pd.factorize(frame[unit].to_numpy(), sort=False)
    times = frame[time].to_numpy()
    step = np.diff(codes)
    if (step >= 0).all() and (np.diff(times)[step == 0] > 0).all():
        return frame.reset_index(drop=True)
    return frame.iloc[np.lexsort((times, codes))].reset_index(drop=True)


def refuse_duplicates(frame: pd.DataFrame, unit: str, time: str) -> None:
    units, times = frame[unit].to_numpy(), frame[time].to_numpy()
    bad = np.r_[False, (units[1:] == units[:-1]) & (times[1:] == times[:-1])]
    if bad.any():
        raise DuplicateRowError(
            f"{int(bad.sum())} rows repeat a unit and period: {places(frame, bad, unit, time)}. "
            f"Aggregate or drop them; df[df.duplicated([{unit!r}, {time!r}], keep=False)] shows all."
        )


def refuse_endless_grid(found: np.ndarray, time: str) -> None:
    """Periods of a grid with far more places than any panel has, such as dates written as numbers (20011231) or seconds."""
    places_on_grid = int(found[-1] - found[0]) // int(np.gcd.reduce(np.diff(found))) + 1
    if places_on_grid > _MOST_PERIODS:
        raise NotNumericError(
            f"Column {time!r} runs from {found[0]} to {found[-1]} in steps that make {places_on_grid:,} periods; {found.size} have rows. "
            "Number the periods (2001, 2002, …; or consecutive quarters 0, 1, 2, …), and correct what is no period."
        )


def changes_within_unit(frame: pd.DataFrame, unit: str, values: np.ndarray) -> np.ndarray:
    units = frame[unit].to_numpy()
    return np.r_[False, (units[1:] == units[:-1]) & (values[1:] != values[:-1])]


def refuse_split_units(frame: pd.DataFrame, unit: str, region: str) -> None:
    labels = label_words(frame[region])
    bad = changes_within_unit(frame, unit, labels)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise RegionNotNestedError(
            f"Unit {frame[unit].iloc[row]!r} is in region {labels[row - 1]!r} and in {labels[row]!r} (column {region!r}; "
            f"{int(frame[unit][bad].nunique())} units in all). Give every unit one region for all periods."
        )


def first_treated_periods(frame: pd.DataFrame, unit: str, time: str, column: str) -> np.ndarray:
    series = frame[column]
    if series.dtype == object or isinstance(series.dtype, pd.StringDtype):
        series = series.where(series.notna(), np.nan)
    values = as_numbers(frame.assign(**{column: series}), column, unit, time)
    values = np.where(np.isnan(values) | (values == 0), NEVER, values)
    bad = changes_within_unit(frame, unit, values)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise TreatmentTimingError(
            f"Column {column!r} gives unit {frame[unit].iloc[row]!r} two first treated periods ({values[row - 1]:g} and {values[row]:g}). "
            "It must be constant within a unit; for a 0/1 column use treated=."
        )
    finite = np.isfinite(values)
    if (values == -np.inf).any() or (values[finite] != np.round(values[finite])).any():
        raise TreatmentTimingError(f"Column {column!r} must hold periods (whole numbers) or NaN, None, 0, inf for never treated.")
    return values


def timing_from_treatment(frame: pd.DataFrame, unit: str, time: str, treated: str) -> tuple[pd.DataFrame, str]:
    values = as_numbers(frame, treated, unit, time)
    bad = ~np.isin(values, (0.0, 1.0))
    if bad.any():
        raise TreatmentTimingError(
            f"Column {treated!r} must hold 0 and 1 only; found {values[bad][0]:g}: {places(frame, bad, unit, time)}. "
            "A dose or share is not a treatment indicator."
        )
    off = changes_within_unit(frame, unit, values) & (values == 0)
    if off.any():
        raise NonAbsorbingTreatmentError(
            f"Column {treated!r} switches off again: {places(frame, off, unit, time)}. Staggered difference-in-differences needs an "
            "absorbing treatment; a treatment that comes and goes needs another design (for example switchers, de Chaisemartin and "
            "D'Haultfœuille 2024)."
        )
    times = frame[time].to_numpy(dtype=float)
    first = frame.assign(_when=np.where(values == 1, times, NEVER)).groupby(unit, sort=False, observed=True)["_when"].transform("min")
    name = _DERIVED_COLUMN
    while name in frame.columns:
        name = f"{name}_"
    return frame.assign(**{name: first.to_numpy()}), name


def one_of(name: str, value: Any, allowed: Iterable[str | None]) -> Any:
    """The word that an option takes, or None where that is allowed. Raises :class:`SpecificationError` listing the words."""
    if not isinstance(value, str | None) or value not in tuple(allowed):
        raise SpecificationError(f"{name}={value!r} does not exist. Choose one of: {', '.join(map(repr, allowed))}.")
    return value


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """An option that counts something. Raises :class:`SpecificationError` for anything but a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise SpecificationError(f"{name} must be a whole number of at least {least}, got {value!r}.")
    return int(value)

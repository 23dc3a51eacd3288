"""Tables as they come from the wild: a sound synthetic panel, spoiled in one to four ways that are drawn from long lists.

A spoiled table is described by a seed and the names of its faults, so that a failing one shrinks to the one fault that matters.
"""

from __future__ import annotations

import datetime
import decimal
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from bayes.errors import BayesError, BayesWarning

ROLES = {"unit": "unit", "time": "year", "region": "region", "first_treated": "law", "weights": "people"}
NUMBERS = ("y", "x", "labour", "capital", "gdp", "co2")
COLUMNS = (*ROLES.values(), "treated", *NUMBERS)
NASTY = (
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "+1",
    "-2+3",
    "@SUM(A1)",
    r"\input{secret}_%&$#{}~^",
    "a|b\nc",
    "省份",
    "",
    "\x07",
)


def sound_frame(seed: int = 0, units: int = 7, periods: int = 5) -> pd.DataFrame:
    """A synthetic panel without a fault: three dates of treatment, two regions, positive quantities."""
    rng = np.random.default_rng(seed)
    unit, year = np.repeat(np.arange(units), periods), np.tile(2001 + np.arange(periods), units)
    law = np.array([2003.0, 2004.0, np.nan])[unit % 3]
    treated = (year >= np.nan_to_num(law, nan=np.inf)).astype(int)
    y = rng.normal(size=unit.size) + 0.5 * treated + unit / 3
    quantities = {name: np.exp(rng.normal(1, 0.4, unit.size)) for name in ("labour", "capital", "gdp", "co2")}
    return pd.DataFrame(
        {"unit": [f"u{i}" for i in unit], "year": year, "region": np.array(["North", "South"])[unit % 2], "law": law,
         "people": (10.0 + unit), "treated": treated, "y": y, "x": rng.normal(size=unit.size), **quantities}
    )  # fmt: skip


# ── faults of cells, of columns, of tables ──────────────────────────────────────────────────────────────────────────

CELLS: dict[str, Any] = {
    "NaN": np.nan, "infinity": np.inf, "minus infinity": -np.inf, "None": None, "NA": pd.NA, "NaT": pd.NaT, "text": "n/a",
    "number as text": "3",
    "bytes": b"\xff\x00", "huge": 1e308, "tiny": 5e-324, "negative": -4.0, "zero": 0.0, "true": True, "complex": 1 + 2j, "fraction": 2001.5,
    "decimal": decimal.Decimal("1.5"), "list": [1, 2], "dictionary": {"a": 1}, "date": datetime.date(2001, 1, 1), "set": {1},
    "timestamp": pd.Timestamp("2001-01-01", tz="Asia/Shanghai"), "object": object(), "tuple": (1, 2), "big integer": 10**400,
    "long text": "x" * 5000, "unicode": "\u202e省\u0000", "html": NASTY[0], "formula": NASTY[1], "interval": pd.Interval(0, 1), "type": int,
    "array": np.arange(3), "frame": pd.DataFrame(), "Ellipsis": ...,
}  # fmt: skip

WHOLE: dict[str, Callable[[pd.Series], Any]] = {
    "objects": lambda s: s.astype(object),
    "strings": lambda s: s.astype(str),
    "string dtype": lambda s: s.astype("string"),
    "python strings": lambda s: s.astype(str).astype(object),
    "arrow strings": lambda s: s.astype(str).astype("string[pyarrow]"),
    "categories": lambda s: s.astype("category"),
    "ordered categories with unused": lambda s: s.astype("category").cat.add_categories([-99]).cat.as_ordered(),
    "nullable integers": lambda s: pd.Series(pd.array([1, None] * (len(s) // 2) + [3] * (len(s) % 2), dtype="Int64"), index=s.index),
    "nullable floats": lambda s: pd.to_numeric(s, errors="coerce").astype("Float64"),
    "nullable booleans": lambda s: pd.Series(
        pd.array([True, None] * (len(s) // 2) + [False] * (len(s) % 2), dtype="boolean"), index=s.index
    ),
    "arrow floats": lambda s: pd.to_numeric(s, errors="coerce").astype("double[pyarrow]"),
    "sparse": lambda s: pd.to_numeric(s, errors="coerce").astype(pd.SparseDtype(float)),
    "booleans": lambda s: s.notna(),
    "dates with a timezone": lambda s: pd.Series(pd.date_range("2001", periods=len(s), tz="Asia/Shanghai"), index=s.index),
    "dates": lambda s: pd.Series(pd.date_range("2001", periods=len(s)), index=s.index),
    "durations": lambda s: pd.Series(pd.to_timedelta(np.arange(len(s)), unit="D"), index=s.index),
    "periods": lambda s: pd.Series(pd.period_range("2001", periods=len(s), freq="Y"), index=s.index),
    "intervals": lambda s: pd.Series(pd.interval_range(0, periods=max(len(s), 1))[: len(s)], index=s.index),
    "complex": lambda s: pd.to_numeric(s, errors="coerce") + 1j,
    "half precision": lambda s: pd.to_numeric(s, errors="coerce").astype("float16"),
    "unsigned": lambda s: pd.Series(np.full(len(s), 2**64 - 1, dtype="uint64"), index=s.index),
    "long double": lambda s: pd.to_numeric(s, errors="coerce").astype("longdouble"),
    "bytes": lambda s: s.astype(str).map(lambda v: v.encode()),
    "lists": lambda s: pd.Series([[v] for v in s], index=s.index, dtype=object),
    "mixed types": lambda s: pd.Series([v if i % 2 else str(v) for i, v in enumerate(s)], index=s.index, dtype=object),
    "all missing": lambda s: pd.Series(np.nan, index=s.index),
    "all None": lambda s: pd.Series([None] * len(s), index=s.index, dtype=object),
    "constant": lambda s: pd.Series(1.0, index=s.index),
    "zeros": lambda s: pd.Series(0, index=s.index),
    "negative": lambda s: -pd.to_numeric(s, errors="coerce"),
    "huge": lambda s: pd.to_numeric(s, errors="coerce").fillna(1.0) * 1e300,
    "tiny": lambda s: pd.to_numeric(s, errors="coerce").fillna(1.0) * 1e-300,
    "one huge": lambda s: pd.to_numeric(s, errors="coerce").astype(float).where(np.arange(len(s)) != 0, 1e200),
    "row numbers": lambda s: pd.Series(np.arange(len(s)), index=s.index),
    "alternating": lambda s: pd.Series(np.arange(len(s)) % 2, index=s.index),
    "decimals": lambda s: pd.Series([decimal.Decimal(i) for i in range(len(s))], index=s.index, dtype=object),
    "nasty text": lambda s: pd.Series([NASTY[i % len(NASTY)] for i in range(len(s))], index=s.index, dtype=object),
}


def _copied_column(frame: pd.DataFrame, source: str, target: str) -> pd.DataFrame:
    return frame.assign(**{target: 2 * frame[source] if source in NUMBERS else frame[source]}) if {source, target} <= set(frame) else frame


TABLES: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "no rows": lambda f, r: f.iloc[:0],
    "one row": lambda f, r: f.iloc[:1],
    "two rows": lambda f, r: f.iloc[:2],
    "one unit": lambda f, r: f[f.unit == f.unit.iloc[0]],
    "two units": lambda f, r: f[f.unit.isin(f.unit.unique()[:2])],
    "one period": lambda f, r: f[f.year == f.year.iloc[0]],
    "half the rows": lambda f, r: f[r.random(len(f)) < 0.5],
    "shuffled": lambda f, r: f.sample(frac=1, random_state=int(r.integers(1000))),
    "a row twice": lambda f, r: pd.concat([f, f.iloc[:1]]),
    "all rows twice": lambda f, r: pd.concat([f, f]),
    "a column twice": lambda f, r: pd.concat([f, f[[f.columns[int(r.integers(len(f.columns)))]]]], axis=1),
    "rows indexed alike": lambda f, r: f.set_axis([0] * len(f)),
    "indexed by unit and year": lambda f, r: f.set_index(["unit", "year"], drop=False),
    "unit and year in the index": lambda f, r: f.set_index(["unit", "year"]),
    "columns in two levels": lambda f, r: f.set_axis(pd.MultiIndex.from_product([["a"], f.columns]), axis=1),
    "numbers as column names": lambda f, r: f.set_axis(range(f.shape[1]), axis=1),
    "a number among the column names": lambda f, r: f.rename(columns={"x": 7}),
    "None among the column names": lambda f, r: f.rename(columns={"x": None}),
    "nasty column names": lambda f, r: f.assign(**{name: 1.0 for name in NASTY}),
    "no columns": lambda f, r: f[[]],
    "names of our own columns": lambda f, r: f.assign(reason="mine", first_treated=1.0, _when=2.0, source="mine"),
    "switches off": lambda f, r: f.assign(treated=np.arange(len(f)) % 2),
    "all treated at once": lambda f, r: f.assign(law=2003.0, treated=(f.year >= 2003).astype(int)),
    "always treated": lambda f, r: f.assign(law=1990.0, treated=1),
    "one unit always treated": lambda f, r: f.assign(law=f.law.where(f.unit != f.unit.iloc[0], 2001.0)),
    "nobody treated": lambda f, r: f.assign(law=np.nan, treated=0),
    "treated after the end": lambda f, r: f.assign(law=2999.0),
    "fractional date": lambda f, r: f.assign(law=2003.5),
    "dates change within units": lambda f, r: f.assign(law=r.choice([2002.0, 2004.0], len(f))),
    "regions change within units": lambda f, r: f.assign(region=r.choice(["North", "South"], len(f))),
    "a region of one unit": lambda f, r: f.assign(region=np.where(f.unit == f.unit.iloc[0], "alone", f.region)),
    "a region a unit": lambda f, r: f.assign(region=f.unit),
    "collinear columns": lambda f, r: _copied_column(f, "x", "y"),
    "twice the same input": lambda f, r: _copied_column(f, "labour", "capital"),
    "x is the treatment": lambda f, r: f.assign(x=f.treated),
    "x is the unit": lambda f, r: f.assign(x=pd.factorize(f.unit)[0]),
    "far years": lambda f, r: f.assign(year=f.year * 10**12),
    "negative years": lambda f, r: f.assign(year=f.year - 5000),
    "far apart years": lambda f, r: f.assign(year=f.year.where(f.year != f.year.max(), 10**9)),
    "fractional years": lambda f, r: f.assign(year=f.year + 0.5),
    "years as text": lambda f, r: f.assign(year=f.year.astype(str)),
    "every other year": lambda f, r: f[f.year % 2 == 1],
    "units of mixed types": lambda f, r: f.assign(unit=[i if i % 2 else str(i) for i in pd.factorize(f.unit)[0]]),
    "units of numbers": lambda f, r: f.assign(unit=pd.factorize(f.unit)[0] * 1.5),
    "negative weights": lambda f, r: f.assign(people=-1.0),
    "attributes": lambda f, r: _with_attributes(f),
    "polars": lambda f, r: _polars(f),
    "lazy polars": lambda f, r: _polars(f).lazy(),
    "arrow": lambda f, r: _arrow(f),
    "a dictionary": lambda f, r: f.to_dict("list"),
    "a ragged dictionary": lambda f, r: {"unit": [1, 2], "year": [1]},
    "records": lambda f, r: f.to_dict("records"),
    "an array": lambda f, r: f.to_numpy(),
    "a series": lambda f, r: f["y"],
    "nothing": lambda f, r: None,
    "text": lambda f, r: "panel.csv",
    "a class": lambda f, r: pd.DataFrame,
}  # fmt: skip


def _with_attributes(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy()
    frame.attrs["note"] = object()
    return frame


def _polars(frame: pd.DataFrame) -> Any:
    import polars

    return polars.from_pandas(frame.loc[:, ~frame.columns.duplicated()].astype({"unit": str, "region": str}))


def _arrow(frame: pd.DataFrame) -> Any:
    import pyarrow

    return pyarrow.table({name: frame[name].astype(str).tolist() for name in ("unit", "region")} | {"year": frame.year.tolist()})


ROLE_FAULTS: dict[str, dict[str, Any]] = {
    "none": {}, "no region": {"region": None}, "no dates": {"first_treated": None}, "no weights": {"weights": None},
    "treated": {"first_treated": None, "treated": "treated"}, "both": {"treated": "treated"}, "no such column": {"unit": "nobody"},
    "a number": {"time": 3}, "a list": {"unit": ["unit"]}, "a tuple": {"region": ("a", "region")}, "unit is time": {"time": "unit"},
    "region is unit": {"region": "unit"}, "region is time": {"region": "year"}, "weights are text": {"weights": "region"},
    "dates are dates": {"first_treated": "year"}, "nothing": {"unit": None}, "NaN": {"unit": np.nan}, "a set": {"time": {"year"}},
    "treated is a dose": {"first_treated": None, "treated": "y"}, "a frame": {"weights": pd.DataFrame()},
    "array": {"unit": np.array(["unit", "x"])},
    "name": {"name": None}, "name of a number": {"name": 3}, "name of markup": {"name": NASTY[0]},
    "weights are the outcome": {"weights": "y"},
    "dates are weights": {"first_treated": "people"}, "empty text": {"region": ""}, "true": {"weights": True},
    "weights are time": {"weights": "year"},
    "time is weights": {"time": "people"}, "dates are the unit": {"first_treated": "unit"},
}  # fmt: skip

CELL_FAULTS = [f"cell {name}" for name in CELLS]
COLUMN_FAULTS = [f"column {name}" for name in WHOLE]
TABLE_FAULTS = [f"table {name}" for name in TABLES]


def spoiled(seed: int, faults: tuple[str, ...], columns: tuple[str, ...] = COLUMNS) -> Any:
    """The sound table with these faults, in order; cells and columns are those that the seed draws. What is no table any more stays so."""
    rng = np.random.default_rng([seed, 77])
    data: Any = sound_frame(seed % 5)
    for fault in faults:
        kind, name = fault.split(" ", 1)
        here = [c for c in columns if isinstance(data, pd.DataFrame) and c in data.columns and isinstance(data[c], pd.Series)]
        if not isinstance(data, pd.DataFrame) or (kind != "table" and (not here or not len(data))):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                data = _spoil(data, kind, name, here, rng)
        except (LookupError, AttributeError, TypeError, ValueError, OverflowError, NotImplementedError):
            continue  # this fault cannot follow the ones before it
        except Exception as error:
            if type(error).__module__.split(".")[0] not in ("polars", "pyarrow", "pandas"):
                raise
    return data


def _spoil(data: pd.DataFrame, kind: str, name: str, here: list[str], rng: np.random.Generator) -> Any:
    if kind == "table":
        return TABLES[name](data, rng)
    column = here[int(rng.integers(len(here)))]
    if kind == "column":
        return data.assign(**{column: WHOLE[name](data[column])})
    values = data[column].astype(object).tolist()
    values[int(rng.integers(len(values)))] = CELLS[name]
    spoiled_column = pd.Series(values, index=data.index, dtype=object)
    return data.assign(**{column: spoiled_column if rng.random() < 0.5 else spoiled_column.infer_objects()})


@st.composite
def frames(draw: Any, most: int = 3, columns: tuple[str, ...] = COLUMNS) -> tuple[Any, tuple[int, tuple[str, ...]]]:
    """A spoiled table, and the seed and faults that make it."""
    faults = tuple(draw(st.lists(st.one_of(*map(st.sampled_from, (CELL_FAULTS, COLUMN_FAULTS, TABLE_FAULTS))), min_size=1, max_size=most)))
    seed = draw(st.integers(0, 10_000))
    return spoiled(seed, faults, columns), (seed, faults)


def named(call: Callable[[], Any]) -> Any:
    """The result, or None for an error of ours; anything else fails the test, a warning of another package included."""
    said = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", BayesWarning)
        try:
            return call()
        except BayesError as error:
            said = str(error)
    assert len(said) > 20, f"an error says what, where and the remedy, not only {said!r}"
    return None


roles = st.one_of(st.just({}), st.sampled_from(list(ROLE_FAULTS.values()))).map(lambda change: {**ROLES, **change})

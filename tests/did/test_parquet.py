"""Streaming from Parquet gives the numbers of the in-memory path and refuses what the panel refuses."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes.did.model import StaggeredDiD
from bayes.did.parquet import blocks_from_parquet
from bayes.errors import (
    DataError,
    DuplicateRowError,
    EmptyPanelError,
    MissingColumnError,
    MissingValueError,
    NoComparisonError,
    NotNumericError,
    NotPositiveError,
    RegionNotNestedError,
    SinglePeriodError,
    SpecificationError,
    TreatmentTimingError,
)
from bayes.panel import Panel
from tests.panels import simulated_frame

COLUMNS = {"unit": "unit", "time": "year", "region": "region", "first_treated": "first_treated", "outcome": "y"}
MODEL = StaggeredDiD("y", covariates=["x"])


def written(frame: pd.DataFrame, folder: Path) -> Path:
    file = folder / "panel.parquet"
    frame.to_parquet(file, index=False)
    return file


def streamed(file: Path, model: StaggeredDiD = MODEL, **options):
    columns = {**COLUMNS, "covariates": model.covariates, **options}
    return model.collapse_blocks(*blocks_from_parquet(file, **columns))


def read_all(frame: pd.DataFrame, folder: Path, **options) -> list:
    return list(blocks_from_parquet(written(frame, folder), **{**COLUMNS, "covariates": ("x",), **options}).blocks)


def same_state(ours, theirs) -> None:
    """Sums that enter the likelihood agree to 1e-9 of their size, labels exactly."""
    assert (ours.regions, ours.period_start, ours.step) == (theirs.regions, theirs.period_start, theirs.step)
    for name in ("region", "cohort", "event", "rows", "weight"):
        np.testing.assert_array_equal(getattr(ours.design.cells, name), getattr(theirs.design.cells, name), err_msg=name)
    np.testing.assert_allclose(ours.scales, theirs.scales, rtol=1e-9)
    size = np.abs(theirs.products.total).max()
    np.testing.assert_allclose(ours.products.total, theirs.products.total, rtol=0, atol=1e-9 * size)
    for f in fields(theirs.group_products):
        np.testing.assert_allclose(getattr(ours.group_products, f.name), getattr(theirs.group_products, f.name), rtol=1e-9, atol=1e-9)
    for field in ("gaps", "gap_counts", "n_units", "n_rows", "n_flat", "pattern_units", "zz"):
        np.testing.assert_array_equal(getattr(ours.products, field), getattr(theirs.products, field), err_msg=field)
    gram = [_outer(c.products) for c in (ours, theirs)]
    np.testing.assert_allclose(gram[0], gram[1], rtol=0, atol=1e-9 * np.abs(gram[1]).max())


def _outer(products) -> np.ndarray:
    """Σ u u' by pattern: pseudo-units themselves are only determined up to a rotation."""
    flat = products.unit.reshape(len(products.unit), -1)
    return np.stack([flat[products.pattern == p].T @ flat[products.pattern == p] for p in range(len(products.zz))])


@pytest.mark.parametrize("gaps", [False, True], ids=["balanced", "with gaps"])
@pytest.mark.parametrize("batch_rows", [1, 7, 50, 1_000_000])
@pytest.mark.parametrize("weights", [None, "population"])
def test_streamed_cross_products_equal_those_in_memory(tmp_path, gaps, batch_rows, weights):
    frame = simulated_frame(gaps=gaps)
    panel = Panel.from_frame(frame, "unit", "year", "region", "first_treated", weights=weights)
    ours = streamed(written(frame, tmp_path), weights=weights, batch_rows=batch_rows)
    same_state(ours, MODEL.collapse(panel))


@pytest.mark.parametrize("kind", ["category", "codes", "strings"])
def test_labels_may_be_text_numbers_or_dictionaries(tmp_path, kind):
    frame = simulated_frame(n_units=18)
    if kind == "codes":
        frame = frame.assign(unit=frame.unit.str[1:].astype(int), region=frame.region.factorize(sort=True)[0])
    elif kind == "category":
        frame = frame.assign(unit=frame.unit.astype("category"), region=frame.region.astype("category").cat.add_categories("nowhere"))
    panel = Panel.from_frame(frame.astype({"region": str}), "unit", "year", "region", "first_treated")
    same_state(streamed(written(frame, tmp_path), batch_rows=13), MODEL.collapse(panel))


@pytest.mark.parametrize("never", [np.nan, 0.0, np.inf])
def test_every_spelling_of_never_treated(tmp_path, never):
    frame = simulated_frame()
    theirs = MODEL.collapse(Panel.from_frame(frame, "unit", "year", "region", "first_treated"))
    same_state(streamed(written(frame.fillna({"first_treated": never}), tmp_path)), theirs)


def test_years_on_a_coarser_grid_and_no_region(tmp_path):
    frame = simulated_frame()
    frame = frame.assign(year=2000 + 2 * (frame.year - 2001), first_treated=2000 + 2 * (frame.first_treated - 2001) - 1)
    panel = Panel.from_frame(frame, "unit", "year", None, "first_treated")
    ours = streamed(written(frame, tmp_path), region=None, batch_rows=20)
    assert ours.step == 2
    assert ours.regions == ("all",)
    same_state(ours, MODEL.collapse(panel))


def test_missing_values_name_unit_and_period(tmp_path):
    frame = simulated_frame()
    place = r"unit u003, year 2004"
    row = frame.index[(frame.unit == "u003") & (frame.year == 2004)]
    for column, value in (("y", np.nan), ("x", np.inf), ("population", np.nan)):
        broken = frame.copy()
        broken.loc[row, column] = value
        with pytest.raises(MissingValueError, match=f"'{column}'.*{place}"):
            read_all(broken, tmp_path, weights="population", batch_rows=11)
    for column in ("unit", "region"):
        broken = frame.copy()
        broken.loc[row, column] = None
        with pytest.raises(MissingValueError, match=rf"'{column}'.*row {row[0]},"):
            read_all(broken, tmp_path, batch_rows=11)
    broken = frame.astype({"year": float})
    broken.loc[row, "year"] = np.nan
    with pytest.raises(MissingValueError, match=rf"'year'.*row {row[0]},"):
        read_all(broken, tmp_path, batch_rows=11)


@pytest.mark.parametrize("batch_rows", [1, 8, 9, 1000])
def test_rows_out_of_order_are_refused_with_the_remedy(tmp_path, batch_rows):
    frame = simulated_frame()
    with pytest.raises(DataError, match=r"not sorted by unit and period: unit u000, year 2002 follows unit u023, year 2001.*sink_parquet"):
        read_all(frame.sort_values(["year", "unit"]), tmp_path, batch_rows=batch_rows)
    swapped = frame.iloc[[1, 0, *range(2, len(frame))]]
    with pytest.raises(DataError, match=r"unit u000, year 2001 follows unit u000, year 2002"):
        read_all(swapped, tmp_path, batch_rows=batch_rows)
    repeated = frame.iloc[[*range(9), *range(8, len(frame))]]
    with pytest.raises(DuplicateRowError, match=r"unit u001, year 2001"):
        read_all(repeated, tmp_path, batch_rows=batch_rows)


@pytest.mark.parametrize("batch_rows", [4, 1000])
def test_what_must_be_constant_within_a_unit(tmp_path, batch_rows):
    frame = simulated_frame()
    row = frame.index[(frame.unit == "u005") & (frame.year == 2005)]
    moved = frame.copy()
    moved.loc[row, "region"] = "North"
    with pytest.raises(RegionNotNestedError, match=r"'South'.*'North'.*unit u005, year 2005"):
        read_all(moved, tmp_path, batch_rows=batch_rows)
    shifted = frame.copy()
    shifted.loc[row, "first_treated"] = 2007
    with pytest.raises(TreatmentTimingError, match="unit u005, year 2005"):
        read_all(shifted, tmp_path, batch_rows=batch_rows)
    with pytest.raises(TreatmentTimingError, match="whole numbers"):
        read_all(frame.assign(first_treated=frame.first_treated + 0.5), tmp_path, batch_rows=batch_rows)


def test_units_treated_from_their_first_row_are_counted(tmp_path):
    frame = simulated_frame()
    always = frame.unit.isin(["u001", "u004", "u009", "u012", "u020"])
    with pytest.raises(DataError, match=r"5 units are treated from their first row on \(unit u001, u004, u009 …\).*Leave them out"):
        read_all(frame.assign(first_treated=frame.first_treated.where(~always, 1990)), tmp_path, batch_rows=9)


def test_no_untreated_unit_left_is_refused(tmp_path):
    frame = simulated_frame()
    with pytest.raises(NoComparisonError, match="From year = 2004 on"):
        read_all(frame.assign(first_treated=2004.0), tmp_path)


def test_columns_and_options_are_checked_before_reading(tmp_path):
    frame = simulated_frame(n_units=6)
    file = written(frame.assign(word="text"), tmp_path)
    for wrong, error in (
        ({"outcome": "z"}, MissingColumnError),
        ({"outcome": "word"}, NotNumericError),
        ({"covariates": "x"}, SpecificationError),
        ({"batch_rows": 0}, SpecificationError),
    ):
        with pytest.raises(error):
            blocks_from_parquet(file, **{**COLUMNS, **wrong})
    with pytest.raises(NotPositiveError, match="unit u000"):
        read_all(frame.assign(population=0), tmp_path, weights="population")
    for broken, error in (
        (frame.assign(year=2001), SinglePeriodError),
        (frame.iloc[:0], EmptyPanelError),
        (frame.assign(year=frame.year + 0.5), NotNumericError),
    ):
        with pytest.raises(error):
            read_all(broken, tmp_path)
    (tmp_path / "notes.parquet").write_text("not a table")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        blocks_from_parquet(tmp_path / "notes.parquet", **COLUMNS)

"""Panel: what is refused and in which words, what is set aside, and that the same table gives the same panel however it arrives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import polars as pl
import pytest

from bayes import errors
from bayes.panel import Panel
from tests.panels import ROLES, simulated_frame

INDEX = {"unit": "unit", "time": "year"}


def changed(frame: pd.DataFrame, row: int, **values: object) -> pd.DataFrame:
    """A copy with one row changed; columns become objects where the new value needs it."""
    frame = frame.copy()
    for column, value in values.items():
        cells = frame[column].astype(object)
        cells.iloc[row] = value
        frame[column] = cells if isinstance(value, str) or value is None else cells.infer_objects()
    return frame


# ── errors: each names the column, the unit and the period ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", ["unit", "time", "region", "first_treated", "weights"])
def test_missing_column_is_named_with_its_role(tiny_frame, role):
    with pytest.raises(errors.MissingColumnError, match=rf"'nowhere' \(given as {role}\).*Columns: unit, year"):
        Panel.from_frame(tiny_frame, **{**ROLES, role: "nowhere"})


def test_a_column_that_exists_twice_is_refused(tiny_frame):
    with pytest.raises(errors.MissingColumnError, match=r"'region' .*more than once"):
        Panel.from_frame(pd.concat([tiny_frame, tiny_frame[["region"]]], axis=1), **ROLES)


def test_duplicate_row_names_unit_and_period(tiny_frame):
    doubled = pd.concat([tiny_frame, tiny_frame.iloc[[10]]])
    with pytest.raises(errors.DuplicateRowError, match="unit u001, year 2003"):
        Panel.from_frame(doubled, **ROLES)


def test_treatment_that_switches_off_is_refused_and_another_design_is_named(tiny_frame):
    with pytest.raises(errors.NonAbsorbingTreatmentError, match=r"(?s)'treated' switches off again: unit u000, year 2008.*another design"):
        Panel.from_frame(changed(tiny_frame, 7, treated=0), **INDEX, treated="treated")


def test_dose_is_not_a_treatment_indicator(tiny_frame):
    with pytest.raises(errors.TreatmentTimingError, match=r"'treated' must hold 0 and 1 only; found 0\.5: unit u000, year 2008"):
        Panel.from_frame(changed(tiny_frame, 7, treated=0.5), **INDEX, treated="treated")


def test_unit_in_two_regions(tiny_frame):
    with pytest.raises(errors.RegionNotNestedError, match=r"'u000' is in region 'Centre' and in 'North' \(column 'region'"):
        Panel.from_frame(changed(tiny_frame, 5, region="North"), **ROLES)


def test_two_first_treated_periods_in_one_unit(tiny_frame):
    with pytest.raises(errors.TreatmentTimingError, match=r"'first_treated' gives unit 'u000'.*\(2004 and 2005\)"):
        Panel.from_frame(changed(tiny_frame, 3, first_treated=2005.0), **ROLES)


@pytest.mark.parametrize("value", [2004.5, -np.inf])
def test_first_treated_must_be_a_period(tiny_frame, value):
    frame = tiny_frame.assign(first_treated=tiny_frame.first_treated.where(tiny_frame.unit != "u000", value))
    with pytest.raises(errors.TreatmentTimingError, match="'first_treated' must hold periods"):
        Panel.from_frame(frame, **ROLES)


def test_first_treated_as_text_names_unit_and_period(tiny_frame):
    with pytest.raises(errors.NotNumericError, match=r"'first_treated' holds str '2004'.*unit u000, year 2001"):
        Panel.from_frame(changed(tiny_frame, 0, first_treated="2004"), **ROLES)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_or_infinite_outcome_names_unit_and_period(tiny_frame, value):
    panel = Panel.from_frame(changed(tiny_frame, 12, y=value), **ROLES)
    with pytest.raises(errors.MissingValueError, match=r"'y' has 1 missing or infinite values: unit u001, year 2005.*drop_missing"):
        panel.column("y")
    with pytest.raises(errors.MissingValueError, match="'y'"):
        panel.matrix(["x", "y"])


def test_text_where_numbers_are_expected(tiny_frame):
    panel = Panel.from_frame(changed(tiny_frame, 12, x="n/a"), **ROLES)
    with pytest.raises(errors.NotNumericError, match=r"'x' holds str 'n/a'.*unit u001, year 2005"):
        panel.column("x")


@pytest.mark.parametrize("year", ["text", "category", "date", "fraction"])
def test_year_column_must_hold_whole_numbers(tiny_frame, year):
    columns = {
        "text": tiny_frame.year.astype(str),
        "category": tiny_frame.year.astype(str).astype("category"),
        "date": pd.to_datetime(tiny_frame.year.astype(str) + "-01-01"),
        "fraction": tiny_frame.year + 0.25,
    }
    with pytest.raises(errors.NotNumericError, match=r"'year'.*unit u000"):
        Panel.from_frame(tiny_frame.assign(year=columns[year]), **ROLES)


@pytest.mark.parametrize("column", ["unit", "year", "region"])
def test_missing_labels_are_refused(tiny_frame, column):
    with pytest.raises(errors.MissingValueError, match=f"'{column}' has 1 missing values .rows 9"):
        Panel.from_frame(changed(tiny_frame, 9, **{column: None}), **ROLES)


def test_one_period(tiny_frame):
    with pytest.raises(errors.SinglePeriodError, match=r"'year' holds one period only \(2003\)"):
        Panel.from_frame(tiny_frame[tiny_frame.year == 2003], **INDEX)


def test_empty_table(tiny_frame):
    with pytest.raises(errors.EmptyPanelError, match="no rows"):
        Panel.from_frame(tiny_frame.iloc[:0], **ROLES)


def test_no_untreated_unit_left_names_the_period(tiny_frame):
    cohort = tiny_frame[tiny_frame.first_treated == 2004]
    with pytest.raises(errors.NoComparisonError, match="From year = 2004 on every unit is treated"):
        Panel.from_frame(cohort, **ROLES)


def test_everybody_treated_from_the_start(tiny_frame):
    with pytest.raises(errors.NoComparisonError, match="treated from its first row"):
        Panel.from_frame(tiny_frame.assign(first_treated=1999), **ROLES)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_weights_must_be_positive(tiny_frame, value):
    with pytest.raises(errors.NotPositiveError, match=r"'population' has 1 values .*unit u000, year 2005"):
        Panel.from_frame(changed(tiny_frame, 4, population=value), **ROLES)


def test_first_treated_and_treated_together_are_refused(tiny_frame):
    with pytest.raises(errors.SpecificationError, match="not both"):
        Panel.from_frame(tiny_frame, **ROLES, treated="treated")


def test_other_kinds_of_table_are_refused(tiny_frame):
    with pytest.raises(errors.SpecificationError, match="got ndarray"):
        Panel.from_frame(tiny_frame.to_numpy(), **ROLES)


def test_every_error_is_caught_by_the_root(tiny_frame):
    with pytest.raises(errors.BayesError):
        Panel.from_frame(tiny_frame.iloc[:0], **ROLES)
    with pytest.raises(ValueError, match="no rows"):
        Panel.from_frame(tiny_frame.iloc[:0], **ROLES)


# ── the same panel however it arrives ───────────────────────────────────────────────────────────────────────────────


def same(left: Panel, right: Panel) -> bool:
    return (
        np.array_equal(left.units, right.units)
        and np.array_equal(left.regions, right.regions)
        and np.array_equal(left.unit_regions, right.unit_regions)
        and np.array_equal(left.unit_first_treated, right.unit_first_treated)
        and np.array_equal(left.period_codes, right.period_codes)
        and np.array_equal(left.matrix(["y", "x"]), right.matrix(["y", "x"]))
    )


def test_pandas_polars_and_lazy_polars_agree(tiny_frame, tiny_panel):
    polars_frame = pl.DataFrame(tiny_frame.to_dict("list"))
    assert same(tiny_panel, Panel.from_frame(polars_frame, **ROLES))
    assert same(tiny_panel, Panel.from_frame(polars_frame.lazy(), **ROLES))


def test_polars_null_means_never(tiny_panel):
    polars_frame = pl.DataFrame(simulated_frame().to_dict("list")).with_columns(pl.col("first_treated").fill_nan(None).cast(pl.Int64))
    assert same(tiny_panel, Panel.from_frame(polars_frame, **ROLES))


def test_row_order_and_index_do_not_matter(tiny_frame, tiny_panel):
    shuffled = tiny_frame.sample(frac=1, random_state=3)
    assert same(tiny_panel, Panel.from_frame(shuffled, **ROLES))
    assert same(tiny_panel, Panel.from_frame(shuffled.set_axis(np.zeros(len(shuffled), int)), **ROLES))


@pytest.mark.parametrize("never", [np.nan, None, 0, np.inf])
def test_never_treated_marks(tiny_frame, tiny_panel, never):
    marked = tiny_frame.first_treated.astype(object).where(tiny_frame.first_treated.notna(), never)
    panel = Panel.from_frame(tiny_frame.assign(first_treated=marked), **ROLES)
    assert same(tiny_panel, panel)
    assert np.isinf(panel.unit_first_treated).sum() == 6


def test_nullable_integers_and_booleans(tiny_frame, tiny_panel):
    nullable = tiny_frame.assign(first_treated=tiny_frame.first_treated.astype("Int64"), treated=tiny_frame.treated.astype(bool))
    assert same(tiny_panel, Panel.from_frame(nullable, **ROLES))
    assert same(tiny_panel, Panel.from_frame(nullable, **INDEX, region="region", treated="treated"))


def test_treatment_column_gives_the_same_timing(tiny_frame, tiny_panel):
    plain = Panel.from_frame(tiny_frame.drop(columns="first_treated"), **INDEX, region="region", treated="treated")
    beside = Panel.from_frame(tiny_frame, **INDEX, region="region", treated="treated")
    assert same(tiny_panel, plain)
    assert plain.first_treated == "first_treated"
    assert beside.first_treated == "first_treated_", "a column of the user is never overwritten"
    assert same(tiny_panel, beside)


def test_categorical_region_and_unit_with_unused_categories(tiny_frame, tiny_panel):
    region = pd.Categorical(tiny_frame.region, categories=["South", "North", "Centre", "Nowhere"])
    panel = Panel.from_frame(tiny_frame.assign(region=region, unit=tiny_frame.unit.astype("category")), **ROLES)
    assert same(tiny_panel, panel)
    assert list(panel.regions) == ["Centre", "North", "South"]


def test_number_as_region_and_no_region(tiny_frame):
    numbered = Panel.from_frame(tiny_frame.assign(region=tiny_frame.region.map({"Centre": 1, "North": 2, "South": 3})), **ROLES)
    assert list(numbered.regions) == ["1", "2", "3"]
    assert list(Panel.from_frame(tiny_frame, **INDEX).regions) == ["all"]


# ── frozen ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_panel_is_frozen_and_the_input_is_untouched(tiny_frame):
    before = tiny_frame.copy(deep=True)
    panel = Panel.from_frame(tiny_frame, **ROLES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        panel.name = "other"
    panel.log("population")
    panel.assign(z=1)
    pd.testing.assert_frame_equal(tiny_frame, before)
    tiny_frame.loc[:, "y"] = 0.0
    assert panel.column("y").std() > 0, "a later change of the table does not reach the panel"


def test_assign_refuses_index_columns(tiny_panel):
    assert tiny_panel.assign(double=lambda d: 2 * d.x).column("double").sum() == pytest.approx(2 * tiny_panel.column("x").sum())
    with pytest.raises(errors.SpecificationError, match="'region'"):
        tiny_panel.assign(region="all")


def test_log_adds_a_column_and_names_rows_that_are_not_positive(tiny_panel):
    logged = tiny_panel.log("population")
    assert np.array_equal(logged.column("log_population"), np.log(tiny_panel.column("population")))
    assert "log_population" not in tiny_panel.frame
    with pytest.raises(errors.NotPositiveError, match=r"'x' has \d+ values that are zero or negative: unit u000, year"):
        tiny_panel.log("x")


# ── rows in = rows used + rows set aside ────────────────────────────────────────────────────────────────────────────


def test_always_treated_units_are_set_aside_and_reported(tiny_frame):
    frame = tiny_frame.assign(first_treated=tiny_frame.first_treated.where(~tiny_frame.unit.isin(["u000", "u001"]), 2001))
    with pytest.warns(errors.SetAsideWarning, match=r"2 units are treated in every period observed \(u000, u001\)") as caught:
        panel = Panel.from_frame(frame, **ROLES)
    assert caught[0].filename == __file__
    assert len(panel.frame) + len(panel.set_aside) == len(frame)
    assert set(panel.set_aside.unit) == {"u000", "u001"}
    assert (panel.set_aside.reason == "treated in every observed period").all()
    assert "16 rows set aside" in repr(panel)


def test_drop_missing_lists_the_rows(tiny_frame):
    frame = tiny_frame.assign(y=tiny_frame.y.where(tiny_frame.index % 50 != 1), x=tiny_frame.x.where(tiny_frame.index != 30, np.inf))
    panel = Panel.from_frame(frame, **ROLES).drop_missing(["y", "x"])
    assert len(panel.set_aside) == 5
    assert len(panel.frame) + len(panel.set_aside) == len(frame)
    assert set(panel.set_aside.reason) == {"missing or infinite value in y, x"}
    assert np.isfinite(panel.matrix(["y", "x"])).all()
    assert not panel.is_balanced
    assert same(panel, panel.drop_missing("y"))


def test_drop_missing_sets_aside_units_that_lose_their_untreated_rows(tiny_frame):
    lost = (tiny_frame.unit == "u000") & (tiny_frame.year < 2004)
    panel = Panel.from_frame(tiny_frame.assign(y=tiny_frame.y.mask(lost)), **ROLES)
    with pytest.warns(errors.SetAsideWarning, match="u000"):
        dropped = panel.drop_missing("y")
    assert "u000" not in set(dropped.units)
    assert len(dropped.frame) + len(dropped.set_aside) == len(tiny_frame)


def test_drop_missing_that_leaves_nothing(tiny_frame):
    with pytest.raises(errors.EmptyPanelError, match="missing or infinite value in y"):
        Panel.from_frame(tiny_frame.assign(y=np.nan), **ROLES).drop_missing("y")
    with pytest.raises(errors.SinglePeriodError, match="year = 2002"):
        Panel.from_frame(tiny_frame.assign(y=tiny_frame.y.where(tiny_frame.year == 2002)), **INDEX).drop_missing("y")


# ── the grid of periods ─────────────────────────────────────────────────────────────────────────────────────────────


def test_gaps_keep_their_place_on_the_grid(gappy_panel):
    frame = simulated_frame(gaps=True)
    assert not gappy_panel.is_balanced
    assert gappy_panel.n_rows == len(frame) < 192
    assert np.array_equal(gappy_panel.periods[gappy_panel.period_codes], gappy_panel.frame.year)
    assert np.array_equal(gappy_panel.units[gappy_panel.unit_codes], gappy_panel.frame.unit.to_numpy(dtype=object))
    assert gappy_panel.balance().missing_periods.sum() == 192 - len(frame)


def test_a_year_that_nobody_has_stays_on_the_grid(tiny_frame):
    panel = Panel.from_frame(tiny_frame[tiny_frame.year != 2003], **ROLES)
    assert panel.step == 1
    assert list(panel.periods) == list(range(2001, 2009))
    assert not panel.is_balanced


def test_biennial_panel_and_first_treated_between_two_waves(tiny_frame):
    first = tiny_frame.first_treated.map({2004: 2004, 2006: 2009})
    biennial = tiny_frame.assign(year=1999 + 2 * (tiny_frame.year - 2001), first_treated=first)
    panel = Panel.from_frame(biennial, **ROLES)
    assert panel.step == 2
    assert panel.is_balanced
    assert list(panel.periods) == list(range(1999, 2014, 2))
    cohorts = {g: set(panel.unit_cohort_codes[panel.unit_first_treated == g]) for g in (2004, 2009)}
    assert cohorts == {2004: {3.0}, 2009: {5.0}}, "2004 lies between 2003 and 2005: the first treated wave is 2005"


def test_reports(tiny_panel):
    timing = tiny_panel.timing()
    assert list(timing.index) == [2004, 2006, np.inf]
    assert timing.total.tolist() == [9, 9, 6]
    assert timing.loc[2004, ["Centre", "North", "South"]].tolist() == [3, 3, 3]
    table = tiny_panel.describe(["y", "population"]).set_index("column")
    assert table.loc["population", "sd_within"] == 0
    assert table.loc["y", "mean"] == pytest.approx(tiny_panel.frame.y.mean())
    assert repr(tiny_panel) == "Panel('synthetic': 192 rows, 24 units × 8 periods 2001–2008 balanced, 3 regions, 18 units treated)"

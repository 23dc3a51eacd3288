"""A scanned panel finds what Panel.from_frame finds in the same rows, and refuses what it refuses, sorted or not, in one file or many."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes import external_sort, rows_on_disk
from bayes.errors import (
    BayesError,
    DataError,
    DuplicateRowError,
    EmptyPanelError,
    LabelError,
    MissingColumnError,
    MissingValueError,
    NoComparisonError,
    NonAbsorbingTreatmentError,
    NotNumericError,
    NotPositiveError,
    RegionNotNestedError,
    RowsOnDiskError,
    SetAsideWarning,
    SinglePeriodError,
    SpecificationError,
    TooLargeError,
    TreatmentTimingError,
)
from bayes.panel import Panel
from bayes.scan import ScannedPanel
from tests.panels import simulated_frame

ROLES = {"unit": "unit", "time": "year", "region": "region", "first_treated": "first_treated"}
SWITCH = {"unit": "unit", "time": "year", "region": "region", "treated": "treated"}


def written(frame: pd.DataFrame, folder: Path, shuffled: bool = False) -> Path:
    file = folder / "panel.parquet"
    (frame.sample(frac=1, random_state=3) if shuffled else frame).to_parquet(file, index=False)
    return file


def small_pieces(monkeypatch, batch: int, in_range: int = 20) -> None:
    """Read a few rows at a time, and sort a few rows at a time."""
    monkeypatch.setattr(rows_on_disk, "BATCH_ROWS", batch)
    monkeypatch.setattr(external_sort, "RANGE_ROWS", in_range)
    monkeypatch.setattr(external_sort, "_PARTITION_BATCH", 3 * batch)


def same_facts(disk: ScannedPanel, memory: Panel) -> None:
    assert (disk.n_rows, disk.n_units, disk.step, disk.is_balanced) == (memory.n_rows, memory.n_units, memory.step, memory.is_balanced)
    assert disk.periods.tolist() == memory.periods.tolist()
    assert disk.regions.tolist() == memory.regions.tolist()
    pd.testing.assert_frame_equal(disk.timing(), memory.timing(), check_names=False, check_dtype=False)
    assert disk.units_by_length == memory.balance()["rows"].value_counts().sort_index().to_dict()
    assert disk.n_treated == np.isfinite(memory.unit_first_treated).sum()
    assert (disk.set_aside["rows"].sum() if len(disk.set_aside) else 0) == len(memory.set_aside)


@pytest.mark.parametrize("gaps", [False, True], ids=["balanced", "gaps"])
@pytest.mark.parametrize("shuffled", [False, True], ids=["sorted", "shuffled"])
@pytest.mark.parametrize("batch", [1, 7, 1000])
@pytest.mark.parametrize("roles", [ROLES, SWITCH], ids=["dates", "switch"])
def test_facts_are_those_of_the_rows_in_memory(tmp_path, monkeypatch, gaps, shuffled, batch, roles):
    small_pieces(monkeypatch, batch)
    frame = simulated_frame(gaps=gaps)
    disk = Panel.scan(written(frame, tmp_path, shuffled), **roles)
    assert disk.rows.is_sorted is not shuffled
    same_facts(disk, Panel.from_frame(frame, **roles))


def test_rows_in_are_rows_used_and_rows_set_aside(tmp_path, monkeypatch):
    small_pieces(monkeypatch, 5)
    frame = simulated_frame(gaps=True)
    always = frame.unit.isin(["u000", "u005", "u006", "u011", "u012", "u018", "u023"])
    frame.loc[always, "first_treated"] = 1990
    frame.loc[always, "treated"] = 1
    frame.loc[frame.unit == "u023", "region"] = "only here"
    for roles in (ROLES, SWITCH):
        with pytest.warns(SetAsideWarning, match=r"7 units .*\(u000, u005, u006, u011, u012 …\)"):
            memory = Panel.from_frame(frame, **roles)
        with pytest.warns(SetAsideWarning, match=r"7 units .*\(u000, u005, u006, u011, u012 …\)"):
            disk = Panel.scan(written(frame, tmp_path), **roles)
        same_facts(disk, memory)
        assert disk.n_rows + disk.set_aside["rows"].sum() == len(frame)
        assert disk.set_aside[["reason", "units"]].values.tolist() == [["treated in every observed period", 7]]
        assert "rows set aside" in repr(disk)


def test_folders_patterns_and_folders_that_are_columns(tmp_path):
    frame = simulated_frame(gaps=True)
    memory = Panel.from_frame(frame, **ROLES)
    cut = frame.unit.searchsorted("u010"), frame.unit.searchsorted("u020") + 3
    for name, part in zip(("b10", "b9", "a"), np.split(np.arange(len(frame)), cut), strict=True):
        written(frame.iloc[part], tmp_path).rename(tmp_path / f"{name}.parquet")
    (tmp_path / "_notes.parquet").write_text("no table")
    (tmp_path / ".hidden.parquet").write_text("no table")
    disk = Panel.scan(tmp_path, **ROLES)
    assert disk.rows.is_sorted, "files are put in the order of their first units, not of their names"
    same_facts(disk, memory)
    assert Panel.scan(str(tmp_path / "b*.parquet"), **ROLES).n_rows == cut[1]
    by_year = tmp_path / "years"
    for year, part in frame.groupby("year"):
        (by_year / f"year={year}").mkdir(parents=True)
        written(part.drop(columns="year"), by_year / f"year={year}")
    disk = Panel.scan(by_year, **ROLES)
    same_facts(disk, memory)
    assert "8 files on disk to be sorted at every pass" in repr(disk)


@pytest.mark.parametrize("kind", ["category", "codes", "float region"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_labels_may_be_text_numbers_or_dictionaries(tmp_path, monkeypatch, kind, shuffled):
    small_pieces(monkeypatch, 13)
    frame = simulated_frame(n_units=18)
    if kind == "category":
        frame = frame.assign(unit=frame.unit.astype("category"), region=frame.region.astype("category").cat.add_categories("nowhere"))
    else:
        frame = frame.assign(unit=frame.unit.str[1:].astype(int), region=frame.region.factorize(sort=True)[0])
        frame = frame.astype({"region": float}) if kind == "float region" else frame
    same_facts(Panel.scan(written(frame, tmp_path, shuffled), **ROLES), Panel.from_frame(frame, **ROLES))


def broken_frames() -> dict[str, tuple[pd.DataFrame, dict, type, str]]:
    frame = simulated_frame()
    here = (frame.unit == "u005") & (frame.year == 2005)
    row = int(np.flatnonzero(here)[0])

    def put(column: str, value: object) -> pd.DataFrame:
        out = frame.astype({column: float}) if isinstance(value, float) else frame.copy()
        out.loc[here, column] = value
        return out

    weights = {**ROLES, "weights": "population"}
    late = frame.assign(first_treated=2004.0)
    return {
        "unit missing": (put("unit", None), ROLES, MissingValueError, rf"'unit'.*row {row},"),
        "region missing": (put("region", None), ROLES, MissingValueError, "'region'"),
        "year missing": (put("year", np.nan), ROLES, MissingValueError, "'year'"),
        "year not whole": (put("year", 2005.5), ROLES, NotNumericError, "whole numbers.*2005.5.*u005"),
        "year infinite": (put("year", np.inf), ROLES, NotNumericError, "whole numbers.*u005"),
        "repeated": (pd.concat([frame, frame[here]]).sort_values(["unit", "year"]), ROLES, DuplicateRowError, "unit u005, year 2005"),
        "split unit": (put("region", "North"), ROLES, RegionNotNestedError, "'North'.*unit u005"),
        "two dates": (put("first_treated", 2007.0), ROLES, TreatmentTimingError, "two first treated.*unit u005"),
        "date not whole": (frame.assign(first_treated=frame.first_treated + 0.5), ROLES, TreatmentTimingError, "whole numbers"),
        "date minus infinity": (frame.assign(first_treated=-np.inf), ROLES, TreatmentTimingError, "whole numbers"),
        "not 0 or 1": (put("treated", 0.5), SWITCH, TreatmentTimingError, "0 and 1 only; found 0.5.*unit u005, year 2005"),
        "switches off": (frame.assign(treated=1 * (frame.year == 2004)), SWITCH, NonAbsorbingTreatmentError, "unit u000, year 2005"),
        "weight missing": (put("population", np.nan), weights, MissingValueError, "'population'.*unit u005, year 2005"),
        "weight zero": (put("population", 0.0), weights, NotPositiveError, "'population'.*unit u005, year 2005"),
        "empty": (frame.iloc[:0], ROLES, EmptyPanelError, "no rows"),
        "one period": (frame[frame.year == 2005], ROLES, SinglePeriodError, "one period only"),
        "no comparison": (late, ROLES, NoComparisonError, "From year = 2004 on"),
        "all treated always": (frame.assign(first_treated=1990), ROLES, NoComparisonError, "Every unit"),
        "text": (frame.assign(first_treated="2004"), ROLES, NotNumericError, "'first_treated'"),
        "no such column": (frame, {**ROLES, "region": "state"}, MissingColumnError, "'state'"),
    }


@pytest.mark.parametrize("shuffled", [False, True], ids=["sorted", "shuffled"])
@pytest.mark.parametrize("what", broken_frames())
def test_bad_rows_are_refused_with_name_and_place(tmp_path, monkeypatch, what, shuffled):
    small_pieces(monkeypatch, 9)
    frame, roles, error, words = broken_frames()[what]
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    if shuffled:
        words = words.split(r"row ")[0] if "row" in words else words
    with pytest.raises(error, match=words):
        Panel.scan(written(frame, tmp_path, shuffled), **roles, scratch=tmp_path)
    with pytest.raises(error):
        Panel.from_frame(frame, **roles)
    assert [f.name for f in tmp_path.iterdir()] == ["panel.parquet"], "temporary files are gone"


def test_sources_and_options_are_checked(tmp_path):
    file = written(simulated_frame(), tmp_path)
    (tmp_path / "notes.txt").write_text("not a table")
    for source, error, words in (
        (tmp_path / "notes.txt", DataError, "not a readable Parquet file"),
        (tmp_path / "none.parquet", DataError, "names no Parquet file"),
        (3, SpecificationError, "path"),
    ):
        with pytest.raises(error, match=words):
            Panel.scan(source, **ROLES)
    for wrong, error in (
        ({"treated": "treated"}, SpecificationError),
        ({"weights": 3}, SpecificationError),
        ({"scratch": 3}, SpecificationError),
    ):
        with pytest.raises(error):
            Panel.scan(file, **{**ROLES, **wrong})


def test_files_that_change_and_disks_that_fill_up(tmp_path, monkeypatch):
    frame = simulated_frame()
    file = written(frame, tmp_path, shuffled=True)
    disk = Panel.scan(file, **ROLES)
    os.utime(file, (1, 1))
    with pytest.raises(DataError, match="changed after it was scanned"):
        disk.collect(["y"])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(external_sort, "_append", full)
    with pytest.raises(DataError, match=r"No space left.*scratch="):
        Panel.scan(file, **ROLES, scratch=tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["panel.parquet"]


def test_rows_can_be_collected(tmp_path, monkeypatch):
    small_pieces(monkeypatch, 11)
    frame = simulated_frame(gaps=True)
    for shuffled, roles in ((False, ROLES), (True, SWITCH)):
        disk = Panel.scan(written(frame, tmp_path, shuffled), **roles, weights="population", name="mine")
        everything = disk.collect(["y", "x"])
        plain = frame if roles is ROLES else frame.drop(columns="first_treated")  # so that timing from a 0/1 column gets this name
        memory = Panel.from_frame(plain, **roles, weights="population", name="mine")
        pd.testing.assert_frame_equal(everything.frame, memory.frame[everything.frame.columns], check_dtype=False)
        assert (everything.name, everything.weights) == ("mine", "population")
        sample = disk.collect(["y"], units=20, seed=2)
        assert sample.n_units == 20
        part = memory.frame[memory.frame.unit.isin(sample.units)]
        assert sample.frame.y.tolist() == part.y.tolist(), "whole units"
        assert disk.collect(["y"], units=20, seed=2).units.tolist() == sample.units.tolist()
        assert disk.collect(["y"], units=20, seed=3).units.tolist() != sample.units.tolist()
        for wrong in ({"units": 25}, {"units": 0}):
            with pytest.raises(SpecificationError):
                disk.collect(["y"], **wrong)
    with pytest.raises(SpecificationError, match="list of names"):
        disk.collect("y")
    with pytest.raises(MissingColumnError, match="'z'"):
        disk.collect(["z"])


def test_what_needs_rows_says_so(tmp_path):
    disk = Panel.scan(written(simulated_frame(), tmp_path), **ROLES, name="big")
    for name in ("frame", "units", "unit_codes", "column", "balance"):
        with pytest.raises(RowsOnDiskError, match=rf"panel\.{name}.*'big'.*collect"):
            getattr(disk, name)
    assert not hasattr(disk, "no_such_thing")


def test_progress_counts_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("bayes.progress.LEAST_SECONDS", 0.0)
    file = written(simulated_frame(), tmp_path)
    Panel.scan(file, **ROLES)
    assert capsys.readouterr().err == ""
    Panel.scan(file, **ROLES, progress=True)
    assert "Checking rows: 192 of 192 rows" in capsys.readouterr().err


def test_whatever_the_rows_are_both_ways_agree(tmp_path, monkeypatch):
    """Random tables, many of them bad: the same facts, or an error of the same kind."""
    rng = np.random.default_rng(5)
    outcomes = set()
    for k in range(80):
        small_pieces(monkeypatch, int(rng.integers(1, 12)), int(rng.integers(2, 30)))
        frame = simulated_frame(seed=k, n_units=int(rng.integers(2, 10)), n_periods=int(rng.integers(2, 6)), gaps=bool(rng.integers(2)))
        frame = frame[["unit", "year", "region", "first_treated"]].astype({"year": float})
        for _ in range(int(rng.integers(3))):
            column, row = rng.choice(frame.columns), rng.integers(len(frame))
            frame.loc[frame.index[row], column] = frame[column].iloc[rng.integers(len(frame))]
        always = frame.unit == frame.unit.iloc[rng.integers(len(frame))]
        frame.loc[always & bool(rng.integers(2)), "first_treated"] = 1999.0
        found = []
        for read in (Panel.from_frame, lambda f, **r: Panel.scan(written(f, tmp_path, bool(rng.integers(2))), **r)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SetAsideWarning)
                try:
                    found.append(read(frame, **ROLES))
                except BayesError as error:
                    found.append(type(error))
        outcomes.add(found[0] if isinstance(found[0], type) else "panel")
        if isinstance(found[0], type) and isinstance(found[1], type):
            # Where rows have several faults, the one that is named first may differ.
            same = {DuplicateRowError, RegionNotNestedError, TreatmentTimingError}
            assert found[0] is found[1] or set(found) <= same
        else:
            same_facts(found[1], found[0])
    assert {"panel", DuplicateRowError, RegionNotNestedError, TreatmentTimingError} <= outcomes


def test_periods_that_are_dates_and_one_column_in_two_roles_are_refused_as_in_memory(tmp_path):
    frame = simulated_frame()
    dates = frame.assign(year=20010101 + 100_003 * (frame.year - frame.year.min()) + (frame.year == frame.year.max()))
    for table, roles, error in ((dates, {}, NotNumericError), (frame, {"weights": "year"}, SpecificationError)):
        path = tmp_path / "rows.parquet"
        table.to_parquet(path, index=False)
        with pytest.raises(error) as scanned:
            Panel.scan(path, unit="unit", time="year", region="region", **roles)
        with pytest.raises(error) as loaded:
            Panel.from_frame(table, unit="unit", time="year", region="region", **roles)
        assert str(scanned.value).split(":")[0] == str(loaded.value).split(":")[0]


# ── files that differ ───────────────────────────────────────────────────────────────────────────────────────────────


def two_files(frame: pd.DataFrame, folder: Path, **types: str) -> Path:
    """Every second row in a second file, in which columns have other types: neither file is sorted with the other."""
    for j, part in enumerate((frame.iloc[::2], frame.iloc[1::2].astype(types))):
        part.to_parquet(folder / f"part-{j}.parquet", index=False)
    return folder


@pytest.mark.parametrize("other", [{"year": "float64", "y": "float32"}, {"year": "int16"}, {"unit": "category", "region": "category"}])
def test_files_may_write_the_same_numbers_and_labels_in_other_types(tmp_path, monkeypatch, other):
    small_pieces(monkeypatch, 5)
    frame = simulated_frame(gaps=True)
    same_facts(Panel.scan(two_files(frame, tmp_path, **other), **ROLES), Panel.from_frame(frame, **ROLES))


def test_a_weight_that_is_whole_in_the_first_file_only_is_not_cut(tmp_path, monkeypatch):
    small_pieces(monkeypatch, 5)
    frame = simulated_frame().assign(size=lambda f: np.where(np.arange(len(f)) % 2, 2.5, 2.0))
    frame.iloc[::2].astype({"size": "int64"}).to_parquet(tmp_path / "a.parquet", index=False)
    frame.iloc[1::2].to_parquet(tmp_path / "b.parquet", index=False)
    collected = Panel.scan(tmp_path, **ROLES, weights="size").collect()
    assert sorted(collected.frame["size"].unique()) == [2.0, 2.5]


def test_labels_are_written_alike_in_all_files(tmp_path):
    frame = simulated_frame().assign(unit=lambda f: pd.factorize(f.unit)[0])
    with pytest.raises(LabelError, match=r"'unit' holds whole numbers in .*part-0.*text in .*part-1"):
        Panel.scan(two_files(frame, tmp_path, unit="str"), **ROLES)


def test_numbers_too_large_for_their_squares_are_refused_on_disk_too(tmp_path):
    frame = simulated_frame().assign(size=1.0)
    frame.loc[3, "size"] = 1e200
    with pytest.raises(TooLargeError, match="'size'"):
        Panel.scan(written(frame, tmp_path), **ROLES, weights="size")

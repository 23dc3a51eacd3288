"""Thousands of spoiled tables at the door: a panel with every row used or reported, or an error that says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bayes import Panel
from tests.malformed import NASTY, ROLES, frames, named, roles, sound_frame, spoiled

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]


def rows_of(data: Any) -> int:
    if hasattr(data, "collect"):
        data = data.collect()
    return len(next(iter(data.values()))) if isinstance(data, dict) else len(data)


def profile(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=QUIET, database=None)


@profile(600)
@given(made=frames(), given_roles=roles)
def test_spoiled_tables_become_panels_or_named_errors(made, given_roles):
    check_door(made, given_roles)


@pytest.mark.slow
@profile(2500)
@given(made=frames(most=4), given_roles=roles)
def test_thousands_of_spoiled_tables(made, given_roles):
    check_door(made, given_roles)


def check_door(made: Any, given_roles: dict[str, Any]) -> None:
    data, (seed, _) = made
    before = data.copy() if isinstance(data, pd.DataFrame) else None
    panel = named(lambda: Panel.from_frame(data, **given_roles))
    if before is not None:
        assert list(map(str, data.columns)) == list(map(str, before.columns))
        assert data.shape == before.shape
        assert data.index.equals(before.index)
    if panel is None:
        return
    assert rows_of(data) == len(panel.frame) + len(panel.set_aside), "rows in = rows used + rows reported"
    assert (panel.set_aside.reason != "").all()
    check_codes(panel)
    if seed % 3 == 0:
        check_methods(panel)


def check_codes(panel: Panel) -> None:
    assert panel.n_units == len(panel.units) == len(set(panel.units.tolist()))
    assert (panel.unit_codes >= 0).all()
    assert (np.diff(panel.unit_codes) >= 0).all()
    assert ((panel.period_codes >= 0) & (panel.period_codes < panel.n_periods)).all()
    assert ((panel.unit_regions >= 0) & (panel.unit_regions < panel.regions.size)).all()
    assert panel.unit_first_treated.shape == (panel.n_units,)
    assert not np.isnan(panel.unit_first_treated).any()


def check_methods(panel: Panel) -> None:
    assert panel.name in repr(panel) or "\\" in repr(panel)
    assert panel.balance()["rows"].sum() == panel.n_rows
    assert panel.timing().total.sum() == panel.n_units
    named(lambda: panel.describe(["y", "x"]))
    named(lambda: panel.log("gdp"))
    values = named(lambda: panel.column("y"))
    assert values is None or (values.dtype == float and np.isfinite(values).all())
    kept = named(lambda: panel.drop_missing(["y", "x"]))
    assert kept is None or len(kept.frame) + len(kept.set_aside) == len(panel.frame) + len(panel.set_aside)


# ── rows that stay on disk ──────────────────────────────────────────────────────────────────────────────────────────


@profile(100)
@given(made=frames(), given_roles=roles)
def test_spoiled_files_become_scanned_panels_or_named_errors(made, given_roles, tmp_path_factory):
    check_scan(made, given_roles, tmp_path_factory.getbasetemp() / "rows.parquet")


@pytest.mark.slow
@profile(2000)
@given(made=frames(most=4), given_roles=roles)
def test_thousands_of_spoiled_files(made, given_roles, tmp_path_factory):
    check_scan(made, given_roles, tmp_path_factory.getbasetemp() / "rows.parquet")


def check_scan(made: Any, given_roles: dict[str, Any], file: Path) -> None:
    """What is on disk is what the file reads back as; a panel in memory of the same rows has the same rows and units."""
    try:
        pd.DataFrame(made[0]).to_parquet(file, index=False)
        back = pd.read_parquet(file)
    except Exception:  # this table cannot be put into a Parquet file
        return
    disk = named(lambda: Panel.scan(file, **given_roles))
    memory = named(lambda: Panel.from_frame(back, **given_roles))
    if disk is not None:
        assert len(back) == disk.n_rows + disk.set_aside["rows"].sum(), "rows in = rows used + rows reported"
        assert sum(k * n for k, n in disk.units_by_length.items()) == disk.n_rows
        assert disk.units_by_timing["units"].sum() == disk.n_units
        assert memory is not None, "refused in memory, taken from disk"
        assert (disk.n_rows, disk.n_units, disk.periods.tolist()) == (memory.n_rows, memory.n_units, memory.periods.tolist())


def test_the_sound_table_is_a_panel():
    panel = Panel.from_frame(sound_frame(), **ROLES)
    assert (panel.n_units, panel.n_periods, len(panel.set_aside)) == (7, 5, 0)
    assert named(lambda: Panel.from_frame(spoiled(1, ("table polars",)), **ROLES)).n_rows == 35
    assert named(lambda: Panel.from_frame(spoiled(1, ("table switches off",)), "unit", "year", treated="treated")) is None


@profile(150)
@given(name=st.one_of(st.sampled_from(NASTY), st.text(max_size=8), st.integers(), st.none(), st.tuples(st.text(max_size=2), st.integers())))
@example(name=np.nan)
def test_any_name_of_a_column_will_do_or_is_named(name):
    frame = sound_frame().rename(columns={"unit": name})
    panel = named(lambda: Panel.from_frame(frame, **{**ROLES, "unit": name}))
    if panel is not None:
        assert panel.n_units == 7
        repr(panel)

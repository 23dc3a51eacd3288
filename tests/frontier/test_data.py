"""A panel as arrays: padding, centring, order of rows, calendar time, standardised determinants; each against the table row by row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes.frontier.data import frontier_data
from bayes.frontier.model import StochasticFrontier
from bayes.panel import Panel

REGIONS = ("East", "North", "West")


def frontier_frame(seed=3, n_units=18, n_periods=6, inefficiency=0.3, noise=0.1, unit_effect=0.0, step=1) -> pd.DataFrame:
    """Synthetic production panel: Cobb–Douglas with half-normal inefficiency, six units and more in each of three regions."""
    rng = np.random.default_rng(seed)
    unit, period = np.repeat(np.arange(n_units), n_periods), np.tile(np.arange(n_periods), n_units)
    k, l, z = rng.normal(10, 0.5, unit.size), rng.normal(4, 0.5, unit.size), rng.normal(size=unit.size)  # noqa: E741
    u = inefficiency * np.abs(rng.normal(size=unit.size))
    y = 1 + 0.4 * k + 0.5 * l + 0.01 * period + rng.normal(0, noise, unit.size) - u + unit_effect * rng.normal(size=n_units)[unit]
    return pd.DataFrame(
        {
            "unit": [f"u{i:02d}" for i in unit],
            "year": 2001 + step * period,
            "region": np.array(REGIONS)[unit % 3],
            "y": y,
            "k": k,
            "l": l,
            "z": z,
            "w": 100 * rng.gamma(2.0, 1.0, unit.size),
        }
    )


def panel_of(frame: pd.DataFrame, **roles) -> Panel:
    return Panel.from_frame(frame, **({"unit": "unit", "time": "year", "region": "region"} | roles), name="synthetic")


def unbalanced(frame: pd.DataFrame) -> pd.DataFrame:
    """u01 misses two periods in the middle, u02 ends early, u03 starts late, u04 keeps a single row."""
    year, drop = frame.year, np.zeros(len(frame), dtype=bool)
    periods = np.sort(year.unique())
    drop |= (frame.unit == "u01") & year.isin(periods[[2, 3]])
    drop |= (frame.unit == "u02") & (year > periods[3])
    drop |= (frame.unit == "u03") & (year < periods[1])
    drop |= (frame.unit == "u04") & (year != periods[2])
    return frame[~drop].reset_index(drop=True)


def spec_of(**options) -> StochasticFrontier:
    defaults = {"technical_change": "biased", "covariates": ["z"], "determinants": ["w"], "noise_determinants": ["z", "w"]}
    return StochasticFrontier("y", ["k", "l"], **(defaults | options))


FRAME = frontier_frame()


@pytest.fixture(scope="module")
def data():
    return frontier_data(spec_of(), panel_of(unbalanced(FRAME)))


def test_every_row_is_where_its_unit_and_turn_say(data):
    frame = panel_of(unbalanced(FRAME)).frame
    centre = frame[["k", "l", "z"]].mean().to_dict() | {"time": frame.year.mean()}
    assert dict(data.centre) == pytest.approx(centre, rel=1e-14)
    for i, unit in enumerate(data.units):
        rows = frame[frame.unit == unit].sort_values("year")
        n = len(rows)
        np.testing.assert_array_equal(data.mask[i], np.arange(6) < n)
        np.testing.assert_array_equal(data.row[i, :n], rows.index)
        np.testing.assert_array_equal(data.output[i, :n], rows.y)
        np.testing.assert_array_equal(data.period[i, :n], rows.year)
        k, l, z, t = rows.k - centre["k"], rows.l - centre["l"], rows.z - centre["z"], rows.year - centre["time"]  # noqa: E741
        by_hand = [np.ones(n), k, l, k * k / 2, k * l, l * l / 2, t, t * t / 2, k * t, l * t, z]
        np.testing.assert_allclose(data.design[:, i, :n], by_hand, rtol=0, atol=1e-12)
        assert data.regions[data.unit_region[i]] == rows.region.iloc[0]


def test_padding_is_empty_and_repeats_the_last_period(data):
    absent = data.mask == 0
    assert absent.sum() == 2 + 2 + 1 + 5
    for values in (data.output, data.design, data.determinants, data.noise_determinants, *data.values.values()):
        assert (values[..., absent] == 0).all()
    assert (data.row[absent] == -1).all()
    assert (data.period[absent] == np.broadcast_to(data.last_period, data.period.shape)[absent]).all()
    assert (data.since_last[absent] == 0).all()


def test_sizes(data):
    frame = panel_of(unbalanced(FRAME)).frame
    assert (data.n_units, data.n_rows, data.n_regions, data.is_full) == (18, len(frame), 3, False)
    np.testing.assert_array_equal(data.rows_per_region, frame.groupby("region").size())
    assert data.term_names[:4] == ("intercept", "k", "l", "k:k")
    full = frontier_data(spec_of(), panel_of(FRAME))
    assert full.is_full
    assert full.n_rows == len(FRAME)


def test_rows_of_the_panel_come_back_in_its_order(data):
    frame = panel_of(unbalanced(FRAME)).frame
    np.testing.assert_array_equal(data.in_rows(data.output), frame.y)
    np.testing.assert_array_equal(data.in_rows(np.stack([data.output, 2 * data.output]))[1], 2 * frame.y)
    np.testing.assert_array_equal(data.in_rows(data.period), frame.year)


def test_order_of_the_table_does_not_matter(data):
    shuffled = unbalanced(FRAME).sample(frac=1.0, random_state=8)
    other = frontier_data(spec_of(), panel_of(shuffled))
    for name in ("output", "design", "mask", "period", "unit_region", "row", "determinants"):
        np.testing.assert_array_equal(getattr(other, name), getattr(data, name))


def test_numbered_units_and_a_unit_whose_label_sorts_oddly():
    frame = FRAME.assign(unit=100 - FRAME.unit.str[1:].astype(int))
    data = frontier_data(spec_of(), panel_of(frame))
    np.testing.assert_array_equal(data.units, np.arange(83, 101))
    np.testing.assert_array_equal(data.output[-1], frame[frame.unit == 100].y)
    assert data.regions[data.unit_region[-1]] == "East"


def test_determinants_are_standardised_over_rows(data):
    frame = panel_of(unbalanced(FRAME)).frame
    np.testing.assert_allclose(data.determinant_centre, [frame.w.mean()])
    np.testing.assert_allclose(data.determinant_scale, [frame.w.std(ddof=0)])
    np.testing.assert_allclose(data.noise_determinant_scale, frame[["z", "w"]].std(ddof=0))
    present = data.mask > 0
    for z in (*data.determinants, *data.noise_determinants):
        assert z[present].mean() == pytest.approx(0, abs=1e-13)
        assert z[present].std() == pytest.approx(1, rel=1e-13)
    np.testing.assert_allclose(data.in_rows(data.determinants[0]) * data.determinant_scale + data.determinant_centre, frame.w, rtol=1e-13)


def test_no_determinants_are_empty_arrays():
    data = frontier_data(spec_of(determinants=(), noise_determinants=()), panel_of(FRAME))
    assert data.determinants.shape == data.noise_determinants.shape == (0, 18, 6)
    assert data.determinant_scale.shape == (0,)


@pytest.mark.parametrize("step", [1, 2, 5])
def test_time_runs_in_calendar_periods(step):
    """Gaps and steps keep their distance: two periods of a panel that is five years apart are five years apart."""
    data = frontier_data(spec_of(), panel_of(unbalanced(frontier_frame(step=step))))
    whole, gap, early, late = (int(np.flatnonzero(data.units == u)[0]) for u in ("u00", "u01", "u02", "u03"))
    np.testing.assert_array_equal(data.since_first[whole], 1 + step * np.arange(6))
    np.testing.assert_array_equal(data.since_last[whole], step * np.arange(-5, 1))
    np.testing.assert_array_equal(data.since_last[gap, :4], step * np.array([-5, -4, -1, 0]))
    np.testing.assert_array_equal(data.since_last[early, :4], step * np.arange(-3, 1))
    np.testing.assert_array_equal(data.since_first[late, :5], 1 + step * np.arange(1, 6))


def test_a_panel_without_regions_is_one_region():
    data = frontier_data(spec_of(), panel_of(FRAME, region=None))
    assert data.n_regions == 1
    assert (data.unit_region == 0).all()
    assert data.rows_per_region.tolist() == [len(FRAME)]


def test_without_technical_change_time_is_no_term():
    data = frontier_data(spec_of(technical_change="none", covariates=()), panel_of(FRAME))
    assert data.term_names == ("intercept", "k", "l", "k:k", "k:l", "l:l")

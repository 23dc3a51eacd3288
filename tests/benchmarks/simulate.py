"""The synthetic panel of all benchmarks: prefecture-like units over eleven years, two cohorts, five regions, AR(1) errors.

285 units × 11 years (2009–2019), 57 units in each region. Cohorts 2013 (60 units in all) and 2016 (40 units) are spread unevenly: the
shares of a region rise and fall from 8 to 16 and from 12 to 4 of 57 units. That makes 7 + 4 event times in five regions, 55 cells, which
with ten period effects and the outcome are 66 columns. Larger panels have more units of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

PERIODS = np.arange(2009, 2020)
COHORTS = (2013, 2016)
REGIONS = ("central", "east", "north", "south", "west")
SHARES = np.array([[8, 12], [10, 10], [12, 8], [14, 6], [16, 4]]) / 57
"""Share of the units of each region in each cohort."""

UNITS = 285
AUTOCORRELATION, NOISE_SD, UNIT_EFFECT_SD = 0.5, 0.10, 0.05
REGION_EFFECTS = (0.04, 0.06, 0.08, 0.10, 0.12)
DRIFT = 0.005

ROLES = {"unit": "unit", "time": "year", "region": "region", "first_treated": "first_treated"}


def columns(n_units: int = UNITS, seed: int = 7, first_unit: int = 0) -> dict[str, Any]:
    """Columns of a panel sorted by unit and year; first_treated is NaN for units never treated.

    y = unit + year + D (effect of the region + .005 per year since + the unit's own deviation, sd .05) + AR(1) error (ρ = .5, sd .1).
    """
    rng = np.random.default_rng([seed, first_unit])
    place = first_unit + np.arange(n_units)
    region = place % len(REGIONS)
    rank = (place // len(REGIONS)) % 57 / 57
    bounds = np.cumsum(SHARES, axis=1)[region]
    cohort = np.where(rank < bounds[:, 0] - 1e-9, COHORTS[0], np.where(rank < bounds[:, 1] - 1e-9, COHORTS[1], np.nan))
    since = PERIODS - cohort[:, None]
    own = np.array(REGION_EFFECTS)[region] + rng.normal(0, UNIT_EFFECT_SD, n_units)
    effect = np.where(since >= 0, own[:, None] + DRIFT * np.nan_to_num(since), 0.0)
    year_effect = 0.03 * (PERIODS - PERIODS[0]) + 0.05 * np.sin(PERIODS)
    y = rng.normal(5, 1, n_units)[:, None] + year_effect + effect + _autoregressive(rng, n_units)
    return {
        "unit": np.repeat(place, PERIODS.size).astype(np.int32),
        "year": np.tile(PERIODS, n_units).astype(np.int16),
        "region": np.repeat(region, PERIODS.size).astype(np.int8),
        "first_treated": np.repeat(cohort, PERIODS.size),
        "y": y.ravel(),
    }


def _autoregressive(rng: np.random.Generator, n_units: int) -> np.ndarray:
    noise = rng.normal(0, NOISE_SD, (n_units, PERIODS.size))
    for t in range(1, PERIODS.size):
        noise[:, t] = AUTOCORRELATION * noise[:, t - 1] + np.sqrt(1 - AUTOCORRELATION**2) * noise[:, t]
    return noise


def panel(n_units: int = UNITS, seed: int = 7):
    """The panel as :class:`bayes.Panel`."""
    import pandas as pd

    from bayes.panel import Panel

    data = columns(n_units, seed)
    data["region"] = np.array(REGIONS, dtype=object)[data["region"]]
    return Panel.from_frame(pd.DataFrame(data), name=f"synthetic {n_units} × {PERIODS.size}", **ROLES)


def model(**options: Any):
    """The default specification on the synthetic outcome."""
    from bayes.did.model import StaggeredDiD

    return StaggeredDiD("y", **options)


def write_parquet(path: str, n_units: int, seed: int = 7, units_per_group: int = 57_000) -> int:
    """Write the panel piece by piece, sorted by unit and year; returns the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer, rows = None, 0
    for piece in _pieces(n_units, seed, units_per_group):
        table = pa.table({**piece, "region": pa.DictionaryArray.from_arrays(piece["region"], list(REGIONS))})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
        rows += table.num_rows
    writer.close()
    return rows


def _pieces(n_units: int, seed: int, size: int) -> Iterator[dict[str, Any]]:
    for first in range(0, n_units, size):
        yield columns(min(size, n_units - first), seed, first)


def production_panel(units: int, periods: int, regions: int, seed: int = 0):
    """SYNTHETIC production panel, made column by column: a million rows in a second. Columns y, x0, x1 in logs."""
    from bayes import Panel

    rng = np.random.default_rng(seed)
    unit, t = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    region = unit % regions
    beta = np.array([1.0, 0.5, 0.4]) + 0.1 * rng.normal(size=(regions, 3))
    x = rng.normal(size=(unit.size, 2))
    u = np.abs(0.3 * rng.normal(size=unit.size))
    y = beta[region, 0] + (x * beta[region, 1:]).sum(axis=1) + 0.01 * t + 0.1 * rng.normal(size=unit.size) - u
    frame = pd.DataFrame({"unit": unit, "year": 2000 + t, "region": region, "y": y, "x0": x[:, 0], "x1": x[:, 1]})
    return Panel.from_frame(frame, "unit", "year", "region", name="synthetic")

"""Small simulated panels for tests. They are synthetic, say so in their name, and appear nowhere outside tests."""

from __future__ import annotations

import numpy as np
import pandas as pd

REGIONS = ("Centre", "North", "South")
EFFECTS = {"Centre": 0.2, "North": 0.5, "South": 0.8}
"""True effect of the treatment in the first treated period, by region; it grows by a tenth of itself each period."""

ROLES = {"unit": "unit", "time": "year", "region": "region", "first_treated": "first_treated", "weights": "population"}


def simulated_frame(
    seed: int = 1,
    n_units: int = 24,
    n_periods: int = 8,
    autocorrelation: float = 0.4,
    noise: float = 0.1,
    slope: float = 0.5,
    gaps: bool = False,
) -> pd.DataFrame:
    """A synthetic staggered panel: y = unit + period + slope · x + region's effect + AR(1) noise.

    Years 2001 … 2000 + n_periods; three regions; in every region units in turn are treated from the middle of the span, from two
    periods later, or never. ``true_effect`` holds the effect of each row, ``population`` a positive weight that is constant within a unit.
    With ``gaps`` about a sixth of the rows is missing, inside and at the ends, every unit keeping its first row and at least three rows.
    """
    rng = np.random.default_rng(seed)
    unit, year = np.repeat(np.arange(n_units), n_periods), np.tile(2001 + np.arange(n_periods), n_units)
    region = np.array(REGIONS)[unit % 3]
    middle = 2001 + n_periods // 2 - 1
    first = np.array([middle, middle + 2, np.nan])[(unit // 3) % 3]
    noise_path = np.empty((n_units, n_periods))
    noise_path[:, 0] = rng.normal(0, noise, n_units)
    for t in range(1, n_periods):
        shock = rng.normal(0, noise * np.sqrt(1 - autocorrelation**2), n_units)
        noise_path[:, t] = autocorrelation * noise_path[:, t - 1] + shock
    x = rng.normal(size=unit.size)
    event_time = np.where(np.isnan(first), -1, year - first)
    effect = np.where(event_time >= 0, pd.Series(region).map(EFFECTS) * (1 + 0.1 * event_time), 0.0)
    y = rng.normal(0, 1, n_units)[unit] + rng.normal(0, 0.3, n_periods)[year - 2001] + slope * x + effect + noise_path.ravel()
    frame = pd.DataFrame(
        {
            "unit": [f"u{i:03d}" for i in unit],
            "year": year,
            "region": region,
            "first_treated": first,
            "treated": (event_time >= 0).astype(int),
            "y": y,
            "x": x,
            "population": rng.integers(1, 20, n_units)[unit] * 1000.0,
            "true_effect": effect,
        }
    )
    return _with_gaps(frame, rng) if gaps else frame


def _with_gaps(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    row_of_unit = frame.groupby("unit").cumcount()
    keep = (rng.random(len(frame)) > 1 / 6) | (row_of_unit < 3)
    keep &= ~((frame.unit == "u001") & frame.year.isin([2002, 2003]))
    keep |= frame.unit.eq("u001") & frame.year.ge(2004)
    return frame[keep].reset_index(drop=True)

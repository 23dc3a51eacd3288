"""Synthetic panels that grow, and a generator of zeros, for the tests of growth regressions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes.panel import Panel

UNITS, YEARS = 25, 5


def frame_of(seed: int = 0, units: int = UNITS, years: int = YEARS, slope: float = -0.05) -> pd.DataFrame:
    """Synthetic: ln y moves by slope · ln y + 0.02 · z + noise a year; four regions, the last with one unit."""
    rng = np.random.default_rng(seed)
    log_y, z = rng.normal(1, 0.8, units), rng.normal(size=units)
    region = np.r_[np.arange(units - 1) % 3, 3]
    rows = []
    for t in range(years):
        rows += [(f"u{i:02d}", 2000 + t, "ABCD"[region[i]], np.exp(log_y[i]), z[i] + 0.1 * t) for i in range(units)]
        log_y = log_y + slope * log_y + 0.02 * z + 0.01 * region + rng.normal(0, 0.03, units)
    return pd.DataFrame(rows, columns=["unit", "year", "region", "y", "z"])


def panel_of(frame: pd.DataFrame) -> Panel:
    return Panel.from_frame(frame, unit="unit", time="year", region="region", name="synthetic")


class Silent:
    """A generator of zeros: exact draws become conditional means."""

    @staticmethod
    def standard_normal(shape):
        return np.zeros(shape)

"""The data that every peer gets: the project's data sets, and panels and cross-sections with a known truth (SYNTHETIC, fixed seeds)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).resolve().parents[2] / "data"
UNITS, PERIODS, AUTOCORRELATION = 40, 10, 0.6
ROWS, ELASTICITY, NOISE_SD, INEFFICIENCY_SD = 200, 0.6, 0.15, 0.3


def castle() -> pd.DataFrame:
    """Log homicide in 50 states, unweighted."""
    frame = pd.read_csv(DATA / "castle_doctrine" / "panel.csv")
    unit = frame["state"].astype("category").cat.codes + 1
    cohort = frame["law_year"].fillna(0).astype(int)
    return pd.DataFrame({"panel": 0, "unit": unit, "time": frame["year"], "cohort": cohort, "y": frame["log_homicide"]})


def staggered(seed: int) -> tuple[pd.DataFrame, float]:
    """40 units × 10 periods, cohorts in periods 4 and 6, half never treated; AR(1) errors of sd 1; effects differ by unit and grow."""
    rng = np.random.default_rng(seed)
    first = np.array([4.0, 6.0, np.inf, np.inf])[np.arange(UNITS) % 4]
    event = np.arange(PERIODS) - first[:, None]
    effect = np.where(event >= 0, 0.5 + 0.1 * np.maximum(event, 0) + 0.2 * rng.normal(size=(UNITS, 1)), 0.0)
    error = rng.normal(size=(UNITS, PERIODS))
    for t in range(1, PERIODS):
        error[:, t] = AUTOCORRELATION * error[:, t - 1] + np.sqrt(1 - AUTOCORRELATION**2) * error[:, t]
    y = 2 * rng.normal(size=(UNITS, 1)) + rng.normal(size=PERIODS) + effect + error
    cohort = np.where(np.isinf(first), 0, 2001 + first).astype(int)
    columns = {
        "panel": seed, "unit": np.repeat(np.arange(UNITS) + 1, PERIODS), "time": np.tile(2001 + np.arange(PERIODS), UNITS),
        "cohort": np.repeat(cohort, PERIODS), "y": y.ravel(),
    }  # fmt: skip
    return pd.DataFrame(columns), float(effect[event >= 0].mean())


def us_states() -> pd.DataFrame:
    """Munnell's production function in logs; 48 states × 17 years as one cross-section."""
    frame = pd.read_csv(DATA / "us_states_production" / "panel.csv")
    logs = {name: np.log(frame[column]) for name, column in {"y": "gsp", "x1": "emp", "x2": "pcap", "x3": "pc"}.items()}
    return pd.DataFrame({"panel": 0, **logs, "x4": frame["unemp"]})


def cross_section(seed: int) -> tuple[pd.DataFrame, float]:
    """200 firms, Cobb–Douglas with two inputs, half-normal inefficiency twice as spread as noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, 2)) * 0.6
    error = NOISE_SD * rng.normal(size=ROWS) - INEFFICIENCY_SD * np.abs(rng.normal(size=ROWS))
    y = 1.0 + x @ np.array([ELASTICITY, 0.3]) + error
    return pd.DataFrame({"panel": seed, "y": y, "x1": x[:, 0], "x2": x[:, 1]}), ELASTICITY


def us_quantities() -> pd.DataFrame:
    """Levels of three inputs and one output."""
    frame = pd.read_csv(DATA / "us_states_production" / "panel.csv")
    return frame.assign(panel=0)[["panel", "state", "year", "pcap", "pc", "emp", "gsp"]]


def simulated(make: Callable[[int], tuple[pd.DataFrame, float]], number: int) -> tuple[pd.DataFrame, dict[int, float]]:
    """``number`` data sets below one another with seeds from 1 on, and the truth of each."""
    made = {seed: make(seed) for seed in range(1, number + 1)}
    return pd.concat([frame for frame, _ in made.values()]), {seed: truth for seed, (_, truth) in made.items()}

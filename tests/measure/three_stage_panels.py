"""SYNTHETIC panels in which an environment and luck add to the inputs of units whose own inefficiency is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

import bayes


def three_stage_panel(
    seed: int = 0, units: int = 30, periods: int = 6, burden: float = 1.0, noise: float = 0.15, sigma_u: float = 1.0, drop: int = 0
) -> tuple[bayes.Panel, np.ndarray]:
    """x_k = best_k + burden·(z − min z) + v + u with best_0·best_1 = y²; the panel, and the mean of best/(best + u) over inputs.

    ``drop`` rows are left out, so that the panel has gaps.
    """
    rng = np.random.default_rng(seed)
    n = units * periods
    unit, t = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    y, z = rng.uniform(2, 6, n), rng.normal(size=units)[unit] + 0.3 * rng.normal(size=n)
    mix = rng.uniform(0.6, 1.6, n)
    best, u = np.column_stack([y * mix, y / mix]), sigma_u * np.abs(rng.normal(size=(n, 2)))
    x = best + burden * (z - z.min())[:, None] + noise * rng.normal(size=(n, 2)) + u
    frame = pd.DataFrame(
        {
            "unit": [f"u{i:02d}" for i in unit], "year": 2000 + t, "region": [f"r{i % 3}" for i in unit],
            "y": y, "z": z, "x0": np.maximum(x[:, 0], 0.05), "x1": np.maximum(x[:, 1], 0.05),
        }
    )  # fmt: skip
    kept = np.sort(rng.permutation(n)[drop:])
    truth = (best / (best + u)).mean(axis=1)
    return bayes.Panel.from_frame(frame.iloc[kept], "unit", "year", region="region", name="synthetic"), truth[kept]

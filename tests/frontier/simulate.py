"""SYNTHETIC frontier panels for tests: regions with their own technology and scale of inefficiency, drawn from the model itself."""

from __future__ import annotations

import numpy as np
import pandas as pd

import bayes


def frontier_panel(
    units: int = 12, periods: int = 6, regions: int = 2, model: str = "pooled", sign: int = 1, seed: int = 0,
    sigma_u: float = 0.4, sigma_v: float = 0.15, sigma_w: float = 0.2,
) -> bayes.Panel:  # fmt: skip
    """Columns y, x0, x1 (logs), z (a determinant without effect) and u (the inefficiency that was drawn)."""
    rng = np.random.default_rng(seed)
    beta = np.array([1.0, 0.5, 0.4]) + 0.1 * rng.normal(size=(regions, 3))
    scale = sigma_u * np.exp(0.3 * rng.normal(size=regions))
    rows = []
    for i in range(units):
        r = i % regions
        x = 0.8 * rng.normal() + 0.5 * rng.normal(size=(periods, 2))
        u = scale[r] * np.abs(rng.normal(size=periods))
        if model in ("time-invariant", "bc92", "kumbhakar-1990"):
            u = np.full(periods, u[0])
        w = sigma_w * rng.normal() if model in ("true-random-effects", "four-component") else 0.0
        y = beta[r, 0] + x @ beta[r, 1:] + w + sigma_v * rng.normal(size=periods) - sign * u + 0.01 * np.arange(periods)
        z = rng.normal(size=periods)
        rows += [(f"u{i:03d}", 2000 + t, f"r{r}", y[t], *x[t], z[t], u[t]) for t in range(periods)]
    table = pd.DataFrame(rows, columns=["unit", "year", "region", "y", "x0", "x1", "z", "u"])
    return bayes.Panel.from_frame(table, "unit", "year", "region", name="synthetic")

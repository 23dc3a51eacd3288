"""Small SYNTHETIC panels with known paths, for tests and the recovery study only."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes import Panel

ROLES = {"unit": "unit", "time": "year", "region": "region", "first_treated": "first_treated"}


def mechanism_frame(
    seed: int = 1, n_units: int = 30, n_periods: int = 8, n_regions: int = 3, a=(0.6, -0.3), b=(0.8, 0.5), direct: float = 0.4,
    spread: float = 0.15, unit_sd: float = 0.1, rho: float = 0.4, noise: float = 0.3, confounding: float = 0.0, gaps: bool = False,
    exposure: bool = False,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:  # fmt: skip
    """Outcome ``y``, mediators ``m1``, ``m2`` … of a staggered treatment, and the true paths by region: a, b (mediators, R), direct (R,).

    Errors are AR(1) with standard deviation ``noise``; units deviate by ``unit_sd`` in every effect of the treatment; paths vary over
    regions by ``spread``. ``confounding`` is the correlation of the errors of ``m1`` and ``y``: zero is sequential ignorability. ``x`` is a
    covariate of every equation that the treatment does not move. With ``exposure`` the column ``d``, continuous and going with ``x``, takes
    the treatment's place. With ``gaps`` about a sixth of the rows is missing.
    """
    rng = np.random.default_rng(seed)
    k, n = len(a), n_units
    unit, t = np.repeat(np.arange(n), n_periods), np.tile(np.arange(n_periods), n)
    region = np.arange(n) % n_regions
    first = np.array([3.0, 5.0, np.inf])[(np.arange(n) // n_regions) % 3]
    treated, own = (t >= first[unit]).astype(float), np.random.default_rng([seed, 1])
    paths = {
        "a": np.array(a)[:, None] + spread * rng.normal(size=(k, n_regions)),
        "b": np.array(b)[:, None] + spread * rng.normal(size=(k, n_regions)),
        "direct": direct + spread * rng.normal(size=n_regions),
    }
    x = rng.normal(size=unit.size)
    if exposure:
        treated = own.normal(size=n)[unit] + 0.1 * t + 0.3 * x + _autoregression(own, n, n_periods, 0.5, 0.6)
    errors = [_autoregression(rng, n, n_periods, rho, noise) for _ in range(k + 1)]
    errors[-1] = confounding * errors[0] + np.sqrt(1 - confounding**2) * errors[-1]
    columns = {}
    y = np.zeros(unit.size)
    for j, name in enumerate([*(f"m{j + 1}" for j in range(k)), "y"]):
        own = paths["a"][j] if j < k else paths["direct"]
        deviation = unit_sd * rng.normal(size=n)
        base = rng.normal(size=n)[unit] + rng.normal(0, 0.5, n_periods)[t] + 0.3 * x + errors[j]
        columns[name] = base + (own[region] + deviation)[unit] * treated
        if j < k:
            y = y + paths["b"][j][region][unit] * columns[name]
    columns["y"] = columns["y"] + y
    frame = pd.DataFrame(
        {
            "unit": [f"u{i:03d}" for i in unit], "year": 2001 + t, "region": np.array([f"R{j}" for j in range(n_regions)])[region[unit]],
            "first_treated": np.where(np.isinf(first), np.nan, 2001 + first)[unit], "x": x, **columns,
            **({"d": treated} if exposure else {}),
        }
    )  # fmt: skip
    if gaps:
        keep = (rng.random(len(frame)) > 1 / 6) | (t < 3)
        frame = frame[keep].reset_index(drop=True)
    return frame, paths


def panel_of(frame: pd.DataFrame, **roles) -> Panel:
    return Panel.from_frame(frame, name="synthetic", **{**ROLES, **roles})


def _autoregression(rng: np.random.Generator, n: int, periods: int, rho: float, sd: float) -> np.ndarray:
    e = np.empty((n, periods))
    e[:, 0] = rng.normal(0, sd, n)
    for t in range(1, periods):
        e[:, t] = rho * e[:, t - 1] + rng.normal(0, sd * np.sqrt(1 - rho**2), n)
    return e.ravel()

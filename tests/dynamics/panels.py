"""Small SYNTHETIC panels of two series that move each other, with known lags, for tests and the recovery study only."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes import Panel

ROLES = {"unit": "unit", "time": "year", "region": "region"}
LAG = ((0.6, 0.1), (0.2, 0.5))
"""Mean over regions of A: the series moved (rows) by the series that moves it, (f, s)."""


def pair_frame(
    seed: int = 1, n_units: int = 30, n_periods: int = 11, n_regions: int = 3, lag=LAG, spread: float = 0.05, unit_sd=(0.5, 0.3),
    innovation_sd=(0.3, 0.2), correlation: float = 0.3, gaps: bool = False, burn: int = 30,
) -> tuple[pd.DataFrame, np.ndarray]:  # fmt: skip
    """Series ``f`` and ``s``, covariate ``x`` that moves both, and the true A by region, shape (R, 2, 2).

    The process starts ``burn`` periods before the panel, so that the first observation goes with the unit effects. Unit effects and
    innovations of the two series have the given ``correlation``; lags vary over regions by ``spread``. With ``gaps`` a tenth of the rows
    is missing.
    """
    rng = np.random.default_rng(seed)
    region = np.arange(n_units) % n_regions
    a = np.asarray(lag) + spread * rng.normal(size=(n_regions, 2, 2))
    mixing = np.array([[1.0, 0.0], [correlation, np.sqrt(1 - correlation**2)]])
    unit = rng.normal(size=(n_units, 2)) @ mixing.T * unit_sd
    z, rows = np.zeros((n_units, 2)), []
    for t in range(-burn, n_periods):
        x = 0.5 * unit[:, 0] + rng.normal(size=n_units)
        period = rng.normal(0, 0.2, 2)
        z = np.einsum("nij,nj->ni", a[region], z) + unit + period + 0.1 * x[:, None]
        z = z + rng.normal(size=(n_units, 2)) @ mixing.T * innovation_sd
        if t >= 0:
            rows.append(pd.DataFrame({"i": np.arange(n_units), "year": 2008 + t, "x": x, "f": 3 + z[:, 0], "s": 10 + z[:, 1]}))
    frame = pd.concat(rows).sort_values(["i", "year"], ignore_index=True)
    frame = frame.assign(unit=[f"u{i:02d}" for i in frame.i], region=[f"R{region[i]}" for i in frame.i]).drop(columns="i")
    if gaps:
        frame = frame[rng.random(len(frame)) > 0.1].reset_index(drop=True)
    return frame, a


def panel_of(frame: pd.DataFrame, **roles) -> Panel:
    return Panel.from_frame(frame, name="synthetic", **{**ROLES, **roles})

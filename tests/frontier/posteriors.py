"""Small synthetic panels and made-up posterior draws, for tests of what is computed from draws."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes.frontier.data import FrontierData, frontier_data
from bayes.frontier.model import StochasticFrontier
from bayes.frontier.support import INEFFICIENCIES, MODELS, determinants_of
from bayes.panel import Panel

REGIONS = ("East", "North", "West")


def synthetic_frame(seed: int = 5, n_units: int = 9, n_periods: int = 5, gaps: bool = False) -> pd.DataFrame:
    """A synthetic panel: logs of output y and inputs k, l; determinants z (a number) and d (0/1). With ``gaps`` 7 rows are missing."""
    rng = np.random.default_rng(seed)
    unit, period = np.repeat(np.arange(n_units), n_periods), np.tile(np.arange(n_periods), n_units)
    k, labour = rng.normal(10, 0.5, unit.size) + 0.03 * period, rng.normal(4, 0.5, unit.size)
    y = 1 + 0.4 * k + 0.5 * labour + 0.02 * period + rng.normal(0, 0.3, unit.size)
    frame = pd.DataFrame(
        {
            "unit": [f"u{i:03d}" for i in unit],
            "year": 2001 + period,
            "region": np.array(REGIONS)[unit % 3],
            "y": y,
            "k": k,
            "l": labour,
            "c": rng.normal(size=unit.size),
            "z": 3 + 2 * rng.normal(size=unit.size),
            "d": (unit % 2 == 0) * (period >= 2) * 1.0,
        }
    )
    if not gaps:
        return frame
    drop = frame.unit.eq("u001") & frame.year.isin([2002, 2003])  # a hole of two years
    drop |= frame.unit.eq("u002") & frame.year.gt(2003)  # ends early
    drop |= frame.unit.eq("u003") & frame.year.eq(2001)  # starts late
    drop |= frame.unit.eq("u004") & frame.year.isin([2002, 2004])  # every second year
    return frame[~drop].reset_index(drop=True)


def panel_of(frame: pd.DataFrame) -> Panel:
    return Panel.from_frame(frame, unit="unit", time="year", region="region", name="synthetic")


def spec_of(**options) -> StochasticFrontier:
    defaults = {"model": "pooled", "technical_change": "biased"}
    return StochasticFrontier("y", ["k", "l"], **(defaults | options))


def data_of(spec: StochasticFrontier, gaps: bool = False, **options) -> FrontierData:
    return frontier_data(spec, panel_of(synthetic_frame(gaps=gaps, **options)))


def made_up_draws(spec: StochasticFrontier, data: FrontierData, n_draws: int = 3, seed: int = 7) -> dict[str, np.ndarray]:
    """Parameters as a posterior would give them: shapes of :data:`bayes.frontier.likelihood.Parameters`, values of a plausible size."""
    rng = np.random.default_rng(seed)
    n_regions = data.n_regions
    first = {"intercept": data.output[data.mask > 0].mean(), "k": 0.5, "l": 0.6, "time": 0.02}
    centre = np.array([first.get(name, 0.0) for name in data.term_names])
    spread = np.array([0.1 if name in first and name != "time" else 0.03 if "time" not in name else 0.01 for name in data.term_names])

    def scale(size: float, *shape: int) -> np.ndarray:
        return size * np.exp(0.2 * rng.normal(size=(n_draws, *shape)))

    p = {
        "technology": centre + spread * rng.normal(size=(n_draws, n_regions, centre.size)),
        "noise_scale": scale(0.2, n_regions),
        "inefficiency_scale": scale(0.3, n_regions),
        "location_ratio": rng.normal(0.3, 0.5, n_draws),
        "shape": scale(1.4),
        "degrees_of_freedom": 3 + scale(3),
        "decay": rng.normal(0.05, 0.02, n_draws),
        "path": rng.normal([0.1, -0.02], [0.05, 0.01], (n_draws, 2)),
        "determinant": rng.normal(0.2, 0.1, (n_draws, len(spec.determinants))),
        "noise_determinant": rng.normal(-0.1, 0.05, (n_draws, len(spec.noise_determinants))),
        "unit_effect_sd": scale(0.2),
        "persistent_scale": scale(0.25),
        "unit_effect": rng.normal(-0.1 * spec.sign, 0.2, (n_draws, data.n_units)),
    }
    return p


def every_specification(**options) -> list[StochasticFrontier]:
    """Each supported panel form × inefficiency × place of determinants (and none), production; and Student-t noise."""
    out = []
    for model in MODELS:
        for inefficiency in INEFFICIENCIES:
            places = determinants_of(model, inefficiency)
            out += [spec_of(model=model, inefficiency=inefficiency, **options) for _ in places[:1]]
            out += [spec_of(model=model, inefficiency=inefficiency, determinants=["z", "d"], determinants_in=w, **options) for w in places]
    out += [spec_of(inefficiency=i, noise="student-t", **options) for i in ("half-normal", "exponential")]
    return out


def name_of(spec: StochasticFrontier) -> str:
    return "-".join(
        filter(None, [spec.model, spec.inefficiency, spec.determinants_in * bool(spec.determinants), spec.noise[:9], spec.kind])
    )

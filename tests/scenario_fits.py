"""SYNTHETIC pairs of frontier fits, of output and of emission, for tests of scenarios. Posteriors are made up; no number is a finding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayes.frontier.fit import FrontierFit
from bayes.panel import Panel
from tests.frontier.posteriors import panel_of, synthetic_frame
from tests.reporting.frontier_fakes import fabricated_frontier

REACHES = {
    "Downstream": ("Shanghai", "Jiangsu", "Zhejiang", "Anhui"),
    "Midstream": ("Jiangxi", "Hubei", "Hunan"),
    "Upstream": ("Chongqing", "Sichuan", "Guizhou", "Yunnan"),
}
"""The eleven provinces of the Yangtze River Economic Belt."""
EMISSION = "log_emission"


def pair_frame(seed: int = 5, n_units: int = 9, n_periods: int = 5, gaps: bool = False) -> pd.DataFrame:
    """:func:`tests.frontier.posteriors.synthetic_frame` with a column of log emission."""
    frame = synthetic_frame(seed, n_units, n_periods, gaps)
    noise = np.random.default_rng(seed + 1).normal(0, 0.3, len(frame))
    return frame.assign(**{EMISSION: 2 + 0.4 * frame.k + 0.2 * frame.l + noise})


def province_frame(seed: int = 5, n_periods: int = 5) -> pd.DataFrame:
    """The same rows under the names of the provinces and of their reaches."""
    frame = pair_frame(seed, 11, n_periods)
    names = [(unit, reach) for reach, units in REACHES.items() for unit in units]
    code = frame.unit.str[1:].astype(int)
    return frame.assign(unit=[names[i][0] for i in code], region=[names[i][1] for i in code])


def fit_of(panel: Panel, column: str, **options: Any) -> FrontierFit:
    """A made-up fit of ``column`` on inputs k and l."""
    frame = panel.frame.assign(y=panel.frame[column])
    fit = fabricated_frontier(replace(panel, frame=frame), **options)
    named = fit.panel.frame.rename(columns={"y": column})
    return replace(fit, model=replace(fit.model, output=column), panel=replace(fit.panel, frame=named))


def pair(frame: pd.DataFrame | None = None, output: dict[str, Any] | None = None, emission: dict[str, Any] | None = None, **both: Any):
    """A production fit of y and a cost fit of log emission on one panel; options of each, and of both."""
    panel = panel_of(pair_frame() if frame is None else frame)
    both = {"chains": 2, "draws": 30} | both
    return (
        fit_of(panel, "y", **(both | {"seed": 3} | (output or {}))),
        fit_of(panel, EMISSION, **(both | {"seed": 4, "kind": "cost", "model": "pooled"} | (emission or {}))),
    )

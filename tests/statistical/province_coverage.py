"""Does the mediation with a continuous exposure recover what the simulated provinces were drawn with? One fit a seed.

``python -m tests.statistical.province_coverage 40`` prints coverage of 90 % intervals, bias and root mean squared error by estimand.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd

from bayes import Mediation, Panel
from bayes.errors import BayesWarning
from tests.generators import generator

KEYS = ["estimand", "term", "region"]
SPECIFICATION = {"outcome": "log_gdp_per_head", "mediators": ["secondary_share", "tertiary_share"], "exposure": "log_innovation"}


def panel_of(frame: pd.DataFrame) -> Panel:
    panel = Panel.from_frame(frame, "province", "year", "region", name="synthetic provinces")
    return panel.log("gdp_per_head", "innovation", "innovation_capacity", "economic_vitality")


def recovered(seed: int, draws: int = 250, tune: int = 200) -> pd.DataFrame:
    """Every effect with a truth: estimate, truth and whether the 90 % interval holds it."""
    frame, truth = generator("simulated_provinces").simulate(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesWarning)
        fit = Mediation(**SPECIFICATION).fit(panel_of(frame), seed=seed, draws=draws, tune=tune, chains=2, progress=False)
        found = fit.effects("all", level=0.9) + fit.effects("region", level=0.9)
    both = found.frame[[*KEYS, "estimate", "lower", "upper"]].merge(truth[[*KEYS, "estimate"]], on=KEYS, suffixes=("", "_true"))
    return both.assign(covered=both["estimate_true"].between(both["lower"], both["upper"]), seed=seed)


def main(first: int = 7000) -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    runs = pd.concat([recovered(seed) for seed in range(first, first + count)], ignore_index=True)
    runs = runs.assign(error=runs["estimate"] - runs["estimate_true"], overall=np.where(runs["region"] == "", "overall", "by region"))
    table = runs.groupby(["estimand", "overall"]).agg(
        coverage=("covered", "mean"), bias=("error", "mean"), rmse=("error", lambda e: np.sqrt((e**2).mean()))
    )
    print(table.round(4).to_string())


if __name__ == "__main__":
    main()

"""Recovery of known lags on SYNTHETIC panels; resumable.

``python -m tests.statistical.cross_lagged_recovery 40`` adds panels until there are 40 of each length and prints the figures. Each panel
has 30 units in three regions × 11 or 6 periods, lags that differ over regions, unit effects that go with the first observation, and a
covariate that goes with them. One line of JSON for each: truth, posterior mean, standard deviation and whether the 90 % interval holds the
truth; the same for within OLS.
"""

from __future__ import annotations

import argparse
import warnings

import pandas as pd

import bayes
from tests.dynamics.panels import pair_frame, panel_of
from tests.statistical.records import accuracy, kept

COLUMNS = ["source", "by", "estimand", "term", "truth", "estimate", "se", "held"]
FIRST_SEED, LEVEL, LENGTHS = 7000, 0.9, (11, 6)


def replicate(seed: int, periods: int) -> dict:
    frame, a = pair_frame(seed, 30, periods)
    panel = panel_of(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = bayes.CrossLagged("f", "s", ["x"]).fit(panel, seed=seed, draws=400, tune=300, chains=2, cores=1, progress=False)
        peer = bayes.baselines.cross_lagged(panel, "f", "s", ["x"], LEVEL, by_region=True)
    place = {("own_lag", "f"): (0, 0), ("own_lag", "s"): (1, 1), ("cross_lag", "f → s"): (1, 0), ("cross_lag", "s → f"): (0, 1)}
    rows = []
    for source, table in (("bayes", fit.effects("simple", LEVEL) + fit.effects("region", LEVEL)), ("within", peer)):
        for row in table.frame.to_dict("records"):
            if (row["estimand"], row["term"]) in place:
                own = a[:, *place[row["estimand"], row["term"]]]
                true = float(own.mean() if row["region"] == "" else own[int(row["region"][1])])
                held = bool(row["lower"] <= true <= row["upper"])
                by = "region" if row["region"] else "simple"
                rows.append([source, by, row["estimand"], row["term"], true, row["estimate"], row["se"], held])
    d = fit.diagnose()
    return {"seed": seed, "periods": periods, "rows": rows, "rhat": d.rhat_max, "divergences": d.divergences}


def run(count: int, show: bool = False) -> list[dict]:
    """Panels of the first ``count`` seeds at each length."""
    wanted = [(seed, periods) for seed in range(FIRST_SEED, FIRST_SEED + count) for periods in LENGTHS]
    return kept("cross_lagged", wanted, lambda todo: (replicate(*one) for one in todo), lambda r: (r["seed"], r["periods"]), show=show)


def figures(results: list[dict]) -> pd.DataFrame:
    """By length, place, estimand and source: :func:`tests.statistical.records.accuracy` of the 90 % interval."""
    rows = pd.concat([pd.DataFrame(r["rows"], columns=COLUMNS).assign(seed=r["seed"], periods=r["periods"]) for r in results])
    return rows.groupby(["periods", "by", "estimand", "term", "source"]).apply(accuracy, include_groups=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    results = run(parser.parse_args().count, show=True)
    pd.set_option("display.width", 160)
    print(f"seeds {FIRST_SEED}–{max(r['seed'] for r in results)}, largest R-hat {max(r['rhat'] for r in results):.3f}, "
          f"divergences {sum(r['divergences'] for r in results)}")  # fmt: skip
    print(figures(results).round(3).to_string())

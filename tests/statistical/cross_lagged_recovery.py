"""Recovery of known lags on SYNTHETIC panels; resumable.

``python -m tests.statistical.cross_lagged_recovery 40`` adds panels until there are 40 of each length and prints the figures. Each panel
has 30 units in three regions × 11 or 6 periods, lags that differ over regions, unit effects that go with the first observation, and a
covariate that goes with them. One line of JSON for each: truth, posterior mean, standard deviation and whether the 90 % interval holds the
truth; the same for within OLS.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import bayes
from tests.dynamics.panels import pair_frame, panel_of

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "calibration"
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
    """All stored panels of seeds below ``count``, after adding those that are missing."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / "cross_lagged.jsonl"
    done = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    known = {(r["seed"], r["periods"]) for r in done}
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        for periods in LENGTHS:
            if (seed, periods) not in known:
                done.append(replicate(seed, periods))
                with file.open("a") as out:
                    out.write(json.dumps(done[-1]) + "\n")
                if show:
                    print(f"{len(done)} of {2 * count}", flush=True)
    return [r for r in done if r["seed"] < FIRST_SEED + count]


def figures(results: list[dict]) -> pd.DataFrame:
    """By length, place, estimand and source: coverage of the 90 % interval, bias and its Monte-Carlo error, RMSE, sd over RMSE, panels."""
    columns = ["source", "by", "estimand", "term", "truth", "estimate", "se", "held"]
    rows = pd.concat([pd.DataFrame(r["rows"], columns=columns).assign(seed=r["seed"], periods=r["periods"]) for r in results])
    rows["error"] = rows["estimate"] - rows["truth"]

    def one(part: pd.DataFrame) -> pd.Series:
        by_panel = part.groupby("seed")[["error", "held"]].mean()
        n, rmse = len(by_panel), np.sqrt((part["error"] ** 2).mean())
        return pd.Series(
            {
                "coverage": part["held"].mean(), "coverage_se": by_panel["held"].std() / np.sqrt(n), "bias": part["error"].mean(),
                "bias_se": by_panel["error"].std() / np.sqrt(n), "rmse": rmse, "sd_over_rmse": part["se"].mean() / rmse, "panels": n,
            }
        )  # fmt: skip

    return rows.groupby(["periods", "by", "estimand", "term", "source"]).apply(one, include_groups=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    results = run(parser.parse_args().count, show=True)
    pd.set_option("display.width", 160)
    print(f"seeds {FIRST_SEED}–{max(r['seed'] for r in results)}, largest R-hat {max(r['rhat'] for r in results):.3f}, "
          f"divergences {sum(r['divergences'] for r in results)}")  # fmt: skip
    print(figures(results).round(3).to_string())

"""Recovery of known paths on SYNTHETIC panels; resumable.

``python -m tests.statistical.mediation_recovery 60`` adds panels until there are 60 and prints the figures. Each panel has 60 units × 10
periods in three regions, two mediators, AR(1) errors (ρ = .4), unit deviations and paths that differ over regions. One line of JSON for
each: for every estimand, overall and by region, truth, posterior mean, standard deviation and whether the 90 % interval holds the truth;
the same for products of fixed-effects coefficients where they estimate the same thing. ``--exposure`` does so for a continuous exposure in
the place of the treatment, 30 units × 11 periods, seeds 6000 on.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import bayes
from tests.mechanism.panels import mechanism_frame, panel_of

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "calibration"
FIRST_SEED, LEVEL = 5000, 0.9
UNITS, PERIODS = 60, 10
SHOWN = ("direct", "driving", "mediator_effect", "indirect", "total")


def replicate(seed: int, exposure: bool = False) -> dict:
    frame, paths = mechanism_frame(seed, *((30, 11) if exposure else (UNITS, PERIODS)), exposure=exposure)
    panel, named = panel_of(frame, **({"first_treated": None} if exposure else {})), "d" if exposure else None
    spec = bayes.Mediation("y", ["m1", "m2"], ["x"], exposure=named)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = spec.fit(panel, seed=seed, draws=400, tune=300, chains=2, progress=False)
        peer = bayes.baselines.mediation(panel, "y", ["m1", "m2"], ["x"], level=LEVEL, by_region=True, exposure=named)
    weight = fit.posterior["treated_rows"].to_numpy() / fit.posterior["treated_rows"].to_numpy().sum()
    truth = _truth(paths)
    rows = []
    for by in ("all", "region"):
        for source, table in (("bayes", fit.effects(by, LEVEL)), ("products", peer)):
            for row in table.frame.to_dict("records"):
                if row["estimand"] in SHOWN and (row["region"] == "") == (by == "all"):
                    own = truth[row["estimand"], row["term"]]
                    true = own @ weight if by == "all" else own[int(row["region"][1])]
                    held = bool(row["lower"] <= true <= row["upper"])
                    rows.append([source, by, row["estimand"], row["term"], float(true), row["estimate"], row["se"], held])
    diagnosis = fit.diagnose()
    return {"seed": seed, "rows": rows, "rhat": diagnosis.rhat_max, "divergences": diagnosis.divergences}


def _truth(paths: dict[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """True effects by region."""
    a, b, c = paths["a"], paths["b"], paths["direct"]
    out = {("direct", "all"): c, ("indirect", "all"): (a * b).sum(axis=0), ("total", "all"): c + (a * b).sum(axis=0)}
    for k in range(len(a)):
        out |= {("driving", f"m{k + 1}"): a[k], ("mediator_effect", f"m{k + 1}"): b[k], ("indirect", f"m{k + 1}"): a[k] * b[k]}
    return out


def run(count: int, show: bool = False, exposure: bool = False) -> list[dict]:
    """All stored panels, after adding those that are missing up to ``count``."""
    name, first = ("mediation_exposure.jsonl", 6000) if exposure else ("mediation.jsonl", FIRST_SEED)
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / name
    done = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    known = {r["seed"] for r in done}
    for seed in range(first, first + count):
        if seed not in known:
            done.append(replicate(seed, exposure))
            with file.open("a") as out:
                out.write(json.dumps(done[-1]) + "\n")
            if show:
                print(f"{len(done)} of {count}", flush=True)
    return done


def figures(results: list[dict]) -> pd.DataFrame:
    """By source, place and estimand: coverage of the 90 % interval, bias and its Monte-Carlo error, RMSE, sd over RMSE, panels."""
    columns = ["source", "by", "estimand", "term", "truth", "estimate", "se", "held"]
    rows = pd.concat([pd.DataFrame(r["rows"], columns=columns).assign(seed=r["seed"]) for r in results])
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

    return rows.groupby(["by", "estimand", "source"]).apply(one, include_groups=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--exposure", action="store_true")
    chosen = parser.parse_args()
    results = run(chosen.count, show=True, exposure=chosen.exposure)
    pd.set_option("display.width", 160)
    print(f"seeds {results[0]['seed']}–{results[-1]['seed']}, largest R-hat {max(r['rhat'] for r in results):.3f}, "
          f"divergences {sum(r['divergences'] for r in results)}")  # fmt: skip
    print(figures(results).round(3).to_string())

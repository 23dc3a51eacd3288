"""Recovery of known paths on SYNTHETIC panels; resumable.

``python -m tests.statistical.mediation_recovery 60`` adds panels until there are 60 and prints the figures. Each panel has 60 units × 10
periods in three regions, two mediators, AR(1) errors (ρ = .4), unit deviations and paths that differ over regions. One line of JSON for
each: for every estimand, overall and by region, truth, posterior mean, standard deviation and whether the 90 % interval holds the truth;
the same for products of fixed-effects coefficients where they estimate the same thing. ``--exposure`` does so for a continuous exposure in
the place of the treatment, 30 units × 11 periods, seeds 6000 on.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd

import bayes
from tests.mechanism.panels import mechanism_frame, panel_of
from tests.statistical.records import accuracy, kept

COLUMNS = ["source", "by", "estimand", "term", "truth", "estimate", "se", "held"]
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
    """Panels of the first ``count`` seeds."""
    name, first = ("mediation_exposure", 6000) if exposure else ("mediation", FIRST_SEED)
    return kept(name, range(first, first + count), lambda todo: (replicate(seed, exposure) for seed in todo), show=show)


def figures(results: list[dict]) -> pd.DataFrame:
    """By place, estimand and source: :func:`tests.statistical.records.accuracy` of the 90 % interval."""
    rows = pd.concat([pd.DataFrame(r["rows"], columns=COLUMNS).assign(seed=r["seed"]) for r in results])
    return rows.groupby(["by", "estimand", "source"]).apply(accuracy, include_groups=False)


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

"""Do intervals of the city study cover the truth that its panels are SIMULATED from; resumable.

``python -m tests.statistical.city_pilot_coverage 40`` adds panels of ``data/city_pilots/simulate.py`` until there are 40 (seeds 1–40) and
prints the figures. Each is fitted with the model of ``models/city_pilot_did.py`` without its leads,
at the posterior mode of the scales with exact draws of
the effects given them; one line of JSON keeps truth, estimate, standard deviation and whether the 90 % interval holds the truth, for the
ATT of all pilots and by region. ``--without-universities`` leaves the covariate out, which the truth says is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from bayes import Panel, StaggeredDiD, datasets
from bayes.did import effects
from bayes.did.mode import draws_at_mode, posterior_modes
from bayes.inference.sampling import single_threaded_algebra
from tests.generators import generator

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "calibration"
LEVEL, DRAWS, FIRST_SEED = 0.9, 2000, 1


def panel_of(frame: pd.DataFrame) -> Panel:
    dates = frame["first_treated"].astype(float)
    return Panel.from_frame(frame.assign(first_treated=dates), "city", "year", "region", "first_treated", name="synthetic cities")


def run(count: int, covariates: tuple[str, ...] = ("nhs",)) -> list[dict]:
    """Records of the first ``count`` seeds; those already stored for this version of the generator are read."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    version = hashlib.sha256((datasets.path("city_pilots") / "simulate.py").read_bytes()).hexdigest()[:8]
    path = FOLDER / f"city_pilots_{version}{'' if covariates else '_bare'}.jsonl"
    done = {r["seed"]: r for r in map(json.loads, path.read_text().splitlines())} if path.exists() else {}
    seeds = [seed for seed in range(FIRST_SEED, FIRST_SEED + count) if seed not in done]
    simulated = [generator("city_pilots").simulate(seed) for seed in seeds]
    spec = StaggeredDiD("npro", covariates, leads=False)
    with single_threaded_algebra():
        collapsed = (spec.collapse(panel_of(frame)) for frame, _ in simulated)
        for seed, (one, mode), (frame, truth) in zip(seeds, posterior_modes(spec, collapsed), simulated, strict=True):
            dataset = draws_at_mode(spec, one, mode, DRAWS, seed)
            done[seed] = {"seed": seed, "converged": mode.converged, "rows": _rows(dataset, frame, truth)}
            with path.open("a") as file:
                file.write(json.dumps(done[seed]) + "\n")
    return [done[seed] for seed in range(FIRST_SEED, FIRST_SEED + count)]


def _rows(dataset, frame: pd.DataFrame, truth: pd.DataFrame) -> list[list]:
    """Region ("" for all), truth, estimate, standard deviation, covered."""
    regions = tuple(sorted(frame["region"].unique()))
    known = truth[(truth["estimand"] == "att") & truth["term"].isin(["simple", "region"])].set_index("region")["estimate"]
    found = [effects.estimates(dataset, by, "att", "rows", LEVEL, False, regions, "mode").frame for by in ("simple", "region")]
    rows = pd.concat(found).itertuples()
    return [[r.region, known[r.region], r.estimate, r.se, bool(r.lower <= known[r.region] <= r.upper)] for r in rows]


def figures(records: list[dict]) -> pd.DataFrame:
    """By region, of all regions together and of the overall ATT: coverage, bias, their Monte-Carlo errors, mean sd over RMSE."""
    columns = ["region", "truth", "estimate", "sd", "covered"]
    rows = pd.concat([pd.DataFrame(r["rows"], columns=columns).assign(seed=r["seed"]) for r in records], ignore_index=True)
    parts = {("overall" if name == "" else name): part for name, part in rows.groupby("region")}
    parts["all regions"] = rows[rows["region"] != ""]
    return pd.DataFrame({name: _figures(part) for name, part in parts.items()}).T


def _figures(part: pd.DataFrame) -> dict[str, float]:
    """Monte-Carlo errors count panels: regions of one panel share its draws."""
    part = part.assign(error=part["estimate"] - part["truth"])
    by_panel = part.groupby("seed")[["covered", "error"]].mean()
    n = len(by_panel)
    return {
        "panels": n, "coverage": by_panel["covered"].mean(), "coverage se": by_panel["covered"].std(ddof=1) / np.sqrt(n),
        "bias": by_panel["error"].mean(), "bias se": by_panel["error"].std(ddof=1) / np.sqrt(n),
        "sd / RMSE": part["sd"].mean() / np.sqrt((part["error"] ** 2).mean()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--without-universities", action="store_true")
    chosen = parser.parse_args()
    records = run(chosen.count, () if chosen.without_universities else ("nhs",))
    print(f"seeds {FIRST_SEED}–{FIRST_SEED + chosen.count - 1}, {sum(not r['converged'] for r in records)} modes not found")
    print(figures(records).to_string(float_format=lambda v: f"{v:.4f}"))


if __name__ == "__main__":
    main()

"""Do intervals of the city study cover the truth that its panels are SIMULATED from; resumable.

``python -m tests.statistical.city_pilot_coverage 40`` adds panels of ``data/city_pilots/simulate.py`` until there are 40 (seeds 1–40) and
prints the figures. Each is fitted with the model of ``models/city_pilot_did.py`` without its leads, at the posterior mode of the scales
with exact draws of the effects given them; one line of JSON keeps truth, estimate, standard deviation and whether the 90 % interval
holds the truth, for the ATT of all pilots and by region. ``--without-universities`` leaves the covariate out, which the truth says is
wrong.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator

import pandas as pd

from bayes import Panel, StaggeredDiD, datasets
from bayes.did import effects
from bayes.did.mode import draws_at_mode, posterior_modes
from bayes.inference.sampling import single_threaded_algebra
from tests.generators import generator
from tests.statistical.records import accuracy, kept

LEVEL, DRAWS, FIRST_SEED = 0.9, 2000, 1


def panel_of(frame: pd.DataFrame) -> Panel:
    dates = frame["first_treated"].astype(float)
    return Panel.from_frame(frame.assign(first_treated=dates), "city", "year", "region", "first_treated", name="synthetic cities")


def run(count: int, covariates: tuple[str, ...] = ("nhs",), show: bool = False) -> list[dict]:
    """Records of the first ``count`` seeds; those already stored for this version of the generator are read."""
    version = hashlib.sha256((datasets.path("city_pilots") / "simulate.py").read_bytes()).hexdigest()[:8]
    name, seeds = f"city_pilots_{version}{'' if covariates else '_bare'}", range(FIRST_SEED, FIRST_SEED + count)
    return kept(name, seeds, lambda todo: _records(todo, covariates), show=show)


def _records(seeds: list[int], covariates: tuple[str, ...]) -> Iterator[dict]:
    simulated = [generator("city_pilots").simulate(seed) for seed in seeds]
    spec = StaggeredDiD("npro", covariates, leads=False)
    with single_threaded_algebra():
        collapsed = (spec.collapse(panel_of(frame)) for frame, _ in simulated)
        for seed, (one, mode), (frame, truth) in zip(seeds, posterior_modes(spec, collapsed), simulated, strict=True):
            dataset = draws_at_mode(spec, one, mode, DRAWS, seed)
            yield {"seed": seed, "converged": mode.converged, "rows": _rows(dataset, frame, truth)}


def _rows(dataset, frame: pd.DataFrame, truth: pd.DataFrame) -> list[list]:
    """Region ("" for all), truth, estimate, standard deviation, covered."""
    regions = tuple(sorted(frame["region"].unique()))
    known = truth[(truth["estimand"] == "att") & truth["term"].isin(["simple", "region"])].set_index("region")["estimate"]
    found = [effects.estimates(dataset, by, "att", "rows", LEVEL, False, regions, "mode").frame for by in ("simple", "region")]
    rows = pd.concat(found).itertuples()
    return [[r.region, known[r.region], r.estimate, r.se, bool(r.lower <= known[r.region] <= r.upper)] for r in rows]


def figures(records: list[dict]) -> pd.DataFrame:
    """By region, of all regions together and of the overall ATT: :func:`tests.statistical.records.accuracy`."""
    columns = ["region", "truth", "estimate", "se", "held"]
    rows = pd.concat([pd.DataFrame(r["rows"], columns=columns).assign(seed=r["seed"]) for r in records], ignore_index=True)
    parts = {("overall" if name == "" else name): part for name, part in rows.groupby("region")}
    parts["all regions"] = rows[rows["region"] != ""]
    return pd.DataFrame({name: accuracy(part) for name, part in parts.items()}).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--without-universities", action="store_true")
    chosen = parser.parse_args()
    records = run(chosen.count, () if chosen.without_universities else ("nhs",), show=True)
    print(f"seeds {FIRST_SEED}–{FIRST_SEED + chosen.count - 1}, {sum(not r['converged'] for r in records)} modes not found")
    print(figures(records).to_string(float_format=lambda v: f"{v:.4f}"))


if __name__ == "__main__":
    main()

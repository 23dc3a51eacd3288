"""Simulation-based calibration of seven families on small SYNTHETIC panels; resumable, finished replicates are kept in reports/calibration.

``python -m tests.statistical.sbc did-default 300`` adds replicates until there are 300 and prints the figures; ``all`` runs every family.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import bayes
from tests.frontier.simulate import frontier_panel
from tests.panels import ROLES, simulated_frame
from tests.statistical.records import FOLDER

SEED = 8000
FAMILIES = ("did-default", "did-iid", "did-none", "did-complete", "half-normal", "bc92", "true-random-effects")
_MODELS = {"half-normal": "pooled", "bc92": "bc92", "true-random-effects": "true-random-effects"}
_DID = {"did-default": {}, "did-iid": {"errors": "iid"}, "did-none": {"pooling": "none"}, "did-complete": {"pooling": "complete"}}


def model_and_panel(family: str) -> tuple[bayes.StaggeredDiD | bayes.StochasticFrontier, bayes.Panel]:
    """Differences-in-differences: 24 units × 8 years with gaps, 3 regions, 2 cohorts. Frontiers: 18 units × 6 years in 3 regions."""
    if family in _DID:
        panel = bayes.Panel.from_frame(simulated_frame(gaps=True), name="synthetic with gaps", **ROLES)
        return bayes.StaggeredDiD("y", **_DID[family]), panel
    model = _MODELS[family]
    spec = bayes.StochasticFrontier("y", ["x0", "x1"], technology="cobb-douglas", technical_change="none", model=model)
    return spec, frontier_panel(18, 6, 3, model)


def run(family: str, count: int, progress: bool | None = True, seed: int = SEED) -> bayes.CalibrationResult:
    spec, panel = model_and_panel(family)
    return bayes.calibrate(spec, panel, count, seed, resume=FOLDER, progress=progress)


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulation-based calibration of seven families on synthetic panels.")
    parser.add_argument("family", choices=[*FAMILIES, "all"])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--figures", type=Path, help="folder for a figure of each family")
    chosen = parser.parse_args()
    os.environ.setdefault("BAYES_CACHE", str(FOLDER))
    for family in FAMILIES if chosen.family == "all" else [chosen.family]:
        result = run(family, chosen.count, seed=chosen.seed)
        held = result.coverage([0.5, 0.9]).frame.groupby("variant")["estimate"]
        print(f"\n{family}\n{result}\n{held.agg(['mean', 'min', 'max']).round(3).to_string()}", flush=True)
        if chosen.figures is not None:
            bayes.plots.calibration(result, path=chosen.figures / f"{family}.png")


if __name__ == "__main__":
    main()

"""``python -m tests.peers``: prepare the environments, run every peer, and print one table a family."""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.table import machine
from tests.peers import data
from tests.peers.driver import Peer, row, run, script, table
from tests.peers.environments import HERE, named

REFERENCES = HERE.parent / "reference"
OURS = "ours"
FAMILIES: dict[str, list[Peer]] = {
    "did": [
        Peer("bayes", "regional-bayes", OURS, "posterior, NUTS, 4 × 1,000 draws"),
        Peer("bayes, mode", "regional-bayes", OURS, "mode of the scales, exact draws of the effects"),
        Peer("diff-diff CS", "diff-diff", note="base period g − 1"),
        Peer("moderndid CS", "moderndid", note="base period g − 1"),
        Peer("csdid CS", "csdid", note="base period g − 1"),
        Peer("diff-diff SA", "diff-diff", note="base period g − 1, never treated"),
        Peer("diff-diff BJS", "diff-diff"),
        Peer("diff-diff Gardner", "diff-diff"),
        Peer("diff-diff ETWFE", "diff-diff"),
        Peer("moderndid ETWFE", "moderndid"),
        Peer("pyfixest Gardner", "pyfixest"),
        Peer("pyfixest TWFE", "pyfixest", note="one coefficient: another average"),
        Peer("CausalPy", "causalpy", "causalpy", "imputation with a posterior, independent errors"),
    ],
    "frontier": [
        Peer("bayes, likelihood", "regional-bayes", OURS, "maximum likelihood"),
        Peer("bayes, posterior", "regional-bayes", OURS, "NUTS, 4 × 1,000 draws"),
        Peer("stochastic-frontier-analysis", "stochastic-frontier-analysis"),
        Peer("pysfa", "pysfa"),
        Peer("depp-sfa", "depp-sfa", note="its log likelihood lacks a constant"),
        Peer("panelbox", "panelbox"),
    ],
    "dea": [Peer("bayes", "regional-bayes", OURS), Peer("Pyfrontier", "pyfrontier", note="PuLP with CBC, one process a program")],
}
POINT, COST = ["peer", "version", "estimate", "− ours", "− reference"], ["wall", "CPU", "fit CPU", "MB"]
TRUTH = ["n", "warm fit CPU", "bias", "RMSE", "mean width", "coverage"]
COLUMNS = {
    "did": [*POINT, "width", *COST, *TRUTH, "note"],
    "frontier": [*POINT, "log L", *COST, *TRUTH, "log L − ours", "note"],
    "dea": ["peer", "version", "scores", "largest difference", *COST, "note"],
}
"""``wall``, ``CPU`` and ``MB``: a cold process up to its first answer, imports included; ``fit CPU``: without imports; in seconds."""


def references() -> dict[str, float]:
    """What another program found on the same data, by peer: R where it was run, else an exact program."""
    fixest = "dataset == 'castle' and parameter == 'att' and implementation_version == 'R fixest 0.12.2'"
    by_estimator = pd.read_csv(REFERENCES / "did.csv").query(fixest).set_index("estimator")["estimate"]
    exact = pd.read_csv(REFERENCES / "frontier.csv").query("dataset == 'produc' and model == 'cs_halfnormal' and parameter == 'lemp'")
    frontier = dict.fromkeys((p.name for p in FAMILIES["frontier"]), float(exact["estimate"].iloc[0]))
    return {"pyfixest TWFE": by_estimator["TWFE"], "diff-diff SA": by_estimator["Sun-Abraham"], **frontier}


def data_sets(family: str, number: int) -> tuple[pd.DataFrame, dict[int, float]]:
    """The real data as data set 0, the simulated ones below it, and their truth."""
    if family == "dea":
        return data.us_quantities(), {}
    real, maker = {"did": (data.castle, data.staggered), "frontier": (data.us_states, data.cross_section)}[family]
    simulated, truth = data.simulated(maker, number)
    return pd.concat([real(), simulated]), truth


def family_rows(family: str, peers: list[Peer], number: int, budget: float, timeout: float) -> list[dict]:
    """Rows of a family; the first peer is the one that the others are set beside."""
    rows, known, ours = [], references(), None
    frame, truth = data_sets(family, number)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "data.csv"
        frame.to_csv(path, index=False)
        for peer in peers:
            print(f"… {family}: {peer.name}", file=sys.stderr, flush=True)
            found = run(peer, script(family), path, budget, timeout, path.parent)
            ours = ours or found
            rows.append(row(peer, found, ours, truth, known.get(peer.name, np.nan)))
            print(table(rows[-1:], COLUMNS[family]).splitlines()[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description="Other programs on the same data, each by itself.")
    parser.add_argument("--only", choices=FAMILIES, action="append", help="this family only (may be repeated)")
    parser.add_argument("--number", type=int, default=20, help="simulated data sets")
    parser.add_argument("--budget", type=float, default=40, help="CPU seconds after which a peer starts no further data set")
    parser.add_argument("--timeout", type=float, default=600, help="wall seconds after which a process is stopped")
    parser.add_argument("--prepare", action="store_true", help="only make the environments")
    chosen = parser.parse_args()
    for name in ("peers", "causalpy"):
        named(name).prepare()
    if chosen.prepare:
        return
    print(f"{datetime.date.today()}. {machine()}\n")
    for family in chosen.only or FAMILIES:
        rows = family_rows(family, FAMILIES[family], chosen.number, chosen.budget, chosen.timeout)
        print(f"### {family}\n\n{table(rows, COLUMNS[family])}\n", flush=True)


if __name__ == "__main__":
    main()

"""Jobs of the measurement benchmarks: distances of a whole panel by one warm model and by linprog one by one; bootstraps."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from bayes.panel import Panel

INPUTS, OUTPUTS, BADS = ["capital", "labour", "energy"], ["value_added"], ["emission"]


def synthetic_panel(units: int, periods: int, seed: int = 1) -> Panel:
    """Synthetic: Cobb–Douglas production with an undesirable output, technical progress and inefficiency."""
    rng = np.random.default_rng(seed)
    unit, year = np.repeat(np.arange(units), periods), np.tile(2009 + np.arange(periods), units)
    size = rng.normal(0, 0.8, units)[unit]
    x = np.exp(size[:, None] + rng.normal(0, 0.3, (unit.size, 3)))
    loss = np.abs(rng.normal(0, 0.2, unit.size))
    y = np.exp(np.log(x) @ [0.4, 0.4, 0.2] + 0.02 * (year - 2009) - loss)
    b = x[:, 2] ** 0.9 * np.exp(rng.normal(0, 0.2, unit.size))
    columns = {"unit": [f"u{i:03d}" for i in unit], "year": year, **dict(zip(INPUTS, x.T, strict=True)), OUTPUTS[0]: y, BADS[0]: b}
    return Panel.from_frame(pd.DataFrame(columns), unit="unit", time="year", name="synthetic")


def luenberger(units: int, periods: int, every: int) -> dict[str, float]:
    """Seconds of the whole Malmquist–Luenberger call, and of linprog for every ``every``-th unit, scaled to all."""
    from bayes.measure import malmquist

    panel = synthetic_panel(units, periods)
    malmquist(synthetic_panel(5, 2), INPUTS, OUTPUTS, BADS, returns="crs", disposability="weak")  # imports are paid for here
    start = time.perf_counter()
    ours = malmquist(panel, INPUTS, OUTPUTS, BADS, returns="crs", disposability="weak")
    seconds = time.perf_counter() - start
    chosen = np.arange(0, units, every)
    start = time.perf_counter()
    theirs, programs = _one_by_one(panel, chosen)
    elapsed = time.perf_counter() - start
    index = ours.where(estimand="malmquist").frame.estimate.to_numpy().reshape(units, periods - 1)[chosen]
    return {
        "seconds": seconds,
        "linprog": elapsed * units / chosen.size,
        "programs": programs * units / chosen.size,
        "difference": float(np.nanmax(np.abs(index - theirs))),
        "same_missing": bool((np.isnan(index) == np.isnan(theirs)).all()),
        "missing": float(np.isnan(index).mean()),
    }


def _one_by_one(panel: Panel, chosen: np.ndarray) -> tuple[np.ndarray, int]:
    """Malmquist–Luenberger index of some units by one linprog call a distance, written without the package."""
    from scipy.optimize import linprog

    shape = (panel.n_units, panel.n_periods, -1)
    x, y, b = (panel.matrix(names).reshape(shape) for names in (INPUTS, OUTPUTS, BADS))
    programs = 0

    def distance(i: int, t: int, s: int) -> float:
        nonlocal programs
        programs += 1
        n = panel.n_units
        above = np.vstack([np.c_[x[:, s].T, np.zeros(3)], np.c_[-y[:, s].T, y[i, t]]])
        equal = np.c_[b[:, s].T, b[i, t]]
        bounds = [(0, None)] * n + [(None, None)]
        answer = linprog(np.r_[np.zeros(n), -1], above, np.r_[x[i, t], -y[i, t]], equal, b[i, t], bounds, method="highs")
        return 1 - answer.fun if answer.status == 0 else np.nan

    out = np.empty((chosen.size, panel.n_periods - 1))
    for k, i in enumerate(chosen):
        own = [distance(i, t, t) for t in range(panel.n_periods)]
        for t in range(panel.n_periods - 1):
            out[k, t] = np.sqrt(own[t] / distance(i, t + 1, t) * distance(i, t, t + 1) / own[t + 1])
    return out, programs


def bootstrap(units: int, periods: int, replicates: int, returns: str) -> dict[str, float]:
    """Seconds of a Simar–Wilson bootstrap of the Malmquist index and its parts, and of DEA scores."""
    from bayes.measure import dea, malmquist

    panel = synthetic_panel(units, periods)
    start = time.perf_counter()
    malmquist(panel, INPUTS, OUTPUTS, returns=returns, replicates=replicates, seed=1)
    index = time.perf_counter() - start
    start = time.perf_counter()
    dea(panel, INPUTS, OUTPUTS, returns=returns, replicates=replicates, seed=1)
    return {"index": index, "scores": time.perf_counter() - start}


def mediation(draws: int, tune: int, chains: int) -> dict[str, float]:
    """Smallest effective sample size and divergences of a mediation fit with two synthetic mediators of the benchmark panel."""
    from bayes import Mediation
    from tests.benchmarks import simulate

    panel, rng = simulate.panel(), np.random.default_rng(3)
    treated = panel.frame[panel.time].to_numpy() >= panel.unit_first_treated[panel.unit_codes]
    first, second = 0.3 * treated + rng.normal(0, 0.3, panel.n_rows), -0.2 * treated + rng.normal(0, 0.3, panel.n_rows)
    panel = panel.assign(first=first, second=second, y=panel.column("y") + 0.2 * first + 0.1 * second)
    verdict = Mediation("y", ["first", "second"]).fit(panel, seed=1, draws=draws, tune=tune, chains=chains, progress=False).diagnose()
    return {"ess": verdict.ess_bulk_min, "rhat": verdict.rhat_max, "divergences": verdict.divergences}


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))), encoding="utf-8")

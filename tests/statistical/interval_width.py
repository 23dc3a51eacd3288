"""How wide intervals of the overall effect are beside the true sampling spread, on SYNTHETIC outcomes for the states of castle doctrine.

``python -m tests.statistical.interval_width normal 300`` adds panels until there are 300 and prints the figures. Dates, regions and years
are those of the data; outcomes are drawn anew with an effect of .085, so that the spread of the estimates over panels is the truth against
which four stated spreads are held: the posterior's (scales at their mode), the cluster-robust posterior's by sandwich and by
leaving out, and the CR1 standard error of saturated least squares by cohort × period (ETWFE). One line of JSON a panel.

Designs: ``normal``, the model's own assumptions; ``unequal``, each state has its own error and effect variance (log-normal, as spread as
in the data); ``resampled``, each state gets the whole residual path of a state drawn from the data with replacement.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import bayes
from bayes.did.draws import hyperparameters
from bayes.did.mode import posterior_modes
from bayes.did.rows import row_design
from bayes.did.state import CollapsedPanel
from bayes.did.unit_algebra import UnitAlgebra
from bayes.did.unit_scores import ClusterScores, cluster_scores, conditional_posterior, sandwich
from bayes.inference.sampling import single_threaded_algebra
from tests.statistical.records import kept

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "interval_width"
DESIGNS = ("normal", "unequal", "resampled")
MODELS = {"pooled": {}, "unpooled": {"pooling": "none"}}
EFFECT, INNOVATION_SD, RHO, UNIT_EFFECT_SD, LOG_SPREAD = 0.085, 0.177, 0.323, 0.15, 0.555
"""Posterior means of the data's own fit; the last is the standard deviation over states of the logarithm of their residual sd."""
SPREADS = ("posterior", "sandwich", "leave-one-out", "cluster")


class States:
    """The panel in arrays (states × years), and its least-squares residuals from unit, year and one treatment effect."""

    def __init__(self) -> None:
        self.panel = bayes.datasets.load("castle_doctrine")
        self.n, self.t = self.panel.n_units, self.panel.n_periods
        self.cohort = np.where(np.isfinite(self.panel.unit_cohort_codes), self.panel.unit_cohort_codes, 10**6).astype(int)
        self.treated = np.arange(self.t) >= self.cohort[:, None]
        unit, year = np.repeat(np.arange(self.n), self.t), np.tile(np.arange(self.t), self.n)
        means = np.column_stack([unit[:, None] == np.arange(self.n), year[:, None] == np.arange(1, self.t)]).astype(float)
        keys = sorted(set(zip(self.cohort[unit][self.treated.ravel()].tolist(), year[self.treated.ravel()].tolist(), strict=True)))
        cells = np.column_stack([(self.cohort[unit] == g) & (year == t) for g, t in keys]).astype(float)
        y = self.panel.column("log_homicide")
        design = np.column_stack([means, self.treated.ravel()])
        residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        self.paths = residual.reshape(self.n, self.t) * np.sqrt(y.size / (y.size - design.shape[1]))
        self.x = np.hstack([means, cells])
        self.inverse = np.linalg.pinv(self.x.T @ self.x)
        self.average = np.r_[np.zeros(means.shape[1]), cells.sum(axis=0) / cells.sum()]
        self.factor = self.n / (self.n - 1) * (y.size - 1) / (y.size - (self.t - 1) - len(keys))

    def outcome(self, design: str, seed: int) -> np.ndarray:
        rng = np.random.default_rng([seed, DESIGNS.index(design)])
        own = rng.normal(0, UNIT_EFFECT_SD, self.n)
        errors = np.empty((self.n, self.t))
        errors[:, 0] = rng.normal(0, INNOVATION_SD / np.sqrt(1 - RHO**2), self.n)
        for k in range(1, self.t):
            errors[:, k] = RHO * errors[:, k - 1] + rng.normal(0, INNOVATION_SD, self.n)
        if design == "unequal":
            size = np.exp(rng.normal(0, LOG_SPREAD, self.n) - LOG_SPREAD**2)
            own, errors = own * size, errors * size[:, None]
        if design == "resampled":
            own, errors = np.zeros(self.n), self.paths[rng.integers(0, self.n, self.n)]
        return (errors + (EFFECT + own[:, None]) * self.treated).ravel()

    def least_squares(self, y: np.ndarray) -> tuple[float, float]:
        """Average of the saturated cells and its CR1 standard error, unit effects not counted as columns (they nest in clusters)."""
        coefficient = self.inverse @ (self.x.T @ y)
        weighted = (self.x @ self.inverse @ self.average) * (y - self.x @ coefficient)
        return float(self.average @ coefficient), float(np.sqrt(self.factor * (weighted.reshape(self.n, -1).sum(axis=1) ** 2).sum()))


def spreads(collapsed: CollapsedPanel, scalars: dict[str, float], spec, panel) -> dict[str, float]:
    """Estimate of the population effect, and three spreads of it, given the scales."""
    h = hyperparameters({k: np.full(1, v) for k, v in scalars.items()}, collapsed, spec.resolved_priors())
    posterior = conditional_posterior(collapsed.sampled_products, collapsed.basis, h)
    index = collapsed.flat_cell_columns(()) if collapsed.basis is None else np.r_[collapsed.flat_columns, collapsed.cell_columns]
    rows = row_design(spec.block(panel), collapsed.design, collapsed.unit_columns)
    weight = np.r_[np.zeros(collapsed.n_flat_common), collapsed.design.cells.rows][index]
    weight, scale = weight / weight.sum(), collapsed.scales[-1]
    residual = rows.outcome / scale - rows.fixed[:, index] @ posterior.mean
    algebra = UnitAlgebra.of(rows, collapsed.products.gaps)
    scores = cluster_scores(algebra, rows.fixed[:, index], residual, h, np.arange(panel.n_units))
    found = {"posterior": posterior.covariance, "sandwich": sandwich(posterior, ClusterScores(scores.score, None))}
    found["leave-one-out"] = sandwich(posterior, scores)
    return {
        "estimate": float(weight @ posterior.mean * scale),
        **{k: float(np.sqrt(weight @ v @ weight) * scale) for k, v in found.items()},
    }


def run(design: str, count: int, folder: Path = FOLDER) -> pd.DataFrame:
    """Panels of seeds 0 … count − 1, those on file not again. Columns: seed, model, estimate and its stated spreads."""
    done = kept(design, range(count), lambda todo: _records(design, todo), folder=folder)
    rows = [{"seed": d["seed"], "model": m, **d[m]} for d in done for m in (*MODELS, "etwfe")]
    return pd.DataFrame(rows)


def _records(design: str, seeds: list[int]) -> Iterator[dict]:
    states = States()
    specs = {m: bayes.StaggeredDiD("y", leads=False, **options) for m, options in MODELS.items()}
    panels = [specs["pooled"].needed(states.panel.assign(y=states.outcome(design, s))) for s in seeds]
    with single_threaded_algebra():
        found = [_modes(spec, panels) for spec in specs.values()]
        for seed, panel, *fitted in zip(seeds, panels, *found, strict=True):
            record = {"seed": seed}
            for (model, spec), (collapsed, mode) in zip(specs.items(), fitted, strict=True):
                record[model] = spreads(collapsed, mode.values, spec, panel)
            estimate, se = states.least_squares(panel.column("y"))
            yield record | {"etwfe": {"estimate": estimate, "cluster": se}}


def _modes(spec: bayes.StaggeredDiD, panels: list[bayes.Panel]) -> Iterator[tuple]:
    return posterior_modes(spec, (spec.collapse(p) for p in panels))


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """By model and stated spread: true spread, mean stated over true, coverage of 90 and 95 % normal intervals, RMSE."""
    rows = []
    for model, part in found.groupby("model", sort=False):
        error = part.estimate - EFFECT
        for name in SPREADS:
            if part.get(name) is None or part[name].isna().all():
                continue
            distance = error.abs() / part[name]
            row = {"model": model, "spread": name, "panels": len(part), "true sd": error.std()}
            row |= {"stated / true": part[name].mean() / error.std(), "RMSE": np.sqrt((error**2).mean()), "bias": error.mean()}
            rows.append(row | {"coverage 90": (distance < 1.645).mean(), "coverage 95": (distance < 1.960).mean()})
    return pd.DataFrame(rows).set_index(["model", "spread"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("design", choices=DESIGNS)
    parser.add_argument("count", type=int)
    chosen = parser.parse_args()
    print(summary(run(chosen.design, chosen.count)).to_string(float_format=lambda v: f"{v:.3f}"))

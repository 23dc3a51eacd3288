"""Calibration of staggered difference-in-differences on SYNTHETIC panels; resumable, one line of JSON a panel.

``python -m tests.statistical.did_calibration all 200`` adds panels until each design has 200 and prints the figures. Seven designs check
whether 90 % intervals of the ATT cover; two more, at 285 × 11, compare errors of region × event effects with those of Callaway–Sant'Anna
(not-yet-treated comparisons, base period g − 1) and of saturated least squares, both written here for balanced panels.

Panels are fitted at the posterior mode of the scales with exact draws of the effects given them, a fraction of a second each; ``--nuts``
fits the posterior instead and keeps its own files.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from bayes import Panel, StaggeredDiD
from bayes.did import effects
from bayes.did.mode import draws_at_mode, posterior_modes
from bayes.inference.sampling import single_threaded_algebra
from tests.statistical.records import kept

LEVEL = 0.9
DRAWS = 1000
REGIONS = 5


@dataclass(frozen=True)
class Design:
    """How a synthetic panel departs from equal effects and independent errors; standard deviations in units of the error's.

    ``trend`` is the sd of random unit slopes a period, ``shock`` of shocks common to a region and period, ``curve`` bends the path of
    effects, ``region`` and ``unit`` are sds of effects.
    """

    autocorrelation: float = 0.0
    unit: float = 0.0
    region: float = 0.0
    curve: float = 0.0
    trend: float = 0.0
    shock: float = 0.0
    units: int = 40
    periods: int = 10


DESIGNS = {
    "iid": Design(),
    "ar1": Design(0.6),
    "unit effects": Design(0.6, unit=0.4),
    "regional effects": Design(0.6, unit=0.2, region=0.4),
    "curved paths": Design(0.6, unit=0.2, curve=1.0),
    "unit trends": Design(0.6, unit=0.2, trend=0.1),
    "regional shocks": Design(0.6, unit=0.2, shock=0.3),
    "moderate regions": Design(0.5, unit=0.3, region=0.1, units=285, periods=11),
    "large regions": Design(0.5, unit=0.3, region=0.3, units=285, periods=11),
}
"""``region`` of the last two counts in standard deviations of the outcome within units and periods, about those of the error."""


@dataclass(frozen=True)
class Simulated:
    """Balanced synthetic panel: outcome and true effect (units, periods), region and first treated period of units (inf = never)."""

    y: np.ndarray
    effect: np.ndarray
    region: np.ndarray
    first: np.ndarray

    def panel(self) -> Panel:
        n, t = self.y.shape
        columns = {
            "unit": np.repeat(np.arange(n), t), "year": np.tile(2000 + np.arange(t), n), "region": np.repeat(self.region, t),
            "first": np.repeat(np.where(np.isinf(self.first), np.nan, 2000 + self.first), t), "y": self.y.ravel(),
        }  # fmt: skip
        return Panel.from_frame(pd.DataFrame(columns), unit="unit", time="year", region="region", first_treated="first", name="synthetic")


def simulate(design: Design, seed: int) -> Simulated:
    rng = np.random.default_rng(seed)
    n, t = design.units, design.periods
    region = np.arange(n) % REGIONS
    first = np.array([t // 2 - 1.0, t // 2 + 1.0, np.inf, np.inf])[(np.arange(n) // REGIONS) % 4]
    event = np.arange(t) - first[:, None]
    since = np.where(event >= 0, event, 0)
    path = 0.5 + 0.1 * since + design.curve * np.sin(since)
    own = design.unit * rng.normal(size=n) + design.region * rng.normal(size=REGIONS)[region]
    effect = np.where(event >= 0, path + own[:, None], 0.0)
    noise = rng.normal(size=(n, t))
    for k in range(1, t):
        noise[:, k] = design.autocorrelation * noise[:, k - 1] + np.sqrt(1 - design.autocorrelation**2) * noise[:, k]
    slopes = design.trend * rng.normal(size=n)[:, None] * (np.arange(t) - (t - 1) / 2)
    shocks = design.shock * rng.normal(size=(REGIONS, t))[region]
    y = 2 * rng.normal(size=(n, 1)) + rng.normal(size=t) + effect + noise + slopes + shocks
    return Simulated(y, effect, region, first)


# ── what is compared ────────────────────────────────────────────────────────────────────────────────────────────────


def cells_of(data: Simulated) -> dict[tuple[int, int], np.ndarray]:
    """(region, event time) → mask of its treated rows."""
    event = np.arange(data.y.shape[1]) - data.first[:, None]
    keys = {(int(r), int(e)) for r, e in zip(np.repeat(data.region, data.y.shape[1]), event.ravel(), strict=True) if 0 <= e < np.inf}
    return {(r, e): (data.region[:, None] == r) & (event == e) for r, e in sorted(keys)}


def saturated(data: Simulated) -> dict[tuple[int, int], float]:
    """Region × event averages of cell effects by least squares with unit, period and region × cohort × event dummies."""
    t = data.y.shape[1]
    cohorts = np.unique(data.first[np.isfinite(data.first)])
    masks, labels = [], []
    for r in range(REGIONS):
        for g in cohorts:
            for e in range(int(t - g)):
                mask = (data.region[:, None] == r) & (data.first[:, None] == g) & (np.arange(t) == g + e)
                if mask.any():
                    masks.append(mask)
                    labels.append((r, e, mask.sum()))
    stack = np.array([*masks, data.y], dtype=float)
    within = stack - stack.mean(axis=2, keepdims=True) - stack.mean(axis=1, keepdims=True) + stack.mean(axis=(1, 2), keepdims=True)
    flat = within.reshape(len(stack), -1)
    beta = np.linalg.lstsq(flat[:-1].T, flat[-1], rcond=None)[0]
    return _weighted(labels, beta)


def callaway_santanna(data: Simulated) -> dict[tuple[int, int], float]:
    """Region × event averages of 2 × 2 differences from g − 1 against all units not yet treated."""
    t = data.y.shape[1]
    labels, values = [], []
    for r in range(REGIONS):
        for g in np.unique(data.first[np.isfinite(data.first)]):
            own = (data.region == r) & (data.first == g)
            for e in range(int(t - g)) if own.any() else ():
                now, base = int(g) + e, int(g) - 1
                change = data.y[:, now] - data.y[:, base]
                values.append(change[own].mean() - change[data.first > now].mean())
                labels.append((r, e, own.sum()))
    return _weighted(labels, np.array(values))


def _weighted(labels: list[tuple[int, int, int]], values: np.ndarray) -> dict[tuple[int, int], float]:
    table = pd.DataFrame(labels, columns=["region", "event", "rows"]).assign(value=values)
    table["value"] *= table["rows"]
    sums = table.groupby(["region", "event"])[["value", "rows"]].sum()
    return {(int(r), int(e)): float(v) for (r, e), v in (sums["value"] / sums["rows"]).items()}


# ── one panel ───────────────────────────────────────────────────────────────────────────────────────────────────────


def record(data: Simulated, seed: int, att: Callable) -> dict:
    """What is kept of one panel; ``att(by)`` are its estimates."""
    treated = np.arange(data.y.shape[1]) >= data.first[:, None]
    truth = float(data.effect[treated].mean())
    row = att("simple").frame.iloc[0]
    out = {"seed": seed, "truth": truth, "estimate": row.estimate, "sd": row.se, "covered": bool(row.lower <= truth <= row.upper)}
    cells = cells_of(data)
    true = {key: float(data.effect[mask].mean()) for key, mask in cells.items()}
    ours = {(int(r.region), int(r.event_time)): r.estimate for r in att("region:event").frame.itertuples() if r.event_time >= 0}
    sources = {"bayes": ours, "ols": saturated(data), "cs": callaway_santanna(data)}
    return out | {f"{s}_square": float(np.mean([(v[k] - true[k]) ** 2 for k in true])) for s, v in sources.items()}


def at_modes(panels: list[Panel], seeds: list[int]) -> Iterator[Callable]:
    """Effects of each panel given the mode of its scales; the density is compiled once for all panels of a design."""
    spec = StaggeredDiD("y", leads=False)
    with single_threaded_algebra():
        collapsed = (spec.collapse(panel) for panel in panels)
        for (one, mode), panel, seed in zip(posterior_modes(spec, collapsed), panels, seeds, strict=True):
            dataset, regions = draws_at_mode(spec, one, mode, DRAWS, seed), tuple(panel.regions.tolist())
            yield partial(_effects, dataset, regions)


def _effects(dataset, regions: tuple[str, ...], by: str):
    return effects.estimates(dataset, by, "att", "rows", LEVEL, False, regions, "Bayes, mode of the scales")


def by_nuts(panels: list[Panel], seeds: list[int]) -> Iterator[Callable]:
    for panel, seed in zip(panels, seeds, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # so few draws do not pass the gate; they estimate a 90 % interval well enough
            fit = StaggeredDiD("y", leads=False).fit(panel, seed=seed, draws=300, tune=300, chains=2, progress=False)
        yield partial(fit.att, level=LEVEL)


def run(name: str, count: int, first_seed: int = 7000, nuts: bool = False) -> list[dict]:
    """Panels with seeds from ``first_seed`` on; those already stored are read."""
    file = f"did_{name.replace(' ', '_')}{'_nuts' if nuts else ''}"

    def made(seeds: list[int]) -> Iterator[dict]:
        simulated = [simulate(DESIGNS[name], seed) for seed in seeds]
        fits = (by_nuts if nuts else at_modes)([data.panel() for data in simulated], seeds)
        for seed, data, att in zip(seeds, simulated, fits, strict=True):
            yield record(data, seed, att)

    return kept(file, range(first_seed, first_seed + count), made)


def summary(records: list[dict]) -> dict[str, float]:
    frame = pd.DataFrame(records)
    error = frame["estimate"] - frame["truth"]
    return {
        "panels": len(frame),
        "coverage": frame["covered"].mean(),
        "coverage se": np.sqrt(frame["covered"].mean() * (1 - frame["covered"].mean()) / len(frame)),
        "bias": error.mean(),
        "bias se": error.std(ddof=1) / np.sqrt(len(frame)),
        "sd / RMSE": frame["sd"].mean() / np.sqrt((error**2).mean()),
        "RMSE / CS": np.sqrt(frame["bayes_square"].mean() / frame["cs_square"].mean()),
        "RMSE / OLS": np.sqrt(frame["bayes_square"].mean() / frame["ols_square"].mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Calibration of staggered difference-in-differences on synthetic panels.")
    parser.add_argument("design", choices=[*DESIGNS, "all"])
    parser.add_argument("count", type=int)
    parser.add_argument("--first-seed", type=int, default=7000)
    parser.add_argument("--nuts", action="store_true", help="sample the posterior of every panel instead of taking the mode of its scales")
    chosen = parser.parse_args()
    names = list(DESIGNS) if chosen.design == "all" else [chosen.design]
    table = {name: summary(run(name, chosen.count, chosen.first_seed, chosen.nuts)) for name in names}
    print(pd.DataFrame(table).T.to_string(float_format=lambda v: f"{v:.3f}"))


if __name__ == "__main__":
    main()

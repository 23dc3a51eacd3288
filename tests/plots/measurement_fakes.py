"""SYNTHETIC estimates shaped like those of bayes.measure: made-up numbers with their estimands, terms and notes. No number is a finding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes.estimates import Estimates
from tests.reporting.frontier_fakes import state_frame

INFEASIBLE = "infeasible: the reference units cannot be brought to this point in this direction"


def divisions(n: int = 9) -> list[str]:
    """Names of the nine census divisions."""
    return sorted(state_frame().census_division.unique())[:n]


def from_draws(rows: Sequence[dict], draws: np.ndarray, interval: str = "equal-tailed posterior") -> Estimates:
    out = Estimates.from_draws(rows, draws)
    out.frame["interval"] = interval
    return out


def malmquist(
    regions: Sequence[str] = (), periods: Sequence[int] = range(1971, 1987), cumulative: bool = False, draws: int = 0, seed: int = 0
) -> Estimates:
    """FGNZ indices by region and period (or by period): malmquist = ec × tc and ec = ptec × sec, in each draw."""
    rng = np.random.default_rng(seed)
    rows, values = [], []
    for number, region in enumerate(regions or [""]):
        shape = (max(draws, 1), len(periods))
        drift = 0.004 * (number - 2)
        logs = {"tc": rng.normal(0.012 + drift, 0.02, len(periods)), "ptec": rng.normal(-0.002, 0.015, len(periods))}
        logs |= {"sec": rng.normal(0.001, 0.006, len(periods))}
        logs = {name: value + rng.normal(0, 0.006, shape) for name, value in logs.items()}
        logs["ec"] = logs["ptec"] + logs["sec"]
        logs["malmquist"] = logs["ec"] + logs["tc"]
        term = "region:period" if regions else "period"
        variant, source = "cumulative" if cumulative else "", "Malmquist (FGNZ), output, CRS"
        for name in ("malmquist", "ec", "tc", "ptec", "sec"):
            path = np.exp(np.cumsum(logs[name], axis=1) if cumulative else logs[name])
            labels = {"estimand": name, "term": term, "variant": variant, "region": region, "source": source}
            rows += [labels | {"period": float(period)} for period in periods]
            values.append(path.T)
    stacked = np.vstack(values)
    if draws:
        return from_draws(rows, stacked, "Simar–Wilson bootstrap")
    return Estimates.from_rows([row | {"estimate": value} for row, value in zip(rows, stacked[:, 0], strict=True)])


def frontier_productivity(regions: Sequence[str] = (), periods: Sequence[int] = range(1971, 1987), cumulative: bool = False) -> Estimates:
    """Total productivity of a frontier beside :func:`malmquist`."""
    found = malmquist(regions, periods, cumulative, draws=80, seed=4).where(estimand=["malmquist", "tc", "ec"])
    frame = found.frame.assign(source="Bayes, true random effects", interval="equal-tailed posterior")
    frame["estimand"] = frame["estimand"].replace("malmquist", "tfpc")
    return Estimates(frame, found.draws)


def efficiency(
    units: pd.DataFrame | None = None, periods: Sequence[int] = range(1970, 1987), lost: float = 0.02, seed: int = 1
) -> Estimates:
    """Scores of every unit and period, some without a solution. ``units`` has the columns unit and region; by default 48 states."""
    rng = np.random.default_rng(seed)
    units = states() if units is None else units
    level = rng.normal(0, 0.6, len(units)) + units["region"].map(lambda name: (hash_of(name) % 7) / 5)
    rows = []
    for (unit, region), start in zip(units.itertuples(index=False), level, strict=True):
        path = 1 / (1 + 0.35 * np.exp(-start - np.cumsum(rng.normal(0.01, 0.1, len(periods)))))
        for period, value in zip(periods, path, strict=True):
            none = rng.random() < lost
            note = INFEASIBLE if none else ""
            rows.append(
                {"unit": unit, "region": region, "period": period, "estimate": np.nan if none else min(value * 1.05, 1.0), "note": note}
            )
    frame = pd.DataFrame(rows).assign(estimand="efficiency", term="unit:period", source="DEA, output-oriented, VRS")
    return Estimates.from_rows(frame.assign(identified=frame["estimate"].notna()))


def hash_of(name: str) -> int:
    return sum(map(ord, name))


def states() -> pd.DataFrame:
    frame = state_frame()
    return pd.DataFrame({"unit": frame.state, "region": frame.census_division})


def cities(n: int = 285, regions: int = 12) -> pd.DataFrame:
    """Invented cities in invented provinces of very unequal size."""
    sizes = np.maximum((np.arange(1, regions + 1) ** 1.5 / (np.arange(1, regions + 1) ** 1.5).sum() * n).astype(int), 1)
    sizes[-1] += n - sizes.sum()
    names = np.repeat([f"Province {chr(65 + k)}" for k in range(regions)], sizes)
    return pd.DataFrame({"unit": [f"City {k:03d}" for k in range(n)], "region": names})


def inequality(estimand: str = "dagum_gini", periods: Sequence[int] = range(2006, 2021), draws: int = 0, seed: int = 2) -> Estimates:
    """Parts of an index of inequality that add up in each draw, with rows of regions and shares as the measures have them."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, len(periods))
    parts = {"within": 0.055 - 0.01 * t, "between": 0.16 - 0.06 * t}
    parts |= {"transvariation": 0.04 + 0.02 * t} if estimand == "dagum_gini" else {}
    noisy = {name: value + rng.normal(0, 0.004, (max(draws, 1), len(periods))) for name, value in parts.items()}
    noisy["total"] = sum(noisy.values())
    noisy["region total"] = 0.8 * noisy["total"]
    rows, values = [], []
    for name, value in noisy.items():
        labels = {"estimand": estimand, "term": name.split()[-1], "region": "East" if " " in name else "", "source": "energy_per_person"}
        rows += [labels | {"period": period, "n_obs": 30} for period in periods]
        rows += [labels | {"period": period, "n_obs": 30, "estimand": f"{estimand}_share"} for period in periods]
        values += [value.T, (value / noisy["total"]).T]
    stacked = np.vstack(values)
    if draws:
        return from_draws(rows, stacked)
    return Estimates.from_rows([row | {"estimate": value} for row, value in zip(rows, stacked[:, 0], strict=True)])


def clubs(units: pd.DataFrame | None = None, shares: bool = False, n_clubs: int = 3, seed: int = 3) -> Estimates:
    """Club of every unit, some in none; with the share of draws that find it."""
    rng = np.random.default_rng(seed)
    units = states() if units is None else units
    club = (rng.integers(0, 3, len(units)) + units["region"].map(hash_of)) % (n_clubs + 1)
    club = club.where((club > 0) | (rng.random(len(units)) < 0.25), 1).astype(float)
    frame = units.assign(estimand="club", term="unit", source="log_gsp", estimate=club)
    frame["note"] = np.where(club == 0, "in no club: diverges", "")
    if shares:
        frame["prob_positive"] = rng.uniform(0.35, 1.0, len(units))
    return Estimates.from_rows(frame)


def paths(periods: Sequence[int] = range(1970, 1987), with_units: bool = False, seed: int = 5) -> Estimates:
    """Relative transition paths of three clubs and of the units in none, with rows of the clubs' units where asked for."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, len(periods))
    shapes = {"club 1": 1.12 + 0.05 * t, "club 2": 1.01 - 0.02 * t, "club 3": 0.9 - 0.01 * t, "no club": 0.97 - 0.18 * t**2}
    sizes = {"club 1": 11, "club 2": 24, "club 3": 10, "no club": 3}
    rows = []
    for term, path in shapes.items():
        labels = {"estimand": "relative_transition", "term": term, "source": "log_gsp", "n_obs": sizes[term]}
        rows += [labels | {"period": float(p), "estimate": value} for p, value in zip(periods, path, strict=True)]
        for k in range(sizes[term] if with_units else 0):
            own = path + rng.normal(0, 0.05) * (1 - 0.7 * t) + np.cumsum(rng.normal(0, 0.004, len(periods)))
            one = {"estimand": "relative_transition", "term": term, "unit": f"{term} unit {k}", "source": "log_gsp"}
            rows += [one | {"period": float(p), "estimate": value} for p, value in zip(periods, own, strict=True)]
    return Estimates.from_rows(rows)


def transitions(k: int = 5, regions: Sequence[str] = (), draws: int = 100, empty: int | None = None, seed: int = 6) -> Estimates:
    """Dirichlet rows and their long run, and frequencies beside; no move starts in class ``empty`` (counted from 1)."""
    rng = np.random.default_rng(seed)
    labels, values = [], []
    for region in regions or [""]:
        near = np.exp(-1.6 * np.abs(np.subtract.outer(np.arange(k), np.arange(k)) + rng.normal(0, 0.15)))
        counts = rng.poisson(60 * near / near.sum(axis=1, keepdims=True))
        if empty:
            counts[empty - 1] = 0
        matrix = np.stack([rng.dirichlet(row + 1 / k, draws) for row in counts], axis=1)
        long_run = np.stack([np.linalg.matrix_power(m, 256)[0] for m in matrix])
        for i in range(k):
            idle = counts[i].sum() == 0
            note = f"no transition starts in class {i + 1}: the prior alone" if idle else f"{counts.sum()} moves"
            own = {"region": region, "source": "log_gsp", "variant": "posterior", "term": str(i + 1), "note": note}
            labels += [own | {"estimand": "transition", "term_to": str(j + 1), "identified": not idle} for j in range(k)]
            values += [matrix[:, i, j] for j in range(k)]
        labels += [
            {"region": region, "source": "log_gsp", "variant": "posterior", "estimand": "ergodic", "term": str(i + 1)} for i in range(k)
        ]
        values += list(long_run.T)
    posterior = from_draws(labels, np.array(values))
    point = posterior.frame.assign(variant="frequency", lower=np.nan, upper=np.nan, level=np.nan, interval="")
    idle = ~point["identified"]
    point.loc[idle, "estimate"] = np.nan
    return posterior + Estimates.from_rows(point, np.full((len(point), draws), np.nan))


def weights(draws: int = 300, seed: int = 7) -> Estimates:
    """Entropy weights of indicators with a bootstrap, beside index rows by dimension."""
    rng = np.random.default_rng(seed)
    names = ["gdp_per_person", "patents_per_10000", "rail_density", "doctors_per_1000", "sulphur_dioxide", "constant_one"]
    drawn = rng.dirichlet([12, 30, 18, 9, 6, 1e-3], draws).T
    rows = [{"estimand": "weight", "term": name, "note": "benefit"} for name in names]
    index = [
        {"estimand": "index", "term": term, "unit": unit, "region": "East", "period": period}
        for term in ("economy", "overall")
        for unit in ("Jiangsu", "Fujian")
        for period in (2010, 2011, 2012)
    ]
    found = from_draws(rows + index, np.vstack([drawn, rng.uniform(0.2, 0.7, (len(index), draws))]), "Bayesian bootstrap over units")
    return Estimates(found.frame, found.draws, "Composite index (topsis, entropy weights)")

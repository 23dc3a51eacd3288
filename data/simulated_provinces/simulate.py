"""Simulated panel of 30 Chinese provinces, 2008–2018. Names and regions are facts; every number is drawn.

Four blocks of columns share provinces and years but no random numbers: industry and output, productivity, coordination, two-way link.
Each block holds truths of its own, which ``truth.csv`` lists; card.md says what no single process could hold.

Run it:  python data/simulated_provinces/simulate.py        (writes panel.csv and truth.csv beside it)
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
YEARS = np.arange(2008, 2019)
PROVINCES = {
    "East": (*("Beijing", "Tianjin", "Hebei", "Liaoning", "Shanghai", "Jiangsu", "Zhejiang", "Fujian", "Shandong", "Guangdong", "Hainan"),),
    "Central": ("Shanxi", "Jilin", "Heilongjiang", "Anhui", "Jiangxi", "Henan", "Hubei", "Hunan"),
    "West": (
        *("Inner Mongolia", "Guangxi", "Chongqing", "Sichuan", "Guizhou", "Yunnan", "Shaanxi", "Gansu", "Qinghai", "Ningxia", "Xinjiang"),
    ),
}
REGIONS = tuple(PROVINCES)
SIZES = np.array([len(names) for names in PROVINCES.values()])

# Printed estimates by the text's reading (East, Central, West); where nothing is printed, see card.md.
DIRECT = np.array([0.248, 0.449, 0.274])
SHARE_EFFECT = {"secondary_share": np.array([0.015, 0.023, 0.025]), "tertiary_share": np.array([0.003, 0.015, 0.016])}
DRIVING = {"secondary_share": np.array([6.458, 2.594, 0.5]), "tertiary_share": np.array([5.124, 3.0714, 3.0714])}

# Drawn truths of the other blocks.
TECHNICAL_CHANGE = 1.05
EFFICIENCY_CHANGE = np.array([1.0, 1.004, 1.008])
INCOME_SLOPE = np.array([-0.08, -0.10, -0.09])
INCOME_CONDITIONS = {"net_migration": 0.010, "spending_share": -0.0010}
FINANCE_SLOPE = 0.02
LENT = np.array([0.92, 0.72, 0.62])
RURAL_LENT = 0.45
OWN_LAG = {"innovation_capacity": 0.5, "economic_vitality": 0.4}
CROSS_LAG = {"innovation_capacity": np.array([0.25, 0.20, 0.15]), "economic_vitality": np.array([0.10, 0.20, 0.15])}
"""Effect of the key's last value on the other column, in logs; East, Central, West."""


def simulate(seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Panel (30 provinces × 11 years) and truth (estimand, term, region, estimate, note), floats rounded to six significant digits.

    Every block draws from a stream of its own, so that a change to one leaves the others as they were.
    """
    streams = [np.random.default_rng([seed, block]) for block in range(4)]
    code = np.repeat(np.arange(3), SIZES)
    people = population(streams[2], code)
    industry = industry_and_output(streams[0], code)
    made = production(streams[1], code, industry["gdp_per_head"], people["population"])
    columns = industry | made | people | coordination(streams[2], code, people) | two_way_link(streams[3], code)
    names = np.array([name for names in PROVINCES.values() for name in names])
    index = {"province": np.repeat(names, YEARS.size), "year": np.tile(YEARS, names.size), "region": np.repeat(REGIONS, SIZES * YEARS.size)}
    panel = pd.DataFrame(index | {name: rounded(values.ravel()) for name, values in columns.items()})
    return panel.sort_values(["province", "year"], ignore_index=True), truth()


def industry_and_output(rng: np.random.Generator, code: np.ndarray) -> dict[str, np.ndarray]:
    """Innovation, shares of secondary and tertiary industry, output per head.

    share_k = α_i + λ_t + a_kr ln innovation + e, ln output per head = α_i + λ_t + c_r ln innovation + Σ_k b_kr share_k + e.
    """
    shape, year = (code.size, YEARS.size), np.arange(YEARS.size)
    start = np.log([150.0, 90.0, 75.0])[code, None] + rng.uniform(-0.25, 0.25, (code.size, 1))
    innovation = start + 0.04 * year + autoregressive(rng, shape, 0.10, 0.4)
    moved = innovation - start
    base = {"secondary_share": np.array([47.0, 47.0, 46.0]), "tertiary_share": np.array([41.0, 38.0, 37.0])}
    drift, noise = {"secondary_share": -0.8, "tertiary_share": 0.65}, {"secondary_share": 0.6, "tertiary_share": 1.5}
    shares = {}
    for name, a in DRIVING.items():
        own = base[name][code, None] + rng.uniform(-1.5, 1.5, (code.size, 1))
        common = drift[name] * year + rng.normal(0, 0.2, year.size)
        shares[name] = own + common + a[code, None] * moved + autoregressive(rng, shape, noise[name], 0.4)
    output = np.log([37000.0, 19500.0, 17500.0])[code, None] + rng.uniform(-0.3, 0.3, (code.size, 1))
    output = output + 0.082 * year + rng.normal(0, 0.01, year.size) + DIRECT[code, None] * moved
    for name, b in SHARE_EFFECT.items():
        output = output + b[code, None] * (shares[name] - base[name][code, None])
    output = output + autoregressive(rng, shape, 0.038, 0.4)
    return {"gdp_per_head": np.exp(output), "innovation": np.exp(innovation), **shares}


def production(rng: np.random.Generator, code: np.ndarray, per_head: np.ndarray, people: np.ndarray) -> dict[str, np.ndarray]:
    """Output, capital and labour with a known frontier: ln Y = ln A_t − u_it + ½ ln K + ½ ln L + v, u ≥ 0 falling at a regional rate.

    Capital is what makes this hold for the output of the first block; v is that output's deviation from its own linear trend.
    """
    year = np.arange(YEARS.size)
    gdp = per_head * people / 1e4
    labor = people * rng.uniform(0.52, 0.60, (code.size, 1)) * np.exp(autoregressive(rng, gdp.shape, 0.003, 0.5))
    lowest, highest = np.array([0.0, 0.50, 0.65])[code], np.array([0.10, 0.75, 0.95])[code]
    inefficiency = rng.uniform(lowest, highest)[:, None] - np.log(EFFICIENCY_CHANGE)[code, None] * year
    slope, level = np.polyfit(year, np.log(gdp).T, 1)
    trend = level[:, None] + slope[:, None] * year
    frontier = 0.75 + np.log(TECHNICAL_CHANGE) * year
    capital = np.exp(2 * (trend - frontier + inefficiency) - np.log(labor))
    return {"gdp": gdp, "capital": capital, "labor": labor}


def population(rng: np.random.Generator, code: np.ndarray) -> dict[str, np.ndarray]:
    """People, net migration and the spending share of local government."""
    shape = (code.size, YEARS.size)
    migration = np.array([0.5, -0.3, -0.35])[code, None] + autoregressive(rng, shape, 0.4, 0.7)
    spending = np.array([14.0, 19.0, 24.0])[code, None] + rng.uniform(-3, 3, (code.size, 1)) + autoregressive(rng, shape, 1.2, 0.6)
    first = np.exp(rng.normal(np.log(3900), 0.55, (code.size, 1)).clip(np.log(600), np.log(10500)))
    grown = np.cumprod(1 + 0.004 + migration[:, :-1] / 100, axis=1)
    people = first * np.column_stack([np.ones(code.size), grown])
    return {"population": people, "net_migration": migration, "spending_share": spending}


def coordination(rng: np.random.Generator, code: np.ndarray, people: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Incomes that converge within regions and not between them, finance that grows where it is large, credit that leaves the West."""
    n, years = code.size, YEARS.size
    income = [np.log([20500.0, 13000.0, 12000.0])[code] + rng.normal(0, 0.22, n)]
    finance = [np.log([42000.0, 17000.0, 15000.0])[code] + rng.normal(0, 0.25, n)]
    for t in range(years - 1):
        driven = sum(slope * people[name][:, t] for name, slope in INCOME_CONDITIONS.items())
        common = np.array([0.165, 0.095, 0.090])[code] + 0.0068 * t + rng.normal(0, 0.004)
        income.append(income[-1] + common + driven + INCOME_SLOPE[code] * (income[-1] - 9.5) + rng.normal(0, 0.008, n))
        grown = 0.12 + rng.normal(0, 0.006) + FINANCE_SLOPE * (finance[-1] - 10) + rng.normal(0, 0.02, n)
        finance.append(finance[-1] + grown)
    income, finance = np.column_stack(income), np.column_stack(finance)
    loans = np.exp(finance) * people["population"] / 1e4
    per_head = {"income_per_head": np.exp(income), "loans_per_head": np.exp(finance)}
    return {**per_head, **credit(rng, code, loans), **indicators(rng, income, finance)}


def credit(rng: np.random.Generator, code: np.ndarray, loans: np.ndarray) -> dict[str, np.ndarray]:
    """Loans and deposits of a province and of its countryside."""
    deposits = loans / (LENT[code, None] * np.exp(rng.normal(0, 0.02, loans.shape)))
    rural = deposits * np.array([0.18, 0.27, 0.28])[code, None] * np.exp(rng.normal(0, 0.03, loans.shape))
    return {
        "loans": loans, "deposits": deposits, "rural_loans": rural * RURAL_LENT * np.exp(rng.normal(0, 0.02, loans.shape)),
        "rural_deposits": rural,
    }  # fmt: skip


def indicators(rng: np.random.Generator, income: np.ndarray, finance: np.ndarray) -> dict[str, np.ndarray]:
    """What composite indices of finance and of the economy are made of, beside incomes and loans."""
    money, wealth = finance - 10.4, income - 10.1
    return {
        "insurance_depth": np.exp(np.log(2.6) + 0.35 * money + rng.normal(0, 0.06, money.shape)),
        "market_depth": np.exp(np.log(32.0) + 0.60 * money + rng.normal(0, 0.12, money.shape)),
        "bank_branches": np.exp(np.log(1.6) + 0.15 * money + rng.normal(0, 0.03, money.shape)),
        "urban_share": 100 / (1 + np.exp(-(0.25 + 1.1 * wealth + rng.normal(0, 0.05, money.shape)))),
        "trade_share": np.exp(np.log(24.0) + 0.9 * wealth + rng.normal(0, 0.10, money.shape)),
    }  # fmt: skip


def two_way_link(rng: np.random.Generator, code: np.ndarray) -> dict[str, np.ndarray]:
    """Two indices in logs, each driven by its own and the other's last value: z_t = λ_t + A_r z_t−1 + α_i + e; thirty years of run-up."""
    first, second = OWN_LAG
    lags = np.empty((code.size, 2, 2))
    lags[:, 0, 0], lags[:, 1, 1] = OWN_LAG.values()
    lags[:, 1, 0], lags[:, 0, 1] = CROSS_LAG[first][code], CROSS_LAG[second][code]
    level = np.log([[140.0, 130.0], [95.0, 100.0], [80.0, 90.0]])[code] + rng.normal(0, 0.15, (code.size, 2))
    own = level - np.einsum("ijk,ik->ij", lags, level)
    factor = 0.06 * np.array([[1.0, 0.0], [0.2, np.sqrt(0.96)]])
    z, kept = level, []
    for t in range(-30, YEARS.size):
        common = max(t, 0) * 0.02 + rng.normal(0, 0.02, 2)
        z = common + np.einsum("ijk,ik->ij", lags, z) + own + rng.normal(size=(code.size, 2)) @ factor.T
        kept += [np.exp(z)] if t >= 0 else []
    return {name: np.stack(kept, axis=1)[:, :, j] for j, name in enumerate((first, second))}


# ── truth ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def truth() -> pd.DataFrame:
    """What the panel was drawn with. Rows without a region are means over provinces, each counting once."""
    rows: list[dict[str, Any]] = []
    indirect = {name: DRIVING[name] * SHARE_EFFECT[name] for name in DRIVING}
    _add(rows, "direct", "all", DIRECT, "elasticity of output per head to innovation, shares held fixed")
    for name in DRIVING:
        _add(rows, "driving", name, DRIVING[name], "percentage points of the share per log unit of innovation")
        _add(rows, "mediator_effect", name, SHARE_EFFECT[name], "log points of output per head per percentage point of the share")
        _add(rows, "indirect", name, indirect[name], "elasticity: driving × mediator effect, by region, then averaged")
    _add(rows, "indirect", "all", sum(indirect.values()), "elasticity")
    _add(rows, "total", "all", DIRECT + sum(indirect.values()), "elasticity")
    _add(rows, "malmquist", "region", TECHNICAL_CHANGE * EFFICIENCY_CHANGE, "per year, without noise", geometric=True)
    _add(rows, "ec", "region", EFFICIENCY_CHANGE, "per year", geometric=True)
    _add(rows, "tc", "region", np.full(3, TECHNICAL_CHANGE), "per year", geometric=True)
    for cause, effect in zip(OWN_LAG, reversed(OWN_LAG), strict=True):
        _add(rows, "own_lag", f"log_{cause}", np.full(3, OWN_LAG[cause]), "from one year to the next")
        _add(rows, "cross_lag", f"log_{cause} → log_{effect}", CROSS_LAG[cause], "from one year to the next")
    _add(rows, "beta_slope", "income_per_head", INCOME_SLOPE, "growth of a year on the log level at its start; all: mean over provinces")
    for name, slope in INCOME_CONDITIONS.items():
        rows.append(_row("beta_condition", name, "", slope, "growth of income per head, per percentage point"))
    _add(rows, "beta_slope", "loans_per_head", np.full(3, FINANCE_SLOPE), "growth of a year on the log level at its start")
    rows += [_row("loan_deposit_ratio", "", r, v, "median over provinces and years") for r, v in zip(REGIONS, LENT, strict=True)]
    rows.append(_row("loan_deposit_ratio", "", "rural", RURAL_LENT, "median over provinces and years"))
    frame = pd.DataFrame(rows)
    return frame.assign(estimate=rounded(frame["estimate"].to_numpy()))


def _add(rows: list[dict[str, Any]], estimand: str, term: str, values: np.ndarray, note: str, geometric: bool = False) -> None:
    rows += [_row(estimand, term, region, value, note) for region, value in zip(REGIONS, values, strict=True)]
    weights = SIZES / SIZES.sum()
    rows.append(_row(estimand, term, "", np.exp(weights @ np.log(values)) if geometric else weights @ values, note))


def _row(estimand: str, term: str, region: str, estimate: float, note: str) -> dict[str, Any]:
    return {"estimand": estimand, "term": term, "region": region, "estimate": float(estimate), "note": note}


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def autoregressive(rng: np.random.Generator, shape: tuple[int, int], sd: float, rho: float) -> np.ndarray:
    """Stationary first-order autoregressions, one a row."""
    x = rng.normal(0, sd, shape)
    for t in range(1, shape[1]):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * x[:, t]
    return x


def rounded(values: np.ndarray) -> np.ndarray:
    """Six significant digits, so that the file holds the numbers exactly."""
    return np.array([float(f"{v:.6g}") for v in values])


if __name__ == "__main__":
    for name, table in zip(("panel", "truth"), simulate(), strict=True):
        table.to_csv(HERE / f"{name}.csv", index=False, lineterminator="\n")

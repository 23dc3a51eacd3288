"""Simulated industry of the Yangtze River Economic Belt, 11 provinces, 2005–2020: names and reaches are facts, every number is drawn.

The truth is what the thesis states in words (data/published/yangtze_green_tfp.csv), written as equations; card.md gives them.

Run it:  python data/simulated_yangtze_industry/simulate.py        (writes panel.csv and truth.csv beside itself)
"""

from pathlib import Path

import numpy as np
import pandas as pd

REACHES = {
    "downstream": ("Anhui", "Jiangsu", "Shanghai", "Zhejiang"),
    "midstream": ("Hubei", "Hunan", "Jiangxi"),
    "upstream": ("Chongqing", "Guizhou", "Sichuan", "Yunnan"),
}
PROVINCES = [province for members in REACHES.values() for province in members]
CODES = np.repeat(np.arange(3), [len(members) for members in REACHES.values()])
YEARS = np.arange(2005, 2021)
FIRST, MIDDLE, N = YEARS - YEARS[0], YEARS - YEARS.mean(), len(PROVINCES)
EFFECT = {  # δ in σ_u·exp(z'δ): output, then energy, per unit of the column; negative supports productivity
    "government_spending": (-0.22, -0.22),
    "openness": (-0.055, -0.055),
    "economic_development": (-1.7, -1.7),
    "non_state_share": (0.06, 0.06),
    "environmental_regulation": (2.6, 2.6),
    "financial_flexibility": (2.0, 2.0),
}
OUTPUT = np.array(  # by reach: intercept, elasticities of capital and labour, technical change a year
    [(1.05, 0.45, 0.47, 0.020), (0.72, 0.46, 0.46, 0.045), (0.42, 0.47, 0.45, 0.045)]
)
ENERGY = np.array(  # by reach: intercept, elasticities of output, capital and labour, change a year
    [(-1.05, 0.75, 0.15, 0.05, -0.020), (-0.85, 0.755, 0.15, 0.05, -0.035), (-0.68, 0.76, 0.15, 0.05, -0.035)]
)
CONTENT = np.array([(-3.00, -0.035), (-2.97, -0.038), (-2.94, -0.038)])
"""By reach: ln of tonnes of sulphur dioxide per ten tonnes of standard coal in the middle year, and its change a year."""
INEFFICIENCY = np.array([0.13, 0.045, 0.095])
"""By reach: σ_u of half-normal inefficiency at the means of the determinants."""
NOISE, EVENING_OUT = 0.03, -0.7
"""σ_v at the mean of technology exchange, and the effect of a percentage point of exchange on its logarithm."""
DIFFUSION = 0.05
"""Share of the distance in ln GDP per head that a province closes in a year, per percentage point of technology exchange."""


def simulate(seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The panel, 11 × 16 rows, and the truth behind it. Floats are rounded to six significant digits."""
    rng = np.random.default_rng(seed)
    z = determinants(rng)
    centred = np.stack([z[name] - z[name].mean() for name in EFFECT])
    uneven = NOISE * np.exp(EVENING_OUT * (z["technology_exchange"] - z["technology_exchange"].mean()))
    capital, labor = inputs(rng)

    best = frontiers(OUTPUT, capital, labor)
    scale, u = inefficiency(rng, 0, centred)
    output = own(best) - u + uneven * rng.standard_normal(u.shape)
    truth = levels("economic", 1, OUTPUT, best, u) + effects("economic", 0, scale) + distances("output", best.max(axis=0) - own(best) + u)

    least = frontiers(ENERGY, output, capital, labor)
    scale, u = inefficiency(rng, 1, centred)
    energy = own(least) + u + uneven * rng.standard_normal(u.shape)
    truth += levels("energy", -1, ENERGY, least, u) + effects("energy", 1, scale)

    content = (CONTENT[:, :1] + CONTENT[:, 1:] * MIDDLE)[:, None]
    so2 = energy + own(np.broadcast_to(content, least.shape)) + 0.02 * rng.standard_normal(u.shape)
    truth += distances("emission", own(least + content) + u - (least + content).min(axis=0))

    logs = {"industrial_output": output, "capital": capital, "labor": labor, "energy": energy, "so2": so2}
    columns = {name: np.exp(values) for name, values in logs.items()} | z
    keys = {"province": np.repeat(PROVINCES, YEARS.size), "reach": np.array(list(REACHES))[np.repeat(CODES, YEARS.size)]}
    frame = pd.DataFrame(keys | {"year": np.tile(YEARS, N)} | {name: rounded(values.ravel()) for name, values in columns.items()})
    rows = pd.DataFrame(truth)[["estimand", "term", "variant", "region", "unit", "period", "estimate", "note"]]
    rows[["region", "unit"]] = rows[["region", "unit"]].fillna("")
    return frame, rows.assign(estimate=rounded(rows["estimate"].to_numpy()))


# ── what is drawn, arrays (provinces, years) ────────────────────────────────────────────────────────────────────────


def determinants(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Columns around a start by reach, with a trend and an autoregression; GDP per head catches up by technology exchange."""

    def column(start: tuple[float, ...], between: float, trend: float, within: float) -> np.ndarray:
        return (np.array(start)[CODES] + between * rng.standard_normal(N))[:, None] + trend * FIRST + wandering(rng, within)

    exchange = np.exp(rng.normal(-0.5, 0.5, N))[:, None] * np.exp(0.07 * FIRST + wandering(rng, 0.08))
    development = np.empty((N, YEARS.size))
    development[:, 0] = np.array([10.0, 9.6, 9.5])[CODES] + rng.normal(0, 0.15, N)
    for t in FIRST[1:]:
        behind = development[:, t - 1].max() - development[:, t - 1]
        development[:, t] = development[:, t - 1] + 0.03 + DIFFUSION * exchange[:, t - 1] * behind
    return {
        "government_spending": column((15.0, 16.0, 16.5), 0.5, 0.10, 1.8),
        "openness": column((30.0, 21.0, 18.0), 2.0, 0.3, 7.0),
        "economic_development": development + wandering(rng, 0.20),
        "non_state_share": column((58.0, 55.0, 52.0), 2.0, 0.3, 4.0),
        "environmental_regulation": column((0.38, 0.40, 0.42), 0.03, 0.0, 0.09),
        "financial_flexibility": column((1.20, 1.05, 1.10), 0.04, 0.01, 0.12),
        "technology_exchange": exchange,
    }


def inputs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """ln capital and ln labour."""
    size = np.array([0.6, 0.0, -0.3])[CODES] + 0.35 * rng.standard_normal(N)
    capital = (8.0 + size)[:, None] + (0.105 + 0.01 * rng.standard_normal(N))[:, None] * FIRST + wandering(rng, 0.05)
    labor = (5.4 + 0.9 * size + 0.14 * rng.standard_normal(N))[:, None] + (0.02 + 0.008 * rng.standard_normal(N))[:, None] * FIRST
    return capital, labor + wandering(rng, 0.04)


def inefficiency(rng: np.random.Generator, dimension: int, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """σ_u·exp(z'δ), and u drawn from the half-normal of that scale."""
    scale = INEFFICIENCY[CODES][:, None] * np.exp(np.tensordot([pair[dimension] for pair in EFFECT.values()], z, 1))
    return scale, scale * np.abs(rng.standard_normal(scale.shape))


def wandering(rng: np.random.Generator, sd: float, correlation: float = 0.5) -> np.ndarray:
    """Stationary first-order autoregressions."""
    out = rng.standard_normal((N, YEARS.size))
    for t in FIRST[1:]:
        out[:, t] = correlation * out[:, t - 1] + np.sqrt(1 - correlation**2) * out[:, t]
    return sd * out


def frontiers(table: np.ndarray, *logs: np.ndarray) -> np.ndarray:
    """The frontier of every reach at the inputs of every province and year, (reaches, provinces, years)."""
    slopes = np.tensordot(table[:, 1:-1], np.stack(logs), 1)
    return table[:, :1, None] + slopes + table[:, -1:, None] * MIDDLE


def own(values: np.ndarray) -> np.ndarray:
    """Of (reaches, provinces, years) those of each province's own reach."""
    return values[CODES, np.arange(N)]


# ── the truth ───────────────────────────────────────────────────────────────────────────────────────────────────────


def levels(name: str, sign: int, table: np.ndarray, best: np.ndarray, u: np.ndarray) -> list[dict]:
    """Levels over what the average technology of the middle year would make of the same inputs, their trends and their catching up."""
    average = (best - table[:, -1:, None] * MIDDLE)[CODES].mean(axis=0)
    logs = sign * (own(best) - average) - u
    logs -= logs.mean()
    rows = []
    for r, reach in enumerate(REACHES):
        common = {"term": "region", "variant": name, "region": reach}
        part = logs[np.equal(CODES, r)]
        rows.append(common | {"estimand": "productivity_level", "estimate": np.exp(part.mean()), "note": "1 is the mean of all rows"})
        slope = (part @ MIDDLE).mean() / (MIDDLE @ MIDDLE)
        rows.append(common | {"estimand": "productivity_trend", "estimate": slope, "note": "slope of the log level, per year"})
    growth = (logs[:, -1] - logs[:, 0]) / FIRST[-1]
    slope = np.polyfit(logs[:, 0], growth, 1)[0]
    note = "growth of the true level on its start, least squares over the provinces"
    return [*rows, {"estimand": "beta_slope", "term": "all", "variant": name, "estimate": slope, "note": note}]


def effects(name: str, dimension: int, scale: np.ndarray) -> list[dict]:
    """Mean effects of determinants on log efficiency, and that of technology exchange on the noise."""
    common = {"variant": name, "note": "per unit of the column"}
    mean = np.sqrt(2 / np.pi) * scale.mean()
    rows = [
        common | {"estimand": "log_efficiency_effect", "term": column, "estimate": -pair[dimension] * mean}
        for column, pair in EFFECT.items()
    ]
    return [*rows, common | {"estimand": "log_noise_effect", "term": "technology_exchange", "estimate": EVENING_OUT}]


def distances(name: str, gap: np.ndarray) -> list[dict]:
    """Distance of every province to the best practice of all reaches in the last year."""
    common = {"estimand": f"{name}_distance", "term": "unit", "variant": "no convergence", "period": YEARS[-1], "note": "log points"}
    labels = zip(PROVINCES, np.array(list(REACHES))[CODES], gap[:, -1], strict=True)
    return [common | {"unit": province, "region": reach, "estimate": value} for province, reach, value in labels]


def rounded(values: np.ndarray) -> np.ndarray:
    return np.array([float(f"{v:.6g}") for v in values])


if __name__ == "__main__":
    for name, frame in zip(("panel", "truth"), simulate(), strict=True):
        frame.to_csv(Path(__file__).resolve().parent / f"{name}.csv", index=False)

"""A SIMULATED panel of 285 Chinese cities, 2009–2019. Names, provinces, regions and pilot dates are facts; every other number is drawn.

``simulate(seed)`` gives the panel and its truth. Run as a script it writes panel.csv and truth.csv beside itself, from seed 1.

Printed means and standard deviations (Liu, Table 1) hold exactly, by this device: a column is city level + everything that moves within
cities. The moving part, with the effects, is drawn as it is; location and scale of the city level are then solved from the two
moments. City levels are absorbed by fixed effects, so that this disturbs no truth.
"""

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
YEARS = np.arange(2009, 2020)

PREFECTURE_CITIES = {
    "East": {"Beijing": 1, "Tianjin": 1, "Hebei": 11, "Shanghai": 1, "Jiangsu": 13, "Zhejiang": 11, "Fujian": 9, "Shandong": 16,
             "Guangdong": 21, "Hainan": 2},
    "Central": {"Shanxi": 11, "Anhui": 16, "Jiangxi": 11, "Henan": 17, "Hubei": 12, "Hunan": 13},
    "West": {"Inner Mongolia": 9, "Guangxi": 14, "Chongqing": 1, "Sichuan": 18, "Guizhou": 4, "Yunnan": 8, "Tibet": 1, "Shaanxi": 10,
             "Gansu": 12, "Qinghai": 1, "Ningxia": 5, "Xinjiang": 2},
    "Northeast": {"Liaoning": 14, "Jilin": 8, "Heilongjiang": 12},
}  # fmt: skip
"""Cities at prefecture level in all years, by province: a fact."""

PRINTED = {  # mean and standard deviation, Liu, Table 1
    "npro": (0.046, 0.068),
    "lgdp": (16.459, 0.950),
    "nhs": (8.677, 14.757),
    "ltep": (10.206, 1.401),
    "ids": (0.087, 0.052),
    "nip": (0.021, 0.068),
}
COEFFICIENTS = {"lgdp": 0.006, "nhs": 0.002, "ltep": 0.006}  # Liu, Table 2, column (4)
MEDIATOR_EFFECTS = {"ids": 0.2, "nip": 0.5}
TOTAL = {"East": 0.024, "Central": 0.018, "West": 0.013, "Northeast": 0.011}  # 0.020 over treated rows: Table 2, column (4)
DRIVING = {  # 0.022 and 0.012 over treated rows: Table 3
    "ids": {"East": 0.028, "Central": 0.020, "West": 0.011, "Northeast": 0.011},
    "nip": {"East": 0.014, "Central": 0.011, "West": 0.008, "Northeast": 0.008},
}
UNIT_EFFECT_SD = {"npro": 0.010, "ids": 0.010, "nip": 0.004}
ERRORS = {"npro": (0.003, 0.5), "ids": (0.008, 0.5), "nip": (0.0015, 0.5)}  # sd, autocorrelation
INDICATORS = {  # origin, slope on npro, sd of the logarithm of the error
    "average_wage": (31000.0, 240000.0, 0.07),
    "tertiary_share": (0.03, 0.55, 0.07),
    "research_staff": (150.0, 160000.0, 0.09),
    "ai_firms": (1.0, 6500.0, 0.09),
    "emerging_output": (4.0, 9000.0, 0.08),
    "broadband_users": (120.0, 11000.0, 0.08),
    "robot_density": (0.5, 260.0, 0.09),
    "invention_applications": (40.0, 190000.0, 0.09),
}


def simulate(seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Panel and truth. Floats have six significant digits, so that the files hold exactly these numbers."""
    frame, effects = draw(seed)
    return frame.apply(six_digits), truth_of(frame, effects).apply(six_digits)


def draw(seed: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The panel, unrounded, and the effect of being a pilot in each of its rows: on npro (total) and on each mediator."""
    rng = np.random.default_rng(seed)
    cities = list_of_cities()
    event = YEARS - cities["first_treated"].to_numpy()[:, None]
    treated = event >= 0
    size = rng.normal(size=len(cities)) + large(cities)
    columns = covariates(rng, size, treated.any(axis=1))
    path = np.where(treated, 1 + 0.015 * np.clip(event, 0, 5), 0.0)
    effects, y = {}, np.zeros(treated.shape)
    for name, driving in DRIVING.items():
        effects[name] = regional(rng, cities["region"], path, treated, driving, UNIT_EFFECT_SD[name])
        columns[name] = with_city_levels(
            within(rng, size.size, name) + effects[name], around(rng, size, 0.5), LEVEL_SHAPE[name], *PRINTED[name]
        )
        y += MEDIATOR_EFFECTS[name] * since_first(columns[name])
    direct = {r: TOTAL[r] - sum(MEDIATOR_EFFECTS[m] * DRIVING[m][r] for m in DRIVING) for r in TOTAL}
    effects["direct"] = regional(rng, cities["region"], path, treated, direct, UNIT_EFFECT_SD["npro"])
    y += effects["direct"] + sum(b * since_first(columns[x]) for x, b in COEFFICIENTS.items()) + within(rng, size.size, "npro")
    columns["npro"] = with_city_levels(y, around(rng, size, 0.8), LEVEL_SHAPE["npro"], *PRINTED["npro"])
    if min(columns[c].min() for c in ("npro", "nhs", "ids", "nip")) <= 0:
        raise ValueError(f"Seed {seed} draws a value that is not positive. Take another.")
    effects["npro"] = effects["direct"] + sum(b * effects[m] for m, b in MEDIATOR_EFFECTS.items())
    columns["lnjp"] = 9.2 + 0.8 * size[:, None] + 0.05 * (YEARS - 2014) + 0.15 * treated + autoregression(rng, size.size, 0.08, 0.7)
    columns |= indicators(rng, columns["npro"])
    return long(cities, columns), effects


# ── cities ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def list_of_cities() -> pd.DataFrame:
    """285 cities: pilots by name, the others by province and number; first_treated is infinite where there is no pilot."""
    pilots = pd.read_csv(HERE / "pilots.csv")[["city", "rank", "province", "region", "first_treated", "status"]]
    others = []
    for region, provinces in PREFECTURE_CITIES.items():
        for province, count in provinces.items():
            named = int((pilots["province"] == province).sum())
            others += [(f"{province} {k:02d}", "", province, region, np.inf, "") for k in range(1, count - named + 1)]
    both = pd.concat([pilots, pd.DataFrame(others, columns=pilots.columns)], ignore_index=True)
    return both.sort_values("city", ignore_index=True)


def large(cities: pd.DataFrame) -> np.ndarray:
    """How much larger than others pilots are, by administrative rank, in standard deviations of size."""
    more = {"municipality": 3.0, "separately planned city": 2.0, "provincial capital": 1.7, "prefecture city": 1.0, "": 0.0}
    return cities["rank"].map(more).to_numpy()


def long(cities: pd.DataFrame, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """One row a city and year."""
    of = cities.loc[cities.index.repeat(YEARS.size)].reset_index(drop=True)
    frame = pd.DataFrame({"city": of["city"], "year": np.tile(YEARS, len(cities)), "province": of["province"], "region": of["region"]})
    frame["first_treated"] = of["first_treated"].where(np.isfinite(of["first_treated"])).astype("Int64")
    frame["date_status"] = of["status"]
    values = {c: columns[c].ravel() for c in ("npro", "lgdp", "nhs", "ltep", "ids", "nip", "lnjp", *INDICATORS)}
    return frame.assign(**values)


# ── what moves ──────────────────────────────────────────────────────────────────────────────────────────────────────


def covariates(rng: np.random.Generator, size: np.ndarray, pilot: np.ndarray) -> dict[str, np.ndarray]:
    """GDP, universities and technology expenditure. The treatment moves none; universities grow faster in (large) pilot cities from the
    first year on, which is what leaving them out would count as an effect."""
    n, t = size.size, YEARS - YEARS[0]
    gdp = 0.09 * t + autoregression(rng, n, 0.08, 0.7)
    growth = np.where(pilot, 3.6, 0.6) / 10 * np.exp(rng.normal(0, 0.4, n) - 0.08)
    universities = growth[:, None] * t + autoregression(rng, n, 0.8, 0.6)
    technology = 1.7 * (gdp - 0.09 * t) + 0.06 * t + autoregression(rng, n, 0.25, 0.5)
    return {
        "lgdp": with_city_levels(gdp, around(rng, size, 0.3), LEVEL_SHAPE["lgdp"], *PRINTED["lgdp"]),
        "nhs": with_city_levels(universities, around(rng, size, 0.4), LEVEL_SHAPE["nhs"], *PRINTED["nhs"]),
        "ltep": with_city_levels(technology, around(rng, size, 0.4), LEVEL_SHAPE["ltep"], *PRINTED["ltep"]),
    }


LEVEL_SHAPE = {"npro": 2.1, "lgdp": 0.0, "nhs": 1.9, "ltep": 0.0, "ids": 0.8, "nip": 2.5}
"""Skewness of city levels: standard deviation of their logarithm beside a floor; 0 is normal."""


def regional(
    rng: np.random.Generator, region: pd.Series, path: np.ndarray, treated: np.ndarray, mean: dict[str, float], sd: float
) -> np.ndarray:
    """Effects by city and year that follow ``path``, differ from city to city, and average to ``mean`` over a region's treated rows."""
    own = rng.normal(0, sd, len(region))[:, None] * treated
    out = np.zeros(treated.shape)
    for name, value in mean.items():
        here = treated & (region == name).to_numpy()[:, None]
        out[here] = value * path[here] / path[here].mean() + own[here] - own[here].mean()
    return out


def within(rng: np.random.Generator, n: int, name: str) -> np.ndarray:
    """A common rise by one standard deviation of the error from the first year to the last, and the error."""
    sd, autocorrelation = ERRORS[name]
    return sd * np.linspace(-0.5, 0.5, YEARS.size) + autoregression(rng, n, sd, autocorrelation)


def autoregression(rng: np.random.Generator, n: int, sd: float, autocorrelation: float) -> np.ndarray:
    """Stationary AR(1) paths of n cities."""
    out = rng.normal(0, sd, (n, YEARS.size))
    for t in range(1, YEARS.size):
        out[:, t] = autocorrelation * out[:, t - 1] + np.sqrt(1 - autocorrelation**2) * out[:, t]
    return out


# ── levels ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def around(rng: np.random.Generator, size: np.ndarray, sd: float) -> np.ndarray:
    return size + rng.normal(0, sd, size.size)


def with_city_levels(moving: np.ndarray, order: np.ndarray, shape: float, mean: float, sd: float) -> np.ndarray:
    """``moving`` (cities, years) plus city levels in the given order, their location and scale such that all has this mean and sd.

    Levels are quantiles of a normal or shifted log-normal law (Tukey's closed form), the same in every draw; who has which is drawn.
    """
    p = (np.argsort(np.argsort(order)) + 0.5) / order.size
    score = 4.91 * (p**0.14 - (1 - p) ** 0.14)
    level = (np.exp(shape * score) if shape else score)[:, None] * np.ones(YEARS.size)
    a, b, c = (np.cov(x.ravel(), y.ravel())[0, 1] for x, y in ((level, level), (level, moving), (moving, moving)))
    scale = (-b + np.sqrt(b**2 - a * (c - sd**2))) / a
    out = moving + scale * level
    return out + mean - out.mean()


def since_first(x: np.ndarray) -> np.ndarray:
    """Changes since the first year: where cities started stands in the city levels of npro."""
    return x - x[:, :1]


def indicators(rng: np.random.Generator, npro: np.ndarray) -> dict[str, np.ndarray]:
    """What an entropy–TOPSIS index finds npro in: origin + slope · npro, with an error in proportion that is autoregressive."""
    found = {}
    for name, (origin, slope, sd) in INDICATORS.items():
        found[name] = origin + slope * npro * np.exp(autoregression(rng, len(npro), sd, 0.5))
    return found


# ── truth ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def truth_of(frame: pd.DataFrame, effects: dict[str, np.ndarray]) -> pd.DataFrame:
    """What the panel was drawn from: averages of the effects over treated rows, and coefficients."""
    event = np.subtract(*(frame[c].to_numpy(dtype=float, na_value=np.inf) for c in ("year", "first_treated")))
    treated = event >= 0
    tau = {name: value.ravel() for name, value in effects.items()}
    rows = [("att", "simple", "", np.nan, tau["npro"][treated].mean(), "mean over treated rows")]
    for region in PREFECTURE_CITIES:
        here = treated & (frame["region"] == region).to_numpy()
        rows.append(("att", "region", region, np.nan, tau["npro"][here].mean(), "mean over treated rows"))
    for e in np.unique(event[treated]):
        rows.append(("att", "event", "", e, tau["npro"][event == e].mean(), "mean over treated rows"))
    for region in ("", *PREFECTURE_CITIES):
        here = treated & ((frame["region"] == region).to_numpy() | (region == ""))
        rows += [(*key, region, np.nan, value, "mean over treated rows") for key, value in mechanism(tau, here)]
    rows += [("coefficient", name, "", np.nan, value, "the same in all regions") for name, value in COEFFICIENTS.items()]
    return pd.DataFrame(rows, columns=["estimand", "term", "region", "event_time", "estimate", "note"])


def mechanism(tau: dict[str, np.ndarray], here: np.ndarray) -> list[tuple[tuple[str, str], float]]:
    """Paths averaged over some rows: total = direct + Σ indirect, indirect = driving · mediator effect."""
    mean = {name: value[here].mean() for name, value in tau.items()}
    found = [(("direct", "all"), mean["direct"]), (("total", "all"), mean["npro"])]
    for m, b in MEDIATOR_EFFECTS.items():
        found += [(("driving", m), mean[m]), (("mediator_effect", m), b), (("indirect", m), b * mean[m])]
    return [*found, (("indirect", "all"), sum(b * mean[m] for m, b in MEDIATOR_EFFECTS.items()))]


def six_digits(column: pd.Series) -> pd.Series:
    return column.map(lambda value: float(f"{value:.6g}")) if column.dtype == float else column


if __name__ == "__main__":
    for name, table in zip(("panel", "truth"), simulate(), strict=True):
        table.to_csv(HERE / f"{name}.csv", index=False, lineterminator="\n")

"""The simulated provinces: facts, the same bytes every time, truths that are in the panel, and every statement's direction."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

import bayes
from tests.generators import generator

FOLDER = bayes.datasets.path("simulated_provinces")
SEEDS = range(100, 130)


@pytest.fixture(scope="module")
def panel():
    return bayes.datasets.load("simulated_provinces")


@pytest.fixture(scope="module")
def truth():
    return pd.read_csv(FOLDER / "truth.csv", engine="pyarrow").fillna({"term": "", "region": ""})


@pytest.fixture(scope="module")
def frames():
    return [generator("simulated_provinces").simulate(seed)[0] for seed in SEEDS]


def value(truth: pd.DataFrame, estimand: str, term: str, region: str) -> float:
    return truth.set_index(["estimand", "term", "region"]).estimate.loc[(estimand, term, region)]


def written(table: pd.DataFrame) -> str:
    out = io.StringIO()
    table.to_csv(out, index=False, lineterminator="\n")
    return out.getvalue()


def by_region(frame: pd.DataFrame, column: np.ndarray) -> np.ndarray:
    """A column apart for each region, East, Central, West."""
    return column[:, None] * (frame.region.to_numpy()[:, None] == np.array(generator("simulated_provinces").REGIONS))


def swept(columns: np.ndarray) -> np.ndarray:
    """Without means of provinces and years; exact where the panel is balanced."""
    x = columns.reshape(30, 11, -1)
    x = x - x.mean(axis=0) - x.mean(axis=1, keepdims=True) + x.mean(axis=(0, 1))
    return x.reshape(columns.shape)


def dummies(*labels: pd.Series) -> np.ndarray:
    return pd.concat([pd.get_dummies(label, drop_first=k > 0) for k, label in enumerate(labels)], axis=1).to_numpy(dtype=float)


def close_on_average(estimates: list[np.ndarray], expected: np.ndarray) -> None:
    """The mean over seeds lies within four of its own standard errors."""
    found = np.array(estimates)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - expected) < 4 * error + 1e-9).all(), (found.mean(axis=0), expected, error)


# ── facts and bytes ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_provinces_and_regions_are_facts(panel):
    units = panel.frame.drop_duplicates("province")
    known = bayes.datasets.provinces().set_index("province").region3
    assert set(units.province) == set(known.index) - {"Tibet"}
    assert (units.province.map(known) == units.region).all()
    assert units.region.value_counts().to_dict() == {"East": 11, "West": 11, "Central": 8}
    assert panel.is_balanced
    assert list(panel.periods) == list(range(2008, 2019))
    assert panel.note.startswith("Simulated data:")


def test_rerunning_writes_the_same_bytes():
    for name, table in zip(("panel", "truth"), generator("simulated_provinces").simulate(), strict=True):
        assert written(table) == (FOLDER / f"{name}.csv").read_text(encoding="utf-8"), name


def test_another_seed_gives_another_panel_and_the_same_truth(panel, truth):
    frame, same = generator("simulated_provinces").simulate(2)
    assert not np.allclose(frame.innovation, panel.column("innovation"))
    pd.testing.assert_frame_equal(same, truth)


def test_the_card_explains_every_column_and_says_simulated_first(panel):
    card = bayes.datasets.card("simulated_provinces")
    assert card.splitlines()[2].startswith("**SIMULATED.**")
    rows = " ".join(line.split("|")[1] for line in card.splitlines() if line.startswith("| "))
    assert not set(panel.frame) - set(rows.replace(",", " ").split())


def test_amounts_are_possible(panel):
    f = panel.frame
    assert (f.secondary_share + f.tertiary_share < 100).all()
    assert (f.rural_loans < f.rural_deposits).all()
    assert (f.rural_deposits < f.deposits).all()
    assert (f.rural_loans < f.loans).all()
    assert f.urban_share.between(0, 100).all()
    assert (f.drop(columns=["net_migration"]).select_dtypes("number") > 0).all(axis=None)
    np.testing.assert_allclose(f.gdp, f.gdp_per_head * f.population / 1e4, rtol=2e-5)
    np.testing.assert_allclose(f.loans, f.loans_per_head * f.population / 1e4, rtol=2e-5)


# ── the truth and the printed figures ───────────────────────────────────────────────────────────────────────────────


def test_the_truth_is_what_is_printed_where_it_can_be(truth):
    printed = bayes.published("province_tfp").frame.query("variant == ''").set_index(["estimand", "term", "region"]).estimate
    for region in ("East", "Central", "West"):
        assert value(truth, "direct", "all", region) == printed["direct", "tfpc", region]
        assert value(truth, "mediator_effect", "secondary_share", region) == printed["direct", "tc", region]
    for region in ("East", "West"):
        assert value(truth, "mediator_effect", "tertiary_share", region) == printed["direct", "ec", region]
    assert value(truth, "mediator_effect", "tertiary_share", "Central") == printed["direct", "ec", "Central"] / 10
    for term, everywhere, east in (("secondary_share", "tfpc", "ec"), ("tertiary_share", "tc", "sec")):
        assert value(truth, "driving", term, "") == pytest.approx(printed["driving", everywhere, ""], abs=5e-4)
        assert value(truth, "driving", term, "East") == printed["driving", east, ""]


def test_effects_of_the_truth_add_up(truth):
    sizes = dict(zip(generator("simulated_provinces").REGIONS, generator("simulated_provinces").SIZES, strict=True))
    shares = ("secondary_share", "tertiary_share")
    for region in sizes:
        parts = [value(truth, "driving", m, region) * value(truth, "mediator_effect", m, region) for m in shares]
        assert [value(truth, "indirect", m, region) for m in shares] == pytest.approx(parts, rel=1e-5)
        assert value(truth, "total", "all", region) == pytest.approx(value(truth, "direct", "all", region) + sum(parts), rel=1e-5)
    for estimand, term in (("direct", "all"), ("indirect", "all"), ("driving", "tertiary_share")):
        mean = sum(n * value(truth, estimand, term, region) for region, n in sizes.items()) / 30
        assert value(truth, estimand, term, "") == pytest.approx(mean, rel=1e-5)


def test_printed_driving_effects_cannot_be_elasticities_of_sectors(panel):
    """Elasticities of sectors weighted by their shares give that of output, which is printed as .258, and not ten times as much."""
    printed = bayes.published("province_tfp").frame.set_index(["estimand", "term", "region"]).estimate
    f = panel.frame
    implied = (f.secondary_share.mean() * printed["driving", "tfpc", ""] + f.tertiary_share.mean() * printed["driving", "tc", ""]) / 100
    assert implied > 10 * printed["direct", "tfpc", ""]


# ── the truth is in the panel: least squares over thirty seeds ──────────────────────────────────────────────────────


def test_innovation_industry_and_output(frames):
    g = generator("simulated_provinces")
    found = {"secondary_share": [], "tertiary_share": [], "output": []}
    for f in frames:
        z = swept(by_region(f, np.log(f.innovation.to_numpy())))
        for name in g.DRIVING:
            found[name].append(np.linalg.lstsq(z, swept(f[name].to_numpy()))[0])
        x = np.column_stack([z, *(swept(by_region(f, f[name].to_numpy())) for name in g.DRIVING)])
        found["output"].append(np.linalg.lstsq(x, swept(np.log(f.gdp_per_head.to_numpy())))[0])
    for name, expected in g.DRIVING.items():
        close_on_average(found[name], expected)
    close_on_average(found["output"], np.concatenate([g.DIRECT, *g.SHARE_EFFECT.values()]))


def test_productivity_has_its_trend_by_region(panel):
    g, f = generator("simulated_provinces"), panel.frame
    productivity = np.log(f.gdp) - 0.5 * np.log(f.capital) - 0.5 * np.log(f.labor)
    slopes = np.polyfit(np.arange(11), productivity.to_numpy().reshape(30, 11).T, 1)[0]
    regions = f.region.to_numpy()[::11]
    for region, change in zip(g.REGIONS, g.EFFICIENCY_CHANGE, strict=True):
        np.testing.assert_allclose(np.exp(slopes[regions == region]), g.TECHNICAL_CHANGE * change, rtol=2e-6)


def test_growth_of_income_and_of_finance(frames):
    g = generator("simulated_provinces")
    income, finance = [], []
    for f in frames:
        start, after = f[f.year < 2018], f[f.year > 2008]
        effects = dummies(start.region, start.year.astype(str))
        conditions = start[list(g.INCOME_CONDITIONS)].to_numpy()
        level = np.log(start.income_per_head.to_numpy())
        x = np.column_stack([by_region(start, level), conditions, effects])
        income.append(np.linalg.lstsq(x, np.log(after.income_per_head.to_numpy()) - level)[0][:5])
        level = np.log(start.loans_per_head.to_numpy())
        x = np.column_stack([level, effects[:, 3:], np.ones(len(level))])
        finance.append(np.linalg.lstsq(x, np.log(after.loans_per_head.to_numpy()) - level)[0][:1])
    close_on_average(income, np.array([*g.INCOME_SLOPE, *g.INCOME_CONDITIONS.values()]))
    close_on_average(finance, np.array([g.FINANCE_SLOPE]))


def test_two_way_link_in_a_long_run(monkeypatch):
    """Four hundred years, where least squares with province effects is no longer biased by their number."""
    g = generator("simulated_provinces")
    monkeypatch.setattr(g, "YEARS", np.arange(400))
    code = np.repeat(np.arange(3), 8)
    drawn = g.two_way_link(np.random.default_rng(4), code)
    first, second = (np.log(drawn[name]) for name in g.OWN_LAG)
    for region in range(3):
        here = [series[code == region] for series in (first, second)]
        here = [series - series.mean(axis=0) for series in here]  # common periods out: the lags are the region's own
        here = [series - series.mean(axis=1, keepdims=True) for series in here]
        x = np.column_stack([series[:, :-1].ravel() for series in here])
        lags = np.column_stack([np.linalg.lstsq(x, series[:, 1:].ravel())[0] for series in here])
        own, cross = list(g.OWN_LAG.values()), [g.CROSS_LAG[name][region] for name in g.OWN_LAG]
        expected = np.array([[own[0], cross[0]], [cross[1], own[1]]])
        np.testing.assert_allclose(lags, expected, atol=0.06)


# ── what the coordination study states ──────────────────────────────────────────────────────────────────────────────


def test_growth_lies_between_nine_and_ten_per_cent(panel):
    total = panel.frame.groupby("year").gdp.sum()
    assert 0.09 < np.expm1(np.log(total).diff().mean()) < 0.10


def test_the_gap_widens_and_clubs_converge(panel):
    trend = bayes.measure.sigma_convergence(panel, "income_per_head", replicates=200).where(estimand="sigma_trend").frame
    inside = bayes.measure.sigma_convergence(panel, "income_per_head", by="region", replicates=200).where(estimand="sigma_trend").frame
    assert trend.lower.item() > 0
    assert (inside.upper < 0).all()
    clubs = bayes.measure.convergence_clubs(panel.log("income_per_head"), "log_income_per_head", filter="hp").where(estimand="club").frame
    assert clubs.groupby("region").estimate.agg(["min", "max"]).to_dict("index") == {
        "East": {"min": 1, "max": 1}, "Central": {"min": 2, "max": 2}, "West": {"min": 2, "max": 2},
    }  # fmt: skip


def test_credit_leaves_the_west_and_the_countryside(panel, truth):
    out = bayes.measure.credit_balance(panel, "loans", "deposits")
    share = out.where(estimand="outflow_share", period=[np.nan], term="").frame.set_index("region").estimate
    assert share["West"] > share["Central"] > share["East"] > 0
    flow = out.where(estimand="net_flow_share", period=[np.nan]).frame.set_index("region").estimate
    assert flow["West"] > 0 > flow["East"]
    for region, ratio in (1 - share).items():
        assert ratio == pytest.approx(value(truth, "loan_deposit_ratio", "", region), abs=0.01)
    f = panel.frame
    rural = f.rural_loans.sum() / f.rural_deposits.sum()
    assert rural == pytest.approx(value(truth, "loan_deposit_ratio", "", "rural"), abs=0.01)
    assert rural < (f.loans - f.rural_loans).sum() / (f.deposits - f.rural_deposits).sum()


def test_coordination_falls_from_east_to_west_and_rises_over_time(panel):
    finance = ["loans_per_head", "insurance_depth", "market_depth", "bank_branches"]
    economy = ["gdp_per_head", "income_per_head", "tertiary_share", "urban_share", "trade_share"]
    index = bayes.measure.composite_index(panel, finance + economy, dimensions={"finance": finance, "economy": economy})
    systems = [index.where(estimand="index", term=name) for name in ("finance", "economy")]
    degree = bayes.measure.coupling_coordination(panel, systems).where(estimand="coordination_degree").frame
    regions = panel.frame.drop_duplicates("province").set_index("province").region
    mean = degree.assign(region=degree.unit.map(regions)).pivot_table("estimate", "region", "period")
    assert (mean.loc["East"] > mean.loc["Central"]).all()
    assert (mean.loc["Central"] > mean.loc["West"]).mean() > 0.8
    assert (mean.diff(axis=1).iloc[:, 1:] > 0).all(axis=None)

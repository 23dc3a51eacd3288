"""The simulated Yangtze industry: facts, the same bytes every time, the truth read independently, the sign of every statement."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import bayes
from tests.generators import generator

FOLDER = bayes.datasets.path("simulated_yangtze_industry")
REACHES = ("downstream", "midstream", "upstream")
SUPPORT = ("government_spending", "openness", "economic_development")
NO_SUPPORT = ("non_state_share", "environmental_regulation", "financial_flexibility")


@pytest.fixture(scope="module")
def panel():
    return bayes.datasets.load("simulated_yangtze_industry")


@pytest.fixture(scope="module")
def truth(panel):
    return bayes.datasets.truth(panel).frame


def value(truth, estimand, **keys):
    rows = truth[(truth["estimand"] == estimand) & np.logical_and.reduce([truth[k] == v for k, v in keys.items()])]
    assert len(rows) == 1, (estimand, keys)
    return rows["estimate"].iloc[0]


def test_provinces_and_reaches_are_the_facts(panel):
    facts = bayes.datasets.provinces().query("reach != ''").set_index("province")["reach"]
    assert panel.frame.groupby("province")["reach"].first().to_dict() == facts.to_dict()
    assert dict(facts.value_counts()) == {"downstream": 4, "midstream": 3, "upstream": 4}


def test_running_the_generator_again_gives_the_same_bytes():
    for name, table in zip(("panel", "truth"), generator("simulated_yangtze_industry").simulate(), strict=True):
        out = io.StringIO()
        table.to_csv(out, index=False, lineterminator="\n")
        assert out.getvalue().encode() == (FOLDER / f"{name}.csv").read_bytes(), name


def test_another_seed_is_another_panel():
    panels = [generator("simulated_yangtze_industry").simulate(seed)[0] for seed in (1, 2)]
    assert (panels[0]["energy"] != panels[1]["energy"]).all()
    assert panels[0][["province", "reach", "year"]].equals(panels[1][["province", "reach", "year"]])


def test_amounts_are_of_a_size_that_provinces_have(panel):
    middle = panel.frame.select_dtypes("number").median()
    assert 500 < middle["industrial_output"] < 10_000  # 100 million yuan
    assert 100 < middle["labor"] < 1000  # 10,000 persons
    assert 300 < middle["energy"] < 10_000  # 10,000 tonnes of standard coal
    assert 5 < middle["so2"] < 200  # 10,000 tonnes
    assert (panel.frame.select_dtypes("number") > 0).all().all()
    assert panel.frame["non_state_share"].between(0, 100).all()


# ── the truth ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_levels_are_ordered_and_rise_and_low_ones_catch_up(truth):
    for dimension in ("economic", "energy"):
        levels = [value(truth, "productivity_level", variant=dimension, region=r) for r in REACHES]
        assert all(a > 1.1 * b for a, b in pairwise(levels))
        trends = [value(truth, "productivity_trend", variant=dimension, region=r) for r in REACHES]
        assert 0 < trends[0] < min(trends[1:])
        assert value(truth, "beta_slope", variant=dimension) < -0.02


def test_determinants_have_the_signs_stated(truth):
    for dimension in ("economic", "energy"):
        effects = {name: value(truth, "log_efficiency_effect", variant=dimension, term=name) for name in SUPPORT + NO_SUPPORT}
        assert all(effects[name] > 0 for name in SUPPORT)
        assert all(effects[name] < 0 for name in NO_SUPPORT)
        assert value(truth, "log_noise_effect", variant=dimension, term="technology_exchange") < 0


def test_distances_are_those_of_a_loop_over_frontiers(monkeypatch):
    """Without noise output lies u below its own frontier: the distance follows from the panel and the tables alone."""
    made = generator("simulated_yangtze_industry")
    monkeypatch.setattr(made, "NOISE", 0.0)
    panel, truth = made.simulate(3)
    last = panel[panel["year"] == 2020].set_index("province")
    rows = truth[truth["estimand"] == "output_distance"].set_index("unit")["estimate"]
    for province, row in last.iterrows():
        every = [a + k * np.log(row["capital"]) + n * np.log(row["labor"]) + g * 7.5 for a, k, n, g in made.OUTPUT]
        assert max(every) - np.log(row["industrial_output"]) == pytest.approx(rows[province], abs=2e-5)
        assert rows[province] >= 0


def test_levels_are_those_of_a_loop_over_rows(monkeypatch):
    made = generator("simulated_yangtze_industry")
    monkeypatch.setattr(made, "NOISE", 0.0)
    panel, truth = made.simulate(3)
    logs = []
    for row in panel.to_dict("records"):
        mean = np.mean([made.OUTPUT[code] for code in made.CODES], axis=0)
        reference = mean[0] + mean[1] * np.log(row["capital"]) + mean[2] * np.log(row["labor"])
        logs.append(np.log(row["industrial_output"]) - reference)
    levels = (
        pd.Series(np.exp(np.array(logs) - np.mean(logs)), panel.index).groupby(panel["reach"]).apply(lambda x: np.exp(np.log(x).mean()))
    )
    for reach in REACHES:
        assert levels[reach] == pytest.approx(value(truth, "productivity_level", variant="economic", region=reach), rel=1e-4)


def test_inefficiency_answers_to_determinants():
    """Over many panels: E[u] = σ_u·exp(z'δ)·√(2/π)."""
    made = generator("simulated_yangtze_industry")
    rng = np.random.default_rng(8)
    z = np.array([0.5, -3.0, 0.2, 4.0, 0.05, -0.1])[:, None, None] * np.ones((6, made.N, made.YEARS.size))
    draws = np.stack([made.inefficiency(rng, 1, z)[1] for _ in range(400)])
    shift = sum(pair[1] * z[q, 0, 0] for q, pair in enumerate(made.EFFECT.values()))
    for code in range(3):
        part = draws[:, code == made.CODES]
        known = made.INEFFICIENCY[code] * np.exp(shift) * np.sqrt(2 / np.pi)
        assert part.mean() == pytest.approx(known, abs=4 * part.std() / np.sqrt(part.size))


def test_growth_is_fast_up_the_river_and_steady_in_the_middle(panel):
    """The SBM-ML index of the panel itself, no model."""
    index = bayes.measure.malmquist(
        panel, inputs=["capital", "labor", "energy"], outputs=["industrial_output"], bad_outputs=["so2"], measure="sbm", reference="global",
        cumulative=True,
    ).where(estimand="malmquist")  # fmt: skip
    trend = bayes.measure.trend_growth(panel, index, seed=1).frame.set_index(["estimand", "region"])["estimate"]
    growth, sd = trend["trend_growth"], trend["trend_sd"]
    assert growth["downstream"] < min(growth["midstream"], growth["upstream"])
    assert sd["midstream"] < 0.7 * min(sd["downstream"], sd["upstream"])

"""The thesis's statements about the Yangtze River Economic Belt come back from the simulated panel, and the truth behind them. SLOW."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import bayes
import bayes.estimates
from bayes.errors import BayesWarning
from tests.test_simulated_yangtze import NO_SUPPORT, REACHES, SUPPORT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def panel():
    panel = bayes.datasets.load("simulated_yangtze_industry")
    return panel.log("industrial_output", "capital", "labor", "energy", "so2")


@pytest.fixture(scope="module")
def fits(panel):
    """Output, energy and sulphur dioxide as in models/yangtze_green_tfp.py, with half of its draws."""
    inputs, made = ("log_capital", "log_labor"), {}
    common = {"technology": "cobb-douglas", "model": "pooled", "determinants": SUPPORT + NO_SUPPORT}
    common |= {"noise_determinants": ("technology_exchange",)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesWarning)  # few units a region; half of the draws
        for name, column in (("economic", "industrial_output"), ("energy", "energy"), ("emission", "so2")):
            requirement = {"inputs": inputs} if name == "economic" else {"inputs": ("log_industrial_output", *inputs), "kind": "cost"}
            spec = bayes.StochasticFrontier(f"log_{column}", **requirement, **common)
            made[name] = spec.fit(panel, seed=1, draws=500, tune=1000, target_accept=0.95, progress=False)
    return made


@pytest.fixture(scope="module")
def levels(fits):
    return bayes.measure.green_productivity_levels({d: fits[d] for d in ("economic", "energy")}, by=["unit:period", "region"])


@pytest.mark.parametrize("dimension", ["economic", "energy"])
def test_levels_rise_fall_up_the_river_and_catch_up(panel, levels, dimension):
    trends = levels.where(estimand="productivity_trend", variant=dimension, region=list(REACHES)).frame
    assert (trends["prob_positive"] > 0.95).all()
    pairs = levels.where(estimand="level_ratio", variant=dimension).frame.set_index(["region", "term_to"])["prob_positive"]
    assert min(pairs["downstream", "midstream"], pairs["midstream", "upstream"]) > 0.95
    values = levels.where(estimand="productivity_level", term="unit:period", variant=dimension)
    slope = bayes.measure.beta_convergence(panel, values, seed=1, draws=500).where(estimand="beta_slope", term="all").frame
    assert slope["prob_positive"].iloc[0] < 0.05


@pytest.mark.parametrize("dimension", ["economic", "energy"])
def test_determinants_come_back_with_the_signs_stated(levels, dimension):
    effects = levels.where(estimand="log_efficiency_effect", variant=dimension).frame.set_index("term")["prob_positive"]
    assert (effects[list(SUPPORT)] > 0.95).all()
    assert (effects[list(NO_SUPPORT)] < 0.1).all()
    assert levels.where(estimand="log_noise_effect", variant=dimension).frame["prob_positive"].item() < 0.1


def test_intervals_hold_most_truths(panel, fits, levels):
    """Thirteen effects and levels in each dimension, 22 distances: shares of 95 % intervals that hold the truth, dependent as they are."""
    result = bayes.scenarios(fits["economic"], fits["emission"], seed=1)
    found = levels.frame[[*bayes.estimates.KEYS, "estimate", "lower", "upper"]]
    near = result.estimates.where(estimand=["output_distance", "emission_distance"]).frame[found.columns]
    truth = bayes.datasets.truth(panel).frame[[*bayes.estimates.KEYS, "estimate"]]
    keys = ["estimand", "term", "variant", "region", "unit"]
    for rows, least in ((found, 0.8), (near, 0.7)):
        both = rows.merge(truth[[*keys, "estimate"]], on=keys, suffixes=("", "_true"))
        assert len(both) in (26, 22)
        assert both["estimate_true"].between(both["lower"], both["upper"]).mean() >= least
        assert np.corrcoef(both["estimate"], both["estimate_true"])[0, 1] > 0.85


def test_scenarios_leave_the_leader_and_move_those_behind(fits):
    result = bayes.scenarios(fits["economic"], fits["emission"], seed=1)
    assert result.leaders["output"] in ("Jiangsu", "Shanghai", "Zhejiang", "Anhui")
    gains = result.estimates.where(estimand="output_ratio", term="unit", variant="economy-first").frame.groupby("region")["estimate"].mean()
    assert gains["downstream"] < gains["midstream"] < gains["upstream"]
    falls = result.estimates.where(estimand="output_sigma_falls", variant="economy-first").frame["estimate"].item()
    assert falls > 0.9

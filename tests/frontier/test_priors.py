"""The prior median efficiency is what the user asked for, in every distribution and panel form."""

from __future__ import annotations

import numpy as np
import pytest

import bayes
from bayes.errors import SpecificationError
from bayes.frontier.data import frontier_data
from bayes.frontier.draws import prior_dataset, prior_efficiency_draws
from bayes.frontier.first_look import pilot
from bayes.frontier.prior_rows import priors_in_use
from bayes.frontier.support import INEFFICIENCIES
from tests.frontier.simulate import frontier_panel

PANEL = frontier_panel()


def spec_of(**changes):
    return bayes.StochasticFrontier(**({"output": "y", "inputs": ["x0"], "technology": "cobb-douglas", "model": "pooled"} | changes))


def median_of(spec):
    data = frontier_data(spec, PANEL)
    return float(np.median(prior_efficiency_draws(prior_dataset(spec, data, 1, 20_000), spec, 2)))


@pytest.mark.parametrize("inefficiency", INEFFICIENCIES)
@pytest.mark.parametrize("asked", [0.6, 0.85])
def test_prior_median_of_each_distribution(inefficiency, asked):
    assert median_of(spec_of(inefficiency=inefficiency, median_efficiency=asked, pooling="complete")) == pytest.approx(asked, abs=0.01)


@pytest.mark.parametrize("model", ["true-random-effects", "four-component", "bc92", "kumbhakar-1990"])
def test_prior_median_of_each_panel_form(model):
    assert median_of(spec_of(model=model)) == pytest.approx(0.85, abs=0.015)


@pytest.mark.parametrize(("inefficiency", "quantile"), [("exponential", np.log(2)), ("half-normal", None)])
def test_classic_priors(inefficiency, quantile):
    """Exponential: 1/σ_u ~ Gamma(1, rate −ln r*), so the prior mean of the rate is −1/ln r*. Half-normal: E[σ_u⁻²] = 5/(10 ln² r*)."""
    spec = spec_of(inefficiency=inefficiency, efficiency_prior="classic", pooling="complete")
    scale = prior_dataset(spec, frontier_data(spec, PANEL), 1, 40_000)["inefficiency_scale"].to_numpy()[0, :, 0]
    log_r = np.log(0.85)
    expected = -1 / log_r if inefficiency == "exponential" else 0.5 / log_r**2
    value = (1 / scale) if inefficiency == "exponential" else scale**-2
    assert value.mean() == pytest.approx(expected, rel=0.03)


def test_classic_priors_exist_for_two_distributions_only():
    with pytest.raises(SpecificationError, match="classic"):
        spec_of(inefficiency="rayleigh", efficiency_prior="classic")


def test_table_of_priors_names_what_is_used_and_who_set_it():
    spec = spec_of(priors={"noise_scale": 0.5, "technology_spread": 0.1}, pooling=("technology", "efficiency"))
    table = priors_in_use(spec, frontier_data(spec, PANEL)).set_index("parameter")
    assert table.set_by["noise_scale"] == "user"
    assert table.set_by["technology_spread[x0]"] == "user"
    assert table.set_by["inefficiency_scale"] == "default"
    assert "decay" not in table.index
    assert "noise_spread" not in table.index


def test_priors_that_cannot_be_are_refused():
    with pytest.raises(SpecificationError, match="positive numbers"):
        spec_of(priors={"noise_scale": bayes.Prior("Normal", {"mu": 0.0, "sigma": 1.0})})
    with pytest.raises(SpecificationError, match="No parameter"):
        spec_of(priors={"autocorrelation": 0.5})


@pytest.mark.parametrize(("model", "sigma_u"), [("pooled", 0.4), ("time-invariant", 0.4)])
def test_the_first_look_at_scales_is_in_the_right_place(model, sigma_u):
    """It only places coordinates; a factor of two is near enough. SYNTHETIC: 120 units × 10 periods in two regions."""
    spec = spec_of(model=model, inputs=["x0", "x1"])
    first = pilot(spec, frontier_data(spec, frontier_panel(120, 10, 2, model, sigma_u=sigma_u, sigma_v=0.15)))
    assert np.all(np.abs(first.log_noise - np.log(0.15)) < np.log(2))
    assert np.all(np.abs(first.log_inefficiency - np.log(sigma_u)) < np.log(2.5))
    assert (first.inefficiency_information > 0).all()

"""Priors as data: families, scaling, choices of the user, and the same distribution in numpy and PyMC."""

from __future__ import annotations

import numpy as np
import pytest

from bayes import Prior
from bayes.errors import SpecificationError
from bayes.pooling import random_variable
from bayes.priors import DID_PRIORS, prior_table, resolve

EVERY_FAMILY = {
    "HalfNormal": {"sigma": 0.7},
    "HalfStudentT": {"nu": 8.0, "sigma": 0.7},
    "Exponential": {"scale": 0.7},
    "Normal": {"mu": 1.0, "sigma": 0.7},
    "Uniform": {"lower": -1.0, "upper": 3.0},
    "Gamma": {"alpha": 3.0, "beta": 2.0},
}


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_numpy_and_pymc_draw_from_the_same_distribution(family):
    import pymc as pm

    prior, n = Prior(family, EVERY_FAMILY[family]), 20_000
    ours = prior.sample(np.random.default_rng(0), n)
    with pm.Model():
        theirs = pm.draw(random_variable(prior, "x"), n, random_seed=1)
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    spread = ours.std()
    np.testing.assert_allclose(np.quantile(ours, levels), np.quantile(theirs, levels), atol=0.06 * spread)
    assert abs(ours.mean() - theirs.mean()) < 6 * spread * np.sqrt(2 / n)


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_relative_priors_scale_with_the_outcome(family):
    prior = Prior(family, EVERY_FAMILY[family])
    scaled = prior.scaled(10.0)
    draw = lambda p: p.sample(np.random.default_rng(3), 100)  # noqa: E731
    np.testing.assert_allclose(draw(scaled), 10 * draw(prior), rtol=1e-12)
    assert scaled.scaled(10.0) == scaled
    absolute = Prior(family, EVERY_FAMILY[family], relative=False)
    assert absolute.scaled(10.0) is absolute


BAD = {
    "unknown family": ("Cauchy", {"beta": 1}),
    "missing parameter": ("HalfStudentT", {"sigma": 1}),
    "surplus parameter": ("HalfNormal", {"sigma": 1, "mu": 0}),
    "zero scale": ("HalfNormal", {"sigma": 0}),
    "negative scale": ("Exponential", {"scale": -1}),
    "infinite": ("Normal", {"mu": 0, "sigma": np.inf}),
    "not a number": ("Normal", {"mu": np.nan, "sigma": 1}),
    "text": ("HalfNormal", {"sigma": "wide"}),
    "truth value": ("HalfNormal", {"sigma": True}),
    "empty interval": ("Uniform", {"lower": 1, "upper": 1}),
    "not a mapping": ("HalfNormal", 0.5),
}


@pytest.mark.parametrize("name", BAD)
def test_priors_that_are_none_are_refused(name):
    with pytest.raises(SpecificationError):
        Prior(*BAD[name])


def test_defaults_are_kept_and_choices_put_in():
    chosen = {"cell_sd": 0.1, "region_sd": Prior("HalfStudentT", {"nu": 3, "sigma": 0.2}), "level": 5, "innovation_sd": np.float32(0.5)}
    found = resolve(DID_PRIORS, chosen)
    assert {k: v for k, v in found.items() if k not in chosen} == {k: v for k, v in DID_PRIORS.items() if k not in chosen}
    assert found["cell_sd"].parameters == {"sigma": 0.1}
    assert found["region_sd"].family == "HalfStudentT"
    assert found["level"].parameters == {"mu": 0.0, "sigma": 5.0}
    for name in chosen:
        assert found[name].meaning == DID_PRIORS[name].meaning


def test_an_own_meaning_is_kept():
    own = Prior("HalfNormal", {"sigma": 1}, meaning="what I mean")
    assert resolve(DID_PRIORS, {"cell_sd": own})["cell_sd"].meaning == "what I mean"


def test_a_correlation_has_no_unit():
    found = resolve(DID_PRIORS, {"autocorrelation": Prior("Uniform", {"lower": 0, "upper": 0.9})})
    assert found["autocorrelation"].scaled(1000.0).parameters == {"lower": 0.0, "upper": 0.9}


REFUSED = {
    "no such parameter": {"slope_sd": 1.0},
    "text": {"cell_sd": "small"},
    "truth value": {"cell_sd": True},
    "negative number": {"cell_sd": -0.1},
    "zero": {"cell_sd": 0},
    "number for a uniform": {"autocorrelation": 0.5},
    "correlation beyond one": {"autocorrelation": Prior("Uniform", {"lower": -1, "upper": 1.5})},
    "unbounded correlation": {"autocorrelation": Prior("Normal", {"mu": 0, "sigma": 0.3})},
    "scale on the whole line": {"cell_sd": Prior("Normal", {"mu": 0, "sigma": 1})},
    "scale below zero": {"region_sd": Prior("Uniform", {"lower": -1, "upper": 1})},
    "level off centre": {"level": Prior("Normal", {"mu": 1, "sigma": 1})},
    "level of another family": {"drift": Prior("HalfNormal", {"sigma": 1})},
}


@pytest.mark.parametrize("name", REFUSED)
def test_choices_that_the_model_cannot_take_are_refused(name):
    with pytest.raises(SpecificationError):
        resolve(DID_PRIORS, REFUSED[name])


def test_table_is_in_units_of_the_outcome_and_says_who_set_it():
    chosen = {"cell_sd": 0.1}
    table = prior_table(resolve(DID_PRIORS, chosen), chosen, 20.0).set_index("parameter")
    assert list(table.columns) == ["distribution", "meaning", "set_by"]
    assert table.distribution["cell_sd"] == "HalfNormal(sigma=2)"
    assert table.distribution["level"] == "Normal(mu=0, sigma=50)"
    assert table.distribution["autocorrelation"] == "Uniform(lower=-1, upper=1)"
    assert table.set_by["cell_sd"] == "user"
    assert (table.set_by.drop("cell_sd") == "default").all()
    assert (table.meaning.str.len() > 10).all()


def test_the_fit_prints_the_priors_that_it_used(tiny_fit):
    table = tiny_fit.priors().set_index("parameter")
    assert set(table.index) == {*tiny_fit.model.parameters(tiny_fit._collapsed), "level", "drift"}
    scale = tiny_fit._collapsed.scales[-1]
    assert table.distribution["unit_effect_sd"] == f"HalfNormal(sigma={scale:.4g})"


def test_prior_draws_of_a_fit_follow_the_table(tiny_fit):
    prior, scale = tiny_fit.tree["prior"].to_dataset(), tiny_fit._collapsed.scales[-1]
    assert prior.sizes["draw"] == 4000
    for name, sigma in (("innovation_sd", 2.0), ("cell_sd", 0.25), ("unit_effect_sd", 1.0)):
        np.testing.assert_allclose(np.sqrt((prior[name].values ** 2).mean()), sigma * scale, rtol=0.06)
    assert set(tiny_fit.model.parameters(tiny_fit._collapsed)) <= set(prior.data_vars)

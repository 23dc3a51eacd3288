"""Terms of the frontier: which there are, what they are called, their values by hand, their derivatives against differences."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from bayes.frontier import technology as tech

INPUTS, COVARIATES = ("k", "l", "m"), ("z",)
FORMS = [(t, c) for t in ("cobb-douglas", "translog") for c in ("none", "neutral", "biased")]


def values(shape=(4, 3), seed=5):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) for name in (*INPUTS, *COVARIATES, tech.TIME)}


@pytest.mark.parametrize(
    ("technology", "change", "names"),
    [
        ("cobb-douglas", "none", ["intercept", "k", "l", "z"]),
        ("cobb-douglas", "neutral", ["intercept", "k", "l", "time", "z"]),
        ("cobb-douglas", "biased", ["intercept", "k", "l", "time", "k:time", "l:time", "z"]),
        ("translog", "none", ["intercept", "k", "l", "k:k", "k:l", "l:l", "z"]),
        ("translog", "neutral", ["intercept", "k", "l", "k:k", "k:l", "l:l", "time", "time:time", "z"]),
        ("translog", "biased", ["intercept", "k", "l", "k:k", "k:l", "l:l", "time", "time:time", "k:time", "l:time", "z"]),
    ],
)
def test_names_of_terms(technology, change, names):
    assert [tech.term_name(t) for t in tech.terms(("k", "l"), technology, change, ("z",))] == names


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize(("technology", "change"), FORMS)
def test_number_of_terms(n, technology, change):
    second = comb(n + 1, 2) if technology == "translog" else 0
    time = {"none": 0, "neutral": 1, "biased": 1 + n}[change] + (technology == "translog" and change != "none")
    terms = tech.terms([f"x{i}" for i in range(n)], technology, change)
    assert len(terms) == len(set(terms)) == 1 + n + second + time


def test_values_of_terms_by_hand():
    v = values()
    k, l, m, z, t = (v[name] for name in (*INPUTS, *COVARIATES, tech.TIME))  # noqa: E741
    by_hand = [np.ones_like(k), k, l, m, k * k / 2, k * l, k * m, l * l / 2, l * m, m * m / 2, t, t * t / 2, k * t, l * t, m * t, z]
    np.testing.assert_allclose(tech.design(tech.terms(INPUTS, "translog", "biased", COVARIATES), v), by_hand, rtol=1e-15)


@pytest.mark.parametrize("shape", [(), (7,), (4, 3)])
def test_shapes(shape):
    terms = tech.terms(INPUTS, "translog", "biased", COVARIATES)
    assert tech.design(terms, values(shape)).shape == (len(terms), *shape)
    assert tech.derivative(terms, "k", values(shape)).shape == (len(terms), *shape)


@pytest.mark.parametrize("variable", [*INPUTS, *COVARIATES, tech.TIME])
@pytest.mark.parametrize(("technology", "change"), FORMS)
def test_derivatives_equal_central_differences(technology, change, variable):
    """Terms are quadratic at most: a central difference with step 1 has no truncation error."""
    terms, v = tech.terms(INPUTS, technology, change, COVARIATES), values()
    up, down = (tech.design(terms, v | {variable: v[variable] + step}) for step in (0.5, -0.5))
    np.testing.assert_allclose(tech.derivative(terms, variable, v), up - down, rtol=0, atol=1e-13)


def test_elasticity_by_hand():
    terms, v = tech.terms(("k", "l"), "translog", "biased"), values()
    beta = {"k": 0.4, "k:k": -0.1, "k:l": 0.2, "k:time": 0.03, "l": 9.0, "l:l": 9.0, "time": 9.0, "intercept": 9.0}
    coefficients = [beta.get(tech.term_name(t), 0.0) for t in terms]
    elasticity = np.tensordot(coefficients, tech.derivative(terms, "k", v), 1)
    np.testing.assert_allclose(elasticity, 0.4 - 0.1 * v["k"] + 0.2 * v["l"] + 0.03 * v[tech.TIME], rtol=1e-14)


def test_derivatives_are_no_views_of_the_values():
    v = values()
    slopes = tech.derivative(tech.terms(INPUTS, "translog", "none"), "k", v)
    before = v["l"].copy()
    slopes += 1
    np.testing.assert_array_equal(v["l"], before)


def test_whole_numbers_are_not_cut():
    v = {"k": np.array([1, 2, 3])}
    np.testing.assert_array_equal(tech.design(tech.terms(("k",), "translog", "none"), v), [[1, 1, 1], [1, 2, 3], [0.5, 2, 4.5]])

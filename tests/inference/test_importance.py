"""Importance correction: a known target from a known approximation, and approximations that must be refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayes.inference.importance import importance_correction


def corrected(target, draws):
    ratio = target.logpdf(draws) - stats.norm.logpdf(draws)
    return importance_correction(ratio, seed=1)


def test_a_close_approximation_is_corrected_to_its_target():
    draws = np.random.default_rng(2).normal(size=(4, 2000))
    found = corrected(stats.norm(0.3, 0.9), draws)
    assert found.reliable
    assert found.k_hat < 0.5
    taken = draws.ravel()[found.chosen]
    standard_error = 0.9 / np.sqrt(found.effective)
    assert taken.mean() == pytest.approx(0.3, abs=4 * standard_error)
    assert taken.std() == pytest.approx(0.9, rel=0.05)
    assert draws.mean() != pytest.approx(0.3, abs=4 * standard_error)  # the approximation itself would fail


def test_an_exact_approximation_keeps_every_draw():
    found = importance_correction(np.zeros((2, 500)) + 1e-13 * np.random.default_rng(0).normal(size=(2, 500)), seed=3)
    assert found.effective == pytest.approx(1000)
    np.testing.assert_array_equal(found.chosen, np.arange(1000))


def test_positions_keep_their_order_and_repeat_by_weight():
    draws = np.random.default_rng(4).normal(size=(2, 1000))
    found = corrected(stats.norm(0.5, 1), draws)
    assert (np.diff(found.chosen) >= 0).all()
    weight = np.exp(0.5 * draws.ravel())
    expected = 2000 * weight / weight.sum()
    counts = np.bincount(found.chosen, minlength=2000)
    body = weight < np.quantile(weight, 0.9)  # the tail is smoothed
    assert np.abs(counts - expected)[body].max() < 1.1


@pytest.mark.parametrize("scale", [3.0, 6.0])
def test_a_target_with_heavier_tails_is_refused(scale):
    draws = np.random.default_rng(5).normal(size=(4, 1000))
    assert not corrected(stats.norm(0, scale), draws).reliable


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_ratios_that_are_no_numbers_are_refused(bad):
    ratio = np.zeros((2, 100))
    ratio[0, 3] = bad
    found = importance_correction(ratio, seed=0)
    assert found.k_hat == np.inf
    assert not found.reliable


def test_the_limit_follows_the_number_of_draws():
    ratio = np.random.default_rng(6).normal(size=(2, 100))
    assert importance_correction(ratio, 0).limit == pytest.approx(1 - 1 / np.log10(200))
    assert importance_correction(np.tile(ratio, 50), 0).limit == 0.7

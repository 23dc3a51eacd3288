"""Bands and p values of ranks: they hold what they promise for uniform ranks, and see ranks that are not."""

from __future__ import annotations

import numpy as np
import pytest

from bayes.inference.rank_uniformity import difference, p_values, simultaneous_bands

L = 99


def uniform(n: int, samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, L + 1, size=(n, samples))


@pytest.mark.parametrize(("n", "level"), [(60, 0.95), (300, 0.9)])
def test_bands_hold_uniform_ranks_as_often_as_they_say(n, level):
    lines, bands = difference(uniform(n, 2000, 1), L), simultaneous_bands(n, L, level)
    inside = ((lines >= bands.lower - 1e-12) & (lines <= bands.upper + 1e-12)).all(axis=1).mean()
    assert abs(inside - level) < 4 * np.sqrt(level * (1 - level) / 2000) + 0.01


def test_bands_are_wider_than_pointwise_ones_and_shrink_with_the_root_of_n():
    few, many = simultaneous_bands(100, L), simultaneous_bands(400, L)
    middle = L // 2
    assert few.upper[middle] > 1.96 * np.sqrt(0.25 / 100)
    assert many.upper[middle] / few.upper[middle] == pytest.approx(0.5, abs=0.08)
    assert few.lower[-1] == few.upper[-1] == 0  # every rank is at most L


def test_the_difference_by_hand():
    ranks = np.array([[0, 3], [1, 3], [2, 3], [3, 3]])
    np.testing.assert_allclose(difference(ranks, 3), [[0, 0, 0, 0], [-0.25, -0.5, -0.75, 0]])


def test_p_values_of_uniform_ranks_are_uniform_and_agree_with_the_bands():
    ranks = uniform(200, 400, 3)
    p = p_values(ranks, L)
    assert abs((p < 0.1).mean() - 0.1) < 4 * np.sqrt(0.09 / 400)
    bands, lines = simultaneous_bands(200, L, 0.9), difference(ranks, L)
    outside = ((lines < bands.lower - 1e-12) | (lines > bands.upper + 1e-12)).any(axis=1)
    assert np.mean(outside == (p < 0.1)) > 0.97


@pytest.mark.parametrize("kind", ["too low", "too narrow", "too wide"])
def test_ranks_that_are_not_uniform_are_seen(kind):
    rng = np.random.default_rng(4)
    draws = rng.beta(*{"too low": (1.5, 1.0), "too narrow": (0.6, 0.6), "too wide": (1.8, 1.8)}[kind], size=(300, 1))
    assert p_values((draws * (L + 1)).astype(int), L)[0] < 0.01

"""Skewness tests: their formulas, their sides, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayes.errors import SpecificationError
from bayes.frontier.skewness import coelli_1995, dagostino

RESIDUALS = np.random.default_rng(1).normal(size=400) - np.random.default_rng(2).exponential(1.5, size=400)


def test_statistics_are_those_of_the_literature():
    e = RESIDUALS - RESIDUALS.mean()
    m2, m3 = (e**2).mean(), (e**3).mean()
    ours = coelli_1995(RESIDUALS)
    assert ours.statistic == pytest.approx(m3 / np.sqrt(6 * m2**3 / e.size), rel=1e-12)
    assert ours.skewness == pytest.approx(stats.skew(RESIDUALS), rel=1e-12)
    assert ours.p_value == pytest.approx(stats.norm.cdf(ours.statistic), rel=1e-12)
    theirs = stats.skewtest(RESIDUALS, alternative="less")
    assert dagostino(RESIDUALS).statistic == pytest.approx(theirs.statistic, rel=1e-12)
    assert dagostino(RESIDUALS).p_value == pytest.approx(theirs.pvalue, rel=1e-12)


@pytest.mark.parametrize("test", [coelli_1995, dagostino])
def test_each_kind_of_frontier_has_its_own_side(test):
    production, cost, mirrored = test(RESIDUALS, 1), test(RESIDUALS, -1), test(-RESIDUALS, -1)
    assert production.p_value < 0.01 < 0.99 < cost.p_value
    assert production.p_value + cost.p_value == pytest.approx(1)
    assert mirrored.p_value == pytest.approx(production.p_value, rel=1e-9)
    assert "skewed to the left, as inefficiency of a production frontier implies" in production.words
    assert "wrong way for a cost frontier" in cost.words


def test_symmetric_residuals_tell_nothing():
    symmetric = np.r_[RESIDUALS, -RESIDUALS]
    assert coelli_1995(symmetric).p_value == pytest.approx(0.5)
    assert "no clear skewness" in coelli_1995(symmetric).words


def test_location_and_scale_do_not_matter():
    assert coelli_1995(3 + 7 * RESIDUALS).statistic == pytest.approx(coelli_1995(RESIDUALS).statistic, rel=1e-9)


def test_size_under_symmetry():
    """Share of rejections at 5 % in 800 samples of 200: within three Monte-Carlo standard errors of .05."""
    draws = np.random.default_rng(3).normal(size=(800, 200))
    for test in (coelli_1995, dagostino):
        share = np.mean([test(row).p_value < 0.05 for row in draws])
        assert share == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 800))


@pytest.mark.parametrize(
    ("residuals", "message"), [(np.ones(2), "at least"), (np.ones(20), "do not vary"), (np.r_[np.nan, np.ones(20)], "not finite")]
)
@pytest.mark.parametrize("test", [coelli_1995, dagostino])
def test_what_cannot_be_tested_is_refused(test, residuals, message):
    with pytest.raises(SpecificationError, match=message):
        test(residuals)

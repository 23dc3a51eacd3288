"""Are the intervals of the overall effect as wide as the truth? Replicates are kept in reports/interval_width, so runs go on."""

from __future__ import annotations

import pytest

from tests.statistical.interval_width import DESIGNS, run, summary

COUNT = 300


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS)
def test_stated_spreads_are_the_true_ones(design):
    """With 300 panels a true sd is known to 4 %, a coverage of 90 % to 1.7 points; bands are three of these around what theory allows."""
    found = summary(run(design, COUNT))
    print(f"\n{design}, seeds 0–{COUNT - 1}\n{found.to_string(float_format=lambda v: f'{v:.3f}')}")
    truth = found["stated / true"]
    assert 0.85 < truth["pooled", "posterior"] < 1.12
    assert 0.88 < truth["pooled", "leave-one-out"] < 1.12
    assert 0.88 < truth["unpooled", "leave-one-out"] < 1.22
    assert truth["pooled", "sandwich"] < truth["pooled", "leave-one-out"]
    assert truth["unpooled", "sandwich"] < 0.92  # the plain sandwich is too narrow: 50 clusters, 47 columns
    assert (found["coverage 90"][[("pooled", "posterior"), ("pooled", "leave-one-out")]] > 0.82).all()
    assert found["RMSE"]["pooled", "posterior"] < 1.02 * found["RMSE"]["etwfe", "cluster"]

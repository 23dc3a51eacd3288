"""Slow: 90 % intervals of direct, driving and indirect effects hold the truths of the simulated provinces at about that rate."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.statistical.province_coverage import recovered

SEEDS = range(7000, 7020)


@pytest.mark.slow
def test_intervals_hold_the_truth_of_the_provinces():
    runs = pd.concat([recovered(seed) for seed in SEEDS], ignore_index=True)
    regional = runs[runs["region"] != ""].groupby("estimand")["covered"].mean()
    # 60 regional intervals each: three binomial standard errors of .9 are .116
    assert (regional[["direct", "driving", "mediator_effect", "indirect", "total"]] > 0.9 - 0.12).all(), regional
    assert runs["covered"].mean() > 0.84

"""Coverage of the city study's ATT by region on panels with a known truth; stored panels are not fitted again."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from tests.statistical.city_pilot_coverage import LEVEL, figures, run

PANELS = 40


@pytest.mark.slow
def test_intervals_of_the_effect_by_region_cover_the_truth_as_often_as_they_say():
    """A region by itself not below the binomial's central 99 % (40 panels cannot show too many);
    all regions together within three Monte-Carlo errors."""
    records = run(PANELS)
    table = figures(records)
    print(f"\n{table.round(4).to_string()}")
    assert all(r["converged"] for r in records)
    low, high = binom(PANELS, LEVEL).ppf([0.005, 0.995]) / PANELS
    assert table.coverage.drop("all regions").between(low, high).all()
    together = table.loc["all regions"]
    assert abs(together.coverage - LEVEL) < 3 * together.coverage_se
    assert (table.bias.abs() < 0.001).all()


@pytest.mark.slow
def test_without_the_confounder_intervals_miss_the_truth():
    """The check can fail: universities left out, the effect is overstated by .003, and intervals cover a quarter of the time."""
    table = figures(run(10, ()))
    assert table.coverage["all regions"] < 0.5
    assert table.bias["overall"] > 0.002

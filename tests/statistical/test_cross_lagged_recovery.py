"""Coverage and bias of lags in repeated samples: synthetic panels with known lags, each fitted; stored panels are not fitted again."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from tests.statistical.cross_lagged_recovery import LENGTHS, LEVEL, figures, run

PANELS = 40
TERMS = (("own_lag", "f"), ("own_lag", "s"), ("cross_lag", "f → s"), ("cross_lag", "s → f"))


@pytest.mark.slow
def test_intervals_of_lags_cover_as_often_as_they_say_and_own_lags_are_not_biased():
    """Within OLS beside it has the bias that unit dummies and few periods give."""
    table = figures(run(PANELS))
    print(f"\n{table.round(3).to_string()}")
    low, high = binom(PANELS, LEVEL).ppf([0.0005, 0.9995]) / PANELS
    for periods in LENGTHS:
        for term in TERMS:
            for by in ("simple", "region"):
                row = table.loc[(periods, by, *term, "bayes")]
                assert low <= row.coverage <= high, (periods, by, term)
                assert abs(row.bias) < 3 * row.bias_se + 0.2 * row.rmse, (periods, by, term)
        for name in ("f", "s"):
            own, within = (table.loc[periods, "simple", "own_lag", name, source] for source in ("bayes", "within"))
            assert within.bias < -4 * within.bias_se
            assert abs(own.bias) < 0.5 * abs(within.bias)

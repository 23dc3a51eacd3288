"""Coverage of paths in repeated samples: synthetic panels with known paths, each fitted; stored panels are not fitted again."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from tests.statistical.mediation_recovery import LEVEL, figures, run

PANELS = 40


@pytest.mark.slow
@pytest.mark.parametrize("exposure", [False, True], ids=["treatment", "exposure"])
def test_intervals_of_direct_and_indirect_effects_cover_as_often_as_they_say(exposure):
    table = figures(run(PANELS, exposure=exposure))
    print(f"\n{table.round(3).to_string()}")
    low, high = binom(PANELS, LEVEL).ppf([0.005, 0.9995]) / PANELS
    for by in ("all", "region"):
        for estimand in ("direct", "driving", "mediator_effect", "indirect", "total"):
            row = table.loc[by, estimand, "bayes"]
            assert low <= row.coverage <= high, (by, estimand)
            assert abs(row.bias) < 3 * row.bias_se + 0.1 * row.rmse, (by, estimand)

"""P-values and statistics of a placebo test, on made-up refits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes.did.placebo_result import PlaceboTest
from bayes.errors import SpecificationError
from bayes.estimates import Estimates


def made_up(actual, placebo, sd=1.0, kind="cohorts") -> PlaceboTest:
    placebo = np.atleast_2d(np.asarray(placebo, dtype=float)).T if np.ndim(placebo) == 1 else np.asarray(placebo, dtype=float)
    actual = np.atleast_1d(np.asarray(actual, dtype=float))
    own = Estimates.from_rows([{"term": "simple", "estimate": a, "se": 2.0} for a in actual])
    fake = Estimates.from_rows(
        [{"term": "simple", "variant": f"placebo {k}", "estimate": e, "se": sd} for k, r in enumerate(placebo) for e in r]
    )
    modes = pd.DataFrame({"converged": [True] * len(placebo)})
    return PlaceboTest(kind, own, None, fake, modes, pd.DataFrame(), None, {"verdict": "made up", "within": "all", "among": "all"})


def test_p_values_count_refits_that_are_at_least_as_extreme():
    p = made_up(0.5, [0.5, -0.5, 0.4, 0.9, -2.0, 0.0, 0.1, 0.2, 0.3]).p_values().iloc[0]
    assert p.two_sided == pytest.approx(5 / 10)
    assert p.greater == pytest.approx(3 / 10)
    assert p.less == pytest.approx(9 / 10)
    assert made_up(5.0, np.arange(4.0)).p_values().two_sided[0] == pytest.approx(1 / 5)
    studentised = made_up(0.5, [0.3, -0.2, 0.2, 0.26], sd=1.0).p_values("studentised").iloc[0]
    assert studentised.two_sided == pytest.approx(3 / 5)  # 0.25 against 0.3, 0.2, 0.2, 0.26


def test_missing_refits_count_as_extreme_and_a_missing_effect_has_no_p_value():
    test = made_up([1.0, np.nan], [[0.1, 0.1], [np.nan, 0.3], [0.2, 0.2]])
    assert test.p_values().two_sided[0] == pytest.approx(2 / 4)
    assert np.isnan(test.p_values().two_sided[1])
    assert test.p_values().missing.tolist() == [1, 0]
    assert test.table().missing.tolist() == [1, 0]
    assert made_up(1.0, [0.1], kind="dates").p_values().two_sided.isna().all()


def test_centring_takes_off_one_mean_for_all():
    test = made_up(3.0, [1.0, 2.0, 2.0])
    actual, placebo = test.statistics(centred=True)
    assert actual == pytest.approx([1.0])
    assert placebo[:, 0] == pytest.approx([-1.0, 0.0, 0.0])
    assert test.p_values(centred=True).two_sided[0] == pytest.approx(2 / 4)
    with pytest.raises(SpecificationError, match="statistic='t' does not exist"):
        test.statistics("t")

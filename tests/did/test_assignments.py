"""The lottery of fake treatment dates: every admissible assignment is equally likely, and none other is drawn."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from bayes import StaggeredDiD
from bayes.did.assignments import Lottery, lottery
from tests.did.dense import panel_of


def test_every_admissible_assignment_is_equally_likely():
    draw = Lottery(np.array([2.0, 4.0]), np.zeros(5, int), np.array([[1, 2]]), np.array([0, 1, 0, 3, 4]))
    allowed = {
        c for c in set(itertools.permutations((0, 1, 1, 2, 2))) if all(g == 2 or draw.first[i] < draw.cohorts[g] for i, g in enumerate(c))
    }
    assert draw.possible() == len(allowed) == 9
    found = pd.Series([tuple(row) for row in draw.draw(np.random.default_rng(0), 9000).tolist()]).value_counts()
    assert set(found.index) == allowed
    assert ((found - 1000) ** 2 / 1000).sum() < 26.1  # chi-squared, 8 degrees of freedom, p = .001


def test_numbers_treated_are_kept_and_nobody_gets_a_date_before_its_first_row(gappy_panel):
    frame = gappy_panel.frame
    late = panel_of(frame[~(frame.unit.isin(["u006", "u007"]) & (frame.year < 2006))])
    block = StaggeredDiD("y").block(late)
    for within in ("all", "region"):
        draw, pool = lottery(block, within, "all", late.regions.tolist())
        fake = draw.draw(np.random.default_rng(1), 50)
        assert pool.size == late.n_units
        strata = block.regions if within == "region" else np.zeros(late.n_units, int)
        own = np.searchsorted(np.r_[draw.cohorts, np.inf], block.cohorts)
        for s in np.unique(strata):
            expected = np.bincount(own[strata == s], minlength=3)
            assert (np.stack([np.bincount(f[strata == s], minlength=3) for f in fake]) == expected).all()
        assert (np.r_[draw.cohorts, np.inf][fake] > draw.first).all()
        assert len({tuple(f) for f in fake.tolist()}) > 40

from __future__ import annotations

import warnings

import pytest

import bayes
from tests.frontier.simulate import frontier_panel


@pytest.fixture(scope="session")
def small_fit():
    """A short fit of the default panel form on a small synthetic panel; too short to pass the gate."""
    spec = bayes.StochasticFrontier("y", ["x0", "x1"], technology="cobb-douglas")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return spec.fit(frontier_panel(model="true-random-effects"), seed=3, draws=60, tune=100, chains=2)

"""The wild cluster bootstrap: the regression behind it is ETWFE's, its p-value that of signs drawn by hand, bad input is named."""

from __future__ import annotations

import numpy as np
import pytest

import bayes
from bayes import Panel
from bayes.baselines import wild_bootstrap
from bayes.errors import BaselineWarning, MissingColumnError, NoComparisonError, SpecificationError
from tests.panels import ROLES, simulated_frame


@pytest.fixture(scope="module")
def castle():
    return bayes.datasets.load("castle_doctrine")


def test_estimate_and_error_are_those_of_etwfe(castle):
    """The CR1 errors differ by one column in the degrees of freedom."""
    found = wild_bootstrap(castle, "log_homicide", seed=1).frame.iloc[0]
    etwfe = bayes.baselines.did(castle, "log_homicide", "etwfe").where(term="simple").frame.iloc[0]
    assert found.estimate == pytest.approx(etwfe.estimate, rel=1e-9)
    assert found.se == pytest.approx(etwfe.se, rel=2e-3)
    assert found.lower < found.estimate < found.upper
    assert "wild cluster bootstrap p = 0.2" in found.note
    assert found.interval == "wild bootstrap, clustered by state"


def by_hand(panel: Panel, seed: int, replications: int) -> float:
    """Restricted bootstrap with dummies for everything: P(|t*| ≥ |t|) over random signs of whole units."""
    f = panel.frame
    treated = (f.year >= f.first_treated).to_numpy()
    keys = sorted(set(zip(f.first_treated[treated], f.year[treated], strict=True)))
    cells = np.column_stack([(f.first_treated == g) & (f.year == t) for g, t in keys]).astype(float)
    flat = [(f.unit == u) for u in panel.units] + [(f.year == t) for t in panel.periods[1:]]
    x, units = np.column_stack([*flat, cells]).astype(float), panel.unit_codes
    weight = np.r_[np.zeros(len(flat)), cells.sum(axis=0) / cells.sum()]
    inverse = np.linalg.pinv(x.T @ x)

    def statistic(y):
        b = inverse @ x.T @ y
        score = np.bincount(units, weights=(x @ inverse @ weight) * (y - x @ b))
        return weight @ b / np.sqrt((score**2).sum())

    y = f.y.to_numpy()
    b = inverse @ x.T @ y
    restricted = b - inverse @ weight * (weight @ b) / (weight @ inverse @ weight)
    rng = np.random.default_rng(seed)
    stars = [statistic(x @ restricted + (y - x @ restricted) * rng.choice([-1, 1], panel.n_units)[units]) for _ in range(replications)]
    return float(np.mean(np.abs(stars) >= abs(statistic(y))))


@pytest.mark.parametrize("gaps", [False, True])
def test_p_value_equals_signs_drawn_by_hand(gaps):
    frame = simulated_frame(gaps=gaps, noise=0.4)
    panel = Panel.from_frame(frame.assign(y=frame.y - 0.5 * frame.x - 0.85 * frame.true_effect), **ROLES)
    found, expected = wild_bootstrap(panel, "y", replications=1999, seed=3).meta["p_value"], by_hand(panel, 4, 1999)
    assert 0.01 < expected < 0.99
    assert abs(found - expected) < 4 * np.sqrt(2 * expected * (1 - expected) / 1999)


def test_anticipation_clusters_and_covariates_enter(tiny_panel):
    plain = wild_bootstrap(tiny_panel, "y", replications=99)
    with_x = wild_bootstrap(tiny_panel, "y", ["x"], replications=99)
    assert with_x.frame.se[0] < 0.8 * plain.frame.se[0]
    early = wild_bootstrap(tiny_panel, "y", ["x"], anticipation=1, replications=99)
    assert early.frame.estimate[0] != pytest.approx(with_x.frame.estimate[0], abs=1e-4)
    by_region = wild_bootstrap(tiny_panel, "y", ["x"], cluster="region", replications=99, multipliers="webb")
    assert "3 clusters" in by_region.frame.note[0]
    assert "clustered by region" in by_region.frame.interval[0]


def test_periods_without_comparison_are_left_out_as_in_etwfe():
    frame = simulated_frame()
    panel = Panel.from_frame(frame.assign(first_treated=frame.first_treated.fillna(2008)), name="synthetic", **ROLES)
    with pytest.warns(BaselineWarning, match="24 of 192 rows"):
        found = wild_bootstrap(panel, "y", replications=99).frame.iloc[0]
    with pytest.warns(BaselineWarning, match="24 of 192 rows"):
        etwfe = bayes.baselines.did(panel, "y", "etwfe").where(term="simple").frame.iloc[0]
    assert found.estimate == pytest.approx(etwfe.estimate, rel=1e-9)
    assert "24 of 192 rows left out: no untreated unit in their period" in found.note


def test_bad_input_is_named(tiny_panel):
    with pytest.raises(SpecificationError, match="'rademacher', 'webb', 'mammen'"):
        wild_bootstrap(tiny_panel, "y", multipliers="normal")
    with pytest.raises(SpecificationError, match="at least 99"):
        wild_bootstrap(tiny_panel, "y", replications=10)
    with pytest.raises(MissingColumnError, match="'state'"):
        wild_bootstrap(tiny_panel, "y", cluster="state")
    with pytest.raises(SpecificationError, match="between 0 and 1"):
        wild_bootstrap(tiny_panel, "y", level=95)
    untimed = Panel.from_frame(tiny_panel.frame.drop(columns="first_treated"), unit="unit", time="year")
    with pytest.raises(SpecificationError, match="no treatment timing"):
        wild_bootstrap(untimed, "y")
    late = Panel.from_frame(tiny_panel.frame.assign(first_treated=2030.0), unit="unit", time="year", first_treated="first_treated")
    with pytest.raises(NoComparisonError, match="No unit is treated"):
        wild_bootstrap(late, "y")

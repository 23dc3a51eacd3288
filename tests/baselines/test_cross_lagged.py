"""Within OLS of a cross-lagged pair: against least squares with dummies by hand, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import bayes
from bayes.errors import SpecificationError
from tests.dynamics.panels import pair_frame, panel_of

FRAME, _ = pair_frame(seed=5, n_units=12, n_periods=6, gaps=True)


def test_coefficients_and_clustered_errors_are_those_of_dummy_regression():
    """Rows with a previous period by lookup, dummies of units and periods, sandwich over units with pyfixest's small-sample factors."""
    f = FRAME.merge(FRAME.assign(year=FRAME.year + 1)[["unit", "year", "f", "s"]], on=["unit", "year"], suffixes=("", "_lag"))
    units, years = np.unique(f.unit), np.unique(f.year)
    dummies = np.column_stack([*((f.unit == u) for u in units), *((f.year == y) for y in years[1:])]).astype(float)
    w = np.column_stack([f.f_lag, f.s_lag, f.x, dummies])
    table = bayes.baselines.cross_lagged(panel_of(FRAME), "f", "s", ["x"])
    bread = np.linalg.inv(w.T @ w)
    for name, terms in (("f", [("own_lag", "f"), ("cross_lag", "s → f")]), ("s", [("cross_lag", "f → s"), ("own_lag", "s")])):
        beta = bread @ w.T @ f[name].to_numpy()
        scores = w * (f[name].to_numpy() - w @ beta)[:, None]
        sums = np.array([scores[f.unit == u].sum(axis=0) for u in units])
        meat = bread @ sums.T @ sums @ bread
        ratio = []
        for j, (estimand, term) in enumerate(terms):
            row = table.where(estimand=estimand, term=term).frame.iloc[0]
            np.testing.assert_allclose(row.estimate, beta[j], rtol=1e-6)
            assert row.n_obs == len(f)
            ratio.append(row.se / np.sqrt(meat[j, j]))
        np.testing.assert_allclose(ratio[0], ratio[1], rtol=1e-6)  # one small-sample factor for the whole matrix
        assert 1 < ratio[0] < 1.4


def test_rows_by_region_have_the_keys_of_the_posterior_and_say_that_they_are_biased():
    table = bayes.baselines.cross_lagged(panel_of(FRAME), "f", "s", by_region=True)
    assert table.frame.groupby("region").size().to_dict() == {"": 4, "R0": 4, "R1": 4, "R2": 4}
    assert table.frame.note.str.contains("Nickell 1981").all()
    assert np.isfinite(table.frame.se).all()


def test_bad_calls_are_refused():
    panel = panel_of(FRAME)
    for arguments, options, words in (
        (("f", "f"), {}, "each named once"),
        (("f", "s", "x"), {}, "covariates must be a list"),
        (("f", "s"), {"level": 1.0}, "level"),
    ):
        with pytest.raises(SpecificationError, match=words):
            bayes.baselines.cross_lagged(panel, *arguments, **options)
    with pytest.raises(SpecificationError, match="no region"):
        bayes.baselines.cross_lagged(panel_of(FRAME, region=None), "f", "s", by_region=True)

"""Products of coefficients: against least squares with dummies, clustered by hand, and against the Bayesian model where both are exact."""

from __future__ import annotations

import numpy as np
import pytest

import bayes
from bayes.errors import BaselineWarning, MissingColumnError, SpecificationError
from tests.mechanism.panels import mechanism_frame, panel_of

FRAME, _ = mechanism_frame(seed=4, n_units=36, n_periods=7, gaps=True)
PANEL = panel_of(FRAME)


def dummy_regression(y: np.ndarray, columns: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of ``columns`` beside unit and period dummies, and their sandwich over units without small-sample factor."""
    f = FRAME
    dummies = [(f.unit == u).to_numpy(float) for u in f.unit.unique()] + [
        (f.year == t).to_numpy(float) for t in sorted(f.year.unique())[1:]
    ]
    x = np.column_stack([*columns, *dummies])
    bread = np.linalg.inv(x.T @ x)
    slope = bread @ x.T @ y
    scores = x * (y - x @ slope)[:, None]
    sums = np.array([scores[(f.unit == u).to_numpy()].sum(axis=0) for u in f.unit.unique()])
    k = len(columns)
    return slope[:k], (bread @ sums.T @ sums @ bread)[:k, :k]


def row(table, estimand: str, term: str, region: str = ""):
    return table.where(estimand=estimand, term=term, region=region).frame.iloc[0]


def test_products_are_those_of_dummy_regressions():
    table = bayes.baselines.mediation(PANEL, "y", ["m1", "m2"], ["x"])
    d = (FRAME.year >= FRAME.first_treated).to_numpy(float)
    m1, m2, x, y = (FRAME[c].to_numpy() for c in ("m1", "m2", "x", "y"))
    a1, va1 = dummy_regression(m1, [d, x])
    a2, _ = dummy_regression(m2, [d, x])
    c, vc = dummy_regression(y, [d, m1, m2, x])
    total, _ = dummy_regression(y, [d, x])
    np.testing.assert_allclose(row(table, "direct", "all").estimate, c[0], rtol=1e-7)
    np.testing.assert_allclose(row(table, "driving", "m2").estimate, a2[0], rtol=1e-7)
    np.testing.assert_allclose(row(table, "indirect", "m1").estimate, a1[0] * c[1], rtol=1e-7)
    np.testing.assert_allclose(row(table, "total", "all").estimate, total[0], rtol=1e-7)
    np.testing.assert_allclose(total[0], c[0] + a1[0] * c[1] + a2[0] * c[2], rtol=1e-8)  # an identity of least squares
    np.testing.assert_allclose(row(table, "share", "all").estimate, 1 - c[0] / total[0], rtol=1e-6)
    # Standard errors carry the library's small-sample factor, a few percent of 36 clusters.
    se = np.sqrt(c[1] ** 2 * va1[0, 0] + a1[0] ** 2 * vc[1, 1])
    assert 1 < row(table, "indirect", "m1").se / se < 1.06
    together = dummy_regression(c[1] * m1 + c[2] * m2, [d, x])[1][0, 0]
    paths = np.array([a1[0], a2[0]])
    assert 1 < row(table, "indirect", "all").se / np.sqrt(together + paths @ vc[1:3, 1:3] @ paths) < 1.06


def test_regions_come_from_one_regression_with_common_periods():
    table = bayes.baselines.mediation(PANEL, "y", ["m1"], by_region=True)
    d = (FRAME.year >= FRAME.first_treated).to_numpy(float)
    m1, y = FRAME.m1.to_numpy(), FRAME.y.to_numpy()
    inside = [(FRAME.region == r).to_numpy(float) for r in ("R0", "R1", "R2")]
    c, _ = dummy_regression(y, [d * r for r in inside] + [m1 * r for r in inside])
    a, _ = dummy_regression(m1, [d * r for r in inside])
    for j, region in enumerate(("R0", "R1", "R2")):
        np.testing.assert_allclose(row(table, "direct", "all", region).estimate, c[j], rtol=1e-6)
        np.testing.assert_allclose(row(table, "indirect", "m1", region).estimate, a[j] * c[3 + j], rtol=1e-6)


def test_a_region_without_treated_units_is_nan_with_the_reason():
    panel = panel_of(FRAME.assign(first_treated=FRAME.first_treated.where(FRAME.region != "R1")))
    with pytest.warns(BaselineWarning, match="in R1 could not be computed: no treated unit"):
        table = bayes.baselines.mediation(panel, "y", ["m1"], by_region=True)
    empty = row(table, "indirect", "all", "R1")
    assert np.isnan(empty.estimate)
    assert not empty.identified
    assert "no treated unit in this region" in empty.note
    assert np.isfinite(row(table, "indirect", "all", "R2").estimate)


def test_notes_carry_the_assumption_and_unknown_options_raise():
    table = bayes.baselines.mediation(PANEL, "y", ["m1"], cluster="region")
    assert table.frame.note.str.contains("sequential ignorability|parallel trends").all()
    assert set(table.frame.interval) == {"normal, clustered by region", ""}
    for options, error, words in (
        ({"mediators": ["y"]}, SpecificationError, "other columns than the outcome"),
        ({"mediators": "m1"}, SpecificationError, "list of columns"),
        ({"mediators": ["m1"], "level": 2}, SpecificationError, "between 0 and 1"),
        ({"mediators": ["m1"], "cluster": "state"}, MissingColumnError, "state"),
        ({"mediators": ["m1"], "cluster": "year"}, SpecificationError, "whole units"),
    ):
        with pytest.raises(error, match=words):
            bayes.baselines.mediation(PANEL, "y", **options)
    with pytest.raises(SpecificationError, match="treatment timing"):
        bayes.baselines.mediation(panel_of(FRAME, first_treated=None), "y", ["m1"])
    with pytest.raises(SpecificationError, match="no region"):
        bayes.baselines.mediation(panel_of(FRAME, region=None), "y", ["m1"], by_region=True)

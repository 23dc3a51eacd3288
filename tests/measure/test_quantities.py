"""Columns read as production, and the rows that span technologies."""

from __future__ import annotations

import numpy as np
import pytest

from bayes.errors import NotPositiveError, SpecificationError
from bayes.measure._means import group_means
from bayes.measure._quantities import is_weak, mean_weights, production_of, returns_of
from bayes.measure._technologies import Returns
from bayes.panel import Panel
from bayes.validation import one_of
from tests.measure.programs import synthetic_panel

PANEL = synthetic_panel(n=5, periods=3, widths=(2, 1, 1))


def gappy(panel):
    """Years 2000, 2002 and 2004 with u00 missing in the second."""
    frame = panel.frame.assign(year=2000 + 2 * (panel.frame.year - 2000))
    return Panel.from_frame(frame[(frame.unit != "u00") | (frame.year != 2002)], unit="unit", time="year", region="zone")


def test_columns_keep_their_roles_and_order():
    found = production_of(PANEL, ["x2", "x1"], ["y1"], ["b1"])
    assert found.columns == ("x2", "x1", "y1", "b1")
    np.testing.assert_array_equal(found.quantities.stacked(), PANEL.frame[["x2", "x1", "y1", "b1"]].to_numpy())
    assert found.quantities.widths == (2, 1, 1)


def test_reference_sets_of_a_panel_with_gaps():
    found = production_of(gappy(PANEL), ["x1"], ["y1"])
    assert found.periods.tolist() == [0, 1, 2]
    years = found.panel.frame.year.to_numpy()
    for kind, allowed in (("contemporaneous", lambda t, s: s == t), ("sequential", lambda t, s: s <= t)):
        for rows, spanning in found.by_period(kind):
            t = years[rows[0]]
            assert set(years[rows]) == {t}
            np.testing.assert_array_equal(spanning, np.flatnonzero(allowed(t, years)))
    ((rows, spanning),) = found.by_period("global")
    np.testing.assert_array_equal(rows, spanning)
    assert rows.size == 14
    assert sum(len(rows) for rows, _ in found.by_period("sequential")) == 14
    assert found.labels()[1] == {"unit": "u00", "region": "r0", "period": 2004.0}


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ("x1", ["y1"], r"inputs=\['x1'\]"),
        (["x1"], "y1", r"outputs=\['y1'\]"),
        ([], ["y1"], "At least one input"),
        (["x1"], [], "At least one input"),
        (["x1", "y1"], ["y1"], r"\['y1'\] stand in more than one role"),
        (["x1", "x1"], ["y1"], "more than one role"),
        (3, ["y1"], "list of columns, got 3"),
        ([["x1"]], ["y1"], "list of columns"),
    ],
    ids=str,
)
def test_roles_that_cannot_be_read(inputs, outputs, message):
    with pytest.raises(SpecificationError, match=message):
        production_of(PANEL, inputs, outputs)


def test_zeros_where_they_are_forbidden():
    frame = PANEL.frame.copy()
    frame.loc[2, "b1"] = 0.0
    panel = Panel.from_frame(frame, unit="unit", time="year")
    assert production_of(panel, ["x1"], ["y1"], ["b1"]).quantities.bads[2, 0] == 0
    with pytest.raises(NotPositiveError, match=r"'b1' has 1 values that are zero.*u00.*2002"):
        production_of(panel, ["x1"], ["y1"], ["b1"], positive=True)


def test_words():
    assert returns_of("nirs") is Returns.NON_INCREASING
    assert is_weak("weak", ["b1"])
    for call in (lambda: returns_of("CRS"), lambda: one_of("option", None, ("a", "b")), lambda: is_weak("free", ["b1"])):
        with pytest.raises(SpecificationError, match="Choose one of"):
            call()


def test_weights_of_means():
    assert mean_weights(PANEL, None) is None
    np.testing.assert_array_equal(mean_weights(PANEL, "x1"), PANEL.frame.x1)
    weighted = Panel.from_frame(PANEL.frame, unit="unit", time="year", weights="x2")
    np.testing.assert_array_equal(mean_weights(weighted, None), PANEL.frame.x2)
    with pytest.raises(NotPositiveError, match="Weights must be positive"):
        mean_weights(PANEL.assign(w=0.0), "w")


@pytest.mark.parametrize("kind", ["arithmetic", "geometric"])
def test_means_by_draw_leave_out_what_is_missing(kind):
    """Draw by draw against NumPy; a value missing in one draw is missing there only."""
    rng = np.random.default_rng(0)
    draws, weights = np.exp(rng.normal(size=(6, 15))), rng.uniform(1, 2, 15)
    draws[2, 4] = np.nan
    draws[:, 9] = np.nan
    found = group_means(PANEL, draws, "region", kind, weights)
    region = np.array([label["region"] for label in production_of(PANEL, ["x1"], ["y1"]).labels()])
    for g, label in enumerate(found.labels):
        inside = region == label["region"]
        values = np.log(draws[:, inside]) if kind == "geometric" else draws[:, inside]
        known, w = np.isfinite(values), np.broadcast_to(weights[inside], values.shape)
        mean = np.array([np.average(v[k], weights=u[k]) for v, k, u in zip(values, known, w, strict=True)])
        np.testing.assert_allclose(found.values[g], np.exp(mean) if kind == "geometric" else mean, rtol=1e-12)
        assert found.missing[g] == (~known).any(axis=0).sum()
        assert found.used[g] + found.missing[g] == inside.sum()
    assert found.note(0, kind).startswith(f"{kind} mean")


def test_means_of_nothing():
    values = np.ones(15)
    values[:3] = np.nan
    found = group_means(PANEL, values, "unit")
    assert np.isnan(found.values[0, 0])
    assert found.used[0] == 0
    assert found.note(0) == "arithmetic mean; 3 of 3 scores have no value and are left out"
    for options, message in (({"kind": "harmonic"}, "'arithmetic', 'geometric'"), ({"by": "zone"}, "region")):
        with pytest.raises(SpecificationError, match=message):
            group_means(PANEL, values, **{"by": "unit", **options})
    with pytest.raises(SpecificationError, match="positive"):
        group_means(PANEL, -values, "unit", "geometric")

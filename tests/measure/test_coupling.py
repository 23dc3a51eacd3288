"""Coupling and coordination: formulas written out, classes and their probabilities, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes.errors import DataError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._coupling import CLASSES, coordination_degrees, coupling_coordination
from bayes.measure._index import composite_index
from bayes.panel import Panel


def synthetic(**columns) -> Panel:
    """Synthetic: 4 units × 2 years with two systems in [0, 1]."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"unit": np.repeat(list("abcd"), 2), "year": [1, 2] * 4, "u": rng.random(8), "v": rng.random(8)})
    return Panel.from_frame(frame.assign(**columns), unit="unit", time="year", name="synthetic")


def drawn(panel: Panel, column: str, n: int = 50, seed: int = 0, keep=slice(None)) -> Estimates:
    """Synthetic posterior of a column: its values with a little noise, kept within [0, 1]."""
    noise = np.random.default_rng(seed).normal(0, 0.05, (panel.n_rows, n))
    rows = [{"estimand": column, "unit": u, "period": t} for u, t in panel.frame[["unit", "year"]].itertuples(index=False)]
    return Estimates.from_draws(rows[keep], np.clip(panel.column(column)[:, None] + noise, 0, 1)[keep])


def test_two_systems_follow_the_formula():
    panel = synthetic()
    u, v = panel.column("u"), panel.column("v")
    found = coupling_coordination(panel, ["u", "v"], weights=[3, 1]).frame.set_index("estimand").estimate
    c, t = 2 * np.sqrt(u * v) / (u + v), 0.75 * u + 0.25 * v
    np.testing.assert_allclose(found["coupling"], c, rtol=1e-13)
    np.testing.assert_allclose(found["development_degree"], t, rtol=1e-13)
    np.testing.assert_allclose(found["coordination_degree"], np.sqrt(c * t), rtol=1e-13)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=6))
def test_k_systems_keep_within_one_and_are_one_when_equal(values):
    u = [np.array([[x]]) for x in values]
    k, w = len(u), np.full(len(u), 1 / len(u))
    c, t, d = (x.item() for x in coordination_degrees(u, w))
    assert c == pytest.approx(k * np.prod(values) ** (1 / k) / np.sum(values), rel=1e-9)
    assert c <= 1
    assert d <= 1
    assert d == pytest.approx(np.sqrt(c * t))
    same = coordination_degrees([u[0]] * k, w)
    assert same[0].item() == pytest.approx(1)
    assert same[2].item() == pytest.approx(np.sqrt(values[0]))


def test_many_tiny_systems_do_not_underflow():
    c, _, d = coordination_degrees([np.full((1, 1), 1e-60)] * 8, np.full(8, 0.125))
    assert c.item() == pytest.approx(1)
    assert d.item() == pytest.approx(1e-30)


def test_classes_at_their_bounds():
    """With equal systems D = √u: bounds belong to the class above them, 1 to the last."""
    degree = np.array([0.0, 0.0999, 0.15, 0.25, 0.5, 0.61, 0.8999, 1.0])
    panel = synthetic(u=degree**2, v=degree**2)
    found = coupling_coordination(panel, ["u", "v"])
    classes = found.where(estimand="coordination_class").frame
    assert list(classes.term) == [CLASSES[i] for i in (0, 0, 1, 2, 5, 6, 8, 9)]
    assert (classes.estimate == 1).all()
    assert list(found.where(estimand="coordination_degree").frame.note) == list(classes.term)
    assert classes.note.iloc[-1] == "0.9 ≤ D ≤ 1"
    assert len(set(CLASSES)) == 10


def test_systems_at_zero():
    panel = synthetic(u=[0, 0, 0.5, 1, 1, 1, 1, 1], v=[0, 0.4, 0.5, 1, 1, 1, 1, 1])
    frame = coupling_coordination(panel, ["u", "v"]).frame
    c = frame[frame.estimand == "coupling"]
    assert np.isnan(c.estimate.iloc[0])
    assert not c.identified.iloc[0]
    assert "all systems are zero" in c.note.iloc[0]
    np.testing.assert_array_equal(c.estimate.iloc[1:4], [0, 1, 1])
    np.testing.assert_allclose(frame[frame.estimand == "coordination_degree"].estimate.iloc[:3], [0, 0, np.sqrt(0.5)])


def test_draws_go_through_and_give_probabilities_of_classes():
    panel = synthetic()
    first, second = drawn(panel, "u", seed=1), drawn(panel, "v", seed=2)
    found = coupling_coordination(panel, [first, second])
    d = found.where(estimand="coordination_degree")
    c, t = 2 * np.sqrt(first.draws * second.draws) / (first.draws + second.draws), (first.draws + second.draws) / 2
    np.testing.assert_allclose(d.draws, np.sqrt(c * t), rtol=1e-12)
    classes = found.where(estimand="coordination_class")
    sums = classes.frame.groupby(["unit", "period"]).estimate.sum()
    np.testing.assert_allclose(sums, 1)
    assert len(sums) == 8
    unit = classes.where(unit="a", period=1)
    lower = [CLASSES.index(name) / 10 for name in unit.frame.term]
    degree = d.where(unit="a", period=1).draws[0]
    np.testing.assert_allclose(unit.frame.estimate, [((degree >= x) & (degree < x + 0.1)).mean() for x in lower])
    assert unit.frame[["se", "lower", "upper"]].isna().all(axis=None)
    mixed = coupling_coordination(panel, [first, "v"]).where(estimand="development_degree")
    np.testing.assert_allclose(mixed.draws, (first.draws + panel.column("v")[:, None]) / 2)


def test_composite_indices_fit_in():
    panel = synthetic()
    index = composite_index(panel, ["u", "v"], dimensions={"one": ["u"], "two": ["v"]}, replicates=20).where(estimand="index")
    found = coupling_coordination(panel, [index.where(term="one"), index.where(term="two")])
    assert found.where(estimand="coordination_degree").draws.shape == (8, 20)


def test_rows_and_draws_must_fit():
    panel = synthetic()
    with pytest.raises(SpecificationError, match="number of draws"):
        coupling_coordination(panel, [drawn(panel, "u"), drawn(panel, "v", n=40)])
    with pytest.raises(SpecificationError, match=r"'u' has 1 rows that 'v' lacks: unit d, year 2"):
        coupling_coordination(panel, ["u", drawn(panel, "v", keep=slice(0, 7))])


def test_bad_input():
    panel = synthetic(w=[0.1] * 7 + [1.2], x=[-0.1] + [0.5] * 7)
    with pytest.raises(DataError, match=r"'w' leaves \[0, 1\] in 1 rows: unit d, year 2"):
        coupling_coordination(panel, ["u", "w"])
    with pytest.raises(DataError, match="unit a, year 1"):
        coupling_coordination(panel, ["x", "u"])
    for systems in ("u", ["u"]):
        with pytest.raises(SpecificationError, match=r"list of (two or more )?columns"):
            coupling_coordination(panel, systems)
    for weights in ([1], [1, 0], [1, np.nan]):
        with pytest.raises(SpecificationError, match="positive numbers"):
            coupling_coordination(panel, ["u", "v"], weights=weights)

"""Composite indices: scaling, entropy weights and TOPSIS against formulas written out, bootstrap over units, bad input."""

from __future__ import annotations

from math import log, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes.errors import MissingColumnError, MissingValueError, NoVariationError, SpecificationError
from bayes.measure._entropy import divergence, min_max, shares, topsis, weighted_sum
from bayes.measure._index import composite_index
from bayes.measure._values import values_of
from bayes.panel import Panel

REFERENCE = pd.read_csv(Path(__file__).resolve().parents[1] / "reference" / "indices.csv")
COLUMNS = ["a", "b", "c"]


def synthetic(gaps: bool = False, seed: int = 3) -> Panel:
    """Synthetic: 8 units × 5 years in 2 regions, three indicators of very different scale, one negative throughout."""
    rng = np.random.default_rng(seed)
    unit, year = np.repeat(np.arange(8), 5), np.tile(np.arange(2001, 2006), 8)
    frame = pd.DataFrame({"unit": [f"u{i}" for i in unit], "year": year, "region": np.array(["East", "West"])[unit % 2]})
    frame = frame.assign(a=rng.lognormal(size=40), b=-rng.random(40) * 1e4, c=rng.normal(size=40) + 0.1 * (year - 2000))
    if gaps:
        frame = frame[rng.random(40) > 0.2]
    return Panel.from_frame(frame, unit="unit", time="year", region="region", name="synthetic")


def by_loops(x: np.ndarray, cost: list[bool]) -> tuple[list[float], list[float], list[float]]:
    """Entropy weights, TOPSIS and weighted sums by the textbook's sums, one number at a time."""
    n, k = x.shape
    z = [[((max(x[:, j]) - v) if cost[j] else (v - min(x[:, j]))) / (max(x[:, j]) - min(x[:, j])) for j, v in enumerate(row)] for row in x]
    d = []
    for j in range(k):
        total = sum(row[j] for row in z)
        p = [row[j] / total for row in z]
        d.append(1 + sum(q * log(q) for q in p if q > 0) / log(n))
    w = [v / sum(d) for v in d]
    best = [max(row[j] * w[j] for row in z) for j in range(k)]
    worst = [min(row[j] * w[j] for row in z) for j in range(k)]
    near, far = [], []
    for row in z:
        near.append(sqrt(sum((row[j] * w[j] - best[j]) ** 2 for j in range(k))))
        far.append(sqrt(sum((row[j] * w[j] - worst[j]) ** 2 for j in range(k))))
    closeness = [f / (f + m) for f, m in zip(far, near, strict=True)]
    return w, closeness, [sum(w[j] * row[j] for j in range(k)) for row in z]


@pytest.mark.parametrize("gaps", [False, True])
def test_entropy_weights_and_both_indices_follow_the_textbook(gaps):
    panel = synthetic(gaps)
    w, closeness, sums = by_loops(panel.matrix(COLUMNS), [False, True, False])
    for method, expected in (("topsis", closeness), ("weighted-sum", sums)):
        found = composite_index(panel, benefit=["a", "c"], cost=["b"], method=method)
        weights = found.where(estimand="weight").frame.set_index("term").estimate
        np.testing.assert_allclose(weights[COLUMNS], w, rtol=1e-12)
        index = found.where(estimand="index", term="overall").frame
        np.testing.assert_allclose(index.estimate, expected, rtol=1e-12)
        assert list(index.unit) == list(panel.frame.unit)
        assert list(index.period) == list(panel.frame.year)
        assert list(index.region) == list(panel.frame.region)


def test_topsis_of_another_program():
    """Cost and benefit with weights of one half; the program prints three digits."""
    x = np.array([[1, 3000], [2, 3750], [5, 4500]], dtype=float)
    frame = pd.DataFrame(np.tile(x, (2, 1)), columns=["price", "size"]).assign(unit=[1, 2, 3] * 2, year=[1] * 3 + [2] * 3)
    panel = Panel.from_frame(frame, unit="unit", time="year")
    weights = {"price": 0.5, "size": 0.5}
    found = composite_index(panel, benefit=["size"], cost=["price"], weights=weights).where(estimand="index", unit="2", period=1)
    row = REFERENCE[REFERENCE.dataset == "pymcdm_docstring"].iloc[0]
    assert round(found.frame.estimate.iloc[0], 3) == row.value
    exact = sqrt(0.75**2 + 0.5**2) / (sqrt(0.75**2 + 0.5**2) + sqrt(0.25**2 + 0.5**2))
    assert found.frame.estimate.iloc[0] == pytest.approx(exact, abs=1e-14)


def test_sub_indices_use_their_own_indicators_with_weights_that_sum_to_one():
    panel = synthetic()
    dimensions = {"money": ["a", "b"], "people": ["c"]}
    found = composite_index(panel, ["a", "c"], ["b"], dimensions, method="weighted-sum")
    w = found.where(estimand="weight").frame.set_index("term").estimate
    z, _ = min_max(panel.matrix(COLUMNS), np.array([False, True, False]))
    money = (w["a"] * z[:, 0] + w["b"] * z[:, 1]) / (w["a"] + w["b"])
    np.testing.assert_allclose(found.where(estimand="index", term="money").frame.estimate, money, rtol=1e-12)
    np.testing.assert_allclose(found.where(estimand="index", term="people").frame.estimate, z[:, 2], rtol=1e-12)
    sums = found.where(estimand="dimension_weight").frame.set_index("term").estimate
    assert sums["money"] == pytest.approx(w["a"] + w["b"])
    assert sums.sum() == pytest.approx(1)


def test_equal_and_given_weights():
    panel = synthetic()
    equal = composite_index(panel, COLUMNS, weights="equal")
    given_ = composite_index(panel, COLUMNS, weights={"c": 3, "a": 3, "b": 3})
    np.testing.assert_allclose(equal.where(estimand="weight").frame.estimate, 1 / 3)
    np.testing.assert_allclose(equal.frame.estimate, given_.frame.estimate, rtol=1e-14)
    lopsided = composite_index(panel, COLUMNS, weights={"a": 1, "b": 0, "c": 0}, method="weighted-sum").where(estimand="index")
    np.testing.assert_allclose(lopsided.frame.estimate, min_max(panel.matrix(["a"]), np.array([False]))[0][:, 0])


def test_base_periods_restrict_the_weights_and_not_the_bounds():
    panel = synthetic()
    base = [2001, 2002]
    found = composite_index(panel, COLUMNS, base_periods=base)
    z, _ = min_max(panel.matrix(COLUMNS), np.zeros(3, dtype=bool))
    rows = panel.frame.year.isin(base).to_numpy()
    p = z[rows] / z[rows].sum(axis=0)
    d = 1 + np.sum(p * np.log(np.where(p > 0, p, 1)), axis=0) / np.log(rows.sum())
    np.testing.assert_allclose(found.where(estimand="weight").frame.estimate, d / d.sum(), rtol=1e-12)
    np.testing.assert_allclose(found.where(estimand="index").frame.estimate, topsis(z, (d / d.sum())[None])[0], rtol=1e-12)
    assert found.meta["base_periods"] == base


def test_a_constant_indicator_has_weight_zero_and_a_note():
    panel = synthetic().assign(flat=7.0)
    for weights in ("entropy", "equal"):
        found = composite_index(panel, [*COLUMNS, "flat"], dimensions={"idle": ["flat"]}, weights=weights)
        without = composite_index(panel, COLUMNS, weights=weights)
        flat = found.where(estimand="weight", term="flat").frame.iloc[0]
        assert flat.estimate == 0
        assert "constant" in flat.note
        same = found.where(estimand="index", term="overall").frame
        np.testing.assert_allclose(same.estimate, without.where(estimand="index").frame.estimate, rtol=1e-12)
        assert same.note.str.contains("flat").all()
        idle = found.where(estimand="index", term="idle").frame
        assert idle.estimate.isna().all()
        assert not idle.identified.any()
        assert idle.note.str.contains("'idle'").all()


def test_an_indicator_that_is_constant_in_the_base_periods_only():
    panel = synthetic()
    panel = panel.assign(later=np.where(panel.frame.year < 2003, 0.3, panel.column("a")))
    found = composite_index(panel, [*COLUMNS, "later"], base_periods=[2001, 2002]).where(estimand="weight", term="later").frame.iloc[0]
    assert found.estimate == 0
    assert "base periods" in found.note


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.1, 50), st.floats(-100, 100))
def test_whole_number_weights_of_units_repeat_their_rows(seed, times, scale, shift):
    """A unit of weight m is a unit that occurs m times; scale and origin of an indicator do not matter."""
    rng = np.random.default_rng(seed)
    x, unit = rng.normal(size=(12, 3)), np.repeat(np.arange(4), 3)
    z, _ = min_max(x, np.zeros(3, dtype=bool))
    weights = np.array([1, times, 2, 1])
    repeated = np.repeat(np.arange(12), weights[unit])
    plain = divergence(z[repeated], np.arange(repeated.size), np.ones((1, repeated.size)))
    np.testing.assert_allclose(shares(divergence(z, unit, weights[None] * 0.37)), shares(plain), rtol=1e-9)
    moved, _ = min_max(x * scale + shift, np.zeros(3, dtype=bool))
    np.testing.assert_allclose(moved, z, atol=1e-9)
    for index in (topsis, weighted_sum):
        values = index(z, shares(plain))
        assert values.min() >= 0
        assert values.max() <= 1 + 1e-12


@pytest.mark.parametrize("gaps", [False, True])
def test_equal_weights_of_units_give_the_plain_weights(gaps):
    panel = synthetic(gaps)
    z, _ = min_max(panel.matrix(COLUMNS), np.zeros(3, dtype=bool))
    weighted = shares(divergence(z, panel.unit_codes, np.full((1, panel.n_units), 0.125)))
    np.testing.assert_allclose(weighted, shares(divergence(z, np.arange(len(z)), np.ones((1, len(z))))), rtol=1e-13)
    plain = composite_index(panel, COLUMNS).where(estimand="weight").frame.estimate
    np.testing.assert_allclose(weighted[0], plain, rtol=1e-13)


def test_the_bootstrap_draws_weights_and_every_index():
    panel = synthetic()
    found = composite_index(panel, COLUMNS, dimensions={"d": ["a", "b"]}, replicates=400, seed=5)
    again = composite_index(panel, COLUMNS, dimensions={"d": ["a", "b"]}, replicates=400, seed=5)
    other = composite_index(panel, COLUMNS, dimensions={"d": ["a", "b"]}, replicates=400, seed=6)
    assert found.draws.shape == (len(found), 400)
    np.testing.assert_array_equal(found.draws, again.draws)
    assert not np.array_equal(found.draws, other.draws)
    assert found.meta["seed"] == 5
    assert (found.frame.interval == "equal-tailed Bayesian bootstrap over units").all()
    weights = found.draws[(found.frame.estimand == "weight").to_numpy()]
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    plain = np.array([found.meta["plain_weights"][c] for c in COLUMNS])
    assert (np.abs(weights.mean(axis=1) - plain) < 2 * weights.std(axis=1)).all()
    z, _ = min_max(panel.matrix(COLUMNS), np.zeros(3, dtype=bool))
    np.testing.assert_allclose(found.draws[(found.frame.term == "overall").to_numpy()], topsis(z, weights.T).T, rtol=1e-12)
    read = values_of(panel, found.where(estimand="index", term="overall"))
    assert read.draws.shape == (400, panel.n_rows)
    assert read.interval == "equal-tailed Bayesian bootstrap over units"


def test_one_unit_over_time_has_an_index_and_no_bootstrap():
    frame = pd.DataFrame({"unit": "only", "year": [1, 2, 3], "a": [1.0, 2, 4], "b": [3.0, 3, 1]})
    panel = Panel.from_frame(frame, unit="unit", time="year")
    assert composite_index(panel, ["a"], ["b"]).where(estimand="index").frame.estimate.between(0, 1).all()
    with pytest.raises(SpecificationError, match="there is one"):
        composite_index(panel, ["a"], ["b"], replicates=10)
    with pytest.raises(NoVariationError, match="flat"):
        composite_index(panel.assign(flat=1.0), ["flat"])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"method": "vikor"}, SpecificationError, "'topsis', 'weighted-sum'"),
        ({"weights": "pca"}, SpecificationError, "'entropy', 'equal'"),
        ({"weights": {"a": 1}}, SpecificationError, "each indicator once"),
        ({"weights": {"a": 1, "b": -1, "c": 1}}, SpecificationError, "not negative"),
        ({"weights": {"a": 0, "b": 0, "c": 0}}, SpecificationError, "not all zero"),
        ({"weights": {"a": "x", "b": 1, "c": 1}}, SpecificationError, "weights must be text or a mapping"),
        ({"base_periods": 2001}, SpecificationError, "list of whole numbers"),
        ({"cost": None}, SpecificationError, "list of columns"),
        ({"seed": "one"}, SpecificationError, "seed must be a whole number"),
        ({"cost": ["a"]}, SpecificationError, "named twice: a"),
        ({"benefit": "a"}, SpecificationError, "list of columns"),
        ({"benefit": []}, SpecificationError, "at least one"),
        ({"benefit": ["no_such"]}, MissingColumnError, "no_such"),
        ({"dimensions": {"d": ["no_such"]}}, SpecificationError, "no_such"),
        ({"dimensions": {"overall": ["a"]}}, SpecificationError, "overall"),
        ({"dimensions": {"d": []}}, SpecificationError, "list of columns"),
        ({"base_periods": [1990]}, SpecificationError, "1990"),
        ({"base_periods": []}, SpecificationError, "no period"),
        ({"base_periods": [2001], "weights": "equal"}, SpecificationError, "entropy weights"),
        ({"replicates": 10, "weights": "equal"}, SpecificationError, "resample"),
        ({"replicates": -1}, SpecificationError, "at least 0"),
        ({"replicates": 10, "level": 95}, SpecificationError, "level"),
        ({"level": 95}, SpecificationError, "level"),
    ],
)
def test_bad_options(options, error, words):
    with pytest.raises(error, match=words):
        composite_index(synthetic(), **({"benefit": COLUMNS} | options))


def test_bad_data():
    panel = synthetic()
    with pytest.raises(NoVariationError, match="flat, even"):
        composite_index(panel.assign(flat=1.0, even=2.0), ["flat"], ["even"])
    with pytest.raises(NoVariationError, match="positive weight"):
        composite_index(panel.assign(flat=1.0), ["a", "flat"], weights={"a": 0, "flat": 1})
    step = panel.assign(step=np.where(panel.frame.year > 2002, 1.0, 0.0))
    with pytest.raises(NoVariationError, match="base periods"):
        composite_index(step, ["step"], base_periods=[2001, 2002])
    with pytest.raises(MissingValueError, match="unit u0, year 2001"):
        composite_index(panel.assign(a=np.where(np.arange(40) == 0, np.nan, 1.0)), ["a"])

"""Distances to technologies against independent programs, exact fractions and what must hold by theory."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bayes.errors import SpecificationError
from bayes.measure._linear_programs import Status
from bayes.measure._technologies import (
    Quantities,
    Returns,
    Technology,
    directional,
    directional_by_reference,
    radial_direction,
    slack_based,
    slack_based_super,
    without_dominated,
)
from tests.measure.programs import (
    directional_by_scipy,
    exact_minimum,
    random_quantities,
    slack_based_by_scipy,
    super_by_scipy,
)

RETURNS = ("crs", "vrs", "nirs", "ndrs")
NO_BADS = (2, 1, 0)


def moves(q: Quantities, x: float, y: float, b: float) -> Quantities:
    return Quantities(x * q.inputs, y * q.outputs, b * q.bads)


def agree(found: np.ndarray, expected: np.ndarray) -> None:
    """The same pattern of infeasibility, and values within 1e-8."""
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("weak", [False, True], ids=["strong", "weak"])
@pytest.mark.parametrize("returns", RETURNS)
def test_directional_distances_against_scipy(returns, weak):
    """Points inside and outside of the technology, in five directions, by each backend."""
    rng = np.random.default_rng(11)
    reference, points = random_quantities(rng, 14, (2, 2, 1)), random_quantities(rng, 9, (2, 2, 1), spread=0.9)
    technology = Technology(reference, Returns(returns), weak)
    fixed = Quantities(np.ones((9, 2)), np.tile([1.0, 0.0], (9, 1)), np.full((9, 1), 0.5))
    ways = [moves(points, 1, 0, 0), moves(points, 0, 1, 0), moves(points, 0, 1, 1), moves(points, 1, 1, 1), fixed]
    for way in ways:
        rows = zip(points.inputs, points.outputs, points.bads, way.inputs, way.outputs, way.bads, strict=True)
        expected = np.array([directional_by_scipy(reference, returns, weak, *row) for row in rows])
        for backend in ("auto", "highs", "scipy"):
            found = directional(technology, points, way, backend=backend)
            agree(found.value, expected)
            np.testing.assert_array_equal(found.status == Status.OPTIMAL, np.isfinite(expected))
    assert np.isnan(expected).sum() < 9


@pytest.mark.parametrize("returns", RETURNS)
def test_super_efficiency_leaves_one_unit_out(returns):
    q = random_quantities(np.random.default_rng(5), 10)
    way = moves(q, 0, 1, 1)
    for weak in (False, True):
        found = directional(Technology(q, Returns(returns), weak), q, way, np.arange(10)).value
        for i in range(10):
            others = q.only(np.delete(np.arange(10), i))
            row = (part[i] for part in (q.inputs, q.outputs, q.bads, way.inputs, way.outputs, way.bads))
            agree(found[i : i + 1], np.array([directional_by_scipy(others, returns, weak, *row)]))


@pytest.mark.parametrize("orientation", ["none", "input", "output"])
@pytest.mark.parametrize("returns", RETURNS)
def test_slack_based_measures_against_scipy(returns, orientation):
    """ρ is infeasible outside the technology, δ against the others exists nearly everywhere."""
    rng = np.random.default_rng(2)
    reference, points = random_quantities(rng, 12), random_quantities(rng, 6)
    both = Quantities(*(np.vstack(parts) for parts in zip(parts_of(reference), parts_of(points), strict=True)))
    expected = [slack_based_by_scipy(reference, returns, *row, orientation) for row in zip(*parts_of(both), strict=True)]
    for backend in ("highs", "scipy"):
        agree(slack_based(Technology(reference, Returns(returns)), both, orientation, backend=backend).value, np.array(expected))
    goods = random_quantities(rng, 8, (2, 2, 0))
    found = slack_based_super(Technology(goods, Returns(returns)), goods, orientation, np.arange(8)).value
    rows = [(goods.only(np.delete(np.arange(8), i)), returns, goods.inputs[i], goods.outputs[i], orientation) for i in range(8)]
    agree(found, np.array([super_by_scipy(*row) for row in rows]))


def parts_of(q: Quantities):
    return q.inputs, q.outputs, q.bads


# ── numbers that stand by themselves ────────────────────────────────────────────────────────────────────────────────

X = np.array([[4, 3], [7, 3], [8, 1], [4, 2], [2, 4], [10, 1]], dtype=float)
Y = np.array([[2], [3], [3], [2], [2], [3]], dtype=float)


def test_exact_fractions_by_every_basis():
    """Input and slack-based scores under constant and variable returns in rational arithmetic."""
    q = Quantities(X, Y, np.empty((6, 0)))
    n, m = X.shape
    for returns in ("crs", "vrs"):
        ones = [[1] * n + [0] * 4] if returns == "vrs" else []
        technology = Technology(q, Returns(returns))
        theta = 1 - directional(technology, q, radial_direction(q, "input")).value
        rho = slack_based(technology, q).value
        for i in range(n):
            # λ, input slacks, output slack, θ
            rows = [[*X[:, k].astype(int), *(int(j == k) for j in range(m)), 0, -int(X[i, k])] for k in range(m)]
            rows += [[*Y[:, 0].astype(int), 0, 0, -1, 0], *ones]
            right = [0, 0, int(Y[i, 0]), *([1] if ones else [])]
            assert theta[i] == pytest.approx(float(exact_minimum([0] * (n + 3) + [1], rows, right)), abs=1e-12)
        for i in (0, 3):
            # Λ, S⁻, S⁺, t
            rows = [[*X[:, k].astype(int), *(int(j == k) for j in range(m)), 0, -int(X[i, k])] for k in range(m)]
            rows += [[*Y[:, 0].astype(int), 0, 0, -1, -int(Y[i, 0])], [0] * (n + m) + [Fraction(1, int(Y[i, 0])), 1]]
            rows += [[1] * n + [0, 0, 0, -1]] if returns == "vrs" else []
            right = [0, 0, 0, 1] + ([0] if returns == "vrs" else [])
            cost = [0] * n + [Fraction(-1, m * int(v)) for v in X[i]] + [0, 1]
            assert rho[i] == pytest.approx(float(exact_minimum(cost, rows, right)), abs=1e-12)


def test_one_input_and_one_output_by_hand():
    """Constant returns: the best ratio y/x. Variable returns: the broken line through (1, 1), (2, 3), (4, 4)."""
    x, y = np.array([1.0, 2, 4, 3, 3]), np.array([1.0, 3, 4, 3, 2])
    q = Quantities(x[:, None], y[:, None], np.empty((5, 0)))
    share = 1 - directional(Technology(q), q, radial_direction(q, "input")).value
    np.testing.assert_allclose(share, (y / x) / 1.5, atol=1e-12)
    variable = Technology(q, Returns.VARIABLE)
    np.testing.assert_allclose(1 + directional(variable, q, radial_direction(q, "output")).value, [1, 1, 1, 3.5 / 3, 3.5 / 2], atol=1e-12)
    np.testing.assert_allclose(1 - directional(variable, q, radial_direction(q, "input")).value, [1, 1, 1, 2 / 3, 1.5 / 3], atol=1e-12)
    outside = Quantities(np.array([[0.5], [2.0]]), np.array([[0.5], [5.0]]), np.empty((2, 0)))
    found = directional(variable, outside, radial_direction(outside, "output"))
    assert found.status.tolist() == [Status.INFEASIBLE, Status.OPTIMAL]
    assert found.value[1] == pytest.approx(3 / 5 - 1, abs=1e-12)


# ── theory ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("backend", ["auto", "highs"])
@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_units_of_columns_do_not_matter(returns, backend):
    """Columns in units a million times smaller or larger: every score within 1e-8, from a warm start too."""
    q = random_quantities(np.random.default_rng(7), 40, (2, 2, 1))
    scaled = Quantities(q.inputs * [1e6, 1e-6], q.outputs * [1e3, 1e-9], q.bads * 1e5)
    agree(every_score(scaled, returns, backend), every_score(q, returns, backend))


@pytest.mark.parametrize("backend", ["auto", "highs"])
def test_sizes_of_units_do_not_matter_under_constant_returns(backend):
    """Units up to 1e12 times larger than others."""
    rng = np.random.default_rng(8)
    q = random_quantities(rng, 40, (2, 2, 1))
    size = np.r_[1e6, 1e-6, np.exp(rng.uniform(np.log(1e-6), np.log(1e6), 38))][:, None]
    agree(every_score(moves_by(q, size), "crs", backend), every_score(q, "crs", backend))


def moves_by(q: Quantities, size: np.ndarray) -> Quantities:
    return Quantities(q.inputs * size, q.outputs * size, q.bads * size)


def every_score(q: Quantities, returns: str, backend: str) -> np.ndarray:
    technology, own = Technology(q, Returns(returns)), np.arange(len(q))
    ways = [radial_direction(q, "input"), radial_direction(q, "output"), q]
    found = [directional(technology, q, way, backend=backend).value for way in ways]
    found += [directional(technology, q, way, own, backend=backend).value for way in ways]
    found += [slack_based(technology, q, backend=backend).value, slack_based_super(technology, q, left_out=own, backend=backend).value]
    return np.concatenate(found)


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("returns", RETURNS)
def test_slacks_targets_and_peers(returns, weak):
    """The projection is spanned by the peers, is efficient, and no slack is left there."""
    q = random_quantities(np.random.default_rng(3), 20, (3, 2, 1))
    technology = Technology(q, Returns(returns), weak)
    way = moves(q, 0, 1, 1) if weak else moves(q, 1, 0, 0)
    found = directional(technology, q, way, detail=True)
    signs = np.r_[-np.ones(3), np.ones(2), -np.ones(1)]
    target = q.stacked() + signs * (found.value[:, None] * way.stacked() + found.slacks)
    assert (found.slacks >= 0).all()
    if not technology.abates:
        np.testing.assert_allclose(found.intensities @ q.stacked(), target, atol=1e-8)
    there = Quantities(target[:, :3], target[:, 3:5], target[:, 5:])
    again = directional(technology, there, Quantities(*(np.abs(p) for p in parts_of(moves_like(there, way)))), detail=True)
    np.testing.assert_allclose(again.value, 0, atol=1e-7)
    np.testing.assert_allclose(again.slacks, 0, atol=1e-6)


def moves_like(q: Quantities, way: Quantities) -> Quantities:
    """Own amounts of the columns that ``way`` moves."""
    return Quantities(*(np.where((w != 0).any(axis=0), p, 0.0) for p, w in zip(parts_of(q), parts_of(way), strict=True)))


def test_slack_based_slacks_explain_the_score():
    q = random_quantities(np.random.default_rng(4), 15, (2, 2, 1))
    found = slack_based(Technology(q, Returns.VARIABLE), q, detail=True)
    share = found.slacks / q.stacked()
    np.testing.assert_allclose((1 - share[:, :2].mean(axis=1)) / (1 + share[:, 2:].mean(axis=1)), found.value, atol=1e-10)
    np.testing.assert_allclose(found.intensities.sum(axis=1), 1, atol=1e-10)
    signs = np.array([-1, -1, 1, 1, -1])
    np.testing.assert_allclose(found.intensities @ q.stacked(), q.stacked() + signs * found.slacks, atol=1e-9)


def test_order_of_the_measures():
    """SBM ≤ radial; technologies nest: crs ⊇ nirs, ndrs ⊇ vrs; a copy of a unit changes nothing."""
    q = random_quantities(np.random.default_rng(6), 25, NO_BADS)
    theta = {r: 1 - directional(Technology(q, Returns(r)), q, radial_direction(q, "input")).value for r in RETURNS}
    assert (theta["crs"] <= theta["nirs"] + 1e-12).all()
    assert (theta["crs"] <= theta["ndrs"] + 1e-12).all()
    np.testing.assert_allclose(np.maximum(theta["nirs"], theta["ndrs"]), theta["vrs"], atol=1e-9)
    assert (slack_based(Technology(q, Returns.VARIABLE), q).value <= theta["vrs"] + 1e-9).all()
    twice = Quantities(*(np.vstack([p, p]) for p in parts_of(q)))
    again = 1 - directional(Technology(twice, Returns.VARIABLE), twice, radial_direction(twice, "input")).value
    np.testing.assert_allclose(again, np.r_[theta["vrs"], theta["vrs"]], atol=1e-10)


@pytest.mark.parametrize("returns", RETURNS)
def test_dominated_units_span_nothing(returns):
    """Fewer reference units, the same scores; copies and zeros in outputs included."""
    rng = np.random.default_rng(9)
    q = random_quantities(rng, 80, (2, 2, 1))
    q = Quantities(np.vstack([q.inputs, q.inputs[:3]]), np.vstack([q.outputs, q.outputs[:3]]), np.vstack([q.bads, q.bads[:3]]))
    q.outputs[::7, 1] = 0.0
    technology = Technology(q, Returns(returns))
    fewer = without_dominated(technology)
    assert 5 < len(fewer.reference) < 80
    for way in (radial_direction(q, "input"), radial_direction(q, "output"), moves(q, 0, 1, 1)):
        full = directional(technology, q, way, np.full(len(q), -1), backend="highs")
        agree(directional(fewer, q, way, backend="highs").value, full.value)
        agree(directional(technology, q, way).value, full.value)
    assert without_dominated(Technology(q, Returns(returns), weak=True)).reference is q


def test_many_reference_sets_at_once():
    """A leading axis of reference sets gives what one set at a time gives."""
    rng = np.random.default_rng(10)
    sets, points = [random_quantities(rng, 12) for _ in range(4)], random_quantities(rng, 7)
    stacked = Quantities(*(np.stack(parts) for parts in zip(*(parts_of(s) for s in sets), strict=True)))
    way = moves(points, 0, 1, 1)
    for returns in (Returns.CONSTANT, Returns.VARIABLE):
        value, infeasible = directional_by_reference(Technology(stacked, returns, weak=True), points, way)
        for g, reference in enumerate(sets):
            single = directional(Technology(reference, returns, weak=True), points, way, backend="highs")
            np.testing.assert_array_equal(infeasible[g], single.status == Status.INFEASIBLE)
            agree(value[g], single.value)


def test_points_on_the_edge_of_what_is_feasible():
    """Under variable returns a point with the least input of all is feasible by one unit's leave only: never called infeasible."""
    rng = np.random.default_rng(12)
    q = random_quantities(rng, 30, NO_BADS)
    drawn = q.outputs * np.exp(-np.abs(rng.normal(0, 0.2, (400, 30, 1))))
    many = Quantities(np.broadcast_to(q.inputs, (400, 30, 2)), drawn, np.broadcast_to(q.bads, (400, 30, 0)))
    value, infeasible = directional_by_reference(Technology(many, Returns.VARIABLE), q, radial_direction(q, "output"))
    assert not infeasible.any()
    assert np.isnan(value).mean() < 0.02
    for r in range(0, 400, 40):
        single = directional(Technology(many.only(r), Returns.VARIABLE), q, radial_direction(q, "output"), backend="scipy").value
        known = np.isfinite(value[r])
        np.testing.assert_allclose(value[r, known], single[known], atol=1e-9)
        agree(directional(Technology(many.only(r), Returns.VARIABLE), q, radial_direction(q, "output")).value, single)


def test_slack_based_measures_refuse_weak_disposability_and_unknown_words():
    q = random_quantities(np.random.default_rng(0), 5)
    for function in (slack_based, slack_based_super):
        with pytest.raises(SpecificationError, match="strongly disposable"):
            function(Technology(q, weak=True), q)
        with pytest.raises(SpecificationError, match="'none', 'input' or 'output'"):
            function(Technology(q), q, "inputs")
    with pytest.raises(SpecificationError, match="'input' or 'output'"):
        radial_direction(q, "none")

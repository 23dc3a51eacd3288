"""The engine: one warm model against one program at a time, scaling, closed columns, statuses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from bayes.errors import SpecificationError
from bayes.measure import _linear_programs as engine
from bayes.measure._linear_programs import Changes, Program, Status, solve


def random_programs(seed=0, programs=60, rows=4, columns=9, scale=1.0):
    """Synthetic: minimise cost·z over A z ≤ b and one equality, with one column that changes; some are infeasible, some unbounded."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, columns)) * scale
    program = Program(
        rng.normal(size=columns), np.zeros(columns), np.where(rng.random(columns) < 0.3, 2.0, np.inf), matrix,
        np.arange(rows), np.full(rows, columns - 1),
    )  # fmt: skip
    high = rng.normal(0.5, 1, size=(programs, rows)) * scale
    low = np.full_like(high, -np.inf)
    low[:, 0] = high[:, 0]
    low[:, 1] = high[:, 1] - 2 * scale
    return program, Changes(rng.normal(size=(programs, rows)) * scale, low, high)


def by_linprog(program, changes, k):
    matrix = program.matrix.copy()
    matrix[program.entry_rows, program.entry_columns] = changes.entries[k]
    bounds = np.column_stack([program.lower, program.upper])
    if changes.closed is not None:
        bounds[changes.closed[k][changes.closed[k] >= 0]] = 0.0
    low, high = changes.row_lower[k], changes.row_upper[k]
    finite = np.isfinite(low) & (low < high)
    return linprog(
        program.cost, A_ub=np.vstack([matrix[low < high], -matrix[finite]]), b_ub=np.r_[high[low < high], -low[finite]],
        A_eq=matrix[low == high], b_eq=high[low == high], bounds=bounds,
    )  # fmt: skip


@pytest.mark.parametrize("backend", ["highs", "scipy"])
def test_every_status_and_value_against_one_program_at_a_time(backend):
    program, changes = random_programs()
    found = solve(program, changes, columns=True, backend=backend)
    answers = [by_linprog(program, changes, k) for k in range(len(changes))]
    codes = {0: Status.OPTIMAL, 2: Status.INFEASIBLE}
    assert [codes[a.status] for a in answers] == found.status.tolist()
    assert set(found.status.tolist()) == {Status.OPTIMAL, Status.INFEASIBLE}
    optimal = found.status == Status.OPTIMAL
    np.testing.assert_allclose(found.value[optimal], [a.fun for a in answers if a.status == 0], rtol=1e-9, atol=1e-9)
    assert np.isnan(found.value[~optimal]).all()
    np.testing.assert_allclose(found.columns[optimal] @ program.cost, found.value[optimal], atol=1e-9)


@pytest.mark.parametrize("backend", ["highs", "scipy"])
def test_an_unbounded_program_says_so(backend):
    """min −z with z·a ≤ 1: unbounded where a is not positive."""
    program = Program(np.array([-1.0]), np.zeros(1), np.full(1, np.inf), np.array([[0.0]]), np.array([0]), np.array([0]))
    changes = Changes(np.array([[2.0], [-1.0], [4.0]]), np.full((3, 1), -np.inf), np.ones((3, 1)))
    found = solve(program, changes, backend=backend)
    assert found.status.tolist() == [Status.OPTIMAL, Status.UNBOUNDED, Status.OPTIMAL]
    np.testing.assert_allclose(found.value, [-0.5, np.nan, -0.25])


def test_closed_columns_open_again():
    """A column that one program may not use is there for the next one."""
    program, changes = random_programs(seed=3)
    rng = np.random.default_rng(1)
    closed = np.column_stack([rng.integers(-1, 8, len(changes)), np.full(len(changes), 2)])
    changes = Changes(changes.entries, changes.row_lower, changes.row_upper, closed)
    found = solve(program, changes, columns=True, backend="highs")
    for k in np.flatnonzero(found.status == Status.OPTIMAL):
        assert found.value[k] == pytest.approx(by_linprog(program, changes, k).fun, abs=1e-9)
        assert not found.columns[k][closed[k][closed[k] >= 0]].any()
    np.testing.assert_array_equal(found.status, solve(program, changes, backend="scipy").status)


def test_order_of_programs_does_not_matter():
    """Warm starts change the path, not the answer."""
    program, changes = random_programs(seed=4)
    order = np.random.default_rng(0).permutation(len(changes))
    one, other = solve(program, changes, backend="highs"), solve(program, changes.only(order), backend="highs")
    np.testing.assert_array_equal(one.status[order], other.status)
    np.testing.assert_allclose(one.value[order], other.value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_units_of_rows_do_not_matter(factor):
    program, changes = random_programs(seed=5)
    scaled, others = random_programs(seed=5, scale=factor)
    one, other = solve(program, changes, backend="highs"), solve(scaled, others, backend="highs")
    np.testing.assert_array_equal(one.status, other.status)
    np.testing.assert_allclose(one.value, other.value, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("size", [1e-7, 1e7])
def test_programs_far_from_the_others_are_scaled_by_themselves(size):
    """min z with z ≥ b, where b is far smaller or larger than the coefficients of the reference columns."""
    program = Program(np.array([1.0, 1e9]), np.zeros(2), np.full(2, np.inf), np.array([[0.0, 3.0]]), np.array([0]), np.array([0]))
    bounds = np.array([[1.0], [size], [2.0]])
    found = solve(program, Changes(bounds.copy(), bounds, np.full((3, 1), np.inf)), backend="highs")
    np.testing.assert_allclose(found.value, 1.0, rtol=1e-12)
    small = Changes(np.ones((3, 1)), bounds, np.full((3, 1), np.inf))
    np.testing.assert_allclose(solve(program, small, backend="highs").value, bounds[:, 0], rtol=1e-12)


def test_backends_by_name(monkeypatch):
    program, changes = random_programs(programs=3)
    with pytest.raises(SpecificationError, match="'auto', 'highs' or 'scipy'"):
        solve(program, changes, backend="gurobi")
    monkeypatch.setattr(engine, "_has_highspy", lambda: False)
    monkeypatch.setattr(engine, "_solve_highs", None)
    np.testing.assert_array_equal(solve(program, changes).status, solve(program, changes, backend="scipy").status)


def test_a_failed_warm_start_is_solved_again(monkeypatch):
    """Where HiGHS gives no verdict, from the last basis or without it, SciPy has the last word."""
    program, changes = random_programs(seed=6)
    expected = solve(program, changes, columns=True, backend="scipy")
    monkeypatch.setattr(engine, "_again", lambda model, statuses: Status.FAILED)
    original = engine._highs_model

    def impatient(program):
        model = original(program)
        model.setOptionValue("simplex_iteration_limit", 1)
        return model

    monkeypatch.setattr(engine, "_highs_model", impatient)
    found = solve(program, changes, columns=True, backend="highs")
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-9, atol=1e-9)

"""Thousands of programs at once: every claim against SciPy, and no claim where the proof is missing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from bayes.measure import _batched_simplex
from bayes.measure._batched_distances import largest_movements
from bayes.measure._batched_simplex import Batch, solve_batch
from bayes.measure._dominance import undominated


def random_batch(seed=0, groups=3, programs=25, rows=4, columns=12):
    """Synthetic programs with the start row 0; rows 1 … may go either way, the last is an equality."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(groups, rows, columns))
    matrix[:, 0] = -np.abs(matrix[:, 0])
    score = rng.normal(size=(groups, programs, rows))
    score[:, :, 0] = np.abs(score[:, :, 0]) + 0.1
    return Batch(matrix, score, rng.normal(size=(groups, programs, rows)), np.arange(rows) == rows - 1, 0)


def by_scipy(batch, g, p):
    a = np.c_[batch.matrix[g], batch.score[g, p]]
    n = batch.matrix.shape[2]
    return linprog(
        np.r_[np.zeros(n), 1.0], A_ub=-a[~batch.equal], b_ub=-batch.bounds[g, p][~batch.equal], A_eq=a[batch.equal],
        b_eq=batch.bounds[g, p][batch.equal], bounds=[(0, None)] * n + [(None, None)],
    )  # fmt: skip


@pytest.mark.parametrize("cells", [2**17, 40, 7])
def test_every_program_against_scipy(cells, monkeypatch):
    """In one chunk, in chunks of groups, and in chunks within groups."""
    monkeypatch.setattr(_batched_simplex, "CELLS", cells)
    batch = random_batch()
    value, infeasible = solve_batch(batch)
    for g, p in np.ndindex(value.shape):
        answer = by_scipy(batch, g, p)
        assert infeasible[g, p] == (answer.status == 2)
        if answer.status == 0:
            assert value[g, p] == pytest.approx(answer.fun, abs=1e-9)
    assert 0.05 < infeasible.mean() < 0.95


def test_what_is_not_proven_is_not_claimed():
    """Too few steps, and programs that do not allow the start, are neither optimal nor infeasible."""
    batch = random_batch(seed=1)
    value, infeasible = solve_batch(batch, most=1)
    full, _ = solve_batch(batch)
    assert np.isnan(value).sum() > np.isnan(full).sum()
    np.testing.assert_array_equal(value[np.isfinite(value)], full[np.isfinite(value)])
    assert not (infeasible & np.isfinite(full)).any()
    batch.score[0, 0, 0] = 0.0
    value, infeasible = solve_batch(batch)
    assert np.isnan(value[0, 0])
    assert not infeasible[0, 0]


def test_degenerate_programs():
    """Copies of columns, and bounds of zero."""
    batch = random_batch(seed=2, columns=6)
    batch = Batch(np.concatenate([batch.matrix] * 3, axis=2), batch.score, np.round(batch.bounds), batch.equal, 0)
    value, infeasible = solve_batch(batch)
    for g, p in np.ndindex(value.shape):
        answer = by_scipy(batch, g, p)
        assert np.isnan(value[g, p]) or value[g, p] == pytest.approx(answer.fun, abs=1e-9)
        assert not infeasible[g, p] or answer.status == 2
    assert (np.isfinite(value) | infeasible).mean() > 0.95


def test_movements_without_a_start_are_left_alone():
    """A direction that moves outputs, but not in proportion to what the point has, has no row to start from."""
    rows = np.array([[[1.0, 2.0], [-1.0, -3.0], [-2.0, -1.0]]])
    high = np.array([[2.0, -1.0, -1.0]])
    value, infeasible = largest_movements(rows, np.full((1, 3), -np.inf), high, np.array([[0.0, 0.5, 0.0]]))
    assert np.isnan(value).all()
    assert not infeasible.any()


def dominates_by_hand(less, more, i, j, shrink, grow):
    """Whether some multiple of unit i is no worse than unit j everywhere and better somewhere, trying every multiple that matters."""
    with np.errstate(divide="ignore", invalid="ignore"):
        tried = np.r_[1.0, less[j] / less[i], more[j] / more[i]]
    tried = [t for t in tried if np.isfinite(t) and (shrink or t >= 1) and (grow or t <= 1)]
    return any(
        (t * less[i] <= less[j] + 1e-12).all()
        and (t * more[i] >= more[j] - 1e-12).all()
        and ((t * less[i] < less[j] - 1e-9).any() or (t * more[i] > more[j] + 1e-9).any())
        for t in tried
    )


@pytest.mark.parametrize(("shrink", "grow"), [(False, False), (True, False), (False, True), (True, True)])
def test_dominance_by_trying_multiples(shrink, grow):
    """Exactly the units that another one dominates; with ties, zeros and copies never more than those."""
    rng = np.random.default_rng(3)
    smooth = np.exp(rng.normal(size=(30, 2))), np.exp(rng.normal(size=(30, 2)))
    whole = rng.integers(1, 6, (30, 2)).astype(float), rng.integers(0, 5, (30, 2)).astype(float)
    whole[1][(whole[1] == 0).all(axis=1)] = 1.0
    for part in whole:
        part[1] = part[0]
    for (less, more), exact in ((smooth, True), (whole, False)):
        kept = set(undominated(less, more, shrink, grow).tolist())
        units = range(len(less))
        by_hand = {j for j in units if not any(dominates_by_hand(less, more, i, j, shrink, grow) for i in units)}
        assert kept == by_hand if exact else kept >= by_hand
        assert len(kept) < 25

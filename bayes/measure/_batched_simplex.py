"""A dual simplex over arrays: thousands of small linear programs at once, each answer with its proof.

The programs are: minimise θ subject to A λ + c θ − s = b with λ ≥ 0, θ free, and s ≥ 0 or s = 0 by row. They have a handful of rows; A is
shared by the programs of a group (one reference set), c and b are a program's own. Distances to production technologies have this form. A
row with c > 0 and no positive coefficient in A gives a dual-feasible start: θ in that row, slacks in the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

PIVOT = 1e-10
"""Smallest pivot, with rows scaled by the program's own numbers and columns to about one."""
LOST = 1e-12
"""A pivot below this, when it is computed a second time, is rounding."""
FEASIBLE = 1e-12
"""A violation below this ends the search."""
PROVEN = 1e-10
"""Largest violation of primal and dual conditions in scaled units, and largest gap between the two values, of a proven optimum."""
INFEASIBLE = 1e-7
"""Coefficients of a combination of rows that contradicts itself are zero or positive up to this share of the contradiction."""
CELLS = 2**17
"""Numbers in one array of a chunk (1 MB), which stays in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Programs of G groups with P programs each.

    Attributes
    ----------
    matrix : array (G, k, n), A
    score : array (G, P, k), c
    bounds : array (G, P, k), b
    equal : boolean array (k,), rows with s = 0
    start : the row with c > 0 and no positive coefficient
    """

    matrix: np.ndarray
    score: np.ndarray
    bounds: np.ndarray
    equal: np.ndarray
    start: int


@dataclass(frozen=True, eq=False)
class _State:
    """Programs still at work: their places in the batch, groups, factors of the rows of A, scaled numbers, the basis and its inverse."""

    place: np.ndarray
    group: np.ndarray
    factor: np.ndarray
    score: np.ndarray
    bounds: np.ndarray
    members: np.ndarray
    columns: np.ndarray
    inverse: np.ndarray

    def only(self, chosen: np.ndarray) -> _State:
        return replace(self, **{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})


def solve_batch(batch: Batch, most: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Optimal θ (G, P), NaN where none is proven, and where infeasibility is proven (G, P).

    A program that is neither took more than ``most`` steps, does not allow the start, or failed its proof: solve it otherwise.
    """
    groups, programs, _ = batch.bounds.shape
    value, infeasible = np.full((groups, programs), np.nan), np.zeros((groups, programs), dtype=bool)
    width = batch.matrix.shape[2]
    if width * programs <= CELLS:
        step = max(1, CELLS // (width * programs))
        parts = [(slice(g, g + step), slice(None)) for g in range(0, groups, step)]
    else:
        step = max(1, CELLS // width)
        parts = [(slice(g, g + 1), slice(p, p + step)) for g in range(groups) for p in range(0, programs, step)]
    for here in parts:
        value[here], infeasible[here] = _solve_chunk(batch.matrix[here[0]], batch.score[here], batch.bounds[here], batch, most)
    return value, infeasible


def _solve_chunk(matrix: np.ndarray, score: np.ndarray, bounds: np.ndarray, batch: Batch, most: int) -> tuple[np.ndarray, np.ndarray]:
    shape = score.shape[:2]
    value, infeasible = np.full(score.shape[0] * score.shape[1], np.nan), np.zeros(score.shape[0] * score.shape[1], dtype=bool)
    matrix, state = _scaled(matrix, score, bounds)
    state = _first_basis(state.only(state.score[:, batch.start] > PIVOT), batch.start, matrix.shape[2])
    for _ in range(most):
        if not state.place.size:
            break
        basic, leaving, violation = _most_violated(state, batch, matrix.shape[2])
        going = violation > FEASIBLE
        if not going.all():
            done = state.only(~going)
            value[done.place] = _proven(done, basic[~going], matrix, batch)
            state, basic, leaving = state.only(going), basic[going], leaving[going]
        state, stuck = _pivoted(state, basic, leaving, matrix, batch)
        infeasible[stuck] = True
    return value.reshape(shape), infeasible.reshape(shape)


def _scaled(matrix: np.ndarray, score: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, _State]:
    """Rows over the program's own numbers (over the group's median where it has none), columns over their largest number in medians, and
    over the program's largest median, so that none is far from one."""
    groups, programs, k = score.shape
    middle = np.median(np.abs(matrix), axis=2)
    middle = np.where(middle > 0, middle, 1.0)
    width = (np.abs(matrix) / middle[:, :, None]).max(axis=1, keepdims=True)
    size = np.maximum(np.abs(score), np.abs(bounds))
    scale = (1 / np.where(size > 0, size, middle[:, None])).reshape(-1, k)
    factor = scale / (scale.reshape(groups, programs, k) * middle[:, None]).reshape(-1, k).max(axis=1, keepdims=True)
    place = np.arange(groups * programs)
    empty = np.empty((place.size, k, k))
    return matrix / np.where(width > 0, width, 1.0), _State(
        place, np.repeat(np.arange(groups), programs), factor, score.reshape(-1, k) * scale, bounds.reshape(-1, k) * scale,
        np.empty((place.size, k), dtype=int), empty, empty,
    )  # fmt: skip


def _first_basis(state: _State, start: int, n: int) -> _State:
    """θ in row ``start`` and slacks in the others. Columns are numbered: λ 0 … n − 1, slack of row r n + r, θ n + k."""
    programs, k = state.score.shape
    every = np.arange(k)
    inverse, columns = np.zeros((programs, k, k)), np.zeros((programs, k, k))
    inverse[:, every, every] = columns[:, every, every] = -1.0
    columns[:, :, start] = state.score
    inverse[:, :, start] = state.score / state.score[:, start, None]
    inverse[:, start, start] = 1 / state.score[:, start]
    members = np.tile(n + every, (programs, 1))
    members[:, start] = n + k
    return replace(state, members=members, columns=columns, inverse=inverse)


def _most_violated(state: _State, batch: Batch, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values of the basic variables, the one that leaves, and by how much it violates its bound."""
    basic = np.matmul(state.inverse, state.bounds[:, :, None])[:, :, 0]
    violation = -basic
    if batch.equal.any():
        rows = np.flatnonzero(batch.equal)
        violation[:, rows] = np.where(state.members[:, rows] == n + rows, np.abs(basic[:, rows]), violation[:, rows])
    violation[:, batch.start] = -1.0
    leaving = violation.argmax(axis=1)
    return basic, leaving, violation[np.arange(leaving.size), leaving]


def _pivoted(state: _State, basic: np.ndarray, leaving: np.ndarray, matrix: np.ndarray, batch: Batch) -> tuple[_State, np.ndarray]:
    """The next basis of every program, and the places of those that are proven infeasible; a program that is stuck leaves either way."""
    every, k, n = np.arange(leaving.size), basic.shape[1], matrix.shape[2]
    row = state.inverse[every, leaving] * -np.sign(basic[every, leaving])[:, None]
    dual = state.inverse[:, batch.start]
    priced = _priced(np.stack([row, dual], axis=1) * state.factor[:, None], state.group, matrix)
    ratio = np.full((every.size, n), np.inf)
    np.divide(np.minimum(priced[:, 1], 0.0), priced[:, 0], out=ratio, where=priced[:, 0] < -PIVOT)
    entering = ratio.argmin(axis=1)
    best = ratio[every, entering]
    # Columns of slacks are −1 in their row, so a slack's price is minus the multiplier; slacks held at zero do not enter again.
    slack = np.full((every.size, k), np.inf)
    np.divide(np.maximum(dual, 0.0), row, out=slack, where=(row > PIVOT) & ~batch.equal)
    slack_entering = slack.argmin(axis=1)
    by_slack = slack[every, slack_entering] < best
    entering = np.where(by_slack, n + slack_entering, entering)
    stuck = np.isinf(best) & ~by_slack
    column = matrix[state.group, :, np.minimum(entering, n - 1)] * state.factor
    column = np.where(by_slack[:, None], -(np.arange(k) == slack_entering[:, None]).astype(float), column)
    places = np.empty(0, dtype=int)
    if stuck.any():
        on, places = ~stuck, state.place[stuck][_contradicts(state.only(stuck), row[stuck], matrix, batch)]
        state, leaving, entering, column = state.only(on), leaving[on], entering[on], column[on]
    return _exchanged(state, leaving, entering, column), places


def _exchanged(state: _State, leaving: np.ndarray, entering: np.ndarray, column: np.ndarray) -> _State:
    """The basis with one column exchanged, written in place; a program whose pivot is lost to rounding is given up."""
    moved = np.matmul(state.inverse, column[:, :, None])[:, :, 0]
    pivot = moved[np.arange(leaving.size), leaving]
    sound = np.abs(pivot) > LOST
    if not sound.all():
        state, leaving, entering, column = state.only(sound), leaving[sound], entering[sound], column[sound]
        moved, pivot = moved[sound], pivot[sound]
    every = np.arange(leaving.size)
    new = state.inverse[every, leaving] / pivot[:, None]
    inverse = state.inverse - moved[:, :, None] * new[:, None, :]
    inverse[every, leaving] = new
    state.members[every, leaving] = entering
    state.columns[every, :, leaving] = column
    return replace(state, inverse=inverse)


def _contradicts(state: _State, row: np.ndarray, matrix: np.ndarray, batch: Batch) -> np.ndarray:
    """Whether combinations of rows (N, k) prove that there is no solution: no coefficient below zero, and a sum below zero.

    Coefficients are held against the sum: rounding may have left them below zero by so little only that intensities, which are about one in
    scaled units, could not make up for it.
    """
    room = -(row * state.bounds).sum(axis=1) * INFEASIBLE
    priced = _priced((row * state.factor)[:, None], state.group, matrix)[:, 0]
    good = (priced.min(axis=1) >= -room) & (row[:, ~batch.equal].max(axis=1, initial=0.0) <= room)
    return good & (np.abs((row * state.score).sum(axis=1)) <= room) & (room > 0)


def _priced(rows: np.ndarray, group: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Rows (N, r, k) times the matrices of their groups: (N, r, n)."""
    groups, k, n = matrix.shape
    if groups == 1:
        return np.matmul(rows, matrix[0])  # one small product a program: a single large one would be spread over threads
    counts = np.bincount(group, minlength=groups)
    if (counts == counts[0]).all():
        return np.matmul(rows.reshape(groups, -1, k), matrix).reshape(-1, rows.shape[1], n)
    return np.matmul(rows, matrix[group])


def _proven(state: _State, basic: np.ndarray, matrix: np.ndarray, batch: Batch) -> np.ndarray:
    """θ of programs whose basis is primal feasible, dual feasible and without a gap; NaN for the others."""
    n, start = matrix.shape[2], batch.start
    dual = state.inverse[:, start]
    residual = np.abs(np.matmul(state.columns, basic[:, :, None])[:, :, 0] - state.bounds).max(axis=1)
    least = basic * np.abs(state.columns).max(axis=1)
    least[:, start] = 0.0
    priced = _priced((dual * state.factor)[:, None], state.group, matrix)[:, 0]
    theta = basic[:, start]
    good = (residual <= PROVEN) & (least.min(axis=1) >= -PROVEN)
    good &= (priced.max(axis=1) <= PROVEN) & (dual[:, ~batch.equal] >= -PROVEN).all(axis=1)
    good &= np.abs(np.einsum("pk,pk->p", dual, state.score) - 1) <= PROVEN
    good &= np.abs(theta - np.einsum("pk,pk->p", dual, state.bounds)) <= PROVEN * np.maximum(1, np.abs(theta))
    if batch.equal.any():
        rows = np.flatnonzero(batch.equal)
        held = (state.members[:, rows] == n + rows) & (np.abs(basic[:, rows]) > PROVEN)
        good &= ~held.any(axis=1)
    return np.where(good, theta, np.nan)

"""Many linear programs that differ in a few numbers: one HiGHS model, changed in place and started from the last optimal basis.

Rows are scaled to the reference set once; a program whose own numbers are far from that (so that an absolute tolerance would no longer be
small beside them, or would be below their rounding) is scaled by its own numbers and solved from scratch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from bayes.errors import SpecificationError

TOLERANCE = 1e-10
"""Primal and dual feasibility, in scaled units; the smallest that HiGHS accepts."""
SMALL, LARGE = 1e-2, 1e3
"""A program with numbers below or above these shares of their row's scale is scaled by itself: tolerances are absolute in scaled units, and
rounding of large numbers exceeds them."""
_WIDEST = 1e6
"""Largest column scale, so that no coefficient falls under HiGHS's threshold for zeros (1e-12, its least)."""


class Status(IntEnum):
    """How a program ended."""

    OPTIMAL = 0
    INFEASIBLE = 1
    UNBOUNDED = 2
    FAILED = 3


@dataclass(frozen=True, eq=False)
class Program:
    """Minimise cost·z subject to row_lower ≤ A z ≤ row_upper and lower ≤ z ≤ upper.

    Attributes
    ----------
    cost, lower, upper : arrays (columns,)
    matrix : array (rows, columns); what stands at the changing entries does not matter
    entry_rows, entry_columns : integer arrays (entries,), the coefficients that change from program to program
    """

    cost: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    matrix: np.ndarray
    entry_rows: np.ndarray
    entry_columns: np.ndarray


@dataclass(frozen=True, eq=False)
class Changes:
    """What is particular to each of k programs.

    Attributes
    ----------
    entries : array (k, entries)
    row_lower, row_upper : arrays (k, rows)
    closed : array (k, c) of columns held at zero in that program, −1 for none
    """

    entries: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    closed: np.ndarray | None = None

    def __len__(self) -> int:
        return self.entries.shape[0]

    def only(self, rows: np.ndarray) -> Changes:
        return Changes(self.entries[rows], self.row_lower[rows], self.row_upper[rows], None if self.closed is None else self.closed[rows])


@dataclass(frozen=True, eq=False)
class Solutions:
    """Optimal values (k,), NaN where there is none; statuses (k,); the columns (k, columns) when asked for."""

    value: np.ndarray
    status: np.ndarray
    columns: np.ndarray | None


def solve(program: Program, changes: Changes, columns: bool = False, backend: str = "auto") -> Solutions:
    """Solve every program. ``backend``: "highs" (one warm model), "scipy" (one by one), "auto" (HiGHS where highspy is installed)."""
    run = _backends()[_chosen(backend)]
    scale = _row_scale(program)
    own = _own_magnitude(program, changes)
    alone = ((own < SMALL * scale) | ((own > LARGE * scale) & np.isfinite(own))).any(axis=1)
    value, status = np.full(len(changes), np.nan), np.full(len(changes), Status.FAILED, dtype=int)
    found = np.full((len(changes), program.cost.size), np.nan) if columns else None
    groups = [(np.flatnonzero(~alone), scale)] if not alone.all() else []
    groups += [(np.array([k]), np.where(np.isfinite(own[k]), own[k], scale)) for k in np.flatnonzero(alone)]
    for rows, row_scale in groups:
        part = _run_scaled(run, program, changes.only(rows), row_scale, columns)
        value[rows], status[rows] = part.value, part.status
        if columns:
            found[rows] = part.columns
    return Solutions(value, status, found)


def _chosen(backend: str) -> str:
    if backend not in ("auto", "highs", "scipy"):
        raise SpecificationError(f"backend must be 'auto', 'highs' or 'scipy', got {backend!r}.")
    if backend == "auto":
        return "highs" if _has_highspy() else "scipy"
    return backend


@cache
def _has_highspy() -> bool:
    return find_spec("highspy") is not None


def _backends() -> dict[str, Callable[..., Solutions]]:
    return {"highs": _solve_highs, "scipy": _solve_scipy}


def _row_scale(program: Program) -> np.ndarray:
    """Median magnitude of a row's fixed coefficients, 1 for a row without any."""
    size = np.abs(program.matrix)
    size[program.entry_rows, program.entry_columns] = 0.0
    size[size == 0] = np.nan
    empty = np.isnan(size).all(axis=1)
    size[empty, 0] = 1.0
    return np.nanmedian(size, axis=1)


def _own_magnitude(program: Program, changes: Changes) -> np.ndarray:
    """Largest number of each row among what a program brings, shape (k, rows); infinite where it brings none but zeros."""
    size = np.zeros_like(changes.row_lower)
    for bound in (changes.row_lower, changes.row_upper):
        size = np.maximum(size, np.where(np.isfinite(bound), np.abs(bound), 0.0))
    for e, row in enumerate(program.entry_rows):
        size[:, row] = np.maximum(size[:, row], np.abs(changes.entries[:, e]))
    return np.where(size > 0, size, np.inf)


def _run_scaled(run: Callable[..., Solutions], program: Program, changes: Changes, row_scale: np.ndarray, columns: bool) -> Solutions:
    """The programs with rows divided by their scale and columns that never change divided by their largest coefficient."""
    matrix = program.matrix / row_scale[:, None]
    fixed = np.ones(program.cost.size, dtype=bool)
    fixed[program.entry_columns] = False
    column_scale = np.where(fixed, np.clip(np.abs(matrix).max(axis=0, initial=0.0), 1 / _WIDEST, _WIDEST), 1.0)
    scaled = replace(
        program, matrix=matrix / column_scale, cost=program.cost / column_scale, lower=program.lower * column_scale,
        upper=program.upper * column_scale,
    )  # fmt: skip
    inner = Changes(
        changes.entries / row_scale[program.entry_rows], changes.row_lower / row_scale, changes.row_upper / row_scale, changes.closed
    )
    out = run(scaled, inner, columns)
    return out if out.columns is None else replace(out, columns=out.columns / column_scale)


# ── HiGHS ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _solve_highs(program: Program, changes: Changes, columns: bool) -> Solutions:
    import highspy

    statuses = {
        highspy.HighsModelStatus.kOptimal: Status.OPTIMAL,
        highspy.HighsModelStatus.kInfeasible: Status.INFEASIBLE,
        highspy.HighsModelStatus.kUnbounded: Status.UNBOUNDED,
    }
    model = _highs_model(program)
    n_rows = program.matrix.shape[0]
    every_row = np.arange(n_rows, dtype=np.int32)
    places = [(int(r), int(c)) for r, c in zip(program.entry_rows, program.entry_columns, strict=True)]
    entries = changes.entries.tolist()
    value, status = np.full(len(changes), np.nan), np.full(len(changes), Status.FAILED, dtype=int)
    found = np.full((len(changes), program.cost.size), np.nan) if columns else None
    for k in range(len(changes)):
        for (row, column), number in zip(places, entries[k], strict=True):
            model.changeCoeff(row, column, number)
        model.changeRowsBounds(n_rows, every_row, changes.row_lower[k], changes.row_upper[k])
        closed = () if changes.closed is None else [int(c) for c in changes.closed[k] if c >= 0]
        for column in closed:
            model.changeColBounds(column, 0.0, 0.0)
        model.run()
        status[k] = statuses.get(model.getModelStatus(), Status.FAILED)
        if status[k] == Status.FAILED:
            status[k] = _again(model, statuses)
        if status[k] == Status.OPTIMAL:
            value[k] = model.getObjectiveValue()
            if columns:
                found[k] = model.getSolution().col_value
        for column in closed:
            model.changeColBounds(column, float(program.lower[column]), float(program.upper[column]))
        if status[k] == Status.FAILED:
            single = _solve_scipy(program, changes.only(np.array([k])), columns)
            value[k], status[k] = single.value[0], single.status[0]
            if columns:
                found[k] = single.columns[0]
            model.clearSolver()
    return Solutions(value, status, found)


def _again(model: Any, statuses: dict[Any, Status]) -> Status:
    """Once more without the last basis: a warm start that went astray is no verdict."""
    model.clearSolver()
    model.run()
    return statuses.get(model.getModelStatus(), Status.FAILED)


def _highs_model(program: Program) -> Any:
    import highspy

    model = highspy.Highs()
    options = {
        "output_flag": False, "threads": 1, "presolve": "off", "solver": "simplex",
        "primal_feasibility_tolerance": TOLERANCE, "dual_feasibility_tolerance": TOLERANCE, "small_matrix_value": 1e-12,
    }  # fmt: skip
    for name, option in options.items():
        model.setOptionValue(name, option)
    n_rows, n_columns = program.matrix.shape
    present = program.matrix.T != 0
    present[program.entry_columns, program.entry_rows] = True
    column, row = np.nonzero(present)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = n_columns, n_rows
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = program.cost, program.lower, program.upper
    lp.row_lower_, lp.row_upper_ = np.full(n_rows, -np.inf), np.full(n_rows, np.inf)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.r_[0, np.cumsum(np.bincount(column, minlength=n_columns))]
    lp.a_matrix_.index_, lp.a_matrix_.value_ = row, program.matrix[row, column]
    model.passModel(lp)
    return model


# ── SciPy ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _solve_scipy(program: Program, changes: Changes, columns: bool) -> Solutions:
    from scipy.optimize import linprog

    codes = {0: Status.OPTIMAL, 2: Status.INFEASIBLE, 3: Status.UNBOUNDED}
    value, status = np.full(len(changes), np.nan), np.full(len(changes), Status.FAILED, dtype=int)
    found = np.full((len(changes), program.cost.size), np.nan) if columns else None
    for k in range(len(changes)):
        matrix = program.matrix.copy()
        matrix[program.entry_rows, program.entry_columns] = changes.entries[k]
        low, high = changes.row_lower[k], changes.row_upper[k]
        equal = low == high
        above, below = np.isfinite(low) & ~equal, np.isfinite(high) & ~equal
        upper = program.upper.copy()
        lower = program.lower.copy()
        if changes.closed is not None:
            shut = changes.closed[k][changes.closed[k] >= 0]
            lower[shut] = upper[shut] = 0.0
        answer = linprog(
            program.cost,
            A_ub=np.vstack([matrix[below], -matrix[above]]), b_ub=np.r_[high[below], -low[above]],
            A_eq=matrix[equal], b_eq=low[equal], bounds=np.column_stack([lower, upper]), method="highs",
            options={"primal_feasibility_tolerance": TOLERANCE, "dual_feasibility_tolerance": TOLERANCE},
        )  # fmt: skip
        status[k] = codes.get(answer.status, Status.FAILED)
        if status[k] == Status.OPTIMAL:
            value[k] = answer.fun
            if columns:
                found[k] = answer.x
    return Solutions(value, status, found)

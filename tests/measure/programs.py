"""Independent formulations: every distance as one dense program for SciPy, and exact rational answers by trying every basis."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from bayes.measure._technologies import Quantities
from bayes.panel import Panel


def random_quantities(rng, n, widths=(2, 1, 1), spread=0.7):
    """Synthetic: lognormal inputs, Cobb–Douglas outputs with inefficiency, undesirable outputs that go with the first output."""
    m, s, q = widths
    x = np.exp(spread * rng.normal(size=(n, m)))
    y = (x.prod(axis=1) ** (0.9 / m) * np.exp(-rng.exponential(0.3, n)))[:, None] * np.exp(0.2 * rng.normal(size=(n, s)))
    return Quantities(x, y, y[:, :1] * np.exp(0.2 * rng.normal(size=(n, q))) if q else np.empty((n, 0)))


def synthetic_panel(n=8, periods=3, widths=(2, 1, 0), seed=0, regions=2):
    """A synthetic panel of amounts: x1 …, y1 …, b1 …"""
    rng, frames = np.random.default_rng(seed), []
    for t in range(periods):
        data = random_quantities(rng, n, widths)
        names = [f"{letter}{k + 1}" for letter, width in zip("xyb", widths, strict=True) for k in range(width)]
        frame = pd.DataFrame(data.stacked(), columns=names)
        frames.append(frame.assign(unit=[f"u{i:02d}" for i in range(n)], year=2000 + t, zone=[f"r{i % regions}" for i in range(n)]))
    return Panel.from_frame(pd.concat(frames), unit="unit", time="year", region="zone", name="synthetic")


def bounds_of_sum(returns, n):
    """Rows (A_ub, b_ub, A_eq, b_eq) on the sum of n intensities."""
    one, none = np.ones((1, n)), np.empty((0, n))
    return {
        "crs": (none, [], none, []), "vrs": (none, [], one, [1.0]), "nirs": (one, [1.0], none, []), "ndrs": (-one, [-1.0], none, []),
    }[returns]  # fmt: skip


def directional_by_scipy(reference, returns, weak, x, y, b, gx, gy, gb):
    """β of one point, NaN where infeasible. Weak disposability under a bound on intensities: every reference unit has an idle twin that
    has its inputs and produces nothing (Kuosmanen 2005: the convex hull of units scaled down, whose corners these are)."""
    X, Y, B = reference.inputs, reference.outputs, reference.bads
    if weak and returns != "crs":
        X, Y, B = np.vstack([X, X]), np.vstack([Y, 0 * Y]), np.vstack([B, 0 * B])
    n = len(X)
    ub, ub_value, eq, eq_value = bounds_of_sum(returns, n)
    rows = [np.c_[X.T, gx], np.c_[-Y.T, gy], np.c_[ub, np.zeros(len(ub))]]
    right = [x, -y, ub_value]
    equal, equal_right = [np.c_[eq, np.zeros(len(eq))]], [eq_value]
    if weak:
        equal.append(np.c_[B.T, gb])
        equal_right.append(b)
    else:
        rows.append(np.c_[B.T, gb])
        right.append(b)
    answer = linprog(
        np.r_[np.zeros(n), -1.0], A_ub=np.vstack(rows), b_ub=np.concatenate(right), A_eq=np.vstack(equal),
        b_eq=np.concatenate(equal_right), bounds=[(0, None)] * n + [(None, None)],
    )  # fmt: skip
    return answer.x[-1] if answer.status == 0 else np.nan


def slack_based_by_scipy(reference, returns, x, y, b, orientation="none"):
    """ρ of one point by Tone's program in slacks of the data's units."""
    X, Y, B = reference.inputs, reference.outputs, reference.bads
    n, m, s, q = len(X), x.size, y.size, b.size
    # t, Λ, S⁻, S⁺, S^b
    zeros = np.zeros
    equal = [
        np.c_[-x, X.T, np.eye(m), zeros((m, s + q))],
        np.c_[-y, Y.T, zeros((s, m)), -np.eye(s), zeros((s, q))],
        np.c_[-b, B.T, zeros((q, m + s)), np.eye(q)],
    ]
    rest, inputs = orientation in ("none", "output"), orientation in ("none", "input")
    scale = np.r_[1.0, zeros(n + m), rest / (s + q) / y, rest / (s + q) / b]
    ub, _, eq, _ = bounds_of_sum(returns, n)
    sign = -1.0 if returns == "nirs" else 1.0
    a_ub = np.c_[np.full((len(ub), 1), sign), ub, zeros((len(ub), m + s + q))]
    equal += [scale[None], np.c_[-np.ones((len(eq), 1)), eq, zeros((len(eq), m + s + q))]]
    right = np.r_[zeros(m + s + q), 1.0, zeros(len(eq))]
    cost = np.r_[1.0, zeros(n), -inputs / m / x, zeros(s + q)]
    answer = linprog(cost, A_ub=a_ub, b_ub=zeros(len(ub)), A_eq=np.vstack(equal), b_eq=right)
    return answer.fun if answer.status == 0 else np.nan


def super_by_scipy(reference, returns, x, y, orientation="none"):
    """δ of Tone (2002) of one point against a reference without it, in levels of the point that is moved to."""
    X, Y = reference.inputs, reference.outputs
    n, m, s = len(X), x.size, y.size
    # t, Λ, X̄ (inputs moved to), Ȳ (outputs moved to), all times t
    zeros = np.zeros
    ub, _, eq, _ = bounds_of_sum(returns, n)
    sign = -1.0 if returns == "nirs" else 1.0
    rows = [
        np.c_[zeros((m, 1)), X.T, -np.eye(m), zeros((m, s))], np.c_[zeros((s, 1)), -Y.T, zeros((s, m)), np.eye(s)],
        np.c_[x, zeros((m, n)), -np.eye(m), zeros((m, s))], np.c_[-y, zeros((s, n + m)), np.eye(s)],
        np.c_[np.full((len(ub), 1), sign), ub, zeros((len(ub), m + s))],
    ]  # fmt: skip
    equal = [np.r_[0.0, zeros(n + m), 1 / s / y][None], np.c_[-np.ones((len(eq), 1)), eq, zeros((len(eq), m + s))]]
    right = np.r_[1.0, zeros(len(eq))]
    if orientation == "input":
        equal.append(np.c_[-y, zeros((s, n + m)), np.eye(s)])
        right = np.r_[right, zeros(s)]
    if orientation == "output":
        equal.append(np.c_[-x, zeros((m, n)), np.eye(m), zeros((m, s))])
        right = np.r_[right, zeros(m)]
    cost = np.r_[0.0, zeros(n), 1 / m / x, zeros(s)]
    matrix = np.vstack(rows)
    answer = linprog(cost, A_ub=matrix, b_ub=zeros(len(matrix)), A_eq=np.vstack(equal), b_eq=right)
    return answer.fun if answer.status == 0 else np.nan


# ── exact ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def exact_minimum(cost, matrix, right):
    """Least cost·z with matrix z = right, z ≥ 0, in rational arithmetic, by trying every basis; None where there is no basic solution."""
    cost, right = [Fraction(c) for c in cost], [Fraction(v) for v in right]
    matrix = [[Fraction(v) for v in row] for row in matrix]
    best = None
    for chosen in combinations(range(len(cost)), len(right)):
        solution = _solved([[row[j] for j in chosen] for row in matrix], right)
        if solution is not None and all(v >= 0 for v in solution):
            value = sum(cost[j] * v for j, v in zip(chosen, solution, strict=True))
            best = value if best is None or value < best else best
    return best


def _solved(matrix, right):
    """Gauss–Jordan elimination in fractions, None for a singular matrix."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        pivot = next((r for r in range(k, len(rows)) if rows[r][k] != 0), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for r in range(len(rows)):
            if r != k and rows[r][k] != 0:
                rows[r] = [a - rows[r][k] * b for a, b in zip(rows[r], rows[k], strict=True)]
    return [row[-1] for row in rows]

"""Scores by scipy, one linear program at a time, written from the papers' formulas; and vertices of small programs in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from bayes.panel import Panel

COLUMNS = {"inputs": ["k", "l"], "outputs": ["y"], "bad_outputs": ["b"]}


def synthetic_panel(seed: int = 3, n_units: int = 8, n_periods: int = 4, gaps: bool = False) -> Panel:
    """Synthetic: two inputs, an output and an undesirable output; with gaps a unit enters late, one leaves, two skip a period."""
    rng = np.random.default_rng(seed)
    unit, year = np.repeat(np.arange(n_units), n_periods), np.tile(2001 + np.arange(n_periods), n_units)
    size = np.exp(rng.normal(0, 0.2, n_units))[unit]
    k, l = (size * np.exp(rng.normal(0, 0.3, unit.size)) for _ in range(2))  # noqa: E741
    y = np.sqrt(k * l) * np.exp(0.05 * (year - 2001) - np.abs(rng.normal(0, 0.3, unit.size)))
    b = y * np.exp(rng.normal(0, 0.4, unit.size))
    labels = {"unit": [f"u{i}" for i in unit], "region": [f"r{i % 2}" for i in unit], "year": year}
    frame = pd.DataFrame({**labels, "k": k, "l": l, "y": y, "b": b})
    if gaps:
        gone = (unit == 0) & (year == 2001) | (unit == 1) & (year > 2002) | (unit == 4) & (year > 2001)
        gone |= np.isin(unit, [2, 3]) & (year == 2002)
        frame = frame[~gone]
    return Panel.from_frame(frame, unit="unit", time="year", region="region", name="synthetic")


def value(estimates, estimand, unit, period, column="estimate"):
    f = estimates.frame
    here = f[(f.estimand == estimand) & (f.unit == str(unit)) & (f.period == period)]
    assert len(here) == 1
    return here[column].iloc[0]


def series(estimates, estimand):
    return estimates.frame[estimates.frame.estimand == estimand].estimate.to_numpy()


def one_score(reference: np.ndarray, here: np.ndarray, measure: str, orientation: str, returns: str, weak: bool) -> float:
    """Score of one observation (k, l, y, b) against reference rows; NaN where no program has a solution."""
    if measure == "sbm":
        inside = slack_based(reference, here, returns)
        return inside if np.isfinite(inside) else slack_based_super(reference, here, returns)
    k, l, y, b = here  # noqa: E741
    direction = {"radial": {"output": (0, 0, y, 0), "input": (k, l, 0, 0)}, "directional": {"output": (0, 0, y, b)}}[measure][orientation]
    beta = directional(reference, here, np.array(direction, dtype=float), returns, weak)
    base = 1 - beta if (measure, orientation) == ("radial", "input") else 1 / (1 + beta)
    return base if base > 0 else np.nan  # so far outside that 1 + β is not positive: no index


def directional(reference: np.ndarray, here: np.ndarray, g: np.ndarray, returns: str, weak: bool) -> float:
    """max β: Σλk ≤ k − βg_k, Σλl ≤ l − βg_l, Σθλy ≥ y + βg_y, Σθλb ≤ or = b − βg_b, Σλ = 1 under variable returns.

    Kuosmanen's technology has an abatement factor θ_j a unit: z_j = θ_jλ_j and w_j = (1 − θ_j)λ_j are the variables.
    """
    n = len(reference)
    idle = weak and returns == "vrs"
    wide = 2 * n if idle else n
    rows = np.zeros((4, wide + 1))
    rows[:, :n] = reference.T
    if idle:
        rows[:2, n:wide] = reference[:, :2].T
    rows[:, -1] = [g[0], g[1], -g[2], g[3]]
    upper, bound = [rows[0], rows[1], -rows[2]], [here[0], here[1], -here[2]]
    equal, value = [], []
    if weak:
        equal, value = [rows[3]], [here[3]]
    else:
        upper, bound = [*upper, rows[3]], [*bound, here[3]]
    if returns == "vrs":
        equal, value = [*equal, np.r_[np.ones(wide), 0.0]], [*value, 1.0]
    cost = np.r_[np.zeros(wide), -1.0]
    limits = [(0, None)] * wide + [(None, None)]
    answer = linprog(cost, np.array(upper), bound, np.array(equal) if equal else None, value or None, limits, method="highs")
    return -answer.fun if answer.status == 0 else np.nan


def slack_based(reference: np.ndarray, here: np.ndarray, returns: str) -> float:
    """Tone (2003), not oriented, in absolute slacks: variables Λ (n), S (4), t; ΣΛ = t under variable returns."""
    n = len(reference)
    cost = np.r_[np.zeros(n), -1 / (2 * here[0]), -1 / (2 * here[1]), 0, 0, 1.0]
    signs = np.diag([1.0, 1.0, -1.0, 1.0])
    rows = np.hstack([reference.T, signs, -here[:, None]])
    norm = np.r_[np.zeros(n), 0, 0, 1 / (2 * here[2]), 1 / (2 * here[3]), 1.0]
    convex = np.r_[np.ones(n), np.zeros(4), -1.0]
    equal, value = [*rows, norm, convex], [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    last = 6 if returns == "vrs" else 5
    answer = linprog(cost, A_eq=np.array(equal[:last]), b_eq=value[:last], method="highs")
    return answer.fun if answer.status == 0 else np.nan


def slack_based_super(reference: np.ndarray, here: np.ndarray, returns: str) -> float:
    """Tone (2002) with undesirable outputs, not oriented: the nearest reachable (X, Y, B) times t; variables Λ (n), X, Y, B, t."""
    n = len(reference)
    cost = np.r_[np.zeros(n), 1 / (2 * here[0]), 1 / (2 * here[1]), 0, 0, 0]
    reach = np.hstack([reference.T, -np.eye(4), np.zeros((4, 1))]) * np.array([1, 1, -1, 1])[:, None]
    worse = np.hstack([np.zeros((4, n)), -np.diag([1.0, 1.0, -1.0, 1.0]), np.array([1, 1, -1, 1])[:, None] * here[:, None]])
    # 1 = ½(Y/y + (2t − B/b)): the mean of what is left of the output and of what is not added to the undesirable one
    norm = np.r_[np.zeros(n), 0, 0, 0.5 / here[2], -0.5 / here[3], 1.0]
    equal, last = np.array([norm, np.r_[np.ones(n), np.zeros(4), -1.0]]), 2 if returns == "vrs" else 1
    answer = linprog(cost, np.vstack([reach, worse]), np.zeros(8), equal[:last], [1.0, 0.0][:last], method="highs")
    return answer.fun if answer.status == 0 else np.nan


def brute_force(panel: Panel, measure: str, orientation: str, weak: bool, reference: str, returns: str = "crs") -> dict[str, np.ndarray]:
    """M, EC, TC, PTEC, SEC and the two-sided M under variable returns of every pair, whole spans, row by row."""
    frame, time = panel.frame.reset_index(drop=True), panel.time
    values, years = frame[["k", "l", "y", "b"]].to_numpy(), frame[time].to_numpy()

    @cache
    def score(of: int, at: int, scale: str, kind: str = reference) -> float:
        members = {"global": years > 0, "sequential": years <= at, "adjacent": years == at}[kind]
        return one_score(values[members], values[of], measure, orientation, scale, weak)

    def total(i: int, j: int, scale: str) -> float:
        if reference == "global":
            return score(j, 0, scale) / score(i, 0, scale)
        s, t = years[i], years[j]
        return np.sqrt(score(j, s, scale) / score(i, s, scale) * score(j, t, scale) / score(i, t, scale))

    total, own = cache(total), "sequential" if reference == "sequential" else "adjacent"
    out: dict[str, list[float]] = {name: [] for name in ("malmquist", "ec", "ptec", "variable", "steps")}
    for i in range(len(frame) - 1):
        j = i + 1
        if frame[panel.unit][i] != frame[panel.unit][j]:
            continue
        out["malmquist"].append(total(i, j, returns))
        out["variable"].append(total(i, j, "vrs"))
        for name, scale in (("ec", returns), ("ptec", "vrs")):
            out[name].append(score(j, years[j], scale, own) / score(i, years[i], scale, own))
        out["steps"].append(years[j] - years[i])
    parts = {name: np.array(v, dtype=float) for name, v in out.items()}
    return parts | {"tc": parts["malmquist"] / parts["ec"], "sec": parts["ec"] / parts["ptec"]}


def exact_beta(reference: list[tuple], here: tuple, weak: bool) -> Fraction | None:
    """max β of (x, y(1 + β), b(1 − β)) under constant returns: every vertex in fractions, None where there is none.

    Rows Σλx + s₁ = x, Σλy − yβ − s₂ = y, Σλb + bβ + s₃ = b; β is free, so it is in every basis with two of the other variables.
    """
    x, y, b = (Fraction(v) for v in here)
    columns = [tuple(Fraction(v) for v in row) for row in reference] + [(Fraction(1), 0, 0), (0, Fraction(-1), 0)]
    columns += [] if weak else [(0, 0, Fraction(1))]
    best = None
    for pair in combinations(columns, 2):
        basis = [[Fraction(v) for v in row] for row in zip(*pair, (Fraction(0), -y, b), strict=True)]
        solution = _solve(basis, [x, y, b])
        if solution is not None and solution[0] >= 0 and solution[1] >= 0 and (best is None or solution[2] > best):
            best = solution[2]
    return best


def _solve(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction] | None:
    """Cramer's rule for three equations."""
    whole = _determinant(matrix)
    if whole == 0:
        return None
    swapped = [[[right[r] if c == k else matrix[r][c] for c in range(3)] for r in range(3)] for k in range(3)]
    return [_determinant(m) / whole for m in swapped]


def _determinant(m: list[list[Fraction]]) -> Fraction:
    (a, b, c), (d, e, f), (g, h, i) = m
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def exact_luenberger(data: pd.DataFrame, weak: bool) -> dict[tuple[int, int], dict[str, float]]:
    """Malmquist–Luenberger indices of (dmu, later period), from fractions; NaN where a distance does not exist."""
    rows = {t: [tuple(Fraction(str(v)) for v in r) for r in part[["x", "y", "b"]].to_numpy()] for t, part in data.groupby("period")}
    found = {}
    for t in sorted(rows)[1:]:
        s = t - 1
        for unit in range(len(rows[t])):
            d = [exact_beta(rows[at], rows[of][unit], weak) for at, of in ((s, s), (s, t), (t, s), (t, t))]
            own_s, ahead, behind, own_t = (np.nan if v is None else 1 + v for v in d)
            ec = float(own_s / own_t)
            crossed = None in (d[1], d[2])
            tc = np.nan if crossed else np.sqrt(float(own_t / ahead * behind / own_s))
            found[unit + 1, int(t)] = {"ml": ec * tc, "ec": ec, "tc": tc}
    return found

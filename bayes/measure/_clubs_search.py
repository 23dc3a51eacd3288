"""Kernel of club convergence: core groups, the sieve, recursion, and merging of neighbouring clubs.

Phillips & Sul (2007), Econometrica 75(6), section 4; merging: Phillips & Sul (2009), Journal of Applied Econometrics 24(7), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayes.measure._log_t import LogT, growing_groups, log_t_regression, transition_variance, with_each


@dataclass(frozen=True)
class Rules:
    """What decides about clubs: periods left out, the critical t, the sieve's c*, its increase (None: fixed), the standard error."""

    left_out: int
    critical: float = -1.65
    sieve_critical: float = 0.0
    increase: float | None = 0.1
    errors: str = "phillips-sul"

    def test(self, variance: np.ndarray) -> LogT:
        return log_t_regression(np.atleast_2d(variance), self.left_out, self.errors)

    def t_of(self, y: np.ndarray) -> float:
        return float(self.test(transition_variance(y)).t[0])

    def converges(self, y: np.ndarray) -> bool:
        """True when the log-t test does not reject convergence of these units; one unit is no club."""
        return len(y) > 1 and self.t_of(y) > self.critical


def find_clubs(y: np.ndarray, rules: Rules) -> list[np.ndarray]:
    """Clubs of the units of ``y`` (units, periods) as arrays of positions, highest first; units in none of them diverge."""
    remaining = np.argsort(-y[:, -1], kind="stable")
    clubs: list[np.ndarray] = []
    while remaining.size > 1:
        if rules.converges(y[remaining]):
            return [*clubs, remaining]
        core = find_core(y[remaining], rules)
        if core is None:
            break
        members = sieve(y[remaining], core, rules)
        clubs.append(remaining[members])
        remaining = np.delete(remaining, members)
    return clubs


def find_core(y: np.ndarray, rules: Rules) -> np.ndarray | None:
    """Positions of the core group among units in descending order: from the first pair that converges, units are added while all groups
    so far converge, and the group with the largest t is taken. None when no pair converges."""
    difference, mean = (y[:-1] - y[1:]) / 2, (y[:-1] + y[1:]) / 2
    pairs = np.flatnonzero(rules.test((difference / mean) ** 2).t > rules.critical)
    if not pairs.size:
        return None
    start = int(pairs[0])
    t = rules.test(growing_groups(y[start:])[1:]).t
    failed = np.flatnonzero(~(t > rules.critical))
    t = t[: failed[0]] if failed.size else t
    return np.arange(start, start + 2 + int(np.argmax(t)))


def sieve(y: np.ndarray, core: np.ndarray, rules: Rules) -> np.ndarray:
    """Positions of the core with every unit whose t together with it exceeds c*, sorted. c* is raised until the club converges."""
    others = np.delete(np.arange(len(y)), core)
    if not others.size:
        return core
    t, c = rules.test(with_each(y[core], y[others])).t, rules.sieve_critical
    while True:
        members = np.sort(np.r_[core, others[t > c]])
        if rules.increase is None or members.size == core.size or rules.converges(y[members]):
            return members
        # The next c* on the grid that lets at least one unit fewer in: the steps before it change nothing.
        lowest = t[t > c].min()
        c += rules.increase * max(1.0, np.ceil((lowest - c) / rules.increase)) if np.isfinite(lowest) else np.inf


def merge_clubs(y: np.ndarray, clubs: Sequence[np.ndarray], rules: Rules) -> tuple[list[np.ndarray], list[list[int]]]:
    """Neighbouring clubs joined for as long as they converge together; with the positions of the clubs that each new one is made of."""
    merged: list[np.ndarray] = []
    made_of: list[list[int]] = []
    for k, club in enumerate(clubs):
        if merged and rules.converges(y[np.r_[merged[-1], club]]):
            merged[-1] = np.r_[merged[-1], club]
            made_of[-1].append(k)
        else:
            merged.append(club)
            made_of.append([k])
    return merged, made_of


def membership(clubs: Sequence[np.ndarray], n_units: int) -> np.ndarray:
    """Club of every unit, 1, 2, …; 0 for units in none. Shape (n_units,)."""
    out = np.zeros(n_units, dtype=int)
    for k, club in enumerate(clubs, start=1):
        out[club] = k
    return out

"""Where maximum likelihood starts from, and the best of what it finds: never below a nested model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from bayes.baselines._frontier_effects import Rule, integrand, log_integral, rule_for
from bayes.baselines._frontier_likelihood import Rows, Structure, derivatives, in_blocks, parameters, split, time_span
from bayes.baselines._frontier_optimum import Point, maximise
from bayes.frontier.algebra import NUMPY

FLOOR = -14.0
"""Logarithm of a scale that stands for zero, in units of the scale of least-squares residuals."""
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Shares of inefficiency in the variance of residuals from which the search starts."""
_EXTRA = ("unit_effect", "persistent", "location", "shape", "degrees", "decay", "path", "determinant", "noise_determinant")
"""Blocks that make a larger model of a nested one when they leave their null value."""
_NULL = {"degrees": np.log(30.0), "noise": -0.35, "inefficiency": -0.35, "unit_effect": FLOOR, "persistent": FLOOR}
_BOX = {
    "noise": (FLOOR + 2, 4.0),
    "inefficiency": (FLOOR, 12.0),
    "location": (-100.0, 100.0),
    "shape": (-4.0, 5.0),
    "degrees": (np.log(0.5), np.log(1e3)),
    "decay": (-60.0, 60.0),
    "path": (-200.0, 200.0),
    "determinant": (-20.0, 20.0),
    "noise_determinant": (-20.0, 20.0),
    "unit_effect": (FLOOR, 4.0),
    "persistent": (FLOOR, 4.0),
}
_MEAN_BOX = 1e3
"""Bounds of location and determinants of a mean before truncation, which are measured in σ_u."""
_TRIALS: dict[str, tuple[float, ...]] = {
    "unit_effect": (-0.5, -1.5),
    "persistent": (-0.5,),
    "location": (-3.0, -10.0, -40.0, 1.5),
    "shape": (-0.7, 0.7),
    "degrees": (np.log(4.0),),
    "decay": (-1.0, 1.0),
}
"""Values from which a block is started, beside the null value that a nested model held it at."""
_FEW = 8_000
"""Densities times coordinates below which compiling is the larger part of the work."""
_BLOCK = 4_000_000
"""Densities times coordinates that are evaluated at once."""
NODES = {"true-random-effects": (32, 96), "four-component": (7, 16)}
"""Quadrature nodes of each unit (of each panel, for four components): at first, and where those turn out to be too few."""
_ROUGH_BELOW = -7.0
"""ln σ_v, relative, below which densities of a Rayleigh or gamma lose digits; they go no further."""


def nodes_of(structure: Structure) -> tuple[int, int]:
    """First and second number of nodes; fewer where each density is a quadrature of its own."""
    if structure.model == "true-random-effects" and structure.inefficiency == "gamma":
        return 12, 32
    return NODES.get(structure.model, (0, 0))


@dataclass(frozen=True, eq=False)
class Problem:
    """One likelihood to maximise: a structure, the blocks that it holds at their null values, and rows."""

    structure: Structure
    held: frozenset[str]
    rows: Rows
    nodes: int = 0

    @classmethod
    def of(cls, structure: Structure, rows: Rows) -> Problem:
        general, held = structure.general()
        return cls(general, held, rows, nodes_of(structure)[0])

    @cached_property
    def signed(self) -> Structure:
        return replace(self.structure, sign=self.rows.sign)

    @cached_property
    def n_terms(self) -> int:
        return self.rows.design.shape[0]

    @cached_property
    def n_rows(self) -> int:
        return self.rows.n_rows

    @cached_property
    def size(self) -> int:
        return self.n_terms + sum(self.structure.blocks.values())

    @cached_property
    def places(self) -> dict[str, np.ndarray]:
        """Positions of each block in θ."""
        return split(np.arange(self.size), self.n_terms, self.structure)

    @cached_property
    def extras(self) -> tuple[str, ...]:
        return tuple(b for b in self.structure.blocks if b in _EXTRA and b not in self.held)

    @cached_property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        lower, upper = np.full(self.size, -np.inf), np.full(self.size, np.inf)
        for name, (low, high) in _BOX.items():
            if name in self.places:
                lower[self.places[name]], upper[self.places[name]] = low, high
        if self.structure.inefficiency in ("rayleigh", "gamma"):
            lower[self.places["noise"]] = _ROUGH_BELOW
        if self.structure.determinants_in == "mean":
            both = np.concatenate([self.places["location"], self.places["determinant"]])
            lower[both], upper[both] = -_MEAN_BOX, _MEAN_BOX
        return lower, upper

    def free(self, extras: Iterable[str], fixed: Iterable[str] = ()) -> np.ndarray:
        """Which coordinates move when of the extra blocks only ``extras`` do, and ``fixed`` do not."""
        still = self.held | (set(_EXTRA) - set(extras)) | set(fixed)
        out = np.ones(self.size, dtype=bool)
        for name in still & set(self.places):
            out[self.places[name]] = False
        return out

    def start(self, **blocks: float | np.ndarray) -> np.ndarray:
        """θ with the blocks given, others at their null values."""
        theta = np.zeros(self.size)
        for name, value in ({b: v for b, v in _NULL.items() if b in self.places} | blocks).items():
            theta[self.places[name]] = value
        return theta

    def parameters(self, theta: np.ndarray) -> dict:
        return parameters(theta, self.signed, self.rows)

    def rule(self, theta: np.ndarray) -> Rule | None:
        return rule_for(self.parameters(theta), self.signed, self.rows, self.nodes) if self.nodes else None

    def log_likelihood(self, theta: np.ndarray, nodes: int) -> float:
        """By NumPy, with another number of nodes: what quadrature leaves open."""
        p = self.parameters(theta)
        rule = rule_for(p, self.signed, self.rows, nodes)
        by_unit = log_integral(integrand(rule.nodes, p, self.signed, self.rows, NUMPY) + rule.log_weights, NUMPY)
        return float(by_unit @ self.rows.unit_weight)

    @cached_property
    def blocks(self) -> tuple[Rows, ...]:
        """All rows; with unit effects in blocks of units, so that memory does not grow with the panel."""
        n_units, n_periods = self.rows.output.shape
        if not self.nodes:
            return (self.rows,)
        per_unit = n_periods * self.nodes * (15 if self.structure.model == "four-component" else 1) * self.size
        return in_blocks(self.rows, max(1, min(n_units, _BLOCK // per_unit)))

    def maximise(self, start: np.ndarray, free: np.ndarray, iterations: int = 200) -> Point:
        n = self.n_rows
        compiled = derivatives(self.structure, n * max(self.nodes, 1) * self.size < _FEW)

        def objective(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
            p = self.parameters(theta) if self.nodes else {}
            value, gradient, hessian = 0.0, np.zeros(self.size), np.zeros((self.size, self.size))
            for rows in self.blocks:
                rule = rule_for(p, self.signed, rows, self.nodes) if self.nodes else None
                parts = compiled(theta, rows, rule)
                value, gradient, hessian = value + float(parts[0]), gradient + parts[1], hessian + parts[2]
            return value / n, np.asarray(gradient) / n, np.asarray(hessian) / n

        return maximise(objective, start, free, *self.box, iterations)


def climb(problem: Problem) -> Point:
    """The best point of all starts: a grid over the share of inefficiency, and the optima of every nested model.

    A nested model holds some of the extra blocks at their null values; each is solved from the smaller ones, so that none can be better
    than the model itself.
    """
    best: dict[frozenset[str], Point] = {}
    for size in range(len(problem.extras) + 1):
        for chosen in map(frozenset, combinations(problem.extras, size)):
            starts = [problem.start(**scales) for scales in _scales(chosen, few=bool(chosen) or bool(problem.nodes))]
            for block in sorted(chosen):
                nested = best[chosen - {block}].theta
                starts += [nested, *_moved(problem, nested, block)]
            best[chosen] = _highest(problem, starts, problem.free(chosen))
    return best[frozenset(problem.extras)]


def _highest(problem: Problem, starts: list[np.ndarray], free: np.ndarray) -> Point:
    """The best optimum; where the likelihood is dear, only the two starts that have climbed highest after a few steps go on."""
    if not problem.nodes:
        return best_of([problem.maximise(start, free) for start in starts], problem)
    first = sorted((problem.maximise(start, free, 5) for start in starts), key=lambda p: -np.nan_to_num(p.value, nan=-np.inf))
    return best_of([problem.maximise(p.theta, free) for p in first[:2]], problem)


def best_of(points: list[Point], problem: Problem) -> Point:
    """The highest point; among equals the one nearest to a stationary one. Where the likelihood is unbounded as σ_v → 0, an optimum with
    noise is preferred to points without."""
    finite = [p for p in points if np.isfinite(p.value)]
    if not finite:
        return points[0]
    structure = problem.structure
    if structure.inefficiency == "gamma" or structure.noise_determinants or structure.noise == "student-t":
        noisy = [p for p in finite if not _is_noiseless(p, problem) and p.gain < 1e-9]
        finite = noisy or finite
    top = max(p.value for p in finite)
    equal = [p for p in finite if p.value > top - 1e-11 * max(1.0, abs(top))]
    return min(equal, key=lambda p: (int(p.flat.sum()), np.abs(p.step).max(initial=0.0)))


def without_inefficiency(problem: Problem) -> Point:
    """The model with u = 0 (and no persistent inefficiency): least squares, or random effects, or what noise asks for."""
    gone = [b for b in ("inefficiency", "persistent") if b in problem.places]
    kept = [b for b in ("noise_determinant", "degrees", "unit_effect") if b in problem.extras]
    effects = dict.fromkeys([b for b in kept if b == "unit_effect"], -0.7)
    starts = [
        problem.start(**dict.fromkeys(gone, FLOOR), noise=noise, **effects) for noise in ((-0.7,) if problem.nodes else (-0.05, -0.7))
    ]
    return best_of([problem.maximise(start, problem.free(kept, gone)) for start in starts], problem)


def at_zero(problem: Problem, point: Point, block: str) -> Point:
    """The best point with the scale of ``block`` at zero, everything else free."""
    theta = point.theta.copy()
    theta[problem.places[block]] = FLOOR
    return problem.maximise(theta, point.free & problem.free(problem.extras, [block]))


def _is_noiseless(point: Point, problem: Problem) -> bool:
    return bool(point.theta[problem.places["noise"]][0] < -6)


def _scales(chosen: frozenset[str], few: bool) -> list[dict[str, float]]:
    """Starting scales: inefficiency's share of the variance; unit effects take half of the rest."""
    out = []
    effects = sorted(chosen & {"unit_effect", "persistent"})
    for share in _SHARES[1::2] if few else _SHARES:
        rest = (1 - share) / (2 if effects else 1)
        parts = {"inefficiency": share, "noise": rest} | dict.fromkeys(effects, rest / max(len(effects), 1))
        out.append({block: 0.5 * np.log(part) for block, part in parts.items()})
    return out


def _moved(problem: Problem, theta: np.ndarray, block: str) -> list[np.ndarray]:
    """Starts away from a nested optimum: other values of the block that was held there."""
    out = []
    for value in _paths(problem) if block == "path" else _TRIALS.get(block, ()):
        moved = theta.copy()
        moved[problem.places[block]] = value
        out.append(moved)
    return out


def _paths(problem: Problem) -> list[np.ndarray]:
    """Shapes of 1/(1 + exp(bt + ct²)) that fall or rise early, in the middle and late: the exponent is zero at t = 0 and at t*."""
    span = float(time_span(problem.rows))
    turning = np.array([0.3, 0.6, 1.0, 1.5]) * (span + 1) / span
    return [np.array([-c * t, c]) for c in (4.0, -4.0, 30.0, -30.0) for t in turning]

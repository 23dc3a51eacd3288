"""What a maximisation found, in words: an interior optimum, a boundary or ridge and which one, or no optimum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from bayes.baselines._frontier_likelihood import Rows, Structure
from bayes.baselines._frontier_optimum import Point
from bayes.baselines._frontier_search import Problem, at_zero, climb, nodes_of, without_inefficiency

_SAME = 1e-7
"""Log likelihoods that differ by less are equal."""
_SETTLED = 1e-5
"""A Newton step shorter than this, in coordinates of order 1, has arrived."""
_RIDGE_BEGINS = -20.0
"""μ/σ_u from which on a truncated normal is compared with the exponential that it tends to."""


class Status(Enum):
    """Where maximum likelihood ended."""

    INTERIOR = "interior optimum"
    NO_INEFFICIENCY = "boundary: no inefficiency (σ_u → 0)"
    NO_NOISE = "boundary: no noise (σ_v → 0)"
    RIDGE = "ridge: truncated normal slides to the exponential (μ → −∞)"
    OTHER_BOUNDARY = "other boundary"
    NOT_CONVERGED = "not converged"


_GONE = {
    "inefficiency": "inefficiency of single rows is zero (σ_u → 0)",
    "unit_effect": "unit effects are zero (σ_w → 0)",
    "persistent": "persistent inefficiency is zero (σ_h → 0)",
}
_FLAT = {
    "inefficiency": "the distribution of inefficiency degenerates",
    "location": "μ/σ_u runs away",
    "shape": "the shape of the gamma runs away",
    "degrees": "normal noise fits as well as Student-t noise",
    "decay": "the path of inefficiency runs away",
    "path": "the path of inefficiency turns into a step",
    "determinant": "coefficients of determinants run away: inefficiency vanishes, or becomes certain, for part of the rows",
    "noise_determinant": "coefficients of noise run away: it vanishes for part of the rows",
    "technology": "coefficients of the technology are not determined",
}


@dataclass(frozen=True, eq=False)
class Solution:
    """A maximum, the maximum without inefficiency, and where the first lies. On a ridge the problem is that of the limiting model."""

    problem: Problem
    point: Point
    null: Point
    status: Status
    message: str
    gone: tuple[str, ...] = ()
    quadrature_error: float = 0.0

    @property
    def loglik(self) -> float:
        return self.point.value * self.problem.n_rows

    @property
    def loglik_null(self) -> float:
        return self.null.value * self.problem.n_rows


def solve(structure: Structure, rows: Rows) -> Solution:
    """Maximise, look at the limits that the maximum may be sliding to, and say what was found."""
    problem = Problem.of(structure, rows)
    null = without_inefficiency(problem)
    point = climb(problem)
    problem, point, error = _with_enough_nodes(problem, point)
    if not np.isfinite(point.value):
        words = "The log likelihood is not finite at any start. Check the columns for values far from the rest."
        return Solution(problem, point, null, Status.NOT_CONVERGED, words)
    if (point.value - null.value) * problem.n_rows < _SAME:
        effect = problem.places.get("unit_effect")
        no_effect = effect is not None and null.theta[effect][0] < -8
        gone = ("inefficiency", *(["persistent"] if "persistent" in problem.places else []), *(["unit_effect"] if no_effect else []))
        return Solution(problem, null, null, Status.NO_INEFFICIENCY, _no_inefficiency(problem), gone, error)
    if structure.inefficiency == "truncated-normal" and structure.determinants_in != "mean":
        ridge = _ridge(structure, rows, problem, point, null)
        if ridge is not None:
            return ridge
    point, gone = _without_empty_parts(problem, point)
    return Solution(problem, point, null, *_classify(problem, point, gone), gone, error)


def _with_enough_nodes(problem: Problem, point: Point) -> tuple[Problem, Point, float]:
    """The optimum with as many quadrature nodes as it needs, and what still changes with more of them."""
    if not problem.nodes or not np.isfinite(point.value):
        return problem, point, 0.0
    more = nodes_of(problem.structure)[1]
    error = problem.log_likelihood(point.theta, more) - point.value * problem.n_rows
    if abs(error) > _SAME:
        problem = replace(problem, nodes=more)
        point = problem.maximise(point.theta, point.free)
        error = problem.log_likelihood(point.theta, 2 * more) - point.value * problem.n_rows
    return problem, point, float(error)


def _without_empty_parts(problem: Problem, point: Point) -> tuple[Point, tuple[str, ...]]:
    """Set scales that run to zero to zero, where that costs nothing."""
    gone: list[str] = []
    parts = ("unit_effect", "persistent", "inefficiency") if "persistent" in problem.places else ("unit_effect",)
    for block in parts:
        if block in problem.places and point.theta[problem.places[block]][0] < -4:
            limit = at_zero(problem, point, block)
            if (point.value - limit.value) * problem.n_rows < _SAME:
                point, gone = limit, [*gone, block]
    return point, tuple(gone)


def _ridge(structure: Structure, rows: Rows, problem: Problem, point: Point, null: Point) -> Solution | None:
    """The exponential limit of a truncated normal, where the likelihood rises towards it."""
    if point.theta[problem.places["location"]][0] > _RIDGE_BEGINS:
        return None
    limit = Problem.of(replace(structure, inefficiency="exponential"), rows)
    limit, best, error = _with_enough_nodes(limit, climb(limit))
    if (best.value - point.value) * problem.n_rows < -_SAME:
        return None
    best, gone = _without_empty_parts(limit, best)
    status, message = _classify(limit, best, gone)
    words = (
        "μ → −∞ with σ_u²/|μ| constant: the likelihood of the truncated normal has no maximum here, it rises towards that of the "
        "exponential. Estimates and log likelihood are those of the exponential limit: fit inefficiency='exponential'."
    )
    words += "" if status is Status.INTERIOR else f" There: {message}"
    return Solution(limit, best, null, Status.RIDGE, words, gone, error)


def _classify(problem: Problem, point: Point, gone: tuple[str, ...]) -> tuple[Status, str]:
    left = point.gain * problem.n_rows
    noise = problem.places["noise"]
    if point.theta[noise][0] < -8 or point.at_bound[noise].any():
        words = "σ_v → 0: the frontier envelops the data and everything below it is inefficiency. There are no standard errors."
        return Status.NO_NOISE, words
    running = _running(problem, point)
    if not left < (1e-3 if running else 10 * _SAME):
        words = f"A further rise of the log likelihood by {left:.2g} is in sight: not an optimum. Choose a smaller model."
        return Status.NOT_CONVERGED, words
    if not running and not gone:
        return Status.INTERIOR, f"Interior optimum: largest gradient {point.gradient_norm:.1g} per row, Hessian negative definite."
    if "location" in running and point.theta[problem.places["location"]][0] < _RIDGE_BEGINS and "inefficiency" not in running:
        return Status.RIDGE, "μ → −∞: the truncated normal slides towards an exponential. Estimates are those where the search stopped."
    words = [_GONE[name] for name in gone] + [_FLAT[name] for name in running if name in _FLAT]
    return Status.OTHER_BOUNDARY, f"Not an interior optimum: {'; '.join(words)}. Standard errors of what is not determined are missing."


def _running(problem: Problem, point: Point) -> list[str]:
    """Blocks that press against a bound, lie in a flat direction, or in which a Newton step has not settled."""
    moving = point.at_bound | point.flat | (np.abs(point.step) > _SETTLED * np.maximum(1.0, np.abs(point.theta)))
    blocks = [name for name, place in problem.places.items() if moving[place].any()]
    return [name for name in blocks if name != "technology"] or blocks


def _no_inefficiency(problem: Problem) -> str:
    other = "random effects" if "unit_effect" in problem.places else "least squares"
    other = "a regression without inefficiency" if problem.structure.noise == "student-t" else other
    return f"σ_u → 0: inefficiency does not raise the log likelihood above that of {other}, whose estimates are given. See .skewness."

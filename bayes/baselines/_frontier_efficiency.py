"""Efficiencies at a maximum: moments of u given the residuals, unit effects integrated out with their posterior weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.baselines._frontier_effects import posterior_weights
from bayes.baselines._frontier_solution import Solution, Status
from bayes.frontier.data import FrontierData
from bayes.frontier.inefficiency import log_mean_efficiency, mean_inefficiency

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier


def efficiency_of_rows(solution: Solution, spec: StochasticFrontier, data: FrontierData, estimator: str, component: str) -> np.ndarray:
    """E[exp(−u) | data] (``battese-coelli``) or exp(−E[u | data]) (``jlms``) of each row, shape (n_rows,).

    With unit effects the expectation is over their posterior too, given all rows of the unit.
    """
    if solution.status is Status.NO_INEFFICIENCY:
        return np.ones(data.n_rows)
    if estimator == "battese-coelli":
        values, weights = _at_nodes(solution, spec, data, lambda p: np.exp(log_mean_efficiency(p, spec, data, component)))
        return data.in_rows((weights * values).sum(axis=0))
    values, weights = _at_nodes(solution, spec, data, lambda p: mean_inefficiency(p, spec, data, component))
    return np.exp(-data.in_rows((weights * values).sum(axis=0)))


def _at_nodes(solution: Solution, spec: StochasticFrontier, data: FrontierData, moment: Any) -> tuple[np.ndarray, np.ndarray]:
    """A moment at each quadrature node of the unit effect, (nodes, U, T), and posterior weights of the nodes, (nodes, U, 1)."""
    problem, theta = solution.problem, solution.point.theta
    p = {name: np.asarray(value)[None] for name, value in problem.parameters(theta).items()}
    rule = problem.rule(theta)
    if rule is None:
        return moment(p), np.ones((1, 1, 1))
    weights = posterior_weights(rule, problem.parameters(theta), problem.signed, problem.rows)[:, : data.n_units]
    nodes = np.asarray(rule.nodes)[:, : data.n_units]
    p = {name: np.repeat(value, len(nodes), axis=0) for name, value in p.items()} | {"unit_effect": nodes}
    return moment(p), weights[..., None]

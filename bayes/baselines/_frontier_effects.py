"""Unit effects integrated out of a frontier's likelihood, one one-dimensional integral per unit.

True random effects: Gauss–Hermite nodes around each unit's mode. Four components: the effect a = w − s·h is skew-normal, with a bend at
a = 0 that becomes a jump when σ_w → 0, so a composite Gauss–Legendre rule is laid over panels that are split there. Nodes are placed with
NumPy, outside what is differentiated: the derivative of an exact rule does not depend on where its nodes are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from bayes.frontier import likelihood
from bayes.frontier.algebra import NUMPY, Algebra

_DROPS = np.array([0.5, 2.0, 6.0, 14.0, 38.0])
"""Panels end where the log integrand has fallen this far below its maximum."""
_AROUND = np.array([-4.0, -1.0, 0.0, 1.0, 4.0])
"""Panels end at these multiples of the width of the bend."""
_HALVINGS = 34


class Rule(NamedTuple):
    """Nodes (Q, U) of the integral over each unit's effect and the log weights of the rule there."""

    nodes: Any
    log_weights: Any


def rule_for(p: Mapping[str, Any], structure: Any, rows: Any, nodes: int) -> Rule:
    """Where to evaluate each unit's integrand at the parameters ``p``: ``nodes`` nodes, of each panel for four components."""

    def log_integrand(a: np.ndarray) -> np.ndarray:
        return integrand(a, p, structure, rows, NUMPY)

    bound = _bound(p, rows)
    mode = _mode(log_integrand, bound, rows.output.shape[0])
    if structure.model != "four-component":
        levels = _level_sets(log_integrand, mode, _DROPS[:1], bound)
        return _hermite(mode, 0.5 * (levels[1] - levels[0]), nodes)
    levels = _level_sets(log_integrand, mode, _DROPS, bound)
    around = _bend(p) * _AROUND[:, None] + 0.0 * mode
    ends = np.concatenate([levels, mode[None], around])
    return _composite(np.sort(np.clip(ends, levels[_DROPS.size - 1], levels[-1]), axis=0), nodes)


def integrand(a: Any, p: Mapping[str, Any], structure: Any, rows: Any, xp: Algebra) -> Any:
    """log of Π_t f(y_it | a_i) p(a_i), shape (…, U), at effects ``a`` (…, U)."""
    q = {**p, "unit_effect": a}
    return likelihood.log_likelihood_of_units(q, structure, rows, xp) + likelihood.log_density_of_unit_effects(q, structure, xp)


def log_integral(terms: Any, xp: Algebra) -> Any:
    """log Σ exp(terms) over the first axis."""
    top = xp.max(terms, axis=0)
    return top + xp.log(xp.sum(xp.exp(terms - top), axis=0))


def posterior_weights(rule: Rule, p: Mapping[str, Any], structure: Any, rows: Any) -> np.ndarray:
    """Weights (Q, U) of the nodes in the posterior of each unit's effect; they sum to one."""
    terms = integrand(rule.nodes, p, structure, rows, NUMPY) + rule.log_weights
    return np.exp(terms - log_integral(terms, NUMPY))


def _hermite(mode: np.ndarray, scale: np.ndarray, n: int) -> Rule:
    z, w = special.roots_hermite(n)
    width = np.sqrt(2.0) * scale
    return Rule(mode + width * z[:, None], np.log(width) + (np.log(w) + z * z)[:, None])


def _composite(ends: np.ndarray, n: int) -> Rule:
    """``n`` Gauss–Legendre nodes in each of the panels with ``ends`` (panels + 1, U); empty panels weigh nothing."""
    z, w = special.roots_legendre(n)
    half = 0.5 * np.diff(ends, axis=0)[:, None]
    nodes = 0.5 * (ends[1:] + ends[:-1])[:, None] + half * z[:, None]
    log_weights = np.log(np.maximum(half, 1e-300)) + np.log(w)[:, None]
    return Rule(nodes.reshape(-1, ends.shape[1]), log_weights.reshape(-1, ends.shape[1]))


def _bound(p: Mapping[str, Any], rows: Any) -> float:
    """A distance from 0 beyond which the mode of no unit's effect can lie."""
    scales = p["noise_scale"][0] + p["inefficiency_scale"][0] + p["unit_effect_sd"] + p.get("persistent_scale", 0.0)
    return float(np.abs(likelihood.residuals(p["technology"], rows)).max() + 10 * scales)


def _bend(p: Mapping[str, Any]) -> float:
    """Width around 0 within which the skew-normal density of the effect changes its slope."""
    return p["unit_effect_sd"] * np.sqrt(1 + (p["unit_effect_sd"] / p["persistent_scale"]) ** 2)


def _mode(log_integrand: Callable[[np.ndarray], np.ndarray], bound: float, n_units: int) -> np.ndarray:
    """Mode of each unit's integrand by halving an interval; integrands are log-concave (a gamma of shape below 1 may not be)."""
    low, high = np.full(n_units, -bound), np.full(n_units, bound)
    apart = 1e-7 * bound * np.array([[1.0], [-1.0]])
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        right, left = log_integrand(middle + apart)
        low, high = np.where(right > left, middle, low), np.where(right > left, high, middle)
    return 0.5 * (low + high)


def _level_sets(log_integrand: Callable[[np.ndarray], np.ndarray], mode: np.ndarray, drops: np.ndarray, bound: float) -> np.ndarray:
    """Where the integrand has fallen by each of ``drops``, left of the mode (first half) and right of it; shape (2·drops, U)."""
    side = np.repeat([-1.0, 1.0], drops.size)[:, None]
    floor = log_integrand(mode) - np.tile(drops, 2)[:, None]
    near = np.zeros((side.size, mode.size))
    far = near + 20 * bound
    for _ in range(_HALVINGS):
        middle = 0.5 * (near + far)
        above = log_integrand(mode + side * middle) > floor
        near, far = np.where(above, middle, near), np.where(above, far, middle)
    return mode + side * 0.5 * (near + far)

"""Measurement: data envelopment analysis, productivity indices, composite indices, inequality and convergence.

Every function takes a :class:`bayes.Panel` and returns :class:`bayes.Estimates`, with draws where there is uncertainty.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES: dict[str, str] = {
    "dea": "bayes.measure._dea",
    "malmquist": "bayes.measure._malmquist",
    "growth_difference": "bayes.measure._growth_difference",
    "three_stage": "bayes.measure._three_stage",
    "green_productivity_levels": "bayes.measure._parametric_levels",
    "composite_index": "bayes.measure._index",
    "coupling_coordination": "bayes.measure._coupling",
    "theil": "bayes.measure._inequality",
    "dagum_gini": "bayes.measure._inequality",
    "credit_balance": "bayes.measure._credit",
    "trend_growth": "bayes.measure._trend",
    "sigma_convergence": "bayes.measure._sigma",
    "beta_convergence": "bayes.measure._convergence",
    "log_t": "bayes.measure._clubs",
    "convergence_clubs": "bayes.measure._clubs",
    "markov_transitions": "bayes.measure._markov",
    "moments": "bayes.measure._moments",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'bayes.measure' has no function {name!r}; functions: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)

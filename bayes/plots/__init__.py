"""Public figures. Every function returns a ``matplotlib.figure.Figure`` and never touches pyplot, so nothing is shown or kept open.

Each takes ``width`` in inches (7 for a page, 3.8 for a phone) and ``path`` to save a file; fonts stay at 8 points or more at both.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "event_study": "bayes.plots._event_study",
    "forest": "bayes.plots._regions",
    "shrinkage": "bayes.plots._regions",
    "effect_surface": "bayes.plots._effect_surface",
    "counterfactual": "bayes.plots._counterfactual",
    "prior_posterior": "bayes.plots._distributions",
    "predictive_check": "bayes.plots._distributions",
    "rank_plot": "bayes.plots._ranks",
    "placebo": "bayes.plots._placebo",
    "calibration": "bayes.plots._calibration",
    "treatment_timing": "bayes.plots._timing",
    "sensitivity": "bayes.plots._sensitivity",
    "specification_curve": "bayes.plots._specification_curve",
    "efficiency": "bayes.plots._efficiency",
    "elasticities": "bayes.plots._elasticities",
    "productivity": "bayes.plots._productivity",
    "tile_map": "bayes.plots._tile_map",
    "heat_map": "bayes.plots._heat_map",
    "gini_decomposition": "bayes.plots._inequality",
    "transition_paths": "bayes.plots._clubs",
    "club_map": "bayes.plots._clubs",
    "transition_matrix": "bayes.plots._transitions",
    "scenarios": "bayes.plots._scenarios",
    "scenario_decision": "bayes.plots._scenarios",
    "scenario_maps": "bayes.plots._scenario_maps",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'bayes.plots' has no figure {name!r}; figures: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)

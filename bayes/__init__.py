"""Bayesian hierarchical panel models for regional economics.

Public names are imported on first use, so that ``import bayes`` costs nothing and a script loads only what it calls.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Panel": "bayes.panel",
    "Estimates": "bayes.estimates",
    "Prior": "bayes.priors",
    "StaggeredDiD": "bayes.did.model",
    "StochasticFrontier": "bayes.frontier.model",
    "Mediation": "bayes.mediation",
    "CrossLagged": "bayes.cross_lagged",
    "event_study_sensitivity": "bayes.did.given_event_study",
    "neighbour_exposure": "bayes.did.exposure",
    "exposure_columns": "bayes.did.exposure",
    "spillover": "bayes.did.exposure",
    "moran_test": "bayes.did.moran",
    "compare_pooling": "bayes.did.pooling_comparison",
    "scenarios": "bayes.scenario",
    "load_fit": "bayes.inference.files",
    "calibrate": "bayes.calibration",
    "CalibrationResult": "bayes.inference.calibration_result",
    "published": "bayes.baselines.published_estimates",
    "audit": "bayes.baselines.published_audit",
    "pool": "bayes.baselines.pooled_estimates",
    "compare": "bayes.comparison",
    "Comparison": "bayes.comparison",
    "report": "bayes.reporting.document",
}
_MODULES = ("datasets", "baselines", "measure", "plots", "errors")

__all__ = [*_HOMES, *_MODULES]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"bayes.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'bayes' has no attribute {name!r}; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)

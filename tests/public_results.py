"""What fits and functions return, small and made up, with a call of every public method, for tests that then spoil one argument."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import bayes
from bayes.panel import Panel
from tests.conftest import fabricated as did_fit
from tests.did.test_placebo_result import made_up as placebo_test
from tests.dynamics.fits import fabricated as cross_lagged_fit
from tests.frontier.simulate import frontier_panel
from tests.mechanism.fits import fabricated as mediation_fit
from tests.panels import ROLES, simulated_frame
from tests.public_entries import event_study_of, regional, sound_panel
from tests.reporting.frontier_fakes import fabricated_frontier
from tests.scenario_fits import pair
from tests.test_calibration import fabricated as calibration

ARGUMENTS: dict[str, dict[str, Any]] = {
    "DiDFit.placebo": {"n": 3, "cores": 1},
    "DiDFit.variants": {"pooling": "complete", "draws": 20},
    "DiDFit.predictive_check": {"draws": 5},
    "Heterogeneity.effect_by": {"column": "x"},
    "Heterogeneity.counterfactual": {"unit": "u001"},
    "FrontierFit.exceedance": {"threshold": 0.8},
    "ScenarioResult.compare": {"a": "balanced"},
    "Comparison.to_docx": {"path": "nowhere/table.docx"},
    "Comparison.to_csv": {"path": "nowhere/table.csv"},
    "ParallelTrends.probability_above": {"bound": 0.1},
    "Comparison.where": {"term": "event"},
    "Estimates.where": {"term": "region"},
    "Estimates.relabel": {"term": {"region": "area"}},
    "Sensitivity.where": {"term": "simple"},
    "Panel.assign": {"z": 1.0},
    "Panel.column": {"name": "y"},
    "Panel.matrix": {"names": ["y", "x"]},
    "Panel.drop_missing": {"columns": ["y"]},
    "Panel.describe": {"columns": ["y"]},
}
"""What a method cannot be called without, and what keeps a call short."""
_LEFT_OUT = ("save", "parameters", "plot")


@functools.cache
def results() -> dict[str, Any]:
    """One object of each class, by the name of the class."""
    did = did_fit(Panel.from_frame(simulated_frame(), name="synthetic", **ROLES), covariates=("x",))
    frontier = fabricated_frontier(chains=2, draws=10, determinants=["z"])
    frame = simulated_frame().rename(columns={"x": "m1"})
    lagged = frame.rename(columns={"y": "f", "m1": "s"})
    pooled = bayes.StochasticFrontier("y", ["x0", "x1"], technology="cobb-douglas", technical_change="none", model="pooled")
    found = [
        did, did.heterogeneity, did.parallel_trends(), did.predictive_check(5), did.sensitivity(), frontier,
        mediation_fit(Panel.from_frame(frame, **ROLES), ("m1",), draws=10),
        cross_lagged_fit(Panel.from_frame(lagged, "unit", "year", "region"), draws=10),
        bayes.scenarios(*pair(output={"draws": 10}, emission={"draws": 10})),
        calibration(20), placebo_test(0.5, [0.1, 0.2, -0.3]), bayes.compare(regional(), event_study_of()), sound_panel(), regional(),
        bayes.baselines.frontier(pooled, frontier_panel(18, 6, 3, "pooled")),
        bayes.audit("city_pilot_did"),
    ]  # fmt: skip
    return {type(one).__name__: one for one in found}


def on_results() -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Every public method that takes arguments: ``"DiDFit.att"`` → the bound method and arguments with which it works."""
    found = {}
    for kind, one in results().items():
        for name, method in inspect.getmembers(type(one), inspect.isfunction):
            if not name.startswith("_") and name not in _LEFT_OUT and len(inspect.signature(method).parameters) > 1:
                found[f"{kind}.{name}"] = getattr(one, name), ARGUMENTS.get(f"{kind}.{name}", {})
    return found

"""Every public entry with a call that works, for tests that then spoil one argument or the data behind it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import bayes
from bayes.estimates import Estimates
from tests.malformed import ROLES, sound_frame

JUNK: tuple[Any, ...] = (
    None, 3, -1, 0, 0.5, 1.5, "", "nope", "y", b"y", np.nan, np.inf, True, [], ["y", "y"], ("x", "nobody"), {}, {"y": 1}, {"x": "y"},
    10**30,
    object(), int, np.arange(3), [None], [np.nan], [[1]], "2001", 1e300, "=cmd|' /C calc'!A0", "<b>", np.float64(0.5), np.int64(2), -0.5,
    [1, 2, 3], ["region"], "region", lambda: None, 2 + 1j, [0.2, 0.1],
)  # fmt: skip
"""What a user may pass by mistake."""


@functools.cache
def sound_panel(treated: bool = True) -> bayes.Panel:
    roles = ROLES if treated else {**ROLES, "first_treated": None}
    return bayes.Panel.from_frame(sound_frame(units=9, periods=9), **roles)


@functools.cache
def event_study_of() -> Estimates:
    rng = np.random.default_rng(0)
    rows = [{"estimand": "att", "term": "event", "event_time": float(e), "source": "synthetic"} for e in range(-3, 4)]
    return Estimates.from_draws(rows, rng.normal(0.1, 0.05, (7, 50)))


@functools.cache
def regional() -> Estimates:
    rng = np.random.default_rng(1)
    rows = [{"estimand": "att", "term": "region", "region": r, "source": "synthetic"} for r in ("North", "South", "East")]
    return Estimates.from_draws(rows, rng.normal(0.1, 0.05, (3, 50)))


Call = Callable[..., Any]


def on_panels() -> dict[str, tuple[Call, dict[str, Any]]]:
    """Functions of a panel: name → function and arguments besides the panel."""
    m, b = bayes.measure, bayes.baselines
    made = {"inputs": ["labour", "capital"], "outputs": ["gdp"]}
    return {
        "measure.dea": (m.dea, made),
        "measure.malmquist": (m.malmquist, {**made, "bad_outputs": ["co2"]}),
        "measure.composite_index": (m.composite_index, {"benefit": ["gdp", "capital"], "cost": ["co2"]}),
        "measure.coupling_coordination": (m.coupling_coordination, {"systems": ["labour", "gdp"]}),
        "measure.theil": (m.theil, {"values": "gdp"}),
        "measure.dagum_gini": (m.dagum_gini, {"values": "gdp"}),
        "measure.credit_balance": (m.credit_balance, {"loans": "labour", "deposits": "gdp"}),
        "measure.sigma_convergence": (m.sigma_convergence, {"values": "gdp", "replicates": 100}),
        "measure.log_t": (m.log_t, {"values": "gdp"}),
        "measure.convergence_clubs": (m.convergence_clubs, {"values": "gdp"}),
        "measure.markov_transitions": (m.markov_transitions, {"values": "gdp", "classes": 2, "draws": 50}),
        "measure.trend_growth": (m.trend_growth, {"values": "gdp", "draws": 50}),
        "measure.moments": (m.moments, {"columns": ["gdp", "y"]}),
        "baselines.cross_lagged": (b.cross_lagged, {"first": "y", "second": "x"}),
        "baselines.stepwise": (b.stepwise, {"outcome": "y", "columns": {"(1)": [], "(2)": ["x"]}}),
        "CrossLagged.fit": (fit_of(bayes.CrossLagged), {"first": "y", "second": "x"}),
        "neighbour_exposure": (bayes.neighbour_exposure, {"neighbours": {"u0": ["u1"], "u1": ["u0"], "u2": []}}),
        "exposure_columns": (bayes.exposure_columns, {}),
        "plots.treatment_timing": (bayes.plots.treatment_timing, {}),
        "baselines.did": (b.did, {"outcome": "y", "estimators": ["twfe"]}),
        "baselines.event_study": (b.event_study, {"outcome": "y"}),
        "baselines.wild_bootstrap": (b.wild_bootstrap, {"outcome": "y", "replications": 99}),
        "baselines.mediation": (b.mediation, {"outcome": "y", "mediators": ["x"]}),
        "measure.three_stage": (m.three_stage, {**made, "environment": ["x"], "method": "maximum-likelihood"}),
        "measure.beta_convergence": (m.beta_convergence, {"values": "gdp"}),
        "StaggeredDiD.fit": (fit_of(bayes.StaggeredDiD), {"outcome": "y", "covariates": ("x",)}),
        "StochasticFrontier.fit": (fit_of(bayes.StochasticFrontier), {"output": "gdp", "inputs": ("labour", "capital")}),
        "Mediation.fit": (fit_of(bayes.Mediation), {"outcome": "y", "mediators": ("x",)}),
        "baselines.frontier": (frontier_of, {"output": "gdp", "inputs": ("labour",), "model": "pooled"}),
        "compare_pooling": (compare_pooling, {"poolings": ("complete",), "draws": 20}),
    }  # fmt: skip


def fit_of(kind: type) -> Call:
    """A model's whole way from options and panel to what the sampler is given; sampling itself is replaced by the tests."""

    @functools.wraps(kind)
    def call(panel: Any, **options: Any) -> Any:
        fitting = {k: options.pop(k) for k in ("draws", "tune", "chains", "seed", "cache", "sampler", "target_accept") if k in options}
        return kind(**options).fit(panel, **{"draws": 10, "tune": 10, "chains": 2, "progress": False, **fitting})

    return call


def frontier_of(panel: Any, **options: Any) -> Any:
    return bayes.baselines.frontier(bayes.StochasticFrontier(**options), panel)


def compare_pooling(panel: Any, outcome: Any = "y", **options: Any) -> Any:
    return bayes.compare_pooling(panel, bayes.StaggeredDiD(outcome), **options)


def on_estimates() -> dict[str, tuple[Call, dict[str, Any]]]:
    """Functions of estimates and of paths: name → function and its arguments."""
    p, e, r = bayes.plots, event_study_of(), regional()
    panel = sound_panel()
    theil = bayes.measure.theil(panel, "gdp")
    scores = bayes.measure.dea(panel, ["labour"], ["gdp"])
    index = bayes.measure.malmquist(panel, ["labour"], ["gdp"])
    clubs = bayes.measure.convergence_clubs(panel, "gdp", paths=True)
    moves = bayes.measure.markov_transitions(panel, "gdp", classes=2, draws=50)
    covariance = 0.01 * np.eye(6)
    return {
        "plots.event_study": (p.event_study, {"estimates": e}),
        "plots.forest": (p.forest, {"estimates": r}),
        "plots.shrinkage": (p.shrinkage, {"pooled": r, "unpooled": r}),
        "plots.effect_surface": (p.effect_surface, {"estimates": e}),
        "plots.counterfactual": (p.counterfactual, {"estimates": e}),
        "plots.prior_posterior": (p.prior_posterior, {"fit": e}),
        "plots.rank_plot": (p.rank_plot, {"fit": e}),
        "plots.predictive_check": (p.predictive_check, {"check": e}),
        "plots.placebo": (p.placebo, {"test": e}),
        "plots.sensitivity": (p.sensitivity, {"results": e}),
        "plots.specification_curve": (p.specification_curve, {"estimates": r}),
        "plots.efficiency": (p.efficiency, {"estimates": scores}),
        "plots.elasticities": (p.elasticities, {"estimates": r}),
        "plots.productivity": (p.productivity, {"estimates": index}),
        "plots.tile_map": (p.tile_map, {"values": {"Ohio": 1.0, "Texas": 2.0}}),
        "plots.heat_map": (p.heat_map, {"estimates": scores}),
        "plots.gini_decomposition": (p.gini_decomposition, {"estimates": theil}),
        "plots.transition_paths": (p.transition_paths, {"estimates": clubs}),
        "plots.club_map": (p.club_map, {"estimates": clubs}),
        "plots.transition_matrix": (p.transition_matrix, {"estimates": moves}),
        "plots.scenarios": (p.scenarios, {"result": e}),
        "plots.scenario_decision": (p.scenario_decision, {"result": e}),
        "compare": (bayes.compare, {"estimates": e}),
        "pool": (bayes.pool, {"estimates": r, "draws": 50}),
        "event_study_sensitivity": (bayes.event_study_sensitivity, {"estimates": e.frame.estimate.tolist()[:6], "covariance": covariance,
                                                                     "event_times": [-3, -2, 0, 1, 2, 3]}),
        "baselines.honest_did": (bayes.baselines.honest_did, {"estimates": e.frame.estimate.tolist()[:6], "covariance": covariance,
                                                               "event_times": [-3, -2, 0, 1, 2, 3], "grid_points": 10}),
        "measure.growth_difference": (bayes.measure.growth_difference, {"malmquist_estimates": index, "productivity_estimates": index}),
        "measure.green_productivity_levels": (bayes.measure.green_productivity_levels, {"fits": {"a": e}}),
        "spillover": (bayes.spillover, {"fit": e}),
        "moran_test": (bayes.moran_test, {"fit": e, "neighbours": {"u0": ["u1"], "u1": ["u0"]}}),
        "plots.calibration": (p.calibration, {"result": e}),
        "plots.scenario_maps": (p.scenario_maps, {"result": e}),
        "calibrate": (bayes.calibrate, {"model": e, "panel": panel, "n": 2}),
        "baselines.beside_statements": (bayes.baselines.beside_statements, {"statements": e, "findings": []}),
        "scenarios": (bayes.scenarios, {"output": e, "emission": e}),
        "published": (bayes.published, {"study": "nobody"}),
        "audit": (bayes.audit, {"study": e}),
        "load_fit": (bayes.load_fit, {"path": "nowhere.nc"}),
        "report": (bayes.report, {"fit": theil, "path": "nowhere/not.pdf"}),
        "datasets.load": (bayes.datasets.load, {"name": "castle_doctrine"}),
        "datasets.path": (bayes.datasets.path, {"name": "castle_doctrine"}),
        "datasets.card": (bayes.datasets.card, {"name": "castle_doctrine"}),
        "Prior": (bayes.Prior, {"family": "normal", "parameters": {"mu": 0.0, "sigma": 1.0}}),
        "Estimates.from_rows": (Estimates.from_rows, {"rows": [{"estimate": 1.0}]}),
        "Estimates.from_draws": (Estimates.from_draws, {"rows": [{"term": "a"}], "draws": np.zeros((1, 4))}),
        "Comparison.table": (bayes.compare(e).table, {"by": "term"}),
        "Estimates.where": (e.where, {"term": "event"}),
    }  # fmt: skip


def run(name: str, function: Call, arguments: dict[str, Any]) -> Any:
    """Call it, with what it takes by place."""
    first = next((k for k in ("estimates", "results") if k in arguments), None)
    if name in ("plots.event_study", "plots.forest", "plots.sensitivity", "plots.elasticities", "plots.productivity", "compare") and first:
        rest = {k: v for k, v in arguments.items() if k != first}
        return function(arguments[first], **rest)
    return function(**arguments)


def keywords(function: Call) -> list[str]:
    """Names of arguments that can be spoiled."""
    import inspect

    return [k for k, p in inspect.signature(function).parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]

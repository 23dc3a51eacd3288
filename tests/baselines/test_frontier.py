"""Maximum-likelihood frontiers against brute force on synthetic panels: the likelihood, the optimum, boundaries, tests, tables."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayes
from bayes.baselines import _frontier_search as search
from bayes.baselines import frontier
from bayes.baselines._frontier_effects import integrand, log_integral, rule_for
from bayes.baselines._frontier_likelihood import Structure, rows_of
from bayes.baselines._frontier_optimum import maximise
from bayes.baselines._frontier_result import FrontierMLE, RegionalFrontierMLE, collapsed
from bayes.baselines._frontier_search import Problem
from bayes.baselines._frontier_solution import Status
from bayes.errors import BaselineWarning, NoVariationError, SpecificationError, TimingWarning
from bayes.frontier.algebra import NUMPY
from bayes.panel import Panel
from tests.baselines.frontier_panels import BruteForce, simulated, spec

EXPONENTIAL, TRUNCATED = {"inefficiency": "exponential"}, {"inefficiency": "truncated-normal"}
INTERIOR = {
    "half-normal": ({}, {}),
    "half-normal, cost": ({"sign": -1}, {"kind": "cost"}),
    "exponential": (EXPONENTIAL, EXPONENTIAL),
    "scales": ({"slope": 0.3, "noise_slope": 0.15}, {"determinants": ["z"], "determinants_in": "scale", "noise_determinants": ["n"]}),
    "time-invariant": ({"model": "time-invariant"}, {}),
    "bc92": ({"model": "bc92"}, {}),
    "bc92, truncated normal": ({"model": "bc92"}, TRUNCATED),
    "true-random-effects": ({"model": "true-random-effects"}, {}),
}
INTERIOR_SLOW = {
    "truncated normal": (TRUNCATED | {"location": 0.5, "n_units": 40, "seed": 6}, TRUNCATED),
    "truncated normal, cost": (TRUNCATED | {"location": 0.5, "n_units": 40, "seed": 8, "sign": -1}, TRUNCATED | {"kind": "cost"}),
    "truncated normal, scaling": ({"slope": 0.3, "n_units": 40, "seed": 6}, TRUNCATED | {"determinants": ["z"]}),
    "truncated normal, scale": ({"slope": 0.3, "n_units": 40, "seed": 6}, TRUNCATED | {"determinants": ["z"], "determinants_in": "scale"}),
    "bc95": ({"slope": 0.3}, TRUNCATED | {"determinants": ["z"], "determinants_in": "mean"}),
    "rayleigh": ({"inefficiency": "rayleigh"}, {"inefficiency": "rayleigh"}),
    "gamma": ({"inefficiency": "gamma", "n_units": 60}, {"inefficiency": "gamma"}),
    "student-t": ({"n_units": 40, "seed": 5}, {"noise": "student-t"}),
    "bc92, exponential": ({"model": "bc92"}, EXPONENTIAL),
    "bc92, determinants": ({"model": "bc92"}, {"determinants": ["z"]}),
    "kumbhakar-1990": ({"model": "kumbhakar-1990"}, {}),
    "true-random-effects, exponential": ({"model": "true-random-effects"} | EXPONENTIAL, EXPONENTIAL),
    "true-random-effects, cost": ({"model": "true-random-effects", "sign": -1}, {"kind": "cost"}),
    "four-component": ({"model": "four-component"}, {}),
    "four-component, cost": ({"model": "four-component", "sign": -1, "seed": 5}, {"kind": "cost"}),
}
ALL = [*INTERIOR, *(pytest.param(name, marks=pytest.mark.slow) for name in INTERIOR_SLOW)]
WITHOUT_UNIT_EFFECTS = [
    pytest.param(name, marks=[pytest.mark.slow] if name in INTERIOR_SLOW else [])
    for name in (*INTERIOR, *INTERIOR_SLOW)
    if not name.startswith(("true-random-effects", "four-component"))
]


def fit_of(specification, panel: Panel) -> FrontierMLE:
    """A fit whose warnings are not the subject."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BaselineWarning)
        warnings.simplefilter("ignore", TimingWarning)
        return frontier(specification, panel)


@cache
def interior(name: str) -> tuple[FrontierMLE, BruteForce]:
    simulation, options = (INTERIOR | INTERIOR_SLOW)[name]
    panel = simulated(**simulation)
    if name == "student-t":
        panel = panel.assign(y=panel.frame.y + 0.1 * np.random.default_rng(5).standard_t(3, panel.n_rows))
    fit = fit_of(spec(simulation.get("model", "pooled"), **options), panel)
    return fit, BruteForce(fit)


# ── the optimum ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ALL)
def test_log_likelihood_is_that_of_brute_force(name):
    fit, brute = interior(name)
    assert fit.loglik == pytest.approx(brute.log_likelihood(brute.estimates), abs=1e-8)
    assert abs(fit.solution.quadrature_error) < 1e-7


@pytest.mark.parametrize("name", ALL)
def test_brute_force_finds_nothing_better(name):
    """Zero slope in every reported parameter, in units of its standard error, and no better point around."""
    fit, brute = interior(name)
    assert fit.status is Status.INTERIOR, fit.message
    assert fit.solution.point.gradient_norm < 1e-10
    steps = 2e-4 * np.diag(brute.errors)
    slopes = [brute.log_likelihood(brute.estimates + s) - brute.log_likelihood(brute.estimates - s) for s in steps]
    assert np.abs(slopes).max() / 4e-4 < 1e-4
    rng, top = np.random.default_rng(0), brute.log_likelihood(brute.estimates)
    for size in (0.01, 0.3):
        for direction in rng.normal(size=(4, len(brute.names))):
            assert brute.log_likelihood(brute.estimates + size * direction * brute.errors) < top


@pytest.mark.parametrize("name", ["half-normal", pytest.param("bc92", marks=pytest.mark.slow)])
def test_standard_errors_are_those_of_a_numerical_hessian(name):
    _, brute = interior(name)
    k, h = len(brute.names), 0.02
    steps = h * np.diag(brute.errors)
    hessian = np.empty((k, k))
    for i in range(k):
        for j in range(i + 1):
            corners = [(a, b, brute.estimates + a * steps[i] + b * steps[j]) for a in (1, -1) for b in (1, -1)]
            hessian[i, j] = hessian[j, i] = sum(a * b * brute.log_likelihood(at) for a, b, at in corners) / (4 * h**2)
    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(-hessian))), 1.0, atol=2e-3)  # in units of the reported errors


@pytest.mark.parametrize("name", WITHOUT_UNIT_EFFECTS)
def test_efficiencies_are_those_of_brute_force(name):
    fit, brute = interior(name)
    np.testing.assert_allclose(fit.efficiency().frame.estimate, brute.efficiency(), atol=1e-9)
    assert fit.mean_efficiency == pytest.approx(brute.efficiency().mean(), abs=1e-10)
    jlms = fit.efficiency("jlms").frame.estimate
    assert (jlms < fit.efficiency().frame.estimate).all()  # Jensen


def test_efficiency_beside_unit_effects():
    """E[exp(−u)|all rows of the unit] by summing over a fine grid of effects."""
    fit, _ = interior("true-random-effects")
    p = fit.solution.problem.parameters(fit.solution.point.theta)
    eps = fit.data.output - np.tensordot(p["technology"][0], fit.data.design, 1)
    v, u, w = (float(np.ravel(p[name])[0]) for name in ("noise_scale", "inefficiency_scale", "unit_effect_sd"))
    grid = np.linspace(-1.5, 1.5, 4001)[:, None, None]
    e = eps - grid
    row = stats.skewnorm(-u / v, scale=np.hypot(u, v)).logpdf(e) * fit.data.mask
    log_weight = row.sum(axis=-1) + stats.norm(scale=w).logpdf(grid[..., 0])
    weight = np.exp(log_weight - log_weight.max(axis=0))
    location, scale = -e * u**2 / (u**2 + v**2), u * v / np.hypot(u, v)
    z = location / scale
    mean = np.exp(-location + scale**2 / 2) * stats.norm.cdf(z - scale) / stats.norm.cdf(z)
    expected = (weight[..., None] * mean).sum(axis=0) / weight.sum(axis=0)[:, None]
    np.testing.assert_allclose(fit.efficiency().frame.estimate, fit.data.in_rows(expected), atol=1e-8)


@pytest.mark.parametrize("model", ["true-random-effects", "four-component"])
@pytest.mark.parametrize("sign", [1, -1])
def test_effects_are_integrated_out_anywhere(model, sign):
    """Also far from an optimum, and where the effect's density bends sharply or jumps at zero (σ_w → 0)."""
    specification = spec(model, kind="production" if sign == 1 else "cost")
    data = specification.data(simulated(model=model, sign=sign))
    problem = Problem.of(Structure.of(specification), rows_of(collapsed(data), sign))
    scales = (
        [(-1, 0), (-1, -2), (-3, -3)] if model == "true-random-effects" else [(-1, 0, 0), (-4, -1, -0.5), (-12, -1, -0.3), (-1, -1, -4)]
    )
    for blocks in scales:
        named = dict(zip(("unit_effect", "inefficiency", "persistent"), blocks, strict=False))
        theta = problem.start(noise=-1.0, **named)
        p = problem.parameters(theta)
        rule = rule_for(p, problem.signed, problem.rows, problem.nodes)
        ours = log_integral(integrand(rule.nodes, p, problem.signed, problem.rows, NUMPY) + rule.log_weights, NUMPY)
        np.testing.assert_allclose(ours, by_grid(p, problem, sign), atol=2e-7)


def by_grid(p, problem, sign):
    """Simpson's rule on a grid that is fine around zero and around each unit's mean residual."""
    rows, v, u = problem.rows, p["noise_scale"][0], p["inefficiency_scale"][0]
    w, h = p["unit_effect_sd"], p.get("persistent_scale", 0.0)
    eps = rows.output - np.tensordot(p["technology"][0], rows.design, 1)
    out = []
    for e, m in zip(eps, rows.mask, strict=True):
        width = 10 * (v + u + w + h)
        ends = np.unique(np.r_[-width, np.linspace(-1, 1, 41) * width / 4, w * np.linspace(-9, 9, 37), width])
        parts = np.concatenate([np.linspace(a, b, 401) for a, b in pairwise(ends)]).reshape(-1, 401)
        effect = stats.skewnorm(-sign * h / w, scale=np.hypot(h, w)).logpdf(parts)
        row = stats.skewnorm(-sign * u / v, scale=np.hypot(u, v))
        log_f = effect + sum(row.logpdf(e_t - parts) for e_t, kept in zip(e, m, strict=True) if kept)
        top = log_f.max()
        weights = np.r_[1, np.tile([4, 2], 199), 4, 1] / 3 / 400
        out.append(top + np.log((np.exp(log_f - top) @ weights * np.ptp(parts, axis=1)).sum()))
    return np.array(out)


@pytest.mark.slow
def test_blocks_of_units_add_up(monkeypatch):
    fit, _ = interior("true-random-effects")
    monkeypatch.setattr(search, "_BLOCK", 32 * 5 * 6 * 7)  # seven units at a time: 7, 7, 7 and 3
    in_parts = fit_of(fit.spec, simulated(model="true-random-effects"))
    assert len(in_parts.solution.problem.blocks) == 4
    assert in_parts.loglik == pytest.approx(fit.loglik, abs=1e-9)
    np.testing.assert_allclose(in_parts.frame[["estimate", "se"]], fit.frame[["estimate", "se"]], rtol=1e-7)


# ── nested models, boundaries ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_larger_model_is_never_worse():
    panel = simulated(model="bc92", seed=4)
    small = fit_of(spec("time-invariant"), panel)
    chain = [spec("time-invariant", **TRUNCATED), spec("bc92"), spec("bc92", **TRUNCATED)]
    larger = [fit_of(s, panel).loglik for s in chain]
    assert min(larger) >= small.loglik - 1e-9
    assert larger[2] >= max(larger) - 1e-9
    assert small.loglik >= small.loglik_ols


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_larger_model_is_never_worse_with_effects(seed):
    panel = simulated(model="four-component", seed=seed)
    fits = {m: fit_of(spec(m), panel).loglik for m in ("pooled", "time-invariant", "true-random-effects", "four-component")}
    assert fits["pooled"] <= fits["true-random-effects"] + 1e-7
    assert max(fits.values()) <= fits["four-component"] + 1e-7
    pooled = [fit_of(spec(**options), panel).loglik for options in ({}, EXPONENTIAL, TRUNCATED, TRUNCATED | {"determinants": ["z"]})]
    assert max(pooled[:2]) <= pooled[2] + 1e-6
    assert pooled[2] <= pooled[3] + 1e-7
    assert fit_of(spec(inefficiency="gamma"), panel).loglik >= pooled[1] - 1e-7


def test_wrong_skewness_ends_in_least_squares():
    panel = simulated(sign=-1)
    with pytest.warns(BaselineWarning, match="no interior optimum.*σ_u → 0"):
        fit = frontier(spec(), panel)
    x = np.column_stack([np.ones(panel.n_rows), *(panel.column(c) - panel.column(c).mean() for c in "kl")])
    beta, rss = np.linalg.lstsq(x, panel.column("y"))[:2]
    n = panel.n_rows
    assert fit.status is Status.NO_INEFFICIENCY
    np.testing.assert_allclose(fit.frame.estimate[:3], beta, atol=1e-5)
    assert fit.loglik == pytest.approx(-n / 2 * (np.log(2 * np.pi * rss[0] / n) + 1), abs=1e-8)
    assert fit.loglik == pytest.approx(fit.loglik_ols, abs=1e-8)
    assert fit.frame.set_index("parameter").estimate["inefficiency_scale"] == 0
    assert fit.frame.se[:4].notna().all()
    assert fit.mean_efficiency == 1
    assert fit.lr_test.p_value == 1
    assert fit.skewness[0].p_value > 0.99
    assert "wrong way" in fit.skewness[1].words
    assert fit.estimates().frame.note.str.contains("no inefficiency").all()


def test_without_noise_the_frontier_envelops():
    fit = fit_of(spec(), simulated(sigma_v=1e-9))
    assert fit.status is Status.NO_NOISE
    assert fit.frame.se.isna().all()
    beta = fit.frame.estimate[:3].to_numpy()
    slack = np.tensordot(beta, fit.data.design, 1)[fit.data.mask > 0] - fit.data.output[fit.data.mask > 0]
    assert slack.min() > -1e-4
    sigma_u = np.sqrt((slack**2).mean())
    assert fit.loglik == pytest.approx(stats.halfnorm(scale=sigma_u).logpdf(np.maximum(slack, 0)).sum(), abs=0.01)


@pytest.mark.slow
def test_a_truncated_normal_slides_to_the_exponential():
    panel = simulated(n_units=60, seed=1, **EXPONENTIAL)
    exponential = fit_of(spec(**EXPONENTIAL), panel)
    with pytest.warns(BaselineWarning, match="ridge: truncated normal slides to the exponential"):
        fit = frontier(spec(**TRUNCATED), panel)
    assert fit.status is Status.RIDGE
    assert fit.loglik == pytest.approx(exponential.loglik, abs=1e-9)
    values = fit.frame.set_index("parameter").estimate
    assert values["location_ratio"] == -np.inf
    assert values["exponential_scale"] == pytest.approx(exponential.frame.set_index("parameter").estimate["inefficiency_scale"])
    assert fit.mean_efficiency == pytest.approx(exponential.mean_efficiency, abs=1e-9)


@pytest.mark.slow
def test_absent_unit_effects_are_named():
    panel = simulated(seed=1, n_units=40)
    pooled, fit = fit_of(spec(), panel), fit_of(spec("true-random-effects"), panel)
    assert fit.status is Status.OTHER_BOUNDARY
    assert "unit effects are zero" in fit.message
    assert fit.loglik == pytest.approx(pooled.loglik, abs=1e-6)
    assert fit.frame.set_index("parameter").estimate["unit_effect_sd"] == 0
    np.testing.assert_allclose(fit.frame.se[:5], pooled.frame.se[:5], rtol=1e-4)


# ── tests, tables ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_likelihood_ratio_has_a_mixed_distribution():
    one, three = interior("half-normal")[0].lr_test, interior("bc92, truncated normal")[0].lr_test
    assert one.weights == {0: 0.5, 1: 0.5}
    assert one.p_value == pytest.approx(0.5 * stats.chi2.sf(one.statistic, 1))
    assert three.weights == {2: 0.5, 3: 0.5}
    assert three.p_value == pytest.approx(0.5 * stats.chi2.sf(three.statistic, 2) + 0.5 * stats.chi2.sf(three.statistic, 3))
    fit = interior("half-normal")[0]
    assert one.statistic == pytest.approx(2 * (fit.loglik - fit.loglik_ols), abs=1e-8)
    effects = interior("true-random-effects")[0]
    assert "random effects" in effects.lr_test.words
    assert effects.solution.loglik_null > effects.loglik_ols


def test_estimates_stand_beside_others():
    fit, _ = interior("half-normal")
    rows = fit.estimates()
    assert list(rows.frame.estimand) == ["technology"] * 3 + ["noise_scale", "inefficiency_scale"]
    assert list(rows.frame.term[:3]) == ["intercept", "k", "l"]
    np.testing.assert_allclose(rows.frame.upper - rows.frame.estimate, stats.norm.ppf(0.975) * rows.frame.se)
    other = replace(rows, frame=rows.frame.assign(source="another", estimate=rows.frame.estimate + 0.1))
    joined = bayes.compare(rows, other).joined
    np.testing.assert_allclose(joined.query("source == 'another'").difference, 0.1)
    elasticity = fit.elasticities(by="all").frame
    assert list(elasticity.term) == ["k", "l"]
    np.testing.assert_allclose(elasticity[["estimate", "se"]], fit.frame[["estimate", "se"]][1:3])
    by_region = fit.elasticities().frame
    assert list(by_region.region) == ["A", "B"] * 2
    text = repr(fit)
    assert "interior optimum" in text
    assert "mean efficiency" in text


def test_efficiency_by_groups():
    fit, _ = interior("half-normal")
    rows = fit.efficiency().frame
    assert len(rows) == fit.data.n_rows
    assert rows.source.eq("Maximum likelihood, complete pooling, Battese–Coelli E[exp(−u)|ε]").all()
    assert fit.efficiency("jlms").frame.source.str.endswith("JLMS exp(−E[u|ε])").all()
    by_unit = fit.efficiency(by="unit").frame.set_index("unit").estimate
    pd.testing.assert_series_equal(by_unit, rows.groupby("unit").estimate.mean().loc[by_unit.index], check_exact=False)
    assert set(fit.efficiency(by="region").frame.region) == {"A", "B"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.efficiency("draws"), "estimator='draws' does not exist for maximum likelihood"),
        (lambda f: f.efficiency(by="week"), "by='week'"),
        (lambda f: f.efficiency(component="persistent"), "four-component"),
        (lambda f: f.elasticities(by="week"), "by='week'"),
        (lambda f: f.estimates(level=95), "between 0 and 1"),
    ],
)
def test_words_that_do_not_exist_are_refused(call, message):
    with pytest.raises(SpecificationError, match=message):
        call(interior("half-normal")[0])


# ── regions ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_regions_on_their_own_are_separate_fits():
    panel = simulated(n_units=25)  # regions of 13 and 12 units: the second is filled up
    whole = fit_of(spec(pooling="none"), panel)
    assert isinstance(whole, RegionalFrontierMLE)
    for name, fit in whole.by_region.items():
        brute = BruteForce(fit)
        assert fit.status is Status.INTERIOR
        assert fit.data.n_rows == panel.frame.region.eq(name).sum()
        assert fit.loglik == pytest.approx(brute.log_likelihood(brute.estimates), abs=1e-9)
        for step in 1e-3 * np.diag(brute.errors):
            assert abs(brute.log_likelihood(brute.estimates + step) - brute.log_likelihood(brute.estimates - step)) < 1e-7
        np.testing.assert_allclose(fit.efficiency().frame.estimate, brute.efficiency(), atol=1e-9)
        assert fit.frame.region.eq(name).all()
    part = Panel.from_frame(panel.frame[panel.frame.region == "A"], unit="unit", time="year")
    alone = fit_of(spec(), part)  # centred at its own means: another intercept
    assert whole.by_region["A"].loglik == pytest.approx(alone.loglik, abs=1e-9)
    np.testing.assert_allclose(whole.by_region["A"].frame.estimate[1:], alone.frame.estimate[1:], atol=1e-7)
    assert whole.loglik == pytest.approx(sum(fit.loglik for fit in whole.by_region.values()))
    assert len(whole.efficiency()) == panel.n_rows
    assert set(whole.estimates().frame.region) == {"A", "B"}
    assert list(whole.elasticities().frame.region) == ["A", "A", "B", "B"]
    assert list(whole.summary().region) == ["A", "B"]
    assert 0 < whole.mean_efficiency < 1


def test_a_region_that_cannot_be_fitted_is_reported():
    panel = simulated()
    broken = panel.assign(k=panel.frame.k.where(panel.frame.region == "A", 2.0))
    with pytest.warns(BaselineWarning, match="not fitted: B .*'k'.*") as given:
        fit = frontier(spec(pooling="none"), broken)
    assert given[0].filename == __file__
    assert list(fit.by_region) == ["A"]
    assert "'k'" in fit.failed["B"]
    assert "failed" in fit.summary().status.iloc[1]
    with pytest.raises(NoVariationError, match="'k'"):
        frontier(spec(), panel.assign(k=2.0))


def test_divisions_of_the_us_states():
    """Least squares is a local maximum in the seven divisions with the wrong skewness. In one of them, the Middle Atlantic, the frontier
    without noise lies above it, as a quadratic program says too; so it does in the Pacific, where residuals lean the right way."""
    panel = bayes.datasets.load("us_states_production").log("gsp", "pcap", "pc", "emp")
    model = bayes.StochasticFrontier(
        output="log_gsp", inputs=["log_pcap", "log_pc", "log_emp"], covariates=["unemp"], technology="cobb-douglas",
        technical_change="none", model="pooled", pooling="none",
    )  # fmt: skip
    with pytest.warns(BaselineWarning, match="interior optimum in 1 of 9 regions"):
        fit = frontier(model, panel)
    collapsed_to_ols = [name for name, status in fit.status.items() if status is Status.NO_INEFFICIENCY]
    assert len(collapsed_to_ols) == 6
    assert [name for name, status in fit.status.items() if status is Status.NO_NOISE] == ["Middle Atlantic", "Pacific"]
    assert fit.by_region["Middle Atlantic"].loglik == pytest.approx(75.1324, abs=1e-3)
    assert fit.by_region["Middle Atlantic"].loglik_ols == pytest.approx(72.9722, abs=1e-3)
    assert fit.by_region["Mountain"].status is Status.INTERIOR


# ── the optimiser ───────────────────────────────────────────────────────────────────────────────────────────────────────


def quartic(x):
    """−(x₁² − 1)² − (x₂ − x₁)²: two maxima, a saddle between them."""
    value = -((x[0] ** 2 - 1) ** 2) - (x[1] - x[0]) ** 2
    gradient = np.array([-4 * x[0] * (x[0] ** 2 - 1) + 2 * (x[1] - x[0]), -2 * (x[1] - x[0])])
    return value, gradient, np.array([[-12 * x[0] ** 2 + 4 - 2, 2.0], [2.0, -2.0]])


def test_the_optimiser_leaves_saddles_and_keeps_to_its_box():
    free, wide = np.ones(2, dtype=bool), (np.full(2, -9.0), np.full(2, 9.0))
    for start in ([0.0, 0.0], [5.0, -7.0], [0.1, 8.0]):
        point = maximise(quartic, np.array(start), free, *wide)
        np.testing.assert_allclose(np.abs(point.theta), 1.0, atol=1e-9)
        assert point.gain < 1e-20
        assert not point.flat.any()
    point = maximise(quartic, np.array([0.2, 0.2]), free, np.array([-9.0, -9.0]), np.array([0.5, 9.0]))
    np.testing.assert_allclose(point.theta, 0.5, atol=1e-9)
    assert list(point.at_bound) == [True, False]
    held = maximise(quartic, np.array([0.2, 3.0]), np.array([False, True]), *wide)
    np.testing.assert_allclose(held.theta, 0.2, atol=1e-12)


def test_flat_directions_are_marked():
    point = maximise(
        lambda x: (-((x[0] - 1) ** 2), np.array([-2 * (x[0] - 1), 0.0]), np.diag([-2.0, 0.0])),
        np.zeros(2), np.ones(2, dtype=bool), np.full(2, -9.0), np.full(2, 9.0),
    )  # fmt: skip
    np.testing.assert_allclose(point.theta, [1.0, 0.0], atol=1e-12)
    assert list(point.flat) == [False, True]

"""Violations of parallel trends inside a fit: the extended model against dense algebra, its limits, breakdown values, bad input."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import bayes
from bayes.did import trend_violations as tv
from bayes.did.effects import AGGREGATIONS
from bayes.did.sensitivity import learned_scale
from bayes.did.violation_response import LinearEffects, _respond, headline, linear_effects, response_to_violations, violation_columns
from bayes.errors import SpecificationError, UnsupportedModelError
from bayes.panel import Panel
from tests.conftest import fabricated
from tests.did.dense import DensePanel, Point, panel_of
from tests.did.test_posterior import group_average
from tests.panels import ROLES, simulated_frame

SMALL = simulated_frame(n_units=15, n_periods=6)
GAPS = simulated_frame(n_units=21, n_periods=7, gaps=True)
CASES = {
    "partial": (GAPS, {"covariates": ("x",)}),
    "trends": (GAPS, {"unit_trends": True}),
    "regional periods": (GAPS, {"period_effects": "region"}),
    "anticipation": (GAPS, {"anticipation": 1}),
    "iid, fixed": (SMALL, {"errors": "iid", "unit_effects": "fixed"}),
    "no pooling": (SMALL, {"pooling": "none"}),
    "complete": (SMALL, {"pooling": "complete"}),
}


@pytest.fixture(scope="module")
def fit(gappy_panel):
    return fabricated(gappy_panel, draws=200, covariates=("x",))


@pytest.fixture(scope="module")
def result(fit):
    return fit.sensitivity("simple", [0, 0.5, 1, 2])


# ── the extended model against dense algebra ────────────────────────────────────────────────────────────────────────────


def with_violations(dense: DensePanel, point: Point, event: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dense mean and covariance of (flat columns, cells, unit effects) when treated × event time enters with this prior precision."""
    flat, n = dense.flat_design, event.size
    random = [dense.cells @ dense.loadings(point)] if dense.collapsed.basis is not None else []
    random += [sd * z for sd, z in zip(point.unit_sds(dense.unit_names), dense.unit_columns, strict=True)]
    violations = (dense.rows.e.to_numpy()[:, None] == event).astype(float)
    x = np.hstack([flat, *random, violations])
    prior = np.diag(np.r_[np.zeros(flat.shape[1]), np.ones(x.shape[1] - flat.shape[1])])
    prior[-n:, -n:] = precision
    inverse = np.linalg.inv(dense.errors(point))
    covariance = np.linalg.inv(x.T @ inverse @ x + prior)
    transform = np.pad(dense._to_effects(point, flat.shape[1], x.shape[1] - n), ((0, 0), (0, n)))
    return transform @ covariance @ x.T @ inverse @ dense.outcome, transform @ covariance @ transform.T


def every_effect(dense: DensePanel, by_weight: bool) -> tuple[LinearEffects, np.ndarray]:
    """Each cell and each group's mean unit effect: as weights for the package, and as a map of the dense effects."""
    c = dense.collapsed
    cells, of_groups = c.design.cells.size, group_average(dense, by_weight) if c.unit_columns.treatment else np.zeros((0, 0))
    groups, n_flat = len(of_groups), dense.flat.shape[1]
    on_cells = np.vstack([np.eye(cells), np.zeros((groups, cells))])
    on_groups = np.vstack([np.zeros((cells, groups)), np.eye(groups)])
    dense_map = np.zeros((cells + groups, n_flat + cells + of_groups.shape[1]))
    dense_map[:cells, n_flat : n_flat + cells] = np.eye(cells)
    dense_map[cells:, n_flat + cells :] = of_groups
    return LinearEffects(on_cells, on_groups, by_weight), dense_map


def prepared(name: str, by_weight: bool = True):
    """A case's dense model, its scales, violations, and the package's B, I and h for them."""
    frame, options = CASES[name]
    dense = DensePanel(bayes.StaggeredDiD("y", **options), panel_of(frame))
    point = Point(autocorrelation=0.0) if options.get("errors") == "iid" else Point()
    event, columns = violation_columns(dense.collapsed)
    effects, dense_map = every_effect(dense, by_weight)
    found = _respond(dense.collapsed, dense.hyperparameters(point, 1), columns, effects)
    return dense, point, event, dense_map, found


@pytest.mark.parametrize("by_weight", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_effects_under_violations_have_the_dense_moments(name, by_weight):
    """Headline moments moved by B and the violations' posterior, against one dense solve of the whole model."""
    dense, point, event, dense_map, (bias, information, score) = prepared(name, by_weight)
    start_mean, start_covariance = dense.posterior(point)
    for prior in tv.PRIORS:
        k = tv.violation_covariance(event + 1 + dense.collapsed.design.anticipation, prior)
        posterior = tv.ViolationPosterior.of(information, score, k)
        for scale in (0.05, 0.4, 3.0):
            mean, covariance = with_violations(dense, point, event, np.linalg.inv(scale**2 * k))
            ours = dense_map @ start_mean - bias[:, 0] @ posterior.mean(scale)[0]
            spread = dense_map @ start_covariance @ dense_map.T + bias[:, 0] @ posterior.covariance(scale)[0] @ bias[:, 0].T
            np.testing.assert_allclose(ours, dense_map @ mean, rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(spread, dense_map @ covariance @ dense_map.T, rtol=1e-8, atol=1e-8)


def test_a_violation_of_any_size_leaves_what_needs_no_parallel_trends():
    """M → ∞ is the dense model with flat violations: contrasts between regions stay, the average effect is lost to its prior."""
    dense, point, event, dense_map, (bias, information, score) = prepared("partial")
    posterior = tv.ViolationPosterior.of(information, score, tv.violation_covariance(event + 1, "second-difference"))
    mean, covariance = with_violations(dense, point, event, np.zeros((event.size, event.size)))
    start_mean, start_covariance = dense.posterior(point)
    ours = dense_map @ start_mean - bias[:, 0] @ posterior.mean(1e5)[0]
    spread = dense_map @ start_covariance @ dense_map.T + bias[:, 0] @ posterior.covariance(1e5)[0] @ bias[:, 0].T
    np.testing.assert_allclose(ours, dense_map @ mean, atol=1e-6)
    np.testing.assert_allclose(spread, dense_map @ covariance @ dense_map.T, atol=1e-6)
    cells = dense.collapsed.design.cells
    one, other = (np.flatnonzero((cells.event == 0) & (cells.region == r))[0] for r in (0, 1))
    contrast = spread[one, one] + spread[other, other] - 2 * spread[one, other]
    assert contrast < 0.3 * (start_covariance.diagonal().max() + spread[one, one])
    prior_sd = np.sqrt((dense.loadings(point)[one] ** 2).sum())
    assert np.sqrt(spread[one, one]) > 0.9 * prior_sd


def test_one_common_effect_is_lost_to_its_prior_exactly():
    dense, point, event, dense_map, (bias, information, score) = prepared("complete")
    posterior = tv.ViolationPosterior.of(information, score, tv.violation_covariance(event + 1, "ar1"))
    start_mean, start_covariance = dense.posterior(point)
    variance = dense_map @ start_covariance @ dense_map.T + bias[:, 0] @ posterior.covariance(1e5)[0] @ bias[:, 0].T
    mean = dense_map @ start_mean - bias[:, 0] @ posterior.mean(1e5)[0]
    assert variance[0, 0] == pytest.approx(point.component_sds(("level",))[0] ** 2, rel=1e-6)
    assert mean[0] == pytest.approx(0.0, abs=1e-6)


# ── properties ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("by", AGGREGATIONS)
@pytest.mark.parametrize("estimand", ["att", "att_population", "att_new_unit"])
def test_no_violation_is_the_headline(fit, by, estimand):
    table = fit.sensitivity(by, [0, 1], estimand=estimand, level=0.9)
    ordinary = fit.att(by, estimand, level=0.9)
    rows = ~ordinary.frame.note.str.startswith("lead").to_numpy()
    zero = table.estimates.frame.variant.str.endswith("M = 0").to_numpy()
    np.testing.assert_array_equal(table.estimates.draws[zero], ordinary.draws[rows])
    columns = ["estimate", "se", "lower", "upper", "prob_positive", "event_time", "cohort", "period"]
    got, expected = (f[columns].to_numpy(float) for f in (table.estimates.frame[zero], ordinary.frame[rows]))
    np.testing.assert_allclose(got, expected, atol=1e-12)
    assert not np.allclose(table.estimates.draws[~zero], ordinary.draws[rows], equal_nan=True)


def test_weights_behind_the_rows_give_the_headline_back(fit):
    for by in ("simple", "region:event", "calendar"):
        for weights in ("rows", "panel"):
            effects = linear_effects(fit, by, "att", weights)
            table = headline(fit, by, "att", 0.95, weights)
            name = "group_effect_weighted" if weights == "panel" else "group_effect"
            cells, groups = (fit.posterior[n].to_numpy().reshape(table.draws.shape[1], -1) for n in ("cell_effect", name))
            np.testing.assert_allclose(effects.cells @ cells.T + effects.groups @ groups.T, table.draws, atol=1e-12)


def test_spread_never_falls_with_the_size_of_violations(fit):
    """Exactly so for each draw of the scales; posterior sds over draws follow it up to Monte-Carlo error."""
    response = response_to_violations(fit, linear_effects(fit, "event", "att", None))
    for prior in tv.PRIORS:
        k = tv.violation_covariance(response.event - response.reference, prior)
        posterior = tv.ViolationPosterior.of(response.information, response.score, k)
        spreads = [posterior.covariance(s) for s in (0.0, 0.01, 0.1, 1.0, 10.0)]
        for small, large in pairwise(spreads):
            assert np.linalg.eigvalsh(large - small).min() > -1e-9 * np.abs(large).max()
        variances = np.array([np.einsum("rdi,dij,rdj->r", response.bias, c, response.bias) for c in spreads])
        assert (np.diff(variances, axis=0) >= -1e-12).all()
        frame = fit.sensitivity("event", [0, 0.25, 0.5, 1, 2, 4, 8], prior=prior).estimates.frame
        sds = frame.se.to_numpy().reshape(7, -1)
        assert (sds[1:] > 0.97 * sds[:-1]).all()


def test_draws_of_violations_have_their_posterior_moments():
    rng = np.random.default_rng(4)
    root = rng.normal(size=(5, 5))
    information, score = root @ root.T, rng.normal(size=5)
    k = tv.violation_covariance(np.array([-3, -2, -1, 1, 2]), "second-difference")
    n = 40_000
    posterior = tv.ViolationPosterior.of(np.tile(information, (n, 1, 1)), np.tile(score, (n, 1)), k)
    drawn = posterior.draw(0.7, rng.standard_normal((n, 5)))
    covariance = np.linalg.inv(information + np.linalg.inv(0.49 * k))
    np.testing.assert_allclose(posterior.covariance(0.7)[0], covariance, atol=1e-10)
    np.testing.assert_allclose(posterior.mean(0.7)[0], covariance @ score, atol=1e-10)
    error = np.sqrt(np.diag(covariance) / n)
    assert (np.abs(drawn.mean(axis=0) - covariance @ score) < 5 * error).all()
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=6 * np.diag(covariance).max() / np.sqrt(n))
    np.testing.assert_array_equal(posterior.draw(0.0, rng.standard_normal((n, 5))), 0.0)


def test_breakdown_is_the_smallest_multiple_without_certainty(fit, result):
    value = result.breakdown.breakdown[0]
    assert 0 < value < 256
    assert result.breakdown.direction[0] == "> 0"
    around = fit.sensitivity("simple", [0.98 * value, 1.001 * value]).estimates.frame.prob_positive
    assert around[0] >= 0.95 > around[1]
    before = fit.sensitivity("simple", np.linspace(0, 0.98 * value, 20)).estimates.frame.prob_positive
    assert (before >= 0.95).all()
    assert f"M = {value:.2f}" in result.verdict()[0]
    assert fit.sensitivity("simple", certainty=0.99).breakdown.breakdown[0] < value


def test_breakdown_values_know_none_and_never():
    def probability(m: float) -> np.ndarray:
        return np.array([0.99, 0.6, 0.01 + 0.02 * m, np.nan, 0.97 if m < 0.001 else 0.5])

    values, sign = tv.breakdown_values(probability, 0.95)
    assert values[0] == np.inf
    assert values[1] == 0
    assert values[2] == pytest.approx(2.0, rel=2e-3)
    assert np.isnan(values[3])
    assert values[4] == pytest.approx(0.001, rel=0.2)
    np.testing.assert_array_equal(sign[[0, 2]], [1, -1])


def test_the_curve_passes_through_the_estimates(fit, result):
    curve = result.curve.frame
    multiples = [tv.read_variant(v)[1] for v in curve.variant]
    assert (multiples[0], multiples[-1], len(multiples)) == (0.0, 2.0, 41)
    assert result.curve.draws is None
    for variant in ("M = 0", "M = 0.5", "M = 2"):
        one, other = (t.frame[t.frame.variant.str.endswith(f", {variant}")].iloc[0] for t in (result.curve, result.estimates))
        assert one.estimate == other.estimate
        assert one.lower == other.lower
    np.testing.assert_array_equal(fit.sensitivity("simple", [0, 0.5, 1, 2]).estimates.draws, result.estimates.draws)
    other = fit.sensitivity("simple", [0, 0.5, 1, 2], seed=5)
    assert not np.array_equal(other.estimates.draws[1:], result.estimates.draws[1:])
    assert other.estimates.meta["seed"] == 5


def test_rows_without_treated_units_stay_empty_and_say_so():
    frame = simulated_frame()
    frame.loc[frame.region == "South", "first_treated"] = np.nan
    table = fabricated(Panel.from_frame(frame, **ROLES)).sensitivity("region")
    south = table.where(region="South")
    assert south.estimates.frame.estimate.isna().all()
    assert "no treated unit" in south.estimates.frame.note[0]
    assert np.isnan(south.breakdown.breakdown[0])
    assert "not identified" in south.verdict()[0]
    assert table.where(region="North").estimates.frame.estimate.notna().all()


def test_a_fit_without_leads_gives_the_same_analysis(gappy_panel):
    """Leads are columns that the violations need, whether the model drew them or not."""
    a, b = (fabricated(gappy_panel, draws=50, leads=leads).sensitivity("simple", [0, 1], seed=3) for leads in (True, False))
    assert a.scale == pytest.approx(b.scale, rel=1e-9)
    np.testing.assert_allclose(a.estimates.draws, b.estimates.draws, atol=1e-8)


# ── scale ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_second_differences_are_independent_and_pass_through_the_reference():
    steps = np.array([-4, -3, -2, -1, 1, 2, 3])
    k = tv.violation_covariance(steps, "second-difference")
    full = np.zeros((8, 8))
    place = np.r_[0:4, 5:8]
    full[np.ix_(place, place)] = k
    second = np.diff(np.eye(8), n=2, axis=0)
    np.testing.assert_allclose(second @ full @ second.T, np.eye(6), atol=1e-12)
    slope = (np.eye(8)[5] - np.eye(8)[3]) / 2
    assert slope @ full @ slope == pytest.approx(1.0)
    np.testing.assert_allclose(second @ full @ slope, 0.0, atol=1e-12)


def test_autoregressive_violations_are_differences_from_the_reference():
    steps, rho = np.array([-2, -1, 1, 3]), 0.6
    times = np.array([-2, -1, 0, 1, 3])
    stationary = rho ** np.abs(times[:, None] - times)
    difference = np.eye(5)[[0, 1, 3, 4]] - np.eye(5)[2]
    np.testing.assert_allclose(tv.violation_covariance(steps, "ar1", rho), difference @ stationary @ difference.T, atol=1e-12)


def test_the_scale_is_the_most_likely_one_from_the_leads():
    """Brute force over a grid, by normal densities of flat leads for every draw of the scales. The treated drift before treatment."""
    frame = simulated_frame(n_periods=12)
    frame["y"] += 0.25 * frame.first_treated.notna() * (frame.year - 2004) * np.sign(frame.year - 2004)
    fit = fabricated(Panel.from_frame(frame, **ROLES))
    result = fit.sensitivity("simple", [0, 1])
    response = response_to_violations(fit, linear_effects(fit, "simple", "att", None))
    block = np.ix_(response.leads, response.leads)
    k = tv.violation_covariance(response.event - response.reference, "second-difference")[block]
    grid = result.scale * np.r_[0.7, 0.9, 1.0, 1.1, 1.4]
    ratios = np.zeros((len(response.score), grid.size))
    for d, (information, score) in enumerate(zip(response.information, response.score[:, response.leads], strict=True)):
        s = np.linalg.inv(information[block])
        leads = s @ score
        start = stats.multivariate_normal.logpdf(leads, cov=s)
        ratios[d] = [stats.multivariate_normal.logpdf(leads, cov=s + v**2 * k) - start for v in grid]
    evidence = np.log(np.exp(ratios).mean(axis=0))
    informed = response.information[:, response.leads][:, :, response.leads]
    posterior = tv.ViolationPosterior.of(informed, response.score[:, response.leads], k)
    np.testing.assert_allclose([posterior.log_evidence(v) for v in grid], evidence, atol=1e-6)
    assert np.argmax(evidence) == 2
    assert result.scale > 0.1
    assert result.calibration == f"marginal maximum likelihood from {response.leads.size} leads"


def test_parallel_leads_ask_for_the_floor_and_say_so():
    assert tv.most_likely_scale(lambda v: -v, 0.1, 10.0) == pytest.approx(0.1)
    assert tv.most_likely_scale(lambda v: -(np.log(v / 3.3) ** 2), 0.1, 10.0) == pytest.approx(3.3, rel=1e-3)
    scale, words = learned_scale(lambda v: -v, 4, 0.1, 10.0, "0.01 within sd")
    assert scale == pytest.approx(0.1)
    assert "floor of 0.01 within sd" in words


def test_a_chosen_scale_and_m_are_one_product(fit):
    one, two = fit.sensitivity("simple", [1.0], scale=0.06), fit.sensitivity("simple", [2.0], scale=0.03)
    np.testing.assert_allclose(one.estimates.draws, two.estimates.draws, atol=1e-12)
    assert one.calibration == "chosen"
    assert one.breakdown.breakdown[0] == pytest.approx(two.breakdown.breakdown[0] / 2, rel=3e-3)


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"max_violation": [-1]}, "max_violation"),
        ({"max_violation": []}, "max_violation"),
        ({"max_violation": ["large"]}, "max_violation"),
        ({"max_violation": [np.inf]}, "max_violation"),
        ({"prior": "linear"}, "'second-difference', 'ar1'"),
        ({"scale": 0.0}, "scale"),
        ({"scale": "small"}, "scale"),
        ({"autocorrelation": 1.0}, "autocorrelation"),
        ({"certainty": 0.4}, "certainty"),
        ({"by": "decade"}, "decade"),
        ({"estimand": "late"}, "late"),
    ],
)
def test_words_and_numbers_that_do_not_exist_are_refused(fit, options, word):
    with pytest.raises(SpecificationError, match=word):
        fit.sensitivity(**options)


def test_without_leads_the_scale_must_be_chosen():
    frame = simulated_frame()
    frame = frame[frame.year >= frame.first_treated.fillna(0) - 1]
    frame = frame[(frame.first_treated != 2006) & (frame.year >= 2003)]
    fit = fabricated(Panel.from_frame(frame, **ROLES))
    assert "lead_effect" not in fit.posterior
    with pytest.raises(SpecificationError, match="Give scale="):
        fit.sensitivity()
    table = fit.sensitivity("simple", [0, 1], scale=0.1)
    assert table.estimates.frame.se[1] > table.estimates.frame.se[0]


def test_a_dose_has_no_violations_analysis():
    frame = simulated_frame().assign(dose=lambda f: 1 + (f.x - f.x.min()))
    fit = fabricated(Panel.from_frame(frame, **ROLES), draws=10, dose="dose")
    with pytest.raises(UnsupportedModelError, match="dose"):
        fit.sensitivity()

"""Predictive checks and leave-one-unit-out: densities against dense normals, replications against known simulations."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from bayes.did.criticism import PredictiveCheck, statistics, unit_log_likelihood
from bayes.errors import InfluentialUnitsWarning, SpecificationError
from tests.conftest import fabricated, sampled
from tests.did.dense import DensePanel, Point, gaussian_contrasts, panel_of
from tests.panels import simulated_frame

OPTIONS = {
    "gaps": {"covariates": ("x",)},
    "trends": {"covariates": ("x",), "unit_trends": True, "anticipation": 1, "pooling": ("event",)},
    "iid, fixed": {"errors": "iid", "unit_effects": "fixed", "pooling": "none"},
}


@pytest.fixture(scope="module", params=OPTIONS)
def fit(request):
    panel = panel_of(simulated_frame(n_units=21, n_periods=7, gaps=True))
    return fabricated(panel, **OPTIONS[request.param])


def test_unit_densities_equal_dense_contrasts(fit):
    """α_i flat, b_i and trends integrated: the density of what is left of a unit's rows after its mean, in units of the outcome."""
    dense = DensePanel(fit.model, fit.panel)
    c, found = dense.collapsed, unit_log_likelihood(fit)
    scale, posterior = c.scales[-1], fit.posterior
    x = np.hstack([np.full((fit.panel.n_rows, 0), 0.0), dense.cells])
    periods = np.column_stack([(dense.rows.t == t).to_numpy(float) for _, t in c.design.period_columns])
    for d in (0, 7, 29):
        draw = posterior.isel(chain=1, draw=d)
        point = Point(
            float(draw.innovation_sd) / scale, float(draw.get("autocorrelation", 0.0)),
            *(float(draw.get(n, 0.0)) / scale for n in ("unit_effect_sd", "unit_trend_sd")),
        )  # fmt: skip
        mean = periods @ np.nan_to_num(draw.period_effect.values) + x @ np.nan_to_num(draw.cell_effect.values)
        if fit.model.covariates:
            mean = mean + fit.panel.matrix(list(fit.model.covariates)) @ draw.coefficient.values
        v = dense.errors(point)
        for sd, z in zip(point.unit_sds(dense.unit_names), dense.unit_columns, strict=True):
            v = v + sd**2 * z @ z.T
        residual = fit.panel.frame.y.to_numpy() - mean
        for i, unit in enumerate(fit.panel.units):
            rows = np.flatnonzero(fit.panel.frame.unit == unit)
            expected = gaussian_contrasts(residual[rows], scale**2 * v[np.ix_(rows, rows)], np.ones((rows.size, 1)))
            assert abs(found[30 + d, i] - expected) < 1e-8 * max(1.0, abs(expected)), unit
    assert found.shape == (60, fit.panel.n_units)


def test_replications_are_aligned_repeatable_and_centred(tiny_fit):
    check = tiny_fit.predictive_check(draws=100, seed=4)
    assert check.replicated.shape == (100, tiny_fit.panel.n_rows)
    np.testing.assert_array_equal(check.observed, tiny_fit.panel.column("y"))
    np.testing.assert_array_equal(tiny_fit.predictive_check(draws=100, seed=4).replicated, check.replicated)
    assert not np.array_equal(tiny_fit.predictive_check(draws=100, seed=5).replicated, check.replicated)
    residual = check.observed - check.replicated.mean(axis=0)
    assert np.corrcoef(check.observed, check.replicated.mean(axis=0))[0, 1] > 0.99
    assert abs(residual.mean()) < 0.02
    spread = check.replicated.std(axis=0)
    assert 0.03 < spread.mean() < 0.3  # the noise of the simulation is 0.1
    assert tiny_fit.predictive_check(draws=10**6).replicated.shape[0] == 1000


def test_replications_reproduce_the_autocorrelation_and_spread_of_a_known_simulation():
    """A panel simulated with ρ = .6 and σ = .3: replicated statistics cover what the same recipe gives on fresh noise."""
    frame = simulated_frame(seed=5, n_units=60, n_periods=12, autocorrelation=0.6, noise=0.3)
    fit = sampled(panel_of(frame), draws=150, tune=200, pooling=("event", "region"), covariates=("x",))
    assert abs(fit.posterior.autocorrelation.values.mean() - 0.6) < 0.15
    sigma = fit.posterior.innovation_sd / np.sqrt(1 - fit.posterior.autocorrelation**2)
    assert abs(float(sigma.mean()) - 0.3) < 0.05
    table = fit.predictive_check(draws=200).table().set_index("statistic")
    assert list(table.columns) == ["observed", "mean", "lower", "upper", "p_value"]
    for name in ("standard deviation", "autocorrelation at lag 1", "kurtosis", "skewness"):
        row = table.loc[name]
        assert row.lower < row.upper
        assert 0.01 < row.p_value < 0.99, name


def test_statistics_by_hand():
    unit, period = np.repeat([0, 1], 3), np.tile([0, 1, 2], 2)
    y = np.array([[1.0, 2.0, 6.0, 0.0, 1.0, 2.0], [1.0, 1.0, 1.0, 2.0, 4.0, 0.0]])
    found = statistics(y, unit, period)
    for d in range(2):
        grid = y[d].reshape(2, 3)
        w = grid - grid.mean(axis=1, keepdims=True)
        w = w - w.mean(axis=0)
        sd = np.sqrt((w**2).mean())
        assert found["standard deviation"][d] == pytest.approx(sd)
        assert found["skewness"][d] == pytest.approx((w**3).mean() / sd**3, abs=1e-12)
        assert found["kurtosis"][d] == pytest.approx((w**4).mean() / sd**4)
        assert found["autocorrelation at lag 1"][d] == pytest.approx((w[:, 1:] * w[:, :-1]).sum() / (w[:, :-1] ** 2).sum())
        size = np.sqrt((w**2).mean(axis=1))
        assert found["largest unit sd / median unit sd"][d] == pytest.approx(size.max() / np.median(size))


def test_lags_do_not_reach_over_gaps_or_units():
    unit, period = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 3, 0, 1])
    y = np.random.default_rng(0).normal(size=(1, 5))
    w = y[0] - np.repeat([y[0, :3].mean(), y[0, 3:].mean()], [3, 2])
    for t in (0, 1):
        w[period == t] -= w[period == t].mean()
    w[2] = 0.0  # alone in its period
    expected = (w[0] * w[1] + w[3] * w[4]) / (w[0] ** 2 + w[3] ** 2)
    assert statistics(y, unit, period)["autocorrelation at lag 1"][0] == pytest.approx(expected)
    assert "autocorrelation at lag 1" not in statistics(y, unit, np.array([0, 2, 4, 0, 2]))


def test_the_level_of_the_interval_is_the_one_asked_for():
    rng = np.random.default_rng(0)
    unit, period = np.repeat(np.arange(10), 6), np.tile(np.arange(6), 10)
    check = PredictiveCheck(rng.normal(size=60), rng.normal(size=(500, 60)), unit, period)
    wide, narrow = check.table(0.95), check.table(0.5)
    assert (wide.upper - wide.lower > narrow.upper - narrow.lower).all()
    sd = statistics(check.replicated, unit, period)["standard deviation"]
    np.testing.assert_allclose(narrow.loc[0, ["lower", "upper"]].astype(float), np.quantile(sd, [0.25, 0.75]))


def test_a_replicated_check_that_needs_too_much_memory_is_refused(tiny_fit, monkeypatch):
    from bayes.did import unit_algebra

    monkeypatch.setattr(unit_algebra, "_MAX_NUMBERS", 100)
    with pytest.raises(SpecificationError, match="192 rows × 50 draws"):
        tiny_fit.predictive_check(draws=50)


def test_leave_one_unit_out_has_one_value_per_unit(tiny_fit):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InfluentialUnitsWarning)  # whether a unit is influential here is chance
        result = tiny_fit.loo()
    assert result.n_data_points == tiny_fit.panel.n_units
    assert np.asarray(result.elpd_i).shape == (tiny_fit.panel.n_units,)
    assert np.asarray(result.pareto_k).shape == (tiny_fit.panel.n_units,)
    density = unit_log_likelihood(tiny_fit)
    naive = np.log(np.exp(density).mean(axis=0)).sum()
    assert result.elpd < naive
    assert naive - result.elpd < 60


def test_an_outlying_unit_is_named():
    frame = simulated_frame(n_units=18, n_periods=6)
    odd = (frame.unit == "u004") & (frame.year >= 2004)
    fit = sampled(panel_of(frame.assign(y=frame.y + np.where(odd, 8.0 * (frame.year % 2), 0.0))), draws=200, tune=200, pooling="complete")
    with pytest.warns(InfluentialUnitsWarning, match="u004") as caught:
        result = fit.loo()
    assert "Refit without them" in str(caught[0].message)
    assert caught[0].filename == __file__
    k = np.asarray(result.pareto_k)
    assert fit.panel.units[k.argmax()] == "u004"

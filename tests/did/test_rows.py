"""The readable row-level model: its AR(1) density, its simulations, and its posterior beside the collapsed one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayes import StaggeredDiD
from bayes.did.criticism import simulate_errors
from bayes.did.rows import Rows, _ar1_outcome, row_design
from bayes.errors import SpecificationError
from bayes.inference.sampling import prepare_jax
from tests.did.dense import DensePanel, panel_of
from tests.panels import simulated_frame

FRAME = simulated_frame(n_units=15, n_periods=7, gaps=True)
SPECS = {
    "default": {},
    "everything": {"covariates": ("x",), "unit_trends": True, "period_effects": "region", "anticipation": 1, "path_order": 2},
    "no pooling": {"pooling": "none", "unit_effects": "fixed"},
    "complete, iid": {"pooling": "complete", "errors": "iid"},
}


@pytest.fixture(scope="module")
def panel():
    return panel_of(FRAME)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("form", ["rows", "collapsed"])
def test_density_and_gradient_are_finite_at_the_initial_point(name, form, panel):
    import jax
    from pymc.sampling.jax import get_jaxified_graph

    prepare_jax()
    model = StaggeredDiD("y", **SPECS[name]).build(panel, form=form)
    point = model.initial_point()
    logp = get_jaxified_graph(inputs=model.value_vars, outputs=[model.logp()])
    values = [np.asarray(point[v.name], dtype=float) for v in model.value_vars]
    value, gradient = jax.jit(jax.value_and_grad(lambda x: logp(*x)[0]))(values)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in gradient)


def gappy_rows() -> Rows:
    """Two units observed in periods 0 1 2 5 6 9 and 3 7."""
    t = np.array([0, 1, 2, 5, 6, 9, 3, 7])
    gap = np.diff(t, prepend=0)
    gap[[0, 6]] = 0
    none = np.zeros((t.size, 0))
    return Rows(np.repeat([0, 1], [6, 2]), np.array([0, 6]), none, none, none, np.random.default_rng(0).normal(size=t.size), gap)


def gappy_covariance(rows: Rows, s: float, rho: float) -> np.ndarray:
    t = np.cumsum(rows.gap) * 1.0
    apart = rows.unit[:, None] != rows.unit
    return s**2 / (1 - rho**2) * np.where(apart, 0.0, rho ** np.abs(t[:, None] - t))


@pytest.mark.parametrize("rho", [0.7, -0.4, 0.0, 0.99])
def test_ar1_density_with_gaps_is_the_multivariate_normal(rho):
    import pymc as pm

    rows = gappy_rows()
    mean = np.linspace(-1, 1, rows.outcome.size)
    with pm.Model(coords={"row": np.arange(rows.outcome.size)}) as model:
        pm.Normal("unused")
        _ar1_outcome(rows, mean, 0.6, rho)
    expected = multivariate_normal(mean, gappy_covariance(rows, 0.6, rho)).logpdf(rows.outcome)
    found = model.compile_logp(vars=model.observed_RVs)({"unused": 0.0})
    assert abs(found - expected) < 1e-10 * max(1, abs(expected))


@pytest.mark.parametrize("rho", [0.7, -0.4])
def test_simulated_errors_have_the_covariance_of_the_density(rho):
    import pymc as pm

    rows, n = gappy_rows(), 4000
    v = gappy_covariance(rows, 0.6, rho)
    with pm.Model(coords={"row": np.arange(rows.outcome.size)}) as model:
        outcome = _ar1_outcome(rows, np.zeros(rows.outcome.size), 0.6, rho)
    by_model = pm.draw(outcome, n, random_seed=1)
    by_check = simulate_errors(rows, np.full(n, 0.6), np.full(n, rho), np.random.default_rng(2))
    assert model.observed_RVs
    for draws in (by_model, by_check):
        sd = np.sqrt(np.diag(v))
        np.testing.assert_allclose(np.cov(draws.T) / np.outer(sd, sd), v / np.outer(sd, sd), atol=5 * np.sqrt(2 / n))


def test_prior_predictive_sampling_and_coordinates(panel):
    import pymc as pm

    spec = StaggeredDiD("y", covariates=("x",))
    model = spec.build(panel, form="rows")
    prior = pm.sample_prior_predictive(draws=40, model=model, random_seed=3)
    outcome = prior["prior_predictive"]["outcome"].to_numpy()
    assert outcome.shape == (1, 40, panel.n_rows)
    assert np.isfinite(outcome).all()
    cells = spec.collapse(panel).design.cells.size
    assert {k: len(v) for k, v in model.coords.items() if k in ("unit", "row", "cell", "covariate")} == {
        "unit": panel.n_units, "row": panel.n_rows, "cell": cells, "covariate": 1,
    }  # fmt: skip
    assert "North, cohort 2003, e=0" in model.coords["cell"]


def test_the_graph_names_every_latent(panel):
    model = StaggeredDiD("y", covariates=("x",)).build(panel, form="rows")
    assert {"unit_intercept", "period_effect", "coefficient", "cell_effect", "unit_effect_z", "outcome"} <= set(model.named_vars)


def test_row_columns_are_the_dense_columns(panel):
    spec = StaggeredDiD("y", covariates=("x",), unit_trends=True, anticipation=1)
    dense = DensePanel(spec, panel)
    c = dense.collapsed
    rows = row_design(spec.block(panel), c.design, c.unit_columns)
    n = len(c.design.period_columns)
    np.testing.assert_array_equal(rows.fixed[:, n : n + c.design.cells.size], dense.cells)
    np.testing.assert_array_equal(rows.fixed[:, n + c.design.cells.size :], dense.leads)
    for j, z in enumerate(dense.unit_columns):
        np.testing.assert_array_equal(rows.unit_columns[:, 1 + j], z.sum(axis=1))
    t = dense.rows.t.to_numpy()
    later = rows.gap > 0
    np.testing.assert_array_equal(rows.gap[later], (t - np.roll(t, 1))[later])
    assert (~later).sum() == panel.n_units


def test_forms_that_do_not_exist_are_refused(panel):
    with pytest.raises(SpecificationError, match="collapsed"):
        StaggeredDiD("y").build(panel, form="wide")


def test_a_panel_without_timing_is_refused():
    from dataclasses import replace

    with pytest.raises(SpecificationError, match="first_treated"):
        StaggeredDiD("y").fit(replace(panel_of(FRAME), first_treated=None))


@pytest.mark.slow
def test_both_forms_have_the_same_posterior(panel):
    """Every latent sampled against everything integrated out. The row form has wide proper priors: hence 1 % of an sd more."""
    import arviz_stats as az
    import nutpie

    spec = StaggeredDiD("y", covariates=("x",))
    fit = spec.fit(panel, seed=1, draws=2000, tune=1000, target_accept=0.95)
    compiled = nutpie.compile_pymc_model(spec.build(panel, form="rows"), backend="jax", gradient_backend="jax")
    tree = nutpie.sample(compiled, draws=4000, tune=2000, chains=4, seed=2, target_accept=0.99, progress_bar=False)
    rows = tree["posterior"].to_dataset()
    names = [*spec.parameters(fit._collapsed), "cell_effect", "period_effect", "coefficient"]
    for name in names:
        one, two = fit.posterior[name], rows[name]
        a, b = (x.to_numpy().reshape(*x.shape[:2], -1) for x in (one, two))
        for j in range(a.shape[2]):
            error = np.hypot(*(float(az.mcse(np.asarray(x[:, :, j]), method="mean")) for x in (a, b)))
            assert abs(a[:, :, j].mean() - b[:, :, j].mean()) < 4 * error + 0.01 * a[:, :, j].std(), (name, j)
            assert abs(a[:, :, j].std() / b[:, :, j].std() - 1) < 0.1, (name, j)

"""The surrogate of many rows: its derivatives, its maximum, its gate, and the fit that comes of it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

import bayes
from bayes.errors import SpecificationError, SurrogateWarning, UnsupportedModelError
from bayes.frontier import expansion
from bayes.frontier.data import frontier_data
from bayes.frontier.surrogate import FrontierOptions, chosen_method, draw
from bayes.inference.sampling import Samples, prepare_jax
from tests.benchmarks.simulate import production_panel
from tests.frontier.simulate import frontier_panel


def spec_of(**changes):
    chosen = {"output": "y", "inputs": ["x0", "x1"], "technology": "cobb-douglas", "technical_change": "none", "model": "pooled"}
    return bayes.StochasticFrontier(**(chosen | changes))


def small_data(spec):
    """27 rows more or less a region, units of unequal length."""
    full = frontier_panel(units=12, periods=7, regions=3, seed=2).frame
    full["w"] = np.random.default_rng(3).normal(size=len(full))
    keep = np.random.default_rng(4).uniform(size=len(full)) < 0.9
    return frontier_data(spec, bayes.Panel.from_frame(full[keep], "unit", "year", "region"))


FORMS = [
    {"inefficiency": "half-normal", "pooling": ("technology", "efficiency")},
    {"inefficiency": "exponential", "pooling": ("efficiency", "noise"), "determinants": ["z"], "noise_determinants": ["w"]},
    {"inefficiency": "half-normal", "pooling": "none", "kind": "cost", "noise_determinants": ["w", "z"]},
    {"inefficiency": "exponential", "pooling": "complete", "determinants": ["z", "w"]},
]


def by_hand(theta, spec, data):
    """The log likelihood of θ from SciPy's distributions, row by row of the padded arrays."""
    where = expansion.layout(spec, data)
    n_terms, q = len(data.terms), len(spec.determinants)
    own = theta[where.places][data.unit_region]  # (U, d)
    beta, log_v, log_u = own[:, :n_terms], own[:, n_terms, None], own[:, n_terms + 1, None]
    log_u = log_u + np.einsum("uq,qut->ut", own[:, n_terms + 2 : n_terms + 2 + q], data.determinants)
    log_v = log_v + np.einsum("uq,qut->ut", own[:, n_terms + 2 + q :], data.noise_determinants)
    eps = spec.sign * (data.output - np.einsum("uk,kut->ut", beta, data.design))
    sv, su = np.exp(log_v), np.exp(log_u)
    if spec.inefficiency == "half-normal":
        sigma = np.hypot(sv, su)
        rows = np.log(2) + stats.norm.logpdf(eps, scale=sigma) + stats.norm.logcdf(-eps * su / sv / sigma)
    else:
        rows = -np.log(su) + eps / su + 0.5 * (sv / su) ** 2 + stats.norm.logcdf(-eps / sv - sv / su)
    return (rows * data.mask).sum()


def differences(function, at, step):
    """Central differences of fourth order."""
    out = []
    for unit in step * np.eye(at.size):
        near, far = function(at + unit) - function(at - unit), function(at + 2 * unit) - function(at - 2 * unit)
        out.append((8 * near - far) / (12 * step))
    return np.array(out)


def at_random(spec, data, largest=16):
    prepare_jax()
    where, blocks = expansion.layout(spec, data), expansion.blocks_of(data, largest)
    rng = np.random.default_rng(5)
    theta = np.where(where.is_scale, -1.2, 0.3) + 0.2 * rng.normal(size=where.size)
    return theta, (blocks, where, spec.inefficiency, spec.sign)


@pytest.mark.parametrize("form", FORMS)
def test_value_gradient_and_hessian_against_differences_of_scipy(form):
    spec = spec_of(**form)
    data = small_data(spec)
    theta, given = at_random(spec, data)
    found = expansion.expand(theta, *given)
    assert found.value == pytest.approx(by_hand(theta, spec, data), rel=1e-10)
    gradient = differences(lambda t: by_hand(t, spec, data), theta, 1e-3)
    np.testing.assert_allclose(found.gradient, gradient, rtol=1e-6, atol=1e-6 * np.abs(gradient).max())
    hessian = differences(lambda t: differences(lambda s: by_hand(s, spec, data), t, 2e-3), theta, 2e-3)
    np.testing.assert_allclose(-found.information, hessian, rtol=1e-6, atol=1e-6 * np.abs(hessian).max())


@pytest.mark.parametrize("form", FORMS[1:3])
def test_values_at_draws_are_the_value_of_the_expansion(form):
    spec = spec_of(**form)
    theta, given = at_random(spec, small_data(spec))
    draws = theta + 0.1 * np.random.default_rng(6).normal(size=(37, theta.size))
    values = expansion.log_likelihood(draws, *given, cores=2)
    np.testing.assert_allclose(values, [expansion.expand(t, *given).value for t in draws], rtol=1e-12)


def test_the_size_of_blocks_does_not_matter():
    spec = spec_of(**FORMS[1])
    data = small_data(spec)
    theta, small = at_random(spec, data, 8)
    large = at_random(spec, data, 2**14)[1]
    assert sum(b.mask.sum() for b in small[0]) == sum(b.mask.sum() for b in large[0]) == data.n_rows
    np.testing.assert_allclose(expansion.expand(theta, *small).information, expansion.expand(theta, *large).information, rtol=1e-10)


def test_newton_finds_the_maximum_that_maximum_likelihood_finds():
    """Against the independent optimiser of bayes.baselines, one frontier for all rows."""
    spec = spec_of(pooling="complete")
    panel = frontier_panel(units=60, periods=10, regions=3, seed=8)
    data = frontier_data(spec, panel)
    prepare_jax()
    where, blocks = expansion.layout(spec, data), expansion.blocks_of(data)
    first = np.where(where.is_scale, -1.0, 0.0)
    found = expansion.maximum(first, blocks, where, spec.inefficiency, spec.sign)
    assert found.converged
    assert np.abs(found.gradient).max() < 1e-3
    assert found.value == pytest.approx(bayes.baselines.frontier(spec, panel).loglik, abs=1e-6)


def test_residuals_skewed_the_wrong_way_have_no_interior_maximum():
    panel = frontier_panel(units=60, periods=10, regions=1, seed=8)
    spec = spec_of(kind="cost", pooling="complete")
    data = frontier_data(spec, panel)
    prepare_jax()
    where, blocks = expansion.layout(spec, data), expansion.blocks_of(data)
    found = expansion.maximum(np.where(where.is_scale, -1.0, 0.0), blocks, where, spec.inefficiency, spec.sign)
    assert not found.converged


def test_the_method_is_chosen_by_rows_and_form():
    pooled, effects = spec_of(), spec_of(model="true-random-effects")
    assert chosen_method(pooled, 29_999, "auto") == "nuts"
    assert chosen_method(pooled, 30_000, "auto") == "surrogate"
    assert chosen_method(effects, 30_000, "auto") == "nuts"
    assert chosen_method(pooled, 10, "surrogate") == "surrogate"
    assert chosen_method(pooled, 10**6, "nuts") == "nuts"


@pytest.mark.parametrize(
    "form", [{"model": "bc92"}, {"inefficiency": "gamma"}, {"noise": "student-t"}, {"monotonicity": "soft"}], ids=lambda f: next(iter(f))
)
def test_forms_without_a_surrogate_are_refused_by_name(form):
    with pytest.raises(UnsupportedModelError, match=f"{next(iter(form))}="):
        spec_of(**form).fit(frontier_panel(), method="surrogate")


def test_another_word_is_refused():
    with pytest.raises(SpecificationError, match="method='laplace'"):
        spec_of().fit(frontier_panel(), method="laplace")


@pytest.fixture(scope="module")
def surrogate_fit():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return spec_of().fit(production_panel(600, 10, 3), seed=1, draws=250, tune=250, chains=2, method="surrogate")


def test_a_fit_by_surrogate_says_so(surrogate_fit):
    meta, verdict = surrogate_fit.meta, surrogate_fit.diagnose()
    assert meta["method"] == "surrogate"
    assert meta["k_hat"] == verdict.k_hat
    assert verdict.k_hat < meta["k_hat_limit"] <= 0.7
    assert 100 < meta["effective_draws"] <= 500
    if verdict.passed:
        assert "surrogate, importance-corrected, k-hat" in verdict.verdict


def test_a_fit_by_surrogate_is_a_fit(surrogate_fit, tmp_path):
    again = bayes.load_fit(surrogate_fit.save(tmp_path / "fit.nc"))
    assert again.diagnose() == surrogate_fit.diagnose()
    table = surrogate_fit.elasticities("region")
    truth = np.array([1.0, 0.5, 0.4]) + 0.1 * np.random.default_rng(0).normal(size=(3, 3))  # as production_panel draws it
    gap = table.where(term="x0").frame.estimate.to_numpy() - truth[:, 1]
    assert np.abs(gap).max() < 0.02
    assert surrogate_fit.efficiency("region").draws.shape == (3, 500)


def refused(panel, spec, monkeypatch, *answers):
    """What the method hands back, with a sampler that returns ready answers: the record, and the warning."""
    waiting = list(answers)
    monkeypatch.setattr("bayes.inference.sampling.sample", lambda posterior, options: waiting.pop(0))
    with pytest.warns(SurrogateWarning) as caught:
        samples, record = draw(spec, frontier_data(spec, panel), FrontierOptions(draws=50, chains=2, method="surrogate"))
    assert samples == "all rows"
    assert not waiting
    assert record["method"] == "nuts"
    assert f"NUTS samples all {panel.n_rows} rows" in str(caught[0].message)
    return record


def test_without_an_interior_maximum_nuts_takes_over(monkeypatch):
    panel = frontier_panel(units=60, periods=10, regions=1, seed=8)
    record = refused(panel, spec_of(kind="cost", pooling="complete"), monkeypatch, "all rows")
    assert "no interior maximum" in record["surrogate_refused"]
    assert "k_hat" not in record


def test_weights_beyond_the_gate_hand_over_to_nuts(monkeypatch):
    """A surrogate whose draws are far wider than the posterior in some directions and off its centre in others."""
    panel, spec = frontier_panel(units=60, periods=10, regions=1, seed=8), spec_of(pooling="complete")
    rng = np.random.default_rng(1)
    draws = {
        "technology": np.array([1.0, 0.5, 0.4]) + 0.05 * rng.normal(size=(2, 50, 1, 3)),
        "noise_scale": 0.15 * np.exp(0.2 * rng.normal(size=(2, 50, 1))),
        "inefficiency_scale": 0.3 * np.exp(0.2 * rng.normal(size=(2, 50, 1))),
    }
    record = refused(panel, spec, monkeypatch, Samples(draws, {}, 0.0, 0.0), "all rows")
    assert "k-hat" in record["surrogate_refused"]
    assert record["surrogate"]["k_hat"] > record["surrogate"]["k_hat_limit"]
    assert "k_hat" not in record


@pytest.mark.slow
@pytest.mark.parametrize("inefficiency", ["half-normal", "exponential"])
def test_the_surrogate_agrees_with_nuts(inefficiency):
    """Means within four Monte-Carlo standard errors, standard deviations within 10 %, of everything sampled; 6,000 rows."""
    import arviz_stats as az

    spec, panel = spec_of(inefficiency=inefficiency), production_panel(600, 10, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by = {method: spec.fit(panel, seed=2, method=method) for method in ("nuts", "surrogate")}
    tables = {
        method: az.summary(fit.posterior[["technology", "noise_scale", "inefficiency_scale"]], round_to="none")
        for method, fit in by.items()
    }
    error = np.hypot(tables["nuts"]["mcse_mean"], tables["surrogate"]["mcse_mean"])
    assert ((tables["nuts"]["mean"] - tables["surrogate"]["mean"]).abs() / error).max() < 4
    assert (tables["surrogate"]["sd"] / tables["nuts"]["sd"] - 1).abs().max() < 0.1

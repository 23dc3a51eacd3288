"""The sampled form against its parts: densities of the priors, the likelihood, and the Jacobian of its coordinates."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

import bayes
from bayes.errors import SpecificationError
from bayes.frontier import likelihood
from bayes.frontier.data import frontier_data
from bayes.frontier.marginal import marginal_model
from bayes.frontier.scalars import scaling
from bayes.frontier.support import INEFFICIENCIES, MODELS, determinants_of
from tests.frontier.simulate import frontier_panel

PANEL = frontier_panel(units=9, periods=4, regions=3, model="true-random-effects")


def spec_of(**changes):
    chosen = {"output": "y", "inputs": ["x0", "x1"], "technology": "cobb-douglas", "technical_change": "none", "model": "pooled"}
    return bayes.StochasticFrontier(**(chosen | changes))


def data_of(spec):
    return frontier_data(spec, PANEL)  # without the checks: three units a region are too few for some models, not for their densities


def log_density_and_values(spec):
    """The sampled log density, and the model's variables, as functions of the unconstrained vector."""
    import jax
    from pymc.sampling.jax import get_jaxified_graph

    from bayes.inference.sampling import prepare_jax

    prepare_jax()
    model = marginal_model(spec, data_of(spec))
    point = [np.asarray(v, dtype=float) for v in model.initial_point(random_seed=0).values()]
    bounds = np.cumsum([0, *[v.size for v in point]])
    names = [v.name for v in [*model.free_RVs, *model.deterministics]]
    outputs = model.replace_rvs_by_values([*model.free_RVs, *model.deterministics])
    graph = get_jaxified_graph(inputs=model.value_vars, outputs=[model.logp(), *outputs])

    def both(x):
        parts = [x[bounds[i] : bounds[i + 1]].reshape(v.shape) for i, v in enumerate(point)]
        first, *rest = graph(*parts)
        return first, dict(zip(names, rest, strict=True))

    return jax.jit(both), bounds[-1]


COMBINATIONS = [
    (model, inefficiency, place) for model in MODELS for inefficiency in INEFFICIENCIES for place in determinants_of(model, inefficiency)
]
QUICK = [
    ("pooled", "truncated-normal", "mean"),
    ("pooled", "gamma", "scale"),
    ("bc92", "half-normal", "scaling"),
    ("kumbhakar-1990", "exponential", "scaling"),
    ("four-component", "rayleigh", "scaling"),
]


@pytest.mark.parametrize(("model", "inefficiency", "place"), QUICK)
def test_density_and_gradient_are_finite_at_the_start(model, inefficiency, place):
    check_start(model, inefficiency, place)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "inefficiency", "place"), COMBINATIONS)
def test_density_and_gradient_are_finite_everywhere_in_the_support_table(model, inefficiency, place):
    check_start(model, inefficiency, place)


def check_start(model, inefficiency, place):
    import jax

    parts = ("technology", "efficiency", "noise")
    spec = spec_of(
        model=model, inefficiency=inefficiency, determinants=["z"], noise_determinants=["z"], determinants_in=place, pooling=parts
    )
    both, size = log_density_and_values(spec)
    for x in (np.zeros(size), np.random.default_rng(1).uniform(-1, 1, size)):
        value, gradient = jax.value_and_grad(lambda x: both(x)[0])(x)
        assert np.isfinite(value)
        assert np.isfinite(np.asarray(gradient)).all()


@pytest.mark.parametrize(
    ("pooling", "kind"),
    [(("technology", "efficiency", "noise"), "production"), (("efficiency",), "cost"), ("none", "production"), ("complete", "production")],
)
def test_the_sampled_density_is_priors_times_likelihood_times_jacobian(pooling, kind):
    """An independent sum of prior densities and of the likelihood differs from the model's log density by a constant, at any point."""
    import jax

    spec = spec_of(model="true-random-effects", pooling=pooling, kind=kind)
    data, scales = data_of(spec), scaling(spec, data_of(spec))
    both, size = log_density_and_values(spec)

    def natural(x):
        """The quantities that carry the priors, and as many of them as coordinates."""
        v = both(x)[1]
        logs = ["noise_scale_mean", "inefficiency_scale_mean", "noise_spread", "inefficiency_spread", "relative_spread", "unit_effect_sd"]
        logs += ["noise_scale", "inefficiency_scale"] if pooling == "none" else []
        parts = [jax.numpy.log(v[n]).ravel() for n in logs if n in v]
        for part in ("noise", "inefficiency"):
            if f"{part}_spread" in v:
                parts.append((jax.numpy.log(v[f"{part}_scale"]) - jax.numpy.log(v[f"{part}_scale_mean"])) / v[f"{part}_spread"])
        if "technology_mean" in v:
            parts.append(v["technology_mean"])
        if "technology_spread" in v:
            parts.append(((v["technology"] - v["technology_mean"]) / v["technology_spread"]).ravel())
        elif pooling == "none":
            parts.append(v["technology"].ravel())
        parts.append(v["unit_effect"])
        return jax.numpy.concatenate(parts)

    difference = []
    for seed in range(3):
        x = np.random.default_rng(seed).uniform(-0.7, 0.7, size)
        value, v = both(x)
        jacobian = jax.jacfwd(natural)(x)
        assert jacobian.shape == (size, size)
        expected = log_prior(v, scales, pooling) + np.linalg.slogdet(np.asarray(jacobian))[1]
        p = {n: np.asarray(v[n]) for n in ("technology", "noise_scale", "inefficiency_scale", "unit_effect")}
        difference.append(float(value) - expected - likelihood.log_likelihood_of_units(p, spec, data).sum())
    np.testing.assert_allclose(difference, difference[0], rtol=0, atol=1e-8)


def log_prior(v, scales, pooling):
    """Log prior density of the quantities of ``natural`` by SciPy, logs carrying their own Jacobian."""
    v = {n: np.asarray(a) for n, a in v.items()}
    priors, total = scales.priors, 0.0
    for name in ("noise_scale", "inefficiency_scale", "unit_effect_sd"):
        p = priors[name].parameters
        values = v[name] if pooling == "none" or name == "unit_effect_sd" else v[f"{name}_mean"]
        total += stats.norm.logpdf(np.log(values), np.log(p["median"]), p["sigma"]).sum()
    for part in ("noise", "inefficiency"):
        if f"{part}_spread" in v:
            spread = v[f"{part}_spread"]
            total += stats.halfnorm.logpdf(spread, scale=priors[f"{part}_spread"].parameters["sigma"]) + np.log(spread)
            total += stats.norm.logpdf(np.log(v[f"{part}_scale"] / v[f"{part}_scale_mean"]) / spread).sum()
    mean = v.get("technology_mean", v["technology"])
    total += stats.norm.logpdf(mean, scales.technology_mean, scales.technology_sd).sum()
    if "technology_spread" in v:
        relative = v["relative_spread"]
        total += (stats.halfnorm.logpdf(relative, scale=0.25) + np.log(relative)).sum()
        total += stats.norm.logpdf((v["technology"] - v["technology_mean"]) / v["technology_spread"]).sum()
    return total + stats.norm.logpdf(v["unit_effect"], 0, v["unit_effect_sd"]).sum()


def test_the_latent_form_predicts_the_output_before_the_data():
    import pymc as pm

    spec = spec_of(model="four-component")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = spec.build(PANEL, form="latent")
    with model:
        drawn = pm.sample_prior_predictive(draws=20, random_seed=1)
    assert drawn["prior_predictive"]["output"].shape == (1, 20, PANEL.n_rows)


def test_soft_monotonicity_is_a_wall_below_zero():
    """Nothing is taken from elasticities well above zero; a negative one costs its squared distance in units of the tolerance."""
    spec = spec_of(monotonicity="soft", technology="translog")
    data = data_of(spec)
    technology = np.zeros((3, len(data.terms)))
    technology[:, 1:3] = 0.4
    assert likelihood.soft_monotonicity(technology, spec, data) == pytest.approx(0, abs=1e-12)
    technology[0, 1] = -0.1  # of region 0, whose three units are then ten tolerances below
    expected = 3 * stats.norm.logcdf(-10)
    assert likelihood.soft_monotonicity(technology, spec, data) == pytest.approx(expected, rel=1e-10)
    free = spec_of(technology="translog")
    with_wall, without = (log_density_and_values(s)[0] for s in (spec, free))
    x = np.random.default_rng(3).uniform(-1, 1, log_density_and_values(free)[1])
    (a, values), (b, _) = with_wall(x), without(x)
    wall = likelihood.soft_monotonicity(np.asarray(values["technology"]), spec, data)
    assert float(a - b) == pytest.approx(wall, rel=1e-9, abs=1e-9)


def test_an_unknown_form_is_refused():
    with pytest.raises(SpecificationError, match="marginal"):
        spec_of().build(PANEL, form="rows")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["pooled", "true-random-effects", "time-invariant"])
def test_the_marginal_form_agrees_with_every_inefficiency_sampled(model):
    """Means of all structural parameters within four Monte-Carlo standard errors of the textbook form, sampled by PyMC's own NUTS."""
    from arviz_stats.base import array_stats

    from bayes.frontier.latent import latent_model
    from bayes.inference.sampling import SamplerOptions, sample

    spec = spec_of(inputs=["x0"], model=model, technical_change="neutral")
    data = spec.data(frontier_panel(12, 6, 2, model, sigma_u=0.5, sigma_v=0.2))
    ours = sample(marginal_model(spec, data), SamplerOptions("nutpie", 2000, 500, 4, 0.95, 1)).draws
    textbook = sample(latent_model(spec, data), SamplerOptions("pymc", 4000, 1500, 2, 0.97, 1)).draws

    def mean_and_error(draws, name):
        flat = draws[name].reshape(*draws[name].shape[:2], -1)
        return flat.mean(axis=(0, 1)), array_stats.mcse(flat, method="mean", chain_axis=0, draw_axis=1)

    names = ["technology", "technology_mean", "technology_spread", "inefficiency_scale", "noise_scale"]
    for name in [*names, *(["unit_effect_sd"] if model == "true-random-effects" else [])]:
        (a, error_a), (b, error_b) = mean_and_error(ours, name), mean_and_error(textbook, name)
        assert (np.abs(a - b) < 4 * np.hypot(error_a, error_b)).all(), (name, a, b, error_a, error_b)

"""u given ε against brute force: densities written out and integrated numerically, draws in Monte-Carlo standard errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, special, stats

from bayes.errors import SpecificationError
from bayes.frontier import inefficiency as ie
from bayes.frontier import quadrature
from bayes.frontier.densities import TruncatedNormal
from bayes.frontier.likelihood import residuals
from bayes.frontier.support import SHARED, WITH_UNIT_EFFECTS
from tests.frontier.posteriors import data_of, every_specification, made_up_draws, name_of, spec_of

ALL = every_specification() + every_specification(kind="cost")
EXTREMES = [-1e4, -1e3, -40.0, -9.0, -5.01, -4.99, -2.0, -0.3, 0.0, 0.5, 3.0, 8.0, 20.0, 40.0]


def log_prior(u, scale, mu, shape, inefficiency):
    match inefficiency:
        case "half-normal":
            return stats.halfnorm.logpdf(u, scale=scale)
        case "exponential":
            return stats.expon.logpdf(u, scale=scale)
        case "rayleigh":
            return stats.rayleigh.logpdf(u, scale=scale)
        case "gamma":
            return stats.gamma.logpdf(u, shape, scale=scale)
        case _:
            return stats.norm.logpdf(u, mu, scale) - stats.norm.logcdf(mu / scale)


def moments(log_density, grid):
    """E[exp(−u)] and E[u] of a density on a grid that is fine where it matters, by Simpson's rule."""
    log_weight = log_density(grid)
    weight = np.exp(log_weight - log_weight.max())
    total = integrate.simpson(weight, x=grid)
    return integrate.simpson(weight * np.exp(-grid), x=grid) / total, integrate.simpson(weight * grid, x=grid) / total


def brute_force(p, spec, data, draw, unit, row):
    """E[exp(−u_it) | ε] and E[u_it | ε] of one row, from prior × likelihood with everything written out here."""
    s, r = spec.sign, data.unit_region[unit]
    index = (p["determinant"][draw] @ data.determinants[:, unit]) * np.ones(data.output.shape[1]) if spec.determinants else np.zeros(5)
    base, noise = p["inefficiency_scale"][draw, r], p["noise_scale"][draw, r]
    ratio = p["location_ratio"][draw]
    shared, n = spec.model in SHARED, int(data.mask[unit].sum())
    eps = data.output[unit] - p["technology"][draw, r] @ data.design[:, unit]
    if spec.model in WITH_UNIT_EFFECTS:
        eps = eps - p["unit_effect"][draw, unit]
    time = data.period[unit].astype(float)
    h = np.ones_like(time)
    if spec.model == "bc92":
        h = np.exp(-p["decay"][draw] * (time - time[:n].max()))
    elif spec.model == "kumbhakar-1990":
        t = time - 2000
        h = 1 / (1 + np.exp(p["path"][draw, 0] * t + p["path"][draw, 1] * t**2))
    scaled = spec.determinants_in == "scaling"
    h = h * np.exp(index) if shared or scaled else h
    scale = base * np.exp(index[row]) if spec.determinants_in == "scale" else base
    mu = base * (ratio + (index[row] if spec.determinants_in == "mean" else 0.0))
    rows = np.arange(n) if shared else np.array([row])

    def log_density(u):
        residual = (eps[rows] + s * h[rows] * u[:, None]) / noise
        log_noise = stats.t.logpdf(residual, p["degrees_of_freedom"][draw]) if spec.noise == "student-t" else stats.norm.logpdf(residual)
        return log_prior(u, scale, mu, p["shape"][draw], spec.inefficiency) + log_noise.sum(axis=1)

    grid = np.linspace(0, 1, 8001)[1:] ** 3 * 8  # cubed: a gamma of shape 1.4 has an infinite slope at zero
    weight = np.exp(log_density(grid) - log_density(grid).max())
    total = integrate.simpson(weight, x=grid)
    efficiency = integrate.simpson(weight * np.exp(-h[row] * grid), x=grid) / total
    return efficiency, h[row] * integrate.simpson(weight * grid, x=grid) / total


@pytest.mark.parametrize("spec", ALL, ids=name_of)
def test_moments_given_residuals_are_those_of_prior_times_likelihood(spec):
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data, 2)
    component = "transient" if spec.model == "four-component" else "overall"
    efficiency = np.exp(ie.log_mean_efficiency(p, spec, data, component))
    expected = ie.mean_inefficiency(p, spec, data, component)
    assert efficiency.shape == expected.shape == (2, *data.output.shape)
    for draw, unit, row in ((0, 0, 4), (1, 1, 1), (1, 2, 0)):
        known = brute_force(p, spec, data, draw, unit, row)
        assert (efficiency[draw, unit, row], expected[draw, unit, row]) == pytest.approx(known, rel=2e-8)


@pytest.mark.parametrize("kind", ["production", "cost"])
def test_components_of_the_four_component_model(kind):
    spec = spec_of(model="four-component", kind=kind)
    data = data_of(spec)
    p = made_up_draws(spec, data, 2)
    grid = np.linspace(0, 3, 60_001)
    for draw, unit in ((0, 0), (1, 5)):
        a, w, h = p["unit_effect"][draw, unit], p["unit_effect_sd"][draw], p["persistent_scale"][draw]
        known = moments(lambda u, a=a, w=w, h=h: stats.halfnorm.logpdf(u, scale=h) + stats.norm.logpdf(a + spec.sign * u, scale=w), grid)
        assert np.exp(ie.log_mean_efficiency(p, spec, data, "persistent"))[draw, unit] == pytest.approx(np.full(5, known[0]), rel=1e-9)
        assert ie.mean_inefficiency(p, spec, data, "persistent")[draw, unit] == pytest.approx(np.full(5, known[1]), rel=1e-9)
    for moment in (ie.log_mean_efficiency, ie.mean_inefficiency):
        overall, persistent, transient = (moment(p, spec, data, c) for c in ie.COMPONENTS)
        np.testing.assert_allclose(overall, persistent + transient, rtol=1e-14)
    overall, persistent, transient = (ie.inefficiency_draws(p, spec, data, 3, c) for c in ie.COMPONENTS)
    np.testing.assert_allclose(overall, persistent + transient, rtol=1e-14)
    assert np.ptp(persistent.reshape(2, 9, 5), axis=2).max() == 0, "one persistent draw a unit"


@pytest.mark.parametrize("spec", ALL[: len(ALL) // 2], ids=name_of)
def test_draws_have_the_moments_of_their_distribution(spec):
    """Many copies of one parameter draw: means of u and of exp(−u) lie within 4.5 Monte-Carlo standard errors (200 comparisons)."""
    spec = spec if spec.model != "four-component" else spec_of(model="four-component", inefficiency=spec.inefficiency)
    data = data_of(spec, gaps=True)
    one = made_up_draws(spec, data, 1)
    n = 400 if spec.noise == "student-t" else 1500
    many = {name: np.repeat(v, n, axis=0) for name, v in one.items()}
    u = ie.inefficiency_draws(many, spec, data, seed=11)
    assert u.shape == (n, data.n_rows)
    assert (u > 0).all()
    assert np.isfinite(u).all()
    for values, known in ((u, ie.mean_inefficiency(one, spec, data)), (np.exp(-u), np.exp(ie.log_mean_efficiency(one, spec, data)))):
        error = (values.mean(axis=0) - data.in_rows(known)[0]) / (values.std(axis=0) / np.sqrt(n))
        assert np.abs(error).max() < 4.5


def exact_moments(z, power, h):
    """E[t], E[exp(−ht)] of density ∝ t^power φ(t − z), by Gauss–Legendre in 200 panels where the density is not negligible."""
    low, high = (max(z - 14, 0.0), z + 14) if z > 0 else (0.0, min(14.0, 60 / max(-z, 1e-9)))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    t = (low + (high - low) / 200 * (np.arange(200)[:, None] + 0.5 * (nodes + 1))).ravel()
    mass = np.tile(weights, 200) * t**power * np.exp(-0.5 * (t - z) ** 2 if z > 0 else z * t - 0.5 * t**2)
    return mass @ t / mass.sum(), mass @ np.exp(-h * t) / mass.sum()


@pytest.mark.parametrize("z", EXTREMES)
@pytest.mark.parametrize("power", [0, 1, 2.5])
def test_moments_are_right_for_locations_far_on_either_side(z, power):
    """Half-normal and relatives (power 0), Rayleigh (1), a gamma (2.5, by quadrature)."""
    family = {0: TruncatedNormal, 1: ie.WeightedNormal}.get(power, lambda *a: ie.WeightedNormal(*a, power + 1))
    given = family(np.array([2.0 * z]), np.array([2.0]))
    known = exact_moments(z, power, 0.7)
    tolerance = 1e-11 if power < 2 else 1e-10
    assert (ie.mean(given)[0] / 2, np.exp(ie.log_mean_exponential(given, 0.35))[0]) == pytest.approx(known, rel=tolerance)
    assert ie.mean(family(np.float64(2 * z), np.float64(2.0))) == pytest.approx(ie.mean(given)[0], rel=1e-15)


@pytest.mark.parametrize("z", EXTREMES)
@pytest.mark.parametrize("family", [TruncatedNormal, ie.WeightedNormal])
def test_draws_are_positive_finite_and_distributed_as_they_should(z, family):
    rng, n = np.random.default_rng(1), 20_000
    t = ie.draw(family(np.full((n,), z), np.ones(n)), rng)
    assert (t > 0).all()
    assert np.isfinite(t).all()
    if family is TruncatedNormal:
        log_survival = special.log_ndtr(z - t) - special.log_ndtr(z) if z > -100 else z * t - 0.5 * t**2 - np.log1p(-t / z)
    else:  # survival = Φ(z − t)(t + E[excess over t])/(E[t]Φ(z)), and far below zero a gamma of shape two
        excess = ie.mean(TruncatedNormal(z - t, np.ones(n)))
        start = ie.mean(TruncatedNormal(np.array([z]), np.ones(1)))
        log_survival = (
            special.log_ndtr(z - t) - special.log_ndtr(z) + np.log((t + excess) / start) if z > -100 else np.log1p(-z * t) + z * t
        )
    assert stats.kstest(np.exp(log_survival), "uniform").pvalue > 1e-4


@pytest.mark.parametrize("power", [0.05, 0.6, 0.99, 1.0, 1.4, 7.0])
@pytest.mark.parametrize("z", [-1e4, -30.0, -2.0, 0.0, 1.9, 2.1, 6.0, 40.0])
def test_draws_of_a_gamma_are_kept_with_a_probability_and_have_the_quantiles_of_their_density(power, z):
    """Against quantiles found by inverting the distribution function numerically, an independent code."""
    rng, n = np.random.default_rng(3), 40_000
    t, log_keep = ie._proposals(np.full(n, z), np.full(n, power), rng)
    assert (t > 0).all()
    assert log_keep.max() < 1e-9
    assert np.exp(log_keep).mean() > (0.65 if power >= 1 else 0.14)
    one = ie.WeightedNormal(np.array([0.3 * z]), np.array([0.3]), np.array([power]))
    u = ie.draw(ie.WeightedNormal(*(np.repeat(part, n) for part in one)), rng)
    assert (u > 0).all()
    assert np.isfinite(u).all()
    for values, mean in ((u, ie.mean(one)[0]), (np.exp(-u), np.exp(ie.log_mean_exponential(one, 1.0)[0]))):
        assert abs(values.mean() - mean) < 4.5 * values.std() / np.sqrt(n)
    known = quadrature.draw_power_normal((np.arange(1000) + 0.5) / 1000, 0.3 * z, 0.3, power)
    assert stats.ks_2samp(u, known).pvalue > 1e-4


def test_a_truncated_draw_is_the_exact_quantile_at_any_location():
    """The tail solved by Newton joins the inversion in logs, and the first and last quantiles that a generator can give stay inside."""
    e = np.array([1e-300, 1e-17, 1e-9, 1e-3, 0.5, 3.0, 37.0])
    for z in EXTREMES:
        t = ie._draw_truncated(np.full(e.size, z), e)
        assert (t > 0).all()
        assert np.isfinite(t).all()
        assert (np.diff(t) >= 0).all()
    z = np.array([-9.99, -10.01])[:, None]
    near = 2 * e / (np.sqrt(z**2 + 2 * e) - z)  # leading order, the same function on either side of the join
    ratio = ie._draw_truncated(np.broadcast_to(z, (2, e.size)), np.broadcast_to(e, (2, e.size))) / near
    np.testing.assert_allclose(ratio[0, 3:], ratio[1, 3:], rtol=1e-3)
    far = ie._draw_truncated(np.full(e.size, -1e4), e)
    np.testing.assert_allclose(far[2:], e[2:] / 1e4, rtol=1e-6)


def test_the_same_seed_gives_the_same_draws_whatever_the_chunks(monkeypatch):
    spec = spec_of()
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data, 20)
    whole = ie.inefficiency_draws(p, spec, data, seed=4)
    np.testing.assert_array_equal(ie.inefficiency_draws(p, spec, data, seed=4), whole)
    monkeypatch.setattr("bayes.frontier.aggregation.CHUNK", 7 * data.output.size)
    np.testing.assert_array_equal(ie.inefficiency_draws(p, spec, data, seed=4), whole)
    assert np.abs(ie.inefficiency_draws(p, spec, data, seed=5) - whole).max() > 0


@pytest.mark.parametrize("spec", every_specification(), ids=name_of)
def test_expected_inefficiency_and_its_slope(spec):
    """E[u] against quadrature of the prior; ∂E[u]/∂(z'δ) against a numerical derivative in z'δ."""
    data = data_of(spec)
    p = made_up_draws(spec, data, 2)
    expected = ie.expected_inefficiency(p, spec, data)
    if not spec.determinants and spec.model == "pooled":
        grid = np.linspace(0, 1, 40_001)[1:] ** 3 * 12
        r = data.unit_region[3]
        scale = p["inefficiency_scale"][1, r]
        prior = lambda u: log_prior(u, scale, p["location_ratio"][1] * scale, p["shape"][1], spec.inefficiency)  # noqa: E731
        assert expected[1, 3, 2] == pytest.approx(moments(prior, grid)[1], rel=1e-7)
    if spec.determinants:
        constant = p | {"determinant": np.concatenate([p["determinant"], np.zeros((2, 1))], axis=1)}
        with_one = replace(data, determinants=np.concatenate([data.determinants, np.ones((1, *data.mask.shape))]))

        def shifted(by):
            moved = constant["determinant"].copy()
            moved[:, -1] = by
            return ie.expected_inefficiency(constant | {"determinant": moved}, spec, with_one)

        numerical = (shifted(1e-5) - shifted(-1e-5)) / 2e-5
        np.testing.assert_allclose(ie.slope_of_expected_inefficiency(p, spec, data), numerical, rtol=2e-8)


def test_slopes_of_a_truncated_normal_hold_where_its_mean_is_far_below_zero():
    """μ/σ_u → −∞: u tends to an exponential of mean σ_u²/|μ|, so the slope in ln σ_u is 2E[u] and in μ (times σ_u) σ_u³/μ²."""
    for place, known in (("scale", 2e-4), ("mean", 1e-8)):
        spec = spec_of(inefficiency="truncated-normal", determinants=["z"], determinants_in=place)
        data = data_of(spec)
        p = made_up_draws(spec, data, 1) | {"inefficiency_scale": np.ones((1, 3)), "location_ratio": np.array([-1e4])}
        slope = ie.slope_of_expected_inefficiency(p | {"determinant": np.zeros((1, 1))}, spec, data)
        np.testing.assert_allclose(slope, known, rtol=1e-7)


def test_what_does_not_exist_is_refused():
    spec = spec_of(noise="student-t")
    data = data_of(spec)
    p = made_up_draws(spec, data)
    with pytest.raises(SpecificationError, match="no closed form"):
        ie.posterior_of_inefficiency(p, spec, data)
    with pytest.raises(SpecificationError, match="four-component"):
        ie.mean_inefficiency(p, spec, data, "persistent")
    with pytest.raises(SpecificationError, match="does not exist"):
        ie.draw_inefficiency(p, spec, data, np.random.default_rng(0), "both")
    with pytest.raises(SpecificationError, match="draws, regions, terms"):
        ie.inefficiency_draws(p | {"technology": p["technology"][0]}, spec, data)


def test_residuals_of_padded_rows_do_not_reach_shared_inefficiency():
    spec = spec_of(model="bc92")
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data)
    given = ie.posterior_of_inefficiency(p, spec, data)
    assert given.location.shape == (3, data.n_units)
    changed = replace(data, output=data.output + 50 * (1 - data.mask))
    assert np.abs(residuals(p["technology"], changed) - residuals(p["technology"], data)).max() > 10
    np.testing.assert_array_equal(ie.posterior_of_inefficiency(p, spec, changed).location, given.location)

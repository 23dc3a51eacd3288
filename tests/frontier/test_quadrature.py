"""Gamma inefficiency and Student-t noise against adaptive quadrature: densities, derivatives, moments and quantiles of u given ε."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import special, stats

from bayes.errors import SpecificationError
from bayes.frontier import densities, quadrature
from bayes.frontier.algebra import NUMPY, jax_algebra, pytensor_algebra
from tests.frontier.brute_force import STUDENT, Unit, assert_scores, in_jax, log_integral, support

EPS, RATIOS = (-30.0, -11.0, -2.0, 0.0, 1.5, 30.0), (0.05, 0.4, 2.0, 20.0)
SHAPES, DEGREES = (0.3, 0.9, 2.5, 20.0), (2.1, 4.0, 30.0, 200.0)
SIGMA_V = 0.005
INEFFICIENCIES = ("half-normal", "exponential")


def cases(parameters):
    """Rows (ε, σ_v, σ_u, parameter) over the whole range: ε/σ_v, σ_u/σ_v, shape or degrees of freedom."""
    return np.array([(e * SIGMA_V, SIGMA_V, r * SIGMA_V, p) for e, r, p in product(EPS, RATIOS, parameters)]).T


def gamma_units(s, every=1):
    return [Unit(np.array([s * e]), s, (v,), "gamma", (u, k)) for e, v, u, k in cases(SHAPES).T[::every]]


def student_units(s, inefficiency, every=1):
    return [Unit(np.array([s * e]), s, (v, nu), inefficiency, (u,), noise=STUDENT) for e, v, u, nu in cases(DEGREES).T[::every]]


def assert_log_densities(found, expected):
    """To 1e-9, of the log density where that is large."""
    np.testing.assert_array_less(np.abs(found - expected), 1e-9 * np.maximum(1, np.abs(expected)))


# ── densities ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("s", "every"), [(1, 1), (-1, 5)], ids=["production", "cost"])
def test_gamma_is_its_integral(s, every):
    eps, v, u, k = cases(SHAPES)[:, ::every]
    assert_log_densities(quadrature.gamma(s * eps, s, v, u, k), [unit.log_density() for unit in gamma_units(s, every)])


@pytest.mark.parametrize(("s", "every"), [(1, 1), (-1, 5)], ids=["production", "cost"])
@pytest.mark.parametrize("inefficiency", INEFFICIENCIES)
def test_student_t_is_its_integral(inefficiency, s, every):
    eps, v, u, nu = cases(DEGREES)[:, ::every]
    found = quadrature.student_t(s * eps, s, v, u, nu, inefficiency)
    assert_log_densities(found, [unit.log_density() for unit in student_units(s, inefficiency, every)])


def test_gamma_nests_the_exponential():
    eps, v, u, _ = cases((1.0,))
    expected = densities.exponential(eps, 1, v, u)
    np.testing.assert_allclose(quadrature.gamma(eps, 1, v, u, 1.0), expected, rtol=1e-13, atol=3e-12)


def test_student_t_tends_to_normal_noise():
    eps, v, u, _ = cases((1.0,))
    eps, closed = eps / 10, {"half-normal": densities.half_normal, "exponential": densities.exponential}
    for inefficiency, f in closed.items():
        distance = [np.abs(quadrature.student_t(eps, 1, v, u, nu, inefficiency) - f(eps, 1, v, u)).max() for nu in (1e4, 1e6)]
        assert distance[0] < 5e-3
        assert distance[1] == pytest.approx(distance[0] / 100, rel=0.05)


def test_gamma_beyond_its_range():
    """k near zero, k large, and residuals a thousand standard deviations out keep their digits."""
    power = [(z, k) for z in (-1e3, -40.0, -1.0, 0.0, 2.99, 3.01, 12.0, 40.0, 1e3) for k in (0.1, 0.3, 3.0, 1e3)]
    expected = [log_integral(lambda t, z=z, k=k: (k - 1) * np.log(t) + z * t - 0.5 * t * t, pieces=20) for z, k in power]
    assert_log_densities(quadrature.log_power_normal(*np.array(power).T), np.array(expected))
    z, k = np.array([0.5, 2.0, 5.0]), np.array([0.7, 3.0, 1.5])
    parabolic_cylinder = special.gammaln(k) + z**2 / 4 + np.log(special.pbdv(-k, z)[0])
    np.testing.assert_allclose(quadrature.log_power_normal(-z, k), parabolic_cylinder, atol=1e-10)


def test_student_t_of_outliers_stays_finite_and_close():
    """A hundred and ten thousand standard deviations out: 1e-4 and one digit, enough for a sampler that has lost its way."""
    for e, tolerance in ((100.0, 1e-4), (-100.0, 1e-4), (1e4, 1.0), (-1e4, 1.0)):
        for nu in (2.1, 200.0):
            expected = Unit(np.array([e]), 1, (1.0, nu), "half-normal", (0.3,), noise=STUDENT).log_density()
            assert quadrature.student_t(e, 1, 1.0, 0.3, nu) == pytest.approx(expected, abs=tolerance)


def test_only_half_normal_and_exponential_go_with_student_t():
    with pytest.raises(SpecificationError, match="'rayleigh' does not exist"):
        quadrature.student_t(0.1, 1, 0.2, 0.3, 5.0, "rayleigh")
    with pytest.raises(SpecificationError, match="'gamma' does not exist"):
        quadrature.draw_given_residual(0.5, 0.1, 1, 0.2, 0.3, degrees=5.0, inefficiency="gamma")
    for options in ({}, {"shape": 2.0, "degrees": 5.0}):
        with pytest.raises(SpecificationError, match="Give either shape"):
            quadrature.moments_given_residual(0.1, 1, 0.2, 0.3, **options)


# ── derivatives and kinds of arrays ─────────────────────────────────────────────────────────────────────────────────


def everything(gamma_rows, student_rows, xp=NUMPY):
    e, v, u, k = gamma_rows
    out = [quadrature.gamma(e, 1, v, u, k, xp)]
    e, v, u, nu = student_rows
    return [*out, *(quadrature.student_t(e, 1, v, u, nu, name, xp) for name in INEFFICIENCIES)]


@pytest.fixture(scope="module")
def compiled():
    """Values of the three densities over their ranges and their derivatives in all arguments, as two lists of three."""
    xp = jax_algebra()
    functions = [
        lambda e, *a: quadrature.gamma(e, 1, *a, xp),
        *(lambda e, *a, name=name: quadrature.student_t(e, 1, *a, name, xp) for name in INEFFICIENCIES),
    ]
    return list(zip(*(in_jax(f, tuple(a)) for f, a in zip(functions, map(cases, (SHAPES, DEGREES, DEGREES)), strict=True)), strict=True))


def test_gamma_derivatives(compiled):
    for unit, (e, v, u, k) in zip(gamma_units(1), np.array(compiled[1][0]).T, strict=True):
        assert_scores(np.array([e, v, unit.score()[0][2], u, k]), unit, floor=1e-11)


def test_student_t_derivatives(compiled):
    for inefficiency, slopes in zip(INEFFICIENCIES, compiled[1][1:], strict=True):
        for unit, (e, v, u, nu) in list(zip(student_units(1, inefficiency), np.array(slopes).T, strict=True))[::3]:
            # In ν, terms of order one cancel where noise is nearly normal: rounding leaves some 1e-15.
            assert_scores(np.array([e, v, nu, unit.score()[0][3], u]), unit, floor=1e-11, least=[0, 0, 1e-14, 0, 0])


def test_three_kinds_of_arrays_agree(compiled):
    """The same formula in NumPy, PyTensor and JAX to 1e-12, derivatives of PyTensor and JAX to 1e-10."""
    import pytensor
    import pytensor.tensor as pt

    rows = (cases(SHAPES), cases(DEGREES))
    symbols = [[pt.dvector() for _ in range(4)] for _ in rows]
    values = everything(*symbols, pytensor_algebra())
    slopes = [slope for i, v in enumerate(values) for slope in pytensor.grad(v.sum(), symbols[min(i, 1)])]
    plain = pytensor.compile.mode.Mode("py", None)  # no rewriting: the Python of PyTensor cannot run what that fuses
    found = pytensor.function([*symbols[0], *symbols[1]], [*values, *slopes], mode=plain)(*rows[0], *rows[1])
    for numpy, jax, tensor in zip(everything(*rows), compiled[0], found[:3], strict=True):
        scale = 1e-12 * np.maximum(1, np.abs(numpy))
        assert np.all(np.abs(jax - numpy) <= scale)
        assert np.all(np.abs(tensor - numpy) <= scale)
    for jax, tensor in zip([row for slopes in compiled[1] for row in slopes], found[3:], strict=True):
        np.testing.assert_allclose(tensor, jax, rtol=1e-10, atol=1e-10 * np.median(np.abs(jax)))


def test_arguments_broadcast_like_panels_and_draws():
    """ε (U, T), scales (draws, U, 1), shape (draws, 1, 1)."""
    rng = np.random.default_rng(3)
    eps, v, u, k = rng.normal(0, 0.4, (5, 3)), rng.uniform(0.1, 0.3, (2, 5, 1)), rng.uniform(0.1, 0.5, (2, 5, 1)), np.array([0.7, 3.0])
    full = np.broadcast_arrays(eps, v, u, k[:, None, None])
    for f in (quadrature.gamma, quadrature.student_t):
        together = f(eps, 1, v, u, k[:, None, None])
        assert together.shape == (2, 5, 3)
        for index in np.ndindex(2, 5, 3):
            one_by_one = f(*(float(a[index]) for a in full[:1]), 1, *(float(a[index]) for a in full[1:]))
            assert together[index] == pytest.approx(one_by_one, abs=1e-12)


# ── u given ε ───────────────────────────────────────────────────────────────────────────────────────────────────────


def conditionals():
    """A unit, with the options that ask for the same distribution."""
    for s, e, r, k in product((1, -1), EPS[::2], (0.05, 1.0, 20.0), SHAPES[::2]):
        yield Unit(np.array([s * 0.2 * e]), s, (0.2,), "gamma", (0.2 * r, k)), {"shape": k}
    for name, s, e, r, nu in product(INEFFICIENCIES, (1, -1), EPS[::2], (0.05, 1.0, 20.0), DEGREES[::2]):
        unit = Unit(np.array([s * 0.2 * e]), s, (0.2, nu), name, (0.2 * r,), noise=STUDENT)
        yield unit, {"degrees": nu, "inefficiency": name}


def test_moments_given_the_residual():
    for unit, options in conditionals():
        arguments = (unit.eps[0], unit.s, unit.noise_parameters[0], unit.prior_parameters[0])
        found = quadrature.moments_given_residual(*arguments, **options)
        np.testing.assert_allclose(found, unit.moments(lambda u: np.exp(-u), lambda u: u), rtol=1e-9, err_msg=str(unit))


PROBABILITIES = np.array([1e-6, 1e-3, 0.07, 0.5, 0.93, 0.999, 1 - 1e-6])


def test_draws_are_quantiles():
    """The distribution function at a draw is the uniform it came from, to 1e-6 of the uniform and of its complement."""
    for unit, options in list(conditionals())[::2]:
        arguments = (unit.eps[0], unit.s, unit.noise_parameters[0], unit.prior_parameters[0])
        draws = quadrature.draw_given_residual(PROBABILITIES, *arguments, **options)
        assert np.all(np.diff(draws) > 0)
        below, above = distribution(unit.log_joint, draws)
        np.testing.assert_allclose(below, PROBABILITIES, rtol=1e-6, err_msg=str(unit))
        np.testing.assert_allclose(above, 1 - PROBABILITIES, rtol=1e-6, err_msg=str(unit))


def distribution(log_g, points):
    """P(u < point) and P(u > point) under the density proportional to exp(log_g(u)): Gauss–Legendre between the points and the ends."""
    low, high, peak = support(log_g)
    edges = np.unique(np.concatenate([np.linspace(low, high, 1500), np.log(points)]))
    x, w = np.polynomial.legendre.leggauss(12)
    half = 0.5 * np.diff(edges)[:, None]
    at = edges[:-1, None] + half * (x + 1)
    mass = (np.exp(log_g(np.exp(at.ravel())) - peak + at.ravel()).reshape(at.shape) * w * half).sum(axis=1)
    position = np.searchsorted(edges, np.log(points))
    below, above = np.concatenate([[0], np.cumsum(mass)]), np.concatenate([np.cumsum(mass[::-1])[::-1], [0]])
    return below[position] / mass.sum(), above[position] / mass.sum()


def test_draws_have_the_shape_and_the_distribution_asked_for():
    rng = np.random.default_rng(5)
    eps, scale, shape = rng.normal(0, 0.3, 3), np.full((20000, 1), 0.2), np.array([0.5, 1.0, 4.0])
    draws = quadrature.draw_given_residual(rng.random((20000, 3)), eps, 1, scale, 0.3, shape=shape)
    assert draws.shape == (20000, 3)
    found = quadrature.moments_given_residual(eps, 1, 0.2, 0.3, shape=shape)
    error = draws.std(axis=0) / np.sqrt(20000)
    assert np.all(np.abs(draws.mean(axis=0) - found.inefficiency) < 4 * error)
    exponential = densities.given_residual_exponential(eps[1], 1, 0.2, 0.3)
    known = stats.truncnorm(-exponential.location / exponential.scale, np.inf, exponential.location, exponential.scale)
    assert stats.kstest(draws[:, 1], known.cdf).pvalue > 1e-3
    assert quadrature.draw_given_residual(np.empty((0, 3)), eps, 1, 0.2, 0.3, shape=2.0).shape == (0, 3)


def test_power_normal_of_power_two_is_rayleigh_given_the_residual():
    """u given ε with Rayleigh inefficiency: u·N(u; μ*, σ*²), with μ*, σ* of the half-normal."""
    unit = Unit(np.array([-0.25]), 1, (0.2,), "rayleigh", (0.3,))
    given = densities.given_residual(-0.25, 1, 0.2, 0.3, 0.0)
    found = quadrature.moments_of_power_normal(*given, 2.0)
    np.testing.assert_allclose(found, unit.moments(lambda u: np.exp(-u), lambda u: u), rtol=1e-11)
    below, _ = distribution(unit.log_joint, quadrature.draw_power_normal(PROBABILITIES, *given, 2.0))
    np.testing.assert_allclose(below, PROBABILITIES, rtol=1e-8)

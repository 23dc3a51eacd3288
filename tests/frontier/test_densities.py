"""Densities of ε and distributions of u given ε against their definitions, integrated by brute force; derivatives; kinds of arrays."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special, stats

from bayes.frontier import densities
from bayes.frontier.algebra import NUMPY, jax_algebra, pytensor_algebra
from bayes.frontier.likelihood import path
from tests.frontier.brute_force import Unit, assert_scores, expectation, in_jax

CLOSED = {
    "half-normal": densities.half_normal,
    "exponential": densities.exponential,
    "truncated-normal": densities.truncated_normal,
    "rayleigh": densities.rayleigh,
}
SCALES = ((0.2, 0.3), (0.005, 0.3), (0.005, 0.005), (0.05, 20.0), (0.3, 1e-4), (0.3, 0.01))
SHARED = ("half-normal", "truncated-normal", "exponential")
MU = (-300.0, -40.0, -1.0, 0.0, 2.0, 40.0)
"""μ/σ_u of a truncated normal."""


def residuals(sigma_v, sigma_u):
    """ε of a production frontier: ordinary ones, and those that put the argument z of Φ at ±40 in the half-normal density."""
    far = 40 * sigma_v * np.hypot(sigma_v, sigma_u) / sigma_u
    return [*(np.array([-8.0, -2.0, 0.0, 0.5, 6.0]) * sigma_v), *((-far, far) if far < 50 * sigma_v else (-40 * sigma_v, 40 * sigma_v))]


def rows(name, s):
    """Rows of one density, (ε, σ_v, σ_u) or (ε, σ_v, σ_u, μ), one tuple of arrays."""
    cases = [(s * e, v, u) for v, u in SCALES for e in residuals(v, u)]
    if name == "truncated-normal":
        cases = [(*c, m * c[2]) for c in cases for m in MU]
    return tuple(np.array(column) for column in zip(*cases, strict=True))


def units(name, s):
    return [Unit(np.array([e]), s, (v,), name, tuple(p)) for e, v, *p in zip(*rows(name, s), strict=True)]


def assert_log_densities(found, expected):
    """To 1e-8, of the log density where that is large."""
    np.testing.assert_array_less(np.abs(found - expected), 1e-8 * np.maximum(1, np.abs(expected)))


# ── one u per row ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("s", [1, -1], ids=["production", "cost"])
@pytest.mark.parametrize("name", CLOSED)
def test_rows_are_their_integrals(name, s):
    eps, sigma_v, *parameters = rows(name, s)
    every = slice(None, None, {1: (1, 5), -1: (5, 11)}[s][name == "truncated-normal"])
    found = CLOSED[name](eps, s, sigma_v, *parameters)[every]
    assert_log_densities(found, [unit.log_density() for unit in units(name, s)[every]])


@pytest.mark.parametrize("name", CLOSED)
def test_a_density_integrates_to_one(name):
    parameters = (0.3, 0.2)[: 2 if name == "truncated-normal" else 1]
    eps = np.linspace(-12, 3, 150001)
    assert np.trapezoid(np.exp(CLOSED[name](eps, 1, 0.2, *parameters)), eps) == pytest.approx(1, abs=1e-9)


def both_sides(name):
    """Rows of a density as production and as cost frontier: s, and the arguments."""
    sides = [rows(name, s) for s in (1, -1)]
    return np.repeat([1, -1], len(sides[0][0])), tuple(np.concatenate(pair) for pair in zip(*sides, strict=True))


@pytest.fixture(scope="module")
def rows_in_jax():
    """Values of every density at both sides of its rows, and derivatives in its arguments."""
    xp, out = jax_algebra(), {}
    for name, f in CLOSED.items():
        s, arguments = both_sides(name)
        out[name] = in_jax(lambda eps, *a, f=f, s=s: f(eps, s, *a, xp), arguments)
    return out


@pytest.mark.parametrize("name", CLOSED)
def test_derivatives_of_rows(name, rows_in_jax):
    """JAX's derivatives in ε, σ_v, σ_u (and μ): 1e-10 of themselves, up to 40 standard deviations out and at σ_v = .005."""
    every = slice(None, None, 5 if name == "truncated-normal" else 1)
    pairs = list(zip(units(name, 1) + units(name, -1), zip(*rows_in_jax[name][1], strict=True), strict=True))
    for unit, (e, v, *p) in pairs[every]:
        in_h = unit.score()[0][2]  # a row has no path: this derivative is tested with units
        assert_scores(np.array([e, v, in_h, *p]), unit)


def closed_half_normal(e, v, u):
    """Derivatives in ε, σ_v and σ_u on paper, with what cancels for large |z| cancelled; production."""
    sigma = np.hypot(v, u)
    z = -e * u / (v * sigma)
    m, excess = hazard(z)
    in_u = -u / sigma**2 + z * v**2 / (u * sigma**2) * excess
    if z < 0:
        return -e / v**2 - u / (v * sigma) * excess, -v / sigma**2 + e**2 / v**3 - z * (1 / v + v / sigma**2) * excess, in_u
    in_v = -v / sigma**2 + z**2 * v**3 / (u * sigma) ** 2 - z * (1 / v + v / sigma**2) * m
    return z * v / (u * sigma) - u / (v * sigma) * m, in_v, in_u


def closed_exponential(e, v, u):
    m, excess = hazard(-e / v - v / u)
    in_u = -1 / u + v / u**2 * excess
    if -e / v - v / u < 0:
        return -e / v**2 - excess / v, e**2 / v**3 + excess * (e / v**2 - 1 / u), in_u
    return 1 / u - m / v, v / u**2 + m * (e / v**2 - 1 / u), in_u


def hazard(z):
    """φ/Φ(z), and z + φ/Φ(z): far below zero by Laplace's continued fraction."""
    m = np.sqrt(2 / np.pi) / special.erfcx(-z / np.sqrt(2))
    if z > -4:
        return m, z + m
    fraction = -z
    for k in range(60, 1, -1):
        fraction = -z + k / fraction
    return m, 1 / fraction


@pytest.mark.parametrize(("name", "closed"), [("half-normal", closed_half_normal), ("exponential", closed_exponential)])
def test_derivatives_in_closed_form(name, closed, rows_in_jax):
    """A second hand, without a floor: 1e-10 of every derivative, at z = ±40 and σ_v = .005 too."""
    cases = list(zip(*rows(name, 1), strict=True))
    found = np.array(rows_in_jax[name][1]).T[: len(cases)]
    np.testing.assert_allclose(found, [closed(*case) for case in cases], rtol=1e-10)


@pytest.mark.parametrize("sigma_v", [0.3, 30.0])
def test_inefficiency_that_vanishes_leaves_the_noise(sigma_v):
    eps = np.array([-2.0, -0.1, 0.0, 0.4, 3.0]) * sigma_v
    for f in (densities.half_normal, densities.exponential, densities.rayleigh):
        np.testing.assert_allclose(f(eps, 1, sigma_v, 1e-12), stats.norm.logpdf(eps, scale=sigma_v), atol=1e-10)


def test_truncated_normal_nests_half_normal_and_exponential():
    eps = np.linspace(-1, 1, 21)
    np.testing.assert_allclose(densities.truncated_normal(eps, 1, 0.2, 0.3, 0.0), densities.half_normal(eps, 1, 0.2, 0.3), atol=1e-13)
    scale = 0.3 * 1e4  # μ = −scale²/.3: u/σ_u falls like exp(−u/.3) as far as noise reaches
    near = densities.truncated_normal(eps, 1, 0.2, scale, -(scale**2) / 0.3)
    np.testing.assert_allclose(near, densities.exponential(eps, 1, 0.2, 0.3), atol=1e-6)


# ── one u per unit ──────────────────────────────────────────────────────────────────────────────────────────────────


def shared_units(s):
    """Units of four rows, some with fewer: constant u, the paths of Battese & Coelli (1992) and Kumbhakar (1990), heteroskedastic noise."""
    rng = np.random.default_rng(11)
    data = SimpleNamespace(since_last=np.arange(-3.0, 1.0)[None], since_first=np.arange(1.0, 5.0)[None])
    paths = [
        np.ones(4),
        *(path({"decay": np.array(d)}, SimpleNamespace(model="bc92"), data)[0] for d in (0.15, -0.9)),
        path({"path": np.array([-0.3, 0.08])}, SimpleNamespace(model="kumbhakar-1990"), data)[0],
    ]
    np.testing.assert_allclose(paths[1], np.exp(-0.15 * np.array([-3, -2, -1, 0])))
    np.testing.assert_allclose(paths[3], 1 / (1 + np.exp(-0.3 * np.arange(1, 5) + 0.08 * np.arange(1, 5) ** 2)))
    out = []
    for h in paths:
        for n in (4, 2):
            for v, u in ((0.2, 0.3), (0.005, 0.3), (0.3, 1e-3), (0.05, 20.0)):
                for level in (-40.0, -1.0, 0.0, 6.0, 40.0):
                    eps = s * (level * v / np.sqrt(n) * h / np.sqrt(np.mean(h**2)) + v * rng.normal(size=4))
                    out.append(Unit(eps[:n], s, (v * np.array([1.0, 1.3, 0.8, 1.1])[:n],), "half-normal", (u,), h[:n]))
    return out


def padded(units):
    """Arrays (units, 4) of ε, σ_v, h and the mask; rows that do not exist hold numbers that must not matter."""
    eps, h, mask, sigma_v = (
        np.full((len(units), 4), 7.0),
        np.full((len(units), 4), 3.0),
        np.zeros((len(units), 4)),
        np.ones((len(units), 4)),
    )
    for i, unit in enumerate(units):
        n = len(unit.eps)
        eps[i, :n], h[i, :n], mask[i, :n], sigma_v[i, :n] = unit.eps, unit.h, 1, unit.noise_parameters[0]
    return eps, sigma_v, h, mask


def shared_cases(name, s):
    """Units of one distribution and the function of (ε, σ_v, h, σ_u, …) that gives their log densities."""
    units = shared_units(s)
    if name == "truncated-normal":
        units = [
            replace(w, prior=name, prior_parameters=(w.prior_parameters[0], m * w.prior_parameters[0])) for w in units for m in MU[::2]
        ]
    units = [replace(w, prior=name) for w in units]
    mask = padded(units)[3]
    if name == "exponential":
        return units, lambda e, v, h, p, xp=NUMPY: densities.shared_exponential(e, s, v, p[0], h, mask, xp)
    half = name == "half-normal"
    return units, lambda e, v, h, p, xp=NUMPY: densities.shared_truncated_normal(
        e, s, v, p[0], 0.0 if half else p[1], h, mask, xp, half=half
    )


@pytest.mark.parametrize("s", [1, -1], ids=["production", "cost"])
@pytest.mark.parametrize("name", SHARED)
def test_shared_inefficiency_is_its_integral(name, s):
    units, f = shared_cases(name, s)
    eps, sigma_v, h, _ = padded(units)
    found = f(eps, sigma_v, h, np.array([w.prior_parameters for w in units]).T)
    every = slice(None, None, 4 if s == 1 else 7)
    assert_log_densities(found[every], [w.log_density() for w in units[every]])


@pytest.fixture(scope="module")
def shared_in_jax():
    """Values and derivatives for the units of every distribution."""
    out = {}
    for name in SHARED:
        units, f = shared_cases(name, 1)
        eps, sigma_v, h, _ = padded(units)
        parameters = np.array([w.prior_parameters for w in units]).T
        out[name] = in_jax(lambda *a, f=f: f(*a, jax_algebra()), (eps, sigma_v, h, parameters))
    return out


@pytest.mark.parametrize("name", SHARED)
def test_derivatives_of_shared_inefficiency(name, shared_in_jax):
    """In ε, σ_v and h of every row and the parameters of u; zero where a row does not exist."""
    units, _ = shared_cases(name, 1)
    *in_rows, in_parameters = shared_in_jax[name][1]
    for slope in in_rows:
        assert np.all(slope[padded(units)[3] == 0] == 0)
    for i, unit in list(enumerate(units))[::4]:
        n = len(unit.eps)
        assert_scores(np.concatenate([*(slope[i, :n] for slope in in_rows), in_parameters[:, i]]), unit)


def test_shared_inefficiency_of_a_single_row_is_that_of_the_row():
    for name, f in CLOSED.items():
        if name == "rayleigh":
            continue
        eps, v, u, *mu = rows(name, 1)
        if name == "exponential":
            unit = densities.shared_exponential(eps[:, None], 1, v[:, None], u, 1.0)
        else:
            unit = densities.shared_truncated_normal(eps[:, None], 1, v[:, None], u, mu[0] if mu else 0.0, 1.0)
        expected = f(eps, 1, v, u, *mu)
        np.testing.assert_allclose(unit, expected, rtol=1e-12, atol=1e-10)


def test_a_path_that_vanishes_leaves_the_noise():
    """h underflows where the exponent of a path is large: the density is that of noise, with finite derivatives."""
    h = np.repeat([[0.0], [1e-200], [1e-170], [1e-120], [1e-60]], 2, axis=1)
    eps, sigma_v, sigma_u = np.full_like(h, 0.1), np.full_like(h, 0.2), np.full(5, 0.3)
    noise = stats.norm.logpdf(eps, scale=0.2).sum(axis=1)
    np.testing.assert_allclose(densities.shared_truncated_normal(eps, 1, sigma_v, sigma_u, 0.1, h), noise, atol=1e-10)
    given = densities.given_unit(eps, 1, sigma_v, sigma_u, 0.0, h, exponential=True)
    np.testing.assert_allclose([moments(densities.TruncatedNormal(*g))[0] for g in zip(*given, strict=True)], 0.3, rtol=1e-10)
    values, slopes = in_jax(lambda v, u, h: densities.shared_exponential(eps, 1, v, u, h, xp=jax_algebra()), (sigma_v, sigma_u, h))
    np.testing.assert_allclose(values, noise, atol=1e-10)
    assert all(np.all(np.isfinite(v)) for v in slopes)


# ── unit effects ────────────────────────────────────────────────────────────────────────────────────────────────────


def grid(low, high, panels=400):
    """Gauss–Legendre nodes and weights on [low, high]."""
    x, w = np.polynomial.legendre.leggauss(12)
    edges = np.linspace(low, high, panels + 1)
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (x + 1)).ravel(), (half * w).ravel()


@pytest.mark.parametrize("s", [1, -1], ids=["production", "cost"])
def test_persistent_inefficiency_makes_a_skew_normal_unit_effect(s):
    """a = w − s·h with h half-normal: the half-normal density of a, which is the skew-normal of Azzalini (1985)."""
    a = np.linspace(-1.5, 1.5, 61)
    for sigma_w, sigma_h in ((0.1, 0.3), (0.3, 0.1), (0.01, 0.4)):
        found = densities.half_normal(a, s, sigma_w, sigma_h)
        skew_normal = stats.skewnorm.logpdf(a, -s * sigma_h / sigma_w, scale=np.hypot(sigma_w, sigma_h))
        known = np.isfinite(skew_normal)
        assert_log_densities(found[known], skew_normal[known])
        h, weight = grid(0, 5 * sigma_h + 2, 800)
        joint = stats.norm.pdf(a[:, None] + s * h, scale=sigma_w) * stats.halfnorm.pdf(h, scale=sigma_h)
        likely = found > -200
        assert_log_densities(found[likely], np.log((joint @ weight)[likely]))


@pytest.mark.parametrize("s", [1, -1], ids=["production", "cost"])
@pytest.mark.parametrize("four_components", [False, True], ids=["true random effects", "four components"])
def test_unit_effects_integrate_like_brute_force(four_components, s):
    """∫ N(w) Π_t f(ε_t − w) dw with the rows' closed forms, against the same with every u_t on a grid of its own beside that of w.

    With four components w is replaced by a = w − s·h; the other side integrates over w and h, on grids of their own.
    """
    eps, sigma_v, sigma_u, sigma_w, sigma_h = np.array([-0.35, 0.1, -0.02]), 0.15, 0.25, 0.2, 0.3
    a, weight_a = grid(-3, 3, 60)
    u, weight_u = grid(0, 3, 30)
    noise = stats.norm.pdf(eps[:, None, None] - a[:, None] + s * u, scale=sigma_v)
    rows_by_hand = np.prod((noise * stats.halfnorm.pdf(u, scale=sigma_u)) @ weight_u, axis=0)
    rows = densities.half_normal(eps[:, None] - a, s, sigma_v, sigma_u).sum(axis=0)
    if four_components:
        effect = np.exp(densities.half_normal(a, s, sigma_w, sigma_h))
        effect_by_hand = (stats.norm.pdf(a[:, None] + s * u, scale=sigma_w) * stats.halfnorm.pdf(u, scale=sigma_h)) @ weight_u
    else:
        effect = effect_by_hand = stats.norm.pdf(a, scale=sigma_w)
    assert np.log(np.sum(np.exp(rows) * effect * weight_a)) == pytest.approx(
        np.log(np.sum(rows_by_hand * effect_by_hand * weight_a)), abs=1e-8
    )
    one_row = np.log(np.sum(np.exp(densities.half_normal(eps[0] - a, s, sigma_v, sigma_u)) * stats.norm.pdf(a, scale=sigma_w) * weight_a))
    assert one_row == pytest.approx(densities.half_normal(eps[0], s, np.hypot(sigma_v, sigma_w), sigma_u), abs=1e-8)


# ── u given ε ───────────────────────────────────────────────────────────────────────────────────────────────────────

POWERS = (lambda u: u, lambda u: u**2, lambda u: np.exp(-u))


def moments(given):
    """E[u], E[u²] and E[exp(−u)] of a normal cut off below zero, by brute force."""
    location, scale = np.squeeze(given.location), np.squeeze(given.scale)
    return expectation(lambda u: u * location / scale**2 - 0.5 * (u / scale) ** 2, *POWERS)


@pytest.mark.parametrize("s", [1, -1], ids=["production", "cost"])
@pytest.mark.parametrize("name", SHARED)
def test_inefficiency_given_the_residual(name, s):
    for unit in units(name, s)[:: 7 if name == "truncated-normal" else 2]:
        eps, (sigma_v,), (sigma_u, *mu) = unit.eps, unit.noise_parameters, unit.prior_parameters
        if name == "exponential":
            given = densities.given_residual_exponential(eps, s, sigma_v, sigma_u)
        else:
            given = densities.given_residual(eps, s, sigma_v, sigma_u, *(mu or [0.0]))
        np.testing.assert_allclose(moments(given), unit.moments(*POWERS), rtol=1e-10)


@pytest.mark.parametrize("s", [1, -1], ids=["production", "cost"])
@pytest.mark.parametrize("name", SHARED)
def test_inefficiency_given_the_unit(name, s):
    units, _ = shared_cases(name, s)
    units = units[:: 29 if name == "truncated-normal" else 9]
    eps, sigma_v, h, mask = padded(units)
    sigma_u, *mu = np.array([w.prior_parameters for w in units]).T
    given = densities.given_unit(eps, s, sigma_v, sigma_u, mu[0] if mu else 0.0, h, mask, exponential=name == "exponential")
    for i, unit in enumerate(units):
        own = densities.TruncatedNormal(given.location[i], given.scale[i])
        np.testing.assert_allclose(moments(own), unit.moments(*POWERS), rtol=1e-10)


# ── kinds of arrays ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_three_kinds_of_arrays_agree(rows_in_jax, shared_in_jax):
    """The same formula in NumPy, PyTensor and JAX, to 1e-12."""
    import pytensor
    import pytensor.tensor as pt

    tensors, found, symbols, numbers = pytensor_algebra(), [], [], []

    def add(function, arguments, in_jax):
        symbols.append([pt.tensor(dtype="float64", shape=np.shape(a)) for a in arguments])
        numbers.extend(arguments)
        found.append((function(*arguments, NUMPY), in_jax, function(*symbols[-1], tensors)))

    for name, f in CLOSED.items():
        s, arguments = both_sides(name)
        add(lambda eps, *a, f=f, s=s: f(eps, s, *a), arguments, rows_in_jax[name][0])
    for name in SHARED:
        units, f = shared_cases(name, 1)
        add(f, (*padded(units)[:3], np.array([w.prior_parameters for w in units]).T), shared_in_jax[name][0])
    compiled = pytensor.function([v for group in symbols for v in group], [tensor for *_, tensor in found], mode="FAST_COMPILE")
    for (numpy, jax, _), tensor in zip(found, compiled(*numbers), strict=True):
        scale = 1e-12 * np.maximum(1, np.abs(numpy))
        assert np.all(np.abs(jax - numpy) <= scale)
        assert np.all(np.abs(tensor - numpy) <= scale)

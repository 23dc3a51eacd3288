"""Densities of ε = v − s·u by brute force: definitions written out, u > 0 integrated numerically. No formula comes from the package."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
from scipy import integrate, special

_GAUSS = np.polynomial.legendre.leggauss(16)
_LOG_2PI = np.log(2 * np.pi)


# ── integrals ───────────────────────────────────────────────────────────────────────────────────────────────────────


def support(log_g, drop=60.0, low=-640.0, high=14.0):
    """Interval of x = ln u on which exp(log_g(u))·u is more than exp(−drop) of its peak, and the log of the peak."""
    for _ in range(4):
        x = np.linspace(low, high, 2001)
        value = log_g(np.exp(x)) + x
        peak = value.max()
        inside = np.flatnonzero(value > peak - drop)
        low, high = x[max(inside[0] - 1, 0)], x[min(inside[-1] + 1, len(x) - 1)]
    return low, high, peak


def log_integral(log_g, pieces=6):
    """log ∫₀^∞ exp(log_g(u)) du by scipy's adaptive quadrature in ln u, the support in a few pieces."""
    low, high, peak = support(log_g)
    edges = np.linspace(low, high, pieces + 1)

    def g(x):
        return np.exp(log_g(np.exp(x)) + x - peak)

    with warnings.catch_warnings():
        # Where the log of the integrand is in the thousands, its rounding noise keeps the adaptive rule from believing that it is done.
        warnings.simplefilter("ignore", integrate.IntegrationWarning)
        parts = [integrate.quad(g, a, b, epsabs=1e-12, epsrel=1e-11, limit=100)[0] for a, b in pairwise(edges)]
    return peak + np.log(sum(parts))


def nodes(log_g, panels):
    """Points u and weights that sum to one, of the density proportional to exp(log_g(u)): 16 Gauss nodes a panel of ln u."""
    low, high, peak = support(log_g, drop=45.0)
    edges = np.linspace(low, high, panels + 1)
    x = (edges[:-1, None] + np.diff(edges)[:, None] * 0.5 * (_GAUSS[0] + 1)).ravel()
    u = np.exp(x)
    weight = np.exp(log_g(u) + x - peak) * np.tile(_GAUSS[1], panels)
    return u, weight / weight.sum()


def expectation(log_g, *functions, panels=200):
    """E[f(u)] of each function under the density proportional to exp(log_g(u)), to some 1e-14 of E|f(u)|."""
    u, weight = nodes(log_g, panels)
    return np.array([weight @ f(u) for f in functions])


# ── definitions ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Prior:
    """Density of u: its log up to a constant, that constant, and derivatives of the first in the parameters."""

    log_kernel: Callable
    log_constant: Callable
    slopes: Callable


@dataclass(frozen=True)
class Noise:
    """Density of v at r = ε + s·u: its log, and derivatives in r and the parameters."""

    log_density: Callable
    slopes: Callable


PRIORS = {
    "half-normal": Prior(
        lambda u, scale: -0.5 * (u / scale) ** 2,
        lambda scale: np.log(scale) + 0.5 * np.log(np.pi / 2),
        lambda u, scale: (u**2 / scale**3,),
    ),
    "exponential": Prior(lambda u, scale: -u / scale, np.log, lambda u, scale: (u / scale**2,)),
    "truncated-normal": Prior(
        lambda u, scale, mu: -0.5 * (u / scale) ** 2 + u * mu / scale**2,
        lambda scale, mu: np.log(scale) + 0.5 * _LOG_2PI + special.log_ndtr(mu / scale) + 0.5 * (mu / scale) ** 2,
        lambda u, scale, mu: (u**2 / scale**3 - 2 * u * mu / scale**3, u / scale**2),
    ),
    "rayleigh": Prior(
        lambda u, scale: np.log(u) - 0.5 * (u / scale) ** 2, lambda scale: 2 * np.log(scale), lambda u, scale: (u**2 / scale**3,)
    ),
    "gamma": Prior(
        lambda u, scale, shape: (shape - 1) * np.log(u) - u / scale,
        lambda scale, shape: special.gammaln(shape) + shape * np.log(scale),
        lambda u, scale, shape: (u / scale**2, np.log(u)),
    ),
}

NORMAL = Noise(
    lambda r, scale: -0.5 * (r / scale) ** 2 - np.log(scale) - 0.5 * _LOG_2PI,
    lambda r, scale: (-r / scale**2, (r / scale) ** 2 / scale - 1 / scale),
)


def _student_constant(scale, degrees):
    return -special.betaln(degrees / 2, 0.5) - 0.5 * np.log(degrees) - np.log(scale)


def _student_slopes(r, scale, degrees):
    ratio = (r / scale) ** 2
    shrunk = (degrees + 1) / (degrees + ratio)
    constant = 0.5 * (special.digamma((degrees + 1) / 2) - special.digamma(degrees / 2) - 1 / degrees)
    in_degrees = constant - 0.5 * np.log1p(ratio / degrees) + 0.5 * shrunk * ratio / degrees
    return -shrunk * r / scale**2, shrunk * ratio / scale - 1 / scale, in_degrees


STUDENT = Noise(
    lambda r, scale, degrees: _student_constant(scale, degrees) - 0.5 * (degrees + 1) * np.log1p((r / scale) ** 2 / degrees),
    _student_slopes,
)


def _prior_slopes(prior, parameters, u):
    return np.stack([g + 0 * u for g in PRIORS[prior].slopes(u, *parameters)])


@cache
def _expected_prior_slopes(prior, parameters):
    u, weight = nodes(lambda u: PRIORS[prior].log_kernel(u, *parameters), 200)
    return _prior_slopes(prior, parameters, u) @ weight


# ── density, score and distribution of u ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Unit:
    """Residuals (T,) of one unit with u_t = h_t·u; a single row is T = 1. ``noise_parameters`` start with σ_v, of shape (T,) or ()."""

    eps: np.ndarray
    s: int
    noise_parameters: tuple
    prior: str
    prior_parameters: tuple
    h: np.ndarray | float = 1.0
    noise: Noise = NORMAL

    @property
    def panels(self):
        """Student-t noise may leave a narrow peak far from where the prior is."""
        return 200 if self.noise is NORMAL else 1000

    @cached_property
    def _columns(self):
        return [np.atleast_1d(np.asarray(a, dtype=float))[:, None] for a in (self.eps, self.h, *self.noise_parameters)]

    def log_prior(self, u):
        return PRIORS[self.prior].log_kernel(u, *self.prior_parameters)

    def log_joint(self, u):
        eps, h, *parameters = self._columns
        rows = self.noise.log_density(eps + self.s * h * u, *parameters)
        return self.log_prior(u) + (rows.sum(axis=0) if np.ndim(u) else rows.sum())

    def log_density(self):
        return log_integral(self.log_joint) - PRIORS[self.prior].log_constant(*self.prior_parameters)

    def score(self):
        """Derivatives of the log density, by Fisher's identity: the expected slope of the log joint density given ε, less that of the
        prior kernel. Order: ε (T), parameters of the noise (T each), h (T), parameters of the prior. And the size of what is subtracted
        from what, below which rounding sets the limit."""
        eps, h, *parameters = self._columns

        u, weight = nodes(self.log_joint, self.panels)
        in_r, *in_noise = self.noise.slopes(eps + self.s * h * u, *parameters)
        slopes = np.concatenate([in_r, *(g + 0 * in_r for g in in_noise), self.s * u * in_r])
        after = _prior_slopes(self.prior, self.prior_parameters, u) @ weight
        before = _expected_prior_slopes(self.prior, self.prior_parameters)
        size = np.concatenate([np.abs(slopes) @ weight, np.abs(after) + np.abs(before)])
        return np.concatenate([slopes @ weight, after - before]), size

    def moments(self, *functions):
        return expectation(self.log_joint, *functions, panels=self.panels)


def assert_scores(found, unit, rtol=1e-10, floor=1e-13, least=0.0):
    """Derivatives right to ``rtol`` of themselves, or ``floor`` of the terms that cancel in them, or ``least``."""
    expected, size = unit.score()
    assert np.all(np.isfinite(found))
    excess = np.abs(found - expected) / (rtol * np.abs(expected) + floor * size + least)
    assert np.all(excess <= 1), f"{excess} times what is allowed at {unit}"


# ── JAX ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def in_jax(function, arguments):
    """Values of an elementwise function of a tuple of arrays, and derivatives of their sum, as NumPy arrays; compiled in a hurry."""
    from bayes.inference.sampling import prepare_jax

    prepare_jax()
    import jax

    def total(a):
        values = function(*a)
        return values.sum(), values

    staged = jax.jit(jax.value_and_grad(total, has_aux=True)).lower(arguments)
    (_, values), slopes = staged.compile(compiler_options={"xla_backend_optimization_level": 0})(arguments)
    return np.asarray(values), [np.asarray(v) for v in slopes]

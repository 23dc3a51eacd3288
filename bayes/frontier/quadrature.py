"""Log densities of ε = v − s·u without a closed form, by fixed quadrature: gamma inefficiency and Student-t noise; and u given ε.

Both integrals run over the logarithm x of a scale. The integrand dies exponentially to the left and double-exponentially to the right;
after x = b(w − exp(−w)) + constant double-exponentially on both sides: the trapezoidal rule in w then converges geometrically in the
number of nodes (Takahasi & Mori 1974, Publications of the RIMS 9(3)). Its ends and b follow the parameters, so that nodes lie where the
mass is. Functions take an :class:`Algebra`; arguments broadcast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from bayes.errors import SpecificationError
from bayes.frontier import densities
from bayes.frontier.algebra import NUMPY, Algebra
from bayes.frontier.normal import HALF_LOG_2PI

_GAMMA_NODES = 48
_STUDENT_NODES = 56
_DROP = 25.0
"""The rule ends where the log integrand has surely fallen by this; what is left out is some 1e-13 of the integral."""
_BEND = 1.5
"""The w of the peak: the map is nearly linear to the right of it."""
_RAISED_BELOW = 3.0


class Moments(NamedTuple):
    """E[exp(−u) | ε] (Battese & Coelli 1988) and E[u | ε] (Jondrow et al. 1982)."""

    efficiency: Any
    inefficiency: Any


class _Rule(NamedTuple):
    """Nodes of x on a last axis, dx/dw there in units of b, and b times the step of w (without that axis)."""

    x: Any
    slope: Any
    step: Any


def gamma(eps: Any, s: int, sigma_v: Any, sigma_u: Any, shape: Any, xp: Algebra = NUMPY) -> Any:
    """u ~ Gamma(shape k > 0, scale σ_u), with k a parameter: the exponential at k = 1. Greene (1990), Journal of Econometrics 46(1/2).

    Measured error of the log density over ε/σ_v in [−30, 30], σ_u/σ_v in [.05, 20] and k in [.1, 20]: 2e-13, or 5e-14 of itself where it
    exceeds 50 in size; of derivatives, 2e-13 of the terms they consist of. At k = .05 and 1000 2e-12; at |ε|/σ_v = 10,000 6e-14 of itself.
    """
    ratio = sigma_v / sigma_u
    z = -s * eps / sigma_v - ratio
    mode, power, log_rest = _power_integral(z, shape, xp)
    # z·mode − ½mode² and ½ε² would cancel: the exponent at u = σ_v·mode is written as that of noise and inefficiency.
    peak = power * xp.log(mode) - 0.5 * (eps / sigma_v + s * mode) ** 2 - ratio * mode
    return peak + log_rest - HALF_LOG_2PI - xp.log(sigma_v) + shape * xp.log(ratio) - xp.gammaln(shape)


def log_power_normal(z: Any, power: Any, xp: Algebra = NUMPY) -> Any:
    """log ∫₀^∞ t^(power−1) exp(zt − ½t²) dt for every z and power > 0, elementwise: the normalising constant of u | ε in units of σ_v."""
    mode, raised, log_rest = _power_integral(z, power, xp)
    return raised * xp.log(mode) + z * mode - 0.5 * mode**2 + log_rest


def student_t(eps: Any, s: int, sigma_v: Any, sigma_u: Any, degrees: Any, inefficiency: str = "half-normal", xp: Algebra = NUMPY) -> Any:
    """v = σ_v·t_ν with ν = ``degrees`` > 0, u half-normal or exponential. Tancredi (2002), University of Padua, working paper 2002.7.

    v is normal with variance σ_v²/λ and λ ~ Gamma(ν/2, rate ν/2): given λ the density has its closed form, and the nodes are those of ln λ.
    Measured error of the log density over ε/σ_v in [−50, 50], σ_u/σ_v in [.05, 20] and ν in [2.1, 1000]: 2e-13 (ν = 1: 3e-11; ν = 200 and
    |ε|/σ_v = 100: 2e-7, 10,000: .1). Raises :class:`SpecificationError` on another inefficiency.
    """
    log_terms, rule, _ = _student_terms(eps, s, sigma_v, sigma_u, degrees, inefficiency, xp)
    largest = xp.max(log_terms, axis=-1, keepdims=True)
    return largest[..., 0] + xp.log(rule.step * xp.sum(xp.exp(log_terms - largest) * rule.slope, axis=-1))


# ── quadrature ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _column(value: Any) -> Any:
    """The value with an axis for nodes; a scalar broadcasts as it is."""
    return value[..., None] if np.ndim(value) else value


def _rule(centre: Any, left: Any, right: Any, b: Any, n: int, xp: Algebra) -> _Rule:
    """Nodes over [centre − left, centre + right], bent to the left of the centre."""
    at_centre = _BEND - np.exp(-_BEND)
    start = -xp.log(xp.maximum(left / b - at_centre, 1.0))
    end = right / b + at_centre
    end = end + xp.exp(-end)
    w = _column(start) + _column(end - start) * np.linspace(0.0, 1.0, n)
    bend = xp.exp(-w)
    x = _column(centre) + _column(b) * (w - bend - at_centre)
    return _Rule(x, 1.0 + bend, (end - start) * (b / (n - 1)))


def _right_end(c: Any, xp: Algebra) -> Any:
    """exp(x) − 1 beyond which exp(x) − 1 − x exceeds c."""
    return c + xp.sqrt(c * c + 2 * c)


def _left_end(c: Any, xp: Algebra) -> Any:
    """−x beyond which exp(x) − 1 − x exceeds c."""
    return 0.5 * (c + xp.sqrt(c * c + 8 * c))


def _power_peak(z: Any, power: Any, xp: Algebra) -> tuple[Any, Any, Any]:
    """Mode of t^power·exp(zt − ½t²), and how far left and right of ln(mode) that function of ln t matters.

    With p = t/mode its log is power·(ln p − p + 1) − ½mode²(p − 1)² below its peak: either part alone bounds the ends.
    """
    size = xp.where(z > 0, z, -z)
    larger = 0.5 * (size + xp.sqrt(z * z + 4 * power))
    mode = xp.where(z > 0, larger, power / larger)
    c = _DROP / power
    normal = np.sqrt(2 * _DROP) / mode
    close = xp.minimum(normal, 0.5)
    left = _left_end(c, xp)
    left = xp.where(normal < 0.5, xp.minimum(left, -xp.log1p(-close)), left)
    return mode, left, xp.log1p(xp.minimum(_right_end(c, xp), normal))


def _power_integral(z: Any, power: Any, xp: Algebra) -> tuple[Any, Any, Any]:
    """(m, κ, log r) with ∫₀^∞ t^(power−1) exp(zt − ½t²) dt = m^κ exp(zm − ½m²)·r.

    For z < 3 the integral is taken by parts, ∫ t^power (t − z) exp(zt − ½t²) dt / power, which removes the singularity of power < 1.
    """
    raised = z < _RAISED_BELOW
    kappa = power + xp.where(raised, 1.0, 0.0)
    mode, left, right = _power_peak(z, kappa, xp)
    rule = _rule(0.0, left, right, 1.4 / xp.sqrt(kappa + mode**2), _GAMMA_NODES, xp)
    p = xp.exp(rule.x)
    excess = p - 1.0
    terms = xp.exp(_column(kappa) * (rule.x - excess) - 0.5 * (_column(mode) * excess) ** 2)
    factor = xp.where(_column(raised), (_column(mode) * p - _column(z)) / _column(power), 1.0)
    return mode, kappa, xp.log(rule.step * xp.sum(terms * rule.slope * factor, axis=-1))


def _student_terms(
    eps: Any, s: int, sigma_v: Any, sigma_u: Any, degrees: Any, inefficiency: str, xp: Algebra
) -> tuple[Any, _Rule, tuple[Any, Any, Any]]:
    """Log of (density of ln λ)·(density of ε given λ) at the nodes x = ln λ; the rule; ε, σ_v/√λ and σ_u at the nodes."""
    kernels = {"half-normal": densities.half_normal, "exponential": densities.exponential}
    if inefficiency not in kernels:
        raise SpecificationError(f"Student-t noise with inefficiency={inefficiency!r} does not exist. Choose: {', '.join(kernels)}.")
    c = 2 * _DROP / degrees
    # λ given ε and u has shape between ν/2 and (ν + 1)/2 and mode between ν/(ν + ε²/σ_v²), at u = 0, and (ν + 1)/ν, where u explains ε.
    lowest = -xp.log1p((eps / sigma_v) ** 2 / degrees)
    highest = xp.log1p(1 / degrees) + xp.log1p(_right_end(c, xp))
    rule = _rule(lowest, _left_end(c, xp), highest - lowest, 1 / xp.sqrt(1 + degrees / 64), _STUDENT_NODES, xp)
    x, half = rule.x, 0.5 * degrees
    at_nodes = (_column(eps), _column(sigma_v) * xp.exp(-0.5 * x), _column(sigma_u))
    prior = _column(half * xp.log(half) - xp.gammaln(half)) + _column(half) * (x - xp.exp(x))
    return prior + kernels[inefficiency](at_nodes[0], s, at_nodes[1], at_nodes[2], xp), rule, at_nodes


# ── u given ε (NumPy) ───────────────────────────────────────────────────────────────────────────────────────────────


def moments_given_residual(
    eps: Any, s: int, sigma_v: Any, sigma_u: Any, *, shape: Any = None, degrees: Any = None, inefficiency: str = "half-normal"
) -> Moments:
    """E[exp(−u) | ε] and E[u | ε] for gamma inefficiency (give ``shape``) or Student-t noise (give ``degrees`` and ``inefficiency``).

    Arguments broadcast. Raises :class:`SpecificationError` unless exactly one of the two is given.
    """
    _one_of(shape, degrees)
    if shape is not None:
        return moments_of_power_normal(-s * eps - sigma_v**2 / sigma_u, sigma_v, shape)
    return Moments(*_in_chunks(lambda *a: _student_moments(*a, inefficiency), -s * eps, sigma_v, sigma_u, degrees))


def _student_moments(target: np.ndarray, sigma_v: np.ndarray, sigma_u: np.ndarray, degrees: np.ndarray, inefficiency: str) -> np.ndarray:
    """Both moments, shape (2, n): those given λ, averaged over λ given ε. ``target`` is −sε."""
    log_terms, rule, (e, noise, scale) = _student_terms(-target, 1, sigma_v, sigma_u, degrees, inefficiency, NUMPY)
    weight = np.exp(log_terms - log_terms.max(axis=-1, keepdims=True)) * rule.slope
    weight /= weight.sum(axis=-1, keepdims=True)
    if inefficiency == "half-normal":
        given = densities.given_residual(e, 1, noise, scale, 0.0)
    else:
        given = densities.given_residual_exponential(e, 1, noise, scale)
    return (weight * _moments_of_truncated_normal(*given)).sum(axis=-1)


def _moments_of_truncated_normal(location: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """E[exp(−u)] and E[u] for u ~ N⁺(location, scale²), stacked. Battese & Coelli (1988), Journal of Econometrics 38(3)."""
    z = location / scale
    below = np.minimum(z, 0.0)
    scaled = special.erfcx((scale - below) / np.sqrt(2)) / special.erfcx(-below / np.sqrt(2))
    above = np.maximum(z, 0.0)
    direct = np.exp(scale * (0.5 * scale - above) + special.log_ndtr(above - scale) - special.log_ndtr(above))
    # E[u]/scale is z + φ/Φ; far below zero that cancels, and Laplace's continued fraction of the Mills ratio gives the rest.
    x = np.maximum(-z, 6.0)
    fraction = x
    for k in range(20, 1, -1):
        fraction = x + k / fraction
    near = np.maximum(z, -6.0)
    excess = np.where(z < -6.0, 1 / fraction, near + np.sqrt(2 / np.pi) / special.erfcx(-near / np.sqrt(2)))
    return np.stack([np.where(z < 0, scaled, direct), scale * excess])


def moments_of_power_normal(location: Any, scale: Any, power: Any) -> Moments:
    """E[exp(−u)] and E[u] for u > 0 with density ∝ u^(power−1)·N(u; location, scale²): gamma (power k), Rayleigh (power 2)."""
    return Moments(*_in_chunks(_power_normal_moments, location, scale, power))


def _power_normal_moments(location: np.ndarray, scale: np.ndarray, power: np.ndarray) -> np.ndarray:
    z = location / scale
    log_constant = log_power_normal(z, power)
    ratios = np.stack([log_power_normal(z - scale, power), log_power_normal(z, power + 1.0)]) - log_constant
    return np.exp(ratios) * np.stack([np.ones_like(scale), scale])


def draw_given_residual(
    uniforms: Any, eps: Any, s: int, sigma_v: Any, sigma_u: Any, *,
    shape: Any = None, degrees: Any = None, inefficiency: str = "half-normal",
) -> np.ndarray:  # fmt: skip
    """Quantiles of u | ε at ``uniforms`` in (0, 1): draws where these are random numbers. Arguments as :func:`moments_given_residual`.

    The distribution function at the result is the uniform within 1e-6 of it and of its complement, from 1e-6 to 1 − 1e-6; some 20 µs each.
    """
    _one_of(shape, degrees)
    if shape is not None:
        return draw_power_normal(uniforms, -s * eps - sigma_v**2 / sigma_u, sigma_v, shape)
    if inefficiency not in ("half-normal", "exponential"):
        raise SpecificationError(f"Student-t noise with inefficiency={inefficiency!r} does not exist. Choose: half-normal, exponential.")
    normal = inefficiency == "half-normal"
    return _in_chunks(lambda *a: _draw_student(*a, normal), uniforms, -s * np.asarray(eps), sigma_v, sigma_u, degrees)


def draw_power_normal(uniforms: Any, location: Any, scale: Any, power: Any) -> np.ndarray:
    """Quantiles at ``uniforms`` of u > 0 with density ∝ u^(power−1)·N(u; location, scale²), as exact as :func:`draw_given_residual`."""
    return _in_chunks(_draw_power_normal, uniforms, location, scale, power)


def _one_of(shape: Any, degrees: Any) -> None:
    if (shape is None) == (degrees is None):
        raise SpecificationError("Give either shape (gamma inefficiency) or degrees (Student-t noise).")


def _in_chunks(function: Callable[..., np.ndarray], *arguments: Any, size: int = 1024) -> np.ndarray:
    """Broadcast, flatten, and work in pieces that fit the cache. ``function`` maps arrays (n,) to (n,) or (m, n)."""
    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in arguments))
    flat = [a.ravel() for a in arrays]
    pieces = [function(*(f[i : i + size] for f in flat)) for i in range(0, max(flat[0].size, 1), size)]
    joined = np.concatenate(pieces, axis=-1)
    return joined.reshape(*joined.shape[:-1], *arrays[0].shape)


def _draw_power_normal(uniforms: np.ndarray, location: np.ndarray, scale: np.ndarray, power: np.ndarray) -> np.ndarray:
    z = location / scale
    mode, left, right = _power_peak(z, power, NUMPY)
    b = np.minimum(1.4 / np.sqrt(power + mode**2), 1.0)
    # Further out than what matters to the integral: small probabilities are to be right relative to themselves.
    low, high = -np.log(1 + 1.7 * left / b), 1.4 * right / b + 1.0
    b, power, centre = b[:, None], power[:, None], mode[:, None]

    def density(w: np.ndarray) -> np.ndarray:
        bend = np.exp(-w)
        x = b * (w - bend + 1.0)
        excess = np.expm1(x)
        return np.exp(power * (x - excess) - 0.5 * (centre * excess) ** 2) * (1.0 + bend)

    w = _invert(uniforms, density, low, high)
    return scale * mode * np.exp(b[:, 0] * (w - np.exp(-w) + 1.0))


def _draw_student(
    uniforms: np.ndarray, target: np.ndarray, sigma_v: np.ndarray, sigma_u: np.ndarray, degrees: np.ndarray, normal: bool
) -> np.ndarray:
    """u with density ∝ f(u)·t_ν((u − target)/σ_v), over w with u = c + σ_v·sinh(w) and c the target where it is positive."""
    # In units of σ_v.
    centre, ratio, degrees = target[:, None] / sigma_v[:, None], sigma_v[:, None] / sigma_u[:, None], degrees[:, None]
    c = np.maximum(centre, 0.0)

    def log_density(w: np.ndarray) -> np.ndarray:
        u = c + np.sinh(w)
        tail = -0.5 * (degrees + 1) * np.log1p((u - centre) ** 2 / degrees)
        return tail - (0.5 * (ratio * u) ** 2 if normal else ratio * u)

    low, high = np.arcsinh(-c[:, 0]), np.arcsinh((10.0 if normal else 50.0) / ratio[:, 0])
    low, high, largest = _support(log_density, low, high)
    w = _invert(uniforms, lambda w: np.exp(log_density(w) - largest) * np.cosh(w), low, high)
    return sigma_v * np.maximum(c[:, 0] + np.sinh(w), 0.0)


def _support(
    log_density: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the density exceeds exp(−40) of its peak, by zooming in on grids that keep a point to spare on either side; log of the peak."""
    rows = np.arange(len(low))
    for n in (64, 32, 32):
        grid = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, n)
        value = log_density(grid)
        largest = value.max(axis=1, keepdims=True)
        inside = value > largest - 40.0
        first, last = inside.argmax(axis=1) - 1, n - inside[:, ::-1].argmax(axis=1)
        low, high = grid[rows, np.maximum(first, 0)], grid[rows, np.minimum(last, n - 1)]
    return low, high, largest


_PANELS = 32
_GAUSS = np.polynomial.legendre.leggauss(8)


def _invert(uniforms: np.ndarray, density: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Quantiles of a density on [low, high], not normalised: Gauss–Legendre in panels, then Newton's method within the panel.

    Shapes (n,); ``density`` maps (n, m) to (n, m).
    """
    nodes, weights = 0.5 * (_GAUSS[0] + 1), 0.5 * _GAUSS[1]
    width, rows = (high - low) / _PANELS, np.arange(len(low))
    within = (np.arange(_PANELS)[:, None] + nodes).ravel()
    values = density(low[:, None] + width[:, None] * within)
    mass = (values.reshape(len(low), _PANELS, len(nodes)) @ weights) * width[:, None]
    total = np.cumsum(mass, axis=1)
    goal = uniforms * total[:, -1]
    panel = np.minimum((total < goal[:, None]).sum(axis=1), _PANELS - 1)
    own = mass[rows, panel]
    start, wanted = low + width * panel, goal - (total[rows, panel] - own)
    bottom, top = np.zeros_like(width), width
    step = width * np.clip(wanted / own, 0.0, 1.0)
    for _ in range(40):
        # The density at the nodes up to the present point, and at the point itself.
        values = density(start[:, None] + step[:, None] * np.append(nodes, 1.0))
        error = (values[:, :-1] @ weights) * step - wanted
        bottom, top = np.where(error < 0, step, bottom), np.where(error < 0, top, step)
        newton = step - error / np.maximum(values[:, -1], 1e-300)
        inside = (newton >= bottom) & (newton <= top)
        change = np.where(inside, newton, 0.5 * (bottom + top)) - step
        step = step + change
        # Newton's method is quadratic: the change after one of 1e-6 would be some 1e-12.
        if np.all(np.abs(change) <= 1e-6 * width):
            break
    return start + step

"""Log densities of ε = v − s·u with the inefficiency u integrated out, and the distribution of u given ε.

Every function takes residuals ε of a production (s = +1) or cost (s = −1) frontier and an :class:`Algebra`, so that NumPy, PyTensor and JAX
evaluate the same formula. Arguments broadcast. ``shared`` functions take residuals with time on the last axis and one u per unit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from bayes.frontier.algebra import NUMPY, Algebra
from bayes.frontier.normal import HALF_LOG_2PI, inverse_mills, log_mills, log_normal_cdf

_LOG_2 = 0.6931471805599453
_FLAT = 1e-200
"""Precision of u_i given the residuals where every h_it underflows: keeps an exponential u_i a truncated normal."""


class TruncatedNormal(NamedTuple):
    """u given ε, N⁺(location, scale²): a normal distribution cut off below zero."""

    location: Any
    scale: Any


# ── one u per row ───────────────────────────────────────────────────────────────────────────────────────────────────


def half_normal(eps: Any, s: int, sigma_v: Any, sigma_u: Any, xp: Algebra = NUMPY) -> Any:
    """u ~ N⁺(0, σ_u²). Aigner, Lovell & Schmidt (1977), Journal of Econometrics 6(1), eq. 8."""
    sigma = xp.sqrt(sigma_v**2 + sigma_u**2)
    z = -s * eps * sigma_u / (sigma_v * sigma)
    return _LOG_2 - HALF_LOG_2PI - xp.log(sigma) - 0.5 * (eps / sigma) ** 2 + log_normal_cdf(z, xp)


def exponential(eps: Any, s: int, sigma_v: Any, sigma_u: Any, xp: Algebra = NUMPY) -> Any:
    """u exponential with mean σ_u. Meeusen & van den Broeck (1977), International Economic Review 18(2), eq. 8.

    For z = −sε/σ_v − σ_v/σ_u < 0 the exponents are cancelled on paper: they would lose every digit when σ_u is small beside σ_v.
    """
    ratio = sigma_v / sigma_u
    z = -s * eps / sigma_v - ratio
    negative = z < 0
    below = -0.5 * (eps / sigma_v) ** 2 + log_mills(xp.where(negative, z, -1.0), xp)
    above = xp.where(negative, 0.0, s * eps / sigma_u + 0.5 * ratio**2) + log_normal_cdf(xp.where(negative, 0.0, z), xp)
    return -xp.log(sigma_u) + xp.where(negative, below, above)


def truncated_normal(eps: Any, s: int, sigma_v: Any, sigma_u: Any, mu: Any, xp: Algebra = NUMPY) -> Any:
    """u ~ N⁺(μ, σ_u²). Stevenson (1980), Journal of Econometrics 13(1), eq. 11; μ may be a regression (Battese & Coelli 1995)."""
    sigma = xp.sqrt(sigma_v**2 + sigma_u**2)
    a = mu / sigma_u
    b = (mu * sigma_v**2 - s * eps * sigma_u**2) / (sigma * sigma_v * sigma_u)
    negative = (a < 0) & (b < 0)
    mills = log_mills(xp.where(negative, b, -1.0), xp) - log_mills(xp.where(negative, a, -1.0), xp) - 0.5 * (eps / sigma_v) ** 2
    direct = log_normal_cdf(xp.where(negative, 0.0, b), xp) - log_normal_cdf(xp.where(negative, 0.0, a), xp)
    return -HALF_LOG_2PI - xp.log(sigma) + xp.where(negative, mills, direct - 0.5 * ((eps + s * mu) / sigma) ** 2)


def rayleigh(eps: Any, s: int, sigma_v: Any, sigma_u: Any, xp: Algebra = NUMPY) -> Any:
    """u Rayleigh with scale σ_u: density u/σ_u² exp(−u²/2σ_u²). Hajargasht (2015), Journal of Productivity Analysis 44(2)."""
    sigma = xp.sqrt(sigma_v**2 + sigma_u**2)
    z = -s * eps * sigma_u / (sigma_v * sigma)
    return xp.log(sigma_v) - 2 * xp.log(sigma) - 0.5 * (eps / sigma_v) ** 2 + log_partial_moment(z, xp)


def log_partial_moment(z: Any, xp: Algebra = NUMPY) -> Any:
    """log[φ(z) + zΦ(z)] + z²/2, elementwise, by a continued fraction where the two terms cancel."""
    tail = z < -6.0
    near, far = xp.where(tail, 0.0, z), xp.where(tail, z, -12.0)
    # φ + zΦ = φ·(1 + zΦ/φ); for z > 0 the Mills ratio grows like exp(z²/2), so the sum is taken in logs there.
    positive = near > 0
    up, down = xp.where(positive, near, 1.0), xp.where(positive, -1.0, near)
    body_up = log_mills(up, xp) + xp.log(up + inverse_mills(up, xp))
    body_down = -HALF_LOG_2PI + xp.log1p(down / inverse_mills(down, xp))
    return xp.where(tail, _log_moment_tail(far, xp), xp.where(positive, body_up, body_down))


def _log_moment_tail(z: Any, xp: Algebra) -> Any:
    """log of [φ(z) + zΦ(z)]/φ(z) − ½ log 2π for z < −6, by Laplace's continued fraction of the Mills ratio."""
    # m = 1/(x + 1/f) with x = −z and f = x + 2/(x + 3/(x + …)), hence 1 − x·m = 1/(x·f + 1). At x = 6, 20 terms are exact to 1e-15.
    x = -z
    fraction = x
    for k in range(20, 1, -1):
        fraction = x + k / fraction
    return -xp.log(x * fraction + 1.0) - HALF_LOG_2PI


# ── one u per unit ──────────────────────────────────────────────────────────────────────────────────────────────────


def shared_truncated_normal(
    eps: Any, s: int, sigma_v: Any, sigma_u: Any, mu: Any, h: Any, mask: Any = 1.0, xp: Algebra = NUMPY, half: bool = False
) -> Any:
    """u_it = h_it·u_i with u_i ~ N⁺(μ, σ_u²): log density of a unit's residuals, summed over the last axis.

    ``sigma_v`` and ``h`` broadcast against ``eps`` (…, T), ``sigma_u`` and ``mu`` against (…,); rows with ``mask`` 0 do not exist. ``half``
    says that μ = 0. Battese & Coelli (1992), Journal of Productivity Analysis 3, appendix; Kumbhakar (1990), Journal of Econometrics 46.
    """
    noise, precision, score = _unit_sums(eps, s, sigma_v, h, mask, xp)
    precision = precision + sigma_u**-2.0
    if half:
        return noise - xp.log(sigma_u) - 0.5 * xp.log(precision) + _LOG_2 + log_mills(score / xp.sqrt(precision), xp)
    score = score + mu * sigma_u**-2.0
    tilt = log_mills(score / xp.sqrt(precision), xp) - log_mills(mu / sigma_u, xp)
    return noise - xp.log(sigma_u) - 0.5 * xp.log(precision) + tilt


def shared_exponential(eps: Any, s: int, sigma_v: Any, sigma_u: Any, h: Any, mask: Any = 1.0, xp: Algebra = NUMPY) -> Any:
    """u_it = h_it·u_i with u_i exponential of mean σ_u: log density of a unit's residuals, summed over the last axis."""
    noise, precision, score = _unit_sums(eps, s, sigma_v, h, mask, xp)
    precision = precision + _FLAT
    z = (score - 1 / sigma_u) / xp.sqrt(precision)
    return noise - xp.log(sigma_u) + HALF_LOG_2PI - 0.5 * xp.log(precision) + log_mills(z, xp)


def _unit_sums(eps: Any, s: int, sigma_v: Any, h: Any, mask: Any, xp: Algebra) -> tuple[Any, Any, Any]:
    """Gaussian log density of the noise at u = 0, Σh²/σ_v² and −sΣhε/σ_v² over the last axis."""
    noise = xp.sum(mask * (-HALF_LOG_2PI - xp.log(sigma_v) - 0.5 * (eps / sigma_v) ** 2), axis=-1)
    weight = mask * h * sigma_v**-2.0
    return noise, xp.sum(weight * h + 0.0 * eps, axis=-1), -s * xp.sum(weight * eps, axis=-1)


# ── u given ε ───────────────────────────────────────────────────────────────────────────────────────────────────────


def given_residual(eps: Any, s: int, sigma_v: Any, sigma_u: Any, mu: Any, xp: Algebra = NUMPY) -> TruncatedNormal:
    """u | ε for u ~ N⁺(μ, σ_u²), one u per row. Jondrow, Lovell, Materov & Schmidt (1982), Journal of Econometrics 19, theorem 1."""
    variance = sigma_v**2 + sigma_u**2
    return TruncatedNormal((mu * sigma_v**2 - s * eps * sigma_u**2) / variance, sigma_v * sigma_u / xp.sqrt(variance))


def given_residual_exponential(eps: Any, s: int, sigma_v: Any, sigma_u: Any) -> TruncatedNormal:
    """u | ε for exponential u, one u per row; the same normal weighted by u^(k−1) for a gamma of shape k."""
    return TruncatedNormal(-s * eps - sigma_v**2 / sigma_u, sigma_v + 0.0 * eps)


def given_unit(
    eps: Any, s: int, sigma_v: Any, sigma_u: Any, mu: Any, h: Any, mask: Any = 1.0, exponential: bool = False, xp: Algebra = NUMPY
) -> TruncatedNormal:
    """u_i | all residuals of the unit, for u_it = h_it·u_i."""
    _, precision, score = _unit_sums(eps, s, sigma_v, h, mask, xp)
    if exponential:
        precision, score = precision + _FLAT, score - 1 / sigma_u
    else:
        precision, score = precision + sigma_u**-2.0, score + mu * sigma_u**-2.0
    return TruncatedNormal(score / precision, 1 / xp.sqrt(precision))

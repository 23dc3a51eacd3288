"""Inefficiency given the residuals: its distribution, its moments and exact draws, for every model.

With normal noise u given ε is a normal distribution truncated below at zero, or that times a power of u (Rayleigh, gamma). In units of its
scale it depends on z = location/scale alone. Moments and draws are exact for any z, also where location is many scales below zero. Moments
of a gamma and everything under Student-t noise come from :mod:`bayes.frontier.quadrature`. Parameters carry a leading axis of draws;
results have shape (draws, U, T) and mean nothing where rows are padded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

from bayes.errors import SpecificationError
from bayes.frontier import densities, quadrature
from bayes.frontier.aggregation import count_draws, draw_chunks, take
from bayes.frontier.data import FrontierData
from bayes.frontier.densities import TruncatedNormal, log_partial_moment
from bayes.frontier.likelihood import Parameters, residuals, row_parameters
from bayes.frontier.normal import HALF_LOG_2PI, inverse_mills, log_mills
from bayes.frontier.support import SHARED, WITH_UNIT_EFFECTS
from bayes.validation import one_of

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

COMPONENTS = ("overall", "persistent", "transient")
_FAR = -5.0
"""Below, ratios of Gaussian integrals are taken in forms that do not cancel; above, the plain ones are exact to 1e-14."""
_TINY = np.finfo(float).tiny
_BLOCK = 8192


class WeightedNormal(NamedTuple):
    """u given ε, density proportional to u^(power − 1)·N(location, scale²) on u > 0: Rayleigh (power 2), gamma (power its shape)."""

    location: Any
    scale: Any
    power: Any = 2


Given = TruncatedNormal | WeightedNormal


# ── the distribution of u given ε ───────────────────────────────────────────────────────────────────────────────────


def posterior_of_inefficiency(p: Parameters, spec: StochasticFrontier, data: FrontierData) -> Given:
    """u given the residuals, in each draw: shape (draws, U, T), or (draws, U) for models with one u_i per unit (u_it = h_it·u_i).

    With unit effects: the inefficiency of the row beside them. Jondrow, Lovell, Materov & Schmidt (1982), Journal of Econometrics 19(2/3);
    Battese & Coelli (1988), Journal of Econometrics 38(3). Raises :class:`SpecificationError` for Student-t noise: no closed form.
    """
    if spec.noise == "student-t":
        raise SpecificationError(
            "With noise='student-t' inefficiency has no closed form given the residuals: use log_mean_efficiency, mean_inefficiency or "
            "draw_inefficiency."
        )
    eps, rows, s = _residuals(p, spec, data), row_parameters(p, spec, data), spec.sign
    if spec.model in SHARED:
        mu = rows.mu[..., 0] if spec.inefficiency == "truncated-normal" else 0.0
        return densities.given_unit(
            eps, s, rows.sigma_v, rows.sigma_u[..., 0], mu, rows.h, data.mask, exponential=spec.inefficiency == "exponential"
        )
    if spec.inefficiency in ("exponential", "gamma"):
        given = densities.given_residual_exponential(eps, s, rows.sigma_v, rows.sigma_u)
        return WeightedNormal(*given, p["shape"][..., None, None]) if spec.inefficiency == "gamma" else given
    given = densities.given_residual(eps, s, rows.sigma_v, rows.sigma_u, rows.mu)
    return WeightedNormal(*given) if spec.inefficiency == "rayleigh" else given


def posterior_of_persistent_inefficiency(p: Parameters, spec: StochasticFrontier) -> TruncatedNormal:
    """h_i given the unit effect a_i = w_i − s·h_i of the four-component model, shape (draws, U).

    N⁺(−s·a·σ_h²/ω², σ_w²σ_h²/ω²) with ω² = σ_w² + σ_h². Colombi, Kumbhakar, Martini & Vittadini (2014), Journal of Productivity Analysis
    42(2).
    """
    return densities.given_residual(p["unit_effect"], spec.sign, p["unit_effect_sd"][..., None], p["persistent_scale"][..., None], 0.0)


# ── moments and draws by row ────────────────────────────────────────────────────────────────────────────────────────


def log_mean_efficiency(p: Parameters, spec: StochasticFrontier, data: FrontierData, component: str = "overall") -> np.ndarray:
    """log E[exp(−u) | ε] in each draw, shape (draws, U, T). Battese & Coelli (1988), Journal of Econometrics 38(3)."""

    def transient() -> np.ndarray:
        if spec.noise == "student-t":
            return np.log(np.maximum(_with_student_noise(p, spec, data, 0), _TINY))
        given, h = _by_row(p, spec, data)
        return log_mean_exponential(given, h)

    return _components(component, spec, data, transient, lambda: log_mean_exponential(_persistent_by_row(p, spec), 1.0))


def mean_inefficiency(p: Parameters, spec: StochasticFrontier, data: FrontierData, component: str = "overall") -> np.ndarray:
    """E[u | ε] in each draw, shape (draws, U, T). Jondrow, Lovell, Materov & Schmidt (1982), Journal of Econometrics 19(2/3)."""

    def transient() -> np.ndarray:
        if spec.noise == "student-t":
            return _with_student_noise(p, spec, data, 1)
        given, h = _by_row(p, spec, data)
        return h * mean(given)

    return _components(component, spec, data, transient, lambda: mean(_persistent_by_row(p, spec)))


def draw_inefficiency(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, rng: np.random.Generator, component: str = "overall"
) -> np.ndarray:
    """One exact draw of u given ε for each posterior draw, shape (draws, U, T): positive and finite.

    From the same generator, overall inefficiency of the four-component model is the sum of the persistent and the transient draw.
    """

    def transient() -> np.ndarray:
        if spec.noise == "student-t":
            return np.maximum(_with_student_noise(p, spec, data, rng), _TINY)
        given, h = _by_row(p, spec, data)
        return h * draw(given, rng)

    both = spec.model == "four-component" and component in COMPONENTS
    first = draw(_persistent_by_row(p, spec), rng) if both else None  # drawn whatever is asked for, so that the components match
    return _components(component, spec, data, transient, lambda: first)


def inefficiency_draws(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, seed: int = 0, component: str = "overall"
) -> np.ndarray:
    """Exact draws of u given ε for all rows, shape (draws, n_rows) in the order of ``panel.frame``."""
    rng = np.random.default_rng(seed)
    out = np.empty((count_draws(p), data.n_rows))
    for chunk in draw_chunks(out.shape[0], data.output.size):
        out[chunk] = data.in_rows(draw_inefficiency(take(p, chunk), spec, data, rng, component))
    return out


def require_component(spec: StochasticFrontier, component: str) -> None:
    """Raise :class:`SpecificationError` on a component that the model does not have."""
    one_of("component", component, COMPONENTS)
    if component != "overall" and spec.model != "four-component":
        raise SpecificationError(
            f"component={component!r} needs model='four-component': model={spec.model!r} has one inefficiency. Ask for component='overall'."
        )


# ── before anything is observed ─────────────────────────────────────────────────────────────────────────────────────


def expected_inefficiency(p: Parameters, spec: StochasticFrontier, data: FrontierData) -> np.ndarray:
    """E[u_it] under the model, given determinants but not residuals, shape (draws, U, T); transient only where there are two components."""
    rows = row_parameters(p, spec, data)
    match spec.inefficiency:
        case "half-normal":
            of_scale = np.sqrt(2 / np.pi) * rows.sigma_u
        case "exponential":
            of_scale = rows.sigma_u
        case "rayleigh":
            of_scale = np.sqrt(np.pi / 2) * rows.sigma_u
        case "gamma":
            of_scale = p["shape"][..., None, None] * rows.sigma_u
        case _:
            of_scale = mean(TruncatedNormal(rows.mu, rows.sigma_u))
    return np.broadcast_to(rows.h * of_scale, (count_draws(p), *data.output.shape))


def slope_of_expected_inefficiency(p: Parameters, spec: StochasticFrontier, data: FrontierData) -> np.ndarray:
    """∂E[u_it]/∂(z'δ), shape (draws, U, T): times δ it is the marginal effect of a determinant.

    E[u] itself where determinants scale u or σ_u. For a truncated normal with a = μ/σ_u, r₁ = E[u]/σ_u and r₂ = E[u²]/(σ_u·E[u]):
    σ_u·φ(a)/Φ(a)·r₁r₂ when they enter ln σ_u, σ_u·r₁(r₂ − r₁) when they enter the mean (Battese & Coelli 1995).
    """
    if spec.inefficiency != "truncated-normal" or spec.determinants_in == "scaling":
        return expected_inefficiency(p, spec, data)
    rows = row_parameters(p, spec, data)
    a = np.asarray(rows.mu / rows.sigma_u)
    first, second = _mean(a, 1), _mean(a, 2)
    factor = inverse_mills(a) * first * second if spec.determinants_in == "scale" else first * (second - first)
    return np.broadcast_to(rows.sigma_u * factor, (count_draws(p), *data.output.shape))


# ── one distribution ────────────────────────────────────────────────────────────────────────────────────────────────


def log_mean_exponential(given: Given, h: Any) -> np.ndarray:
    """log E[exp(−h·u)], elementwise with broadcasting. Relative error of the expectation below 1e-13 (gamma: 1e-10)."""
    z, g = np.broadcast_arrays(given.location / given.scale, h * np.asarray(given.scale))
    if _is_gamma(given):
        return _in_blocks(lambda z, g, k: quadrature.log_power_normal(z - g, k) - quadrature.log_power_normal(z, k), z, g, given.power)
    weighted = isinstance(given, WeightedNormal)
    integral, scaled = (_log_first_moment, log_partial_moment) if weighted else (special.log_ndtr, log_mills)
    far = z - g < _FAR
    out = np.asarray(g * (0.5 * g - z) + integral(np.where(far, 0.0, z - g)) - integral(np.where(far, 0.0, z)))
    if far.any():  # exp(g²/2 − gz) cancels against the scaled integrals on paper
        out[far] = scaled((z - g)[far]) - scaled(z[far])
    return out


def mean(given: Given) -> np.ndarray:
    """E[u], elementwise. Relative error below 1e-13 (gamma: 1e-10)."""
    z = np.asarray(given.location / given.scale)
    if _is_gamma(given):
        log_ratio = _in_blocks(lambda z, k: quadrature.log_power_normal(z, k + 1) - quadrature.log_power_normal(z, k), z, given.power)
        return given.scale * np.exp(log_ratio)
    return given.scale * _mean(z, 2 if isinstance(given, WeightedNormal) else 1)


def draw(given: Given, rng: np.random.Generator) -> np.ndarray:
    """One exact draw of each element, shape of location/scale; always positive and finite."""
    z = np.asarray(given.location / given.scale)
    if isinstance(given, WeightedNormal):
        standard = _draw_weighted(z, np.broadcast_to(given.power, z.shape), rng)
    else:
        standard = _draw_truncated(z, rng.standard_exponential(z.shape))
    return np.maximum(given.scale * standard, _TINY)


def _mean(z: np.ndarray, power: int) -> np.ndarray:
    """∫ t^power φ(t − z) dt / ∫ t^(power−1) φ(t − z) dt over t > 0, for power 1 (truncated normal) and 2 (weighted by t)."""
    far = z < _FAR
    near = np.where(far, 0.0, z)
    out = near + np.exp(-0.5 * near * near - HALF_LOG_2PI - special.log_ndtr(near))
    out = np.asarray(out if power == 1 else near + 1 / out)
    if far.any():  # z + φ/Φ would cancel: Laplace's continued fraction of the Mills ratio, entered at its power-th step
        x = -z[far]
        fraction = x
        for k in range(60, power, -1):
            fraction = x + k / fraction
        out[far] = power / fraction
    return out


def _log_first_moment(z: np.ndarray) -> np.ndarray:
    """log[φ(z) + zΦ(z)] for z that are not far below zero."""
    return np.log(np.exp(-0.5 * z * z - HALF_LOG_2PI) + z * special.ndtr(z))


def _draw_truncated(z: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Draws t of N(z, 1) truncated to t > 0, at which the log survival function is −e (e standard exponential).

    log Φ(z − t) = log Φ(z) − e, inverted in logs; far below zero t is solved for by Newton steps, because z − ndtri_exp(·) would cancel.
    """
    far = z < 2 * _FAR
    near = np.where(far, 0.0, z)
    out = np.asarray(near - special.ndtri_exp(special.log_ndtr(near) - e))
    if far.any():
        out[far] = _tail_quantile(-z[far], e[far])
    return np.maximum(out, _TINY)


def _tail_quantile(x: np.ndarray, e: np.ndarray) -> np.ndarray:
    """t with xt + t²/2 + log m(x) − log m(x + t) = e, where m is the Mills ratio: cumulative hazard of a normal tail that starts at x ≥ 10.

    The ratio's share is near log(1 + t/x); three Newton steps on the convex cumulative hazard reach the last digits.
    """
    slope = x + 1 / x
    t = 2 * e / (slope + np.sqrt(slope * slope + 2 * e))
    start = log_mills(-x)
    for _ in range(3):
        at = -(x + t)
        ratio = log_mills(at)
        t = t - (t * (x + 0.5 * t) + start - ratio - e) * np.exp(ratio + HALF_LOG_2PI)
    return t


def _draw_weighted(z: np.ndarray, power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws with density proportional to t^(power − 1)·φ(t − z) on t > 0, by rejection: proposals until every element has kept one."""
    at, k = z.ravel(), power.ravel()
    out, todo = np.empty(at.size), np.arange(at.size)
    while todo.size:
        t, log_keep = _proposals(at[todo], k[todo], rng)
        kept = -rng.standard_exponential(todo.size) <= log_keep
        out[todo[kept]] = t[kept]
        todo = todo[~kept]
    return np.maximum(out, _TINY).reshape(z.shape)


def _proposals(z: np.ndarray, k: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Proposals for t^(k−1)·φ(t − z) and the log of the probability of keeping each: on average 0.7 or more for k ≥ 1, 0.15 for k < 1.

    A gamma of shape k and rate λ with λ(λ + z) = k is kept with probability exp(−(t − k/λ)²/2). For z > 0 it would be too wide: with k ≥ 1
    N(m, 1) on t > 0, m the mode, is kept with ((t/m)·exp(1 − t/m))^(k−1); with k < 1 see :func:`_proposals_left_and_right`.
    """
    rate = 0.5 * (np.sqrt(z * z + 4 * k) + np.abs(z))
    rate = np.where(z > 0, k / rate, rate)  # the other root's reciprocal: no cancellation
    t = np.maximum(rng.standard_gamma(k) / rate, _TINY)
    log_keep = -0.5 * (t - k / rate) ** 2
    right = (z > 0) & (k >= 1)
    if right.any():
        over = k[right] - 1
        mode = 0.5 * (z[right] + np.sqrt(z[right] ** 2 + 4 * over))
        t[right] = _draw_truncated(mode, rng.standard_exponential(mode.size))
        share = t[right] / mode
        log_keep[right] = over * (np.log(share) + 1 - share)
    split = (z > 2) & (k < 1)
    if split.any():
        t[split], log_keep[split] = _proposals_left_and_right(z[split], k[split], rng)
    return t, log_keep


def _proposals_left_and_right(z: np.ndarray, k: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """For k < 1 and z > 2, where the density has a pole at zero and a hump at z: t^(k−1) alone below z/2, the normal alone above."""
    cut = 0.5 * z
    below = np.exp(k * np.log(cut) - np.log(k) - 0.5 * cut**2 - HALF_LOG_2PI)
    above = np.exp((k - 1) * np.log(cut)) * special.ndtr(cut)
    is_below = rng.random(z.size) * (below + above) < below
    left = np.maximum(cut * np.exp(-rng.standard_exponential(z.size) / k), _TINY)
    right = cut + _draw_truncated(cut, rng.standard_exponential(z.size))
    log_keep = np.where(is_below, 0.5 * (cut**2 - (left - z) ** 2), (k - 1) * np.log(right / cut))
    return np.where(is_below, left, right), log_keep


# ── models ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _components(
    component: str, spec: StochasticFrontier, data: FrontierData, transient: Callable[[], np.ndarray], persistent: Callable[[], Any]
) -> np.ndarray:
    """The component asked for; overall is the sum, of inefficiencies as of logs of efficiencies: h_i and u_it are independent given a_i."""
    require_component(spec, component)
    if spec.model != "four-component":
        return transient()
    if component == "persistent":
        values = persistent()
        return np.broadcast_to(values, (*values.shape[:-1], data.output.shape[1]))
    return transient() if component == "transient" else transient() + persistent()


def _residuals(p: Parameters, spec: StochasticFrontier, data: FrontierData) -> np.ndarray:
    """ε less the unit effect where the model has one."""
    eps = residuals(p["technology"], data)
    return eps - p["unit_effect"][..., None] if spec.model in WITH_UNIT_EFFECTS else eps


def _by_row(p: Parameters, spec: StochasticFrontier, data: FrontierData) -> tuple[Given, Any]:
    """Distribution of u_i or u_it with an axis for rows, and the path h_it that multiplies it."""
    given = posterior_of_inefficiency(p, spec, data)
    if spec.model not in SHARED:
        return given, 1.0
    location, scale = (np.asarray(v)[..., None] for v in given)
    h = row_parameters(p, spec, data).h
    return TruncatedNormal(location, scale), np.broadcast_to(h, (*location.shape[:-1], data.output.shape[1]))


def _persistent_by_row(p: Parameters, spec: StochasticFrontier) -> TruncatedNormal:
    given = posterior_of_persistent_inefficiency(p, spec)
    return TruncatedNormal(given.location[..., None], given.scale[..., None])


def _with_student_noise(p: Parameters, spec: StochasticFrontier, data: FrontierData, wanted: int | np.random.Generator) -> np.ndarray:
    """Under Student-t noise: E[exp(−u) | ε] (0), E[u | ε] (1), or draws from a generator."""
    rows, s = row_parameters(p, spec, data), spec.sign
    arguments = (_residuals(p, spec, data), rows.sigma_v, rows.sigma_u, p["degrees_of_freedom"][..., None, None])

    def evaluate(eps: np.ndarray, sigma_v: np.ndarray, sigma_u: np.ndarray, degrees: np.ndarray) -> np.ndarray:
        if isinstance(wanted, int):
            return quadrature.moments_given_residual(eps, s, sigma_v, sigma_u, degrees=degrees, inefficiency=spec.inefficiency)[wanted]
        uniforms = np.maximum(wanted.random(eps.size), _TINY)
        return quadrature.draw_given_residual(uniforms, eps, s, sigma_v, sigma_u, degrees=degrees, inefficiency=spec.inefficiency)

    return _in_blocks(evaluate, *arguments)


def _is_gamma(given: Given) -> bool:
    return isinstance(given, WeightedNormal) and not (np.ndim(given.power) == 0 and given.power == 2)


def _in_blocks(function: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray:
    """``function`` of the broadcast arguments, a block of elements at a time: quadrature has dozens of nodes for each."""
    arrays = np.broadcast_arrays(*arguments)
    flat, out = [a.ravel() for a in arrays], np.empty(arrays[0].size)
    for start in range(0, out.size, _BLOCK):
        out[start : start + _BLOCK] = function(*(a[start : start + _BLOCK] for a in flat))
    return out.reshape(arrays[0].shape)

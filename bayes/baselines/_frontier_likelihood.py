"""The frontier's log likelihood as a function of free coordinates, with exact gradient and Hessian by automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayes.baselines._frontier_effects import Rule, integrand, log_integral
from bayes.frontier import likelihood
from bayes.frontier.algebra import NUMPY, Algebra, jax_algebra
from bayes.frontier.data import FrontierData
from bayes.frontier.normal import inverse_mills
from bayes.frontier.support import SHARED, WITH_UNIT_EFFECTS

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

_ROOT_2_OVER_PI = np.sqrt(2 / np.pi)


@dataclass(frozen=True)
class Structure:
    """What shapes the likelihood of a specification, without its columns: equal structures share compiled code.

    It answers to the names that :mod:`bayes.frontier.likelihood` asks a specification for.
    """

    model: str
    inefficiency: str
    noise: str = "normal"
    determinants: int = 0
    determinants_in: str = "scaling"
    noise_determinants: int = 0
    sign: Any = None

    @classmethod
    def of(cls, spec: StochasticFrontier) -> Structure:
        place = spec.determinants_in if spec.determinants else "scaling"
        return cls(spec.model, spec.inefficiency, spec.noise, len(spec.determinants), place, len(spec.noise_determinants))

    def general(self) -> tuple[Structure, frozenset[str]]:
        """The structure that is compiled, and its blocks that are held at their null values: where inefficiency is shared by a unit's rows,
        nested models are its special cases, at little more cost."""
        held, out = set(), self
        if self.model == "time-invariant":
            out, held = replace(out, model="bc92"), held | {"decay"}
        if self.model in SHARED and self.inefficiency == "half-normal":
            out, held = replace(out, inefficiency="truncated-normal"), held | {"location"}
        return out, frozenset(held)

    @property
    def blocks(self) -> dict[str, int]:
        """Coordinates after those of the technology: name of the block and how many."""
        present = {
            "noise": 1,
            "inefficiency": 1,
            "location": int(self.inefficiency == "truncated-normal"),
            "shape": int(self.inefficiency == "gamma"),
            "degrees": int(self.noise == "student-t"),
            "decay": int(self.model == "bc92"),
            "path": 2 * int(self.model == "kumbhakar-1990"),
            "determinant": self.determinants,
            "noise_determinant": self.noise_determinants,
            "unit_effect": int(self.model in WITH_UNIT_EFFECTS),
            "persistent": int(self.model == "four-component"),
        }
        return {name: size for name, size in present.items() if size}


class Rows(NamedTuple):
    """Arrays of one fit (K terms, U units, T rows): everything that kernels read from :class:`FrontierData`, for one region.

    Units added to reach a common shape have ``unit_weight`` 0. ``origin``, ``directions`` and ``log_scale`` come from least squares:
    coefficients are origin + directions·θ, and scales are measured from that of the residuals, so that θ is of order 1.
    """

    output: Any
    design: Any
    mask: Any
    determinants: Any
    noise_determinants: Any
    since_last: Any
    since_first: Any
    unit_weight: Any
    sign: Any
    origin: Any
    directions: Any
    log_scale: Any

    @property
    def is_full(self) -> bool:
        return False

    @property
    def terms(self) -> range:
        return range(self.design.shape[0])

    @property
    def unit_region(self) -> np.ndarray:
        return np.zeros(self.output.shape[0], dtype=int)

    @property
    def n_rows(self) -> int:
        return int((self.mask * self.unit_weight[:, None]).sum())


def rows_of(data: FrontierData, sign: int, units: np.ndarray | None = None, n_units: int = 0) -> Rows:
    """The chosen units (all by default) as :class:`Rows`, filled up to ``n_units``."""
    units = np.arange(data.n_units) if units is None else units
    spare = max(n_units - units.size, 0)

    def take(values: np.ndarray, fill: float = 0.0) -> np.ndarray:
        chosen = np.asarray(values[..., units, :], dtype=float)
        return np.concatenate([chosen, np.full((*chosen.shape[:-2], spare, chosen.shape[-1]), fill)], axis=-2)

    kept = data.mask[units] > 0
    origin, directions, scale = _least_squares(data.design[:, units][:, kept].T, data.output[units][kept])
    weight = np.r_[np.ones(units.size), np.zeros(spare)]
    return Rows(
        take(data.output), take(data.design), take(data.mask, 1.0), take(data.determinants), take(data.noise_determinants),
        take(data.since_last), take(data.since_first, 1.0), weight, float(sign), origin, directions, np.log(scale),
    )  # fmt: skip


def in_blocks(rows: Rows, size: int) -> tuple[Rows, ...]:
    """Rows of ``size`` units each, the last filled up with units of weight 0 (copies of the first one)."""
    n_units = rows.output.shape[0]
    by_unit = ("output", "design", "mask", "determinants", "noise_determinants", "since_last", "since_first")
    out = []
    for start in range(0, n_units, size):
        units = np.arange(start, start + size)
        chosen = np.where(units < n_units, units, 0)
        weight = rows.unit_weight[chosen] * (units < n_units)
        out.append(rows._replace(unit_weight=weight, **{name: getattr(rows, name)[..., chosen, :] for name in by_unit}))
    return tuple(out)


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients, directions in which they are uncorrelated with unit information per row, and the scale of residuals."""
    q, r = np.linalg.qr(x)
    beta = np.linalg.solve(r, q.T @ y)
    scale = float(np.sqrt(np.mean((y - x @ beta) ** 2)))
    return beta, scale * np.sqrt(len(y)) * np.linalg.inv(r), scale


def split(theta: Any, n_terms: int, structure: Structure) -> dict[str, Any]:
    """Coordinates by block; the technology's are the first ``n_terms``."""
    out, start = {"technology": theta[:n_terms]}, n_terms
    for name, size in structure.blocks.items():
        out[name] = theta[start : start + size]
        start += size
    return out


def parameters(theta: Any, structure: Structure, rows: Rows, xp: Algebra = NUMPY) -> dict[str, Any]:
    """Coordinates θ as the parameters of :mod:`bayes.frontier.likelihood`, for one region.

    The intercept is counted from mean output: it then moves little with the distribution of inefficiency.
    """
    c = split(theta, rows.design.shape[0], structure)
    p: dict[str, Any] = {"noise_scale": xp.exp(rows.log_scale + c["noise"])}
    p["inefficiency_scale"], mean = _scale_and_mean(c, structure, rows, xp)
    if "location" in c:
        p["location_ratio"] = c["location"][0]
    if "shape" in c:
        p["shape"] = xp.exp(c["shape"][0])
    if "degrees" in c:
        p["degrees_of_freedom"] = xp.exp(c["degrees"][0])
    if "decay" in c:
        p["decay"] = c["decay"][0] / time_span(rows, xp)
    if "path" in c:
        p["path"] = c["path"] / xp.stack([time_span(rows, xp), time_span(rows, xp) ** 2])
    p |= {name: c[name] for name in ("determinant", "noise_determinant") if name in c}
    h = likelihood.path(p, structure, rows, xp)
    level = mean * (h if isinstance(h, float) else xp.sum(h * rows.mask) / xp.sum(rows.mask))
    if "unit_effect" in c:
        p["unit_effect_sd"] = xp.exp(rows.log_scale + c["unit_effect"][0])
    if "persistent" in c:
        p["persistent_scale"] = xp.exp(rows.log_scale + c["persistent"][0])
        level = level + _ROOT_2_OVER_PI * p["persistent_scale"]
    beta = rows.origin + xp.sum(rows.directions * c["technology"], axis=-1)
    intercept = np.arange(rows.design.shape[0]) == 0
    p["technology"] = (beta + rows.sign * level * intercept)[None]
    return p


def _scale_and_mean(c: dict[str, Any], structure: Structure, rows: Rows, xp: Algebra) -> tuple[Any, Any]:
    """σ_u, shape (1,), and the mean of u.

    The coordinate is the logarithm of a spread of u that stays finite when a truncated normal slides to the exponential (μ → −∞, σ_u → ∞),
    and does not move with the shape of a gamma.
    """
    spread = xp.exp(rows.log_scale + c["inefficiency"])
    match structure.inefficiency:
        case "half-normal":
            return spread, spread[0] * _ROOT_2_OVER_PI
        case "rayleigh":
            return spread, spread[0] / _ROOT_2_OVER_PI
        case "gamma":
            root = xp.exp(0.5 * c["shape"])
            return spread / root, (spread * root)[0]
        case "truncated-normal":
            a = c["location"]
            scale = spread * (0.5 + xp.sqrt(0.25 + 0.25 * a * a) - 0.5 * a)
            return scale, (scale * (a + inverse_mills(a, xp)))[0]
        case _:
            return spread, spread[0]


def time_span(rows: Rows, xp: Algebra = NUMPY) -> Any:
    """Periods from the first to the last of the panel, at least 1: paths are measured over it."""
    return xp.maximum(xp.max(rows.since_first) - 1.0, 1.0)


@cache
def derivatives(structure: Structure, quickly: bool) -> Callable[[Any, Rows, Rule | None], tuple[Any, Any, Any]]:
    """Compiled log likelihood with gradient and Hessian as a function of θ, rows, and the rule that integrates unit effects out.

    ``quickly``: spend less on compiling, which on a few thousand densities takes longer than all evaluations.
    """
    import jax

    xp = jax_algebra()

    def log_likelihood(theta: Any, rows: Rows, rule: Rule | None) -> Any:
        signed = replace(structure, sign=rows.sign)
        p = parameters(theta, signed, rows, xp)
        if rule is None:
            by_unit = likelihood.log_likelihood_of_units(p, signed, rows, xp)
        else:
            by_unit = log_integral(integrand(rule.nodes, p, signed, rows, xp) + rule.log_weights, xp)
        return xp.sum(by_unit * rows.unit_weight)

    def value_gradient_hessian(theta: Any, rows: Rows, rule: Rule | None) -> tuple[Any, Any, Any]:
        def gradient(t: Any) -> Any:
            value, slope = jax.value_and_grad(log_likelihood)(t, rows, rule)
            return slope, (value, slope)

        hessian, (value, slope) = jax.jacfwd(gradient, has_aux=True)(theta)
        return value, slope, hessian

    return jax.jit(value_gradient_hessian, compiler_options={"xla_backend_optimization_level": 0} if quickly else None)

"""Synthetic frontier panels, and their likelihood by brute force: scipy's densities and adaptive quadrature, nothing of the package."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import integrate, special, stats

from bayes.baselines._frontier_result import FrontierMLE
from bayes.frontier.model import StochasticFrontier
from bayes.panel import Panel

SHARED = ("time-invariant", "bc92", "kumbhakar-1990")


def spec(model: str = "pooled", **options) -> StochasticFrontier:
    """Cobb–Douglas in k and l without time, one technology."""
    chosen = {"technology": "cobb-douglas", "technical_change": "none", "pooling": "complete"} | options
    return StochasticFrontier(output="y", inputs=["k", "l"], model=model, **chosen)


def simulated(
    seed: int = 3, n_units: int = 24, n_periods: int = 5, model: str = "pooled", inefficiency: str = "half-normal", sign: int = 1,
    sigma_u: float = 0.4, sigma_v: float = 0.15, persistent: float = 0.3, slope: float = 0.0, noise_slope: float = 0.0,
    location: float = 0.0, gaps: bool = True,
) -> Panel:  # fmt: skip
    """A synthetic panel: y = 1 + .4k + .5l + v − s·u, regions A and B, determinants z of ln σ_u (``slope``) and n of ln σ_v."""
    rng = np.random.default_rng(seed)
    unit, year = np.repeat(np.arange(n_units), n_periods), np.tile(2001 + np.arange(n_periods), n_units)
    k, labour, z, n = rng.normal(2, 0.6, unit.size), rng.normal(1, 0.5, unit.size), rng.normal(1, 1, unit.size), rng.normal(0, 2, unit.size)
    size = n_units if model in SHARED else unit.size
    draws = {
        "half-normal": stats.halfnorm(scale=sigma_u),
        "exponential": stats.expon(scale=sigma_u),
        "rayleigh": stats.rayleigh(scale=sigma_u),
        "gamma": stats.gamma(2.0, scale=sigma_u / 2),
        "truncated-normal": stats.truncnorm(-location / sigma_u, np.inf, location, sigma_u),
    }[inefficiency]
    u = draws.rvs(size, random_state=rng)
    if model in SHARED:
        path = {
            "time-invariant": 1.0,
            "bc92": np.exp(-0.15 * (year - year.max())),
            "kumbhakar-1990": 1 / (1 + np.exp(1 - 0.6 * (year - 2000))),
        }
        u = u[unit] * path[model]
    effect = rng.normal(0, 0.2, n_units)
    if model == "four-component":
        effect = effect - sign * np.abs(rng.normal(0, persistent, n_units))
    y = 1 + 0.4 * k + 0.5 * labour + rng.normal(0, sigma_v, unit.size) * np.exp(noise_slope * n) - sign * u * np.exp(slope * z)
    y = y + (effect[unit] if model in ("true-random-effects", "four-component") else 0.0)
    frame = pd.DataFrame({"unit": unit, "year": year, "region": np.where(unit % 2, "A", "B"), "y": y, "k": k, "l": labour, "z": z, "n": n})
    return Panel.from_frame(
        frame[rng.random(unit.size) > 0.1] if gaps else frame, unit="unit", time="year", region="region", name="synthetic"
    )


class BruteForce:
    """The likelihood of a fit's specification on its rows, as a function of the parameters that the fit reports."""

    def __init__(self, fit: FrontierMLE) -> None:
        self.fit, self.spec, self.data = fit, fit.spec, fit.data
        estimates = fit.estimates().frame
        derived = ("mean_determinant", "location") if self.spec.determinants_in != "mean" else ("determinant", "location_ratio")
        used = ~estimates.estimand.isin(derived)
        self.names = list(zip(estimates.estimand[used], estimates.term[used], strict=True))
        self.estimates, self.errors = estimates.estimate[used].to_numpy(), estimates.se[used].to_numpy()
        self.mask = self.data.mask > 0

    def log_likelihood(self, values: np.ndarray) -> float:
        return float(self._log_expectation(values, lambda u: np.ones_like(u)).sum())

    def efficiency(self) -> np.ndarray:
        """E[exp(−u) | ε] of each row, for models without unit effects."""
        h = self._parts(self.estimates)[3] if self.spec.model in SHARED else None
        one = self._log_expectation(self.estimates, lambda u: np.ones_like(u))
        if h is None:
            out = np.zeros(self.mask.shape)
            out[self.mask] = np.exp(self._log_expectation(self.estimates, lambda u: np.exp(-u)) - one)
            return self.data.in_rows(out)
        columns = [np.exp(self._log_expectation(self.estimates, lambda u, t=t: np.exp(-h[:, t] * u)) - one) for t in range(h.shape[1])]
        return self.data.in_rows(np.column_stack(columns))

    def _parts(self, values: np.ndarray):
        """ε (U, T), σ_v, a function that gives the density of u, and the path h."""
        p = dict(zip(self.names, values, strict=True))
        data, s = self.data, self.spec
        beta = np.array([p["technology", name] for name in data.term_names])
        eps = data.output - np.tensordot(beta, data.design, 1)
        z, n = (
            sum(
                (p.get((what, name), 0.0) * c * scale for name, c, scale in zip(columns, standard, scales, strict=True)),
                np.zeros(eps.shape),
            )
            for what, columns, standard, scales in (
                (
                    "mean_determinant" if s.determinants_in == "mean" else "determinant",
                    s.determinants,
                    data.determinants,
                    data.determinant_scale,
                ),
                ("noise_determinant", s.noise_determinants, data.noise_determinants, data.noise_determinant_scale),
            )
        )
        sigma_v, sigma_u = p["noise_scale", ""] * np.exp(n), p["inefficiency_scale", ""]
        mu = p.get(("location", ""), p.get(("location_ratio", ""), 0.0) * sigma_u)
        h = np.ones(eps.shape)
        if s.model == "bc92":
            h = np.exp(-p["decay", ""] * (data.period - data.period.max(axis=1, keepdims=True)))
        elif s.model == "kumbhakar-1990":
            t = data.period - data.period.min() + 1.0
            h = special.expit(-p["path_linear", ""] * t - p["path_quadratic", ""] * t**2)
        if s.model in SHARED:
            return eps, sigma_v, self._density(p, sigma_u, mu), h * np.exp(z)
        if s.determinants_in == "mean" and s.determinants:
            return eps, sigma_v, self._density(p, sigma_u, mu + z), h
        stretch = np.exp(z)
        return eps, sigma_v, self._density(p, sigma_u * stretch, mu * (stretch if s.determinants_in == "scaling" else 1.0)), h

    def _density(self, p, sigma_u, mu):
        match self.spec.inefficiency:
            case "half-normal":
                return lambda u: 2 * np.exp(_normal(u, sigma_u))
            case "exponential":
                return lambda u: np.exp(-u / sigma_u) / sigma_u
            case "rayleigh":
                return lambda u: u / sigma_u**2 * np.exp(-0.5 * (u / sigma_u) ** 2)
            case "gamma":
                return stats.gamma(p["shape", ""], scale=sigma_u).pdf
            case _:
                return lambda u: np.exp(_normal(u - mu, sigma_u) - special.log_ndtr(mu / sigma_u))

    def _log_expectation(self, values: np.ndarray, weight) -> np.ndarray:
        """log ∫ weight(u)·density of the data and u, for each row, or for each unit where its rows share u or an effect."""
        eps, sigma_v, density, h = self._parts(values)
        s, p = self.spec.sign, dict(zip(self.names, values, strict=True))
        if self.spec.model in SHARED:

            def of_unit(u):
                return (_normal(eps + s * h * u, sigma_v) * self.mask).sum(axis=1)

            top = np.max([of_unit(u) for u in np.linspace(0, 4, 100)], axis=0)  # the adaptive rule then sees numbers of order one
            return top + np.log(_integral(lambda u: weight(u) * density(u) * np.exp(of_unit(u) - top)))
        if self.spec.model == "pooled":
            of_noise = stats.t(p["degrees_of_freedom", ""], scale=sigma_v).logpdf if self.spec.noise == "student-t" else None

            def joint(u):
                noise = _normal(eps + s * u, sigma_v) if of_noise is None else of_noise(eps + s * u)
                return (np.exp(noise) * density(u + 0 * eps) * weight(u))[self.mask]

            return np.log(_integral(joint))
        return self._with_effects(eps, sigma_v, p)

    def _with_effects(self, eps, sigma_v, p) -> np.ndarray:
        """Normal plus half-normal is skew-normal (rows, and the effect of four components); scipy knows normal plus exponential too."""
        s, u, w = self.spec.sign, p["inefficiency_scale", ""], p["unit_effect_sd", ""]
        h = p.get(("persistent_scale", ""), 0.0)
        exponential = stats.exponnorm(u / sigma_v, scale=sigma_v).logpdf if self.spec.inefficiency == "exponential" else None

        def of_unit(a):
            row = _skew_normal(eps - a, -s * u, sigma_v) if exponential is None else exponential(-s * (eps - a))
            return (row * self.mask).sum(axis=1)

        top = np.max([of_unit(a) for a in np.linspace(-1.5, 1.5, 61)], axis=0)
        return top + np.log(_integral(lambda a: np.exp(_skew_normal(a, -s * h, w) + of_unit(a) - top), -3.0, 3.0))


def _normal(x, scale):
    return -0.5 * (x / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


def _skew_normal(x, lean, scale):
    """Log density of N(0, scale²) plus half-normal of scale |lean| on the side of its sign. Azzalini (1985), Scandinavian Journal of
    Statistics 12."""
    width = np.hypot(lean, scale)
    return np.log(2) + _normal(x, width) + special.log_ndtr(lean / scale * x / width)


def _integral(f, low: float = 0.0, high: float = 30.0) -> np.ndarray:
    """Adaptive, in two parts: where most of the integrand is, and the rest."""
    middle = 0.0 if low < 0 else 0.5
    return sum(integrate.quad_vec(f, a, b, epsabs=1e-12, epsrel=1e-11)[0] for a, b in ((low, middle), (middle, high)))

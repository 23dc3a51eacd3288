"""Criticism of a fit: replicated outcomes against the observed, and leave-one-unit-out predictive densities."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayes.arguments import checked_methods
from bayes.did.rows import Rows
from bayes.did.unit_algebra import prepared
from bayes.errors import InfluentialUnitsWarning, SpecificationError, warn_user

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit

_WHAT = "Replication and leave-one-out"
_FEWEST_DRAWS = 25
"""The Pareto tail of importance sampling is fitted to a fifth of the draws, and to at least five."""


@checked_methods
@dataclass(frozen=True)
class PredictiveCheck:
    """Observed and replicated outcomes, aligned by row: ``observed`` (rows,), ``replicated`` (draws, rows); ``unit``, ``period`` codes."""

    observed: np.ndarray
    replicated: np.ndarray
    unit: np.ndarray
    period: np.ndarray

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """Statistics of the outcome net of unit and period means: observed, predictive mean and interval, P(replicate ≥ observed)."""
        observed = statistics(self.observed[None], self.unit, self.period)
        replicated = statistics(self.replicated, self.unit, self.period)
        tail = (1 - level) / 2
        rows = []
        for name, values in replicated.items():
            lower, upper = np.quantile(values, [tail, 1 - tail])
            rows.append((name, float(observed[name][0]), values.mean(), lower, upper, float((values >= observed[name][0]).mean())))
        return pd.DataFrame(rows, columns=["statistic", "observed", "mean", "lower", "upper", "p_value"])


def statistics(y: np.ndarray, unit: np.ndarray, period: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of outcomes (draws, rows) net of unit means and then period means, each (draws,)."""
    within = _demean(_demean(y, unit), period)
    sd = within.std(axis=1)
    pairs = np.flatnonzero((np.diff(unit) == 0) & (np.diff(period) == 1))
    standard = within / sd[:, None]
    unit_sd = np.sqrt(_group_mean(within**2, unit))
    out = {
        "standard deviation": sd,
        "skewness": (standard**3).mean(axis=1),
        "kurtosis": (standard**4).mean(axis=1),
        "largest unit sd / median unit sd": unit_sd.max(axis=1) / np.median(unit_sd, axis=1),
    }
    if pairs.size:
        out["autocorrelation at lag 1"] = (within[:, pairs] * within[:, pairs + 1]).sum(axis=1) / (within[:, pairs] ** 2).sum(axis=1)
    return out


def _group_mean(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) != 0])
    return np.add.reduceat(values[:, order], starts, axis=1) / np.diff(np.r_[starts, codes.size])


def _demean(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    _, dense = np.unique(codes, return_inverse=True)
    return values - _group_mean(values, codes)[:, dense]


def _draws(fit: DiDFit) -> int:
    return fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]


def predictive_check(fit: DiDFit, draws: int = 200, seed: int = 0) -> PredictiveCheck:
    """Replicate outcomes of the same units from ``draws`` equally spaced posterior draws: their own unit effects, new errors."""
    keep = np.unique(np.linspace(0, _draws(fit) - 1, min(draws, _draws(fit))).astype(int))
    algebra, h, mean = prepared(fit, keep, _WHAT)
    rng = np.random.default_rng([seed, 3])
    rows, scale_y = algebra.rows, fit._collapsed.scales[-1]
    f, lower, scale = algebra.factor(h)
    y = algebra.projections(rows.outcome / scale_y - mean, f, lower, scale)
    replicated = mean + algebra.unit_part(algebra.drawn_unit_effects(y, lower, scale, h, rng))
    replicated += simulate_errors(rows, h.innovation_sd, h.autocorrelation, rng)
    return PredictiveCheck(rows.outcome, replicated * scale_y, rows.unit, fit.panel.period_codes)


def simulate_errors(rows: Rows, innovation_sd: np.ndarray, rho: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stationary AR(1) errors of every row, shape (draws, rows)."""
    noise = rng.standard_normal((innovation_sd.size, rows.gap.size)) * (innovation_sd / np.sqrt(1 - rho**2))[:, None]
    position = np.arange(rows.gap.size) - rows.starts[rows.unit]
    for k in range(1, int(position.max()) + 1):
        now = np.flatnonzero(position == k)
        power = rho[:, None] ** rows.gap[now]
        noise[:, now] = power * noise[:, now - 1] + np.sqrt(1 - power**2) * noise[:, now]
    return noise


def unit_log_likelihood(fit: DiDFit) -> np.ndarray:
    """log p(y_i | period effects, covariates, cells, scales) with α_i flat and b_i integrated, shape (draws, units)."""
    algebra, h, mean = prepared(fit, np.arange(_draws(fit)), _WHAT)
    rows, scale_y = algebra.rows, fit._collapsed.scales[-1]
    f, lower, scale = algebra.factor(h)
    residual = rows.outcome / scale_y - mean
    quadratic = algebra.quadratic(residual, f) - sum(y**2 for y in algebra.projections(residual, f, lower, scale))
    variance = h.innovation_sd[:, None] ** 2
    rho = h.autocorrelation[:, None]
    log_r = -np.log1p(-(rho**2))
    for j, gap in enumerate(algebra.gaps.tolist()):
        if gap > 1:
            log_r = log_r + algebra.gap_counts[:, j] * np.log(sum(rho ** (2 * i) for i in range(gap)))
    log_p = 2 * sum(np.log(lower[a][a]) for a in range(len(lower)))
    free = algebra.n_dates - 1
    return -0.5 * (free * np.log(2 * np.pi * variance * scale_y**2) + log_r + log_p + quadratic / variance)


def leave_one_unit_out(fit: DiDFit):
    """PSIS-LOO over units (Vehtari, Gelman & Gabry 2017) as ArviZ ``ELPDData`` with pointwise values and Pareto k̂."""
    shape = (fit.posterior.sizes["chain"], fit.posterior.sizes["draw"], -1)
    result = psis_loo(unit_log_likelihood(fit).reshape(shape), fit.posterior[["innovation_sd"]])
    k = np.asarray(result.pareto_k)
    influential = fit.panel.units[k > result.good_k]
    if influential.size:
        warn_user(
            f"Leave-one-unit-out is unreliable for {influential.size} units with Pareto k̂ > {result.good_k:.2f} "
            f"({', '.join(map(str, influential[:5]))}{' …' if influential.size > 5 else ''}): each moves the posterior by itself. "
            "Refit without them to see how much.",
            InfluentialUnitsWarning,
        )
    return result


def psis_loo(log_likelihood: np.ndarray, posterior: xr.Dataset | None = None):
    """ArviZ's PSIS-LOO of pointwise values (chains, draws, members). ``posterior`` tells how autocorrelated draws are; None: not at all."""
    import arviz_stats as az

    if log_likelihood.shape[0] * log_likelihood.shape[1] < _FEWEST_DRAWS:
        raise SpecificationError(f"Leave-one-out needs at least {_FEWEST_DRAWS} draws in all, got {log_likelihood.shape[:2]}.")
    values = xr.Dataset({"unit": (("chain", "draw", "member"), log_likelihood)})
    groups = {"log_likelihood": values, "posterior": posterior if posterior is not None else values.isel(member=0, drop=True)}
    with warnings.catch_warnings():
        # ArviZ warns without naming units; ours does.
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto", category=UserWarning)
        return az.loo(xr.DataTree.from_dict(groups), var_name="unit", pointwise=True, reff=None if posterior is not None else 1.0)

"""Criticism of a fit: replicated outcomes against the observed, and leave-one-unit-out predictive densities."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes.did.cross_products import coefficients
from bayes.did.draws import hyperparameters
from bayes.did.likelihood import factor_patterns
from bayes.did.posterior import Hyperparameters
from bayes.did.rows import Rows, row_design
from bayes.errors import InfluentialUnitsWarning, SpecificationError

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit

_MAX_NUMBERS = 200_000_000
"""Largest rows × draws array that is worked through; beyond it thin the draws or use fewer rows."""


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


@dataclass(frozen=True)
class _UnitAlgebra:
    """Row-level pieces of the unit-wise quadratic forms: R_f Z per row (F, rows, q), Z'R_f Z per unit (F, units, q, q), gaps per unit."""

    rows: Rows
    gaps: np.ndarray
    rz: np.ndarray
    zz: np.ndarray
    gap_counts: np.ndarray
    n_dates: np.ndarray

    @classmethod
    def of(cls, rows: Rows, gaps: np.ndarray) -> _UnitAlgebra:
        rz = _row_structure(rows.unit_columns, rows.gap, gaps)
        zz = np.add.reduceat(rz[..., :, None] * rows.unit_columns[:, None, :], rows.starts, axis=1)
        counts = np.stack([np.add.reduceat((rows.gap == g).astype(float), rows.starts) for g in gaps], axis=1)
        return cls(rows, gaps, rz, zz, counts, np.diff(np.r_[rows.starts, rows.unit.size]))

    def factor(self, h: Hyperparameters):
        f = coefficients(h.autocorrelation, self.gaps)
        by_unit = np.einsum("fn,fuab->abnu", f, self.zz)
        scale = [1.0, *[(h.unit_sds[:, a] / h.innovation_sd)[:, None] for a in range(self.zz.shape[-1] - 1)]]
        return f, factor_patterns(by_unit, scale), scale

    def projections(self, residual: np.ndarray, f: np.ndarray, lower: list[list], scale: list) -> list[np.ndarray]:
        """L⁻¹ S Z'R̃⁻¹ r per draw and unit, q arrays (draws, units); ``residual`` is (draws, rows)."""
        out: list[np.ndarray] = []
        for a in range(len(lower)):
            weights = f.T @ self.rz[:, :, a]
            y = np.add.reduceat(weights * residual, self.rows.starts, axis=1) * scale[a]
            for b in range(a):
                y = y - lower[a][b] * out[b]
            out.append(y / lower[a][a])
        return out

    def quadratic(self, residual: np.ndarray, f: np.ndarray) -> np.ndarray:
        """r'R̃⁻¹r per draw and unit."""
        total = f[0][:, None] * residual**2
        for j, gap in enumerate(self.gaps):
            right = np.flatnonzero(self.rows.gap == gap)
            pair = f[1 + j][:, None] * (residual[:, right] ** 2 + residual[:, right - 1] ** 2)
            total[:, right] += pair + 2 * f[1 + self.gaps.size + j][:, None] * residual[:, right] * residual[:, right - 1]
        return np.add.reduceat(total, self.rows.starts, axis=1)


def _row_structure(x: np.ndarray, gap: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """(I x, A_g x …, B_g x …) for rows of many units one after another, shape (F, rows, columns)."""
    out = np.zeros((1 + 2 * gaps.size, *x.shape))
    out[0] = x
    for j, g in enumerate(gaps):
        right = np.flatnonzero(gap == g)
        left = right - 1
        out[1 + j, right] += x[right]
        out[1 + j, left] += x[left]
        out[1 + gaps.size + j, right] += x[left]
        out[1 + gaps.size + j, left] += x[right]
    return out


def _prepared(fit: DiDFit, keep: np.ndarray) -> tuple[_UnitAlgebra, Hyperparameters, np.ndarray]:
    """Unit algebra, hyperparameters and fitted means (draws, rows) without unit effects, for the draws in ``keep``; scaled outcome."""
    collapsed = fit._collapsed
    if fit.panel.n_rows * keep.size > _MAX_NUMBERS:
        raise SpecificationError(
            f"{fit.panel.n_rows} rows × {keep.size} draws need {fit.panel.n_rows * keep.size * 8 / 1e9:.0f} GB. "
            "This check works row by row: use a panel of fewer units, or fit with fewer draws."
        )
    rows = row_design(fit.model.block(fit.panel), collapsed.design, collapsed.unit_columns)
    scale = collapsed.scales[-1]
    posterior = fit.posterior.stack(sample=("chain", "draw"), create_index=False).isel(sample=keep)  # noqa: PD013 (xarray)

    def flat(name: str) -> np.ndarray:
        return np.nan_to_num(posterior[name].transpose("sample", ...).to_numpy())

    n_periods = len(collapsed.design.period_columns)
    mean = flat("period_effect") @ rows.fixed[:, :n_periods].T
    mean += flat("cell_effect") @ rows.fixed[:, n_periods : n_periods + collapsed.design.cells.size].T
    if collapsed.covariates:
        mean += flat("coefficient") @ rows.covariates.T
    scalars = {n: posterior[n].to_numpy() for n in fit.model.parameters(collapsed)}
    hyper = hyperparameters(scalars, collapsed, fit.model.resolved_priors())
    return _UnitAlgebra.of(rows, collapsed.products.gaps), hyper, mean / scale


def _draws(fit: DiDFit) -> int:
    return fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]


def predictive_check(fit: DiDFit, draws: int = 200, seed: int = 0) -> PredictiveCheck:
    """Replicate outcomes of the same units from ``draws`` equally spaced posterior draws: their own unit effects, new errors."""
    keep = np.unique(np.linspace(0, _draws(fit) - 1, min(draws, _draws(fit))).astype(int))
    algebra, h, mean = _prepared(fit, keep)
    rng = np.random.default_rng([seed, 3])
    rows, scale_y = algebra.rows, fit._collapsed.scales[-1]
    f, lower, scale = algebra.factor(h)
    y = algebra.projections(rows.outcome / scale_y - mean, f, lower, scale)
    q = len(lower)
    standard: list[Any] = [None] * q
    for a in reversed(range(q)):
        right = (
            y[a]
            + h.innovation_sd[:, None] * rng.standard_normal(y[a].shape)
            - sum((lower[b][a] * standard[b] for b in range(a + 1, q)), 0.0)
        )
        standard[a] = right / lower[a][a]
    replicated = mean + sum((scale[a] * standard[a])[:, rows.unit] * rows.unit_columns[:, a] for a in range(q))
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
    algebra, h, mean = _prepared(fit, np.arange(_draws(fit)))
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
    import arviz_stats as az

    shape = (fit.posterior.sizes["chain"], fit.posterior.sizes["draw"], -1)
    values = xr.Dataset({"unit": (("chain", "draw", "member"), unit_log_likelihood(fit).reshape(shape))})
    tree = xr.DataTree.from_dict({"posterior": fit.posterior[["innovation_sd"]], "log_likelihood": values})
    with warnings.catch_warnings():
        # ArviZ warns without naming units; ours does.
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto", category=UserWarning)
        result = az.loo(tree, var_name="unit", pointwise=True)
    k = np.asarray(result.pareto_k)
    influential = fit.panel.units[k > result.good_k]
    if influential.size:
        warnings.warn(
            f"Leave-one-unit-out is unreliable for {influential.size} units with Pareto k̂ > {result.good_k:.2f} "
            f"({', '.join(map(str, influential[:5]))}{' …' if influential.size > 5 else ''}): each moves the posterior by itself. "
            "Refit without them to see how much.",
            InfluentialUnitsWarning,
            stacklevel=3,
        )
    return result

"""Kernel of the log-t regression: cross-sectional variance of relative transition paths, its regression on log t, long-run variances.

With h_it = y_it / mean_i y_it and H_t = mean_i (h_it − 1)², the regression is

    log(H_1 / H_t) − 2 log(log t) = a + b log t + u_t,    t = [rT] + 1, …, T,

and se(b)² = (long-run variance of u) / Σ (log t − mean)²: Phillips & Sul (2007), Econometrica 75(6). Arrays have groups of units in front:
the regressor is the same for all, so that many groups are one product of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes.errors import SpecificationError
from bayes.validation import one_of

ERRORS = ("phillips-sul", "andrews")
FEWEST = 5
"""Periods that a log-t regression needs after the first ones are discarded."""
_NOTHING = 1e-28
"""Cross-sectional variances below it are rounding error of units that are equal."""


@dataclass(frozen=True)
class LogT:
    """Slope b of the log-t regression, its standard error and t statistic, arrays (groups,); NaN where H_t is zero in some period."""

    slope: np.ndarray
    se: np.ndarray
    t: np.ndarray


def first_period_used(n_periods: int, discard: float) -> int:
    """Number of leading periods left out, [discard · T]. Raises :class:`SpecificationError` where too few or no first ones remain."""
    if isinstance(discard, bool) or not isinstance(discard, float | int) or not 0 < discard < 1:
        raise SpecificationError(f"discard must be a share of the periods between 0 and 1, got {discard!r}.")
    left_out = int(np.floor(discard * n_periods + 1e-9))
    if left_out < 1 or n_periods - left_out < FEWEST:
        raise SpecificationError(
            f"discard={discard:.3g} of {n_periods} periods leaves out {left_out} and keeps {n_periods - left_out}: a log-t regression "
            f"leaves out at least the first (log log 1 does not exist) and keeps at least {FEWEST}. Use more periods or another discard."
        )
    return left_out


def transition_variance(y: np.ndarray) -> np.ndarray:
    """H_t of the units in ``y`` (units, periods). Shape (periods,)."""
    return ((y / y.mean(axis=0) - 1) ** 2).mean(axis=0)


def growing_groups(y: np.ndarray) -> np.ndarray:
    """H_t of the first unit, the first two, …, all: (units, periods) → (units, periods), by updates that do not cancel."""
    n = np.arange(1, len(y) + 1)[:, None]
    mean = np.cumsum(y - y[0], axis=0) / n + y[0]
    before = np.vstack([y[:1], mean[:-1]])
    return np.cumsum((y - before) * (y - mean), axis=0) / n / mean**2


def with_each(group: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """H_t of ``group`` (units, periods) with each of ``candidates`` (others, periods) added alone. Shape (others, periods)."""
    k, mean = len(group), group.mean(axis=0)
    squares = ((group - mean) ** 2).sum(axis=0) + (candidates - mean) ** 2 * k / (k + 1)
    return squares / (k + 1) / (mean + (candidates - mean) / (k + 1)) ** 2


def log_t_regression(variance: np.ndarray, left_out: int, errors: str = "phillips-sul") -> LogT:
    """The regression for every group: ``variance`` (groups, periods) holds H_t from the first period on.

    ``errors``: see :func:`long_run_variance`.
    """
    one_of("errors", errors, ERRORS)
    n_periods = variance.shape[1]
    log_t = np.log(np.arange(left_out + 1, n_periods + 1))
    usable = (variance[:, :1] > _NOTHING) & (variance[:, left_out:] > _NOTHING).all(axis=1, keepdims=True)
    safe = np.where(usable, variance, 1.0)
    z = np.log(safe[:, :1] / safe[:, left_out:]) - 2 * np.log(log_t)
    x = log_t - log_t.mean()
    z = z - z.mean(axis=1, keepdims=True)
    slope = np.where(usable[:, 0], z @ x / (x @ x), np.nan)
    residual = z - slope[:, None] * x
    se = np.sqrt(np.maximum(long_run_variance(residual, errors), 0) / (x @ x))
    with np.errstate(divide="ignore", invalid="ignore"):
        return LogT(slope, se, slope / se)


def long_run_variance(residual: np.ndarray, errors: str = "phillips-sul") -> np.ndarray:
    """Long-run variance of each row of ``residual`` (groups, n): quadratic-spectral kernel over all lags, bandwidth by Andrews' AR(1) rule.

    Bandwidth 1.3221 (4ρ²n/(1 − ρ)⁴)^{1/5} with ρ the first-order autoregression without intercept: Andrews (1991), Econometrica 59(3),
    section 6.

    ``"phillips-sul"`` does as the program behind the authors' published figures: every sum is divided by n − 1, and products at lags of
    one or more leave the last residual out. ``"andrews"`` divides by n and takes all products. The difference is large where residuals
    are strongly autocorrelated: a wide kernel weights all lags by about one, and as residuals sum to zero all products together do so
    too, so that standard errors come out near zero; without the last residual they do not.
    """
    n = residual.shape[1]
    lagged, squares = residual[:, :-1], (residual[:, :-1] ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = np.where(squares > 0, (lagged * residual[:, 1:]).sum(axis=1) / squares, 0.0)
        bandwidth = np.minimum(1.3221 * (4 * rho**2 * n / (1 - rho) ** 4) ** 0.2, 1e8)
    u, divisor = (lagged, n - 1) if errors == "phillips-sul" else (residual, n)
    total = (residual**2).sum(axis=1)
    for lag in range(1, u.shape[1]):
        total += 2 * quadratic_spectral(lag / np.maximum(bandwidth, 1e-8)) * (u[:, lag:] * u[:, :-lag]).sum(axis=1)
    return total / divisor


def quadratic_spectral(x: np.ndarray) -> np.ndarray:
    """The kernel 3/z² (sin z/z − cos z) with z = 6πx/5; its series near zero, where the difference cancels."""
    z = 1.2 * np.pi * np.asarray(x, dtype=float)
    safe = np.where(z > 0.01, z, 1.0)
    return np.where(z > 0.01, 3 / safe**2 * (np.sin(safe) / safe - np.cos(safe)), 1 - z**2 / 10 + z**4 / 280)

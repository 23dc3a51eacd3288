"""Skewness tests of residuals: whether they lean the way that inefficiency implies, which any frontier needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from bayes.errors import SpecificationError


@dataclass(frozen=True)
class SkewnessTest:
    """A test of symmetric residuals against the skewness that inefficiency implies.

    Attributes
    ----------
    name : str
    skewness : float
        √b₁ = m₃/m₂^{3/2} of the residuals.
    statistic : float
        Standard normal under symmetry; negative when residuals are skewed to the left.
    p_value : float
        One-sided: probability, under symmetry, of a statistic at least as far on the side that inefficiency implies (left for production,
        right for cost). Near 1: skewed the wrong way.
    words : str
        The verdict in a sentence.
    """

    name: str
    skewness: float
    statistic: float
    p_value: float
    words: str


def coelli_1995(residuals: np.ndarray, sign: int = 1) -> SkewnessTest:
    """M₃T = m₃/√(6m₂³/n) of least-squares residuals, asymptotically standard normal under symmetry.

    Parameters
    ----------
    residuals : array (n,)
        Least-squares residuals; their mean is taken out.
    sign : +1 or −1
        Production or cost frontier.

    Raises
    ------
    SpecificationError
        Fewer than three residuals, or no variation in them.

    References
    ----------
    Coelli (1995), Journal of Productivity Analysis 6(3), 247–268.
    """
    skewness, n = _skewness(residuals, 3)
    return _test("Coelli 1995", skewness, skewness * np.sqrt(n / 6), sign)


def dagostino(residuals: np.ndarray, sign: int = 1) -> SkewnessTest:
    """D'Agostino's test of √b₁, transformed to be near normal also in small samples (n ≥ 8). Arguments and errors as :func:`coelli_1995`.

    References
    ----------
    D'Agostino (1970), Biometrika 57(3), 679–681.
    """
    skewness, _ = _skewness(residuals, 8)
    return _test("D'Agostino 1970", skewness, float(stats.skewtest(np.asarray(residuals, dtype=float).ravel()).statistic), sign)


def _skewness(residuals: np.ndarray, fewest: int) -> tuple[float, int]:
    e = np.asarray(residuals, dtype=float).ravel()
    if e.size < fewest:
        raise SpecificationError(f"A skewness test needs at least {fewest} residuals, got {e.size}.")
    e = e - e.mean()
    spread = np.sqrt((e**2).mean())
    if not spread > 0 or not np.isfinite(spread):
        raise SpecificationError("The residuals do not vary, or are not finite: there is no skewness to test.")
    return float((e**3).mean() / spread**3), e.size


def _test(name: str, skewness: float, statistic: float, sign: int) -> SkewnessTest:
    toward = -sign * statistic
    p = float(special.ndtr(-toward))
    side = "left" if sign > 0 else "right"
    kind = "production" if sign > 0 else "cost"
    if p < 0.05:
        words = f"skewed to the {side}, as inefficiency of a {kind} frontier implies (p = {p:.2g})"
    elif p > 0.95:
        words = f"skewed the wrong way for a {kind} frontier (p = {1 - p:.2g} against symmetry): maximum likelihood tends to σ_u = 0"
    else:
        words = f"no clear skewness (p = {p:.2g}): little in the residuals tells inefficiency from noise"
    return SkewnessTest(name, skewness, float(statistic), p, words)

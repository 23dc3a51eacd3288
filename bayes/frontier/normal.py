"""log Φ and its Mills form, exact far into the tail and differentiable everywhere: the hot spot of every frontier likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes.frontier.algebra import NUMPY, Algebra

HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
_SQRT_2, _SQRT_2PI = np.sqrt(2.0), np.sqrt(2 * np.pi)
_TAIL = -14.0
"""Below, ten terms of the asymptotic series are exact to 1e-14; above, erfc does not underflow."""
_FAR = -1e6
"""Beyond, the series is 1 to 1e-12 and its powers would overflow."""
_TERMS = 10
_COEFFICIENTS = [float((-1) ** k * np.prod(np.arange(1, 2 * k, 2, dtype=float))) for k in range(_TERMS + 1)]


def log_normal_cdf(z: Any, xp: Algebra = NUMPY) -> Any:
    """log Φ(z), elementwise. Value and derivative are finite and exact to 1e-13 for every finite z."""
    tail, log_ratio = _log_ratio(z, xp)
    far = xp.where(tail, z, 0.0)
    return log_ratio - 0.5 * far * far


def log_mills(z: Any, xp: Algebra = NUMPY) -> Any:
    """log Φ(z) + z²/2, elementwise: the form in which the exponent of a Gaussian integral cancels without loss for negative z."""
    tail, log_ratio = _log_ratio(z, xp)
    near = xp.where(tail, 0.0, z)
    return log_ratio + 0.5 * near * near


def inverse_mills(z: Any, xp: Algebra = NUMPY) -> Any:
    """φ(z)/Φ(z), elementwise."""
    return xp.exp(-log_mills(z, xp) - HALF_LOG_2PI)


def _log_ratio(z: Any, xp: Algebra) -> tuple[Any, Any]:
    """Where the tail begins, and log Φ(z) there without its exponent −z²/2.

    Each branch gets a safe argument, so that derivatives of the branch not taken stay finite. One logarithm serves both: it costs most.
    """
    tail = z < _TAIL
    near, far = xp.where(tail, 0.0, z), xp.where(tail, z, 2 * _TAIL)
    # Φ(z)/φ(z) = −1/z · Σ (−1)^k (2k−1)!! / z^2k over one denominator: PyTensor would turn powers of 1/z² into ten slow divisions.
    q = xp.maximum(far, _FAR) ** 2
    numerator = _COEFFICIENTS[1]
    for c in _COEFFICIENTS[2:]:
        numerator = numerator * q + c
    series = 1.0 + numerator / q**_TERMS  # the leading 1 apart: the derivative would lose digits with it
    return tail, xp.log(xp.where(tail, series / (-_SQRT_2PI * far), 0.5 * xp.erfc(-near / _SQRT_2)))

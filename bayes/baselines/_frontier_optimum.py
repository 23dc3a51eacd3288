"""Newton's method in a trust region, for smooth log likelihoods with exact Hessians, coordinates in a box, and some of them held fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Objective = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]
"""Log likelihood per row at θ with its gradient and Hessian."""

_NOISE = 4e-15
"""Rounding error of a mean log likelihood: smaller differences do not decide whether a step is taken."""
FLAT = 1e-9
"""Information per row below which a direction counts as flat: coordinates are of order 1."""


@dataclass(frozen=True, eq=False)
class Point:
    """Where a maximisation ended.

    ``step`` is the Newton step that is left in the free coordinates, without the directions in which the objective is flat or convex;
    ``flat`` marks coordinates that take part in those. ``gain`` is the rise of the objective that is in sight, ``at_bound`` marks
    coordinates that press against the box.
    """

    theta: np.ndarray
    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    free: np.ndarray
    at_bound: np.ndarray
    flat: np.ndarray
    step: np.ndarray
    gain: float
    iterations: int

    @property
    def active(self) -> np.ndarray:
        return self.free & ~self.at_bound

    @property
    def gradient_norm(self) -> float:
        return float(np.abs(self.gradient[self.active]).max(initial=0.0))


def maximise(
    objective: Objective, start: np.ndarray, free: np.ndarray, lower: np.ndarray, upper: np.ndarray, iterations: int = 200
) -> Point:
    """Climb from ``start`` until the gain that a Newton step promises is lost in rounding, or nothing more is gained."""
    theta = np.clip(start, lower, upper)
    value, gradient, hessian = objective(theta)
    radius, count, still = 1.0, 0, 0
    while np.isfinite(value) and count < iterations:
        count += 1
        active = free & ~_pressing(theta, gradient, lower, upper)
        step, predicted = _step(gradient[active], hessian[np.ix_(active, active)], radius)
        full = np.zeros_like(theta)
        full[active] = step
        trial = np.clip(theta + full, lower, upper)
        new_value, new_gradient, new_hessian = objective(trial)
        rise = new_value - value
        tiny = predicted < 20 * _NOISE * max(1.0, abs(value))
        better = _norm(new_gradient, active) < 0.9 * _norm(gradient, active) and abs(rise) < 100 * _NOISE * max(1.0, abs(value))
        ok = np.isfinite(new_value) and np.isfinite(new_gradient).all() and np.isfinite(new_hessian).all()
        if ok and (better if tiny else rise > 1e-4 * predicted):
            if not tiny and rise > 0.75 * predicted and np.linalg.norm(step) > 0.8 * radius:
                radius = min(2.5 * radius, 50.0)
            theta, value, gradient, hessian, still = trial, new_value, new_gradient, new_hessian, 0
            continue
        radius, still = 0.25 * min(radius, float(np.linalg.norm(step)) or radius), still + 1
        if tiny or radius < 1e-13:
            break
    return _summary(theta, value, gradient, hessian, free, lower, upper, count)


def _pressing(theta: np.ndarray, gradient: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    return ((theta <= lower) & (gradient <= 0)) | ((theta >= upper) & (gradient >= 0))


def _norm(gradient: np.ndarray, active: np.ndarray) -> float:
    return float(np.abs(gradient[active]).max(initial=0.0))


def _step(gradient: np.ndarray, hessian: np.ndarray, radius: float) -> tuple[np.ndarray, float]:
    """Maximiser of the quadratic model within the radius, and the rise it promises (Moré & Sorensen 1983)."""
    if not gradient.size:
        return gradient, 0.0
    eigenvalues, vectors = np.linalg.eigh(-hessian)
    g = vectors.T @ gradient

    def length(shift: float) -> float:
        return float(np.linalg.norm(g / (eigenvalues + shift)))

    floor = max(0.0, -eigenvalues[0])
    shift = floor + 1e-12 * max(1.0, abs(eigenvalues[-1]))
    if floor == 0.0 and eigenvalues[0] > 0 and length(0.0) <= radius:
        shift = 0.0
    elif length(shift) > radius:
        high = shift + np.linalg.norm(g) / radius
        low = shift
        for _ in range(80):
            shift = 0.5 * (low + high)
            low, high = (shift, high) if length(shift) > radius else (low, shift)
            if high - low < 1e-10 * high:
                break
    s = g / (eigenvalues + shift)
    if length(shift) < 0.9 * radius and floor > 0:  # the gradient has no part along the direction of negative curvature
        s[0] += np.copysign(np.sqrt(max(radius**2 - float(s @ s), 0.0)), s[0])
    return vectors @ s, float(g @ s - 0.5 * (eigenvalues * s) @ s)


def _summary(theta, value, gradient, hessian, free, lower, upper, count) -> Point:
    at_bound = free & _pressing(theta, gradient, lower, upper)
    active = free & ~at_bound
    flat, step, gain = np.zeros(theta.size, dtype=bool), np.zeros(theta.size), np.inf
    if np.isfinite(value) and np.isfinite(hessian).all():
        eigenvalues, vectors = np.linalg.eigh(-hessian[np.ix_(active, active)])
        part, firm = vectors.T @ gradient[active], eigenvalues > FLAT
        usable = np.maximum(eigenvalues, FLAT)
        gain = float(np.minimum(0.5 * part**2 / usable, np.abs(part)).sum())
        step[active] = vectors[:, firm] @ (part[firm] / eigenvalues[firm])
        flat[active] = (np.abs(vectors[:, ~firm]) > 0.1).any(axis=1)
    return Point(theta, float(value), gradient, hessian, free, at_bound, flat, step, gain, count)

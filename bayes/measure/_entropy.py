"""Kernels of composite indices: min–max scaling, entropy weights (also under weights of units), weighted sums and TOPSIS closeness."""

from __future__ import annotations

import numpy as np


def min_max(columns: np.ndarray, is_cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns (n_rows, K) scaled to [0, 1] over all rows, 1 being best, and which columns are constant (K,); those become 0."""
    low, high = columns.min(axis=0), columns.max(axis=0)
    constant = low == high
    span = np.where(constant, 1.0, high - low)
    scaled = np.where(is_cost, high - columns, columns - low) / span
    return np.where(constant, 0.0, np.clip(scaled, 0, 1)), constant


def divergence(scaled: np.ndarray, unit: np.ndarray, unit_weights: np.ndarray) -> np.ndarray:
    """Unevenness of each indicator under weights of units: (draws, K) from ``scaled`` (n_rows, K), ``unit`` (n_rows,), weights (draws, U).

    With equal weights of the n rows, ln n minus the entropy of the proportions p_i = z_i / Σz is Σ p_i ln(n p_i): the entropy of p relative
    to the weights of the rows. Under row weights q_i the same measure is Σ q_i (z_i/μ) ln(z_i/μ), μ = Σ q_i z_i. A row of weight 2 then
    counts as two rows, and uneven weights are not themselves taken for unevenness of the indicator. The usual normaliser 1/ln n is common
    to all indicators and cancels from their weights, so it is left out. 0 · ln 0 = 0.
    """
    z = scaled / np.where(scaled.any(axis=0), scaled.mean(axis=0), 1.0)
    z_log_z = z * np.log(np.where(z > 0, z, 1.0))
    n_units = unit_weights.shape[1]
    member = np.zeros((n_units, scaled.shape[0]))
    member[unit, np.arange(unit.size)] = 1.0
    total = unit_weights @ member.sum(axis=1)
    mean = unit_weights @ (member @ z) / total[:, None]
    mean_log = unit_weights @ (member @ z_log_z) / total[:, None]
    safe = np.where(mean > 0, mean, 1.0)
    constant = scaled.min(axis=0) == scaled.max(axis=0)
    return np.where(constant | (mean <= 0), 0.0, np.maximum(mean_log / safe - np.log(safe), 0.0))


def shares(values: np.ndarray) -> np.ndarray:
    """Rows of ``values`` (draws, K) as shares of their sum; NaN where that is zero."""
    total = values.sum(axis=1, keepdims=True)
    return np.where(total > 0, values / np.where(total > 0, total, 1.0), np.nan)


def weighted_sum(scaled: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Σ w_j z_ij: (draws, n_rows) from (n_rows, K) and weights (draws, K) that sum to one."""
    return weights @ scaled.T


def topsis(scaled: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Closeness D⁻ / (D⁺ + D⁻) to the best row over the worst, Euclidean on w_j z_ij: (draws, n_rows).

    After min–max scaling the best and worst values of an indicator over all rows are 1 and 0.
    """
    squares = weights**2
    to_best = np.sqrt(np.maximum(squares @ ((1 - scaled) ** 2).T, 0))
    to_worst = np.sqrt(np.maximum(squares @ (scaled**2).T, 0))
    return to_worst / (to_best + to_worst)

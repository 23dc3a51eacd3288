"""Distances to the best practice of all regions, and what closing a share of them does: kernels of :mod:`bayes.scenario`.

Arrays of distances have a leading axis of draws and a last axis of units. Two dimensions, output and emission, are stacked in front.
"""

from __future__ import annotations

import numpy as np

from bayes.frontier.gap import log_technology_gap

_TIE = 1e-12
"""Scores closer than this are equal: far below any distance of substance, far above rounding."""


def distances_to_best_practice(technology: np.ndarray, design: np.ndarray, region: np.ndarray, sign: int, u: np.ndarray) -> np.ndarray:
    """g of every row: max_r f_r(x) − f_own(x) + u for production (sign 1), f_own(x) + u − min_r f_r(x) for cost (sign −1); g ≥ 0.

    technology (draws, R, K), design (K, n_rows), region (n_rows,), u (draws, n_rows) → (draws, n_rows).
    """
    return u - log_technology_gap(technology, design, region, sign)


def leader_of(distances: np.ndarray) -> int:
    """Position of the unit with the best posterior mean rank, rank 1 for the smallest distance in a draw. (draws, n_units) → int.

    Of units with equal mean ranks the one with the smaller mean distance leads, then the first.
    """
    ranks = np.argsort(np.argsort(distances, axis=1, kind="stable"), axis=1).mean(axis=0)
    return int(np.lexsort((distances.mean(axis=0), ranks))[0])


def behind_leaders(distances: np.ndarray, leaders: tuple[int, ...]) -> np.ndarray:
    """g − g_leader in each dimension: distances (2, draws, n_units) → the same shape; negative in draws that put a unit ahead."""
    return np.stack([g - g[:, [leader]] for g, leader in zip(distances, leaders, strict=True)])


def closed(behind: np.ndarray, share: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """κ·w_d·(g − g_leader): (2, draws, n_units), share κ (draws,), weights (2,) → (2, draws, n_units).

    It is the rise of ln output in the first dimension, the fall of ln emission in the second, and what each distance loses.
    """
    return weights[:, None, None] * share[:, None] * behind


def scores(moved: np.ndarray, distances: np.ndarray) -> dict[str, np.ndarray]:
    """How well a scenario does in every draw for every unit by each criterion, larger is better: (draws, n_units) each."""
    left = distances - moved
    return {
        "distance": -np.hypot(left[0], left[1]),
        "output": moved[0],
        "emission": moved[1],
        "ratio": moved[0] + moved[1],
    }


def share_of_best(by_scenario: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 where a scenario has the largest score, split equally among those that tie, else 0; and whether any draw tells them apart.

    Scores (n_scenarios, draws, n_units) → shares of the same shape, decided (n_units,).
    """
    best = by_scenario >= by_scenario.max(axis=0) - _TIE
    return best / best.sum(axis=0), ~best.all(axis=(0, 1))


def sd_of_logs(logs: np.ndarray) -> np.ndarray:
    """Standard deviation over units (last axis), divisor n − 1."""
    return logs.std(axis=-1, ddof=1)

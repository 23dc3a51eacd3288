"""Kernels of inequality by group: Theil T and L, and Dagum's decomposition of the Gini ratio, over draws at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CHUNK = 2**20
"""Numbers in one array of a chunk of draws (8 MB)."""


class Theil(NamedTuple):
    """Index and its parts (draws,), the index within each group and that group's contribution to the part within (draws, G)."""

    total: np.ndarray
    within: np.ndarray
    between: np.ndarray
    groups: np.ndarray
    contributions: np.ndarray


class Dagum(NamedTuple):
    """Gini ratio and its parts (draws,), each group's own ratio and contribution (draws, G), G_jh and D_jh (draws, G, G)."""

    total: np.ndarray
    within: np.ndarray
    between: np.ndarray
    transvariation: np.ndarray
    groups: np.ndarray
    contributions: np.ndarray
    pairs: np.ndarray
    affluence: np.ndarray


def membership(group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights of rows spread over groups 0 … G − 1, each with at least one row: (n_rows, G)."""
    return (group[:, None] == np.arange(group.max() + 1)) * weights[:, None]


def theil_parts(values: np.ndarray, group: np.ndarray, weights: np.ndarray, index: str) -> Theil:
    """Theil T or L of positive ``values`` (draws, n_rows), with weights of rows (people, when values are means per person).

    T = Σ s_i ln(y_i/μ) with shares of the sum s_i = w_i y_i / Σ w y; L = Σ p_i ln(μ/y_i) with shares of the weights p_i.
    Theil (1967); decomposition of Shorrocks (1980), Econometrica 48(3).
    """
    member = membership(group, weights)
    population = member.sum(axis=0) / weights.sum()
    mean = (values @ weights / weights.sum())[:, None]
    relative = values / mean
    group_mean = relative @ member / member.sum(axis=0)
    by_row = relative * np.log(relative) if index == "T" else -np.log(relative)
    by_group = by_row @ member / member.sum(axis=0)
    if index == "T":
        share = population * group_mean
        inside = by_group / group_mean - np.log(group_mean)
        apart = share * np.log(group_mean)
    else:
        share = np.broadcast_to(population, group_mean.shape)
        inside = by_group + np.log(group_mean)
        apart = -share * np.log(group_mean)
    inside = np.maximum(inside, 0.0)
    within, between = (share * inside).sum(axis=1), np.maximum(apart.sum(axis=1), 0.0)
    return Theil(within + between, within, between, inside, share * inside)


def mean_differences(values: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean absolute difference between a member of group j and one of group h, self-pairs included: (draws, G, G).

    E|y_j − y_h| = ∫ F_j (1 − F_h) + F_h (1 − F_j) dx over the sorted values of all groups: n log n a draw instead of n². Every term is
    positive, so nothing cancels.
    """
    member = membership(group, weights)
    member = member / member.sum(axis=0)
    n, n_groups = member.shape
    out = np.empty((values.shape[0], n_groups, n_groups))
    size = max(1, CHUNK // (n * n_groups))
    for start in range(0, values.shape[0], size):
        chunk = values[start : start + size]
        order = np.argsort(chunk, axis=1)
        gaps = np.diff(np.take_along_axis(chunk, order, axis=1), axis=1)
        below = np.cumsum(member[order], axis=1)[:, :-1]
        half = np.swapaxes(below * gaps[..., None], 1, 2) @ (1 - below)
        out[start : start + size] = half + np.swapaxes(half, 1, 2)
    return np.maximum(out, 0.0)


def dagum_parts(values: np.ndarray, group: np.ndarray, weights: np.ndarray) -> Dagum:
    """Gini ratio of non-negative ``values`` (draws, n_rows) with a positive mean, by Dagum (1997), Empirical Economics 22(4).

    G_jh = Δ_jh/(μ_j + μ_h) with the mean difference Δ_jh; relative affluence D_jh = |μ_j − μ_h|/Δ_jh, which equals Dagum's
    (d − p)/(d + p), as d + p = Δ and d − p = |μ_j − μ_h|. With population shares p and income shares s: G_w = Σ G_jj p_j s_j,
    G_nb = Σ_{j<h} G_jh D_jh (p_j s_h + p_h s_j), G_t the same with 1 − D_jh. No correction for small samples (divisor n²).
    """
    member = membership(group, weights)
    population = member.sum(axis=0) / weights.sum()
    mean = values @ weights / weights.sum()
    group_mean = values @ member / member.sum(axis=0)
    difference = mean_differences(values, group, weights)
    both = group_mean[:, :, None] + group_mean[:, None, :]
    pairs = np.where(both > 0, difference / np.where(both > 0, both, 1.0), np.nan)
    gap = np.abs(group_mean[:, :, None] - group_mean[:, None, :])
    affluence = np.where(difference > 0, np.minimum(gap / np.where(difference > 0, difference, 1.0), 1.0), np.nan)
    # G_jh (p_j s_h + p_h s_j) = Δ_jh p_j p_h / μ, which exists where both means are zero as well
    mass = difference * population[:, None] * population / mean[:, None, None]
    contributions = np.diagonal(mass, axis1=1, axis2=2) / 2
    upper = np.triu(np.ones(mass.shape[1:]), 1)
    between = (np.nan_to_num(affluence) * mass * upper).sum(axis=(1, 2))
    transvariation = (np.nan_to_num(1 - affluence) * mass * upper).sum(axis=(1, 2))
    within = contributions.sum(axis=1)
    own = np.diagonal(pairs, axis1=1, axis2=2)
    return Dagum(within + between + transvariation, within, between, transvariation, own, contributions, pairs, affluence)

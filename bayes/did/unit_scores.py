"""Scores of clusters and the sandwich covariance of effects: the posterior's spread if only whole clusters count as independent draws.

With θ the flat and cell coefficients and the scales given, the log posterior of θ is a sum over units, so that each cluster c (a unit, or
several) has a score s_c = Σ W_i'V_i⁻¹(y_i − W_iθ̄), V_i with the unit's own intercept and random effects integrated out. With H the
posterior covariance of θ given the scales the sandwich is H (Σ s_c s_c') H (Müller 2013, Econometrica 81(5)).

A cluster pulls θ̄ towards itself, so that its score at θ̄ is too small. Leaving it out moves θ̄ by d_c = (H⁻¹ − I_c)⁻¹ s_c, I_c its share of
the information; (C − 1)/C Σ d_c d_c' is the jackknife form of the sandwich (for flat columns the CRV3 of MacKinnon, Nielsen & Webb 2023,
Journal of Econometrics 232(2)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes.did.cells import Basis
from bayes.did.cross_products import CrossProducts
from bayes.did.posterior import Hyperparameters, conditional_factor, shrunk_products
from bayes.did.unit_algebra import UnitAlgebra

_LEAST_REST = 1e-8
"""Smallest share of a direction's information that must be left without a cluster; below it the direction rests on that cluster alone."""


@dataclass(frozen=True)
class ConditionalPosterior:
    """Posterior of the K coefficients given the scales (scaled outcome).

    Attributes
    ----------
    mean : numpy.ndarray
        (K,).
    root : numpy.ndarray
        L with covariance H = LL', shape (K, columns).
    determined : numpy.ndarray
        Diagonal of covariance × information, (K,): 1 for a flat column, near 0 for one that the prior fixes.
    """

    mean: np.ndarray
    root: np.ndarray
    determined: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        return self.root @ self.root.T


@dataclass(frozen=True)
class ClusterScores:
    """``score`` (clusters, K); ``information`` (clusters, K, K) or None where it was not asked for."""

    score: np.ndarray
    information: np.ndarray | None


def conditional_posterior(products: CrossProducts, basis: Basis | None, h: Hyperparameters) -> ConditionalPosterior:
    """Exact normal posterior of the coefficients given one draw of the scales."""
    k = products.n_columns
    s = shrunk_products(products, h)
    t, lower = conditional_factor(s[:, :k, :k], products.n_flat, basis, h)
    root = np.linalg.solve(lower[0], t[0].T).T
    inverse = root @ root.T
    return ConditionalPosterior(inverse @ s[0, :k, k], h.innovation_sd[0] * root, np.diag(inverse @ s[0, :k, :k]))


def cluster_scores(
    algebra: UnitAlgebra, columns: np.ndarray, residual: np.ndarray, h: Hyperparameters, cluster: np.ndarray, information: bool = True
) -> ClusterScores:
    """Scores, and information, of every cluster for one draw of the scales.

    ``columns`` (rows, K) are W, ``residual`` (rows,) is y − Wθ̄, ``cluster`` (units,) numbers the clusters from 0. With R̃ and P as in
    :mod:`bayes.did.likelihood`: s²V⁻¹ = R̃⁻¹ − R̃⁻¹Z S P⁻¹ S Z'R̃⁻¹.
    """
    rows = algebra.rows
    f, lower, scale = algebra.factor(h)
    variance = h.innovation_sd[0] ** 2
    weighted = algebra.precision_times(columns, f)
    own = np.stack(algebra.projections(columns.T, f, lower, scale))
    of_residual = np.stack(algebra.projections(residual[None], f, lower, scale))[:, 0]
    by_unit = np.add.reduceat(weighted * residual[:, None], rows.starts, axis=0) - np.einsum("aku,au->uk", own, of_residual)
    n = int(cluster.max()) + 1
    score = np.zeros((n, columns.shape[1]))
    np.add.at(score, cluster, by_unit / variance)
    if not information:
        return ClusterScores(score, None)
    found = np.zeros((n, columns.shape[1], columns.shape[1]))
    of_row = cluster[rows.unit]
    order = np.argsort(of_row, kind="stable")
    for c, at in enumerate(np.split(order, np.flatnonzero(np.diff(of_row[order])) + 1)):
        projected = own[:, :, cluster == c].transpose(1, 0, 2).reshape(columns.shape[1], -1)
        found[c] = (columns[at].T @ weighted[at] - projected @ projected.T) / variance
    return ClusterScores(score, found)


def sandwich(posterior: ConditionalPosterior, scores: ClusterScores) -> np.ndarray:
    """H (Σ s_c s_c') H, or its jackknife form where the clusters' information is given. Shape (K, K)."""
    if scores.information is None:
        half = scores.score @ posterior.covariance
        return half.T @ half
    moved = np.array([_without(posterior.root, s, i) for s, i in zip(scores.score, scores.information, strict=True)])
    return (len(moved) - 1) / len(moved) * moved.T @ moved


def _without(root: np.ndarray, score: np.ndarray, information: np.ndarray) -> np.ndarray:
    """θ̄ less what it would be without a cluster; directions that nothing but this cluster determines stay where they are."""
    rest = np.eye(root.shape[1]) - root.T @ information @ root
    values, vectors = np.linalg.eigh(rest)
    inverse = np.where(values > _LEAST_REST, 1 / np.maximum(values, _LEAST_REST), 0.0)
    return root @ (vectors @ (inverse * (vectors.T @ (root.T @ score))))

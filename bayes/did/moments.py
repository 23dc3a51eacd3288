"""Averages of effects given the scales, without drawing: the exact conditional mean and standard deviation of weighted sums.

The averages are those of :mod:`bayes.did.effects`; here each is two sets of weights, on cells and on units' own deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve

from bayes.did.cells import Basis
from bayes.did.cross_products import coefficients
from bayes.did.effects import Term
from bayes.did.likelihood import cell_padding, component_names, factor_patterns, project
from bayes.did.posterior import Hyperparameters
from bayes.did.reassignment import ReassignableRows, Reassigned


@dataclass(frozen=True)
class Averages:
    """What is averaged: terms over the padded cells; ``weights`` "rows" or "panel"; with the units' own effects (``own``) or without."""

    terms: Sequence[Term]
    weights: str = "rows"
    own: bool = True


def term_weights(rows: ReassignableRows, assigned: Reassigned, averages: Averages) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Weights of each term on cells (terms, cells) and on units' own effects (terms, units); identified share; treated rows.

    An average over treated rows, each weighing one or its unit's weight, in the identified cells of the term.
    """
    cells, unit_weight = rows.cells.size, rows.weight if averages.weights == "panel" else np.ones(rows.n_units)
    treated = np.flatnonzero(assigned.cell >= 0)
    cell, unit = assigned.cell[treated], rows.unit[treated]
    total = np.bincount(cell, weights=unit_weight[unit], minlength=cells)
    number = np.bincount(cell, minlength=cells)
    of_term = np.array([t.cells for t in averages.terms]).reshape(len(averages.terms), cells)
    used = of_term & assigned.identified
    tiny = np.finfo(float).tiny
    weight = used / np.maximum(used @ total, tiny)[:, None]
    on_units = np.stack([np.bincount(unit, weights=w[cell] * unit_weight[unit], minlength=rows.n_units) for w in weight])
    on_units = on_units if averages.own and rows.unit_columns.treatment else np.zeros_like(on_units)
    return weight * total, on_units, (used @ total) / np.maximum(of_term @ total, tiny), of_term @ number


def conditional_moments(
    assigned: Reassigned, basis: Basis | None, hyper: Hyperparameters, on_cells: np.ndarray, on_units: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Exact mean and sd of Σ a_c τ_c + Σ h_i b_i given the scales (one draw of them), scaled outcome.

    With θ the flat and cell coefficients, E θ = T A⁻¹ c and Var θ = s² T A⁻¹ T' (notation of :mod:`bayes.did.likelihood`); given θ the b_i
    are independent with mean w_i'(V_i'R̃⁻¹Z_i)'(−θ, 1) and variance s² w_i1, w_i the treatment row of S P⁻¹ S. Both are linear in θ.
    """
    products, s = assigned.products, float(hyper.innovation_sd[0])
    k, p, q = products.n_columns, products.n_flat, products.zz.shape[-1]
    f = coefficients(float(hyper.autocorrelation[0]), products.gaps)
    scale = [1.0, *(hyper.unit_sds[0] / s)]
    by_pattern = np.einsum("f,pfab->abp", f, products.zz)
    lower = factor_patterns(by_pattern, scale)
    columns = [np.tensordot(f, products.unit[..., a], axes=(0, 1)) for a in range(q)]
    y = np.concatenate(project(columns, lower, scale, products.pattern))
    shrunk = np.tensordot(f, products.total, axes=1) - y.T @ y
    linear, constant = np.zeros((len(on_cells), k)), np.zeros(len(on_cells))
    linear[:, k - on_cells.shape[1] :] = on_cells
    variance = np.zeros(len(on_cells))
    if on_units.any():
        row = _treatment_row(by_pattern, scale)[:, assigned.slot]
        by_group = np.zeros((len(on_units), assigned.by_group.shape[0], q))
        for a in range(q):
            for t, h in enumerate(on_units):
                by_group[t, :, a] = np.bincount(assigned.group, weights=h * row[a], minlength=by_group.shape[1])
        own = np.einsum("tga,f,gfka->tk", by_group, f, assigned.by_group, optimize=True)
        own[:, assigned.data] += np.einsum("ti,ai,f,ifka->tk", on_units, row, f, assigned.by_unit, optimize=True)
        linear, constant = linear - own[:, :k], own[:, k]
        variance = s**2 * (on_units**2 @ row[1])
    linear[:, assigned.dropped] = 0.0
    t = _transform(basis, hyper, p, k)
    inner = t.T @ shrunk[:k, :k] @ t
    index = np.arange(p, t.shape[1])
    inner[index, index] += s**2
    inner[assigned.dropped, assigned.dropped] = 1.0
    factor, reduced = np.linalg.cholesky(inner), linear @ t
    mean = reduced @ cho_solve((factor, True), t.T @ shrunk[:k, k]) + constant
    solved = np.linalg.solve(factor, reduced.T)
    return mean, np.sqrt(variance + s**2 * (solved**2).sum(axis=0))


def _treatment_row(zz: np.ndarray, scale: list[float]) -> np.ndarray:
    """Row of the treatment effect in S P⁻¹ S, shape (q, patterns)."""
    s = np.array(scale)
    p = np.moveaxis(zz, 2, 0) * np.outer(s, s) + np.diag(np.r_[0.0, np.ones(s.size - 1)])
    return (s[1] * np.linalg.inv(p)[:, 1, :] * s).T


def _transform(basis: Basis | None, hyper: Hyperparameters, p: int, k: int) -> np.ndarray:
    """T = blockdiag(I, F), FF' the prior covariance of the cells."""
    if basis is None:
        return np.eye(k)
    names, sds = component_names(basis), hyper.component_sds[0]
    root = basis.matrix * sds[[names.index(c) for c in basis.component]]
    if "cell" in names and root.shape[1] > root.shape[0]:
        covariance = root @ root.T
        padding = cell_padding(np.trace(covariance), sds[names.index("cell")] ** 2, len(covariance))
        root = np.linalg.cholesky(covariance + padding * np.eye(len(covariance)))
    out = np.zeros((k, p + root.shape[1]))
    out[:p, :p], out[p:, p:] = np.eye(p), root
    return out

"""Coordinates in which the coefficients of a hierarchical frontier are nearly independent and nearly standard normal.

Given its scales, a hierarchical regression has a Gaussian posterior. The frontier's likelihood is not Gaussian, but close to that of a
random-effects regression whose residual carries v − s·u. The mean of that Gaussian and its Cholesky factor turn standard normal coordinates
into coefficients; the log density carries the Jacobian, so the posterior is exact whatever the quality of the approximation. It replaces
the choice between centred and non-centred parametrisation, region by region and coefficient by coefficient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes.frontier.data import FrontierData


@dataclass(frozen=True, eq=False)
class Information:
    """Cross-products from which a random-effects regression of each region follows at any scales.

    Attributes
    ----------
    rows : array (R, K, K + 2)
        X'[X, y, 1] of the region's rows.
    units : array (R, K, K + 2)
        The same with every unit's rows summed first: what an effect shared by them takes away.
    n_regions : int
    length : array (R,)
        Mean number of rows of a unit.
    residual_sd : float
        Standard deviation of least-squares residuals (within units when they have an effect of their own): the unit of prior scales.
    unit_sd : float
        Standard deviation of unit means of residuals, noise taken out; 0 when units have no effect of their own.
    """

    rows: np.ndarray
    units: np.ndarray
    n_regions: int
    length: np.ndarray
    residual_sd: float
    unit_sd: float

    def at(self, noise_variance: Any, unit_variance: Any) -> Any:
        """X'V⁻¹[X, y, 1] by region, (R, K, K + 2), for V = noise·I + unit·11' within a unit of mean length. Variances have shape (R,)."""
        weight = unit_variance / (noise_variance + self.length * unit_variance)
        return (self.rows - weight[:, None, None] * self.units) / noise_variance[:, None, None]


def information(data: FrontierData, unit_structure: bool, by_region: bool) -> Information:
    """Cross-products and residual scales. ``unit_structure``: residuals of a unit share an effect; ``by_region``: slopes differ."""
    design = np.moveaxis(data.design, 0, -1)  # (U, T, K)
    residual = _residuals(data, design, by_region)
    lengths = data.mask.sum(axis=1)
    means = residual.sum(axis=1) / lengths
    within, between = np.sqrt((residual**2).sum() / max(data.n_rows - 1, 1)), 0.0
    if unit_structure:
        deviation = (residual - means[:, None]) * data.mask
        within = np.sqrt((deviation**2).sum() / max(data.n_rows - data.n_units, 1))
        between = np.sqrt(max(means.var() - within**2 / lengths.mean(), 0.05 * within**2))
    right = np.concatenate([design, data.output[..., None], data.mask[..., None]], axis=-1)
    shape = (data.n_regions, len(data.terms), len(data.terms) + 2)
    rows, units = np.zeros(shape), np.zeros(shape)
    for r in range(data.n_regions):
        x, z = design[data.unit_region == r], right[data.unit_region == r]
        rows[r] = np.einsum("utk,utl->kl", x, z)
        units[r] = x.sum(axis=1).T @ z.sum(axis=1)
    length = data.rows_per_region / np.bincount(data.unit_region, minlength=data.n_regions)
    return Information(rows, units, data.n_regions, length, float(within), float(between))


def ols_residuals(data: FrontierData, by_region: bool) -> np.ndarray:
    """Least-squares residuals, shape (U, T), 0 where padded; by region where it has enough rows, else on region means."""
    return _residuals(data, np.moveaxis(data.design, 0, -1), by_region)


def _residuals(data: FrontierData, design: np.ndarray, by_region: bool) -> np.ndarray:
    out = np.zeros_like(data.output)
    groups = [data.unit_region == r for r in range(data.n_regions)] if by_region else [np.ones(data.n_units, dtype=bool)]
    common = _fit(data, design, np.ones(data.n_units, dtype=bool))
    for units in groups:
        enough = data.mask[units].sum() >= 3 * len(data.terms)
        beta = _fit(data, design, units) if enough else common
        residual = (data.output[units] - design[units] @ beta) * data.mask[units]
        if not enough:
            residual = (residual - residual.sum() / data.mask[units].sum()) * data.mask[units]
        out[units] = residual
    return out


def _fit(data: FrontierData, design: np.ndarray, units: np.ndarray) -> np.ndarray:
    rows = data.mask[units] > 0
    return np.linalg.lstsq(design[units][rows], data.output[units][rows], rcond=None)[0]

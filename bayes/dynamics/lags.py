"""Rows with a previous period, as cross-products: all that the likelihood of a cross-lagged pair needs from the data.

With W_it = [period and region dummies, covariates, z_{t−1} by region, z_i0 by region] and Y_it = (first, second)_it, rows of a unit have
the covariance I ⊗ Σ + 11' ⊗ Ω, whose inverse is (I − P) ⊗ Σ⁻¹ + P ⊗ (Σ + TΩ)⁻¹ with P the mean over the T rows of the unit. So
Σᵢ V'(I − P)V and, for every distinct T, Σᵢ V'PV of V = [W, Y] suffice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayes.did.cross_products import identified_columns, independent_columns
from bayes.dynamics.orthogonal import gradient, reference_lag
from bayes.errors import CollinearColumnsError, NoVariationError, SpecificationError
from bayes.panel import Panel


@dataclass(frozen=True, eq=False)
class LaggedPair:
    """Cross-products of a pair, everything divided by its scale. Columns: flat ones, slopes (4 × R: lag of the first series by region, of
    the second, start of the first, of the second), then both responses.

    Attributes
    ----------
    gram : array (1 + lengths, K + 2, K + 2)
        Σᵢ V'(I − P)V, then Σ V'PV over the units with each number of rows.
    lengths, length_counts : arrays
        Distinct numbers of rows T, and how many units have each.
    n_flat : int
    series, covariates, regions : tuple of str
    scales, covariate_scales : arrays
        Standard deviations within units and periods; of covariates, over rows.
    covariate_columns : array
        Places of the covariates among the flat columns.
    identified : array (2, R)
        Whether the flat design determines the slope on each series' lag.
    rows : array (R,)
        Rows used.
    units : array (R,)
        Units used.
    unit_columns : int
        How many of the flat columns are unit means of covariates.
    pull : array (2, 2, R)
        ∂b/∂A of :mod:`bayes.dynamics.orthogonal`, mean over the units of a region.
    counts : dict
        rows_used, rows_starting, rows_after_gap, units_used, units_without_pair.
    """

    gram: np.ndarray
    lengths: np.ndarray
    length_counts: np.ndarray
    n_flat: int
    series: tuple[str, str]
    covariates: tuple[str, ...]
    regions: tuple[str, ...]
    scales: np.ndarray
    covariate_scales: np.ndarray
    covariate_columns: np.ndarray
    identified: np.ndarray
    rows: np.ndarray
    units: np.ndarray
    unit_columns: int
    pull: np.ndarray
    counts: dict[str, int]

    @property
    def n_columns(self) -> int:
        """K, without the responses."""
        return self.gram.shape[1] - 2

    @cached_property
    def path_scales(self) -> np.ndarray:
        """Units of the eight slopes: lags and starts of (first, second) on the first series, then on the second. Shape (8,)."""
        ratio = self.scales[:, None] / self.scales
        return np.hstack([ratio, ratio]).ravel()


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows with a previous period: place in the panel, unit, region and period of each, and each unit's starting row."""

    place: np.ndarray
    unit: np.ndarray
    region: np.ndarray
    period: np.ndarray
    start: np.ndarray


def rows_with_lag(panel: Panel) -> Rows:
    """Rows whose unit has a row in the period before. The start of a unit is the row before the first of them."""
    unit, period = panel.unit_codes, panel.period_codes
    place = 1 + np.flatnonzero((np.diff(unit) == 0) & (np.diff(period) == 1))
    used, first = np.unique(unit[place], return_index=True)
    start = np.full(panel.n_units, -1)
    start[used] = place[first] - 1
    return Rows(place, unit[place], panel.unit_regions[unit[place]], period[place], start[unit[place]])


def make_pair(panel: Panel, first: str, second: str, covariates: tuple[str, ...], period_effects: str) -> LaggedPair:
    """Cross-products of the pair. Raises :class:`SpecificationError`, :class:`NoVariationError`, :class:`CollinearColumnsError`."""
    z, x = panel.matrix([first, second]), panel.matrix(list(covariates))
    rows = rows_with_lag(panel)
    units_used = np.unique(rows.unit).size
    if units_used < 2:
        raise SpecificationError(
            f"{units_used} units have two consecutive periods; a cross-lagged pair needs at least two such units. Check that "
            f"{panel.time!r} counts consecutive periods (the grid step found is {panel.step})."
        )
    scales = _within_sd(panel, z, (first, second))
    z = (z - z.mean(axis=0)) / scales
    x = x[rows.place]
    x_scales = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(x_scales > 0, x_scales, 1.0)
    flat, places, unit_columns = _flat_columns(rows, panel.regions.size, x, covariates, period_effects)
    here = (rows.region[:, None] == np.arange(panel.regions.size)).astype(float)
    slopes = [c[:, None] * here for source in (z[rows.place - 1], z[rows.start]) for c in source.T]
    v = np.hstack([flat, *slopes, z[rows.place]])
    size = v.shape[1] - 2
    total = v.T @ v
    _refuse_exact_fits(total, size, (first, second))
    known = identified_columns(total[:size, :size], np.diag(total)[:size])[flat.shape[1] :].reshape(4, -1)[:2]
    gram, lengths, length_counts = _products(v, rows.unit)
    units, pull = _pulls(rows, reference_lag(gram[0], flat.shape[1], panel.regions.size, lengths, length_counts), panel.regions.size)
    counts = {
        "rows_used": int(rows.place.size), "rows_starting": int(panel.n_units),
        "rows_after_gap": int(panel.n_rows - panel.n_units - rows.place.size), "units_used": int(units_used),
        "units_without_pair": int(panel.n_units - units_used),
    }  # fmt: skip
    return LaggedPair(
        gram, lengths, length_counts, flat.shape[1], (first, second), covariates, tuple(panel.regions.tolist()), scales, x_scales, places,
        known, np.bincount(rows.region, minlength=panel.regions.size), units, unit_columns, pull, counts,
    )  # fmt: skip


def _within_sd(panel: Panel, z: np.ndarray, names: tuple[str, str]) -> np.ndarray:
    """Standard deviation after unit and period means, one sweep of each."""
    left = z - z.mean(axis=0)
    for code in (panel.unit_codes, panel.period_codes):
        count = np.maximum(np.bincount(code), 1)
        left = left - np.column_stack([np.bincount(code, c) / count for c in left.T])[code]
    sd, size = left.std(axis=0), z.std(axis=0)
    for name, s, whole in zip(names, sd, size, strict=True):
        if s <= 1e-10 * whole or whole == 0:
            raise NoVariationError(f"{name!r} has no variation within units and periods: nothing moves that could lead or follow.")
    return sd


def _flat_columns(
    rows: Rows, n_regions: int, x: np.ndarray, covariates: tuple[str, ...], period_effects: str
) -> tuple[np.ndarray, np.ndarray, int]:
    """Period dummies, region dummies, covariates and their unit means, redundant ones left out; places of covariates; number of means."""
    key = rows.period if period_effects == "common" else rows.region * (rows.period.max() + 1) + rows.period
    periods = (key[:, None] == np.unique(key)).astype(float)
    regions = (rows.region[:, None] == np.arange(1, n_regions)).astype(float)
    counts = np.maximum(np.bincount(rows.unit), 1)
    means = np.column_stack([np.bincount(rows.unit, c) / counts for c in x.T])[rows.unit] if x.shape[1] else x
    varies = (np.abs(x - means).max(axis=0) > 1e-10) if x.shape[1] else np.zeros(0, dtype=bool)
    flat = np.hstack([periods, regions, x, means[:, varies]])
    gram = flat.T @ flat
    keep = independent_columns(gram, np.diag(gram))
    first = periods.shape[1] + regions.shape[1]
    lost = [name for name, kept in zip(covariates, keep[first : first + x.shape[1]], strict=True) if not kept]
    if lost:
        raise CollinearColumnsError(
            f"Covariates {lost} are exact combinations of period effects, region effects and the covariates before them. Leave them out."
        )
    return flat[:, keep], keep[:first].sum() + np.arange(x.shape[1]), int(keep[first + x.shape[1] :].sum())


def _pulls(rows: Rows, lag: np.ndarray, regions: int) -> tuple[np.ndarray, np.ndarray]:
    """Units used by region (R,), and the mean of ∂b/∂A at ``lag`` over them, (2, 2, R)."""
    starts = np.flatnonzero(np.r_[True, np.diff(rows.unit) > 0])
    lengths, of = np.diff(np.r_[starts, rows.unit.size]), rows.region[starts]
    units = np.bincount(of, minlength=regions)
    each = {t: gradient(lag, t) for t in np.unique(lengths).tolist()}
    total = np.zeros((2, 2, regions))
    for t, r in zip(lengths.tolist(), of.tolist(), strict=True):
        total[:, :, r] += each[t]
    return units, total / np.maximum(units, 1)


def _refuse_exact_fits(total: np.ndarray, size: int, names: tuple[str, str]) -> None:
    for q, name in enumerate(names):
        index = np.r_[np.arange(size), size + q]
        if not independent_columns(total[np.ix_(index, index)], np.diag(total)[index])[-1]:
            raise NoVariationError(
                f"{name!r} is fitted exactly by its lag, the other series' lag, effects and covariates: nothing is left to estimate the "
                "errors from. Check that it is not a trend, rounded, or built from the other columns; or give more units and periods."
            )
    both = independent_columns(total[size:, size:], np.diag(total)[size:])
    if not both.all():
        raise CollinearColumnsError(f"{names[1]!r} is a multiple of {names[0]!r}: name two different series.")


def _products(v: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Σ V'(I − P)V and Σ V'PV by number of rows; the distinct numbers and how many units have each."""
    starts = np.flatnonzero(np.r_[True, np.diff(unit) > 0])
    rows = np.diff(np.r_[starts, unit.size])
    means = np.add.reduceat(v, starts) / rows[:, None]
    within = v - np.repeat(means, rows, axis=0)
    lengths, counts = np.unique(rows, return_counts=True)
    between = [t * means[rows == t].T @ means[rows == t] for t in lengths]
    return np.stack([within.T @ within, *between]), lengths, counts

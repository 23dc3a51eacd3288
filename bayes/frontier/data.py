"""FrontierData: a panel as the arrays that every frontier kernel uses, units × rows of the unit, padded where units have fewer rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayes.frontier import technology as tech
from bayes.panel import Panel

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier


@dataclass(frozen=True, eq=False)
class FrontierData:
    """Arrays of one panel for one specification. U units, T rows of the longest unit, K terms, R regions, Q determinants.

    Attributes
    ----------
    output : array (U, T)
        Dependent variable; 0 where padded.
    design : array (K, U, T)
        Terms of the frontier, with inputs, covariates and time centred at their means; 0 where padded.
    mask : array (U, T)
        1 for a row that exists.
    row : array (U, T)
        Position of the row in ``panel.frame``, −1 where padded.
    period : array (U, T)
        Calendar period; the unit's last period where padded.
    unit_region : array (U,)
    determinants, noise_determinants : arrays (Q, U, T)
        Standardised: centred at their means, in units of their standard deviations.
    terms : tuple of terms, in the order of K.
    values : mapping of variable to array (U, T)
        Centred inputs, covariates and time.
    centre : mapping of variable to its mean, as subtracted.
    determinant_centre, determinant_scale, noise_determinant_centre, noise_determinant_scale : arrays (Q,)
    units, regions : labels
    """

    output: np.ndarray
    design: np.ndarray
    mask: np.ndarray
    row: np.ndarray
    period: np.ndarray
    unit_region: np.ndarray
    determinants: np.ndarray
    noise_determinants: np.ndarray
    terms: tuple[tech.Term, ...]
    values: Mapping[str, np.ndarray]
    centre: Mapping[str, float]
    determinant_centre: np.ndarray
    determinant_scale: np.ndarray
    noise_determinant_centre: np.ndarray
    noise_determinant_scale: np.ndarray
    units: np.ndarray
    regions: np.ndarray

    @property
    def term_names(self) -> tuple[str, ...]:
        return tuple(tech.term_name(t) for t in self.terms)

    @property
    def n_units(self) -> int:
        return len(self.units)

    @property
    def n_regions(self) -> int:
        return len(self.regions)

    @cached_property
    def n_rows(self) -> int:
        return int(self.mask.sum())

    @cached_property
    def is_full(self) -> bool:
        """No padding: every unit has the same number of rows."""
        return bool(self.mask.all())

    @cached_property
    def rows_per_region(self) -> np.ndarray:
        return np.bincount(self.unit_region, self.mask.sum(axis=1), self.n_regions).astype(int)

    @cached_property
    def last_period(self) -> np.ndarray:
        """Last observed period of each unit, shape (U, 1)."""
        return self.period.max(axis=1, keepdims=True)

    @cached_property
    def since_last(self) -> np.ndarray:
        """t − T_i ≤ 0, calendar periods before the unit's last one (Battese & Coelli 1992). Shape (U, T)."""
        return (self.period - self.last_period).astype(float)

    @cached_property
    def since_first(self) -> np.ndarray:
        """Calendar time counted from 1 in the panel's first period (Kumbhakar 1990). Shape (U, T)."""
        return (self.period - self.period.min() + 1).astype(float)

    def in_rows(self, values: np.ndarray) -> np.ndarray:
        """Take (…, U, T) back to the rows of the panel, (…, n_rows)."""
        out = np.empty((*values.shape[:-2], self.n_rows))
        out[..., self.row[self.mask > 0]] = values[..., self.mask > 0]
        return out


def frontier_data(spec: StochasticFrontier, panel: Panel) -> FrontierData:
    """Arrays of ``panel`` for ``spec``. Columns are read as they are (take logs with ``panel.log``) and checked by the panel."""
    starts = panel.unit_starts
    lengths = np.diff(np.r_[starts, panel.n_rows])
    position = np.arange(lengths.max())
    mask = (position < lengths[:, None]).astype(float)
    row = np.where(mask > 0, starts[:, None] + position, -1)
    filled = np.where(row >= 0, row, (starts + lengths - 1)[:, None])
    time = panel.frame[panel.time].to_numpy()
    variables = {name: panel.column(name) for name in (*spec.inputs, *spec.covariates)} | {tech.TIME: time.astype(float)}
    centre = {name: float(v.mean()) for name, v in variables.items()}
    values = {name: (v - centre[name])[filled] * mask for name, v in variables.items()}
    terms = tech.terms(spec.inputs, spec.technology, spec.technical_change, spec.covariates)
    z, z_centre, z_scale = _standardised(panel.matrix(spec.determinants))
    n, n_centre, n_scale = _standardised(panel.matrix(spec.noise_determinants))
    return FrontierData(
        panel.column(spec.output)[filled] * mask, tech.design(terms, values) * mask, mask, row, time[filled], panel.unit_regions,
        z[:, filled] * mask, n[:, filled] * mask, terms, values, centre, z_centre, z_scale, n_centre, n_scale, panel.units, panel.regions,
    )  # fmt: skip


def _standardised(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns (n_rows, Q) as (Q, n_rows) with mean 0 and standard deviation 1, with what was taken out."""
    centre, scale = columns.mean(axis=0), columns.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    return ((columns - centre) / scale).T, centre, scale

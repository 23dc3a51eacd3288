"""Everything that a specification and a panel determine before sampling: groups, design, cross-products, identification, scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayes.did.cells import Basis, Cells, Design, component_basis, make_design
from bayes.did.cross_products import (
    CrossProducts,
    GroupProducts,
    UnitColumns,
    build,
    data_scales,
    group_products,
    identified_columns,
    independent_columns,
    rearrange,
    within_products,
)
from bayes.did.groups import Trajectories
from bayes.errors import CollinearColumnsError, NoVariationError


@dataclass(frozen=True)
class CollapsedPanel:
    """The panel as the likelihood sees it. ``period_start`` and ``step`` turn grid positions into calendar periods."""

    groups: tuple[Trajectories, ...]
    design: Design
    unit_columns: UnitColumns
    covariates: tuple[str, ...]
    regions: tuple[str, ...]
    period_start: int
    step: int
    scales: np.ndarray
    products: CrossProducts
    components: tuple[str, ...]
    path_order: int

    @property
    def n_flat_common(self) -> int:
        """Period and covariate columns, which are flat under every pooling."""
        return len(self.design.period_columns) + len(self.covariates)

    @cached_property
    def lead_columns(self) -> np.ndarray:
        return np.arange(self.n_flat_common + self.design.cells.size, self.products.n_columns)

    @cached_property
    def cell_columns(self) -> np.ndarray:
        return np.arange(self.n_flat_common, self.n_flat_common + self.design.cells.size)

    @cached_property
    def flat_columns(self) -> np.ndarray:
        """Period and covariate columns that are not redundant (a period seen in one unit only is absorbed by its unit effect)."""
        keep = self._independent(np.arange(self.n_flat_common))
        lost = [self.covariates[j] for j in np.flatnonzero(~keep[len(self.design.period_columns) :])]
        if lost:
            raise CollinearColumnsError(
                f"Covariates {lost} are exact combinations of unit effects, period effects and the covariates before them "
                "(a column that does not vary within units, or varies only over time, cannot be told apart from them). Leave them out."
            )
        return np.flatnonzero(keep)

    @cached_property
    def identified_cells(self) -> np.ndarray:
        """True for each cell that the flat design without leads determines."""
        return self._identified(np.r_[self.flat_columns, self.cell_columns])[self.flat_columns.size :]

    @cached_property
    def identified_leads(self) -> np.ndarray:
        index = np.r_[self.flat_columns, self.cell_columns, self.lead_columns]
        return self._identified(index)[self.flat_columns.size + self.cell_columns.size :]

    def _identified(self, index: np.ndarray) -> np.ndarray:
        within = within_products(self.products)
        return identified_columns(within[np.ix_(index, index)], np.diag(self.products.total[0])[index])

    def _independent(self, index: np.ndarray) -> np.ndarray:
        within = within_products(self.products)
        return independent_columns(within[np.ix_(index, index)], np.diag(self.products.total[0])[index])

    @cached_property
    def basis(self) -> Basis | None:
        return component_basis(self.design.cells, self.components, self.path_order) if self.components else None

    @cached_property
    def sampled_products(self) -> CrossProducts:
        """Columns of the sampled model: flat effects, then the cells (all flat and made independent when nothing is pooled)."""
        if self.basis is None:
            return self.flat_products(())
        random = np.eye(self.products.n_columns)[:, self.cell_columns]
        return rearrange(self.products, self.flat_columns, random)

    def flat_products(self, extra: Sequence[int]) -> CrossProducts:
        return rearrange(self.products, self.flat_cell_columns(extra), np.zeros((self.products.n_columns, 0)))

    def flat_cell_columns(self, extra: Sequence[int]) -> np.ndarray:
        """Independent columns among flat effects, cells and the extra ones, in this order."""
        index = np.r_[self.flat_columns, self.cell_columns, np.asarray(extra, dtype=int)].astype(int)
        return index[self._independent(index)]

    def lead_products(self) -> tuple[CrossProducts, np.ndarray]:
        """The sampled model with flat leads added, and the index of each lead among its flat columns (−1 where redundant)."""
        index = np.r_[self.flat_columns, self.lead_columns]
        keep = index[self._independent(index)]
        place = {c: j for j, c in enumerate(keep.tolist())}
        where = np.array([place.get(c, -1) for c in self.lead_columns.tolist()], dtype=int)
        random = np.eye(self.products.n_columns)[:, self.cell_columns]
        if self.basis is None:
            keep = self.flat_cell_columns(self.lead_columns)
            place = {c: j for j, c in enumerate(keep.tolist())}
            where = np.array([place.get(c, -1) for c in self.lead_columns.tolist()], dtype=int)
            random = np.zeros((self.products.n_columns, 0))
        return rearrange(self.products, keep, random), where

    @cached_property
    def group_products(self) -> GroupProducts:
        """Group means without leads, columns in the order of the sampled model."""
        order = np.r_[self.flat_columns, self.cell_columns, self.products.n_columns]
        if self.basis is None:
            order = np.r_[self.flat_cell_columns(()), self.products.n_columns]
        all_groups = group_products(self.groups, self.design, self.unit_columns, self.scales)
        return GroupProducts(
            all_groups.mean[:, :, order], all_groups.weighted_mean[:, :, order], all_groups.pattern, all_groups.n, all_groups.weight,
            all_groups.weight_squares,
        )  # fmt: skip

    def calendar(self, position: np.ndarray) -> np.ndarray:
        return self.period_start + self.step * np.asarray(position, dtype=float)

    @cached_property
    def group_in_cell(self) -> np.ndarray:
        """True where a group has rows in a cell, shape (cells, groups)."""
        cells = self.design.cells
        out = np.zeros((cells.size, len(self.groups)), dtype=bool)
        for j, g in enumerate(self.groups):
            out[:, j] = (cells.region == g.region) & (cells.cohort == g.cohort) & np.isin(cells.period, g.dates)
        return out


def collapse(
    groups: Sequence[Trajectories], n_periods: int, period_start: int, step: int, regions: Sequence[str], covariates: Sequence[str],
    unit_columns: UnitColumns, period_effects: str, anticipation: int, leads: bool, components: Sequence[str], path_order: int,
) -> CollapsedPanel:  # fmt: skip
    """Design, scales and cross-products of grouped units.

    Raises :class:`NoVariationError` for an outcome that is fitted exactly,
    :class:`CollinearColumnsError` for a covariate that effects absorb and :class:`NoComparisonError` when nobody is treated.
    """
    design = make_design(groups, n_periods, period_effects, anticipation, leads)
    scales = data_scales(groups)
    products = build(groups, design, unit_columns, scales)
    out = CollapsedPanel(
        tuple(groups),
        design,
        unit_columns,
        tuple(covariates),
        tuple(regions),
        period_start,
        step,
        scales,
        products,
        tuple(components),
        path_order,
    )
    if not out._independent(np.r_[out.flat_columns, out.cell_columns, products.n_columns])[-1]:
        raise NoVariationError(
            "The outcome is fitted exactly by unit effects, period effects, covariates and treatment cells: nothing is left to "
            "estimate the errors from. Check that it is not constant, rounded or built from the treatment."
        )
    return out


def cell_coordinates(
    collapsed: CollapsedPanel, cells: Cells, identified: np.ndarray, dim: str, observed: bool = True
) -> dict[str, tuple[str, np.ndarray]]:
    """Labels of cells in calendar terms, as coordinates of a dataset."""
    return {
        f"{dim}_region": (dim, np.array(collapsed.regions, dtype=object)[cells.region]),
        f"{dim}_cohort": (dim, collapsed.calendar(cells.cohort)),
        f"{dim}_event_time": (dim, cells.event.astype(float)),
        f"{dim}_period": (dim, collapsed.calendar(cells.period)),
        f"{dim}_rows": (dim, cells.rows.astype(np.int64)),
        f"{dim}_weight": (dim, cells.weight),
        f"{dim}_identified": (dim, identified),
        f"{dim}_observed": (dim, np.full(cells.size, observed)),
    }

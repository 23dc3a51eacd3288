"""One regression for each mediator and one for the outcome, as cross-products: all that the joint likelihood needs from the data.

Mediator k:  m_k = α + λ + x'β + Σ_r a_kr D_r + D·u_i + e;   outcome:  y = α + λ + x'β + Σ_r c'_r D_r + Σ_k Σ_r b_kr m_kr + D·u_i + e,
where D_r and m_kr are the treatment (or the exposure) and mediator k in region r, zero elsewhere. Given the data and independent errors,
the equations share nothing but the distribution of (a, b, c') over regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayes.did.cells import Design, make_design
from bayes.did.cross_products import (
    CrossProducts,
    UnitColumns,
    build,
    data_scales,
    identified_columns,
    independent_columns,
    rearrange,
    within_products,
)
from bayes.did.groups import Trajectories, block_of, group_units
from bayes.errors import CollinearColumnsError, NoVariationError
from bayes.panel import Panel


@dataclass(frozen=True)
class Equation:
    """Cross-products of one regression, everything divided by its scale.

    Columns: flat ones (period effects, covariates), then the treatment by region (R), in the outcome's equation then mediator 1 by region,
    mediator 2 by region …, then the response. ``scale`` is the response's standard deviation after unit and period means.
    """

    response: str
    products: CrossProducts
    scale: float


@dataclass(frozen=True)
class Equations:
    """All equations of a mediation model, mediators first, with what tables need to know about regions.

    Attributes
    ----------
    equations : tuple of Equation
    covariates, mediators, regions : tuple of str
    covariate_columns : array (covariates,)
        Places of the covariates among the flat columns.
    covariate_scales : array (covariates,)
    treated_rows, treated_weight : array (R,)
        Rows under treatment by region, and their summed unit weight.
    rows : array (R,)
    driving_identified, mediator_identified : array (mediators, R)
    direct_identified : array (R,)
        Whether the flat design of the coefficient's own equation determines it.
    dichotomous : array (mediators,)
        Mediators that take two values.
    exposure_scale : float
        Standard deviation within units and periods of the exposure; 1 for a treatment. With an exposure every row counts as treated.
    """

    equations: tuple[Equation, ...]
    covariates: tuple[str, ...]
    mediators: tuple[str, ...]
    regions: tuple[str, ...]
    covariate_columns: np.ndarray
    covariate_scales: np.ndarray
    treated_rows: np.ndarray
    treated_weight: np.ndarray
    rows: np.ndarray
    driving_identified: np.ndarray
    direct_identified: np.ndarray
    mediator_identified: np.ndarray
    dichotomous: np.ndarray
    exposure_scale: float = 1.0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the responses, the outcome last."""
        return tuple(e.response for e in self.equations)

    @property
    def scales(self) -> np.ndarray:
        """Standard deviations of the responses, the outcome's last."""
        return np.array([e.scale for e in self.equations])

    @cached_property
    def path_scales(self) -> np.ndarray:
        """Units of the paths a_1 … a_K, c', b_1 … b_K: what a coefficient of scaled columns is multiplied by. Shape (2K + 1,)."""
        return np.r_[self.unit_effect_scales, self.scales[-1] / self.scales[:-1]]

    @property
    def unit_effect_scales(self) -> np.ndarray:
        """Units of the effects of treatment or exposure on each response."""
        return self.scales / self.exposure_scale


def make_equations(
    panel: Panel, outcome: str, mediators: Sequence[str], covariates: Sequence[str], unit_columns: UnitColumns, period_effects: str,
    anticipation: int, exposure: str | None = None,
) -> Equations:  # fmt: skip
    """Group the units once and build every equation.

    An exposure enters as the dose of a treatment that every unit has from the first period on.

    Raises :class:`NoVariationError` for a column that effects absorb or an outcome that is fitted exactly,
    :class:`CollinearColumnsError` for an exact linear combination, and the panel's errors.
    """
    columns = (*covariates, *mediators)
    block, exposure_scale = block_of(panel, outcome, columns), 1.0
    if exposure is not None:
        dose, exposure_scale = _exposure(panel, exposure)
        block = replace(block, cohorts=np.zeros(panel.n_units), dose=dose)
    groups = group_units([block])
    design = make_design(groups, panel.n_periods, period_effects, anticipation, leads=False)
    regions = tuple(panel.regions.tolist())
    scales = data_scales(groups)
    p, k, r = len(covariates), len(mediators), len(regions)
    plain = build(groups, design, UnitColumns(False, False), scales)
    flat = _flat_columns(plain, design, covariates)
    _refuse_exact_fits(plain, design, flat, mediators, outcome, len(columns), r)
    covariate_places = np.arange(p)
    equations, identified = [], []
    for j, name in enumerate(mediators):
        chosen = np.r_[covariate_places, p + j]
        own = [_only(g, chosen) for g in groups]
        products = build(own, design, unit_columns, scales[chosen])
        random = _treatment_by_region(design, products.n_columns, p, r)
        equations.append(Equation(name, rearrange(products, flat, random), float(scales[p + j])))
        identified.append(_identified(equations[-1].products))
    wide = [_by_region(g, p, k, r) for g in groups]
    products = build(wide, design, unit_columns, np.r_[scales[:p], np.repeat(scales[p:-1], r), scales[-1]])
    treatment = _treatment_by_region(design, products.n_columns, p + k * r, r)
    mediator = np.eye(products.n_columns)[:, len(design.period_columns) + p + np.arange(k * r)]
    equations.append(Equation(outcome, rearrange(products, flat, np.hstack([treatment, mediator])), float(scales[-1])))
    last = _identified(equations[-1].products)
    cells = design.cells
    return Equations(
        tuple(equations), tuple(covariates), tuple(mediators), regions, np.flatnonzero(flat >= len(design.period_columns)), scales[:p],
        np.bincount(cells.region, cells.rows, r), np.bincount(cells.region, cells.weight, r),
        np.bincount(panel.unit_regions[panel.unit_codes], minlength=r), np.array(identified), last[:r], last[r:].reshape(k, r),
        np.array([np.unique(panel.column(m)).size == 2 for m in mediators]), exposure_scale,
    )  # fmt: skip


def _exposure(panel: Panel, name: str) -> tuple[np.ndarray, float]:
    """Exposure of every row less its unit's mean (unit effects absorb it), in standard deviations, and that standard deviation.

    Raises :class:`NoVariationError` where unit and period effects leave nothing of it.
    """
    x, code, starts = panel.column(name), panel.unit_codes, panel.unit_starts
    x = x - x[starts][code]  # a constant becomes exactly zero
    x = x - (np.bincount(code, x) / np.bincount(code))[code]
    scale = float(data_scales(group_units([block_of(panel, name)]))[-1])
    period = panel.period_codes
    left = x - (np.bincount(period, x) / np.maximum(np.bincount(period), 1))[period]
    if left @ left <= 1e-18 * max(panel.column(name) @ panel.column(name), np.finfo(float).tiny):
        raise NoVariationError(f"Exposure {name!r} has no variation of its own: unit effects and period effects give it exactly.")
    return x / scale, scale


# ── columns ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _only(group: Trajectories, columns: np.ndarray) -> Trajectories:
    """The group with some of its data columns."""
    return replace(
        group, values=group.values[..., columns], mean=group.mean[:, columns], weighted_mean=group.weighted_mean[:, columns]
    )  # fmt: skip


def _by_region(group: Trajectories, p: int, k: int, r: int) -> Trajectories:
    """Data columns [x, m_1 … m_K, y] → [x, m_1 by region, …, m_K by region, y]; a group belongs to one region, the rest is zero."""
    place = np.r_[np.arange(p), p + np.arange(k) * r + group.region, p + k * r]
    return replace(
        group, values=_spread(group.values, place), mean=_spread(group.mean, place), weighted_mean=_spread(group.weighted_mean, place)
    )  # fmt: skip


def _spread(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    out = np.zeros((*values.shape[:-1], int(place[-1]) + 1))
    out[..., place] = values
    return out


def _treatment_by_region(design: Design, size: int, data_columns: int, r: int) -> np.ndarray:
    """Cells summed to the treatment of each region, shape (design columns, R). Regions without treated units have a zero column."""
    out = np.zeros((size, r))
    first = len(design.period_columns) + data_columns
    out[first + np.arange(design.cells.size), design.cells.region] = 1.0
    return out


def _identified(products: CrossProducts) -> np.ndarray:
    """For each column that is not flat: whether the flat design determines its coefficient."""
    within, k = within_products(products), products.n_columns
    return identified_columns(within[:k, :k], np.diag(products.total[0])[:k])[products.n_flat :]


# ── what cannot be estimated ────────────────────────────────────────────────────────────────────────────────────────


def _flat_columns(plain: CrossProducts, design: Design, covariates: Sequence[str]) -> np.ndarray:
    """Period and covariate columns that are not redundant. A covariate that is raises."""
    n_periods = len(design.period_columns)
    keep = _independent(plain, np.arange(n_periods + len(covariates)))
    lost = [covariates[j] for j in np.flatnonzero(~keep[n_periods:])]
    if lost:
        raise CollinearColumnsError(
            f"Covariates {lost} are exact combinations of unit effects, period effects and the covariates before them. Leave them out."
        )
    return np.flatnonzero(keep)


def _independent(products: CrossProducts, index: np.ndarray) -> np.ndarray:
    return independent_columns(within_products(products)[np.ix_(index, index)], np.diag(products.total[0])[index])


def _refuse_exact_fits(
    plain: CrossProducts, design: Design, flat: np.ndarray, mediators: Sequence[str], outcome: str, n_data: int, r: int
) -> None:
    """Mediators and outcome must keep variation of their own beside effects, covariates, treatment and each other."""
    k = len(mediators)
    first = len(design.period_columns) + n_data - k
    size = plain.n_columns
    ordered = rearrange(plain, flat, np.hstack([_treatment_by_region(design, size, n_data, r), np.eye(size)[:, first : first + k]]))
    base, own = np.arange(flat.size + r), flat.size + r + np.arange(k)
    for j, name in enumerate(mediators):
        if not _independent(ordered, np.r_[base, own[j]])[-1]:
            raise NoVariationError(
                f"Mediator {name!r} has no variation of its own: it is constant within units, or an exact combination of unit effects, "
                "period effects, covariates and the treatment. Leave it out, or use a finer measure."
            )
    if not _independent(ordered, np.r_[base, ordered.n_columns])[-1]:
        raise NoVariationError(
            f"The outcome {outcome!r} is fitted exactly by unit effects, period effects, covariates and the treatment: nothing is left to "
            "estimate the errors from. Check that it is not constant, rounded or built from the treatment."
        )
    for j in range(1, k):
        if not _independent(ordered, np.r_[base, own[: j + 1]])[-1]:
            raise CollinearColumnsError(
                f"Mediator {mediators[j]!r} is an exact linear combination of {list(mediators[:j])}, effects and covariates: their paths "
                "cannot be told apart. Leave one out."
            )
    for j, name in enumerate(mediators):
        if not _independent(ordered, np.r_[base, own[: j + 1], ordered.n_columns])[-1]:
            others = f", with {list(mediators[:j])}," if j else ""
            raise CollinearColumnsError(
                f"Mediator {name!r}{others} gives the outcome {outcome!r} exactly: it is the outcome itself or the last part of it. A part "
                "of the outcome is not a mechanism; leave it out."
            )

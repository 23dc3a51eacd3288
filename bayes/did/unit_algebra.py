"""Quadratic forms unit by unit at row level: what is left of each unit's rows once its own effects are taken out or drawn.

The collapsed likelihood needs cross-products only; replicated outcomes, scores of single units and residuals need the rows. One draw of
the scales or many at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes.did.cross_products import coefficients
from bayes.did.draws import hyperparameters
from bayes.did.intensity import refuse_extensions
from bayes.did.likelihood import factor_patterns
from bayes.did.posterior import Hyperparameters
from bayes.did.rows import Rows, row_design
from bayes.errors import SpecificationError

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit

_MAX_NUMBERS = 200_000_000
"""Largest rows × draws array that is worked through; beyond it thin the draws or use fewer rows."""


@dataclass(frozen=True)
class UnitAlgebra:
    """Row-level pieces of the unit-wise quadratic forms: R_f Z per row (F, rows, q), Z'R_f Z per unit (F, units, q, q), gaps per unit."""

    rows: Rows
    gaps: np.ndarray
    rz: np.ndarray
    zz: np.ndarray
    gap_counts: np.ndarray
    n_dates: np.ndarray

    @classmethod
    def of(cls, rows: Rows, gaps: np.ndarray) -> UnitAlgebra:
        rz = row_structure(rows.unit_columns, rows.gap, gaps)
        zz = np.add.reduceat(rz[..., :, None] * rows.unit_columns[:, None, :], rows.starts, axis=1)
        counts = np.stack([np.add.reduceat((rows.gap == g).astype(float), rows.starts) for g in gaps], axis=1)
        return cls(rows, gaps, rz, zz, counts, np.diff(np.r_[rows.starts, rows.unit.size]))

    def factor(self, h: Hyperparameters):
        f = coefficients(h.autocorrelation, self.gaps)
        by_unit = np.einsum("fn,fuab->abnu", f, self.zz)
        scale = [1.0, *[(h.unit_sds[:, a] / h.innovation_sd)[:, None] for a in range(self.zz.shape[-1] - 1)]]
        return f, factor_patterns(by_unit, scale), scale

    def projections(self, residual: np.ndarray, f: np.ndarray, lower: list[list], scale: list) -> list[np.ndarray]:
        """L⁻¹ S Z'R̃⁻¹ r per draw and unit, q arrays (draws, units); ``residual`` is (draws, rows)."""
        out: list[np.ndarray] = []
        for a in range(len(lower)):
            weights = f.T @ self.rz[:, :, a]
            y = np.add.reduceat(weights * residual, self.rows.starts, axis=1) * scale[a]
            for b in range(a):
                y = y - lower[a][b] * out[b]
            out.append(y / lower[a][a])
        return out

    def unit_effects(self, projected: list[np.ndarray], lower: list[list], scale: list) -> np.ndarray:
        """Back-substitution: from the projections of a residual to the expected unit intercepts and random effects, (q, draws, units)."""
        q = len(lower)
        standard: list = [None] * q
        for a in reversed(range(q)):
            standard[a] = (projected[a] - sum((lower[b][a] * standard[b] for b in range(a + 1, q)), 0.0)) / lower[a][a]
        return np.stack([scale[a] * standard[a] for a in range(q)])

    def drawn_unit_effects(
        self, projected: list[np.ndarray], lower: list[list], scale: list, h: Hyperparameters, rng: np.random.Generator
    ) -> np.ndarray:
        """One exact draw of the unit intercepts and random effects for each draw of everything else, (q, draws, units)."""
        noisy = list(projected)
        for a in reversed(range(len(lower))):
            noisy[a] = projected[a] + h.innovation_sd[:, None] * rng.standard_normal(projected[a].shape)
        return self.unit_effects(noisy, lower, scale)

    def unit_part(self, effects: np.ndarray) -> np.ndarray:
        """What unit effects (q, draws, units) add to the rows, (draws, rows)."""
        return sum(e[:, self.rows.unit] * self.rows.unit_columns[:, a] for a, e in enumerate(effects))

    def precision_times(self, residual: np.ndarray, f: np.ndarray) -> np.ndarray:
        """R̃⁻¹ r of each unit for one draw (f of shape (F, 1)), r and result (rows, columns)."""
        return np.tensordot(f[:, 0], row_structure(residual, self.rows.gap, self.gaps), axes=1)

    def quadratic(self, residual: np.ndarray, f: np.ndarray) -> np.ndarray:
        """r'R̃⁻¹r per draw and unit."""
        total = f[0][:, None] * residual**2
        for j, gap in enumerate(self.gaps):
            right = np.flatnonzero(self.rows.gap == gap)
            pair = f[1 + j][:, None] * (residual[:, right] ** 2 + residual[:, right - 1] ** 2)
            total[:, right] += pair + 2 * f[1 + self.gaps.size + j][:, None] * residual[:, right] * residual[:, right - 1]
        return np.add.reduceat(total, self.rows.starts, axis=1)


def row_structure(x: np.ndarray, gap: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """(I x, A_g x …, B_g x …) for rows of many units one after another, shape (F, rows, columns)."""
    out = np.zeros((1 + 2 * gaps.size, *x.shape))
    out[0] = x
    for j, g in enumerate(gaps):
        right = np.flatnonzero(gap == g)
        left = right - 1
        out[1 + j, right] += x[right]
        out[1 + j, left] += x[left]
        out[1 + gaps.size + j, right] += x[left]
        out[1 + gaps.size + j, left] += x[right]
    return out


def prepared(fit: DiDFit, keep: np.ndarray, what: str) -> tuple[UnitAlgebra, Hyperparameters, np.ndarray]:
    """Unit algebra, hyperparameters and fitted means (draws, rows) without unit effects, for the draws in ``keep``; scaled outcome.

    ``what`` heads the message for models whose unit effects are not normal given the scales.
    """
    refuse_extensions(fit.model, what, allowed=("dose", "moderators"))
    collapsed = fit._collapsed
    if fit.panel.n_rows * keep.size > _MAX_NUMBERS:
        raise SpecificationError(
            f"{fit.panel.n_rows} rows × {keep.size} draws need {fit.panel.n_rows * keep.size * 8 / 1e9:.0f} GB. "
            "This check works row by row: use a panel of fewer units, or fit with fewer draws."
        )
    rows = row_design(fit.model.block(fit.panel), collapsed.design, collapsed.unit_columns)
    scale = collapsed.scales[-1]
    posterior = fit.posterior.stack(sample=("chain", "draw"), create_index=False).isel(sample=keep)

    def flat(name: str) -> np.ndarray:
        return np.nan_to_num(posterior[name].transpose("sample", ...).to_numpy())

    n_periods = len(collapsed.design.period_columns)
    mean = flat("period_effect") @ rows.fixed[:, :n_periods].T
    mean += flat("cell_effect") @ rows.fixed[:, n_periods : n_periods + collapsed.design.cells.size].T
    if collapsed.covariates:
        mean += flat("coefficient") @ rows.covariates.T
    scalars = {n: posterior[n].to_numpy() for n in fit.model.parameters(collapsed)}
    hyper = hyperparameters(scalars, collapsed, fit.model.resolved_priors())
    return UnitAlgebra.of(rows, collapsed.products.gaps), hyper, mean / scale

"""The model of a small panel as one dense Gaussian, written from its definition and sharing no algebra with the package.

Rows are loops and matrices are N × N; the outcome is divided by the package's own scale so that both sides speak of the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from bayes import Panel, StaggeredDiD
from bayes.did.likelihood import component_names
from bayes.did.posterior import Hyperparameters
from tests.panels import ROLES

COMPONENT_SDS = {"level": 2.5, "drift": 0.25, "event": 0.2, "region": 0.3, "cohort": 0.25, "region_event": 0.15, "cell": 0.1}


@dataclass(frozen=True)
class Point:
    """One value of every scale, in units of the scaled outcome; ``components`` multiplies :data:`COMPONENT_SDS`."""

    innovation_sd: float = 0.8
    autocorrelation: float = 0.55
    unit_effect_sd: float = 0.3
    unit_trend_sd: float = 0.05
    components: tuple[tuple[str, float], ...] = ()

    def unit_sds(self, names: tuple[str, ...]) -> np.ndarray:
        return np.array([getattr(self, n) for n in names])

    def component_sds(self, names: tuple[str, ...]) -> np.ndarray:
        return np.array([{**COMPONENT_SDS, **dict(self.components)}[n] for n in names])


@dataclass(frozen=True)
class DensePanel:
    """A specification on a panel, in dense matrices. Columns of ``design``: flat period effects and covariates, then cells, then leads."""

    spec: StaggeredDiD
    panel: Panel

    @cached_property
    def collapsed(self):
        return self.spec.collapse(self.panel)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """unit, t (grid position), region, g (first treated grid position) and event time of every row."""
        f, p = self.panel.frame, self.panel
        t = (f[p.time] - f[p.time].min()) // p.step
        g = np.ceil((f[p.first_treated] - f[p.time].min()) / p.step)
        region = f[p.region].astype(str) if p.region else pd.Series("all", index=f.index)
        return pd.DataFrame({"unit": f[p.unit], "t": t, "region": region, "g": g, "e": t - g}).reset_index(drop=True)

    @cached_property
    def outcome(self) -> np.ndarray:
        return self.panel.frame[self.spec.outcome].to_numpy(dtype=float) / self.collapsed.scales[-1]

    @cached_property
    def flat(self) -> np.ndarray:
        """Period dummies and scaled covariates that are not redundant, in the package's order."""
        r, c = self.rows, self.collapsed
        columns = []
        for region, t in c.design.period_columns:
            here = np.ones(len(r), bool) if region < 0 else (r.region == c.regions[region]).to_numpy()
            columns.append(here & (r.t == t).to_numpy())
        for j, name in enumerate(self.spec.covariates):
            columns.append(self.panel.frame[name].to_numpy(dtype=float) / c.scales[j])
        return np.column_stack(columns).astype(float)[:, c.flat_columns]

    @cached_property
    def cells(self) -> np.ndarray:
        r, c = self.rows, self.collapsed.design.cells
        labels = zip(np.array(self.collapsed.regions)[c.region], c.cohort, c.event, strict=True)
        return np.column_stack([((r.region == a) & (r.g == g) & (r.e == e)).to_numpy(float) for a, g, e in labels])

    @cached_property
    def leads(self) -> np.ndarray:
        r, c = self.rows, self.collapsed.design.leads
        labels = zip(np.array(self.collapsed.regions)[c.region], c.event, strict=True)
        return np.column_stack([((r.region == a) & (r.e == e)).to_numpy(float) for a, e in labels])

    @cached_property
    def unit_dummies(self) -> np.ndarray:
        return (self.rows.unit.to_numpy()[:, None] == self.panel.units).astype(float)

    @cached_property
    def unit_columns(self) -> list[np.ndarray]:
        """Columns that the random unit effects multiply, one array (rows, units) for each kind."""
        r = self.rows
        out = []
        if self.spec.unit_effects == "random-treatment":
            out.append(self.unit_dummies * (r.e >= -self.spec.anticipation).to_numpy(float)[:, None])
        if self.spec.unit_trends:
            out.append(self.unit_dummies * (r.t - (r.t.min() + r.t.max()) / 2).to_numpy(float)[:, None])
        return out

    @property
    def unit_names(self) -> tuple[str, ...]:
        return self.collapsed.unit_columns.names

    @property
    def names(self) -> tuple[str, ...]:
        return component_names(self.collapsed.basis) if self.collapsed.basis is not None else ()

    def errors(self, point: Point) -> np.ndarray:
        """Covariance of the AR(1) errors, σ² ρ^|t − s| within units."""
        t, unit = self.rows.t.to_numpy(), self.rows.unit.to_numpy()
        power = point.autocorrelation ** np.abs(t[:, None] - t)
        return point.innovation_sd**2 / (1 - point.autocorrelation**2) * np.where(unit[:, None] == unit, power, 0.0)

    def loadings(self, point: Point) -> np.ndarray:
        """Cells as a map of independent standard normals, shape (cells, components)."""
        basis = self.collapsed.basis
        sds = dict(zip(self.names, point.component_sds(self.names), strict=True))
        return basis.matrix * np.array([sds[c] for c in basis.component])

    def marginal_covariance(self, point: Point) -> np.ndarray:
        v = self.errors(point)
        for sd, z in zip(point.unit_sds(self.unit_names), self.unit_columns, strict=True):
            v = v + sd**2 * z @ z.T
        if self.collapsed.basis is not None:
            w = self.cells @ self.loadings(point)
            v = v + w @ w.T
        return v

    @cached_property
    def flat_design(self) -> np.ndarray:
        """Everything flat: unit effects, periods, covariates, and independent cells when nothing is pooled."""
        parts = [self.unit_dummies, self.flat]
        if self.collapsed.basis is None:
            kept = self.collapsed.flat_cell_columns(())
            parts.append(self.cells[:, kept[kept >= self.collapsed.n_flat_common] - self.collapsed.n_flat_common])
        return np.hstack(parts)

    def log_likelihood(self, point: Point) -> float:
        """Restricted log likelihood by dense algebra: the flat coefficients integrated over Lebesgue measure."""
        return gaussian_contrasts(self.outcome, self.marginal_covariance(point), self.flat_design)

    def posterior(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of (flat columns, cells, unit effects b of every unit) given the scales, by one dense solve."""
        flat, n = self.flat_design, self.panel.n_units
        random, sd = [], []
        if self.collapsed.basis is not None:
            random.append(self.cells @ self.loadings(point))
            sd.append(np.ones(random[0].shape[1]))
        for value, z in zip(point.unit_sds(self.unit_names), self.unit_columns, strict=True):
            random.append(value * z)
            sd.append(np.ones(n))
        x = np.hstack([flat, *random])
        prior = np.r_[np.zeros(flat.shape[1]), np.concatenate(sd)]
        inverse = np.linalg.inv(self.errors(point))
        covariance = np.linalg.inv(x.T @ inverse @ x + np.diag(prior))
        mean = covariance @ x.T @ inverse @ self.outcome
        transform = self._to_effects(point, flat.shape[1], x.shape[1])
        return transform @ mean, transform @ covariance @ transform.T

    def _to_effects(self, point: Point, n_flat: int, size: int) -> np.ndarray:
        n = self.panel.n_units
        keep = np.eye(size)[n:n_flat]
        blocks = [keep]
        at = n_flat
        if self.collapsed.basis is not None:
            f = self.loadings(point)
            cells = np.zeros((len(f), size))
            cells[:, at : at + f.shape[1]] = f
            blocks.append(cells)
            at += f.shape[1]
        for value in point.unit_sds(self.unit_names)[:1]:
            blocks.append(value * np.eye(size)[at : at + n])
        return np.vstack(blocks)

    def hyperparameters(self, point: Point, draws: int) -> Hyperparameters:
        repeat = [np.tile(v, (draws, 1)) for v in (point.unit_sds(self.unit_names), point.component_sds(self.names))]
        return Hyperparameters(np.full(draws, point.innovation_sd), np.full(draws, point.autocorrelation), *repeat)


def gaussian_contrasts(y: np.ndarray, v: np.ndarray, flat: np.ndarray) -> float:
    """Log density of y ~ N(flat β, v) with β integrated over Lebesgue measure."""
    inverse = np.linalg.inv(v)
    h = flat.T @ inverse @ flat
    e = y - flat @ np.linalg.solve(h, flat.T @ inverse @ y)
    free = len(y) - flat.shape[1]
    return float(-0.5 * (free * np.log(2 * np.pi) + np.linalg.slogdet(v)[1] + np.linalg.slogdet(h)[1] + e @ inverse @ e))


def panel_of(frame: pd.DataFrame) -> Panel:
    return Panel.from_frame(frame, name="synthetic", **ROLES)

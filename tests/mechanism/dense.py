"""A mediation model of a small panel as one dense Gaussian of all responses stacked, written from its definition with loops over rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from bayes import Mediation, Panel


@dataclass(frozen=True)
class Point:
    """One value of every scale, in units of scaled columns; one entry an equation or a path."""

    innovation_sd: np.ndarray
    autocorrelation: np.ndarray
    unit_sd: np.ndarray
    spread: np.ndarray
    partial: np.ndarray


@dataclass(frozen=True)
class DenseMediation:
    spec: Mediation
    panel: Panel

    @cached_property
    def equations(self):
        return self.spec.equations(self.panel)

    @cached_property
    def scaled(self) -> dict[str, np.ndarray]:
        """Every column used, divided by the package's own scale."""
        scales = {**dict(zip(self.equations.names, self.equations.scales, strict=True))}
        scales |= dict(zip(self.spec.covariates, self.equations.covariate_scales, strict=True))
        return {name: self.panel.frame[name].to_numpy(dtype=float) / s for name, s in scales.items()}

    @cached_property
    def treated(self) -> np.ndarray:
        """The treatment of each row, or the exposure in its own scale."""
        f, p = self.panel.frame, self.panel
        if self.spec.exposure is not None:
            return f[self.spec.exposure].to_numpy(float) / self.equations.exposure_scale
        return (f[p.time] >= f[p.first_treated] - self.spec.anticipation * p.step).to_numpy(float)

    @cached_property
    def by_region(self) -> np.ndarray:
        region = self.panel.frame[self.panel.region].astype(str).to_numpy() if self.panel.region else np.full(self.panel.n_rows, "all")
        return (region[:, None] == np.array(self.equations.regions)).astype(float)

    @cached_property
    def unit_dummies(self) -> np.ndarray:
        return (self.panel.frame[self.panel.unit].to_numpy()[:, None] == self.panel.units).astype(float)

    @cached_property
    def flat(self) -> np.ndarray:
        """Period dummies (of the panel or of each region), first ones left out, then covariates; columns that repeat others left out."""
        time = self.panel.frame[self.panel.time].to_numpy()
        groups = [np.ones(len(time))] if self.spec.period_effects == "common" else list(self.by_region.T)
        columns = []
        for g in groups:
            columns += [g * (time == t) for t in np.unique(time[g > 0])[1:]]
        columns += [self.scaled[c] for c in self.spec.covariates]
        kept, base = [], self.unit_dummies
        for c in columns:
            if np.linalg.matrix_rank(np.column_stack([base, c])) > base.shape[1]:
                base = np.column_stack([base, c])
                kept.append(c)
        return np.column_stack(kept)

    def regressors(self, q: int) -> np.ndarray:
        """Treatment by region, and for the outcome every mediator by region."""
        blocks = [self.treated[:, None] * self.by_region]
        if q == len(self.spec.mediators):
            blocks += [self.scaled[m][:, None] * self.by_region for m in self.spec.mediators]
        return np.hstack(blocks)

    def errors(self, point: Point, q: int) -> np.ndarray:
        t = ((self.panel.frame[self.panel.time] - self.panel.periods[0]) // self.panel.step).to_numpy()
        unit, rho = self.panel.frame[self.panel.unit].to_numpy(), point.autocorrelation[q]
        same = unit[:, None] == unit
        v = point.innovation_sd[q] ** 2 / (1 - rho**2) * np.where(same, rho ** np.abs(t[:, None] - t), 0.0)
        if self.spec.unit_effects == "random-treatment":
            v = v + point.unit_sd[q, 0] ** 2 * same * np.outer(self.treated, self.treated)
        return v

    @property
    def count(self) -> int:
        return len(self.equations.names)

    @cached_property
    def stacked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Responses, flat columns (unit dummies first) and regressors of all equations, block by block."""
        y = np.concatenate([self.scaled[name] for name in self.equations.names])
        flat = block_diag(*[np.hstack([self.unit_dummies, self.flat])] * self.count)
        return y, flat, block_diag(*[self.regressors(q) for q in range(self.count)])

    def noise(self, point: Point) -> np.ndarray:
        return block_diag(*[self.errors(point, q) for q in range(self.count)])

    def prior_covariance(self, point: Point, mean_sd: np.ndarray) -> np.ndarray:
        """Of all paths, path by path, regions within."""
        r, pooling = len(self.equations.regions), self.spec.effective_pooling(self.equations)
        if pooling == "none":
            return np.kron(np.diag(mean_sd**2), np.eye(r))
        common = np.kron(np.diag(mean_sd**2), np.ones((r, r)))
        if pooling == "complete":
            return common
        omega = correlation_matrix(point.partial, mean_sd.size)
        return common + np.kron(np.outer(point.spread, point.spread) * omega, np.eye(r))

    def posterior(self, point: Point, mean_sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of (paths, then flat columns without unit effects, equation by equation)."""
        y, flat, x = self.stacked
        n_flat, units, width = flat.shape[1], self.panel.n_units, self.unit_dummies.shape[1] + self.flat.shape[1]
        prior = self.prior_covariance(point, mean_sd)
        inverse = np.linalg.inv(self.noise(point))
        values, vectors = np.linalg.eigh(prior)
        root = vectors[:, values > 1e-12] * np.sqrt(values[values > 1e-12])
        both = np.hstack([flat, x @ root])
        precision = both.T @ inverse @ both + np.diag(np.r_[np.zeros(n_flat), np.ones(root.shape[1])])
        covariance = np.linalg.inv(precision)
        mean = covariance @ both.T @ inverse @ y
        keep = [q * width + j for q in range(self.count) for j in range(units, width)]
        transform = block_diag(np.eye(n_flat)[keep], root)
        order = np.r_[len(keep) + np.arange(root.shape[0]), np.arange(len(keep))]
        transform = transform[order]
        return transform @ mean, transform @ covariance @ transform.T


def correlation_matrix(partial: np.ndarray, size: int) -> np.ndarray:
    """Correlations from partial correlations of i and j given 0 … j − 1, by the textbook recursion on partial correlations."""
    place = {(i, j): k for k, (i, j) in enumerate((i, j) for i in range(1, size) for j in range(i))}

    def given(i: int, j: int, known: int) -> float:
        """Partial correlation of i > j given the first ``known`` coordinates."""
        if known == j:
            return float(partial[place[i, j]])
        last = known  # remove coordinate ``known`` from what is conditioned on
        a, b = given(i, last, last), given(j, last, last)
        return given(i, j, known + 1) * np.sqrt((1 - a**2) * (1 - b**2)) + a * b

    out = np.eye(size)
    for i in range(1, size):
        for j in range(i):
            out[i, j] = out[j, i] = given(i, j, 0)
    return out

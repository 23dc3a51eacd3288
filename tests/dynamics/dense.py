"""A cross-lagged pair of a small panel as one dense Gaussian, written from its definition with loops over rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayes import CrossLagged, Panel


@dataclass(frozen=True)
class Point:
    """One value of every scale, in scaled units."""

    innovation_sd: np.ndarray
    unit_sd: np.ndarray
    innovation_correlation: float
    unit_correlation: float
    spread: np.ndarray


@dataclass(frozen=True)
class DensePair:
    spec: CrossLagged
    panel: Panel

    @cached_property
    def pair(self):
        return self.spec.lagged(self.panel)

    @cached_property
    def rows(self) -> list[dict]:
        """One dictionary for every row that has a previous period, found by looking the period up."""
        f, out, started = self.panel.frame, [], {}
        names = [self.spec.first, self.spec.second]
        by_key = {(u, t): i for i, (u, t) in enumerate(zip(f[self.panel.unit], f[self.panel.time], strict=True))}
        for (u, t), i in by_key.items():
            before = by_key.get((u, t - self.panel.step))
            if before is not None:
                started.setdefault(u, before)
                now, lag, start = (f.loc[k, names].to_numpy(float) / self.pair.scales for k in (i, before, started[u]))
                region = str(f.loc[i, self.panel.region]) if self.panel.region else "all"
                x = f.loc[i, list(self.spec.covariates)].to_numpy(float)
                out.append({"unit": u, "time": t, "region": region, "now": now, "lag": lag, "start": start, "x": x})
        return out

    @cached_property
    def flat(self) -> np.ndarray:
        """Dummies of periods (by region), of regions, covariates and their unit means; columns that repeat others left out."""
        regions = self.pair.regions
        keys = [(r["time"], r["region"] if self.spec.period_effects == "region" else "") for r in self.rows]
        columns = [[k == key for k in keys] for key in sorted(set(keys))]
        columns += [[r["region"] == name for r in self.rows] for name in regions[1:]]
        x = np.array([r["x"] for r in self.rows]) / self.pair.covariate_scales if self.spec.covariates else np.zeros((len(self.rows), 0))
        units = np.array([r["unit"] for r in self.rows])
        means = np.array([x[units == u].mean(axis=0) for u in units])
        columns += [*x.T, *means.T]
        kept = np.zeros((len(self.rows), 0))
        for c in columns:
            wider = np.column_stack([kept, np.array(c, dtype=float)])
            if np.linalg.matrix_rank(wider) > kept.shape[1]:
                kept = wider
        return kept

    @cached_property
    def slopes(self) -> np.ndarray:
        """Lag of first by region, lag of second by region, starts likewise."""
        out = []
        for r in self.rows:
            here = np.array([r["region"] == name for name in self.pair.regions], dtype=float)
            out.append(np.concatenate([v * here for v in (*r["lag"], *r["start"])]))
        return np.array(out)

    @cached_property
    def stacked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Responses, flat columns and slopes of both equations, one equation after the other."""
        y = np.concatenate([[r["now"][q] for r in self.rows] for q in range(2)])
        return y, np.kron(np.eye(2), self.flat), np.kron(np.eye(2), self.slopes)

    def noise(self, p: Point) -> np.ndarray:
        units = np.array([r["unit"] for r in self.rows])
        same = (units[:, None] == units).astype(float)
        out = []
        for a in range(2):
            blocks = []
            for b in range(2):
                e = p.innovation_sd[a] * p.innovation_sd[b] * (1.0 if a == b else p.innovation_correlation)
                u = p.unit_sd[a] * p.unit_sd[b] * (1.0 if a == b else p.unit_correlation)
                blocks.append(e * np.eye(len(units)) + u * same)
            out.append(blocks)
        return np.block(out)

    def prior_covariance(self, p: Point, mean_sd: np.ndarray) -> np.ndarray:
        r, pooling = len(self.pair.regions), self.spec.effective_pooling(self.pair)
        if pooling == "none":
            return np.kron(np.diag(mean_sd**2), np.eye(r))
        common = np.kron(np.diag(mean_sd**2), np.ones((r, r)))
        return common if pooling == "complete" else common + np.kron(np.diag(p.spread**2), np.eye(r))

    def posterior(self, p: Point, mean_sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of (slopes, flat coefficients)."""
        y, flat, x = self.stacked
        values, vectors = np.linalg.eigh(self.prior_covariance(p, mean_sd))
        root = vectors[:, values > 1e-12] * np.sqrt(values[values > 1e-12])
        inverse = np.linalg.inv(self.noise(p))
        both = np.hstack([flat, x @ root])
        n_flat = flat.shape[1]
        precision = both.T @ inverse @ both + np.diag(np.r_[np.zeros(n_flat), np.ones(root.shape[1])])
        covariance = np.linalg.inv(precision)
        mean = covariance @ both.T @ inverse @ y
        transform = np.zeros((root.shape[0] + n_flat, both.shape[1]))
        transform[: root.shape[0], n_flat:] = root
        transform[root.shape[0] :, :n_flat] = np.eye(n_flat)
        return transform @ mean, transform @ covariance @ transform.T

"""Exact draws of what the likelihood integrated out: period effects, covariates, cell effects and group means of unit effects.

Given a draw of (s, ρ, unit and component scales) the flat and Gaussian parts are jointly normal with mean T A⁻¹ c and covariance
s² T A⁻¹ T' (notation of :mod:`bayes.did.likelihood`), so they are drawn afterwards, many draws at a time, and never by NUTS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bayes.did.cells import Basis
from bayes.did.cross_products import CrossProducts, GroupProducts, coefficients
from bayes.did.likelihood import cell_padding, component_names, factor_patterns, project

_CHUNK_BYTES = 64_000_000


@dataclass(frozen=True)
class Hyperparameters:
    """Draws of the sampled parameters in units of the scaled outcome.

    ``innovation_sd``, ``autocorrelation`` (draws,); ``unit_sds`` (draws, q − 1); ``component_sds`` (draws, components).
    """

    innovation_sd: np.ndarray
    autocorrelation: np.ndarray
    unit_sds: np.ndarray
    component_sds: np.ndarray

    def __len__(self) -> int:
        return self.innovation_sd.size

    def take(self, index: slice) -> Hyperparameters:
        return Hyperparameters(self.innovation_sd[index], self.autocorrelation[index], self.unit_sds[index], self.component_sds[index])


def draw_coefficients(products: CrossProducts, basis: Basis | None, hyper: Hyperparameters, rng: np.random.Generator) -> np.ndarray:
    """One exact draw of all K coefficients per draw of the hyperparameters, shape (draws, K), scaled outcome."""
    k, p = products.n_columns, products.n_flat
    width = 8 * (products.unit[:, 0].size * 2 + 8 * k * k)
    out = np.empty((len(hyper), k))
    for part in chunks(len(hyper), width):
        h = hyper.take(part)
        s = shrunk_products(products, h)
        t, lower = conditional_factor(s[:, :k, :k], p, basis, h)
        c = (t.transpose(0, 2, 1) @ s[:, :k, k:])[..., 0]
        noise = rng.standard_normal(c.shape) * h.innovation_sd[:, None]
        z = np.linalg.solve(lower, c[..., None])[..., 0] + noise
        out[part] = (t @ np.linalg.solve(lower.transpose(0, 2, 1), z[..., None]))[..., 0]
    return out


def conditional_factor(s: np.ndarray, p: int, basis: Basis | None, h: Hyperparameters) -> tuple[np.ndarray, np.ndarray]:
    """T and the lower Cholesky factor of A for every draw, from the model's block of S* (draws, K, K) with p flat columns first."""
    factor = _covariance_factor(basis, h.component_sds) if basis is not None else np.zeros((len(h), 0, 0))
    m = factor.shape[2]
    t = np.zeros((len(h), s.shape[1], p + m))
    t[:, :p, :p] = np.eye(p)
    t[:, p:, p:] = factor
    inner = t.transpose(0, 2, 1) @ s @ t
    index = np.arange(p, p + m)
    inner[:, index, index] += h.innovation_sd[:, None] ** 2
    return t, np.linalg.cholesky(inner)


def chunks(n: int, bytes_each: int) -> Iterator[slice]:
    """Slices of n draws that need about 64 MB each."""
    step = max(1, _CHUNK_BYTES // max(bytes_each, 1))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _unit_factor(zz: np.ndarray, h: Hyperparameters, f: np.ndarray) -> tuple[list[list], list]:
    by_pattern = np.einsum("fn,pfab->abnp", f, zz)
    scale = [1.0, *[(h.unit_sds[:, a] / h.innovation_sd)[:, None] for a in range(zz.shape[-1] - 1)]]
    return factor_patterns(by_pattern, scale), scale


def shrunk_products(products: CrossProducts, h: Hyperparameters) -> np.ndarray:
    """S* for every draw, shape (draws, K + 1, K + 1)."""
    f = coefficients(h.autocorrelation, products.gaps)
    lower, scale = _unit_factor(products.zz, h, f)
    size, k1 = products.total.shape[:2]
    s = (f.T @ products.total.reshape(size, -1)).reshape(-1, k1, k1)
    units = np.moveaxis(products.unit, 1, 0)
    columns = [(f.T @ units[..., a].reshape(size, -1)).reshape(-1, units.shape[1], k1) for a in range(units.shape[-1])]
    y = np.concatenate(project(columns, lower, scale, products.pattern), axis=1)
    return s - y.transpose(0, 2, 1) @ y


def _covariance_factor(basis: Basis, sds: np.ndarray) -> np.ndarray:
    """F with FF' = Σ sd² B B' for every draw: a Cholesky factor where that is narrower than the basis itself."""
    names = component_names(basis)
    cells, columns = basis.matrix.shape
    if "cell" in names and columns > cells:
        stack = np.stack([basis.matrix[:, basis.component == c] @ basis.matrix[:, basis.component == c].T for c in names])
        covariance = ((sds**2) @ stack.reshape(len(names), -1)).reshape(-1, cells, cells)
        padding = cell_padding(np.trace(covariance, axis1=1, axis2=2), sds[:, names.index("cell")] ** 2, cells)
        return np.linalg.cholesky(covariance + padding[:, None, None] * np.eye(cells))
    member = np.array([names.index(c) for c in basis.component])
    return basis.matrix * sds[:, None, member]


def draw_group_effects(
    groups: GroupProducts,
    zz: np.ndarray,
    gaps: np.ndarray,
    coefficients_drawn: np.ndarray,
    hyper: Hyperparameters,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean random treatment effect over the units of each group, equally and by unit weight, shape (draws, groups) each.

    Exact: given the coefficients, the unit effects of a group's members are independent normals whose mean is linear in each unit's data.
    """
    out = np.empty((2, len(hyper), groups.n.size))
    for part in chunks(len(hyper), 8 * groups.mean[:, 0].size * 3):
        h = hyper.take(part)
        f = coefficients(h.autocorrelation, gaps)
        lower, scale = _unit_factor(zz, h, f)
        residual_row = np.concatenate([-coefficients_drawn[part], np.ones((len(h), 1))], axis=1)
        means = []
        for products in (groups.mean, groups.weighted_mean):
            r = np.einsum("fn,gfkq,nk->qng", f, products, residual_row, optimize=True)
            means.append(_unit_effect_mean(r, lower, scale, groups.pattern))
        variance = h.innovation_sd[:, None] ** 2 * _unit_effect_variance(lower, scale, groups.pattern)
        equal = rng.standard_normal(means[0].shape) * np.sqrt(variance / groups.n)
        extra = np.maximum(groups.weight_squares / groups.weight**2 - 1 / groups.n, 0)
        out[0, part] = means[0] + equal
        out[1, part] = means[1] + equal + rng.standard_normal(means[0].shape) * np.sqrt(variance * extra)
    return out[0], out[1]


def unit_effect_weights(zz: np.ndarray, gaps: np.ndarray, h: Hyperparameters) -> np.ndarray:
    """Weights on V'R_f Z that give the conditional mean of a unit's treatment effect, by pattern: (draws, patterns, F, q)."""
    f = coefficients(h.autocorrelation, gaps)
    lower, scale = _unit_factor(zz, h, f)
    inverse = np.stack(_inverse_row(lower, scale, np.arange(len(zz)), row=1), axis=-1)
    return f.T[:, None, :, None] * inverse[:, :, None, :]


def _inverse_row(lower: list[list], scale: list, pattern: np.ndarray, row: int) -> list[np.ndarray]:
    """Row ``row`` of S P⁻¹ S per draw and group, by solving with the factor of P."""
    q = len(lower)
    forward: list = [None] * q
    for a in range(q):
        right = 1.0 if a == row else 0.0
        forward[a] = (right - sum((lower[a][b] * forward[b] for b in range(a)), 0.0)) / lower[a][a]
    back: list = [None] * q
    for a in reversed(range(q)):
        back[a] = (forward[a] - sum((lower[b][a] * back[b] for b in range(a + 1, q)), 0.0)) / lower[a][a]
    return [(scale[row] * back[a] * scale[a])[:, pattern] for a in range(q)]


def _unit_effect_mean(r: np.ndarray, lower: list[list], scale: list, pattern: np.ndarray, row: int = 1) -> np.ndarray:
    return sum(w * r[a] for a, w in enumerate(_inverse_row(lower, scale, pattern, row)))


def _unit_effect_variance(lower: list[list], scale: list, pattern: np.ndarray, row: int = 1) -> np.ndarray:
    return _inverse_row(lower, scale, pattern, row)[row]

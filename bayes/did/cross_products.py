"""Cross-products of a panel under AR(1) errors and random unit columns: all that the collapsed likelihood needs from the data.

With R̃(ρ)⁻¹ = (1 − ρ²) R(ρ)⁻¹ and consecutive dates a gap g apart,

    R̃⁻¹ = (1 − ρ²) I + Σ_g [ρ^{2g} c_g A_g − ρ^g c_g B_g],   c_g = (1 − ρ²) / (1 − ρ^{2g}),

where A_g puts ones on the diagonal at both ends of each gap g and B_g off the diagonal between them. Every quantity in the
likelihood is therefore a short sum of fixed matrices times bounded functions of ρ, finite up to the random-walk limit |ρ| → 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes.did.cells import Design
from bayes.did.groups import Trajectories

_RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class UnitColumns:
    """Which columns Z_i a unit has besides its flat intercept: a random treatment effect and a random linear trend."""

    treatment: bool = True
    trend: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (*(["unit_effect_sd"] if self.treatment else []), *(["unit_trend_sd"] if self.trend else []))

    def matrix(self, cohort: float, dates: np.ndarray, anticipation: int, centre: float, dose: np.ndarray | None = None) -> np.ndarray:
        """Z_i, shape (dates, 1 + number of random columns). The trend counts grid steps from the middle of the panel."""
        columns = [np.ones(dates.size)]
        if self.treatment:
            treated = (dates - cohort >= -anticipation).astype(float)
            columns.append(treated if dose is None else treated * dose)
        if self.trend:
            columns.append(dates - centre)
        return np.column_stack(columns)


@dataclass(frozen=True)
class CrossProducts:
    """Fixed matrices whose combinations over ρ and the scales give the likelihood. Columns: K design columns, then the outcome.

    Attributes
    ----------
    total : numpy.ndarray
        Σᵢ Vᵢ' R_f Vᵢ for each coefficient f of R̃⁻¹, shape (F, K + 1, K + 1), V = [W, y].
    unit : numpy.ndarray
        Vᵢ' R_f Zᵢ of pseudo-units, shape (pseudo, F, K + 1, q).
    pattern : numpy.ndarray
        Pattern (observed dates × treatment path, doses included) of each pseudo-unit, shape (pseudo,).
    zz : numpy.ndarray
        Z' R_f Z by pattern, shape (patterns, F, q, q).
    pattern_units : numpy.ndarray
        Number of true units by pattern.
    gaps, gap_counts : numpy.ndarray
        Distinct distances between consecutive dates and how often each occurs over all units.
    n_units, n_rows, n_flat : int
        Units, rows, and how many of the K columns (the first ones) have flat priors.
    """

    total: np.ndarray
    unit: np.ndarray
    pattern: np.ndarray
    zz: np.ndarray
    pattern_units: np.ndarray
    gaps: np.ndarray
    gap_counts: np.ndarray
    n_units: int
    n_rows: int
    n_flat: int

    @property
    def n_columns(self) -> int:
        return self.total.shape[1] - 1


@dataclass(frozen=True)
class GroupProducts:
    """Averages per group that carry the unit effects of its members: mean Vᵢ'R_f Zᵢ, equally and by weight, (groups, F, K + 1, q)."""

    mean: np.ndarray
    weighted_mean: np.ndarray
    pattern: np.ndarray
    n: np.ndarray
    weight: np.ndarray
    weight_squares: np.ndarray


def coefficients(rho, gaps, xp=np):
    """Coefficients of R̃(ρ)⁻¹ on (I, A_g…, B_g…): shape (1 + 2·gaps, …) for ρ of shape (…)."""
    rho = xp.asarray(rho)
    one = 1.0 - rho**2
    diagonal, off = [], []
    for gap in np.asarray(gaps).tolist():
        c = 1.0 / sum(rho ** (2 * j) for j in range(gap))
        diagonal.append(rho ** (2 * gap) * c)
        off.append(-(rho**gap) * c)
    return xp.stack([one, *diagonal, *off])


def log_determinant(rho, gaps, gap_counts, n_units, xp=np):
    """Σᵢ log|R̃ᵢ(ρ)| = −n log(1 − ρ²) + Σ_gaps log(1 + ρ² + … + ρ^{2(g−1)})."""
    value = -n_units * xp.log1p(-(rho**2))
    for gap, count in zip(np.asarray(gaps).tolist(), np.asarray(gap_counts).tolist(), strict=True):
        if gap > 1:
            value = value + count * xp.log(sum(rho ** (2 * j) for j in range(gap)))
    return value


def observed_gaps(groups: Sequence[Trajectories]) -> tuple[np.ndarray, np.ndarray]:
    """Distances between neighbouring rows of units, ascending, and how often each occurs; two arrays (gaps,)."""
    counts: dict[int, int] = {}
    for g in groups:
        for gap in np.diff(g.dates).tolist():
            counts[gap] = counts.get(gap, 0) + g.n
    gaps = np.array(sorted(counts), dtype=int)
    return gaps, np.array([counts[g] for g in gaps.tolist()], dtype=int)


def _apply_structure(x: np.ndarray, dates: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """(I x, A_g x …, B_g x …) along the second-to-last axis of x (…, dates, columns). Shape (F, …, dates, columns)."""
    step = np.diff(dates)
    out = np.zeros((1 + 2 * gaps.size, *x.shape))
    out[0] = x
    for j, gap in enumerate(gaps):
        left = np.flatnonzero(step == gap)
        np.add.at(out[1 + j], (..., left, slice(None)), x[..., left, :])
        np.add.at(out[1 + j], (..., left + 1, slice(None)), x[..., left + 1, :])
        np.add.at(out[1 + gaps.size + j], (..., left, slice(None)), x[..., left + 1, :])
        np.add.at(out[1 + gaps.size + j], (..., left + 1, slice(None)), x[..., left, :])
    return out


def data_scales(groups: Sequence[Trajectories]) -> np.ndarray:
    """Standard deviation of each data column after unit and period means (one sweep of each), shape (columns,)."""
    squares = sum((g.values**2).sum(axis=(0, 1)) for g in groups)
    rows = sum(g.n * g.dates.size for g in groups)
    width = 1 + max(int(g.dates.max()) for g in groups)
    sums, counts = np.zeros((width, groups[0].mean.shape[1])), np.zeros(width)
    for g in groups:
        sums[g.dates] += g.n * g.mean
        counts[g.dates] += g.n
    squares = squares - (sums**2 / np.maximum(counts, 1)[:, None]).sum(axis=0)
    scale = np.sqrt(np.maximum(squares, 0) / max(rows, 1))
    total = np.sqrt(sum((g.values**2).sum(axis=(0, 1)) for g in groups) / max(rows, 1))
    return np.where(scale > 1e-10 * np.maximum(total, np.finfo(float).tiny), scale, np.where(total > 0, total, 1.0))


def build(groups: Sequence[Trajectories], design: Design, z: UnitColumns, scales: np.ndarray) -> CrossProducts:
    """Cross-products of [period effects, covariates, cells, leads, outcome]; data columns are divided by ``scales``.

    All columns count as flat until :func:`rearrange` says otherwise.
    """
    gaps, gap_counts = observed_gaps(groups)
    kd, kv = design.size, scales.size
    order = _column_order(design, kv)
    centre = _centre(groups)
    total = np.zeros((1 + 2 * gaps.size, kd + kv, kd + kv))
    patterns: dict[tuple[float, bytes, bytes], list] = {}
    for g in groups:
        zi = z.matrix(g.cohort, g.dates, design.anticipation, centre, g.dose)
        fixed = design.columns(g.region, g.cohort, g.dates, g.dose)
        v = np.concatenate([g.ones[:, None, None] * fixed, g.values / scales], axis=2)[:, :, order]
        used = np.flatnonzero((v != 0).any(axis=(0, 1)))
        rv = _apply_structure(v[:, :, used], g.dates, gaps)
        flat = v[:, :, used].reshape(v.shape[0] * v.shape[1], used.size)  # none used: a unit seen once, in the reference period
        for f in range(rv.shape[0]):
            total[f][np.ix_(used, used)] += flat.T @ rv[f].reshape(flat.shape)
        u = np.zeros((v.shape[0], rv.shape[0], kd + kv, zi.shape[1]))
        u[:, :, used] = np.moveaxis(np.einsum("fjtk,tq->fjkq", rv, zi), 0, 1)
        entry = patterns.setdefault(_pattern_of(g), [[], _apply_structure(zi, g.dates, gaps), zi, 0])
        entry[0].append(u)
        entry[3] += g.n
    units = [_compress(np.concatenate(e[0])) for e in patterns.values()]
    zz = np.stack([np.einsum("ftc,td->fcd", e[1], e[2]) for e in patterns.values()])
    pattern = np.repeat(np.arange(len(units)), [len(u) for u in units])
    n_rows = sum(g.n * g.dates.size for g in groups)
    return CrossProducts(
        total, np.concatenate(units), pattern, zz, np.array([e[3] for e in patterns.values()]), gaps, gap_counts,
        sum(g.n for g in groups), n_rows, kd + kv - 1,
    )  # fmt: skip


def group_products(groups: Sequence[Trajectories], design: Design, z: UnitColumns, scales: np.ndarray) -> GroupProducts:
    """Mean Vᵢ'R_f Zᵢ of every group, in the column order of :func:`build`."""
    gaps, _ = observed_gaps(groups)
    order, centre = _column_order(design, scales.size), _centre(groups)
    patterns: dict[tuple[float, bytes, bytes], int] = {}
    means, weighted, codes = [], [], []
    for g in groups:
        zi = z.matrix(g.cohort, g.dates, design.anticipation, centre, g.dose)
        rz = _apply_structure(zi, g.dates, gaps)
        fixed = design.columns(g.region, g.cohort, g.dates, g.dose)
        for out, v in ((means, g.mean), (weighted, g.weighted_mean)):
            out.append(np.einsum("tk,ftq->fkq", np.concatenate([fixed, v / scales], axis=1)[:, order], rz))
        codes.append(patterns.setdefault(_pattern_of(g), len(patterns)))
    sums = [np.array([getattr(g, name) for g in groups]) for name in ("n", "weight", "weight_squares")]
    return GroupProducts(np.stack(means), np.stack(weighted), np.array(codes), *sums)


def _pattern_of(group: Trajectories) -> tuple[float, bytes, bytes]:
    """What determines Z of a unit."""
    return group.cohort, group.dates.tobytes(), b"" if group.dose is None else group.dose.tobytes()


def _centre(groups: Sequence[Trajectories]) -> float:
    return 0.5 * (min(int(g.dates.min()) for g in groups) + max(int(g.dates.max()) for g in groups))


def _column_order(design: Design, n_data: int) -> np.ndarray:
    """Deterministic columns then data columns → periods, covariates, cells, leads, outcome."""
    periods, kd = len(design.period_columns), design.size
    data = kd + np.arange(n_data)
    return np.r_[np.arange(periods), data[:-1], np.arange(periods, kd), data[-1]].astype(int)


def _compress(u: np.ndarray) -> np.ndarray:
    """Fewest pseudo-units with the same Σ u u'."""
    flat = u.reshape(u.shape[0], -1)
    if u.shape[0] == 1:
        return u
    _, values, vectors = np.linalg.svd(flat, full_matrices=False)
    keep = values > 1e-13 * values[0] if values[0] > 0 else np.zeros(values.size, dtype=bool)
    return (values[keep, None] * vectors[keep]).reshape(-1, *u.shape[1:])


def rearrange(products: CrossProducts, flat: np.ndarray, random: np.ndarray) -> CrossProducts:
    """Keep the flat columns with index ``flat``; replace the rest by columns @ ``random``, shape (K, components)."""
    k = products.n_columns
    transform = np.zeros((k + 1, flat.size + random.shape[1] + 1))
    transform[flat, np.arange(flat.size)] = 1.0
    transform[:k, flat.size : -1] = random
    transform[k, -1] = 1.0
    total = np.einsum("ka,fkl,lb->fab", transform, products.total, transform, optimize=True)
    unit = np.einsum("nfkq,ka->nfaq", products.unit, transform, optimize=True)
    return replace(products, total=total, unit=unit, n_flat=flat.size)


def within_products(products: CrossProducts) -> np.ndarray:
    """Cross-products after unit means, ρ = 0 and no random unit columns: those of the fixed-effects regression. (K + 1, K + 1)."""
    u = products.unit[:, 0, :, 0]
    dates = products.zz[products.pattern, 0, 0, 0]
    return products.total[0] - (u / dates[:, None]).T @ u


def independent_columns(within: np.ndarray, size: np.ndarray) -> np.ndarray:
    """True for each column that is not a linear combination of the columns before it and of unit effects.

    ``within`` is a Gram matrix (K, K) after unit means; ``size`` (K,) the squared lengths before them, against which rounding is told
    from variation.
    """
    a = within.copy()
    keep = np.zeros(len(a), dtype=bool)
    for j in range(len(a)):
        if a[j, j] > _RANK_TOLERANCE * size[j] and size[j] > 0:
            keep[j] = True
            a[j:, j:] -= np.outer(a[j:, j], a[j, j:]) / a[j, j]
    return keep


def identified_columns(within: np.ndarray, size: np.ndarray) -> np.ndarray:
    """True for each coefficient that the flat design determines: its coordinate is orthogonal to the null space of the Gram matrix.

    Arguments as in :func:`independent_columns`.
    """
    varies = np.diag(within) > _RANK_TOLERANCE * size
    within = np.where(varies[:, None] & varies, within, 0.0)
    safe = np.sqrt(np.where(varies, np.diag(within), 1.0))
    values, vectors = np.linalg.eigh(within / np.outer(safe, safe))
    null = vectors[:, values < _RANK_TOLERANCE * max(values[-1], 1.0)]
    return varies & ((null**2).sum(axis=1) < 1e-7)

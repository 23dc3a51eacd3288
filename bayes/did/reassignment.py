"""Cross-products of a panel for other first treated periods, without going through its rows as a new panel.

Who is treated when changes three things only: which cell a row is in, the treatment column of its unit, and which units share a pattern.
Rows are prepared once (demeaned, scaled, multiplied by the parts of R̃⁻¹); an assignment of cohorts to units is then counts and sums over
them. Every assignment has the same columns: a cell without treated rows is a column of zeros, which meets nothing but its prior.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayes.did.cells import Cells
from bayes.did.cross_products import CrossProducts, UnitColumns, identified_columns, independent_columns, within_products
from bayes.did.groups import Block


@dataclass(frozen=True)
class ReassignableRows:
    """Rows of a panel, ready for any assignment.

    Columns are numbered periods, covariates, cells, outcome: ``data`` are the covariates and the outcome, ``kept`` those in the model.
    ``period_column`` is per row, ``region``, ``dates`` (pattern of observed dates) and ``weight`` per unit; ``cell_column`` (regions,
    cohorts + 1, periods) is −1 where there is no cell; ``cohorts`` (cohorts + 1,) ends with infinity; ``values`` (rows, data) are demeaned
    by unit and scaled, ``structured`` (F, rows, data) are their products with I, A_g…, B_g…; ``left`` holds the first row of each pair of
    consecutive rows by distance; ``untouched`` (F, K + 1, K + 1) is what no assignment changes; ``base`` holds distances and counts;
    ``n_slots`` and ``n_pseudo`` are the most patterns and pseudo-units that an assignment can have.
    """

    starts: np.ndarray
    unit: np.ndarray
    period: np.ndarray
    period_column: np.ndarray
    region: np.ndarray
    dates: np.ndarray
    weight: np.ndarray
    values: np.ndarray
    structured: np.ndarray
    left: tuple[np.ndarray, ...]
    cohorts: np.ndarray
    cell_column: np.ndarray
    cells: Cells
    data: np.ndarray
    kept: np.ndarray
    untouched: np.ndarray
    base: CrossProducts
    unit_columns: UnitColumns
    anticipation: int
    pooled: bool
    n_slots: int
    n_pseudo: int

    @property
    def n_units(self) -> int:
        return self.starts.size


@dataclass(frozen=True)
class Reassigned:
    """One assignment. ``products`` and ``n_pattern`` have one shape for all; ``dropped`` columns are flat, dependent and replaced.

    For averages over units: ``slot`` (units,) is a unit's pattern in ``products``; ``group`` (units,) its region × pattern; ``by_group``
    (groups, F, K + 1, q) and ``by_unit`` (units, F, data columns, q) are the two parts of Vᵢ'R_f Zᵢ; ``data`` says which columns the
    latter are. ``cell`` (rows,) is each row's cell or −1.
    """

    products: CrossProducts
    dropped: np.ndarray
    cell: np.ndarray
    slot: np.ndarray
    group: np.ndarray
    by_group: np.ndarray
    by_unit: np.ndarray
    data: np.ndarray
    identified: np.ndarray


def prepare(
    block: Block, period_columns: np.ndarray, cells: Cells, cohorts: np.ndarray, flat: np.ndarray, base: CrossProducts, scales: np.ndarray,
    unit_columns: UnitColumns, anticipation: int, pooled: bool,
) -> ReassignableRows:  # fmt: skip
    """Rows for any assignment of ``cohorts`` (grid positions) to units in the given cells.

    ``base`` are the products of any one assignment (for distances, numbers and pairs of rows), ``flat`` the period and covariate columns
    that are not redundant, ``cells`` every cell that an assignment can fill.
    """
    lengths = np.diff(np.r_[block.starts, block.periods.size])
    unit = np.repeat(np.arange(lengths.size), lengths)
    n_periods, width = int(block.periods.max()) + 1, scales.size
    period = np.full((int(block.regions.max()) + 1, n_periods), -1)
    for j, (r, t) in enumerate(period_columns):
        period[slice(None) if r < 0 else r, t] = j
    values = block.values - block.values[block.starts][unit]
    values = (values - (np.add.reduceat(values, block.starts) / lengths[:, None])[unit]) / scales
    first = len(period_columns) + width - 1
    cell_column = np.full((period.shape[0], cohorts.size + 1, n_periods), -1)
    inside = cells.period < n_periods
    place = np.searchsorted(cohorts, cells.cohort)
    cell_column[cells.region[inside], place[inside], cells.period[inside].astype(int)] = first + np.flatnonzero(inside)
    left = tuple(np.flatnonzero((np.diff(unit) == 0) & (np.diff(block.periods) == gap)) for gap in base.gaps.tolist())
    seen = np.zeros((lengths.size, n_periods), dtype=bool)
    seen[unit, block.periods] = True
    dates = np.unique(seen, axis=0, return_inverse=True)[1].ravel()
    total = first + cells.size + 1
    slots = min(lengths.size, (cohorts.size + 1) * (int(dates.max()) + 1))
    per_slot = period.shape[0] + len(base.total) * width * (1 + len(unit_columns.names))
    data = np.r_[np.arange(len(period_columns), first), total - 1].astype(int)
    kept = np.r_[flat, np.arange(first, total)].astype(int)
    out = ReassignableRows(
        block.starts, unit, block.periods, period[block.regions[unit], block.periods], block.regions, dates, block.weights, values,
        structure(values, left), left, np.r_[cohorts, np.inf], cell_column, cells, data, kept, np.zeros((len(base.total), total, total)),
        base, unit_columns, anticipation, pooled, slots, min(lengths.size, slots * per_slot),
    )  # fmt: skip
    return replace(out, untouched=_untouched(out))


def structure(x: np.ndarray, left: tuple[np.ndarray, ...]) -> np.ndarray:
    """(I x, A_g x…, B_g x…) for rows of all units, shape (F, rows, columns)."""
    out = np.zeros((1 + 2 * len(left), *x.shape))
    out[0] = x
    for j, here in enumerate(left):
        out[1 + j][here] += x[here]
        out[1 + j][here + 1] += x[here + 1]
        out[1 + len(left) + j][here] += x[here + 1]
        out[1 + len(left) + j][here + 1] += x[here]
    return out


def _counts(a: np.ndarray, b: np.ndarray, left: tuple[np.ndarray, ...], size: int) -> np.ndarray:
    """Σ over rows of e_a (R_f e_b)' for indicator columns a and b of each row (−1: none), shape (F, size, size)."""
    pairs = lambda x, y: np.bincount((x + 1) * (size + 1) + y + 1, minlength=(size + 1) ** 2).reshape(size + 1, size + 1)[1:, 1:]  # noqa: E731
    same = [pairs(a[here], b[here]) + pairs(a[here + 1], b[here + 1]) for here in left]
    across = [pairs(a[here], b[here + 1]) + pairs(a[here + 1], b[here]) for here in left]
    return np.stack([pairs(a, b), *same, *across]).astype(float)


def _sums(column: np.ndarray, structured: np.ndarray, size: int) -> np.ndarray:
    """Σ over rows of e_column (R_f v)', shape (F, size, columns of v)."""
    here = column >= 0
    out = np.zeros((structured.shape[0], size, structured.shape[2]))
    for f in range(out.shape[0]):
        for k in range(out.shape[2]):
            out[f, :, k] = np.bincount(column[here], weights=structured[f, here, k], minlength=size)
    return out


def _untouched(rows: ReassignableRows) -> np.ndarray:
    """Cross-products among periods, covariates and outcome."""
    size, data = rows.untouched.shape[1], rows.data
    out = _counts(rows.period_column, rows.period_column, rows.left, size)
    with_data = _sums(rows.period_column, rows.structured, size)
    out[:, :, data] += with_data
    out[:, data, :] += with_data.transpose(0, 2, 1)
    out[np.ix_(np.arange(len(out)), data, data)] += np.einsum("nk,fnl->fkl", rows.values, rows.structured)
    return out


def reassign(rows: ReassignableRows, cohort: np.ndarray) -> Reassigned:
    """Products when unit i is first treated with cohort number ``cohort[i]`` (the last number: never). Exact."""
    size, data = rows.untouched.shape[1], rows.data
    cell = rows.cell_column[rows.region[rows.unit], cohort[rows.unit], rows.period]
    total = rows.untouched + _counts(cell, cell, rows.left, size)
    with_others = _counts(cell, rows.period_column, rows.left, size)
    with_others[:, :, data] += _sums(cell, rows.structured, size)
    total += with_others + with_others.transpose(0, 2, 1)
    z = _unit_matrix(rows, cohort)
    structured_z = structure(z, rows.left)
    keys = np.column_stack([cohort, rows.dates])
    _, first, slot = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    _, example, group = np.unique(np.column_stack([keys, rows.region]), axis=0, return_index=True, return_inverse=True)
    slot, group = slot.ravel(), group.ravel()
    by_unit = np.add.reduceat(rows.structured[..., None] * z[:, None, :], rows.starts, axis=1).transpose(1, 0, 2, 3)
    by_group = _by_group(rows, cell, structured_z, example, group)
    own = np.add.reduceat(structured_z[..., None] * z[:, None, :], rows.starts, axis=1).transpose(1, 0, 2, 3)[first]
    number = np.bincount(slot)
    unit, pattern = _pseudo_units(rows, slot, group, by_group, by_unit, data)
    extra = rows.n_slots - number.size
    kept = rows.kept
    products = replace(
        rows.base, total=total[:, kept][:, :, kept], unit=unit[:, :, kept], pattern=pattern,
        zz=np.concatenate([own, np.repeat(own[:1], extra, axis=0)]), pattern_units=np.r_[number, np.zeros(extra, dtype=int)],
        n_flat=kept.size - 1 - (rows.cells.size if rows.pooled else 0),
    )  # fmt: skip
    identified, dropped = _identified(products, rows)
    place = {c: j for j, c in enumerate(kept.tolist())}
    return Reassigned(
        _without(products, dropped), dropped, np.where(cell >= 0, cell - (size - 1 - rows.cells.size), -1), slot, group,
        by_group[:, :, kept], by_unit, np.array([place[c] for c in data.tolist()]), identified,
    )  # fmt: skip


def _unit_matrix(rows: ReassignableRows, cohort: np.ndarray) -> np.ndarray:
    """Z of every unit, stacked by rows."""
    columns = [np.ones(rows.unit.size)]
    if rows.unit_columns.treatment:
        columns.append((rows.period - rows.cohorts[cohort][rows.unit] >= -rows.anticipation).astype(float))
    if rows.unit_columns.trend:
        columns.append(rows.period - 0.5 * (int(rows.period.min()) + int(rows.period.max())))
    return np.column_stack(columns)


def _by_group(rows: ReassignableRows, cell: np.ndarray, structured_z: np.ndarray, example: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Vᵢ'R_f Zᵢ on the period and cell columns, the same for all units of a region × pattern; data columns stay zero."""
    number = np.full(rows.n_units, -1)
    number[example] = group[example]
    here = np.flatnonzero(number[rows.unit] >= 0)
    size = rows.untouched.shape[1]
    out = np.zeros((example.size, size + 1, structured_z.shape[0], structured_z.shape[2]))
    values, of = structured_z[:, here].transpose(1, 0, 2), number[rows.unit[here]]
    for column in (rows.period_column[here], cell[here]):
        np.add.at(out, (of, np.where(column >= 0, column, size)), values)
    return out[:, :size].transpose(0, 2, 1, 3)


def _pseudo_units(rows: ReassignableRows, slot: np.ndarray, group: np.ndarray, by_group: np.ndarray, by_unit: np.ndarray, data: np.ndarray):
    """As few vectors with the same Σ u u' by pattern as its units allow, padded with zeros to the same number for all assignments."""
    n, q = rows.n_units, by_unit.shape[-1]
    unit = np.zeros((rows.n_pseudo, *by_group.shape[1:]))
    pattern = np.zeros(rows.n_pseudo, dtype=int)
    if rows.n_pseudo == n:
        unit[:] = by_group[group]
        unit[:, :, data] = by_unit
        pattern[:] = slot
        return unit, pattern
    at, flat = 0, by_unit.reshape(n, -1)
    for s in range(int(slot.max()) + 1):
        units = np.flatnonzero(slot == s)
        present, which = np.unique(group[units], return_inverse=True)
        x = np.concatenate([which.ravel()[:, None] == np.arange(present.size), flat[units]], axis=1)
        if x.shape[0] > x.shape[1]:
            x = np.linalg.qr(x, mode="r")
        here = slice(at, at + len(x))
        unit[here] = np.tensordot(x[:, : present.size], by_group[present], axes=1)
        unit[here][:, :, data] = x[:, present.size :].reshape(len(x), -1, data.size, q)
        pattern[here] = s
        at += len(x)
    return unit, pattern


def _identified(products: CrossProducts, rows: ReassignableRows) -> tuple[np.ndarray, np.ndarray]:
    """Which cells the flat design determines, and which flat columns are redundant (only where cells are flat)."""
    k, cells = products.n_columns, rows.cells.size
    within, length = within_products(products)[:k, :k], np.diag(products.total[0])[:k]
    identified = identified_columns(within, length)[k - cells :]
    if rows.pooled:
        return identified, np.zeros(0, dtype=int)
    return identified, np.flatnonzero(~independent_columns(within, length))


def _without(products: CrossProducts, dropped: np.ndarray) -> CrossProducts:
    """Redundant flat columns replaced by columns that meet no other: the likelihood changes by a known constant, the shapes do not."""
    if not dropped.size:
        return products
    total, unit = products.total.copy(), products.unit.copy()
    total[:, dropped], total[:, :, dropped], unit[:, :, dropped] = 0.0, 0.0, 0.0
    total[0, dropped, dropped] = 1.0
    return replace(products, total=total, unit=unit)

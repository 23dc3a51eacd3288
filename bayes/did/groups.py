"""Groups of units with the same region, cohort and observed dates, compressed to as few trajectories as carry the likelihood.

Within a group every deterministic column (period dummies, treatment cells) is the same for all units, so the likelihood sees the
units only through Σᵢ [1, vᵢ][1, vᵢ]', where vᵢ stacks a unit's covariates and outcome over its dates. A group of n units is therefore
exchangeable with at most 1 + dates × columns *pseudo-units* whose cross-product is the same. Everything downstream costs the same for
a thousand rows and for a billion. With a dose of the treatment, units share a group when their doses are the same at every date: the cost
then grows with the number of distinct doses, at most the number of treated units, and still not with rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bayes.panel import Panel

type GroupKey = tuple[int, float, bytes, bytes]
"""Region, cohort, observed dates and doses."""


@dataclass(frozen=True)
class Trajectories:
    """Units of one group, or sums over them; ``values`` are demeaned by unit, which the flat unit effects absorb exactly.

    Attributes
    ----------
    region : int
        Region code.
    cohort : float
        First treated position on the calendar grid; inf for units not treated within the panel.
    dates : numpy.ndarray
        Observed grid positions, shape (dates,).
    ones, values : numpy.ndarray
        Pseudo-units: the multiple of the deterministic columns, shape (pseudo,), and the data columns (covariates, then the
        outcome), shape (pseudo, dates, columns).
    n : int
        Number of true units.
    mean, weighted_mean : numpy.ndarray
        Average trajectory over units, equally and by unit weight, shape (dates, columns).
    weight, weight_squares : float
        Σ wᵢ and Σ wᵢ² of the unit weights (wᵢ = a unit's average weight; 1 without weights).
    dose : numpy.ndarray or None
        What multiplies the treatment columns at each date, shape (dates,); None where the treatment is on or off.
    """

    region: int
    cohort: float
    dates: np.ndarray
    ones: np.ndarray
    values: np.ndarray
    n: int
    mean: np.ndarray
    weighted_mean: np.ndarray
    weight: float
    weight_squares: float
    dose: np.ndarray | None = None


@dataclass(frozen=True)
class _Sums:
    """Running sums of one group: its trajectories [1, v] as ``rows`` while they are few, afterwards only ``gram`` = Σ [1, v][1, v]'.

    So a group never takes more memory than its units' own data, and never more than (1 + dates × columns)² numbers.
    """

    n: int
    gram: np.ndarray | None
    total: np.ndarray
    weighted: np.ndarray
    weight: float
    weight_squares: float
    rows: np.ndarray | None

    @classmethod
    def of(cls, x: np.ndarray, w: np.ndarray) -> _Sums:
        """Sums of trajectories [1, v] (units, 1 + dates × columns) with unit weights ``w``."""
        few = x.shape[0] <= x.shape[1]
        gram = None if few else x.T @ x
        return cls(x.shape[0], gram, x[:, 1:].sum(axis=0), w @ x[:, 1:], w.sum(), w @ w, x if few else None)

    @property
    def products(self) -> np.ndarray:
        return self.rows.T @ self.rows if self.gram is None else self.gram

    def __add__(self, other: _Sums) -> _Sums:
        few = self.rows is not None and other.rows is not None and self.n + other.n <= self.rows.shape[1]
        return _Sums(
            self.n + other.n, None if few else self.products + other.products, self.total + other.total, self.weighted + other.weighted,
            self.weight + other.weight, self.weight_squares + other.weight_squares,
            np.vstack([self.rows, other.rows]) if few else None,
        )  # fmt: skip


@dataclass(frozen=True)
class Block:
    """Whole units in long form: the only thing that an in-memory panel and a batch from disk need to have in common.

    ``starts`` are first rows of units; ``periods`` grid positions per row; ``values`` (rows, columns) with the outcome last;
    ``regions``, ``cohorts``, ``weights`` per unit; ``dose`` per row where the treatment has one (0 for units that are never treated).
    """

    starts: np.ndarray
    periods: np.ndarray
    values: np.ndarray
    regions: np.ndarray
    cohorts: np.ndarray
    weights: np.ndarray
    dose: np.ndarray | None = None


def block_of(panel: Panel, outcome: str, covariates: tuple[str, ...] = ()) -> Block:
    """The columns of a panel as one block. Raises the panel's errors for text, NaN and infinity."""
    values = panel.matrix([*covariates, outcome])
    weights = np.ones(panel.n_units)
    if panel.weights is not None:
        lengths = np.diff(np.r_[panel.unit_starts, panel.n_rows])
        weights = np.add.reduceat(panel.column(panel.weights), panel.unit_starts) / lengths
    cohorts = np.where(panel.unit_cohort_codes < panel.n_periods, panel.unit_cohort_codes, np.inf)
    return Block(panel.unit_starts, panel.period_codes, values, panel.unit_regions, cohorts, weights)


BLOCK_ROWS = 524_288
"""Rows from which on a block is closed, at the end of a unit. Panels in memory and on disk are cut alike: their sums round alike."""


def block_cuts(starts: np.ndarray) -> np.ndarray:
    """Among first rows of units (ascending), those that open a new block, the first one included."""
    cuts, at = [0], 0
    while (at := int(np.searchsorted(starts, starts[at] + BLOCK_ROWS))) < starts.size:
        cuts.append(at)
    return starts[cuts]


def split_block(block: Block) -> Iterator[Block]:
    """The block in pieces of whole units of about :data:`BLOCK_ROWS` rows."""
    rows = np.r_[block_cuts(block.starts), block.periods.size]
    units = np.searchsorted(block.starts, rows)
    for j in range(rows.size - 1):
        r, u = slice(rows[j], rows[j + 1]), slice(units[j], units[j + 1])
        yield Block(
            block.starts[u] - rows[j], block.periods[r], block.values[r], block.regions[u], block.cohorts[u], block.weights[u],
            None if block.dose is None else block.dose[r],
        )  # fmt: skip


def group_units(blocks: Iterable[Block]) -> list[Trajectories]:
    """Compress blocks of units to one :class:`Trajectories` per region × cohort × observed dates (× doses), sorted by these.

    Exact: likelihoods computed from the result equal those of the rows (the Gram matrix is what enters them). One pass; memory
    is that of one block plus (1 + dates × columns)² numbers per group.
    """
    return combine_sums(sums for block in blocks for sums in block_sums(block))


def combine_sums(parts: Iterable[tuple[GroupKey, _Sums]]) -> list[Trajectories]:
    """As :func:`group_units`, from the sums of all blocks, block by block in their order: rounding depends on the order."""
    groups: dict[GroupKey, _Sums] = {}
    for key, sums in parts:
        groups[key] = groups[key] + sums if key in groups else sums
    return [_finish(key, groups[key]) for key in sorted(groups, key=_order)]


def group_of_units(block: Block, groups: Sequence[Trajectories]) -> np.ndarray:
    """Position in ``groups`` of each unit's group, shape (units,)."""
    number = {(g.region, g.cohort, g.dates.tobytes(), _bytes(g.dose)): j for j, g in enumerate(groups)}
    ends = np.r_[block.starts[1:], block.periods.size]
    out = np.empty(block.starts.size, dtype=int)
    for i, (start, end) in enumerate(zip(block.starts, ends, strict=True)):
        dose = None if block.dose is None else block.dose[start:end]
        dates = block.periods[start:end].astype(np.int64)
        out[i] = number[int(block.regions[i]), float(block.cohorts[i]), dates.tobytes(), _bytes(dose)]
    return out


def _bytes(dose: np.ndarray | None) -> bytes:
    return b"" if dose is None else dose.astype(float).tobytes()


def _order(key: GroupKey) -> tuple:
    return key[0], key[1], np.frombuffer(key[2], np.int64).tolist(), np.frombuffer(key[3]).tolist()


def block_sums(block: Block) -> Iterator[tuple[GroupKey, _Sums]]:
    """Sums of the groups of one block, each with its region, cohort, dates and doses."""
    lengths = np.diff(np.r_[block.starts, block.periods.size])
    pattern, first_of_pattern = _date_patterns(block, lengths)
    if block.dose is not None:
        pattern, first_of_pattern = _dose_patterns(block, pattern)
    for units in _members(block.regions, block.cohorts, pattern):
        first = units[0]
        unit = first_of_pattern[int(pattern[first])]
        rows = slice(block.starts[unit], block.starts[unit] + lengths[unit])
        dates = block.periods[rows].astype(np.int64)
        dose = b"" if block.dose is None else block.dose[rows].astype(float).tobytes()
        yield (int(block.regions[first]), float(block.cohorts[first]), dates.tobytes(), dose), _sums(block, units, dates.size)


def _members(regions: np.ndarray, cohorts: np.ndarray, pattern: np.ndarray) -> list[np.ndarray]:
    """Units of each group, in their order. One whole number stands for a group; few groups sort in linear time."""
    cohort = np.where(np.isfinite(cohorts), cohorts, -1.0).astype(np.int64)
    cohort -= cohort.min()
    region = regions.astype(np.int64)
    code = (region * (cohort.max() + 1) + cohort) * (int(pattern.max()) + 1) + pattern.astype(np.int64)
    order = np.argsort(code.astype(np.uint16) if code.max() < 2**16 else code, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(code[order])) + 1)


def _date_patterns(block: Block, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pattern code of each unit and one unit of each pattern; two units share a code when observed at the same dates."""
    same_length = lengths.size and (lengths == lengths[0]).all()
    if same_length:
        grid = block.periods.reshape(-1, lengths[0])
        if (grid == grid[0]).all():
            return np.zeros(lengths.size), np.zeros(1, dtype=int)
    width = int(block.periods.max()) + 1
    seen = np.zeros((lengths.size, width), dtype=bool)
    seen[np.repeat(np.arange(lengths.size), lengths), block.periods] = True
    _, first, code = np.unique(np.packbits(seen, axis=1), axis=0, return_index=True, return_inverse=True)
    return code.astype(float), first


def _dose_patterns(block: Block, pattern: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The patterns split by doses: units share a code when dates and doses are the same."""
    codes: dict[tuple[float, bytes], int] = {}
    code = [
        codes.setdefault((p, dose.tobytes()), len(codes)) for p, dose in zip(pattern, np.split(block.dose, block.starts[1:]), strict=True)
    ]
    return np.array(code, dtype=float), np.unique(code, return_index=True)[1]


def _sums(block: Block, units: np.ndarray, n_dates: int) -> _Sums:
    k = block.values.shape[1]
    first = block.starts[units]
    contiguous = units.size > 1 and (np.diff(first) == n_dates).all()
    if contiguous or units.size == 1:
        values = block.values[first[0] : first[0] + units.size * n_dates].reshape(units.size, n_dates, k)
    else:
        values = block.values[first[:, None] + np.arange(n_dates)]
    x = np.empty((units.size, 1 + n_dates * k))
    x[:, 0] = 1.0
    # Distances from the first date first: a column that is constant within units becomes exactly zero, not rounding noise.
    centred = values - values[:, :1]
    centred -= centred.mean(axis=1, keepdims=True)
    x[:, 1:] = centred.reshape(units.size, -1)
    return _Sums.of(x, block.weights[units])


def _finish(key: GroupKey, sums: _Sums) -> Trajectories:
    dates = np.frombuffer(key[2], dtype=np.int64)
    shape = (dates.size, sums.total.size // dates.size)
    factor = sums.rows if sums.rows is not None else _gram_factor(sums.gram)
    return Trajectories(
        key[0], key[1], dates, factor[:, 0], factor[:, 1:].reshape(-1, *shape), sums.n, (sums.total / sums.n).reshape(shape),
        (sums.weighted / sums.weight).reshape(shape), float(sums.weight), float(sums.weight_squares),
        np.frombuffer(key[3]) if key[3] else None,
    )  # fmt: skip


def _gram_factor(gram: np.ndarray) -> np.ndarray:
    """F with F'F = gram, scaled to unit diagonal first so that small columns keep their digits."""
    scale = np.sqrt(np.maximum(np.diag(gram), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    keep = values > 1e-14 * values[-1]
    return np.sqrt(values[keep])[:, None] * vectors[:, keep].T * scale

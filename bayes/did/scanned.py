"""Difference-in-differences on rows that stay on disk: one pass sums them by region × cohort × observed dates, and the sums are the data.

The sums hold all that the collapsed likelihood, its exact draws and the check of covariates need. Their size depends on the number of
groups, not on rows: (1 + dates × columns)² numbers a group, or the units' own rows where a group has fewer units than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.did import groups as kernel
from bayes.did.groups import Block, Trajectories, block_cuts, combine_sums, group_units
from bayes.errors import RowsOnDiskError, SpecificationError
from bayes.executors import Executor, Portable, mapped
from bayes.inference.sampling import single_threaded_algebra
from bayes.mechanism.covariate_check import warn_of_moved
from bayes.progress import counted
from bayes.rows_on_disk import RowsOnDisk, codes, decoded, numbers, refuse_unusable, require_numbers, starts_of_units
from bayes.scan import ScannedPanel, require_rows

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD
    from bayes.did.state import CollapsedPanel


_BLOCKS_AT_A_TIME = 4
"""Blocks in one part of the rows that a worker sums: some two million rows, a second of work."""


@dataclass(frozen=True)
class SumsOnDisk:
    """Sums over the rows of a scanned panel.

    Attributes
    ----------
    columns : tuple of str
        Covariates and, last, the outcome.
    groups : tuple of Trajectories
        Sums by region × cohort × observed dates.
    reaches : numpy.ndarray
        Whether a column has a value other than zero in untreated and in treated rows, shape (2, columns).
    """

    columns: tuple[str, ...]
    groups: tuple[Trajectories, ...]
    reaches: np.ndarray


@single_threaded_algebra()
def with_sums(spec: StaggeredDiD, panel: ScannedPanel, progress: bool | None = None, executor: Executor | None = None) -> ScannedPanel:
    """The panel with the sums that a model needs, which take one pass over the rows unless they are there.

    An executor's workers read the files too, each a part of the rows, and must find them at the same path. The sums of their blocks are
    added here in the order of the rows, so that they round as in one process.

    Raises :class:`RowsOnDiskError` for models that need rows, :class:`SpecificationError` for a panel without timing, and errors of
    columns (missing, not numeric, NaN or infinity) that name unit and period.
    """
    _refuse_row_models(spec)
    if panel.first_treated is None and panel.treated is None:
        raise SpecificationError("The panel has no treatment timing. Give first_treated= or treated= to Panel.scan.")
    columns = (*spec.covariates, spec.outcome)
    if panel.sums is not None and panel.sums.columns == columns:
        return panel
    rows = require_rows(panel)
    require_numbers(rows, columns)
    if progress is not None:
        panel = replace(panel, rows=replace(rows, progress=progress))
    reaches = np.zeros((2, len(columns)), dtype=bool)
    if executor is None:
        groups = group_units(_blocks(panel, columns, reaches))
    else:
        groups = combine_sums(_sums_by_executor(panel, columns, reaches, executor))
    return replace(panel, sums=SumsOnDisk(columns, tuple(groups), reaches))


def collapse_scanned(spec: StaggeredDiD, panel: ScannedPanel, executor: Executor | None = None) -> CollapsedPanel:
    """What :meth:`bayes.StaggeredDiD.collapse` gives for the same rows in memory."""
    groups = with_sums(spec, panel, executor=executor).sums.groups
    return spec.collapse_groups(list(groups), panel.n_periods, int(panel.periods[0]), panel.step, panel.regions.tolist())


def _refuse_row_models(spec: StaggeredDiD) -> None:
    wanted = {"dose": spec.dose is not None, "moderators": bool(spec.moderators), 'likelihood="student-t"': spec.likelihood != "normal"}
    if found := [name for name, is_wanted in wanted.items() if is_wanted]:
        raise RowsOnDiskError(
            f"A model with {' and '.join(found)} needs the rows in memory. Take a sample of whole units, "
            "panel.collect([columns], units=20_000, seed=1), or fit the model without."
        )


# ── the pass over the rows ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Piece:
    """Rows in use, along their first axis: the first of a unit or not, period, region code, timing column, values, weights."""

    starts: np.ndarray
    period: np.ndarray
    region: np.ndarray
    timing: np.ndarray
    values: np.ndarray
    weights: np.ndarray

    def __getitem__(self, rows: slice | np.ndarray) -> _Piece:
        return _Piece(*(a[rows] for a in vars(self).values()))

    @classmethod
    def joined(cls, pieces: Sequence[_Piece]) -> _Piece:
        return pieces[0] if len(pieces) == 1 else cls(*(np.concatenate(a) for a in zip(*(vars(p).values() for p in pieces), strict=True)))


def _blocks(panel: ScannedPanel, columns: tuple[str, ...], reaches: np.ndarray) -> Iterator[Block]:
    """Blocks of whole units, cut where those of a panel in memory are cut."""
    waiting: list[_Piece] = []
    held = 0
    for piece in _pieces(panel, columns):
        waiting.append(piece)
        held += piece.period.size
        if held <= kernel.BLOCK_ROWS:
            continue
        rows = _Piece.joined(waiting)
        cuts = block_cuts(np.flatnonzero(rows.starts))
        for start, end in pairwise(cuts.tolist()):
            yield _block(rows[start:end], panel, reaches)
        waiting = [rows[int(cuts[-1]) :]]
        held = waiting[0].period.size
    if held:
        yield _block(_Piece.joined(waiting), panel, reaches)


def _sums_by_executor(
    panel: ScannedPanel, columns: tuple[str, ...], reaches: np.ndarray, executor: Executor
) -> Iterator[tuple[kernel.GroupKey, Any]]:
    """Sums of the blocks in the order of the rows, each part of the rows read and summed by a worker."""
    rows = require_rows(panel)
    if not rows.is_sorted:
        raise SpecificationError(
            f"The rows of {rows.label} are not sorted by {rows.unit} and {rows.time}, so workers cannot each take a part of them. Sort "
            "them once and scan again (docs/scaling.md), or leave executor= out: they are then sorted through temporary files."
        )
    rows.require_unchanged()
    parts = rows.partitions(panel.cuts[::_BLOCKS_AT_A_TIME])
    work = Portable(_part_sums, _as_given, (replace(panel, rows=None, sums=None, cuts=()), columns))
    for sums, reached in counted(mapped(executor, work, parts), len(parts), "Summing parts of the rows", rows.progress):
        reaches |= reached
        yield from sums


def _as_given(panel: ScannedPanel, columns: tuple[str, ...]) -> tuple[ScannedPanel, tuple[str, ...]]:
    return panel, columns


def _part_sums(state: tuple[ScannedPanel, tuple[str, ...]], rows: RowsOnDisk) -> tuple[list[tuple[kernel.GroupKey, Any]], np.ndarray]:
    """Sums of the blocks in a part of the rows, and which columns reach what."""
    panel, columns = state
    reaches = np.zeros((2, len(columns)), dtype=bool)
    sums = [one for block in _blocks(replace(panel, rows=rows), columns, reaches) for one in kernel.block_sums(block)]
    return sums, reaches


def _pieces(panel: ScannedPanel, columns: tuple[str, ...]) -> Iterator[_Piece]:
    """The rows of each batch without those of units set aside, checked for NaN and infinity."""
    rows = require_rows(panel)
    timing_column = panel.treated or panel.first_treated
    roles = [c for c in (panel.unit, panel.time, panel.region, timing_column, panel.weights) if c is not None]
    known = {label: code for code, label in enumerate(panel.regions.tolist())}
    last, aside = None, False
    for batch in rows.sorted_batches(list(dict.fromkeys((*roles, *columns))), "Summing rows"):
        unit = decoded(batch.column(panel.unit))
        starts, _ = starts_of_units(unit, last)
        time, timing = numbers(batch.column(panel.time)), numbers(batch.column(timing_column))
        if panel.treated is None:
            timing = np.where(np.isnan(timing) | (timing == 0), np.inf, timing)
        always = timing == 1 if panel.treated is not None else timing <= time
        out = np.r_[aside, always[starts]][np.cumsum(starts)]
        last, aside = unit[-1:], bool(out[-1])
        region = np.zeros(time.size, dtype=np.int64) if panel.region is None else codes(batch.column(panel.region), known)
        values = np.column_stack([numbers(batch.column(name)) for name in columns])
        weights = np.ones(time.size) if panel.weights is None else numbers(batch.column(panel.weights))
        for name, column in zip(columns, values.T, strict=True):
            refuse_unusable(np.where(out, 0.0, column), name, partial(_place, panel, unit, time))
        piece = _Piece(starts, (time.astype(np.int64) - int(panel.periods[0])) // panel.step, region, timing, values, weights)
        yield piece[~out] if out.any() else piece


def _place(panel: ScannedPanel, unit: Any, time: np.ndarray, row: int) -> str:
    return f"{panel.unit} {unit[row].as_py()}, {panel.time} {time[row]:g}"


def _block(rows: _Piece, panel: ScannedPanel, reaches: np.ndarray) -> Block:
    starts = np.flatnonzero(rows.starts)
    lengths = np.diff(np.r_[starts, rows.period.size])
    first, start, step = rows.timing[starts], int(panel.periods[0]), panel.step
    if panel.treated is not None:
        first = np.minimum.reduceat(np.where(rows.timing == 1, start + step * rows.period, np.inf), starts)
    cohorts = np.ceil((first - start) / step)
    treated = rows.period >= np.repeat(cohorts, lengths)
    reaches |= np.array([(rows.values[mask] != 0).any(axis=0) for mask in (~treated, treated)])
    cohorts = np.where(cohorts < panel.n_periods, cohorts, np.inf)
    return Block(starts, rows.period, rows.values, rows.region[starts], cohorts, np.add.reduceat(rows.weights, starts) / lengths)


# ── covariates that the treatment moves ─────────────────────────────────────────────────────────────────────────────


def warn_of_affected_columns(panel: ScannedPanel, covariates: Sequence[str], anticipation: int = 0) -> None:
    """:func:`bayes.mechanism.covariate_check.warn_of_affected_covariates` from sums."""
    sums: SumsOnDisk = panel.sums
    own = [j for j, _ in enumerate(covariates) if sums.reaches[:, j].all()]
    warn_of_moved({covariates[j]: treatment_t_of_sums(sums.groups, j, anticipation) for j in own})


def treatment_t_of_sums(groups: Sequence[Trajectories], column: int, anticipation: int) -> float:
    """:func:`bayes.mechanism.covariate_check.treatment_t` of one data column.

    Units of a group share treatment and periods, so that a unit's score is linear in its data and Σ score² is a sum over pseudo-units.
    """
    width = 1 + max(int(g.dates.max()) for g in groups)
    dummies = [_centred((g.dates[:, None] == np.arange(width)).astype(float)) for g in groups]
    treated = [_centred((g.dates >= g.cohort - anticipation).astype(float)) for g in groups]
    counts = [float(g.n) for g in groups]
    gram = sum(n * w.T @ w for n, w in zip(counts, dummies, strict=True))
    by_d = sum(n * w.T @ d for n, w, d in zip(counts, dummies, treated, strict=True))
    by_x = sum(n * w.T @ g.mean[:, column] for n, w, g in zip(counts, dummies, groups, strict=True))
    on_d, on_x = np.linalg.lstsq(gram, np.column_stack([by_d, by_x]), rcond=1e-12)[0].T
    d = [t - w @ on_d for t, w in zip(treated, dummies, strict=True)]
    size = sum(n * v @ v for n, v in zip(counts, d, strict=True))
    rows = sum(n * (g.dates >= g.cohort - anticipation).sum() for n, g in zip(counts, groups, strict=True))
    squares = sum((g.values[:, :, column] ** 2).sum() for g in groups)
    swept = [g.values[:, :, column] - g.ones[:, None] * (w @ on_x) for g, w in zip(groups, dummies, strict=True)]
    if size < 1e-9 * max(rows, 1) or sum((x**2).sum() for x in swept) < 1e-18 * max(squares, np.finfo(float).tiny):
        return np.nan
    slope = sum(n * v @ (g.mean[:, column] - w @ on_x) for n, v, g, w in zip(counts, d, groups, dummies, strict=True)) / size
    scores = sum((((x - g.ones[:, None] * v * slope) @ v) ** 2).sum() for x, g, v in zip(swept, groups, d, strict=True))
    units = sum(counts)
    return float(slope * size / np.sqrt(units / (units - 1) * scores))


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=0)

"""Treatment cells (region × cohort × event time), the columns of the design, and the components that pool the cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayes.did.groups import Trajectories
from bayes.errors import NoComparisonError

COMPONENTS = ("event", "region", "cohort", "region:event", "cell")
"""What the effects of cells can be pooled over; see :func:`component_basis`."""


@dataclass(frozen=True)
class Cells:
    """Coordinates of the cells, one entry a cell, sorted by region, cohort and event time (counted in grid steps).

    ``rows`` is the number of treated observations, ``weight`` their summed unit weight.
    """

    region: np.ndarray
    cohort: np.ndarray
    event: np.ndarray
    rows: np.ndarray
    weight: np.ndarray

    @property
    def size(self) -> int:
        return self.region.size

    @property
    def period(self) -> np.ndarray:
        """Grid position of each cell's period."""
        return self.cohort + self.event


@dataclass(frozen=True)
class Design:
    """Deterministic columns of the flat design, in the order period effects, cells, leads.

    Attributes
    ----------
    period_columns : numpy.ndarray
        (columns, 2): region code (−1 when common to all regions) and grid position of each period dummy. The first period of
        the panel (of each region) is the reference.
    cells : Cells
        Treatment cells, event time ≥ −anticipation.
    leads : Cells
        Lead cells, one per region × event time ≤ −2 − anticipation (``cohort`` is NaN: leads are common to cohorts); may be empty.
    anticipation : int
        Grid steps before the first treated period from which on effects are allowed.
    """

    period_columns: np.ndarray
    cells: Cells
    leads: Cells
    anticipation: int = 0

    @property
    def size(self) -> int:
        return len(self.period_columns) + self.cells.size + self.leads.size

    def columns(self, region: int, cohort: float, dates: np.ndarray, dose: np.ndarray | None = None) -> np.ndarray:
        """Columns of a unit with this region, cohort and dates: 0/1, cells and leads times its ``dose``. Shape (dates, size)."""
        event = dates - cohort
        of_region = (self.period_columns[:, 0] < 0) | (self.period_columns[:, 0] == region)
        periods = of_region & (dates[:, None] == self.period_columns[:, 1])
        cells = (self.cells.region == region) & (self.cells.cohort == cohort) & (event[:, None] == self.cells.event)
        leads = (self.leads.region == region) & (event[:, None] == self.leads.event)
        columns = np.concatenate([periods, cells, leads], axis=1).astype(float)
        if dose is not None:
            columns[:, len(self.period_columns) :] *= dose[:, None]
        return columns


def make_design(groups: Sequence[Trajectories], n_periods: int, period_effects: str, anticipation: int, leads: bool) -> Design:
    """Cells that have treated rows, dummies of the periods that have rows, and lead cells where asked for.

    Raises :class:`NoComparisonError` when nobody is treated.
    """
    cells = _count_cells(groups, lambda event: event >= -anticipation, by_cohort=True)
    if cells.size == 0:
        raise NoComparisonError("No unit is treated within the panel, so there is no effect to estimate. Check the first treated period.")
    lead_cells = _count_cells(groups, lambda event: event < -1 - anticipation, by_cohort=False)
    seen = sorted({(g.region if period_effects == "region" else -1, int(t)) for g in groups for t in g.dates})
    first = {r: t for r, t in reversed(seen)}
    columns = np.array([(r, t) for r, t in seen if t != first[r]], dtype=int).reshape(-1, 2)
    return Design(columns, cells, lead_cells if leads else _take(lead_cells, np.zeros(0, dtype=int)), anticipation)


def _take(cells: Cells, index: np.ndarray) -> Cells:
    return Cells(cells.region[index], cells.cohort[index], cells.event[index], cells.rows[index], cells.weight[index])


def _count_cells(groups: Sequence[Trajectories], wanted, by_cohort: bool) -> Cells:
    counts: dict[tuple[int, float, int], list[float]] = {}
    for g in groups:
        if not np.isfinite(g.cohort):
            continue
        for event in (g.dates - g.cohort)[wanted(g.dates - g.cohort)]:
            entry = counts.setdefault((g.region, g.cohort if by_cohort else -1.0, int(event)), [0, 0.0])
            entry[0] += g.n
            entry[1] += g.weight
    keys = sorted(counts)
    table = np.array([[*k, *counts[k]] for k in keys], dtype=float).reshape(-1, 5)
    cohort = table[:, 1] if by_cohort else np.full(len(keys), np.nan)
    return Cells(table[:, 0].astype(int), cohort, table[:, 2].astype(int), table[:, 3].astype(int), table[:, 4])


@dataclass(frozen=True)
class Basis:
    """Cell effects as a linear map of independent standard normals: τ = matrix @ (sd · z).

    ``component`` names the scale that multiplies each column ("level" and "drift" have fixed prior scales), ``label`` the
    coordinate of each column. Shape of ``matrix`` (cells, columns).
    """

    matrix: np.ndarray
    component: np.ndarray
    label: tuple[str, ...]


def component_basis(cells: Cells, components: Sequence[str], path_order: int = 1) -> Basis:
    """Columns of τ_c = path(e) + region_r + cohort_g + (region × path)_re + cell_c.

    path(e) = level + drift·e + random walk of the given order starting at the first event time. A component with nothing to tell
    apart (one region, one cohort, one event time) is left out: it would only repeat the level.
    """
    events = np.unique(cells.event)
    regions, cohorts = np.unique(cells.region), np.unique(cells.cohort)
    blocks: list[tuple[str, np.ndarray, list[str]]] = [("level", np.ones((cells.size, 1)), ["level"])]
    walk = _walk_columns(cells.event, events, path_order)
    steps = [str(e) for e in events[events.size - walk.shape[1] :]]
    if "event" in components and events.size > 1:
        blocks.append(("drift", cells.event[:, None].astype(float), ["drift"]))
        blocks.append(("event", walk, steps))
    if "region" in components and regions.size > 1:
        blocks.append(("region", (cells.region[:, None] == regions).astype(float), [str(r) for r in regions]))
    if "cohort" in components and cohorts.size > 1:
        blocks.append(("cohort", (cells.cohort[:, None] == cohorts).astype(float), [f"{c:g}" for c in cohorts]))
    if "region:event" in components and regions.size > 1 and events.size > 1:
        inside = [walk * (cells.region == r)[:, None] for r in regions]
        labels = [f"{r}:{s}" for r in regions for s in steps]
        reached = np.concatenate(inside, axis=1)
        used = reached.any(axis=0)
        blocks.append(("region_event", reached[:, used], [label for label, u in zip(labels, used, strict=True) if u]))
    if "cell" in components and cells.size > 1:
        blocks.append(("cell", np.eye(cells.size), [str(c) for c in range(cells.size)]))
    matrix = np.concatenate([b for _, b, _ in blocks], axis=1)
    component = np.concatenate([np.repeat(name, b.shape[1]) for name, b, _ in blocks])
    return Basis(matrix, component, tuple(label for _, _, labels in blocks for label in labels))


def _walk_columns(event: np.ndarray, events: np.ndarray, order: int) -> np.ndarray:
    """Response of each cell to the increments of a random walk that starts at the first event time."""
    later = events[order:]
    distance = event[:, None] - later
    return (distance >= 0) * (1.0 if order == 1 else distance + 1.0)

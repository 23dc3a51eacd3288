"""Fake treatment dates: random assignments of first treated periods to units, and the cells that they can fill."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb

import numpy as np

from bayes.did.cells import Cells
from bayes.did.groups import Block
from bayes.errors import SpecificationError

WITHIN, AMONG = ("all", "region"), ("all", "never-treated")


@dataclass(frozen=True)
class Lottery:
    """Who can draw which date. ``cohorts`` (cohorts,) are grid positions in time order; ``stratum`` (units,) numbers the urns;
    ``tickets`` (strata, cohorts) is how many units of each are treated in each cohort; ``first`` (units,) each unit's first observed
    position. A unit can draw a date only if it is observed before it, as a panel demands."""

    cohorts: np.ndarray
    stratum: np.ndarray
    tickets: np.ndarray
    first: np.ndarray

    def possible(self) -> int:
        """Number of different assignments."""
        out = 1
        for s, tickets in enumerate(self.tickets):
            taken = 0
            for cohort, wanted in zip(self.cohorts, tickets.tolist(), strict=True):
                out *= comb(int(((self.stratum == s) & (self.first < cohort)).sum()) - taken, wanted)
                taken += wanted
        return out

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """``n`` assignments, each of the possible ones equally likely, shape (n, units): number of the cohort, the last for never.

        Dates are drawn in time order: whoever can have an early date can have a later one, so that each draw leaves the later ones as
        many choices as any other would.
        """
        out = np.full((n, self.stratum.size), self.cohorts.size)
        for one in out:
            for s, tickets in enumerate(self.tickets):
                for c in np.flatnonzero(tickets):
                    free = np.flatnonzero((self.stratum == s) & (self.first < self.cohorts[c]) & (one == self.cohorts.size))
                    one[rng.choice(free, tickets[c], replace=False)] = c
        return out


def first_positions(block: Block) -> np.ndarray:
    """Grid position of each unit's first row."""
    return block.periods[block.starts]


def only_units(block: Block, keep: np.ndarray) -> Block:
    """The rows of some units."""
    lengths = np.diff(np.r_[block.starts, block.periods.size])
    rows = np.repeat(keep, lengths)
    starts = np.r_[0, np.cumsum(lengths[keep])[:-1]].astype(int)
    return replace(
        block, starts=starts, periods=block.periods[rows], values=block.values[rows], regions=block.regions[keep],
        cohorts=block.cohorts[keep], weights=block.weights[keep],
    )  # fmt: skip


def lottery(block: Block, within: str, among: str, regions: list[str]) -> tuple[Lottery, np.ndarray]:
    """The lottery of a panel and the units that take part, by their place in the block.

    Raises :class:`SpecificationError` where there is nothing to permute: one treated unit, one region with ``within="region"``, too few
    never-treated units with ``among="never-treated"``, a single possible assignment.
    """
    treated = np.isfinite(block.cohorts)
    if treated.sum() < 2:
        raise SpecificationError(
            "Only one unit is treated: its date can be given to any other unit, but the effect of a single unit cannot be told from that "
            "unit's own deviation. Permuting dates needs at least two treated units; kind='dates' moves the date of this one."
        )
    if within == "region" and np.unique(block.regions).size < 2:
        raise SpecificationError("within='region' needs at least two regions, and the panel has one. Use within='all'.")
    stratum = block.regions if within == "region" else np.zeros(block.regions.size, dtype=int)
    cohorts = np.unique(block.cohorts[treated])
    tickets = np.array([[((stratum == s) & (block.cohorts == g)).sum() for g in cohorts] for s in range(int(stratum.max()) + 1)])
    pool = np.ones(treated.size, dtype=bool) if among == "all" else ~treated
    names = regions if within == "region" else ["the panel"]
    if among == "never-treated":
        _refuse_small_pools(block, pool, stratum, cohorts, tickets, names)
    out = Lottery(cohorts, stratum[pool], tickets, first_positions(block)[pool])
    if out.possible() < 2:
        raise SpecificationError(
            f"There is only one way to give these dates to {'the units of each region' if within == 'region' else 'units'}: nothing can be "
            f"permuted. {'Use within=' + repr('all') + '.' if within == 'region' else 'Use kind=' + repr('dates') + '.'}"
        )
    return out, np.flatnonzero(pool)


def _refuse_small_pools(
    block: Block, pool: np.ndarray, stratum: np.ndarray, cohorts: np.ndarray, tickets: np.ndarray, names: list[str]
) -> None:
    first = first_positions(block)
    for s, wanted in enumerate(tickets):
        able = [int((pool & (stratum == s) & (first < g)).sum()) for g in cohorts]
        short = [c for c in range(cohorts.size) if wanted[: c + 1].sum() > able[c] and wanted[c]]
        if short:
            raise SpecificationError(
                f"among='never-treated' needs as many never-treated units as treated ones: {names[s]} has {able[short[0]]} that are "
                f"observed before the date, for {int(wanted[: short[0] + 1].sum())} treated units. Use among='all' or within='all'."
            )
    if pool.sum() <= tickets.sum():
        raise SpecificationError(
            f"among='never-treated' would treat all {int(pool.sum())} never-treated units and leave none to compare with. Use among='all'."
        )


def fillable_cells(block: Block, draw: Lottery, within: str, anticipation: int) -> Cells:
    """Every region × cohort × event time in which some assignment has treated rows, sorted as cells are; without rows of its own."""
    lengths = np.diff(np.r_[block.starts, block.periods.size])
    unit = np.repeat(np.arange(lengths.size), lengths)
    keys = set()
    for c, g in enumerate(draw.cohorts.tolist()):
        able = (draw.first < g) & (draw.tickets[draw.stratum, c] > 0)
        here = able[unit] & (block.periods >= g - anticipation)
        keys |= {(r, g, t - g) for r, t in zip(block.regions[unit[here]].tolist(), block.periods[here].tolist(), strict=True)}
    table = np.array(sorted(keys), dtype=float).reshape(-1, 3)
    return _empty_cells(table[:, 0], table[:, 1], table[:, 2])


def own_cells(block: Block, anticipation: int) -> Cells:
    """The cells that the block's own dates fill."""
    lengths = np.diff(np.r_[block.starts, block.periods.size])
    unit = np.repeat(np.arange(lengths.size), lengths)
    event = block.periods - block.cohorts[unit]
    here = np.isfinite(event) & (event >= -anticipation)
    table = np.unique(np.column_stack([block.regions[unit], block.cohorts[unit], event])[here], axis=0)
    return _empty_cells(table[:, 0], table[:, 1], table[:, 2])


def _empty_cells(region: np.ndarray, cohort: np.ndarray, event: np.ndarray) -> Cells:
    nothing = np.zeros(region.size)
    return Cells(region.astype(int), cohort, event.astype(int), nothing.astype(int), nothing)

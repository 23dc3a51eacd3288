"""Technology gaps: each region's frontier against the envelope of all regions' frontiers (the metafrontier), by draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes.aggregation import group_rows, stacked, table
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.frontier.aggregation import mean_by_draw, row_index
from bayes.frontier.data import FrontierData
from bayes.frontier.inefficiency import draw_inefficiency
from bayes.frontier.likelihood import Parameters

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier


def technology_gap(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, by: str = "unit", level: float = 0.95, weights: np.ndarray | None = None,
    source: str = "Bayes", seed: int = 0,
) -> Estimates:  # fmt: skip
    """Technology-gap ratio and metatechnology efficiency, averaged over rows in each draw.

    The metafrontier at a row's inputs, covariates and time is the highest of the regions' frontiers (the lowest cost for a cost frontier).
    Ratio: exp(f_r − max f) ≤ 1, for cost exp(min f − f_r). Metatechnology efficiency = ratio × exp(−u), with u drawn exactly; the same seed
    gives the draws of :func:`bayes.frontier.efficiency.mean_efficiency`. No envelope is estimated in a second step: each draw holds the
    uncertainty of all frontiers. A region's frontier is taken at inputs that it may not use itself, and the maximum of uncertain frontiers
    lies above each of their means: with few rows a region the ratio is pulled down.

    O'Donnell, Rao & Battese (2008), Empirical Economics 34(2).

    Returns
    -------
    Estimates
        Estimands ``technology_gap_ratio`` and ``meta_efficiency``, ``term`` = by.

    Raises
    ------
    SpecificationError
        With one region, or a technology that is common to all regions.
    """
    require_regional_technology(spec, data)
    index = row_index(data)
    groups = group_rows(by, index, data, weights)
    design = np.stack([data.in_rows(column) for column in data.design])
    rng = np.random.default_rng(seed)

    def evaluate(chunk: Parameters, _: slice) -> list[np.ndarray]:
        log_gap = log_technology_gap(chunk["technology"], design, index.region, spec.sign)
        u = data.in_rows(draw_inefficiency(chunk, spec, data, rng))
        return [np.exp(log_gap), np.exp(log_gap - u)]

    draws = mean_by_draw(p, groups, evaluate, data.output.size, 2)
    note = f"against the envelope of {data.n_regions} regional frontiers"
    names = ("technology_gap_ratio", "meta_efficiency")
    parts = [table(groups, v, name, level, source, note=note) for name, v in zip(names, draws, strict=True)]
    return stacked(parts, draws.reshape(-1, draws.shape[-1]), f"Technology gaps by {by}")


def log_technology_gap(technology: np.ndarray, design: np.ndarray, region: np.ndarray, sign: int) -> np.ndarray:
    """ln of the ratio of every row, ≤ 0: technology (draws, R, K), design (K, n_rows), region (n_rows,) → (draws, n_rows)."""
    own = np.empty((technology.shape[0], design.shape[1]))
    best = np.full(own.shape, -np.inf)
    for r in range(technology.shape[1]):
        frontier = sign * (technology[:, r] @ design)
        own[:, region == r] = frontier[:, region == r]
        np.maximum(best, frontier, out=best)
    return own - best


def require_regional_technology(spec: StochasticFrontier, data: FrontierData) -> None:
    """Raise :class:`SpecificationError` where there are no two frontiers to compare."""
    if data.n_regions < 2:
        raise SpecificationError(f"A technology gap compares regions, and the panel has one ({data.regions[0]!r}): name its region column.")
    if "technology" not in spec.pooled_parts:
        raise SpecificationError(
            f"pooling={spec.pooling!r} gives every region the same technology: there is no gap. Fit with 'technology' in pooling, or with "
            "pooling='none'."
        )

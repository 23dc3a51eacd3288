"""Smoothed bootstrap of radial Malmquist indices (Simar & Wilson 1999, European Journal of Operational Research 115(3))."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bayes.errors import SpecificationError
from bayes.executors import Executor
from bayes.measure._bootstrap import (
    NO_SPREAD,
    ON_FRONTIER,
    chunks,
    distances_to,
    in_chunks,
    own_distances,
    pseudo_units,
    record_of,
    seeds_of,
)
from bayes.measure._malmquist_distances import Distances, Pairs
from bayes.measure._malmquist_parts import AllDistances, Method, index_parts, parts_of
from bayes.measure._quantities import Production
from bayes.measure._technologies import Quantities, Returns, Technology

LEAST_PAIRS = 3
"""Units observed in both periods, from which on a pair of distances has a density."""


@dataclass(frozen=True, eq=False)
class IndexDraws:
    """Draws of indices {name: (replicates, n_pairs)}, NaN where there is none, and why {name: {pair: words}}."""

    parts: dict[str, np.ndarray]
    reasons: dict[str, dict[int, str]]


@dataclass(frozen=True, eq=False)
class _Block:
    """Pairs between two periods.

    Attributes
    ----------
    sets, own : quantities of all units of each period, and their distances to its frontier
    both : positions in each period of the units observed in both
    distances : array (units in both, 2)
    evaluated : quantities of the pairs' earlier observations, then of the later ones
    point : estimates of the indices, {name: (pairs, 1)}
    """

    sets: tuple[Quantities, ...]
    own: tuple[np.ndarray, ...]
    both: tuple[np.ndarray, ...]
    distances: np.ndarray
    evaluated: Quantities
    point: dict[str, np.ndarray]


def resampled_pairs(rng: np.random.Generator, pairs: np.ndarray, size: int) -> np.ndarray:
    """Pairs of distances (size, 2) from the bivariate density of ``pairs`` (n, 2), reflected at 1 in both (Simar & Wilson 1999).

    Normal kernel with the covariance of the pairs and h = (4/(5n))^(1/6) (Silverman 1986, eq. 4.14), pulled towards 1 as in
    :func:`resampled`. The paper draws from the four reflected copies of the sample, the kernel's covariance turned along with them, and
    reflects what falls below 1; pulled towards 1, all four give the same as the sample itself.
    """
    h = (4 / (5 * len(pairs))) ** (1 / 6)
    covariance = np.cov(pairs.T)
    noise = h * rng.standard_normal((size, 2)) @ _root(covariance).T
    moved = pairs[rng.integers(len(pairs), size=size)] - 1 + noise
    square = np.mean((pairs - 1) ** 2, axis=0)
    grown = np.divide(h**2 * np.diag(covariance), square, out=np.zeros(2), where=square > 0)
    return 1 + np.abs(moved) / np.sqrt(1 + grown)


def _root(covariance: np.ndarray) -> np.ndarray:
    """A lower triangular root of a covariance (2, 2) that may be singular."""
    a = np.sqrt(covariance[0, 0])
    b = covariance[0, 1] / a if a > 0 else 0.0
    return np.array([[a, 0.0], [b, np.sqrt(max(covariance[1, 1] - b**2, 0.0))]])


def malmquist_draws(
    production: Production, pairs: Pairs, method: Method, replicates: int, seed: int, cores: int | None = None,
    progress: bool | None = None, resume: str | Path | None = None, executor: Executor | None = None,
) -> IndexDraws:  # fmt: skip
    """Bias-corrected draws of radial Malmquist indices and their parts (Simar & Wilson 1999, European Journal of Operational Research
    115(3)).

    For each pair of periods, both distances of a unit are resampled together from their bivariate density, so that they keep their
    correlation; a unit observed in one of the periods only takes one of a resampled pair. With Î the index and I* a replicate, a draw is
    Î²/I*: the centred interval on the log scale, on which M = EC·TC and EC = PTEC·SEC hold in every draw. Pairs of periods are resampled
    independently of each other, as in the paper, so that errors of one frontier do not cancel in means and chains over periods: intervals
    of those are too wide rather than too narrow.

    Where the method needs variable returns (PTEC, SEC), pseudo-units stand at variable-returns distances, since constant-returns ones would
    leave the technology; otherwise at those of the technology that M rests on.

    Raises :class:`SpecificationError` for other measures and references.
    """
    if method.measure.model != "radial" or method.reference != "adjacent":
        raise SpecificationError(
            f"The bootstrap exists for measure='radial' and reference='adjacent' (Simar & Wilson 1999), not for "
            f"{method.measure.model!r} and {method.reference!r}."
        )
    names = list(index_parts(production, pairs, method))
    draws, reasons = {name: np.full((replicates, len(pairs)), np.nan) for name in names}, {}
    jobs, targets = [], []
    spans = np.column_stack([production.period[pairs.first], production.period[pairs.second]])
    for number, span in enumerate(np.unique(spans, axis=0)):
        here = np.flatnonzero((spans == span).all(axis=1))
        block = _block(production, pairs, here, span, method)
        if block is None:
            reasons |= dict.fromkeys(here.tolist(), NO_SPREAD)
            continue
        for chunk in chunks(replicates):
            jobs.append((block, method, seeds_of(seed, number, chunk)))
            targets.append((chunk, here))
    m = method.measure
    options = [m.orientation, m.weak, m.backend, method.decomposition, method.returns.value, replicates, seed]
    record = record_of(resume, "malmquist", production, options)
    for (chunk, here), found in zip(targets, in_chunks(_indices_of_chunk, jobs, cores, progress, record, executor), strict=True):
        for name in names:
            draws[name][chunk.start : chunk.stop, here] = found[name].T
    return IndexDraws(draws, {name: reasons | _missing(draws[name], reasons) for name in names})


# ── one pair of periods ─────────────────────────────────────────────────────────────────────────────────────────────


def _block(production: Production, pairs: Pairs, here: np.ndarray, span: np.ndarray, method: Method) -> _Block | None:
    """What the pairs ``here`` of two periods share; None where nothing can be resampled."""
    measure = method.measure
    rows = [production.rows_of(period) for period in span]
    unit = [production.panel.unit_codes[r] for r in rows]
    _, *both = np.intersect1d(*unit, return_indices=True)
    returns = Returns.VARIABLE if _needs_variable(method) else method.returns
    sets = [production.quantities.only(r) for r in rows]
    own = [own_distances(Technology(q, returns, measure.weak), measure.orientation) for q in sets]
    pairs_of_distances = np.column_stack([own[0][both[0]], own[1][both[1]]])
    if len(pairs_of_distances) < LEAST_PAIRS or (pairs_of_distances <= 1 + ON_FRONTIER).all():
        return None
    evaluated = production.quantities.only(np.r_[pairs.first[here], pairs.second[here]])
    block = _Block(tuple(sets), tuple(own), tuple(both), pairs_of_distances, evaluated, {})
    return replace(block, point=_index_values(block, [q.only(None) for q in sets], method))


def _indices_of_chunk(block: _Block, method: Method, seeds: Sequence[np.random.SeedSequence]) -> dict[str, np.ndarray]:
    drawn = [_drawn_pairs(block, np.random.default_rng(s)) for s in seeds]
    pseudo = [
        pseudo_units(q, own, np.stack([d[side] for d in drawn]), method.measure.orientation)
        for side, (q, own) in enumerate(zip(block.sets, block.own, strict=True))
    ]
    found = _index_values(block, pseudo, method)
    return {name: block.point[name] ** 2 / found[name] for name in found}


def _drawn_pairs(block: _Block, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Resampled distances of all units of the first and of the second period."""
    n, common = [len(own) for own in block.own], len(block.distances)
    extra = [size - common for size in n]
    drawn = resampled_pairs(rng, block.distances, common + sum(extra))
    alone = drawn[common : common + extra[0], 0], drawn[common + extra[0] :, 1]
    out = []
    for side in (0, 1):
        distances = np.empty(n[side])
        distances[block.both[side]] = drawn[:common, side]
        distances[np.setdiff1d(np.arange(n[side]), block.both[side])] = alone[side]
        out.append(distances)
    return out[0], out[1]


def _index_values(block: _Block, spanning: Sequence[Quantities], method: Method) -> dict[str, np.ndarray]:
    """Index and parts of the block's pairs against technologies with a leading axis: {name: (pairs, replicates)}."""
    count = len(block.evaluated) // 2
    local = Pairs(np.arange(count), count + np.arange(count), np.ones(count, dtype=int))

    def scores(side: int, returns: Returns, which: slice) -> np.ndarray:
        technology = Technology(spanning[side], returns, method.measure.weak)
        return 1 / distances_to(technology, block.evaluated.only(which), method.measure.orientation).T

    def found(returns: Returns, crossed: bool) -> Distances:
        if not crossed:
            own = np.concatenate([scores(0, returns, slice(count)), scores(1, returns, slice(count, None))])
            return Distances(own, np.zeros(own.shape, int))
        first, second = (scores(side, returns, slice(None)) for side in (0, 1))
        own = np.concatenate([first[:count], second[count:]])
        return Distances(own, np.zeros(own.shape, int), ahead=first[count:], behind=second[:count])

    variable = found(Returns.VARIABLE, method.decomposition == "ray-desli") if _needs_variable(method) else None
    return parts_of(AllDistances(found(method.returns, True), None, variable, None), local, method.decomposition)


def _needs_variable(method: Method) -> bool:
    return method.decomposition != "plain"


def _missing(draws: np.ndarray, reasons: dict[int, str]) -> dict[int, str]:
    """Pairs that have no value in some replicates."""
    lost = (~np.isfinite(draws)).sum(axis=0)
    return {
        int(p): f"no value in {lost[p]} of {len(draws)} bootstrap replicates: a crossed score does not exist"
        for p in np.flatnonzero(lost)
        if p not in reasons
    }

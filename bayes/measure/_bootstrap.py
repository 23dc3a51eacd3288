"""Smoothed bootstrap of radial efficiency scores (Simar & Wilson 1998, 2000), and what that of Malmquist indices shares with it.

Distances are δ = 1/score ≥ 1: Shephard's input distance, or the factor φ by which outputs could grow. They are resampled from a kernel
density that is reflected at 1, pseudo-units stand at the resampled distances from the estimated frontier, and the observed units are
measured against the technologies that pseudo-units span. Each replicate has a seed of its own, so that results do not depend on the number
of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bayes.executors import Executor, Portable
from bayes.measure._quantities import Production
from bayes.measure._technologies import Quantities, Returns, Technology, directional, directional_by_reference, radial_direction
from bayes.replicates import Record, Replicate, run_replicates

CHUNK = 50
"""Replicates that are solved together."""
FEWEST = 100
"""Replicates below which an interval's ends are guesses."""
ON_FRONTIER = 1e-8
"""A distance within this of 1 is a unit on the frontier."""
_ALONE = "draws"
NO_SPREAD = "no bootstrap: every unit is on the frontier, or there are too few to resample from"


@dataclass(frozen=True, eq=False)
class ScoreDraws:
    """Draws of scores (replicates, n), NaN in rows without any; ``reasons`` {row: why}; ``bandwidths`` of the reference sets."""

    draws: np.ndarray
    reasons: dict[int, str]
    bandwidths: list[float]


# ── kernels ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def silverman_bandwidth(distances: np.ndarray) -> float:
    """Bandwidth of a kernel density of distances ≥ 1: Silverman's rule on the reflected sample without the units on the frontier.

    h = 0.9 min(s, IQR/1.34) (2m)^(−1/5) for the 2m points δ and 2 − δ with δ > 1, times (2m/n)^(1/5) · s_n/s to bring it back to the n
    distances (Silverman 1986, eq. 3.31; Daraio & Simar 2007). Zero where every unit is on the frontier.
    """
    inside = distances[distances > 1 + ON_FRONTIER]
    if not inside.size:
        return 0.0
    reflected = np.r_[inside, 2 - inside]
    spread = reflected.std(ddof=1)
    low, high = np.quantile(reflected, [0.25, 0.75])
    h = 0.9 * min(spread, (high - low) / 1.34) * reflected.size ** (-1 / 5)
    return float(h * (reflected.size / distances.size) ** (1 / 5) * distances.std(ddof=1) / spread)


def resampled(rng: np.random.Generator, distances: np.ndarray, bandwidth: float) -> np.ndarray:
    """Distances from the smoothed, reflected density (Simar & Wilson 1998). Shape (n,).

    A drawn distance is moved by h·N(0, 1), reflected at 1, and pulled towards 1 so that the mean square of δ − 1 is that of the sample. The
    paper pulls towards the sample's mean; that moves the boundary itself inwards by about (δ̄ − 1)h²/(2s²), more than a frontier estimated
    from a hundred units is off, and intervals then cover far less than they should.
    """
    drawn = distances[rng.integers(distances.size, size=distances.size)]
    moved = drawn - 1 + bandwidth * rng.standard_normal(distances.size)
    return 1 + np.abs(moved) / np.sqrt(1 + bandwidth**2 / np.mean((distances - 1) ** 2))


def pseudo_units(quantities: Quantities, distances: np.ndarray, drawn: np.ndarray, orientation: str) -> Quantities:
    """The units at other distances from the frontier: ``drawn`` (replicates, n) → quantities (replicates, n, ·)."""
    ratio = (drawn / distances)[:, :, None]
    full = [np.broadcast_to(part, (len(drawn), *part.shape)) for part in (quantities.inputs, quantities.outputs, quantities.bads)]
    if orientation == "input":
        return Quantities(quantities.inputs * ratio, full[1], full[2])
    return Quantities(full[0], quantities.outputs / ratio, full[2])


def distances_to(technology: Technology, evaluated: Quantities, orientation: str) -> np.ndarray:
    """δ of evaluated units against each technology of a leading axis: (replicates, units), NaN where there is none."""
    way = radial_direction(evaluated, orientation)
    beta, infeasible = directional_by_reference(technology, evaluated, way)
    unsolved = np.isnan(beta) & ~infeasible
    for r in np.flatnonzero(unsolved.any(axis=1)):
        left = np.flatnonzero(unsolved[r])
        single = replace(technology, reference=technology.reference.only(r))
        beta[r, left] = directional(single, evaluated.only(left), way.only(left)).value
    return 1 + beta if orientation == "output" else 1 / (1 - beta)


def own_distances(technology: Technology, orientation: str) -> np.ndarray:
    """δ of the reference units themselves, shape (n,)."""
    alone = replace(technology, reference=technology.reference.only(None))
    return distances_to(alone, technology.reference, orientation)[0]


# ── scores ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def score_draws(
    production: Production, reference: str, orientation: str, returns: Returns, weak: bool, replicates: int, seed: int,
    cores: int | None = None, progress: bool | None = None, resume: str | Path | None = None, executor: Executor | None = None,
) -> ScoreDraws:  # fmt: skip
    """Bias-corrected draws of radial scores by the homogeneous bootstrap of Simar & Wilson (1998, Management Science 44(1)).

    With θ̂ the score and θ* ≥ θ̂ a replicate of it, a draw is θ̂²/θ*: centred as in Simar & Wilson (2000, Journal of Applied Statistics
    27(6)), where the distribution of θ* about θ̂ stands for that of θ̂ about the truth, but on the log scale, so that draws lie between 0
    and θ̂. Their mean is the bias-corrected score, their quantiles are its interval. Rows of a reference set count as independent, also
    where a unit has several.
    """
    n = len(production.quantities)
    draws, reasons, bandwidths, jobs, targets = np.full((replicates, n), np.nan), {}, [], [], []
    for number, (rows, spanning) in enumerate(production.by_period(reference)):
        technology = Technology(production.quantities.only(spanning), returns, weak)
        own = own_distances(technology, orientation)
        bandwidth = silverman_bandwidth(own)
        bandwidths.append(bandwidth)
        if not np.isfinite(own).all() or bandwidth == 0:
            reasons |= dict.fromkeys(rows.tolist(), NO_SPREAD)
            continue
        evaluated, at = production.quantities.only(rows), own[np.searchsorted(spanning, rows)]
        for chunk in chunks(replicates):
            jobs.append((technology, evaluated, own, at, bandwidth, orientation, seeds_of(seed, number, chunk)))
            targets.append((chunk, rows))
    record = record_of(resume, "dea", production, [reference, orientation, returns.value, weak, replicates, seed])
    for (chunk, rows), found in zip(targets, in_chunks(_scores_of_chunk, jobs, cores, progress, record, executor), strict=True):
        draws[chunk.start : chunk.stop, rows] = found
    return ScoreDraws(draws, reasons, bandwidths)


def _scores_of_chunk(
    technology: Technology, evaluated: Quantities, own: np.ndarray, at: np.ndarray, bandwidth: float, orientation: str,
    seeds: Sequence[np.random.SeedSequence],
) -> np.ndarray:  # fmt: skip
    drawn = np.stack([resampled(np.random.default_rng(s), own, bandwidth) for s in seeds])
    pseudo = replace(technology, reference=pseudo_units(technology.reference, own, drawn, orientation))
    return distances_to(pseudo, evaluated, orientation) / at**2


# ── work ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def chunks(replicates: int) -> list[range]:
    """Replicates in consecutive runs of at most :data:`CHUNK`."""
    return [range(first, min(first + CHUNK, replicates)) for first in range(0, replicates, CHUNK)]


def seeds_of(seed: int, number: int, chunk: range) -> list[np.random.SeedSequence]:
    """One seed a replicate and reference set."""
    return [np.random.SeedSequence(seed, spawn_key=(number, r)) for r in chunk]


def record_of(resume: str | Path | None, kind: str, production: Production, determined_by: Sequence[Any]) -> Record | None:
    """Where finished chunks are kept, by the quantities and all options that they depend on."""
    if resume is None:
        return None
    q, panel = production.quantities, production.panel
    return Record.of(resume, kind, list(determined_by), q.inputs, q.outputs, q.bads, panel.unit_codes, production.period)


def in_chunks(
    work: Callable, jobs: Sequence[tuple], cores: int | None, progress: bool | None, record: Record | None = None,
    executor: Executor | None = None,
) -> list:  # fmt: skip
    """Results in the order of the jobs. Chunks are array work that lets other threads run, so that one machine needs no processes."""
    replicate = Portable(_job, _work_and_jobs, (work, jobs))
    done = run_replicates(replicate, len(jobs), record, cores, progress, "Bootstrap", executor)
    return [found.get(_ALONE, found) for found in done]


def _work_and_jobs(work: Callable, jobs: Sequence[tuple]) -> tuple[Callable, Sequence[tuple]]:
    return work, jobs


def _job(state: tuple[Callable, Sequence[tuple]], k: int) -> Replicate:
    work, jobs = state
    found = work(*jobs[k])
    return found if isinstance(found, dict) else {_ALONE: found}

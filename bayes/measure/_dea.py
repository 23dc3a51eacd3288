"""Data envelopment analysis: how far each unit is from the best practice of a reference set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from bayes.aggregation import AGGREGATIONS
from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.executors import Executor
from bayes.measure._bootstrap import FEWEST, score_draws
from bayes.measure._dea_table import (
    BOOTSTRAP,
    UNDEFINED,
    Evaluation,
    corrected_table,
    peer_rows,
    score_table,
    share_of_peers,
    slack_rows,
    with_empty_draws,
    words_of,
)
from bayes.measure._linear_programs import Status
from bayes.measure._quantities import REFERENCES, Production, is_weak, mean_weights, production_of, returns_of
from bayes.measure._technologies import (
    Quantities,
    Returns,
    Scores,
    Technology,
    directional,
    radial_direction,
    slack_based,
    slack_based_super,
)
from bayes.panel import Panel
from bayes.validation import one_of, whole_number

MODELS = ("radial", "directional", "sbm")
ORIENTATIONS = {"radial": ("output", "input"), "directional": ("none", "input", "output"), "sbm": ("none", "input", "output")}
"""Orientations of each model, the default first."""
_PEER = 1e-7
"""A reference unit with less than this share of every input of a peer group is no peer."""
NOTHING = 1e-10
"""Attainable outputs below this share of a unit's own are none."""


@checked
def dea(
    panel: Panel, inputs: Sequence[str], outputs: Sequence[str], bad_outputs: Sequence[str] = (), model: str = "radial",
    orientation: str | None = None, returns: str = "vrs", disposability: str = "strong", direction: Mapping[str, float | str] | None = None,
    reference: str = "contemporaneous", super_efficiency: bool = False, by: str = "unit:period", weights: str | None = None,
    slacks: bool = False, peers: bool = False, replicates: int = 0, seed: int = 0, level: float = 0.95, cores: int | None = None,
    progress: bool | None = None, backend: str = "auto", resume: str | Path | None = None, executor: Executor | None = None,
) -> Estimates:  # fmt: skip
    """Efficiency of every unit in every period against the best practice of a reference set.

    Parameters
    ----------
    inputs, outputs, bad_outputs : list of str
        Columns of amounts (levels, not logs), zero or positive.
    model : "radial", "directional" or "sbm"
        Radial (Charnes, Cooper & Rhodes 1978; Banker, Charnes & Cooper 1984): ``efficiency`` = θ, the share of inputs that the best
        practice would need (orientation "input"), or 1/φ, the share of the attainable outputs that is produced ("output", default).
        Directional (Chambers, Chung & Färe 1998): ``directional_inefficiency`` = β ≥ 0, steps of ``direction`` to the frontier, 0 on it.
        Slack-based (Tone 2001; undesirable outputs Tone 2003): ``efficiency`` = ρ in (0, 1], 1 only without any slack.
    orientation : str, optional
        Radial: "output" (default) or "input". Others: "none" (default; inputs, outputs and undesirable outputs move), "input", "output".
    returns : "crs", "vrs" (default), "nirs" or "ndrs"
        Constant (CCR), variable (BCC), non-increasing or non-decreasing returns to scale.
    disposability : "strong" (default) or "weak"
        Whether undesirable outputs can be cut freely in the technology (Σλb ≤ b) or only together with outputs (Σλb = b; Kuosmanen 2005
        under variable returns). Slack-based measures take them as strongly disposable.
    direction : mapping, optional
        For ``model="directional"``: column → number, or "own" for the unit's own amount; columns left out do not move. Default: the unit's
        own amounts of what ``orientation`` moves ("output": outputs up and undesirable outputs down).
    reference : "contemporaneous" (default), "sequential" or "global"
        Best practice of the same period, of it and all earlier ones, or of all periods.
    super_efficiency : bool
        Leave the evaluated row out of its reference set (Andersen & Petersen 1993; Tone 2002): scores of efficient units exceed 1 and rank
        them. Variable returns may leave no solution: those scores are NaN. Tone's measure is 1 for units that are not efficient: their ρ is
        given.
    by : "unit:period" (default), "unit", "region", "period", "region:period" or "all"
        Groups hold arithmetic means over their rows; scores without a value are left out, and ``note`` counts them.
    weights : str, optional
        Column of positive weights for groups' means. Default: the panel's weights, else equal ones.
    slacks, peers : bool
        Add rows ``slack`` (what is left after the radial or directional movement; term = column), ``target`` (the projection) and ``peer``
        (estimate = intensity, term_to = unit of the peer, with its period where the reference holds several), for by="unit:period".
    replicates : int
        Replicates of the bootstrap of Simar & Wilson (1998) for radial scores, 0 (default) for none. Adds rows of a second ``source``,
        "…, bias-corrected": mean, standard deviation and centred interval of θ̂²/θ*, which are their draws (Simar & Wilson 2000, on the log
        scale; see :func:`bayes.measure._bootstrap.score_draws`). A score is biased upwards, so that the interval lies below it. Efficiency
        is taken to be distributed alike at all sizes and mixes. Draws of rows without them are NaN.
    seed, level : of the bootstrap and of its intervals
    cores, progress : threads of the bootstrap (default: all cores; results do not depend on them), and its count on the terminal
    resume : str or Path, optional
        A folder in which the bootstrap keeps what is finished: the same call after an interruption goes on there.
    executor : dask.distributed.Client, optional
        Its workers compute the replicates of the bootstrap, with the same result (docs/scaling.md).
    backend : "auto", "highs" or "scipy"
        HiGHS through highspy (one warm model a reference set), or SciPy one by one. "auto" takes HiGHS where it is installed, and solves
        radial and directional programs in batches whose optimality is proven one by one, handing it what is left.

    A period with one row has nobody to compare with: the score is 1 (0 for a directional distance) by construction, and ``note`` says so.

    Returns
    -------
    Estimates
        ``term`` = by. A score without a solution is NaN, ``identified`` False, with the reason in ``note``. ``n_obs`` counts rows with a
        score. ``meta["convention"]`` says how to read the numbers.

    Raises
    ------
    SpecificationError, MissingColumnError, MissingValueError, NotPositiveError, NoVariationError
        Unknown options, missing columns or values, negative amounts, zeros where a measure divides by them, one unit, identical rows.
    """
    one_of("model", model, MODELS)
    whole_number("seed", seed, 0)
    orientation = one_of("orientation", ORIENTATIONS[model][0] if orientation is None else orientation, ORIENTATIONS[model])
    one_of("reference", reference, REFERENCES)
    one_of("by", by, AGGREGATIONS)
    _refuse_pairs(model, direction, super_efficiency, slacks or peers, by, replicates)
    production = production_of(panel, inputs, outputs, bad_outputs, positive=model == "sbm")
    weak, row_weights, scale = is_weak(disposability, bad_outputs), mean_weights(panel, weights), returns_of(returns)
    found = _evaluate(production, model, orientation, scale, weak, direction, reference, super_efficiency, slacks or peers, backend)
    words = words_of(model, orientation, returns, weak, reference, super_efficiency)
    estimand = "directional_inefficiency" if model == "directional" else "super_efficiency" if super_efficiency else "efficiency"
    best = 0.0 if model == "directional" else 1.0
    out = score_table(production, found, estimand, words["source"], by, row_weights, best)
    details = slack_rows(production, found, words["source"]) if slacks else []
    details += peer_rows(production, found, reference, words["source"]) if peers else []
    out = out + Estimates.from_rows(details) if details else out
    meta: dict[str, Any] = {"convention": words["convention"], "outcome": ", ".join(outputs), "weighted_by": weights or panel.weights or ""}
    if replicates:
        drawn = score_draws(production, reference, orientation, scale, weak, replicates, seed, cores, progress, resume, executor)
        corrected = corrected_table(production, drawn, estimand, words["source"], by, row_weights, level)
        out = with_empty_draws(out, replicates) + corrected
        meta |= {"bootstrap": BOOTSTRAP, "replicates": replicates, "seed": seed, "bandwidths": drawn.bandwidths}
    return replace(out, title=words["title"], meta=meta)


def _refuse_pairs(model: str, direction: Any, super_efficiency: bool, details: bool, by: str, replicates: int) -> None:
    """Raise :class:`SpecificationError` for options that do not go together."""
    if direction is not None and model != "directional":
        raise SpecificationError(f"direction belongs to model='directional', not to {model!r}.")
    if super_efficiency and model == "sbm" and details:
        raise SpecificationError("Slacks and peers of a slack-based super-efficiency do not exist: take them from super_efficiency=False.")
    if details and by != "unit:period":
        raise SpecificationError(f"Slacks and peers belong to single rows: leave by='unit:period', not {by!r}.")
    if whole_number("replicates", replicates, 0) == 0:
        return
    whole_number("replicates", replicates, FEWEST)
    if model != "radial" or super_efficiency:
        raise SpecificationError(
            "The bootstrap of Simar & Wilson (1998) exists for radial scores: use model='radial' without super_efficiency, or replicates=0."
        )


def movement(
    production: Production, rows: np.ndarray, model: str, orientation: str, direction: Mapping[str, float | str] | None
) -> Quantities:
    """Direction of the radial and directional measures for some rows."""
    here = production.quantities.only(rows)
    if model == "radial":
        return radial_direction(here, orientation)
    parts = (here.inputs, here.outputs, here.bads)
    if direction is None:
        moves = {"none": (1, 1, 1), "input": (1, 0, 0), "output": (0, 1, 1)}[orientation]
        return Quantities(*(part * move for part, move in zip(parts, moves, strict=True)))
    if not isinstance(direction, Mapping):
        raise SpecificationError(f"direction maps columns to a number or 'own': {{'so2': 'own'}}, got {direction!r}.")
    unknown = sorted(set(direction) - set(production.columns))
    if unknown:
        raise SpecificationError(f"direction names {unknown}, which are not among {list(production.columns)}.")
    own = here.stacked()
    way = np.zeros_like(own)
    for k, name in enumerate(production.columns):
        amount = direction.get(name, 0.0)
        if isinstance(amount, str):
            one_of(f"direction[{name!r}]", amount, ("own",))
        elif isinstance(amount, bool) or not isinstance(amount, Real) or not (np.isfinite(amount) and amount >= 0):
            raise SpecificationError(f"direction[{name!r}] must be a number ≥ 0 or 'own', got {amount!r}: its sign follows from the role.")
        way[:, k] = own[:, k] if isinstance(amount, str) else float(amount)
    if not way.any(axis=1).all():
        raise SpecificationError("direction is zero in every column for some row: name a column that moves.")
    m, s, _ = here.widths
    return Quantities(way[:, :m], way[:, m : m + s], way[:, m + s :])


def _evaluate(
    production: Production, model: str, orientation: str, returns: Returns, weak: bool, direction: Any, reference: str, leave_out: bool,
    detail: bool, backend: str,
) -> Evaluation:  # fmt: skip
    """Scores of all rows, with slacks and peers where details are asked for."""
    n, width = len(production.quantities), len(production.columns)
    value, status, size = np.full(n, np.nan), np.full(n, Status.FAILED, dtype=int), np.zeros(n, dtype=int)
    slack, moved, peers = np.full((n, width), np.nan), np.zeros((n, width)), []
    for rows, spanning in production.by_period(reference):
        technology = Technology(production.quantities.only(spanning), returns, weak)
        evaluated = production.quantities.only(rows)
        own = np.searchsorted(spanning, rows) if leave_out else None
        if model == "sbm":
            part = slack_based(technology, evaluated, orientation, detail, backend)
            part = _with_super(part, technology, evaluated, orientation, own, backend) if leave_out else part
        else:
            way = movement(production, rows, model, orientation, direction)
            part = directional(technology, evaluated, way, own, detail, backend)
            moved[rows] = part.value[:, None] * way.stacked()
        value[rows], status[rows], size[rows] = part.value, part.status, spanning.size
        if detail:
            slack[rows] = part.slacks
            here, there = np.nonzero(share_of_peers(np.nan_to_num(part.intensities), technology.reference.inputs) > _PEER)
            peers += zip(rows[here], spanning[there], part.intensities[here, there], strict=True)
    if model == "radial":
        value, status = _farrell(value, status, orientation)
    return Evaluation(value + 0.0, status, size, slack, moved, tuple(peers))


def _farrell(steps: np.ndarray, status: np.ndarray, orientation: str) -> tuple[np.ndarray, np.ndarray]:
    """θ = 1 − β, or 1/φ = 1/(1 + β); the latter has no value where nothing of some output is attainable."""
    if orientation == "input":
        return 1 - steps, status
    undefined = 1 + steps <= NOTHING
    return 1 / (1 + np.where(undefined, np.nan, steps)), np.where(undefined, UNDEFINED, status)


def _with_super(scores: Scores, technology: Technology, evaluated: Quantities, orientation: str, own: np.ndarray, backend: str) -> Scores:
    """Super-efficiency of the units that are efficient."""
    efficient = np.flatnonzero(scores.value > 1 - 1e-8)
    above = slack_based_super(technology, evaluated.only(efficient), orientation, own[efficient], backend)
    value, status = scores.value.copy(), scores.status.copy()
    value[efficient], status[efficient] = above.value, above.status
    return Scores(value, status)

"""Data envelopment analysis: how far each unit is from the best practice of a reference set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.measure._linear_programs import Status
from bayes.measure._quantities import REFERENCES, Production, choice, is_weak, production_of, returns_of
from bayes.measure._technologies import (
    Quantities,
    Scores,
    Technology,
    directional,
    radial_direction,
    slack_based,
    slack_based_super,
)
from bayes.panel import Panel

MODELS = ("radial", "directional", "sbm")
ORIENTATIONS = {"radial": ("output", "input"), "directional": ("none", "input", "output"), "sbm": ("none", "input", "output")}
"""Orientations of each model, the default first."""
REASONS = {
    Status.INFEASIBLE: "infeasible: the reference units cannot be brought to this point in this direction",
    Status.UNBOUNDED: "unbounded: the direction leaves the technology nowhere",
    Status.FAILED: "the linear program was not solved",
}
_PEER = 1e-7
"""Intensities below this are no peers."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores and statuses of all rows (n,), slacks (n, columns), and peers as (row, row of the peer, intensity)."""

    value: np.ndarray
    status: np.ndarray
    slacks: np.ndarray
    peers: tuple[tuple[int, int, float], ...]


def dea(
    panel: Panel, inputs: Sequence[str], outputs: Sequence[str], bad_outputs: Sequence[str] = (), model: str = "radial",
    orientation: str | None = None, returns: str = "vrs", disposability: str = "strong", direction: Mapping[str, float | str] | None = None,
    reference: str = "contemporaneous", super_efficiency: bool = False, slacks: bool = False, peers: bool = False, backend: str = "auto",
) -> Estimates:  # fmt: skip
    """Efficiency of every unit in every period against the best practice of a reference set.

    Parameters
    ----------
    inputs, outputs, bad_outputs : list of str
        Columns of amounts (levels, not logs), zero or positive.
    model : "radial", "directional" or "sbm"
        Radial (Charnes, Cooper & Rhodes 1978; Banker, Charnes & Cooper 1984): ``efficiency`` = θ, the share of inputs that the best practice
        would need (orientation "input"), or 1/φ, the share of the attainable outputs that is produced ("output", default).
        Directional (Chambers, Chung & Färe 1998): ``directional_inefficiency`` = β ≥ 0, steps of ``direction`` to the frontier, 0 on it.
        Slack-based (Tone 2001; undesirable outputs Tone 2003): ``efficiency`` = ρ in (0, 1], 1 only without any slack.
    orientation : str, optional
        Radial: "output" (default) or "input". Others: "none" (default; inputs, outputs and undesirable outputs move), "input", "output".
    returns : "crs", "vrs" (default), "nirs" or "ndrs"
        Constant (CCR), variable (BCC), non-increasing or non-decreasing returns to scale.
    disposability : "strong" (default) or "weak"
        Whether undesirable outputs can be cut freely in the technology (Σλb ≤ b) or only together with outputs (Σλb = b; Kuosmanen 2005 under
        variable returns). Slack-based measures take them as strongly disposable.
    direction : mapping, optional
        For ``model="directional"``: column → number, or "own" for the unit's own amount; columns left out do not move. Default: the unit's own
        amounts of what ``orientation`` moves ("output": outputs up and undesirable outputs down).
    reference : "contemporaneous" (default), "sequential" or "global"
        Best practice of the same period, of it and all earlier ones, or of all periods.
    super_efficiency : bool
        Leave the evaluated row out of its reference set (Andersen & Petersen 1993; Tone 2002): scores of efficient units exceed 1 and rank them.
        Variable returns may leave no solution: those scores are NaN. Tone's measure is 1 for units that are not efficient: their ρ is given.
    slacks, peers : bool
        Add rows ``slack`` (what is left after the radial or directional movement; term = column), ``target`` (the projection) and ``peer``
        (intensities above 1e-7; term_to = "unit, period" of the peer).
    backend : "auto", "highs" or "scipy"
        HiGHS through highspy (one warm model a reference set), or SciPy one by one.

    Returns
    -------
    Estimates
        ``term`` "unit:period". A score without a solution is NaN, ``identified`` False, with the reason in ``note``. ``meta["convention"]`` says
        how to read the numbers.

    Raises
    ------
    SpecificationError, MissingColumnError, MissingValueError, NotPositiveError, NoVariationError
        Unknown options, missing columns or values, negative amounts, zeros where a measure divides by them, one unit, identical rows.
    """
    choice(model, MODELS, "model")
    orientation = choice(orientation or ORIENTATIONS[model][0], ORIENTATIONS[model], "orientation")
    choice(reference, REFERENCES, "reference")
    if direction is not None and model != "directional":
        raise SpecificationError(f"direction belongs to model='directional', not to {model!r}.")
    production = production_of(panel, inputs, outputs, bad_outputs, positive=model == "sbm")
    weak = is_weak(disposability, bad_outputs)
    if super_efficiency and model == "sbm" and (slacks or peers):
        raise SpecificationError("Slacks and peers of a slack-based super-efficiency do not exist: take them from super_efficiency=False.")
    found = _evaluate(production, model, orientation, returns, weak, direction, reference, super_efficiency, slacks or peers, backend)
    words = _words(model, orientation, returns, weak, reference, super_efficiency)
    estimand = "directional_inefficiency" if model == "directional" else "super_efficiency" if super_efficiency else "efficiency"
    rows = _score_rows(production, found, estimand, words["source"])
    if slacks:
        rows += _slack_rows(production, found, model, orientation, direction, words["source"])
    if peers:
        rows += _peer_rows(production, found, reference, words["source"])
    return Estimates.from_rows(rows, title=words["title"], convention=words["convention"], outcome=", ".join(outputs))


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
    unknown = sorted(set(direction) - set(production.columns))
    if unknown:
        raise SpecificationError(f"direction names {unknown}, which are not among {list(production.columns)}.")
    own = here.stacked()
    way = np.zeros_like(own)
    for k, name in enumerate(production.columns):
        amount = direction.get(name, 0.0)
        if isinstance(amount, str):
            choice(amount, ("own",), f"direction[{name!r}]")
        elif not (np.isfinite(amount) and amount >= 0):
            raise SpecificationError(f"direction[{name!r}] must be a number ≥ 0 or 'own', got {amount!r}: its sign follows from the role.")
        way[:, k] = own[:, k] if isinstance(amount, str) else float(amount)
    if not way.any(axis=1).all():
        raise SpecificationError("direction is zero in every column for some row: name a column that moves.")
    m, s, _ = here.widths
    return Quantities(way[:, :m], way[:, m : m + s], way[:, m + s :])


def _evaluate(
    production: Production, model: str, orientation: str, returns: str, weak: bool, direction: Any, reference: str, leave_out: bool,
    detail: bool, backend: str,
) -> Evaluation:  # fmt: skip
    """Scores of all rows, with slacks and peers where details are asked for."""
    n, width = len(production.quantities), len(production.columns)
    value, status = np.full(n, np.nan), np.full(n, Status.FAILED, dtype=int)
    slack, peers = np.full((n, width), np.nan), []
    for rows, spanning in production.by_period(reference):
        technology = Technology(production.quantities.only(spanning), returns_of(returns), weak)
        evaluated = production.quantities.only(rows)
        own = np.searchsorted(spanning, rows) if leave_out else None
        if model == "sbm":
            part = slack_based(technology, evaluated, orientation, detail, backend)
            part = _with_super(part, technology, evaluated, orientation, own, backend) if leave_out else part
        else:
            part = directional(technology, evaluated, movement(production, rows, model, orientation, direction), own, detail, backend)
        value[rows], status[rows] = part.value, part.status
        if detail:
            slack[rows] = part.slacks
            here, there = np.nonzero(part.intensities > _PEER)
            peers += zip(rows[here], spanning[there], part.intensities[here, there], strict=True)
    if model == "radial":
        value = 1 / (1 + value) if orientation == "output" else 1 - value
    return Evaluation(value + 0.0, status, slack, tuple(peers))


def _with_super(scores: Scores, technology: Technology, evaluated: Quantities, orientation: str, own: np.ndarray, backend: str) -> Scores:
    """Super-efficiency of the units that are efficient."""
    efficient = np.flatnonzero(scores.value > 1 - 1e-8)
    above = slack_based_super(technology, evaluated.only(efficient), orientation, own[efficient], backend)
    value, status = scores.value.copy(), scores.status.copy()
    value[efficient], status[efficient] = above.value, above.status
    return Scores(value, status)


# ── rows and words ──────────────────────────────────────────────────────────────────────────────────────────────────


def _score_rows(production: Production, found: Evaluation, estimand: str, source: str) -> list[dict[str, Any]]:
    common = {"estimand": estimand, "term": "unit:period", "source": source}
    return [
        {**label, **common, "estimate": value, "identified": bool(np.isfinite(value)), "note": REASONS.get(Status(status), "")}
        for label, value, status in zip(production.labels(), found.value, found.status, strict=True)
    ]


def _slack_rows(
    production: Production, found: Evaluation, model: str, orientation: str, direction: Any, source: str
) -> list[dict[str, Any]]:
    """Slacks and targets of every column; targets hold the movement and the slack."""
    own = production.quantities.stacked()
    m, s, _ = production.quantities.widths
    signs = np.r_[-np.ones(m), np.ones(s), -np.ones(own.shape[1] - m - s)]
    target = own + signs * found.slacks
    if model != "sbm":
        way = movement(production, np.arange(len(own)), model, orientation, direction).stacked()
        step = found.value
        if model == "radial":
            step = 1 / found.value - 1 if orientation == "output" else 1 - found.value
        target = target + signs * step[:, None] * way
    rows = []
    for r, label in enumerate(production.labels()):
        for k, name in enumerate(production.columns):
            for estimand, value in (("slack", found.slacks[r, k]), ("target", target[r, k])):
                known = {"identified": bool(np.isfinite(value)), "note": REASONS.get(Status(found.status[r]), "")}
                rows.append({**label, "estimand": estimand, "term": name, "source": source, "estimate": value, **known})
    return rows


def _peer_rows(production: Production, found: Evaluation, reference: str, source: str) -> list[dict[str, Any]]:
    labels = production.labels()
    names = [label["unit"] if reference == "contemporaneous" else f"{label['unit']}, {label['period']:g}" for label in labels]
    common = {"estimand": "peer", "term": "unit:period", "source": source}
    return [{**labels[row], **common, "term_to": names[peer], "estimate": weight} for row, peer, weight in found.peers]


def _words(model: str, orientation: str, returns: str, weak: bool, reference: str, leave_out: bool) -> dict[str, str]:
    read = {
        ("radial", "input"): "efficiency is the share of inputs that best practice needs for the same outputs; 1 is best practice",
        ("radial", "output"): "efficiency is the share of attainable outputs that is produced from the same inputs; 1 is best practice",
    }.get((model, orientation), "efficiency is 1 minus relative slacks (Tone 2001); 1 is best practice without any slack")
    if model == "directional":
        read = "directional inefficiency counts steps of the direction to best practice; 0 is best practice, larger is worse"
    name = {"radial": "DEA", "directional": "Directional distance", "sbm": "SBM"}[model]
    way = "" if orientation == "none" else f", {orientation}-oriented"
    bad = "; undesirable outputs weakly disposable" if weak else ""
    left = "; the evaluated unit is left out of its reference set" if leave_out else ""
    return {
        "title": f"{name}{way}, {returns.upper()}, {reference} reference",
        "source": f"{name}{way}, {returns.upper()}" + ("" if reference == "contemporaneous" else f", {reference}"),
        "convention": f"{read}; reference: {reference}{bad}{left}",
    }

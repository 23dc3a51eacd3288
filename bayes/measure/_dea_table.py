"""Tables of efficiency scores, slacks, targets and peers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes.estimates import Estimates
from bayes.measure._bootstrap import ScoreDraws
from bayes.measure._linear_programs import Status
from bayes.measure._means import group_means
from bayes.measure._quantities import Production

UNDEFINED = len(Status)
"""Status of a score without a meaning: the reference produces nothing of an output that the unit has."""
REASONS = {
    Status.INFEASIBLE: "infeasible: the reference units cannot be brought to this point in this direction",
    Status.UNBOUNDED: "unbounded: the direction leaves the technology nowhere",
    Status.FAILED: "the linear program was not solved",
    UNDEFINED: "no reference unit produces some output that this unit has: attainable outputs are zero",
}
ALONE = "the only unit of its reference set: 1 by construction"
BOOTSTRAP = "Simar–Wilson bootstrap"


def corrected_source(source: str) -> str:
    """Source of bootstrapped rows, which stand beside the plain ones in a comparison."""
    return f"{source}, bias-corrected"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores and statuses of all rows (n,), sizes of their reference sets (n,), slacks (n, columns), the movement to the frontier
    (n, columns), and peers as (row, row of the peer, intensity)."""

    value: np.ndarray
    status: np.ndarray
    peers_possible: np.ndarray
    slacks: np.ndarray
    moved: np.ndarray
    peers: tuple[tuple[int, int, float], ...]


def score_table(
    production: Production, found: Evaluation, estimand: str, source: str, by: str, weights: np.ndarray | None, best: float
) -> Estimates:
    """Scores by row, or their arithmetic means by group. ``best`` is the score of a unit that is alone."""
    alone = (found.peers_possible == 1) & (np.abs(found.value - best) < 1e-9)
    notes = np.where(alone, ALONE.replace("1 by", f"{best:g} by"), [REASONS.get(int(s), "") for s in found.status])
    return Estimates.from_rows(_mean_rows(production, found.value, notes, estimand, source, by, weights)[0])


def corrected_table(
    production: Production, draws: ScoreDraws, estimand: str, source: str, by: str, weights: np.ndarray | None, level: float
) -> Estimates:
    """Bias-corrected scores with their draws; a row that cannot be resampled is NaN with its reason."""
    notes = np.array([draws.reasons.get(r, "") for r in range(production.panel.n_rows)], dtype=object)
    rows, values = _mean_rows(production, draws.draws, notes, estimand, corrected_source(source), by, weights)
    out = Estimates.from_draws(rows, values, level)
    out.frame["interval"] = BOOTSTRAP
    out.frame["prob_positive"] = np.nan
    return out


def with_empty_draws(estimates: Estimates, replicates: int) -> Estimates:
    """Rows without draws in a table that has draws."""
    return Estimates(estimates.frame, np.full((len(estimates), replicates), np.nan), estimates.title, estimates.meta)


def _mean_rows(
    production: Production, values: np.ndarray, notes: np.ndarray, estimand: str, source: str, by: str, weights: np.ndarray | None
) -> tuple[list[dict[str, Any]], np.ndarray]:
    means = group_means(production.panel, values, by, weights=weights)
    single = by == "unit:period"
    rows = [
        {
            **label, "estimand": estimand, "term": by, "source": source, "n_obs": int(means.used[g]),
            "identified": bool(np.isfinite(means.values[g]).all()), "note": str(notes[g]) if single else means.note(g),
        }
        for g, label in enumerate(means.labels)
    ]  # fmt: skip
    if means.values.shape[1] == 1:
        rows = [{**row, "estimate": value} for row, value in zip(rows, means.values[:, 0], strict=True)]
    return rows, means.values


def slack_rows(production: Production, found: Evaluation, source: str) -> list[dict[str, Any]]:
    """Slacks and targets of every column; a target holds the movement and the slack."""
    own = production.quantities.stacked()
    m, s, q = production.quantities.widths
    signs = np.repeat([-1.0, 1.0, -1.0], (m, s, q))
    target = own + signs * (found.moved + found.slacks)
    rows = []
    for r, label in enumerate(production.labels()):
        for k, name in enumerate(production.columns):
            for estimand, value in (("slack", found.slacks[r, k]), ("target", target[r, k])):
                known = {"identified": bool(np.isfinite(value)), "note": REASONS.get(int(found.status[r]), "")}
                rows.append({**label, "estimand": estimand, "term": name, "source": source, "estimate": value, **known})
    return rows


def peer_rows(production: Production, found: Evaluation, reference: str, source: str) -> list[dict[str, Any]]:
    """A row for every peer of a row, with its intensity; the period stands in its name where the reference holds several."""
    labels = production.labels()
    names = [label["unit"] if reference == "contemporaneous" else f"{label['unit']}, {label['period']:g}" for label in labels]
    common = {"estimand": "peer", "term": "unit:period", "source": source}
    return [{**labels[row], **common, "term_to": names[peer], "estimate": weight} for row, peer, weight in found.peers]


def words_of(model: str, orientation: str, returns: str, weak: bool, reference: str, leave_out: bool) -> dict[str, str]:
    """Title, source and convention of the scores."""
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


def share_of_peers(intensities: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Largest share of each reference unit in any input of a unit's peer group: intensities (k, n), inputs (n, m) → (k, n)."""
    share = np.zeros_like(intensities)
    for column in inputs.T:
        part = intensities * column
        total = part.sum(axis=1, keepdims=True)
        np.maximum(share, np.divide(part, total, out=np.zeros_like(part), where=total > 0), out=share)
    return share

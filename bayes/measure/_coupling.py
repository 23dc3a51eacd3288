"""Coupling and coordination of several systems, by unit, period and draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import DataError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._rows import Rows, read_together
from bayes.measure._values import Values
from bayes.panel import Panel

CLASSES = (
    *("extreme imbalance", "severe imbalance", "moderate imbalance", "mild imbalance", "near imbalance"),
    *("bare coordination", "primary coordination", "intermediate coordination", "good coordination", "superior coordination"),
)
"""Ten classes of the coordination degree after Liao (1999), in steps of 0.1 from 0; the lower bound belongs to the class."""

CONVENTION = "coupling is 1 when all systems are equal, at any level; development and coordination lie in [0, 1], larger is better"

CUTS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


@checked
def coupling_coordination(
    panel: Panel, systems: Sequence[str | Estimates], weights: Sequence[float] | None = None, level: float = 0.95
) -> Estimates:
    """How evenly and how highly k systems are developed together, by unit and period.

    Coupling C = k (Π U_i)^{1/k} / Σ U_i (the geometric over the arithmetic mean: 1 when all systems are equal, 0 when one is zero),
    development T = Σ w_i U_i, coordination D = √(C · T). All lie in [0, 1]; more is better for T and D. C says nothing about the level.
    Liao (1999), Tropical Geography 19(2), for two systems; Wang, Kong, Ren, Zhi & Dai (2021), Journal of Natural Resources 36(3), on the
    factor k, without which C does not reach 1.

    Parameters
    ----------
    systems : two or more columns or Estimates by unit and period, each within [0, 1] (for example indices of :func:`composite_index`)
        They share rows. Those with draws share their number of draws (draw d of one goes with draw d of the others: one fit, or independent
        posteriors); one without draws goes with each draw.
    weights : of the systems in T, positive; scaled to sum to one. Default equal

    Returns
    -------
    Estimates
        ``coupling``, ``development_degree``, ``coordination_degree`` by unit and period; ``coordination_class`` with ``term`` = class of
        Liao (:data:`CLASSES`, steps of 0.1, lower bound included). With draws its estimate is the probability of the class, one row for
        each class that occurs in some draw (a class not listed has probability 0 in these draws) and its draws are 0 or 1; without draws
        the one class has estimate 1. The note of ``coordination_degree`` names the (most probable) class. Where all systems are zero C
        does not exist and is NaN; D is 0 there.

    Raises
    ------
    SpecificationError
        Fewer than two systems, weights that do not fit, rows or draws that differ.
    DataError
        Values outside [0, 1]; the message names the rows.
    """
    if isinstance(systems, str | Estimates) or len(systems) < 2:
        raise SpecificationError("systems takes a list of two or more columns or Estimates.")
    w = _system_weights(weights, len(systems))
    values = read_together(panel, systems)
    for v in values:
        _require_unit_interval(v)
    coupling, development, coordination = coordination_degrees([v.draws for v in values], w)
    first = values[0]
    rows = Rows(coordination.shape[0], {"source": "; ".join(dict.fromkeys(v.source for v in values if v.source))})
    labels = _labels(first)
    codes = np.searchsorted(CUTS, coordination, side="right")
    counts = np.stack([(codes == c).mean(axis=0) for c in range(len(CLASSES))])
    for i, label in enumerate(labels):
        rows.add("coupling", coupling[:, i], reason="all systems are zero: C = 0/0", **label)
        rows.add("development_degree", development[:, i], **label)
        rows.add("coordination_degree", coordination[:, i], note=_class_note(counts[:, i]), **label)
    for i, label in enumerate(labels):
        for c in np.flatnonzero(counts[:, i]):
            bounds = f"{c / 10:g} ≤ D {'≤' if c == 9 else '<'} {(c + 1) / 10:g}"
            rows.add("coordination_class", codes[:, i] == c, term=CLASSES[c], note=bounds, **label)
    meta: dict[str, Any] = {"systems": [v.name for v in values], "weights": w.tolist(), "convention": CONVENTION}
    interval = next((v.interval for v in values if v.has_draws), first.interval)
    out = rows.estimates("Coupling coordination", level, interval, **meta)
    return _without_class_intervals(out)


def coordination_degrees(systems: Sequence[np.ndarray], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """C, T and D of systems (draws or 1, n_rows) in [0, 1]; D is 0 and C NaN where every system is 0."""
    u = np.stack(np.broadcast_arrays(*systems))
    mean = u.mean(axis=0)
    # the product under the root is taken of ratios to the mean, so that many small values do not underflow
    ratio = u / np.where(mean > 0, mean, 1.0)
    coupling = np.minimum(np.prod(ratio ** (1 / u.shape[0]), axis=0), 1.0)
    development = np.tensordot(weights, u, axes=1)
    return np.where(mean > 0, coupling, np.nan), development, np.sqrt(coupling * development)


def _system_weights(weights: Sequence[float] | None, k: int) -> np.ndarray:
    try:
        w = np.ones(k) if weights is None else np.asarray(weights, dtype=float)
    except (TypeError, ValueError):
        w = np.empty(0)
    if w.shape != (k,) or not np.isfinite(w).all() or (w <= 0).any():
        raise SpecificationError(f"weights must be {k} positive numbers, one a system, got {weights!r}.")
    return w / w.sum()


def _require_unit_interval(v: Values) -> None:
    bad = np.flatnonzero(((v.draws < 0) | (v.draws > 1)).any(axis=0))
    if bad.size:
        raise DataError(
            f"{v.name!r} leaves [0, 1] in {bad.size} rows: {v.describe_rows(bad)}. Scale it first, for example by "
            "composite_index(..., method='weighted-sum')."
        )


def _labels(v: Values) -> list[dict[str, Any]]:
    parts = zip(v.panel.units[v.unit], v.region_names, v.period, strict=True)
    return [{"unit": str(u), "region": r, "period": t} for u, r, t in parts]


def _class_note(probability: np.ndarray) -> str:
    best = int(probability.argmax())
    return CLASSES[best] if probability[best] == 1 else f"{CLASSES[best]} (probability {probability[best]:.2f})"


def _without_class_intervals(out: Estimates) -> Estimates:
    """The estimate of a class is a probability: quantiles of zeros and ones say nothing more."""
    here = out.frame["estimand"] == "coordination_class"
    out.frame.loc[here, ["se", "lower", "upper", "level", "prob_positive"]] = np.nan
    out.frame.loc[here, "interval"] = ""
    return out

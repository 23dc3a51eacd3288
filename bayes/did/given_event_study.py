"""Sensitivity to violations of parallel trends of an event study that somebody else estimated: its coefficients and their covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes.arguments import checked
from bayes.did import trend_violations as tv
from bayes.did.sensitivity import Sensitivity, breakdown_table, learned_scale
from bayes.errors import SpecificationError
from bayes.estimates import Estimates

_FLOOR = 0.1
"""Smallest scale that leads may calibrate to, in median standard errors of a lead."""


@dataclass(frozen=True)
class GivenEventStudy:
    """Coefficients (n,) by event time, increasing and without the reference, with covariance (n, n).

    ``source`` says who estimated them.
    """

    event: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    reference: float
    source: str

    @property
    def before(self) -> np.ndarray:
        return np.flatnonzero(self.event < self.reference)

    @property
    def after(self) -> np.ndarray:
        return np.flatnonzero(self.event > self.reference)


@checked
def event_study_sensitivity(
    estimates: Estimates | Sequence[float],
    covariance: np.ndarray,
    event_times: Sequence[float] | None = None,
    *,
    weights: Mapping[float, float] | None = None,
    by: str = "simple",
    max_violation: float | Sequence[float] = (0.0, 0.5, 1.0),
    prior: str = "second-difference",
    scale: float | None = None,
    autocorrelation: float = 0.5,
    reference: float = -1,
    level: float = 0.95,
    certainty: float = 0.95,
) -> Sensitivity:
    """Bayesian sensitivity of any event study to violations of parallel trends, from its estimates and their covariance.

    β̂ ~ N(δ + (0, τ), S) with flat τ and violations δ ~ N(0, V), V = (M · scale)² K: with C = S + V,
    E[τ | β̂] = β̂_post − C_post,pre C_pre⁻¹ β̂_pre and Var[τ | β̂] = C_post − C_post,pre C_pre⁻¹ C_pre,post.

    M = 0 returns the study's own normal interval, which takes parallel trends for granted after treatment and leaves the leads unused. For
    M > 0 the leads are used: small M takes them for noise and removes what they share with the effects, so that intervals just above
    M = 0 may be narrower than at M = 0. ``note`` gives that limit. From there on the posterior standard deviation never falls with M.

    Parameters
    ----------
    estimates : Estimates or sequence of numbers
        Rows by event time of one estimator (``event_times`` are then read from them), or coefficients. Not a pooled posterior: its prior
        would be used twice; use ``fit.sensitivity``.
    covariance : array (n, n)
        Sampling covariance of these estimates, from the same estimator and in the same order.
    event_times : sequence of numbers, optional
        Event time of each coefficient.
    weights : mapping, optional
        Weight of each event time after the reference in the overall effect, for example treated units; they are made to sum to one.
        Default: equal weights on event times ≥ 0.
    by : str
        ``simple``: the weighted average. ``event``: each event time after the reference.
    max_violation, prior, scale, autocorrelation, certainty
        As in :meth:`bayes.did.fit.DiDFit.sensitivity`; the scale that leads calibrate is at least a tenth of their median standard error.
    reference : number
        The event time that coefficients are relative to.
    level : float
        Probability of the intervals.

    Returns
    -------
    Sensitivity

    Raises
    ------
    SpecificationError
        Draws of a posterior, shapes that do not fit, no effect after the reference, or no lead to learn the scale from.

    References
    ----------
    Kwon & Roth (2024), (Empirical) Bayes approaches to parallel trends, AEA Papers and Proceedings 114.
    """
    study = read_event_study(estimates, covariance, event_times, reference)
    multiples = tv.checked_multiples(max_violation)
    tv.checked_prior(prior, scale, autocorrelation, certainty)
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    rows, averages = effect_rows(study, weights, by)
    k = tv.violation_covariance(study.event - study.reference, prior, autocorrelation)
    chosen, calibration = _scale(study, k, scale, bool((multiples > 0).any()))

    def moments(multiple: float) -> tuple[np.ndarray, np.ndarray]:
        mean, variance = posterior_moments(study, 0.0 if multiple == 0 else (multiple * chosen) ** 2, k, leads=multiple > 0)
        return averages @ mean, np.sqrt(np.einsum("rj,jk,rk->r", averages, variance, averages))

    def table(grid: np.ndarray) -> Estimates:
        parts = [_rows(study, rows, moments, m, level, prior, chosen) for m in grid.tolist()]
        meta = {"prior": prior, "scale": chosen, "calibration": calibration, "trend_autocorrelation": autocorrelation}
        return Estimates.from_rows(pd.concat(parts), title="Event study under violations of parallel trends", **meta)

    def positive(multiple: float) -> np.ndarray:
        mean, sd = moments(multiple)
        return stats.norm.cdf(mean / sd)

    start = table(np.zeros(1)).frame
    asked = multiples if np.isfinite(chosen) else multiples[:1]
    values, sign = tv.breakdown_values(positive, certainty) if np.isfinite(chosen) else _unknown(positive(0.0))
    curve = table(np.linspace(0, float(multiples[-1]), 41) if np.isfinite(chosen) else asked)
    breakdown = breakdown_table(start, positive(0.0), values, sign)
    return Sensitivity(table(asked), curve, breakdown, prior, chosen, calibration, certainty)


def posterior_moments(study: GivenEventStudy, variance: float, k: np.ndarray, leads: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the effects after the reference given violations N(0, ``variance`` · K), with or without use of the leads."""
    before, after = study.before, study.after
    c = study.covariance + variance * k
    beta = study.coefficients
    if not leads or before.size == 0:
        return beta[after], c[np.ix_(after, after)]
    gain = np.linalg.solve(c[np.ix_(before, before)], c[np.ix_(before, after)]).T
    return beta[after] - gain @ beta[before], c[np.ix_(after, after)] - gain @ c[np.ix_(before, after)]


def read_event_study(
    estimates: Estimates | Sequence[float], covariance: np.ndarray, event_times: Sequence[float] | None, reference: float
) -> GivenEventStudy:
    """Checked and ordered coefficients. Raises :class:`SpecificationError` on draws, several rows of an event time, or wrong shapes."""
    source = "event study"
    if isinstance(estimates, Estimates):
        _refuse_posterior(estimates)
        if event_times is not None:
            raise SpecificationError("event_times are read from the estimates; leave them out.")
        event_times, source = estimates.frame["event_time"].to_numpy(dtype=float), " / ".join(dict.fromkeys(estimates.frame["source"]))
        estimates = estimates.frame["estimate"].to_numpy(dtype=float)
    elif event_times is None:
        raise SpecificationError("Give event_times, the event time of each coefficient.")
    beta, event, s = (np.asarray(v, dtype=float) for v in (estimates, event_times, covariance))
    if beta.ndim != 1 or event.shape != beta.shape or s.shape != (beta.size, beta.size):
        raise SpecificationError(
            f"{beta.shape} estimates, {event.shape} event times and a covariance of shape {s.shape} do not fit: (n,), (n,) and (n, n) are "
            "needed, rows by event time only (estimates.where(term='event')), in one order."
        )
    if not (np.isfinite(event).all() and (event == np.round(event)).all()):
        raise SpecificationError(f"Event times must be whole numbers of periods, got {event.tolist()}. Keep rows by event time only.")
    if np.unique(event).size < event.size:
        twice = sorted({e for e in event.tolist() if (event == e).sum() > 1})
        raise SpecificationError(f"Event times {twice} occur twice: give one estimator, and no rows of single regions.")
    order = np.argsort(event)
    order = order[event[order] != reference]
    beta, event, s = beta[order], event[order], s[np.ix_(order, order)]
    _require_covariance(beta, event, s)
    if not (event > reference).any():
        raise SpecificationError(f"No estimate lies after the reference event time {reference:g}: there is no effect to look at.")
    return GivenEventStudy(event, beta, (s + s.T) / 2, float(reference), source)


def _refuse_posterior(estimates: Estimates) -> None:
    if estimates.draws is not None or estimates.frame["interval"].astype(str).str.contains("posterior").any():
        raise SpecificationError(
            "These estimates are a posterior. As estimates with a covariance its prior would be used a second time: use "
            "fit.sensitivity(…), which integrates violations inside the model."
        )


def _require_covariance(beta: np.ndarray, event: np.ndarray, s: np.ndarray) -> None:
    bad = ~np.isfinite(beta) | ~np.isfinite(s).all(axis=1)
    if bad.any():
        raise SpecificationError(f"Estimate or covariance is missing at event times {event[bad].tolist()}: leave these event times out.")
    size = np.abs(s).max()
    if not np.allclose(s, s.T, rtol=1e-8, atol=1e-12 * size):
        raise SpecificationError("The covariance is not symmetric.")
    if np.linalg.eigvalsh((s + s.T) / 2)[0] < -1e-8 * size or (np.diag(s) <= 0).any():
        raise SpecificationError("The covariance has a negative or zero variance: it must be the sampling covariance of the estimates.")


def effect_rows(study: GivenEventStudy, weights: Mapping[float, float] | None, by: str) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Labels of the effects asked for, and their weights on the coefficients after the reference, shape (rows, after)."""
    event = study.event[study.after]
    if by == "event":
        if weights is not None:
            raise SpecificationError("weights belong to by='simple'; by='event' has one effect for each event time.")
        return [{"term": "event", "event_time": e, "note": ""} for e in event.tolist()], np.eye(event.size)
    if by != "simple":
        raise SpecificationError(f"by={by!r} does not exist. Choose 'simple' or 'event'.")
    if weights is None:
        weight, words = (event >= 0).astype(float), "equal weights on event times ≥ 0"
    else:
        unknown = sorted(set(map(float, weights)) - set(event.tolist()))
        if unknown:
            raise SpecificationError(f"weights name event times {unknown}, which have no estimate after the reference.")
        weight, words = np.array([float(weights.get(e, 0.0)) for e in event.tolist()]), "weights as given"
    if not np.isfinite(weight).all() or (weight < 0).any() or weight.sum() <= 0:
        raise SpecificationError("weights must be numbers ≥ 0 with a positive sum.")
    used = event[weight > 0]
    row = {"term": "event", "event_time": used[0]} if used.size == 1 else {"term": "simple", "event_time": np.nan}
    return [{**row, "note": words if used.size > 1 else ""}], (weight / weight.sum())[None]


def _scale(study: GivenEventStudy, k: np.ndarray, scale: float | None, needed: bool) -> tuple[float, str]:
    if scale is not None:
        return float(scale), "chosen"
    before = study.before
    if before.size == 0:
        if not needed:
            return np.nan, "not needed"
        raise SpecificationError(
            f"There is no estimate before the reference event time {study.reference:g}, so the size of violations cannot be learned from "
            "leads. Give scale=, the size of a violation in units of the outcome at M = 1."
        )
    s, beta, block = study.covariance[np.ix_(before, before)], study.coefficients[before], k[np.ix_(before, before)]
    se = np.sqrt(np.diag(s))
    floor = _FLOOR * float(np.median(se))
    words = f"{_FLOOR:g} median standard errors of a lead"

    def log_evidence(value: float) -> float:
        return float(stats.multivariate_normal.logpdf(beta, cov=s + value**2 * block, allow_singular=True))

    return learned_scale(log_evidence, before.size, floor, 100 * max(float(np.abs(beta).max()), float(se.max())), words)


def _unknown(positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full(positive.size, np.nan), np.where(positive >= 0.5, 1.0, -1.0)


def _rows(
    study: GivenEventStudy, rows: list[dict[str, Any]], moments: Any, multiple: float, level: float, prior: str, scale: float
) -> pd.DataFrame:
    mean, sd = moments(multiple)
    z = stats.norm.ppf(0.5 + level / 2)
    note = f"violations of scale {multiple * scale:.3g}"
    if multiple == 0:
        note = "the study's own interval, leads unused"
        if study.before.size:
            limit, spread = moments(1e-6) if np.isfinite(scale) else (mean, sd)
            note += f"; leads taken for noise (M towards 0): {limit[0]:.4g} ± {z * spread[0]:.3g}" if len(rows) == 1 else ""
    frame = pd.DataFrame(rows).assign(
        estimand="att", variant=tv.variant_words(f"{prior} violations", multiple), source=study.source, estimate=mean, se=sd,
        lower=mean - z * sd, upper=mean + z * sd, level=level, interval="normal" if multiple == 0 else "normal posterior",
        prob_positive=stats.norm.cdf(mean / sd),
    )  # fmt: skip
    return frame.assign(note=["; ".join(filter(None, [n, note])) for n in frame["note"]])

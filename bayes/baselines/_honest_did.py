"""HonestDiD (Rambachan & Roth 2023): frequentist intervals that hold under bounded violations of parallel trends, by moderndid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.baselines._libraries import quiet, with_version
from bayes.did.given_event_study import GivenEventStudy, effect_rows, read_event_study
from bayes.did.trend_violations import checked_multiples, variant_words
from bayes.errors import MissingExtraError, SpecificationError
from bayes.estimates import Estimates
from bayes.validation import one_of

RESTRICTIONS = {"relative-magnitudes": "relative magnitudes", "smoothness": "smoothness"}
_METHODS = {"relative-magnitudes": "C-LF", "smoothness": "FLCI"}


@checked
def honest_did(
    estimates: Estimates | Sequence[float],
    covariance: np.ndarray,
    event_times: Sequence[float] | None = None,
    *,
    restriction: str = "relative-magnitudes",
    max_violation: float | Sequence[float] | None = None,
    weights: Mapping[float, float] | None = None,
    reference: float = -1,
    level: float = 0.95,
    grid_points: int = 100,
) -> Estimates:
    """Intervals of an event study's effect that cover it whenever parallel trends fails by no more than a bound.

    Parameters
    ----------
    estimates : Estimates or sequence of numbers
        Rows by event time of one frequentist estimator with one base period, or coefficients with ``event_times``. Event times must
        follow each other without gaps.
    covariance : array (n, n)
        Sampling covariance from the same estimator, in the same order (``bayes.baselines.event_study`` gives both).
    event_times : sequence of numbers, optional
        Event time of each coefficient.
    restriction : str
        ``relative-magnitudes``: no change of the violation after the reference exceeds M times the largest one before it (conditional
        least-favourable hybrid, C-LF). ``smoothness``: its slope changes by at most M from one period to the next, in units of the
        outcome (fixed-length intervals, FLCI).
    max_violation : number or sequence of numbers, optional
        M. Default: 0.5, 1, 1.5, 2 for relative magnitudes; for smoothness ten values up to a bound from the leads.
    weights : mapping, optional
        Weight of each event time after the reference, for example ``{0: 1}`` for the first one. Default: equal weights on event
        times ≥ 0.
    reference : number
        The event time that coefficients are relative to.
    level : float
        Coverage.
    grid_points : int
        Values of the effect that C-LF tests; its bounds lie on this grid.

    Returns
    -------
    Estimates
        First the interval under parallel trends, then one row for each M (``variant``). ``estimate`` and ``se`` are the event study's
        own; ``prob_positive`` does not exist. NaN bounds with ``identified=False`` where no value is accepted.

    Raises
    ------
    SpecificationError
        Draws of a posterior, shapes that do not fit, gaps between event times, no lead, unknown words.
    MissingExtraError
        moderndid's solver is not installed.

    References
    ----------
    Rambachan & Roth (2023), A more credible approach to parallel trends, Review of Economic Studies 90(5).
    """
    one_of("restriction", restriction, RESTRICTIONS)
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    study = read_event_study(estimates, covariance, event_times, reference)
    _require_neighbours(study)
    multiples = None if max_violation is None else checked_multiples(max_violation)
    if multiples is None and restriction == "relative-magnitudes":
        multiples = np.array([0.5, 1.0, 1.5, 2.0])
    labels, average = effect_rows(study, weights, "simple")
    bounds = _bounds(study, average[0], restriction, multiples, level, grid_points)
    rows = _rows(study, labels[0], average[0], restriction, bounds, level)
    return Estimates.from_rows(rows, title=f"HonestDiD, {RESTRICTIONS[restriction]}")


def _require_neighbours(study: GivenEventStudy) -> None:
    if study.before.size == 0:
        raise SpecificationError(f"There is no estimate before the reference event time {study.reference:g}: HonestDiD needs a lead.")
    expected = np.arange(study.event[0], study.event[-1] + 1)
    missing = sorted(set(expected.tolist()) - set(study.event.tolist()) - {study.reference})
    if missing or study.event[study.before[-1]] != study.reference - 1:
        raise SpecificationError(f"Event times must follow each other; {missing} are missing. Keep a stretch without gaps.")


def _bounds(
    study: GivenEventStudy, average: np.ndarray, restriction: str, multiples: np.ndarray | None, level: float, grid_points: int
) -> list[dict[str, Any]]:
    """moderndid's interval under parallel trends (M absent) and under each M."""
    try:
        from moderndid import construct_original_cs, create_sensitivity_results_rm, create_sensitivity_results_sm
    except ImportError as error:
        raise MissingExtraError(
            "HonestDiD needs moderndid's solver, which is not installed: python -m pip install 'moderndid[didhonest]'"
        ) from error
    given = {
        "betahat": study.coefficients, "sigma": study.covariance, "num_pre_periods": study.before.size,
        "num_post_periods": study.after.size, "l_vec": average[:, None], "alpha": 1 - level,
    }  # fmt: skip
    try:
        with quiet():
            original = construct_original_cs(**given)
            if restriction == "smoothness":
                found = create_sensitivity_results_sm(**given, m_vec=multiples, method="FLCI")
            else:
                found = create_sensitivity_results_rm(**given, m_bar_vec=multiples, method="C-LF", grid_points=grid_points)
    except (RuntimeError, ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        raise SpecificationError(
            f"moderndid finds no interval ({error}). Check that the covariance is that of the estimates, and take M in their units."
        ) from error
    name = "m" if restriction == "smoothness" else "Mbar"
    robust = [{"multiple": row[name], "lower": row["lb"], "upper": row["ub"]} for row in found.to_dicts()]
    return [{"multiple": None, "lower": original.lb, "upper": original.ub}, *robust]


def _rows(
    study: GivenEventStudy, label: dict[str, Any], average: np.ndarray, restriction: str, bounds: list[dict[str, Any]], level: float
) -> list[dict[str, Any]]:
    after = study.after
    estimate = float(average @ study.coefficients[after])
    se = float(np.sqrt(average @ study.covariance[np.ix_(after, after)] @ average))
    words, source = RESTRICTIONS[restriction], f"HonestDiD ({with_version('moderndid')}) on {study.source}"
    rows = []
    for bound in bounds:
        m, known = bound["multiple"], bool(np.isfinite(bound["lower"]) and np.isfinite(bound["upper"]))
        interval = "normal" if m is None else f"robust, {_METHODS[restriction]}"
        variant = f"{words}, parallel trends" if m is None else variant_words(words, m)
        note = "parallel trends" if m is None else "" if known else "the test accepts no value, or none within its grid"
        rows.append(
            {
                **label, "estimand": "att", "variant": variant, "source": source,
                "estimate": estimate, "se": se, "lower": float(bound["lower"]), "upper": float(bound["upper"]), "level": level,
                "interval": interval, "identified": known, "note": "; ".join(filter(None, [label["note"], note])),
            }
        )  # fmt: skip
    return rows

"""Leads: joint bands, how large a violation of parallel trends they leave possible, and how large a one they would have seen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from bayes.arguments import checked_methods
from bayes.did.violation_response import linear_effects, response_to_violations
from bayes.errors import SpecificationError
from bayes.estimates import Estimates

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit

JOINT = "joint posterior band"
_POWERS = (0.5, 0.8)
_SIMULATIONS = 20_000


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class ParallelTrends:
    """Posterior of the leads, and the power of looking at them.

    Attributes
    ----------
    leads : Estimates
        One row a lead with draws; ``lower`` and ``upper`` form a joint band: all leads lie inside with probability ``level``.
    event_study : Estimates
        Leads and effects by event time, with one joint band for all of them.
    largest : numpy.ndarray
        Draws of the largest |lead|, in units of the outcome.
    bound : float or None
        A violation that counts as harmless.
    power : pandas.DataFrame
        ``power``, the ``slope`` of a linear violation per period that a pre-test finds with this probability (some lead's pointwise
        interval excludes zero: Roth 2022, §I), and the ``bias`` that it would mean for the overall effect ``att`` of this model.
    level : float
    note : str
        What limits these statements.
    """

    leads: Estimates
    event_study: Estimates
    largest: np.ndarray
    bound: float | None
    power: pd.DataFrame
    level: float
    note: str = ""
    seed: int = field(default=0)

    def probability_above(self, bound: float) -> float:
        """P(largest |lead| > bound)."""
        if not bound >= 0:
            raise SpecificationError(f"bound must be a number ≥ 0 in units of the outcome, got {bound!r}.")
        return float((self.largest > bound).mean())

    @property
    def exceedance(self) -> pd.DataFrame:
        """P(largest |lead| > bound) for bounds from zero to where it has vanished: columns bound, probability."""
        bounds = np.linspace(0, self.largest.max(), 101)
        return pd.DataFrame({"bound": bounds, "probability": [self.probability_above(float(b)) for b in bounds]})

    def verdict(self) -> list[str]:
        """Sentences for a table's foot."""
        median, upper = np.quantile(self.largest, [0.5, 0.95])
        known = self.leads.frame[~np.isnan(self.leads.draws).any(axis=1)]
        noisiest = known.loc[known["se"].idxmax()]
        out = [
            f"The largest of {len(known)} leads is {median:.3g} in absolute value (posterior median; 95 % below {upper:.3g}); the least "
            f"known lead, event time {noisiest.event_time:g}, has a posterior sd of {noisiest.se:.3g} (rows: {noisiest.n_obs:g})."
        ]
        if self.bound is not None:
            out.append(f"P(largest |lead| > {self.bound:g}) = {self.probability_above(self.bound):.3f}.")
        for row in self.power.itertuples():
            out.append(
                f"A linear violation of {row.slope:.3g} per period is found with probability {row.power:g}; it would move the overall "
                f"effect ({row.att:.3g}) by {row.bias:.3g}."
            )
        return [*out, *([self.note] if self.note else [])]

    def __repr__(self) -> str:
        return "\n".join([repr(self.leads), *self.verdict()])


def joint_band(estimates: Estimates, level: float = 0.95) -> Estimates:
    """The same estimates with a band that holds all rows at once with probability ``level`` (rows that are not identified stay empty).

    Mean ± c · sd of each row, where c is the ``level`` quantile of the largest |draw − mean|/sd over rows, the sup-t band of Montiel Olea
    & Plagborg-Møller (2019), Journal of Applied Econometrics 34(1), here from posterior draws. Raises :class:`SpecificationError` without
    draws.
    """
    if estimates.draws is None:
        raise SpecificationError("A joint band needs posterior draws: give estimates of a fit, for example fit.att('event').")
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    frame = estimates.frame
    known = ~np.isnan(estimates.draws).any(axis=1)
    if not known.any():
        return estimates
    draws = estimates.draws[known]
    mean, sd = draws.mean(axis=1), draws.std(axis=1, ddof=1)
    distance = np.abs(draws - mean[:, None]) / np.where(sd > 0, sd, 1.0)[:, None]
    critical = float(np.quantile(distance.max(axis=0), level))
    middle, spread = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    middle[known], spread[known] = mean, critical * sd
    banded = frame.assign(lower=middle - spread, upper=middle + spread, level=level, interval=JOINT)
    return replace(estimates, frame=banded, meta=estimates.meta | {"joint_critical_value": critical})


def parallel_trends_of(fit: DiDFit, bound: float | None, level: float, weights: str | None, seed: int) -> ParallelTrends:
    """What :meth:`bayes.did.fit.DiDFit.parallel_trends` does."""
    if bound is not None and not bound >= 0:
        raise SpecificationError(f"bound must be a number ≥ 0 in units of the outcome, got {bound!r}.")
    if not fit.model.leads:
        raise SpecificationError("The model was fitted without leads. Fit it with StaggeredDiD(…, leads=True) to look at them.")
    reference = -1 - fit.model.anticipation
    study = fit.att("event", level=level, weights=weights)
    leads = study.where(event_time=sorted(e for e in study.frame.event_time.unique() if e < reference))
    if len(leads) == 0:
        raise SpecificationError(
            f"No treated unit is observed before event time {reference}, so the panel has no lead: parallel trends cannot be looked at. "
            "Add earlier periods, or argue for the assumption."
        )
    known = ~np.isnan(leads.draws).any(axis=1)
    if not known.any():
        raise SpecificationError("The data identify no lead: no untreated unit is observed beside the treated before treatment.")
    notes = [_few(int(known.sum()), reference)]
    if not known.all():
        times = ", ".join(f"{e:g}" for e in leads.frame.event_time[~known])
        notes.append(f"Leads at event time {times} are not identified and not part of these statements.")
    largest = np.abs(leads.draws[known]).max(axis=0)
    steps = leads.frame.event_time.to_numpy()[known] - reference
    power = _power(fit, np.cov(leads.draws[known]).reshape(known.sum(), -1), steps, level, weights, seed)
    note = " ".join(filter(None, notes))
    return ParallelTrends(joint_band(leads, level), joint_band(study, level), largest, bound, power, level, note, seed)


def _few(n_leads: int, reference: int) -> str:
    if n_leads == 1:
        return (
            f"There is one lead only: it compares two periods ({reference - 1} and {reference}), tells a trend from a passing shock in no "
            "way, and is a weak check of parallel trends."
        )
    return ""


def _power(fit: DiDFit, covariance: np.ndarray, steps: np.ndarray, level: float, weights: str | None, seed: int) -> pd.DataFrame:
    """Slopes that the pre-test finds with probability .5 and .8, and what they would do to the overall effect."""
    response = response_to_violations(fit, linear_effects(fit, "simple", "att", weights))
    bias = float(response.bias[0].mean(axis=0) @ (response.event - response.reference))
    slopes = detectable_slopes(covariance, steps, _POWERS, level, seed)
    att = float(fit.att("simple", weights=weights).frame.estimate[0])
    return pd.DataFrame({"power": _POWERS, "slope": slopes, "bias": slopes * bias, "att": att})


def detectable_slopes(covariance: np.ndarray, steps: np.ndarray, powers: tuple[float, ...], level: float, seed: int) -> np.ndarray:
    """Positive slopes γ at which leads ~ N(γ · steps, covariance) leave [−z se, z se] somewhere with each of the probabilities ``powers``.

    By simulation with ``seed``. NaN where the pre-test exceeds that probability without any violation.
    """
    se = np.sqrt(np.diag(covariance))
    z = stats.norm.ppf(0.5 + level / 2)
    values, vectors = np.linalg.eigh(covariance / np.outer(se, se))
    root = vectors * np.sqrt(np.maximum(values, 0))
    noise = np.random.default_rng([seed, 6]).standard_normal((_SIMULATIONS, se.size)) @ root.T

    def power(slope: float) -> float:
        return float((np.abs(noise + slope * steps / se) > z).any(axis=1).mean())

    out = []
    for wanted in powers:
        low, high = 0.0, 10 * float((se / np.abs(steps)).max())
        if power(low) >= wanted:
            out.append(np.nan)
            continue
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if power(middle) < wanted else (low, middle)
        out.append(high)
    return np.array(out)

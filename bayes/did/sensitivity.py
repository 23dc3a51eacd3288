"""Bayesian sensitivity of a fitted model's effects to violations of parallel trends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked_methods
from bayes.did import trend_violations as tv
from bayes.did.violation_response import ViolationResponse, headline, linear_effects, response_to_violations
from bayes.errors import SpecificationError
from bayes.estimates import KEYS, Estimates

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit

FLOOR = 0.01
"""Smallest scale that leads may calibrate to, in within standard deviations of the outcome."""
_CEILING = 10.0
_CURVE_POINTS = 41


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity:
    """Effects under violations of parallel trends, at chosen M and along the whole curve.

    Attributes
    ----------
    estimates : Estimates
        One row an effect and M; ``variant`` holds the prior and M. M = 0 is the headline.
    curve : Estimates
        The same rows from M = 0 to the largest M asked for, without draws.
    breakdown : pandas.DataFrame
        One row an effect: its keys, ``direction`` (the sign asked about), ``probability`` at M = 0 and ``breakdown``, the smallest M at
        which the sign's probability falls below ``certainty`` (0: uncertain from the start; infinite: none).
    prior : str
        How violations hang together over time.
    scale : float
        Their size at M = 1, in units of the outcome (NaN where M = 0 was all that was asked for).
    calibration : str
        Where the scale comes from.
    certainty : float
    """

    estimates: Estimates
    curve: Estimates
    breakdown: pd.DataFrame
    prior: str
    scale: float
    calibration: str
    certainty: float

    def where(self, **conditions: Any) -> Sensitivity:
        """The effects for which every named column equals the value (or is in the list) given, for example ``region="West"``."""
        keep = np.ones(len(self.breakdown), dtype=bool)
        estimates, curve = self.estimates.where(**conditions), self.curve.where(**conditions)
        for column, value in conditions.items():
            if column in self.breakdown:
                allowed = value if isinstance(value, list | tuple | set | np.ndarray) else [value]
                keep &= self.breakdown[column].astype(object).isin(list(allowed)).to_numpy()
        return replace(self, estimates=estimates, curve=curve, breakdown=self.breakdown[keep].reset_index(drop=True))

    def verdict(self) -> list[str]:
        """One sentence for each effect."""
        return [_sentence(row, self.certainty) for row in self.breakdown.to_dict("records")]

    def __repr__(self) -> str:
        head = f"Sensitivity to violations of parallel trends, {self.prior} prior, scale {self.scale:.3g} ({self.calibration})"
        return "\n".join([head, repr(self.estimates), *self.verdict()])


def sensitivity_of(
    fit: DiDFit, by: str, max_violation: float | Sequence[float], prior: str, scale: float | None, estimand: str, level: float,
    weights: str | None, autocorrelation: float, certainty: float, seed: int | None,
) -> Sensitivity:  # fmt: skip
    """What :meth:`bayes.did.fit.DiDFit.sensitivity` does."""
    multiples = tv.checked_multiples(max_violation)
    tv.checked_prior(prior, scale, autocorrelation, certainty)
    base = headline(fit, by, estimand, level, weights)
    response = response_to_violations(fit, linear_effects(fit, by, estimand, weights))
    covariance = tv.violation_covariance(response.event - response.reference, prior, autocorrelation)
    chosen, calibration = calibrated_scale(response, covariance, scale, float(fit._collapsed.scales[-1]))
    posterior = tv.ViolationPosterior.of(response.information, response.score, covariance)
    used = fit.meta["seed"] if seed is None else seed
    normals = np.random.default_rng([used, 5]).standard_normal(posterior.score.shape)

    def shifted(multiple: float) -> np.ndarray:
        """Draws of every row at this M; the headline's own at M = 0."""
        if multiple == 0:
            return base.draws
        return base.draws - np.einsum("rdn,dn->rd", response.bias, posterior.draw(multiple * chosen, normals))

    words = {"prior": prior, "scale": chosen, "calibration": calibration, "seed": used, "trend_autocorrelation": autocorrelation}
    estimates = _table(base, shifted, multiples, prior, level, chosen, words)
    grid = np.linspace(0, max(float(multiples[-1]), 1e-6), _CURVE_POINTS)
    curve = replace(_table(base, shifted, grid, prior, level, chosen, words), draws=None)
    values, sign = tv.breakdown_values(lambda m: _positive(shifted(m)), certainty)
    table = breakdown_table(base.frame, _positive(base.draws), values, sign)
    return Sensitivity(estimates, curve, table, prior, chosen, calibration, certainty)


def calibrated_scale(response: ViolationResponse, covariance: np.ndarray, scale: float | None, sd: float) -> tuple[float, str]:
    """Scale of the violations and where it comes from; ``sd`` is the within standard deviation of the outcome.

    Marginal maximum likelihood from the leads, averaged over the draws of the fitted scales. Raises :class:`SpecificationError` when there
    is no lead to learn from.
    """
    if scale is not None:
        return float(scale), "chosen"
    leads = response.leads
    if leads.size == 0 or not (np.diagonal(response.information[:, leads][:, :, leads], axis1=1, axis2=2) > 1e-8 / sd**2).any():
        raise SpecificationError(
            "No treated unit is observed before the reference period beside untreated ones, so the size of violations cannot be learned "
            "from leads. Give scale=, the size of a violation in units of the outcome at M = 1."
        )
    block = np.ix_(leads, leads)
    before = tv.ViolationPosterior.of(response.information[:, leads][:, :, leads], response.score[:, leads], covariance[block])
    return learned_scale(before.log_evidence, leads.size, FLOOR * sd, _CEILING * sd, f"{FLOOR:g} within sd of the outcome")


def learned_scale(
    log_evidence: Callable[[float], float], n_leads: int, floor: float, ceiling: float, floor_words: str
) -> tuple[float, str]:
    """Most likely scale and the words that say how it was found."""
    found = tv.most_likely_scale(log_evidence, floor, ceiling)
    words = f"marginal maximum likelihood from {n_leads} leads" if n_leads > 1 else "from one lead only, which says little about it"
    if found <= floor * 1.0001:
        words += f", which ask for less than the floor of {floor_words}"
    return found, words


def _positive(draws: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(draws).any(axis=1), np.nan, (draws > 0).mean(axis=1))


def _table(
    base: Estimates, shifted: Callable[[float], np.ndarray], multiples: np.ndarray, prior: str, level: float, scale: float, meta: dict
) -> Estimates:
    rows, draws = [], []
    keys = [*KEYS, "source", "n_obs", "identified", "note"]
    for m in multiples.tolist():
        variant = tv.variant_words(f"{prior} violations", m)
        for row in base.frame[keys].to_dict("records"):
            note = "parallel trends" if m == 0 else f"violations of scale {m * scale:.3g}"
            rows.append({**row, "variant": variant, "note": "; ".join(filter(None, [row["note"], note]))})
        draws.append(shifted(m))
    return Estimates.from_draws(rows, np.vstack(draws), level, f"{base.title} under violations of parallel trends", **(base.meta | meta))


def breakdown_table(frame: pd.DataFrame, positive: np.ndarray, values: np.ndarray, sign: np.ndarray) -> pd.DataFrame:
    """Keys of the rows with the direction, its probability at M = 0 and the breakdown value."""
    keys = [k for k in KEYS if k != "variant"]
    return frame[keys].assign(
        direction=np.where(sign > 0, "> 0", "< 0"), probability=np.where(sign > 0, positive, 1 - positive), breakdown=values
    )


def _sentence(row: dict[str, Any], certainty: float) -> str:
    labels = [str(row[c]) for c in ("region", "unit") if row[c]]
    labels += [f"{c.replace('_', ' ')} {row[c]:g}" for c in ("cohort", "period", "event_time") if pd.notna(row[c])]
    name = " ".join([row["estimand"], row["term"], *labels])
    if np.isnan(row["probability"]):
        return f"{name}: not identified."
    claim = f"P({name} {row['direction']})"
    if np.isnan(row["breakdown"]):
        return f"{claim} is {row['probability']:.4g} at M = 0; without a lead or scale= nothing is said about M > 0."
    if row["breakdown"] == 0:
        return f"{claim} is {row['probability']:.4g} at M = 0, below {certainty:g}: there is no conclusion to break."
    if np.isinf(row["breakdown"]):
        return f"{claim} stays at or above {certainty:g} for every M up to {tv.LARGEST_MULTIPLE:g}: no breakdown value."
    if row["breakdown"] < 0.005:
        return f"{claim} is {row['probability']:.4g} at M = 0 and falls below {certainty:g} as soon as violations are allowed."
    return f"{claim} falls below {certainty:g} at M = {row['breakdown']:.2f} (it is {row['probability']:.4g} at M = 0)."

"""Residuals of a frontier looked at twice: do they lean the way inefficiency implies, and is what is left noise?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes.errors import SpecificationError
from bayes.frontier.inefficiency import inefficiency_draws
from bayes.frontier.likelihood import residuals, row_parameters
from bayes.frontier.skewness import coelli_1995
from bayes.frontier.support import SHARED, WITH_UNIT_EFFECTS

_DRAWS = 400
_MOMENTS = {"half-normal": (1 - 2 / np.pi, 0.9953), "exponential": (1.0, 2.0), "rayleigh": (2 - np.pi / 2, 0.6311)}
"""Variance and skewness of u at σ_u = 1."""


def skewness_by_region(fit: Any) -> pd.DataFrame:
    """Skewness of least-squares residuals: one row a region, and one for all regions when there are several.

    Each region has its own coefficients; unit means are taken out where the model has unit effects. Columns: region, rows, skewness,
    statistic (Coelli 1995), p_value (one-sided: small where residuals lean as inefficiency implies), verdict: ``right``, ``wrong``,
    ``unclear`` or, without a test, why.
    """
    data = fit.data
    within = fit.model.model in WITH_UNIT_EFFECTS
    rows = [_skewness(fit, str(name), data.unit_region == code, within) for code, name in enumerate(data.regions)]
    if len(rows) > 1:
        rows.append(_skewness(fit, "all regions, one technology", np.ones(data.n_units, dtype=bool), within))
    return pd.DataFrame(rows)


def _skewness(fit: Any, name: str, units: np.ndarray, within: bool) -> dict[str, Any]:
    data = fit.data
    mask = data.mask[units]
    columns = np.concatenate([data.output[None, units], data.design[1:, units]])
    if within:
        columns = (columns - (columns * mask).sum(axis=-1, keepdims=True) / mask.sum(axis=1)[:, None]) * mask
    y, *x = columns[:, mask > 0]
    design = np.column_stack([np.ones(y.size), *x])
    e = y - design @ np.linalg.lstsq(design, y)[0]
    out = {"region": name, "rows": int(mask.sum()), "skewness": np.nan, "statistic": np.nan, "p_value": np.nan}
    try:
        test = coelli_1995(e, fit.model.sign)
    except SpecificationError as error:  # too few rows, or rows that the technology fits exactly
        return out | {"verdict": str(error)}
    verdict = "right" if test.p_value < 0.05 else "wrong" if test.p_value > 0.95 else "unclear"
    return out | {"skewness": test.skewness, "statistic": test.statistic, "p_value": test.p_value, "verdict": verdict}


def implied_skewness(fit: Any) -> pd.Series:
    """Size of the skewness of v − s·u that the posterior implies, by region: posterior mean, with determinants at their means.

    With σ_u small against σ_v no sample of this size shows it, and what the posterior says of σ_u below that is the prior's. NaN where
    inefficiency is shared by the rows of a unit, whose likeness then tells of it, and with Student-t noise.
    """
    p, model = fit.parameters(), fit.model
    if model.model in SHARED or model.noise == "student-t":
        return pd.Series(np.nan, index=fit.data.regions.astype(str))
    if model.inefficiency == "gamma":
        variance, skewness = p["shape"][:, None], 2 / np.sqrt(p["shape"])[:, None]
    elif model.inefficiency == "truncated-normal":
        ratio = np.clip(p["location_ratio"].reshape(len(p["location_ratio"]), -1), -6, 6)
        variance, skewness = stats.truncnorm.stats(-ratio, np.inf, loc=ratio, moments="vs")
    else:
        variance, skewness = _MOMENTS[model.inefficiency]
    variance = variance * p["inefficiency_scale"] ** 2
    share = variance / (variance + p["noise_scale"] ** 2)
    return pd.Series((skewness * share**1.5).mean(axis=0), index=fit.data.regions.astype(str))


def noise_check(fit: Any) -> pd.DataFrame:
    """What is left after technology and inefficiency against the noise that the model assumes, in posterior draws.

    v = y − x'β − (unit effect) + s·u with u drawn exactly, in units of its σ_v; replicates are independent draws of the assumed noise
    (Gelman, Meng & Stern 1996: realised discrepancies). Columns: statistic, observed (posterior mean), mean, lower and upper of the
    replicates (95 %), p_value = P(replicate ≥ realised).
    """
    data, spec = fit.data, fit.model
    total = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
    chosen = np.unique(np.linspace(0, total - 1, min(_DRAWS, total)).astype(int))
    p = fit.parameters(chosen)
    component = "transient" if spec.model == "four-component" else "overall"
    u = inefficiency_draws(p, spec, data, fit.meta["seed"], component)
    epsilon = residuals(p["technology"], data)
    if spec.model in WITH_UNIT_EFFECTS:
        epsilon = epsilon - p["unit_effect"][..., None]
    sigma = np.broadcast_to(row_parameters(p, spec, data).sigma_v, epsilon.shape)
    v = (data.in_rows(epsilon) + spec.sign * u) / data.in_rows(sigma)
    rng = np.random.default_rng(fit.meta["seed"])
    again = rng.standard_t(p["degrees_of_freedom"][:, None], size=v.shape) if spec.noise == "student-t" else rng.normal(size=v.shape)
    follows = _follows(data)
    names = ["skewness", "excess kurtosis", *(["autocorrelation within units"] if follows.size else [])]
    realised, replicated = (_statistics(values, follows)[:, : len(names)] for values in (v, again))
    lower, upper = np.quantile(replicated, [0.025, 0.975], axis=0)
    return pd.DataFrame(
        {
            "statistic": names, "observed": realised.mean(axis=0), "mean": replicated.mean(axis=0), "lower": lower, "upper": upper,
            "p_value": (replicated >= realised).mean(axis=0),
        }
    )  # fmt: skip


def _follows(data: Any) -> np.ndarray:
    """Positions (pairs, 2) of rows that follow each other within a unit."""
    pairs = np.stack([data.row[:, :-1], data.row[:, 1:]], axis=-1)
    return pairs[(data.mask[:, :-1] > 0) & (data.mask[:, 1:] > 0)]


def _statistics(v: np.ndarray, follows: np.ndarray) -> np.ndarray:
    """Skewness, excess kurtosis and first autocorrelation of each draw, shape (draws, 3)."""
    centred = v - v.mean(axis=1, keepdims=True)
    variance = (centred**2).mean(axis=1)
    skewness, kurtosis = (centred**3).mean(axis=1) / variance**1.5, (centred**4).mean(axis=1) / variance**2 - 3
    if not follows.size:
        return np.column_stack([skewness, kurtosis, np.full(len(v), np.nan)])
    return np.column_stack([skewness, kurtosis, (centred[:, follows[:, 0]] * centred[:, follows[:, 1]]).mean(axis=1) / variance])

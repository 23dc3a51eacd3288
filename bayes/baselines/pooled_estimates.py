"""Partial pooling of printed estimates that have standard errors, without their data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.baselines import _normal_hierarchy as hierarchy
from bayes.errors import SpecificationError
from bayes.estimates import COLUMNS, KEYS, Estimates
from bayes.priors import Prior
from bayes.validation import one_of

_ACROSS = ("region", "unit", "source")
_FAMILIES = ("HalfNormal", "HalfStudentT", "Exponential")
_SUFFIXES = ("mean", "new", "between_sd")
_NO_ESTIMATE = "no estimate printed: left out of the pooling"
_NO_ERROR = "no standard error printed: left out of the pooling"


@checked
def pool(
    estimates: Estimates, across: str = "region", prior: Prior | float | None = None, mean_prior: Prior | None = None,
    draws: int = 4000, seed: int = 0, level: float = 0.95,
) -> Estimates:  # fmt: skip
    """Partially pool printed estimates over regions: a hierarchical normal model with the printed standard errors taken as known.

    y_r ~ N(θ_r, se_r²), θ_r ~ N(μ, τ²), for each quantity by itself: rows that agree in everything that says what is estimated but
    ``across``. Means, standard deviations, intervals and P(> 0) come from one-dimensional numerical integration over τ, not from draws.
    Assumes that the estimates are independent (regions that share no units), approximately normal, and exchangeable over regions.

    Parameters
    ----------
    estimates : Estimates
        For example ``bayes.published("province_tfp").where(estimand="direct")``.
    across : "region", "unit" or "source"
        What tells the rows of one quantity apart. A row without it, such as the full sample, is left out: its data are those of the
        others.
    prior : Prior or number, optional
        Of the between-region sd τ: HalfNormal, HalfStudentT or Exponential; a number is the scale of a HalfNormal. A relative
        prior (the default, HalfNormal(1)) is in units of the sd of the pooled estimates or their median standard error, whichever is
        larger; ``Prior(…, relative=False)`` is in units of the estimates.
    mean_prior : Prior, optional
        Normal, of the mean μ; flat by default.
    draws, seed : int
        Posterior draws beside the rows.
    level : float
        Of the equal-tailed intervals.

    Returns
    -------
    Estimates
        For each quantity: every region, shrunk, under its own estimand, so that it joins the printed row in :func:`bayes.compare`; then
        ``<estimand>_mean`` (μ), ``<estimand>_new`` (a region not among these) and ``<estimand>_between_sd`` (τ). Rows that cannot be pooled
        stay, NaN and ``identified`` False, with the reason. ``meta["left_out"]`` lists them, ``meta["sensitivity"]`` has mean and
        between-region sd under a prior half and twice as wide.

    Raises
    ------
    SpecificationError
        Unknown word, no quantity with two rows that have a standard error, two rows of one region, a standard error that is not positive,
        or a prior of another family.

    References
    ----------
    Rubin (1981), Journal of Educational Statistics 6(4); Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 5.4.
    """
    _check(estimates, across, draws, level)
    tau_prior, centre = _tau_prior(prior), _mean_prior(mean_prior)
    rows, drawn, sensitivity = _every_quantity(estimates.frame, across, tau_prior, centre, draws, level, np.random.default_rng(seed))
    left_out = [f"{_name(r)}: {r['note']}" for r in rows if not r["identified"]]
    return Estimates.from_rows(
        rows, np.vstack(drawn), "Printed estimates, partially pooled", across=across, prior=str(tau_prior), seed=seed, left_out=left_out,
        relative_prior=tau_prior.relative, sensitivity=pd.DataFrame(sensitivity),
    )  # fmt: skip


def _every_quantity(
    frame: pd.DataFrame, across: str, prior: Prior, mean_prior: Prior | None, draws: int, level: float, rng: np.random.Generator
) -> tuple[list[dict[str, Any]], list[np.ndarray], list[dict[str, Any]]]:
    """Rows, draws and sensitivity, quantity by quantity in the order of the table."""
    rows, drawn, sensitivity = [], [], []
    for _, part in frame.groupby([k for k in (*KEYS, "source") if k != across], sort=False, dropna=False):
        used = _usable(part, across)
        pooled = used.sum() >= 2
        unused = part[~used] if pooled else part
        rows += [_left_out(row, across, pooled) for row in unused.to_dict("records")]
        drawn.append(np.full((len(unused), draws), np.nan))
        if pooled:
            found, values, under = _pooled(part[used], across, prior, mean_prior, draws, level, rng)
            rows, drawn, sensitivity = rows + found, [*drawn, values], [*sensitivity, *under]
    if not sensitivity:
        raise SpecificationError(
            f"No quantity has two rows with an estimate, a standard error and a {across}; a between-{across} sd needs at least two. "
            f"Rows: {'; '.join(dict.fromkeys(r['note'].partition(' (')[0] for r in rows)) or 'none'}."
        )
    return rows, drawn, sensitivity


def _pooled(
    part: pd.DataFrame, across: str, prior: Prior, mean_prior: Prior | None, n: int, level: float, rng: np.random.Generator
) -> tuple[list[dict[str, Any]], np.ndarray, list[dict[str, Any]]]:
    """Rows, draws and sensitivity of one quantity."""
    y, se = (part[c].to_numpy(dtype=float) for c in ("estimate", "se"))
    scale = max(float(y.std(ddof=1)), float(np.median(se)))
    absolute = prior.scaled(scale)
    centre = None if mean_prior is None else tuple(mean_prior.scaled(scale).parameters.values())
    mixture = _fit(y, se, absolute, centre)
    mean, sd = hierarchy.moments(mixture)
    tail = (1 - level) / 2
    ends = np.array([tail, 1 - tail])
    lower, upper = np.vstack([hierarchy.quantiles(mixture, ends), hierarchy.tau_quantiles(mixture, ends)]).T
    if not _has_variance(absolute, len(y) + (centre is not None)):
        sd[-2:] = np.nan
    positive = [*hierarchy.positive(mixture), np.nan]
    own = mixture.own @ mixture.weight
    fixed = part.iloc[0][list(KEYS)].to_dict() | {across: ""}
    source = f"{part['source'].iloc[0]}, pooled" if across != "source" else "pooled"
    under = [_under(y, se, absolute.times(k), centre, k, fixed, tail) for k in (0.5, 1.0, 2.0)]
    rows = [
        {**{k: row[k] for k in KEYS}, "source": source if across != "source" else f"{row['source']}, pooled", "n_obs": row["n_obs"],
         "note": f"printed {row['estimate']:.4g} (se {row['se']:.4g}); weight of its own estimate {w:.2f}"}
        for row, w in zip(part.to_dict("records"), own, strict=True)
    ]  # fmt: skip
    notes = (f"mean of the distribution that the {len(y)} estimates are drawn from", f"a {across} not among these {len(y)}",
             _spread_note(under, absolute, len(y)))  # fmt: skip
    n_obs = part["n_obs"].sum(min_count=len(y))
    for suffix, note in zip(_SUFFIXES, notes, strict=True):
        rows.append({**fixed, "estimand": f"{fixed['estimand']}_{suffix}", "source": source, "note": note, "n_obs": n_obs})
    columns = zip(rows, mean, sd, lower, upper, positive, strict=True)
    rows = [
        {**row, "estimate": m, "se": s, "lower": a, "upper": b, "level": level, "interval": "equal-tailed posterior", "prob_positive": p,
         "identified": True}
        for row, m, s, a, b, p in columns
    ]  # fmt: skip
    return rows, hierarchy.draw(y, se, mixture, n, rng), under


def _fit(y: np.ndarray, se: np.ndarray, prior: Prior, centre: tuple[float, float] | None) -> hierarchy.Mixture:
    size = prior.parameters["scale" if prior.family == "Exponential" else "sigma"]
    return hierarchy.posterior(y, se, prior.log_density, size, centre)


def _under(
    y: np.ndarray, se: np.ndarray, prior: Prior, centre: tuple[float, float] | None, factor: float, fixed: Mapping[str, Any], tail: float
) -> dict[str, Any]:
    """Mean and between-group sd under one prior."""
    mixture = _fit(y, se, prior, centre)
    lower, upper = hierarchy.quantiles(mixture, np.array([tail, 1 - tail]), [len(y)])[0]
    middle = hierarchy.tau_quantiles(mixture, np.array([0.5]))[0]
    named = {k: v for k, v in fixed.items() if k in ("estimand", "term", "variant") and v != ""}
    return {**named, "prior": str(prior), "times_as_wide": factor, "mean": mixture.mean[len(y)] @ mixture.weight, "lower": lower,
            "upper": upper, "between_sd_median": middle}  # fmt: skip


def _spread_note(under: list[dict[str, Any]], prior: Prior, groups: int) -> str:
    half, one, twice = (u["between_sd_median"] for u in under)
    words = f"{groups} estimates, prior {prior}; median {one:.3g}, {half:.3g} and {twice:.3g} with the prior half and twice as wide"
    return f"prior-driven: {words}" if twice > 1.5 * half else words


def _has_variance(prior: Prior, groups: int) -> bool:
    """Whether the posterior variance of τ and of a new group exists: a half-t with few groups has too heavy a tail."""
    return prior.family != "HalfStudentT" or prior.parameters["nu"] + groups - 1 > 2


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _usable(part: pd.DataFrame, across: str) -> pd.Series:
    return part["estimate"].notna() & part["se"].notna() & (part[across] != "")


def _left_out(row: Mapping[str, Any], across: str, pooled: bool) -> dict[str, Any]:
    """The row without figures, and why; ``pooled``: whether other rows of its quantity are pooled."""
    if pd.isna(row["estimate"]):
        reason = _NO_ESTIMATE
    elif pd.isna(row["se"]):
        reason = f"{_NO_ERROR} (printed {row['estimate']:.4g})"
    elif row[across] == "":
        why = "its data are those of the others, left out of the pooling" if pooled else "nothing to pool"
        reason = f"no {across}: {why} (printed {row['estimate']:.4g})"
    else:
        reason = f"the only row of its quantity with a standard error and a {across}: nothing to pool (printed {row['estimate']:.4g})"
    empty = {c: COLUMNS[c] for c in ("estimate", "se", "lower", "upper", "level", "interval", "prob_positive")}
    return {**row, **empty, "source": f"{row['source']}, pooled", "identified": False, "note": reason}


def _name(row: Mapping[str, Any]) -> str:
    return " ".join(str(row[k]) for k in ("estimand", "term", "variant", "region", "unit") if row[k])


# ── checks of a call ────────────────────────────────────────────────────────────────────────────────────────────────


def _check(estimates: Estimates, across: str, draws: int, level: float) -> None:
    if not isinstance(estimates, Estimates):
        raise SpecificationError(f"pool takes bayes.Estimates, got {type(estimates).__name__}. Give bayes.published(…).")
    one_of("across", across, _ACROSS)
    if not isinstance(draws, int) or isinstance(draws, bool) or draws < 1:
        raise SpecificationError(f"draws must be a whole number ≥ 1, got {draws!r}.")
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    frame = estimates.frame
    usable = frame[_usable(frame, across)]
    wrong = usable[~(np.isfinite(usable["se"]) & (usable["se"] > 0) & np.isfinite(usable["estimate"]))]
    if len(wrong):
        row = wrong.iloc[0]
        raise SpecificationError(f"{_name(row)}: estimate {row['estimate']!r} with standard error {row['se']!r}; a positive one is needed.")
    twice = usable[usable.duplicated([*KEYS, "source"])]
    if len(twice):
        raise SpecificationError(f"{_name(twice.iloc[0])} stands twice. Keep one row per {across} with .where().")


def _tau_prior(prior: Prior | float | None) -> Prior:
    if prior is None:
        prior = 1.0
    if isinstance(prior, int | float) and not isinstance(prior, bool):
        return Prior("HalfNormal", {"sigma": prior})
    if not isinstance(prior, Prior) or prior.family not in _FAMILIES:
        raise SpecificationError(f"prior must be a positive number or a bayes.Prior of {', '.join(_FAMILIES)}, got {prior!r}.")
    return prior


def _mean_prior(prior: Prior | None) -> Prior | None:
    if prior is not None and (not isinstance(prior, Prior) or prior.family != "Normal"):
        raise SpecificationError(f"mean_prior must be a bayes.Prior of the family Normal, got {prior!r}.")
    return prior

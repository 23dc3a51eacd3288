"""Sentences of a stochastic-frontier report: the headline, what the prior drives, what residuals say, and the methods paragraph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayes.estimates import Estimates
from bayes.frontier.support import SHARED
from bayes.reporting.common_sections import baseline_words, interval_words, listed, probability, sampling_words, vague_words
from bayes.reporting.tables import format_number

VERDICTS = {
    "right": "as inefficiency implies",
    "wrong": "the wrong way",
    "unclear": "no clear skewness",
}
"""Words for the verdicts of :func:`bayes.reporting.frontier_residuals.skewness_by_region`."""


# ── headline ────────────────────────────────────────────────────────────────────────────────────────────────────────


def headline(fit: Any, overall: Estimates, region: Estimates, skewness: pd.DataFrame) -> tuple[str, ...]:
    """Mean efficiency in one plain sentence, where it is highest and lowest, and whether the data speak about it at all."""
    row = overall.frame.iloc[0]
    share = [f"{100 * row[name]:.1f} %" for name in ("estimate", "lower", "upper")]
    own = "the frontier of the unit's own region" if has_regional_technology(fit) else "the frontier"
    what = (
        f"On average output reached {share[0]} of what {own} allows with the same inputs"
        if fit.model.kind == "production"
        else f"On average the least cost of the same products, by {own}, was {share[0]} of actual cost"
    )
    first = f"{what} ({100 * row['level']:g} % {row['interval']} interval from {share[1]} to {share[2]})."
    return (first, *_between_regions(region, has_regional_technology(fit)), _prior_words(fit), *_caution(fit.model, skewness))


def has_regional_technology(fit: Any) -> bool:
    """Whether regions have frontiers of their own."""
    return len(fit.data.regions) > 1 and "technology" in fit.model.pooled_parts


def _between_regions(region: Estimates, own: bool) -> tuple[str, ...]:
    ordered = region.frame.sort_values("estimate")
    if len(ordered) < 2:
        return ()
    low, high = ordered.iloc[0], ordered.iloc[-1]
    return (
        f"Mean efficiency is highest in {high['region']} ({format_number(high['estimate'])}) and lowest in {low['region']} "
        f"({format_number(low['estimate'])}), {'each region against its own frontier' if own else 'against one frontier for all regions'}.",
    )


def _prior_words(fit: Any) -> str:
    low, middle, high = np.quantile(fit.prior_efficiency(), [0.025, 0.5, 0.975])
    return (
        f"Before the data, the model put the efficiency of a row at a median of {format_number(middle)} (95 % between "
        f"{format_number(low)} and {format_number(high)})."
    )


def _caution(model: Any, skewness: pd.DataFrame) -> tuple[str, ...]:
    """What the size of inefficiency rests on; empty when residuals of all regions lean as it implies."""
    if model.model in SHARED:
        return ("Caution: this panel form takes every lasting difference between units of a region for inefficiency.",)
    regions = skewness.iloc[:-1] if len(skewness) > 1 else skewness
    right = int((regions["verdict"] == "right").sum())
    if right == len(regions):
        return ()
    where = f"in {right} of {len(regions)} regions" if len(regions) > 1 else "not at all"
    return (f"Caution: least-squares residuals lean the way that inefficiency implies {where}; elsewhere its size rests on the model.",)


def growth(overall: Estimates, one: str) -> str:
    """Total factor productivity and its parts in percent a period."""
    rows = overall.frame.set_index("estimand")
    total = rows.loc["tfpc"]
    parts = "; ".join(
        f"{words} {_percent(rows.loc[part, 'estimate'])}"
        for part, words in (("tc", "technical change"), ("ec", "efficiency change"), ("sec", "scale change"))
    )
    return (
        f"Total factor productivity changed by {_percent(total['estimate'])} per {one} ({100 * total['level']:g} % {total['interval']} "
        f"interval from {_percent(total['lower'])} to {_percent(total['upper'])}; the probability of growth is "
        f"{probability(total['prob_positive'])}): {parts}."
    )


def _percent(index: float) -> str:
    return f"{100 * (index - 1):+.2f} %".replace("-", "−")


def scale(overall: Estimates) -> str:
    """Returns to scale over all rows."""
    row = overall.frame.iloc[0]
    return (
        f"Returns to scale average {format_number(row['estimate'])} ({interval_words(row)}); the probability that they increase is "
        f"{probability(row['prob_positive'])}."
    )


# ── what the prior drives ───────────────────────────────────────────────────────────────────────────────────────────


def prior_driven(skewness: pd.DataFrame, by_region: Mapping[str, float], scalars: Mapping[str, float], model: Any) -> tuple[str, ...]:
    """In plain words: where inefficiency rests on its prior, and which other parameters the data say little about."""
    sentences = []
    prior = [name for name, value in by_region.items() if value > 0.75]
    partly = [name for name, value in by_region.items() if 0.5 < value <= 0.75]
    if prior:
        sentences.append(
            f"In {listed(prior)} the data say little about inefficiency: prior and posterior of its scale σ_u overlap by more than three "
            f"quarters. Efficiency there is what the prior median of {model.median_efficiency:g} and the other regions make of it."
        )
    hidden = [name for name in skewness.loc[skewness["hidden"], "region"] if name in by_region and name not in prior]
    if hidden:
        where = "every region" if len(hidden) == len(by_region) > 1 else listed(hidden)
        sentences.append(
            f"In {where} the skewness that the posterior implies is smaller than two standard errors of what so many rows can show. The "
            f"data bound inefficiency from above there; its size below that bound leans on the {model.inefficiency} form and on the prior."
        )
    if partly:
        sentences.append(f"In {listed(partly)} prior and posterior of σ_u overlap by more than one half: read efficiency with care.")
    wrong = [name for name in skewness.loc[skewness["verdict"] == "wrong", "region"] if name in by_region]
    if wrong:
        limit = " Maximum likelihood would put σ_u at zero there; the posterior goes as near to zero as its prior lets it."
        shared = model.model in SHARED
        sentences.append(f"In {listed(wrong)} residuals are skewed against inefficiency.{'' if shared else limit}")
    sentences += vague_words(scalars)
    if not sentences:
        return ("In every region the data speak about inefficiency, and no parameter's posterior repeats its prior.",)
    return tuple(sentences)


def residual_words(skewness: pd.DataFrame, model: Any) -> tuple[str, ...]:
    """What the skewness of residuals by region says."""
    regions = skewness.iloc[:-1] if len(skewness) > 1 else skewness
    groups = [(word, list(regions.loc[regions["verdict"] == word, "region"])) for word in ("right", "unclear", "wrong")]
    limit = "" if model.model in SHARED else ", where maximum likelihood tends to no inefficiency at all,"
    heads = {
        "right": "Residuals lean as inefficiency implies in",
        "unclear": "No clear skewness, so that little in the residuals tells inefficiency from noise, in",
        "wrong": f"Skewed the wrong way{limit} are the residuals of",
    }
    return tuple(f"{heads[word]} {listed(names)}." for word, names in groups if names)


def criticism(noise: pd.DataFrame) -> tuple[str, ...]:
    """What in the model's noise the data contradict."""
    outside = noise[(noise["observed"] < noise["lower"]) | (noise["observed"] > noise["upper"])]
    words = [
        f"{row['statistic']} ({format_number(row['observed'])}, expected {format_number(row['lower'])} to {format_number(row['upper'])})"
        for row in outside.to_dict("records")
    ]
    first = (
        f"What is left after technology and inefficiency is not the noise that the model assumes: {listed(words)}."
        if words
        else "What is left after technology and inefficiency looks like the noise that the model assumes."
    )
    serial = outside["statistic"].str.startswith("autocorrelation").any()
    return (first, *(("Noise that lasts from one period to the next makes intervals here too narrow.",) if serial else ()))


def monotonicity_words(monotonicity: pd.DataFrame) -> tuple[str, ...]:
    """Regions in which an elasticity is often negative."""
    low = monotonicity[monotonicity["estimate"] < 0.95].sort_values("estimate")
    if low.empty:
        return ("Every elasticity is positive in nearly all rows and draws: the frontier rises with each input.",)
    places = [f"{row['region'] or 'all rows'} ({row['estimate']:.2f})" for row in low.to_dict("records")]
    return (
        f"The frontier does not rise with every input everywhere: the share of rows and draws in which all elasticities are positive is "
        f"below 0.95 in {listed(places)}. monotonicity='soft' would hold them positive.",
    )


# ── methods ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_DISTRIBUTIONS = {"truncated-normal": "truncated normal", "half-normal": "half-normal"}
_FORMS = {
    "pooled": "Inefficiency is drawn anew in every row; units have no effects of their own.",
    "time-invariant": "Every unit has one inefficiency for all periods.",
    "bc92": "Every unit has one inefficiency, which decays (or grows) exponentially towards the unit's last period (Battese and Coelli "
    "1992).",
    "kumbhakar-1990": "Every unit has one inefficiency, which follows a logistic path in time (Kumbhakar 1990).",
    "true-random-effects": "A normal unit effect stands beside inefficiency, which is drawn anew in every row (Greene 2005): lasting "
    "differences between units count as technology, not as inefficiency.",
    "four-component": "A normal unit effect and persistent inefficiency of the unit stand beside transient inefficiency of the row "
    "(Kumbhakar, Lien and Hardaker 2014).",
}
_PLACES = {"scaling": "scale inefficiency proportionally", "scale": "enter ln σ_u", "mean": "enter the mean before truncation"}
_POOLED = {"technology": "the coefficients of the technology", "efficiency": "ln σ_u", "noise": "ln σ_v"}


def methods(fit: Any, sources: list[str]) -> tuple[str, ...]:
    """The methods paragraph, written from the specification and the sampler's record."""
    checks = (
        "Skewness of residuals: Coelli (1995). Noise is judged by realised discrepancies (Gelman, Meng and Stern 1996). Intervals are "
        "equal-tailed at 95 % unless a table says otherwise."
    )
    return (_model_words(fit), _pooling_words(fit), _estimand_words(fit), f"{sampling_words(fit.meta)} {checks}", *baseline_words(sources))


def _model_words(fit: Any) -> str:
    model, panel = fit.model, fit.panel
    form = "translog" if model.technology == "translog" else "Cobb–Douglas"
    trend = {"none": "no trend", "neutral": "neutral technical change", "biased": "technical change that is biased towards inputs"}
    beside = f", and {listed(list(model.covariates))} as linear shift{'s' if len(model.covariates) > 1 else ''}" if model.covariates else ""
    noise = "Student-t" if model.noise == "student-t" else "normal"
    sign = "minus" if model.kind == "production" else "plus"
    columns = "inputs" if model.kind == "production" else "products and prices"
    moved = f" {listed(list(model.determinants))} {_PLACES[model.determinants_in]}." if model.determinants else ""
    heard = f" {listed(list(model.noise_determinants))} enter ln σ_v." if model.noise_determinants else ""
    return (
        f"The {model.kind} frontier of {panel.n_units} units over {panel.n_periods} periods ({panel.periods[0]}–{panel.periods[-1]}) "
        f"explains {model.output} by a {form} technology in the {columns} {listed(list(model.inputs))} with "
        f"{trend[model.technical_change]}{beside}, plus {noise} noise, {sign} {_DISTRIBUTIONS.get(model.inefficiency, model.inefficiency)} "
        f"inefficiency (Aigner, Lovell and Schmidt 1977; van den Broeck et al. 1994). {_FORMS[model.model]}{moved}{heard} Inefficiency is "
        "integrated out of the likelihood, and drawn afterwards from its exact conditional distribution given each posterior draw."
    )


def _pooling_words(fit: Any) -> str:
    model = fit.model
    if len(fit.data.regions) == 1:
        return f"The panel has one region. The prior median of efficiency is {model.median_efficiency:g}."
    if model.pooling == "none":
        words = "Every region is fitted on its own, with the same priors."
    elif model.pooling == "complete":
        words = "Technology, inefficiency and noise are common to all regions."
    else:
        parts = [_POOLED[part] for part in model.pooling]
        words = (
            f"Partially pooled over {len(fit.data.regions)} regions {'are' if len(parts) > 1 or parts[0].startswith('the') else 'is'} "
            f"{listed(parts)}: each region's value is drawn around a common mean, and how far they spread is learned from the data."
        )
    return f"{words} The scale of inefficiency has its prior set by a prior median efficiency of {model.median_efficiency:g}."


def _estimand_words(fit: Any) -> str:
    own = "; the unit is judged against the frontier of its own region" if has_regional_technology(fit) else ""
    efficiency = f"Efficiency is exp(−u), averaged over rows within each draw{own}."
    change = (
        " Productivity change is the product of technical, efficiency and scale change in every draw (Orea 2002), averaged geometrically; "
        "it leaves noise and covariates out."
    )
    shared = " In this panel form the path of efficiency is common to all units." if fit.model.model in SHARED[1:] else ""
    gap = (
        " The technology-gap ratio compares the region's frontier with the envelope of all regions' frontiers (O'Donnell, Rao and Battese "
        "2008)."
        if has_regional_technology(fit)
        else ""
    )
    return f"{efficiency}{change}{shared}{gap}"


def reference_keys(fit: Any) -> list[str]:
    """What the sentences above cite."""
    model = fit.model
    forms = {
        "bc92": "battese1992",
        "kumbhakar-1990": "kumbhakar1990",
        "true-random-effects": "greene2005",
        "four-component": "kumbhakar2014",
    }
    keys = ["aigner1977", "broeck1994", "orea2002", "coelli1995", "gelman1996"]
    keys += [forms[model.model]] if model.model in forms else []
    keys += ["battese1995"] if model.determinants and model.determinants_in == "mean" else []
    keys += ["odonnell2008"] if has_regional_technology(fit) else []
    return keys

"""Sentences of a difference-in-differences report: the headline, what the prior drives, and the methods paragraph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes.comparison import remark
from bayes.estimates import Estimates
from bayes.reporting.common_sections import baseline_words, interval_words, listed, probability, sampling_words, vague_words
from bayes.reporting.tables import format_number


def headline(fit: Any, overall: Estimates, outcome: str) -> tuple[str, ...]:
    """The overall effect in one plain sentence, in percent too when the outcome is a logarithm, and what it averages."""
    row = overall.frame.iloc[0]
    panel = fit.panel
    treated = int(np.isfinite(panel.unit_first_treated).sum())
    if pd.isna(row["estimate"]):
        return (
            "The overall effect is not identified in these data: no average over the treated rows can be told apart from unit and "
            "period effects.",
        )
    direction = "higher" if row["estimate"] > 0 else "lower"
    chance = (
        ""
        if pd.isna(row["prob_positive"])
        else f"; the probability that the average effect is positive is {probability(row['prob_positive'])}"
    )
    size = f"{format_number(abs(row['estimate']))} {direction}"
    first = (
        f"After treatment, {outcome} was on average {size} in the {treated} treated units than it would have been without "
        f"({interval_words(row)}{chance})."
    )
    remarks = remark(str(row["note"]))
    partly = (f"Note: {remarks}.",) if remarks else ()
    return (
        first,
        *_percent(fit, row),
        "The average runs over the treated rows: every treated unit and period counts by its weight.",
        *partly,
    )


def _percent(fit: Any, row: Any) -> tuple[str, ...]:
    if not fit.model.outcome.startswith(("log_", "ln_", "log ")):
        return ()
    change = [f"{100 * np.expm1(row[name]):+.1f} %".replace("-", "−") for name in ("estimate", "lower", "upper")]
    return (f"The outcome is a logarithm: this is {change[0]} (from {change[1]} to {change[2]}) on the original scale.",)


def beside_the_headline(fit: Any) -> str:
    """The two other estimands, when the fit has them."""
    mean, new = (fit.att("simple", estimand=name).frame.iloc[0] for name in ("att_population", "att_new_unit"))
    return (
        f"Two neighbours of this number: the mean over units of this kind is {format_number(mean['estimate'])} "
        f"({interval_words(mean)}); one new treated "
        f"unit could show anything around {format_number(new['estimate'])} ({interval_words(new)}). The first is the one to compare "
        f"with a standard error "
        "clustered by unit."
    )


# ── what the prior drives ───────────────────────────────────────────────────────────────────────────────────────────


def prior_driven(fit: Any, tables: dict[str, Estimates], overlaps: dict[str, float]) -> tuple[str, ...]:
    """In plain words: which rows no data stand behind, which are not identified, and which parameters the data say little about."""
    sentences = [*_regions_without_treatment(fit), *_unidentified(fit, tables)]
    sentences += vague_words(overlaps)
    if not sentences:
        return ("Every region has treated units, every effect shown is identified, and no parameter's posterior repeats its prior.",)
    return tuple(sentences)


def _treated_units(fit: Any) -> dict[str, int]:
    """Region → number of units treated within the panel."""
    panel = fit.panel
    treated = np.isfinite(panel.unit_first_treated) & (panel.unit_first_treated <= panel.periods[-1])
    counts = np.bincount(panel.unit_regions, weights=treated, minlength=panel.regions.size)
    return {str(region): int(count) for region, count in zip(panel.regions, counts, strict=True)}


def _regions_without_treatment(fit: Any) -> list[str]:
    counts = _treated_units(fit)
    out = [
        f"{region} has no treated unit. An effect shown for it is the model's expectation from the other regions and the prior; "
        f"no data on {region} enter it."
        for region, count in counts.items()
        if count == 0
    ]
    few = [f"{region} ({count})" for region, count in counts.items() if 0 < count <= 2]
    if few:
        out.append(f"Very few treated units stand behind {listed(few)}; there the estimate leans on the other regions.")
    return out


def _unidentified(fit: Any, tables: dict[str, Estimates]) -> list[str]:
    """Rows without a comparison in the data, and averages that leave such cells out; regions without treated units are said already."""
    empty = [region for region, count in _treated_units(fit).items() if count == 0]
    out = []
    for name, table in tables.items():
        rows = table.frame[~table.frame["identified"].astype(bool) & ~table.frame["region"].isin(empty)]
        partly = rows["note"].str.contains("identified cells only")
        if (~partly).any():
            out.append(f"Not identified {name}: {_places(rows[~partly])}. There the data hold no comparison.")
        if partly.any():
            out.append(
                f"Partly identified {name}: {_places(rows[partly])}. These averages leave out cells for which the data hold no comparison."
            )
    return out


def _places(rows: pd.DataFrame, most: int = 8) -> str:
    places = [_place(row) for row in rows.to_dict("records")]
    return listed(places) if len(places) <= most else f"{', '.join(places[:most])} and {len(places) - most} others"


def _place(row: dict[str, Any]) -> str:
    parts = [
        row["region"],
        *(
            f"{word} {row[key]:g}"
            for key, word in (("cohort", "cohort"), ("period", "period"), ("event_time", "event time"))
            if pd.notna(row[key])
        ),
    ]
    return " ".join(part for part in parts if part) or "overall"


# ── methods ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_ACCURACY = (
    "Predictive accuracy: leave-one-unit-out cross-validation by Pareto-smoothed importance sampling (Vehtari, Gelman and Gabry "
    "2017). Intervals are equal-tailed at 95 % "
    "unless a table says otherwise."
)
_POOLED = {
    "region": "regions",
    "cohort": "cohorts",
    "event": "event times",
    "region:event": "region-specific event paths",
    "cell": "single cells",
}


def methods(fit: Any, sources: list[str]) -> tuple[str, ...]:
    """The methods paragraph, written from the specification and the sampler's record."""
    return (_model_words(fit), _estimand_words(fit), f"{sampling_words(fit.meta)} {_ACCURACY}", *baseline_words(sources))


def _model_words(fit: Any) -> str:
    model, panel = fit.model, fit.panel
    periods = "a period effect for every region" if model.period_effects == "region" else "period effects common to all regions"
    controls = f", linear terms in {listed([str(c) for c in model.covariates])}" if model.covariates else ""
    errors = (
        "a stationary first-order autoregression in calendar time" if model.errors == "ar1" else "independent and identically distributed"
    )
    units = " Treatment effects vary over units by a random deviation, integrated out." if model.unit_effects == "random-treatment" else ""
    trends = " Every unit has a random linear trend." if model.unit_trends else ""
    ahead = f" Effects are allowed from {model.anticipation} periods before treatment on." if model.anticipation else ""
    leads = (
        " Event times of −2 and earlier have their own effects, with −1 as the reference, so that diverging trends before treatment "
        "can be seen."
        if model.leads
        else ""
    )
    return (
        f"The outcome {model.outcome} of {panel.n_units} units over {panel.n_periods} periods "
        f"({panel.periods[0]}–{panel.periods[-1]}) is modelled with unit effects, "
        f"{periods}{controls} and one effect for every cell of region, cohort and event time. Errors are "
        f"{errors}.{units}{trends}{ahead}{leads} "
        f"{_pooling_words(model.pooling)} Unit effects, period effects, cell effects and covariates are integrated out exactly; the "
        f"sampler moves over scales and the "
        "error process only, and the effects are then drawn from their exact conditional distribution."
    )


def _pooling_words(pooling: Any) -> str:
    if pooling == "none":
        return "Cells are not pooled: each has a flat prior."
    if pooling == "complete":
        return "Cells are pooled completely: one effect for all."
    names = [_POOLED.get(part, str(part)) for part in pooling]
    return f"Cell effects are partially pooled over {listed(names)}; how far is learned from the data through one scale for each."


def _estimand_words(fit: Any) -> str:
    return (
        "The average effect on the treated (ATT) is the mean of the cell effects over treated rows. The sample ATT is that of the "
        "treated units in these data, "
        "including their own deviations; the population mean leaves those deviations out; the effect on a new unit adds a fresh one. "
        "Identification rests on parallel "
        "trends of untreated outcomes, no anticipation beyond what is stated, and no effect of one unit's treatment on another. A "
        "cell is called identified when its "
        "effect is separable from unit and period effects in the flat design."
    )

"""The sections of a cross-lagged report, in the order in which a reader should meet them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayes.comparison import Comparison
from bayes.dynamics.effects import ASSUMPTION
from bayes.estimates import Estimates
from bayes.reporting import common_sections as common
from bayes.reporting.references import keys_of_sampler, keys_of_sources, listed
from bayes.reporting.sections import Figure, Section
from bayes.reporting.tables import Table, format_number

_SHOWN = ("lag_mean", "own_lag_sd", "cross_lag_sd", "innovation_sd", "unit_effect_sd", "innovation_correlation", "unit_effect_correlation")
"""Parameters whose prior, posterior and chains are drawn, in this order."""
_HEADINGS = {
    "own_lag": "Own lags (persistence)",
    "cross_lag": "Cross lags, in units of the data",
    "cross_lag_standardised": "Cross lags, in standard deviations within units and periods",
    "dominance": "Which direction dominates",
    "long_run": "Long-run effects",
    "largest_root": "Largest root of A",
}


def default_title(fit: Any, outcome: str | None = None) -> str:
    """Heading of a report without ``title=``."""
    return f"{fit.panel.name}: {outcome or f'{fit.model.first} and {fit.model.second}'}, cross-lagged"


def build_sections(
    fit: Any,
    comparison: Comparison | None = None,
    descriptive: Sequence[str] | pd.DataFrame | None = None,
    outcome: str | None = None,
    time_unit: str = "periods",
) -> tuple[Section, ...]:
    """All sections for a fit of ``CrossLagged``. Each estimate is computed once and shared."""
    common.require_comparison(comparison)
    model, simple, by_region = fit.model, fit.effects("simple"), fit.effects("region")
    prior, posterior = (_named(fit, group) for group in ("prior", "posterior"))
    flat = [{label: draws.ravel() for label, draws in found.items()} for found in (prior, posterior)]
    overlaps = common.overlaps(*flat)
    others = [] if comparison is None else [s for s in dict.fromkeys(comparison.frame["source"]) if s not in set(simple.frame["source"])]
    return (
        common.diagnostics(fit),
        Section("Headline", "headline", _headline(fit, simple)),
        Section("Specification", "specification", (_model_words(fit),)),
        _effects(simple, by_region),
        _figure(fit, simple, by_region),
        *_comparison(comparison),
        Section("What a causal reading assumes", "assumption", (ASSUMPTION,)),
        common.priors(fit),
        common.prior_posterior(*flat, overlaps),
        Section("What the prior drives", "prior-driven", common.vague_words(overlaps) or ("No parameter's posterior repeats its prior.",)),
        common.chains(posterior, list(posterior)[: common.MOST_SCALARS], common.summary_table(fit)),
        common.description(fit, descriptive, [model.first, model.second, *model.covariates]),
        common.data(fit, _facts(fit), [common.balance_words(fit.panel)]),
        common.software(fit),
        Section("Methods", "methods", (_METHOD, common.sampling_words(fit.meta), *common.baseline_words(others))),
        Section("References", "references", listed(_reference_keys(fit, others)), references=True),
    )


def _named(fit: Any, group: str) -> dict[str, np.ndarray]:
    """Draws (chains, draws) of the parameters shown, by readable name."""
    found, out = fit.tree[group].dataset, {}
    for name in (n for n in _SHOWN if n in found):
        array = found[name].transpose(..., "chain", "draw")
        words = name.replace("_", " ").replace("lag mean", "mean lag")
        labels = [list(map(str, array[d].to_numpy())) for d in array.dims[:-2]]
        flat = array.to_numpy().reshape(-1, *array.shape[-2:])
        if name == "lag_mean":
            places = [f" [{by} → {moved}]" for moved in labels[0] for by in labels[1]]
        else:
            places = [f" [{label}]" for label in labels[0]] if labels else [""]
        out |= {words + place: values for place, values in zip(places, flat, strict=True)}
    return out


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _headline(fit: Any, simple: Estimates) -> tuple[str, ...]:
    """Both cross lags, and which dominates."""
    out, first, second = [], fit.model.first, fit.model.second
    for by, moved in ((first, second), (second, first)):
        row = simple.where(estimand="cross_lag", term=f"{by} → {moved}").frame.iloc[0]
        if pd.isna(row["estimate"]):
            out.append(f"The cross lag {by} → {moved} is not identified in these data.")
            continue
        out.append(
            f"One unit more of {by} goes with {format_number(row['estimate'], signed=True)} of {moved} a period later "
            f"({common.interval_words(row)}; probability of being positive {common.probability(row['prob_positive'])})."
        )
    row = simple.where(estimand="dominance", term=f"{first} → {second}").frame.iloc[0]
    if pd.notna(row["prob_positive"]):
        out.append(
            f"In standard deviations, {first} → {second} is the stronger direction with probability "
            f"{common.probability(row['prob_positive'])}, {second} → {first} with {common.probability(1 - row['prob_positive'])}."
        )
    out.append("These are statements on prediction; what a causal reading needs stands below.")
    return (" ".join(out), *([f"{fit.gaps[0].upper()}{fit.gaps[1:]}."] if fit.gaps else []))


def _effects(simple: Estimates, by_region: Estimates) -> Section:
    """A table for every estimand, regions first and the mean over them last."""
    tables, both = [], by_region + simple
    for estimand, heading in _HEADINGS.items():
        part = both.where(estimand=estimand)
        order = np.argsort(pd.factorize(part.frame["term"])[0], kind="stable")
        frame = part.frame.iloc[order].assign(region=lambda f: f["region"].replace("", "All (rows used)")).reset_index(drop=True)
        rows = common.estimate_rows(Estimates(frame), "region", "Region", "Estimate", "P(< 1)" if estimand == "largest_root" else "P(> 0)")
        if estimand == "largest_root":
            rows["P(< 1)"] = frame["note"].str.extract(r"P\(< 1\) = ([\d.]+)")[0].fillna("").to_numpy()
        else:
            rows.insert(0, "Term", frame["term"].to_numpy())
        rows = rows.drop(columns="Rows", errors="ignore")
        tables.append(Table(heading, rows, folded=estimand in ("cross_lag_standardised", "largest_root"), grouped=True))
    return Section("Effects", "effects", tables=tuple(tables))


def _figure(fit: Any, simple: Estimates, by_region: Estimates) -> Section:
    """Both cross lags by region, in standard deviations so that they share an axis."""
    terms = [f"{fit.model.first} → {fit.model.second}", f"{fit.model.second} → {fit.model.first}"]
    shown = [_labelled(simple + by_region, term) for term in terms]
    means = [part.frame[part.frame["region"] == ""].iloc[0] for part in shown]
    alt = "Standardised cross lags over all regions: " + "; ".join(
        f"{term} {format_number(row['estimate'])} ({common.interval_words(row)})" if pd.notna(row["estimate"]) else f"{term} not identified"
        for term, row in zip(terms, means, strict=True)
    )
    caption = "Cross lags in standard deviations within units and periods, by region; the mean over regions comes last."
    return Section("Cross lags by region", "cross-lags", figures=(Figure(partial(_draw, shown), f"{alt}.", caption),))


def _labelled(table: Estimates, term: str) -> Estimates:
    part = table.where(estimand="cross_lag_standardised", term=term)
    return replace(part, frame=part.frame.assign(source=term, estimand="cross_lag"))


def _draw(shown: Sequence[Estimates], width: float) -> Any:
    from bayes.plots import forest

    return forest(*shown, outcome="standard deviations", width=width)


def _comparison(comparison: Comparison | None) -> tuple[Section, ...]:
    if comparison is None:
        return ()
    tables = tuple(
        comparison.where(estimand=e).as_table("source", title=f"{e.replace('_', ' ').capitalize()} by source")
        for e in dict.fromkeys(comparison.frame["estimand"])
    )
    return (Section("Comparison with other estimates", "comparison", tables=tables),)


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _model_words(fit: Any) -> str:
    model, panel = fit.model, fit.panel
    pooled = {
        "partial": "lags are partially pooled over regions",
        "complete": "one set of lags serves all regions",
        "none": "every region has lags of its own",
    }["complete" if panel.regions.size == 1 else model.pooling]
    periods = "period effects of each region" if model.period_effects == "region" else "common period effects"
    controls = f", linear terms in {common.listed([str(c) for c in model.covariates])} and their unit means" if model.covariates else ""
    return (
        f"z_it = λ_t + A_r z_i,t−1 + x_it'β + α_i + e_it with z = ({model.first}, {model.second}), {panel.n_units} units over "
        f"{panel.n_periods} periods, {panel.regions.size} regions: {periods}{controls}; {pooled}. Unit effects go with the starting point, "
        "α_i = μ_r + Π_r z_i0 + x̄_i'γ + a_i; a_i and e_it are normal with free correlations between the two series."
    )


_METHOD = (
    "Unit dummies beside a lagged outcome bias own lags downwards when periods are few (Nickell 1981). The likelihood is therefore that of "
    "the periods after a unit's first observation, given it, with unit effects whose mean is linear in it (Wooldridge 2005; Hsiao, Pesaran "
    "and Tahmiscioglu 2002; Allison, Williams and Moral-Benito 2017); coefficients that are constant within units have flat priors in "
    "coordinates orthogonal to the lags (Lancaster 2002). Unit effects, period effects, covariates and lags are integrated out exactly; "
    "the sampler moves over standard deviations and correlations, and lags are drawn from their exact conditional distribution. "
    "The long-run effect is a₂₁/(1 − a₂₂) over stationary draws; a direction dominates where its standardised cross lag is larger in "
    "absolute value."
)


def _facts(fit: Any) -> list[tuple[str, Any]]:
    meta: Mapping[str, Any] = fit.meta
    names = {
        "rows_used": "Rows with a previous period (used as responses)", "rows_starting": "First rows of units (conditioned on)",
        "rows_after_gap": "Rows behind a gap (not used as responses)", "units_without_pair": "Units without two consecutive periods",
    }  # fmt: skip
    return [(words, meta[key]) for key, words in names.items() if key in meta]


def _reference_keys(fit: Any, others: Sequence[str]) -> list[str]:
    keys = ["nickell1981", "wooldridge2005", "hsiao2002", "allison2017", "lancaster2002", "sailynoja2022", *keys_of_sources(others)]
    return [*keys, *keys_of_sampler(fit.meta.get("sampler", ""), fit.meta.get("versions", {}))]

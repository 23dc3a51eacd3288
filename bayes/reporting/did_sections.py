"""The sections of a difference-in-differences report, in the order in which a reader should meet them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayes.comparison import Comparison, compare
from bayes.errors import UnsupportedModelError
from bayes.estimates import Estimates
from bayes.reporting import common_sections as common
from bayes.reporting import did_heterogeneity as differences
from bayes.reporting import did_words as words
from bayes.reporting.references import keys_of_sampler, keys_of_sources, listed
from bayes.reporting.sections import Figure, Section
from bayes.reporting.tables import Table, format_number

_PREDICTION = "new_unit_effect"
"""A prediction, not a parameter: its prior and posterior are not set side by side."""


def default_title(fit: Any, outcome: str | None = None) -> str:
    """Heading of a report without ``title=``."""
    return f"{fit.panel.name}: effect on {outcome or fit.model.outcome}"


def build_sections(
    fit: Any,
    comparison: Comparison | None = None,
    descriptive: Sequence[str] | pd.DataFrame | None = None,
    outcome: str | None = None,
    time_unit: str = "periods",
) -> tuple[Section, ...]:
    """All sections for a fit of ``StaggeredDiD``. Each estimate is computed once and shared."""
    common.require_comparison(comparison)
    name = outcome or fit.model.outcome
    overall, event, region = fit.att("simple"), fit.att("event"), fit.att("region", extrapolate=True)
    beside = comparison or compare(overall, fit.att("simple", estimand="att_population"))
    prior, posterior = (common.scalars(fit, group, without=[_PREDICTION]) for group in ("prior", "posterior"))
    overlaps = common.overlaps(prior, posterior)
    others = [source for source in dict.fromkeys(beside.frame["source"]) if source not in set(overall.frame["source"])]
    return (
        common.diagnostics(fit),
        Section("Headline", "headline", (*words.headline(fit, overall, name), words.beside_the_headline(fit)), tone=""),
        _comparison(beside),
        _event_study(event, beside, name, time_unit),
        _regions(fit, region, name),
        differences.heterogeneity(fit, event, name, time_unit),
        Section("What the prior drives", "prior-driven", words.prior_driven(fit, {"by event time": event, "by region": region}, overlaps)),
        common.prior_posterior(prior, posterior, overlaps),
        differences.prior_sensitivity(fit),
        _predictive(fit, name),
        common.chains(fit, list(posterior)[: common.MOST_SCALARS], common.summary_table(fit)),
        common.priors(fit),
        _criticism(fit),
        common.description(fit, descriptive, [fit.model.outcome, *fit.model.covariates]),
        _timing(fit),
        common.data(fit, [("Units treated", int(np.isfinite(fit.panel.unit_first_treated).sum()))]),
        common.software(fit),
        Section("Methods", "methods", words.methods(fit, others)),
        Section("References", "references", listed(_reference_keys(fit, others)), references=True),
    )


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _comparison(beside: Comparison) -> Section:
    terms = set(beside.frame["term"])
    tables = []
    if "simple" in terms:
        tables.append(beside.where(term="simple").as_table(title="Overall effect by source"))
    if "region" in terms and len(set(beside.where(term="region").frame["source"])) > 1:
        tables.append(beside.where(term="region").as_table(title="Effect by region and source"))
    for term in (t for t in dict.fromkeys(beside.frame["term"]) if t not in ("simple", "region")):
        part = beside.where(term=term)
        tables.append(common.folded(part.as_table(title=f"All rows {term.replace('_', ' ')} ({len(part)})")))
    return Section("Comparison with other estimates", "comparison", tables=tuple(tables))


def _event_study(event: Estimates, beside: Comparison, outcome: str, time_unit: str) -> Section:
    own = set(event.frame["source"])
    others = beside.frame[(beside.frame["term"] == "event") & (beside.frame["region"] == "") & ~beside.frame["source"].isin(own)]
    shown = [event] + ([Estimates(others.reset_index(drop=True))] if len(others) else [])
    after = event.frame[event.frame["event_time"] >= 0]
    alt = (
        f"Event study: effects from {format_number(after['estimate'].min())} to {format_number(after['estimate'].max())} over event times "
        f"{after['event_time'].min():.0f} to {after['event_time'].max():.0f}, with leads before treatment and "
        f"{len(set(others['source']))} other estimators."
    )
    caption = (
        "Band: posterior interval. Before treatment, effects should lie around zero if trends are parallel; period −1 is the reference."
    )
    table = Table("Effect by event time", common.estimate_rows(event, "event_time", "Event time"), folded=True)
    return Section(
        "Event study",
        "event-study",
        tables=(table,),
        figures=(Figure(partial(_draw_event_study, shown, outcome, time_unit), alt, caption),),
    )


def _draw_event_study(shown: list[Estimates], outcome: str, time_unit: str, width: float) -> Any:
    from bayes.plots import event_study

    return event_study(*shown, outcome=outcome, time_unit=time_unit, width=width)


def _regions(fit: Any, region: Estimates, outcome: str) -> Section:
    table = Table(
        "Effect by region",
        common.estimate_rows(region, "region", "Region"),
        note="Effects are partially pooled: regions with few treated rows lean on the others.",
    )
    alt = "Effects by region: " + "; ".join(
        f"{row['region']} {format_number(row['estimate'])}"
        for row in region.frame.to_dict("records")
        if row["region"] and pd.notna(row["estimate"])
    )
    return Section(
        "Effects by region",
        "regions",
        tables=(table,),
        figures=(_region_figure(fit, region, outcome, alt + "."),),
    )


def _region_figure(fit: Any, region: Estimates, outcome: str, alt: str) -> Figure:
    """Arrows from unpooled to pooled; the pooled alone where the model cannot be refitted without pooling (Student-t errors)."""
    from bayes.plots import forest

    dashed = "A dashed interval is driven by the prior."
    try:
        unpooled = fit.unpooled("region")
    except UnsupportedModelError:
        return Figure(lambda width: forest(region, outcome=outcome, width=width), alt, dashed)
    caption = f"Arrows run from the estimate of each region on its own to the partially pooled one. {dashed}"
    return Figure(partial(_draw_shrinkage, region, unpooled, outcome), alt, caption)


def _draw_shrinkage(pooled: Estimates, unpooled: Estimates, outcome: str, width: float) -> Any:
    from bayes.plots import shrinkage

    return shrinkage(pooled, unpooled, outcome=outcome, width=width)


# ── the model checked ───────────────────────────────────────────────────────────────────────────────────────────────


def _predictive(fit: Any, outcome: str) -> Section:
    from bayes.plots import predictive_check

    try:
        check = fit.predictive_check()
    except UnsupportedModelError as error:
        return Section("Posterior predictive check", "predictive", (str(error),))
    table = check.table()
    outside = table[(table["observed"] < table["lower"]) | (table["observed"] > table["upper"])]["statistic"].tolist()
    verdict = (
        "All test statistics of the data lie within what the model replicates."
        if not outside
        else f"The model does not replicate: {', '.join(map(str, outside))}."
    )
    headings = {
        "statistic": "Statistic",
        "observed": "Observed",
        "mean": "Replicated mean",
        "lower": "Lower",
        "upper": "Upper",
        "p_value": "Predictive p",
    }
    shown = Table(
        "Observed and replicated statistics",
        table.rename(columns=headings),
        note="Lower, upper: equal-tailed interval of the replicated data sets, 95 %.",
    )
    figure = Figure(
        lambda width: predictive_check(check, outcome=outcome, width=width), f"Observed outcome against replicated data sets. {verdict}"
    )
    return Section("Posterior predictive check", "predictive", (verdict,), (shown,), (figure,))


def _criticism(fit: Any) -> Section:
    try:
        loo, told = common.told(fit.loo)
    except UnsupportedModelError as error:
        return Section("Model criticism", "criticism", (str(error),))
    shape = np.asarray(loo.pareto_k)
    high = int((shape > 0.7).sum())
    trust = f"For {high} of {shape.size} units the Pareto shape exceeds 0.7: there the approximation is not reliable."
    trust = trust if high else "The approximation is reliable for every unit."
    text = (
        f"Expected log predictive density, leaving out one unit at a time: {format_number(float(loo.elpd))} (standard error "
        f"{format_number(float(loo.se))}), "
        f"effective number of parameters {format_number(float(loo.p))}. {trust} Compare it only with models of the same outcome and "
        f"the same unit effects."
    )
    return Section("Model criticism", "criticism", (text, *told))


# ── the data ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _timing(fit: Any) -> Section:
    from bayes.plots import treatment_timing

    panel = fit.panel
    timing = panel.timing().reset_index()
    timing["first_treated"] = ["never" if np.isinf(value) else f"{value:g}" for value in timing["first_treated"]]
    table = Table("Units by first treated period and region", timing.rename(columns={"first_treated": "First treated", "total": "Total"}))
    alt = f"Treatment timing of {panel.n_units} units in {panel.regions.size} regions, {panel.periods[0]} to {panel.periods[-1]}."
    figure = Figure(lambda width: treatment_timing(panel, width=width), alt, "Units by region, ordered by first treated period.")
    return Section("Treatment timing and balance", "timing", (common.balance_words(panel),), (table,), (figure,))


def _reference_keys(fit: Any, sources: list[str]) -> list[str]:
    return [
        *keys_of_sources(sources),
        *keys_of_sampler(str(fit.meta.get("sampler", "")), fit.meta.get("versions", {})),
        "vehtari2017",
        "sailynoja2022",
        "kallioinen2024",
    ]

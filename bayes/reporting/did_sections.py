"""The sections of a difference-in-differences report, in the order in which a reader should meet them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayes.comparison import Comparison, compare, remark
from bayes.errors import BayesWarning, SpecificationError
from bayes.estimates import Estimates
from bayes.reporting import did_words as words
from bayes.reporting.references import keys_of_sampler, keys_of_sources, listed
from bayes.reporting.sections import Figure, Section
from bayes.reporting.tables import Table, estimate_words, format_number

_MOST_SCALARS = 12
_PREDICTION = "new_unit_effect"
"""A prediction, not a parameter: its prior and posterior are not set side by side."""
_SAMPLING_FACTS = {
    "sampler": "Sampler",
    "seed": "Seed",
    "chains": "Chains",
    "draws": "Draws per chain",
    "tune": "Tuning draws per chain",
    "target_accept": "Target acceptance",
    "compile_seconds": "Compiling, seconds",
    "sampling_seconds": "Sampling, seconds",
    "created": "Created",
}


def build_sections(
    fit: Any,
    comparison: Comparison | None = None,
    descriptive: Sequence[str] | pd.DataFrame | None = None,
    outcome: str | None = None,
    time_unit: str = "periods",
) -> tuple[Section, ...]:
    """All sections for a fit of ``StaggeredDiD``. Each estimate is computed once and shared."""
    if comparison is not None and not isinstance(comparison, Comparison):
        raise SpecificationError(f"comparison= takes the result of bayes.compare(...), got {type(comparison).__name__}.")
    name = outcome or fit.model.outcome
    overall, event, region = fit.att("simple"), fit.att("event"), fit.att("region", extrapolate=True)
    beside = comparison or compare(overall, fit.att("simple", estimand="att_population"))
    overlaps = _overlaps(fit)
    others = [source for source in dict.fromkeys(beside.frame["source"]) if source not in set(overall.frame["source"])]
    return (
        _diagnostics(fit),
        Section("Headline", "headline", (*words.headline(fit, overall, name), words.beside_the_headline(fit)), tone=""),
        _comparison(beside),
        _event_study(event, beside, name, time_unit),
        _regions(fit, region, name),
        Section("What the prior drives", "prior-driven", words.prior_driven(fit, {"by event time": event, "by region": region}, overlaps)),
        _prior_posterior(fit, overlaps),
        _predictive(fit, name),
        _ranks(fit),
        Section("Priors in use", "priors", tables=(_priors(fit),)),
        _criticism(fit),
        _description(fit, descriptive),
        _timing(fit),
        _data(fit),
        _software(fit),
        Section("Methods", "methods", words.methods(fit, others)),
        Section("References", "references", listed(_reference_keys(fit, others)), references=True),
    )


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _diagnostics(fit: Any) -> Section:
    d = fit.diagnose()
    numbers = (
        f"Largest R-hat {d.rhat_max:.3f} (limit 1.01); smallest effective sample size {d.ess_bulk_min:.0f} in the bulk and "
        f"{d.ess_tail_min:.0f} in the tails (limit 400); "
        f"{d.divergences} divergent transitions; smallest energy fraction (E-BFMI) {d.bfmi_min:.2f} (limit 0.30)."
    )
    advice = (
        ()
        if d.passed
        else ("Do not use the numbers below until the sampler passes: raise target_accept, draw longer, or simplify the pooling.",)
    )
    failures = (
        () if d.passed or all(str(failure) in str(d.verdict) for failure in d.failures) else tuple(str(failure) for failure in d.failures)
    )
    title = "Diagnostics passed" if d.passed else "Diagnostics FAILED"
    return Section(title, "diagnostics", (str(d.verdict), *failures, *advice), note=numbers, tone="good" if d.passed else "bad")


def _comparison(beside: Comparison) -> Section:
    terms = set(beside.frame["term"])
    tables = []
    if "simple" in terms:
        tables.append(beside.where(term="simple").as_table(title="Overall effect by source"))
    if "region" in terms and len(set(beside.where(term="region").frame["source"])) > 1:
        tables.append(beside.where(term="region").as_table(title="Effect by region and source"))
    for term in (t for t in dict.fromkeys(beside.frame["term"]) if t not in ("simple", "region")):
        part = beside.where(term=term)
        tables.append(_folded(part.as_table(title=f"All rows {term.replace('_', ' ')} ({len(part)})")))
    return Section("Comparison with other estimates", "comparison", tables=tuple(tables))


def _folded(table: Table) -> Table:
    return replace(table, folded=True)


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
    table = Table("Effect by event time", _effect_rows(event, "event_time", "Event time"), folded=True)
    return Section(
        "Event study",
        "event-study",
        tables=(table,),
        figures=(Figure(partial(_draw_event_study, shown, outcome, time_unit), alt, caption),),
    )


def _draw_event_study(shown: list[Estimates], outcome: str, time_unit: str, width: float) -> Any:
    from bayes.plots import event_study

    return event_study(*shown, outcome=outcome, time_unit=time_unit, width=width)


def _effect_rows(estimates: Estimates, key: str, heading: str) -> pd.DataFrame:
    """One row per group: effect with interval, probability of a positive effect, number of treated rows, note."""
    f = estimates.frame
    cells = [
        estimate_words(b, low, high) if pd.notna(b) else "not identified"
        for b, low, high in f[["estimate", "lower", "upper"]].itertuples(index=False)
    ]
    group = [f"{value:g}".replace("-", "−") if isinstance(value, float) else value for value in f[key]]
    table = pd.DataFrame(
        {
            heading: group,
            f"Effect [{_level(f)} interval]": cells,
            "P(effect > 0)": ["" if pd.isna(p) else f"{p:.2f}" for p in f["prob_positive"]],
        }
    )
    if f["n_obs"].notna().any():
        table["Rows"] = ["" if pd.isna(n) else f"{n:.0f}" for n in f["n_obs"]]
    remarks = f["note"].map(remark)
    return table.assign(Note=remarks.to_numpy()) if (remarks != "").any() else table


def _level(frame: pd.DataFrame) -> str:
    levels = frame["level"].dropna().unique()
    return f"{100 * levels[0]:g} %" if len(levels) else "no"


def _regions(fit: Any, region: Estimates, outcome: str) -> Section:
    unpooled = fit.unpooled("region")
    table = Table(
        "Effect by region",
        _effect_rows(region, "region", "Region"),
        note="Effects are partially pooled: regions with few treated rows lean on the others.",
    )
    alt = "Effects by region: " + "; ".join(
        f"{row['region']} {format_number(row['estimate'])}"
        for row in region.frame.to_dict("records")
        if row["region"] and pd.notna(row["estimate"])
    )
    caption = (
        "Arrows run from the estimate of each region on its own to the partially pooled one. A dashed interval is driven by the prior."
    )
    return Section(
        "Effects by region",
        "regions",
        tables=(table,),
        figures=(Figure(partial(_draw_shrinkage, region, unpooled, outcome), alt + ".", caption),),
    )


def _draw_shrinkage(pooled: Estimates, unpooled: Estimates, outcome: str, width: float) -> Any:
    from bayes.plots import shrinkage

    return shrinkage(pooled, unpooled, outcome=outcome, width=width)


# ── the model checked ───────────────────────────────────────────────────────────────────────────────────────────────


def _scalars(fit: Any) -> list[str]:
    from bayes.plots._distributions import scalar_draws

    prior = scalar_draws(fit, "prior")
    return [name for name in scalar_draws(fit, "posterior") if name in prior and name != _PREDICTION][:_MOST_SCALARS]


def _overlaps(fit: Any) -> dict[str, float]:
    from bayes.plots._distributions import overlap, scalar_draws

    prior, posterior = scalar_draws(fit, "prior"), scalar_draws(fit, "posterior")
    return {name: overlap(prior[name], posterior[name]) for name in _scalars(fit)}


def _prior_posterior(fit: Any, overlaps: dict[str, float]) -> Section:
    from bayes.plots import prior_posterior

    if not overlaps:
        return Section("Prior and posterior", "prior-posterior", ("The fit carries no prior draws to compare with.",))
    alt = (
        "Prior and posterior densities; overlaps: "
        + ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in overlaps.items())
        + "."
    )
    caption = "Overlap is the area under the lower of the two curves: near 0 the data decide, near 1 the prior does."
    return Section(
        "Prior and posterior",
        "prior-posterior",
        figures=(Figure(lambda width: prior_posterior(fit, list(overlaps), width=width), alt, caption),),
    )


def _predictive(fit: Any, outcome: str) -> Section:
    from bayes.plots import predictive_check

    check = fit.predictive_check()
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


def _ranks(fit: Any) -> Section:
    from bayes.plots import rank_plot
    from bayes.plots._distributions import scalar_draws

    names = [name for name in scalar_draws(fit, "posterior") if name != _PREDICTION][:_MOST_SCALARS]
    caption = "Each line is a chain. A chain that samples the same distribution as the others stays within the grey band."
    alt = f"Rank plots of {len(names)} parameters, one line per chain, with a 95 % simultaneous band."
    return Section(
        "Chains", "chains", tables=(_summary(fit),), figures=(Figure(lambda width: rank_plot(fit, names, width=width), alt, caption),)
    )


def _summary(fit: Any) -> Table:
    summary = fit.summary()
    frame = summary.reset_index(names="parameter").assign(parameter=lambda t: t["parameter"].str.replace("_", " "))
    return Table("Posterior summary", frame, note="eti95: 95 % equal-tailed interval.", folded=True)


def _priors(fit: Any) -> Table:
    frame = fit.priors()
    headings = {"parameter": "Parameter", "distribution": "Prior", "meaning": "Meaning", "set_by": "Set by"}
    return Table("", frame.assign(parameter=frame["parameter"].str.replace("_", " ")).rename(columns=headings))


def _criticism(fit: Any) -> Section:
    loo, told = _told(fit.loo)
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


def _told(call: Callable[[], Any]) -> tuple[Any, tuple[str, ...]]:
    """The result of a call and what it warned of: in a report the words belong on the page. Warnings that are not ours go on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    for one in (w for w in caught if not issubclass(w.category, BayesWarning)):
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return result, tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, BayesWarning)))


# ── the data ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _description(fit: Any, columns: Sequence[str] | pd.DataFrame | None) -> Section:
    chosen = [fit.model.outcome, *fit.model.covariates] if columns is None else columns
    described = chosen if isinstance(chosen, pd.DataFrame) else fit.panel.describe(list(chosen))
    headings = {
        "column": "Column",
        "mean": "Mean",
        "sd": "SD",
        "sd_between": "SD between units",
        "sd_within": "SD within units",
        "min": "Min",
        "max": "Max",
        "rows": "Rows",
    }
    return Section("Descriptive statistics", "descriptive", tables=(Table("", described.rename(columns=headings)),))


def _timing(fit: Any) -> Section:
    from bayes.plots import treatment_timing

    panel = fit.panel
    timing = panel.timing().reset_index()
    timing["first_treated"] = ["never" if np.isinf(value) else f"{value:g}" for value in timing["first_treated"]]
    table = Table("Units by first treated period and region", timing.rename(columns={"first_treated": "First treated", "total": "Total"}))
    balance = panel.balance()
    gaps = int((balance["missing_periods"] > 0).sum())
    words_ = (
        "The panel is balanced."
        if panel.is_balanced
        else f"The panel is unbalanced: {gaps} of {panel.n_units} units miss periods ({int(balance['missing_periods'].sum())} in all)."
    )
    alt = f"Treatment timing of {panel.n_units} units in {panel.regions.size} regions, {panel.periods[0]} to {panel.periods[-1]}."
    figure = Figure(lambda width: treatment_timing(panel, width=width), alt, "Units by region, ordered by first treated period.")
    return Section("Treatment timing and balance", "timing", (words_,), (table,), (figure,))


def _data(fit: Any) -> Section:
    panel = fit.panel
    aside = len(panel.set_aside)
    rows = [
        ("Data", panel.name),
        ("Rows in", panel.n_rows + aside),
        ("Rows used", panel.n_rows),
        ("Rows set aside", aside),
        ("Units", panel.n_units),
        ("Units treated", int(np.isfinite(panel.unit_first_treated).sum())),
        ("Periods", f"{panel.periods[0]}–{panel.periods[-1]} ({panel.n_periods})"),
        ("Regions", ", ".join(map(str, panel.regions))),
        ("Weights", panel.weights or "none"),
        ("Content hash", fit.meta.get("data_hash", "not recorded")),
    ]
    tables = [Table("", pd.DataFrame(rows, columns=["Fact", "Value"]).astype(object))]
    if aside:
        reasons = panel.set_aside["reason"].value_counts().rename_axis("Reason").reset_index(name="Rows")
        tables.append(Table("Rows set aside, by reason", reasons))
    return Section("Data facts", "data", tables=tuple(tables))


def _software(fit: Any) -> Section:
    meta = dict(fit.meta)
    versions = meta.pop("versions", {})
    rows = [(label, meta[key]) for key, label in _SAMPLING_FACTS.items() if meta.get(key) is not None]
    rows += [(name, version) for name, version in versions.items()]
    return Section("Software facts", "software", tables=(Table("", pd.DataFrame(rows, columns=["Fact", "Value"]).astype(object)),))


def _reference_keys(fit: Any, sources: list[str]) -> list[str]:
    return [
        *keys_of_sources(sources),
        *keys_of_sampler(str(fit.meta.get("sampler", "")), fit.meta.get("versions", {})),
        "vehtari2017",
        "sailynoja2022",
    ]

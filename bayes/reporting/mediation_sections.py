"""The sections of a mechanism report, in the order in which a reader should meet them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayes.comparison import Comparison
from bayes.estimates import Estimates
from bayes.reporting import common_sections as common
from bayes.reporting.references import keys_of_sampler, keys_of_sources, listed
from bayes.reporting.sections import Figure, Section
from bayes.reporting.tables import Table, estimate_words, format_number

_SHOWN = (
    "driving_mean", "mediator_effect_mean", "direct_mean", "driving_sd", "mediator_effect_sd", "direct_sd", "autocorrelation",
    "unit_effect_sd",
)  # fmt: skip
"""Parameters whose prior, posterior and chains are drawn, in this order."""


def default_title(fit: Any, outcome: str | None = None) -> str:
    """Heading of a report without ``title=``."""
    of = "the effect" if fit.model.exposure is None else f"the effect of {fit.model.exposure}"
    return f"{fit.panel.name}: mechanism of {of} on {outcome or fit.model.outcome}"


def build_sections(
    fit: Any,
    comparison: Comparison | None = None,
    descriptive: Sequence[str] | pd.DataFrame | None = None,
    outcome: str | None = None,
    time_unit: str = "periods",
) -> tuple[Section, ...]:
    """All sections for a fit of ``Mediation``. Each estimate is computed once and shared."""
    common.require_comparison(comparison)
    name, model = outcome or fit.model.outcome, fit.model
    overall, by_region = fit.effects("all"), fit.effects("region")
    prior, posterior = (_named(fit, group) for group in ("prior", "posterior"))
    flat = [{label: draws.ravel() for label, draws in found.items()} for found in (prior, posterior)]
    overlaps = common.overlaps(*flat)
    others = [] if comparison is None else [s for s in dict.fromkeys(comparison.frame["source"]) if s not in set(overall.frame["source"])]
    return (
        common.diagnostics(fit),
        Section("Headline", "headline", _headline(fit, overall, name)),
        _mechanisms(fit, overall, by_region, name),
        _paths(fit, overall, by_region),
        *_comparison(comparison),
        Section("What a causal reading assumes", "assumption", _assumptions(fit)),
        common.priors(fit),
        common.prior_posterior(*flat, overlaps),
        Section("What the prior drives", "prior-driven", _prior_driven(fit, by_region, overlaps)),
        common.chains(posterior, list(posterior)[: common.MOST_SCALARS], common.summary_table(fit)),
        common.description(fit, descriptive, [model.outcome, *model.mediators, *_exposed(model), *model.covariates]),
        common.data(fit, _facts(fit), [common.balance_words(fit.panel)]),
        common.software(fit),
        Section(
            "Methods", "methods", (_model_words(fit), _estimand_words(fit), common.sampling_words(fit.meta), *common.baseline_words(others))
        ),
        Section("References", "references", listed(_reference_keys(fit, others)), references=True),
    )


def _named(fit: Any, group: str) -> dict[str, np.ndarray]:
    """Draws (chains, draws) of the parameters shown, by readable name."""
    found = fit.tree[group].dataset
    out = {}
    for name in (n for n in _SHOWN if n in found):
        array = found[name].transpose(..., "chain", "draw")
        words = name.replace("_", " ")
        if array.ndim == 2:
            out[words] = array.to_numpy()
        else:
            out |= {f"{words} [{label}]": values for label, values in zip(array[array.dims[0]].to_numpy(), array.to_numpy(), strict=True)}
    return out


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _row(table: Estimates, estimand: str, term: str = "all", region: str = "") -> Any:
    return table.where(estimand=estimand, term=term, region=region).frame.iloc[0]


def _headline(fit: Any, overall: Estimates, outcome: str) -> tuple[str, ...]:
    """Total, what passes through the mediators and what does not; the share only where the total is clear of zero."""
    total, direct, indirect, share = (_row(overall, e) for e in ("total", "direct", "indirect", "share"))
    if pd.isna(total["estimate"]):
        return ("The total effect is not identified in these data.",)
    mediators = common.listed([str(m) for m in fit.model.mediators])
    out = [
        f"{_cause(fit, outcome)} by {format_number(total['estimate'], signed=True)} on average ({common.interval_words(total)}). Of "
        f"this, {format_number(indirect['estimate'], signed=True)} passes through {mediators} ({common.interval_words(indirect)}; "
        f"probability of being positive {common.probability(indirect['prob_positive'])}) and "
        f"{format_number(direct['estimate'], signed=True)} does not ({common.interval_words(direct)})."
    ]
    if total["lower"] < 0 < total["upper"]:
        out.append("The interval of the total effect holds zero, so no share of it is reported here.")
    else:
        words = [f"{100 * share[k]:.0f} %".replace("-", "−") for k in ("estimate", "lower", "upper")]
        out.append(f"The share that passes through is {words[0]} (median; {100 * share['level']:g} % interval {words[1]} to {words[2]}).")
    return (*out, f"Averages run over {fit.wording.rows}. This split holds under sequential ignorability only, which no data can show.")


def _cause(fit: Any, outcome: str) -> str:
    """How the sentence on the total effect begins."""
    exposure = fit.model.exposure
    return f"Treatment changed {outcome}" if exposure is None else f"One unit more of the exposure {exposure} changed {outcome}"


def _mechanisms(fit: Any, overall: Estimates, by_region: Estimates, outcome: str) -> Section:
    """Region × mechanism as a table, with the forest plot beside it."""
    mechanisms = [("direct", "all", "Direct"), *(("indirect", m, f"Through {m}") for m in fit.model.mediators), ("total", "all", "Total")]
    regions = list(dict.fromkeys(by_region.frame["region"]))
    both = overall + by_region
    level = common.level_of(overall.frame)
    rows = []
    for region in [*regions, ""]:
        cells = {}
        for estimand, term, label in mechanisms:
            row = _row(both, estimand, term, region)
            cells[label] = estimate_words(row["estimate"], row["lower"], row["upper"]) or "not identified"
        rows.append({"Region": region or f"All ({fit.wording.rows})", **cells})
    note = f"Estimate [{level} posterior interval]. Indirect effects are a·b within a region; no path is set to zero."
    note += f" Per unit of the exposure {fit.model.exposure}." if fit.model.exposure is not None else ""
    shown = [
        replace(part, frame=part.frame.assign(source=label))
        for part, label in ((both.where(estimand=e, term=t), label) for e, t, label in mechanisms)
    ]
    alt = "Effects over all regions: " + "; ".join(f"{label} {rows[-1][label]}" for _, _, label in mechanisms) + "."
    figure = Figure(partial(_draw, shown, outcome), alt, "Direct, indirect and total effects by region; the overall row comes last.")
    outcome = outcome if fit.model.exposure is None else f"{outcome} per unit of {fit.model.exposure}"
    figure = replace(figure, draw=partial(_draw, shown, outcome))
    return Section("Effects by region and mechanism", "mechanisms", tables=(Table("", pd.DataFrame(rows), note),), figures=(figure,))


def _draw(shown: Sequence[Estimates], outcome: str, width: float) -> Any:
    from bayes.plots import forest

    return forest(*shown, outcome=outcome, width=width)


def _paths(fit: Any, overall: Estimates, by_region: Estimates) -> Section:
    """The two paths that indirect effects are made of, and the share."""
    tables = []
    headings = {
        "driving": f"{fit.wording.cause} → mediator (a)",
        "mediator_effect": "Mediator → outcome (b)",
        "share": "Share of the total effect",
    }
    for estimand, heading in headings.items():
        part = (overall + by_region).where(estimand=estimand)
        order = np.argsort(pd.factorize(part.frame["term"])[0], kind="stable")
        part = Estimates(part.frame.iloc[order].reset_index(drop=True))
        frame = part.frame.assign(region=part.frame["region"].replace("", f"All ({fit.wording.rows})"))
        rows = common.estimate_rows(replace(part, frame=frame), "region", "Region", "Path" if estimand != "share" else "Share", "P(> 0)")
        rows.insert(0, "Mediator", part.frame["term"].to_numpy())
        tables.append(Table(heading, rows.drop(columns="Rows", errors="ignore"), folded=estimand == "share", grouped=True))
    return Section("Paths", "paths", tables=tuple(tables))


def _comparison(comparison: Comparison | None) -> tuple[Section, ...]:
    if comparison is None:
        return ()
    tables = tuple(
        comparison.where(estimand=e).as_table("source", title=f"{e.replace('_', ' ').capitalize()} by source")
        for e in dict.fromkeys(comparison.frame["estimand"])
    )
    return (Section("Comparison with other estimates", "comparison", tables=tables),)


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _assumptions(fit: Any) -> tuple[str, ...]:
    treated = fit.model.exposure is None
    need, same = (
        ("parallel trends only", "with and without treatment") if treated else ("strict exogeneity only", "at every level of the exposure")
    )  # fmt: skip
    out = [
        fit.assumption,
        f"Total effects and effects on mediators need {need}. An unobserved cause that moves a mediator and the outcome "
        "biases b; the indirect effect is then off by a times that bias, and the direct effect by as much the other way. The model also "
        f"takes a mediator's effect to be linear and the same {same}.",
    ]
    two = [str(m) for m, binary in zip(fit.model.mediators, fit.posterior["dichotomous"].to_numpy(), strict=True) if binary]
    if two:
        out.append(f"{common.listed(two)} takes two values: its equation is a linear probability model.")
    return tuple(out)


def _prior_driven(fit: Any, by_region: Estimates, overlaps: Mapping[str, float]) -> tuple[str, ...]:
    missing = by_region.where(estimand="total").frame.query("not identified")["region"].tolist()
    treated = fit.model.exposure is None
    why = "no unit is treated or columns do not vary" if treated else "the exposure or another column does not vary"
    out = [f"Not identified: effects in {common.listed(missing)}, where {why}."] if missing else []
    out += common.vague_words(overlaps)
    told = "has treated units" if treated else "has an exposure that varies"
    return tuple(out) or (f"Every region {told}, and no parameter's posterior repeats its prior.",)


def _model_words(fit: Any) -> str:
    model, panel = fit.model, fit.panel
    errors = "a stationary first-order autoregression in calendar time" if model.errors == "ar1" else "independent"
    cause = "treatment" if model.exposure is None else f"exposure {model.exposure}"
    own = "treatment effect" if model.exposure is None else f"effect of the {cause}"
    units = f", with a random deviation of each unit's {own}" if model.unit_effects == "random-treatment" else ""
    periods = "period effects of each region" if model.period_effects == "region" else "common period effects"
    controls = f" and linear terms in {common.listed([str(c) for c in model.covariates])}" if model.covariates else ""
    pooled = {
        "partial": "Paths are partially pooled over regions with correlated region effects (Lewandowski, Kurowicka and Joe 2009)",
        "complete": "One set of paths serves all regions",
        "none": "Every region has paths of its own",
    }[model.pooling]
    return (
        f"Each mediator ({common.listed([str(m) for m in model.mediators])}) and the outcome {model.outcome} of {panel.n_units} units over "
        f"{panel.n_periods} periods has its own equation with unit effects, {periods}{controls}{units}; errors are {errors}. The outcome's "
        f"equation holds the {cause} and the mediators. {pooled}. Unit and period effects, covariates and paths are integrated out "
        "exactly; the sampler moves over scales and correlations, and paths are drawn from their exact conditional distribution."
    )


def _estimand_words(fit: Any) -> str:
    exposure = fit.model.exposure
    cause, last = (
        ("treatment", "One static effect stands for all periods since treatment.")
        if exposure is None
        else ("exposure", f"Effects are per unit of {exposure}, linear in it and within the same period.")
    )
    return (
        f"The driving effect a is that of the {cause} on a mediator, b that of a mediator on the outcome given the {cause}, the direct "
        f"effect c' that of the {cause} given the mediators (Baron and Kenny 1986; Imai, Keele and Tingley 2010). Products a·b are taken "
        "in each draw and region, then averaged, so that paths which go together over regions count (Kenny, Korchmaros and Bolger 2003). "
        f"{last}"
    )


def _exposed(model: Any) -> list[str]:
    return [] if model.exposure is None else [model.exposure]


def _facts(fit: Any) -> list[tuple[str, Any]]:
    """Who is treated, or what stands in the place of the treatment."""
    if fit.model.exposure is not None:
        return [("Exposure", fit.model.exposure)]
    return [("Units treated", int(np.isfinite(fit.panel.unit_first_treated).sum()))]


def _reference_keys(fit: Any, others: Sequence[str]) -> list[str]:
    keys = ["baron1986", "imai2010", "kenny2003", *keys_of_sampler(fit.meta.get("sampler", ""), fit.meta.get("versions", {}))]
    keys += ["sailynoja2022", *keys_of_sources(others)]
    return [*keys, "lewandowski2009"] if fit.model.pooling == "partial" else keys

"""The sections of a stochastic-frontier report, in the order in which a reader should meet them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayes.comparison import Comparison, compare, remark
from bayes.estimates import Estimates
from bayes.frontier.efficiency import ESTIMATORS
from bayes.reporting import common_sections as common
from bayes.reporting import frontier_words as words
from bayes.reporting.frontier_residuals import implied_skewness, noise_check, skewness_by_region
from bayes.reporting.references import keys_of_sampler, keys_of_sources, listed
from bayes.reporting.sections import Figure, Section
from bayes.reporting.tables import Table, estimate_words, format_number

_MOST_REGIONS = 12
"""Regions whose σ_u is drawn; further ones stand in tables."""
_PARTS = {"tc": "Technical change", "ec": "Efficiency change", "sec": "Scale change", "tfpc": "Total productivity"}


def default_title(fit: Any, outcome: str | None = None) -> str:
    """Heading of a report without ``title=``."""
    return f"{fit.panel.name}: efficiency and productivity, {outcome or fit.model.output}"


def build_sections(
    fit: Any,
    comparison: Comparison | None = None,
    descriptive: Sequence[str] | pd.DataFrame | None = None,
    outcome: str | None = None,
    time_unit: str = "periods",
) -> tuple[Section, ...]:
    """All sections for a fit of ``StochasticFrontier``. Each estimate is computed once and shared."""
    common.require_comparison(comparison)
    found = _Results(fit)
    one = time_unit.removesuffix("s") or time_unit
    beside = comparison or _own_estimators(fit)
    others = [] if comparison is None else [s for s in dict.fromkeys(beside.frame["source"]) if not s.startswith(fit.source)]
    model = fit.model
    columns = [model.output, *model.inputs, *model.covariates, *model.determinants, *model.noise_determinants]
    named = f" The output is {outcome}." if outcome else ""
    return (
        common.diagnostics(fit),
        Section("Headline", "headline", _headline(found, one)),
        _comparison(beside),
        _efficiency(found),
        *_determinants(fit),
        _regions(found, beside),
        *_productivity(found, time_unit, one),
        *_gap(fit),
        Section(
            "What the prior drives", "prior-driven", words.prior_driven(found.skewness, found.scale_overlaps, found.scalar_overlaps, model)
        ),
        common.prior_posterior(*found.densities, found.scalar_overlaps | _first(_named_scales(found.scale_overlaps))),
        _residuals(found),
        _chains(fit),
        common.priors(fit),
        _criticism(found),
        common.description(fit, descriptive, list(dict.fromkeys(columns))),
        common.data(fit, paragraphs=[f"{common.balance_words(fit.panel)}{named}"]),
        common.software(fit),
        Section("Methods", "methods", words.methods(fit, others)),
        Section("References", "references", listed(_reference_keys(fit, list(beside.frame["source"]))), references=True),
    )


@dataclass(frozen=True)
class _Results:
    """What several sections show, computed when first asked for."""

    fit: Any

    @cached_property
    def overall(self) -> Estimates:
        return self.fit.efficiency("all")

    @cached_property
    def by_region(self) -> Estimates:
        return self.fit.efficiency("region")

    @cached_property
    def by_unit(self) -> Estimates:
        return self.fit.efficiency("unit")

    @cached_property
    def skewness(self) -> pd.DataFrame:
        """By region, with the skewness that the posterior implies and whether it is too small to show."""
        found = skewness_by_region(self.fit)
        implied = found["region"].map(implied_skewness(self.fit))
        return found.assign(implied=implied, hidden=implied < 2 * np.sqrt(6 / found["rows"]))

    @cached_property
    def monotonicity(self) -> pd.DataFrame:
        return self.fit.monotonicity("region").frame

    @property
    def has_scale(self) -> bool:
        """Whether scale is measured: a cost frontier needs named products."""
        return self.fit.model.kind == "production" or bool(self.fit.model.products)

    @property
    def has_changes(self) -> bool:
        return self.has_scale and self.fit.panel.n_rows > self.fit.panel.n_units

    @cached_property
    def changes(self) -> tuple[Estimates, tuple[str, ...]]:
        """Productivity change over all rows and by region, and what was warned of."""
        overall, remarks = common.told(lambda: self.fit.productivity("all"))
        by_region, _ = common.told(lambda: self.fit.productivity("region"))
        return overall + by_region, remarks

    @cached_property
    def densities(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Prior and posterior draws of the scalars and of σ_u by region."""
        prior, posterior = (common.scalars(self.fit, group) | _named_scales(_scales(self.fit, group)) for group in ("prior", "posterior"))
        return prior, posterior

    @cached_property
    def scalar_overlaps(self) -> dict[str, float]:
        return common.overlaps(*(common.scalars(self.fit, group) for group in ("prior", "posterior")))

    @cached_property
    def scale_overlaps(self) -> dict[str, float]:
        """Region → overlap of prior and posterior of σ_u."""
        return common.overlaps(*(_scales(self.fit, group) for group in ("prior", "posterior")), most=len(self.fit.data.regions))


def _scales(fit: Any, group: str) -> dict[str, np.ndarray]:
    """Region → draws of σ_u, chains joined."""
    array = fit.tree[group]["inefficiency_scale"].transpose("region", "chain", "draw")
    return {str(name): array.sel(region=name).to_numpy().ravel() for name in array["region"].to_numpy()}


def _named_scales(by_region: dict[str, Any]) -> dict[str, Any]:
    return {f"σᵤ {name}": value for name, value in by_region.items()}


def _first(values: dict[str, float]) -> dict[str, float]:
    return dict(list(values.items())[:_MOST_REGIONS])


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _headline(found: _Results, one: str) -> tuple[str, ...]:
    out = list(words.headline(found.fit, found.overall, found.by_region, found.skewness))
    if found.has_changes:
        out.insert(2 if len(found.fit.data.regions) > 1 else 1, words.growth(found.changes[0].where(term="all"), one))
    return tuple(out)


def _own_estimators(fit: Any) -> Comparison:
    """Without other estimates: mean efficiency by the three estimators, which differ."""
    parts = [fit.efficiency("region", estimator=name) for name in ESTIMATORS]
    return compare(*parts, labels=list(ESTIMATORS.values()), title="Mean efficiency by region and estimator")


def _comparison(beside: Comparison) -> Section:
    """A table for each thing estimated, sources across; what sources say of their regions; every row with its difference, folded."""
    tables, quiet = [], replace(beside, frame=beside.frame.assign(note=""))
    for estimand in dict.fromkeys(beside.frame["estimand"]):
        part = quiet.where(estimand=estimand)
        sources = len(set(part.frame["source"]))
        table = part.as_table("source", title=f"{estimand.replace('_', ' ').capitalize()} by source")
        tables.append(Table(table.title, table.frame, table.note, table.warning, grouped=len(table.frame) > 3, folded=sources < 2))
    remarks = _remarks(beside)
    if len(remarks):
        tables.append(Table("Remarks of the sources", remarks, grouped=True))
    tables.append(common.folded(quiet.as_table(title=f"All rows with differences ({len(beside)})")))
    return Section("Comparison with other estimates", "comparison", tables=tuple(tables))


def _remarks(beside: Comparison) -> pd.DataFrame:
    """What sources note about their regions, each remark once, with the regions it holds for."""
    rows = beside.frame.assign(note=beside.frame["note"].map(remark))[["source", "region", "note"]]
    regions = rows.groupby("source")["region"].nunique()
    rows = rows[rows["note"] != ""].drop_duplicates(["region", "note"])
    found = [
        {"Source": source, "Remark": note, "Regions": "all" if len(part) == regions[source] else ", ".join(part["region"])}
        for (source, note), part in rows.groupby(["source", "note"], sort=False)
    ]
    return pd.DataFrame(found, columns=["Source", "Remark", "Regions"])


def _efficiency(found: _Results) -> Section:
    fit, units = found.fit, found.by_unit
    ranks = fit.ranks("unit").frame if len(units) > 1 else None
    table = common.estimate_rows(units, "unit", "Unit", "Efficiency", chance="").drop(columns="Note", errors="ignore")
    if len(fit.data.regions) > 1:
        table.insert(1, "Region", units.frame["region"])
    if ranks is not None:
        by_unit = ranks.set_index("unit").loc[units.frame["unit"]]
        table["Mean rank"] = [f"{value:.1f}" for value in by_unit["mean_rank"]]
        table["P(top quartile)"] = [f"{value:.2f}" for value in by_unit["prob_top_quartile"]]
    table = table.iloc[np.argsort(-units.frame["estimate"].to_numpy(), kind="stable")]
    tables = [Table("Efficiency by unit", table, note="Rank 1 is the most efficient; ranks are taken in every draw.", folded=True)]
    if len(found.by_region) > 1:
        rows = common.estimate_rows(found.by_region, "region", "Region", "Efficiency", chance="").drop(columns="Note", errors="ignore")
        tables.insert(0, Table("Mean efficiency by region", rows))
    if fit.model.model == "four-component":
        tables.insert(1, _components(fit))
    ends = units.frame.sort_values("estimate")
    paragraph = (
        f"Estimated efficiencies of units run from {format_number(ends['estimate'].iloc[0])} ({ends['unit'].iloc[0]}) to "
        f"{format_number(ends['estimate'].iloc[-1])} ({ends['unit'].iloc[-1]}). Each is the mean over the unit's rows of exp(−u); where "
        "intervals overlap, the order of units is not known."
    )
    return Section("Efficiency by unit", "efficiency", (paragraph,), tuple(tables), _efficiency_figures(units, paragraph))


def _efficiency_figures(units: Estimates, paragraph: str) -> tuple[Figure, ...]:
    from bayes.plots import efficiency, tile_map
    from bayes.plots._tile_map import us_state_codes

    alt = f"Dot plot of efficiency by unit with intervals, by region. {paragraph.split('. Each')[0]}."
    caption = "Dots: posterior means; lines: posterior intervals; dashed: mean of the region's units."
    figures = [Figure(lambda width: efficiency(units, width=width), alt, caption)]
    if len(units) >= 10 and us_state_codes(units.frame["unit"]) is not None:
        alt = f"Tile map of mean efficiency of {len(units)} US states, darker for more efficient."
        figures.append(
            Figure(
                lambda width: tile_map(units, label="mean efficiency", width=width),
                alt,
                "Posterior means; a darker tile is more efficient.",
            )
        )
    return tuple(figures)


def _components(fit: Any) -> Table:
    parts = {name: fit.efficiency("region", component=name).frame for name in ("persistent", "transient")}
    frame = pd.DataFrame({"Region": parts["persistent"]["region"]})
    for name, part in parts.items():
        frame[f"{name.capitalize()} efficiency"] = _cells(part)
    return Table("Persistent and transient efficiency by region", frame)


def _cells(frame: pd.DataFrame) -> list[str]:
    return [estimate_words(*row) for row in frame[["estimate", "lower", "upper"]].itertuples(index=False)]


def _short(frame: pd.DataFrame, scale: float = 1.0, shift: float = 0.0) -> list[str]:
    """``scale × (value − shift)`` with two decimals, for tables with many intervals in a row."""
    values = scale * (frame[["estimate", "lower", "upper"]] - shift)
    rounded = values.round(2) + 0.0  # no −0.00
    return [f"{b:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−") for b, low, high in rounded.itertuples(index=False)]


def _determinants(fit: Any) -> tuple[Section, ...]:
    if not fit.model.determinants:
        return ()
    effects = fit.determinant_effects().where(estimand="log_efficiency_effect")
    rows = common.estimate_rows(effects, "term", "Determinant", "Effect on log efficiency")
    return (Section("What moves efficiency", "determinants", tables=(Table("Effects of determinants on log efficiency", rows),)),)


def _regions(found: _Results, beside: Comparison) -> Section:
    from bayes.plots import elasticities

    fit = found.fit
    inputs = fit.elasticities("region")
    shown = inputs + fit.returns_to_scale("region") if found.has_scale else inputs
    frame = pd.DataFrame({"Region": list(dict.fromkeys(inputs.frame["region"]))})
    for name in fit.model.inputs:
        frame[name] = _short(inputs.where(term=name).frame)
    paragraphs = []
    if found.has_scale:
        frame["Returns to scale"] = _short(fit.returns_to_scale("region").frame)
        paragraphs.append(words.scale(fit.returns_to_scale("all")))
    frame["Monotone rows"] = [f"{value:.2f}" for value in found.monotonicity["estimate"]]
    paragraphs += words.monotonicity_words(found.monotonicity)
    note = "Posterior means [95 % intervals]. Monotone rows: share of rows and draws in which every elasticity is positive."
    f = beside.frame
    others = f[f["estimand"].isin(["elasticity", "returns_to_scale"]) & (f["source"] != fit.source) & (f["region"] != "")]
    drawn = [shown] + ([Estimates(others.reset_index(drop=True))] if len(others) else [])
    alt = (
        f"Elasticities of {len(fit.model.inputs)} inputs by region with intervals, {len(set(others['source']))} other sources beside them."
    )
    caption = "The vertical lines stand at 0 for elasticities and at 1 for returns to scale."
    figure = Figure(lambda width: elasticities(*drawn, width=width), alt, caption)
    return Section("Technology by region", "regions", tuple(paragraphs), (Table("Elasticities by region", frame, note),), (figure,))


def _productivity(found: _Results, time_unit: str, one: str) -> tuple[Section, ...]:
    from bayes.plots import productivity

    if not found.has_changes:
        return ()
    (changes, remarks), fit = found.changes, found.fit
    rows = changes.where(term="region") if len(fit.data.regions) > 1 else changes.where(term="all")
    frame = pd.DataFrame({"Region": [name or "all" for name in rows.where(estimand="tfpc").frame["region"]]})
    for part, heading in _PARTS.items():
        frame[heading] = _short(rows.where(estimand=part).frame, scale=100, shift=1)
    frame["P(> 0)"] = [f"{value:.2f}" for value in rows.where(estimand="tfpc").frame["prob_positive"]]
    by = "region:period" if 1 < len(fit.data.regions) <= 40 else "period"
    path, _ = common.told(lambda: fit.productivity(by, cumulative=True))
    alt = "Technical, efficiency, scale and total productivity change in percent a period with intervals, by region."
    figures = (
        Figure(
            lambda width: productivity(changes, time_unit=time_unit, width=width), alt, "Mean changes; the parts multiply to the total."
        ),
        Figure(
            lambda width: productivity(path, time_unit=time_unit, width=width),
            "Productivity and its parts over time, cumulated from the first period, with a band for total productivity.",
            "Cumulated from the first period; the band is the interval of total productivity.",
        ),
    )
    note = f"Percent per {one}: geometric means of changes [95 % intervals]. The noise-free index: noise and covariates are left out."
    table = Table(f"Productivity change, % per {one}", frame, note)
    return (Section("Productivity", "productivity", remarks, (table,), figures),)


def _gap(fit: Any) -> tuple[Section, ...]:
    from bayes.plots import elasticities

    if not words.has_regional_technology(fit):
        return ()
    gap = fit.technology_gap("region")
    frame = pd.DataFrame({"Region": gap.where(estimand="technology_gap_ratio").frame["region"]})
    for estimand, heading in (("technology_gap_ratio", "Technology-gap ratio"), ("meta_efficiency", "Meta-efficiency")):
        frame[heading] = _cells(gap.where(estimand=estimand).frame)
    paragraph = (
        "The technology-gap ratio is the region's frontier over the best of all regions' frontiers at the same inputs; meta-efficiency is "
        "that ratio times efficiency. A maximum of uncertain frontiers lies above each of them, and a frontier is read at inputs that its "
        "region may not use: with few rows a region the ratios are pulled down."
    )
    alt = "Technology-gap ratio and meta-efficiency by region with intervals."
    figure = Figure(lambda width: elasticities(gap, width=width), alt, "1: the region's frontier is the best of all.")
    table = Table("Technology gap by region", frame, "Posterior means [95 % intervals].")
    return (Section("Technology gap", "gap", (paragraph,), (table,), (figure,)),)


# ── the model checked ───────────────────────────────────────────────────────────────────────────────────────────────


def _residuals(found: _Results) -> Section:
    s = found.skewness
    table = pd.DataFrame(
        {
            "Region": s["region"],
            "Rows": s["rows"],
            "Skewness": s["skewness"],
            "Coelli statistic": [f"{value:.2f}".replace("-", "−").replace("nan", "") for value in s["statistic"]],
            "Residuals lean": [words.VERDICTS.get(verdict, verdict) for verdict in s["verdict"]],
            "Implied size": s["implied"],
            "Overlap of σ_u": [f"{found.scale_overlaps[name]:.2f}" if name in found.scale_overlaps else "" for name in s["region"]],
        }
    )
    side = "negative" if found.fit.model.kind == "production" else "positive"
    note = (
        f"Inefficiency implies {side} skewness; implied size: of the skewness at the posterior. Coelli statistic: standard normal under "
        "symmetry. Overlap of σ_u: area under the lower of prior and posterior density; near 1 the data say nothing about inefficiency, "
        "and a small one may also mean that they only bound it from above."
    )
    return Section(
        "Residual check",
        "residuals",
        words.residual_words(s, found.fit.model),
        (Table("Skewness of least-squares residuals", table, note),),
    )


def _chains(fit: Any) -> Section:
    arrays = fit.tree["posterior"].dataset.data_vars
    draws = {name: array.transpose("chain", "draw").to_numpy() for name, array in arrays.items() if set(array.dims) == {"chain", "draw"}}
    for name, array in _regional(arrays["inefficiency_scale"]).items():
        draws[f"σᵤ {name}"] = array
    summary = common.summary_table(fit, [name for name in arrays if name != "unit_effect"])
    return common.chains(draws, list(draws)[: common.MOST_SCALARS], summary)


def _regional(array: Any) -> dict[str, np.ndarray]:
    ordered = array.transpose("region", "chain", "draw")
    return {str(name): ordered.sel(region=name).to_numpy() for name in ordered["region"].to_numpy()}


def _criticism(found: _Results) -> Section:
    noise = noise_check(found.fit)
    headings = {
        "statistic": "Statistic of the noise",
        "observed": "Realised",
        "mean": "Replicated mean",
        "lower": "Lower",
        "upper": "Upper",
        "p_value": "Predictive p",
    }
    note = "Noise in units of σ_v, with inefficiency drawn exactly. Lower, upper: equal-tailed interval of replicated noise, 95 %."
    table = Table("Noise left over against the noise assumed", noise.rename(columns=headings), note)
    return Section("Model criticism", "criticism", words.criticism(noise), (table,))


def _reference_keys(fit: Any, sources: list[str]) -> list[str]:
    return [
        *words.reference_keys(fit),
        *keys_of_sources(sources),
        *keys_of_sampler(str(fit.meta.get("sampler", "")), fit.meta.get("versions", {})),
        "sailynoja2022",
    ]

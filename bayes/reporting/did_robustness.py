"""Sections for the robustness results that a script hands to the report: one for each, and a line for each before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayes.comparison import remark
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.reporting import common_sections as common
from bayes.reporting.references import listed
from bayes.reporting.sections import Figure, Section
from bayes.reporting.tables import Table, estimate_words, format_number

Results = Mapping[str, Any] | Sequence[Any]
_MOST_FIGURES = 4
_MOST_ROWS = 40
_HONEST = ("relative magnitudes", "smoothness")


def sections_of(results: Results, outcome: str) -> tuple[Section, ...]:
    """An opening section with one line a result, then a section for each.

    ``results`` are those of ``fit.placebo``, ``.sensitivity``, ``.parallel_trends``, ``.variants``, ``.cluster_robust``,
    ``.heterogeneity``, ``.prior_sensitivity``, ``bayes.compare_pooling``, ``bayes.baselines.honest_did`` and the like: a list, or a mapping
    of headings to them.
    Raises :class:`SpecificationError` for anything that has no section.
    """
    if isinstance(results, str | Estimates | pd.DataFrame) or not isinstance(results, Mapping | Sequence):
        raise SpecificationError("robustness= takes a list of results, or a mapping of headings to results.")
    named = list(results.items()) if isinstance(results, Mapping) else [("", r) for r in results]
    taken: list[Section] = []
    for heading, result in named:
        kind = type(result).__name__
        if kind not in WRITERS:
            raise SpecificationError(f"robustness= has no section for {kind}; it takes {', '.join(WRITERS)}.")
        section = WRITERS[kind](result, outcome, heading)
        same = sum(s.anchor.split("--")[0] == section.anchor for s in taken)
        taken.append(replace(section, anchor=f"{section.anchor}--{same + 1}") if same else section)
    lines = [f"{s.title}: {s.paragraphs[0]}" for s in taken if s.paragraphs]
    return (Section("Robustness", "robustness", tuple(lines)), *taken) if taken else ()


def reference_keys(results: Results) -> list[str]:
    """References that the results rest on."""
    found = list(results.values()) if isinstance(results, Mapping) else list(results)
    return list(dict.fromkeys(key for r in found for key in _REFERENCES.get(type(r).__name__, ())))


def _placebo(test: Any, outcome: str, heading: str) -> Section:
    from bayes.plots import placebo

    table = Table("", _plain(test.table()), folded=len(test.table()) > 15)
    alt = f"Estimates under {test.n} fake sets of treatment dates, and the actual one. {test.verdict}"
    figure = Figure(lambda width: placebo(test, outcome=outcome, width=width), alt)
    few = len(test.actual.frame) <= 12
    return Section(heading or "Placebo dates", "robustness-placebo", (test.verdict,), (table,), (figure,) if few else ())


def _sensitivity(result: Any, outcome: str, heading: str) -> Section:
    from bayes.plots import sensitivity

    keys = result.breakdown.to_dict("records")
    figures = []
    for row in keys[:_MOST_FIGURES]:
        one = result.where(**{k: row[k] for k in ("region", "cohort", "period", "event_time") if row[k] != "" and pd.notna(row[k])})
        if len(one.breakdown) == 1 and not np.isnan(row["breakdown"]):
            alt = f"The effect's interval against the size of violations of parallel trends. {one.verdict()[0]}"
            figures.append(Figure(lambda width, one=one: sensitivity(one, outcome=outcome, width=width), alt))
    tables = (
        Table("", _estimate_table(result.estimates), f"Scale of violations: {result.calibration}.", folded=len(result.estimates) > 8),
    )
    title = heading or "Violations of parallel trends"
    return Section(title, "robustness-sensitivity", tuple(result.verdict()), tables, tuple(figures))


def _trends(result: Any, outcome: str, heading: str) -> Section:
    from bayes.plots import event_study

    power = Table("Power to see a linear violation", _plain(result.power))
    leads = Table("Leads with a joint band", common.estimate_rows(result.leads, "event_time", "Event time"), folded=True)
    alt = "Event study with a band that holds all event times at once."
    figure = Figure(lambda width: event_study(result.event_study, outcome=outcome, width=width), alt)
    title = heading or "Trends before treatment"
    return Section(title, "robustness-trends", tuple(result.verdict()), (power, leads), (figure,))


def _variants(result: Any, outcome: str, heading: str) -> Section:
    from bayes.plots import specification_curve

    frame = result.estimates.frame
    shown = frame[(frame["estimand"] == frame["estimand"].iloc[0]) & frame["estimate"].notna()]
    words = (
        f"{shown['source'].nunique()} variants: the effect lies between {format_number(shown['estimate'].min())} and "
        f"{format_number(shown['estimate'].max())}; {int((shown['prob_positive'] > 0.95).sum())} of {len(shown)} rows have a probability "
        "above 0.95 of being positive."
    )
    same = result.estimates.where(estimand=frame["estimand"].iloc[0])
    tables = (
        Table("", labelled_rows(same, list(same.frame["source"]), "Variant", chance="P(effect > 0)")),
        common.folded(Table("What changed", _plain(result.changes.reset_index()))),
        common.folded(result.comparison.as_table(title="All rows with differences")),
    )
    figures: tuple[Figure, ...] = ()
    if not shown["source"].duplicated().any():
        alt = f"Specification curve: the estimates of {len(shown)} variants in order of size, with the choices behind them."
        figures = (Figure(lambda width: specification_curve(result.estimates, outcome=outcome, width=width), alt),)
    return Section(heading or "Variants", "robustness-variants", (words,), tables, figures)


def _pooling(result: Any, outcome: str, heading: str) -> Section:
    names = {
        "pooling": "Pooling", "elpd": "ELPD", "elpd_difference": "Difference", "difference_se": "SE of the difference", "weight": "Weight",
        "parameters": "Effective parameters", "influential": "Influential units",
    }  # fmt: skip
    effect = [estimate_words(*row) for row in result.table[["estimate", "lower", "upper"]].itertuples(index=False)]
    table = result.table[list(names)].round({"weight": 3}).rename(columns=names).assign(**{"Overall effect [95 % interval]": effect})
    way = "scales at their posterior mode" if result.meta["method"] == "mode" else "full posteriors"
    note = f"ELPD: expected log predictive density, one unit left out at a time; {way}. Weight: stacking."
    return Section(heading or "Pooling", "robustness-pooling", (result.verdict(),), (Table("", table, note),))


def priors_section(result: Any, outcome: str, heading: str) -> Section:
    """Power-scaling of the priors and the overall effect under tighter and wider ones."""
    names = {
        "quantity": "Quantity", "prior": "Sensitivity to the priors", "likelihood": "to the likelihood", "strongest": "Strongest prior",
        "diagnosis": "Remark",
    }  # fmt: skip
    scaling = result.scaling[list(names)].assign(
        quantity=result.scaling["quantity"].map(common.plain_name), strongest=result.scaling["strongest"].map(common.plain_name)
    )
    note = "Distance per doubling of the power (Kallioinen et al. 2024); a prior counts as informative from 0.05 on."
    overall = result.refits.where(term="simple")
    tables = (
        Table("Power-scaling", scaling.rename(columns=names), note),
        Table(
            "The overall effect under other priors", labelled_rows(overall, list(overall.frame["source"]), "Priors", chance="P(effect > 0)")
        ),
    )
    return Section(heading or "Priors", "robustness-priors", tuple(result.verdict()), tables)


def _moran(result: Any, outcome: str, heading: str) -> Section:
    table = Table("", _plain(result.table()), folded=len(result.table()) > 8)
    return Section(heading or "Spatial correlation of residuals", "robustness-moran", (result.verdict(),), (table,))


def _ranks(result: Any, outcome: str, heading: str) -> Section:
    frame = result.frame.loc[:, (result.frame != "").any()]
    first = result.estimates.frame.loc[result.estimates.frame["estimate"].idxmin()]
    name = first["unit"] or first["region"]
    words = f"First place is most probable for {name} (mean rank {first['estimate']:.1f})." if name else ""
    return Section(
        heading or "Ranks", "robustness-ranks", tuple(filter(None, [words])), (Table("", _plain(frame), folded=len(frame) > 15),)
    )


def _comparison(result: Any, outcome: str, heading: str) -> Section:
    return Section(heading or result.title or "Comparison", "robustness-comparison", tables=(result.as_table(title=""),))


def _frame(result: pd.DataFrame, outcome: str, heading: str) -> Section:
    named = result if isinstance(result.index, pd.RangeIndex) else result.reset_index()
    return Section(
        heading or "Table",
        "robustness-table",
        tables=(Table("All rows", _plain(named), folded=True) if len(result) > 15 else Table("", _plain(named)),),
    )


def _estimates(result: Estimates, outcome: str, heading: str) -> Section:
    frame = result.frame
    words = [_span(frame), *([str(result.meta["convention"])] if result.meta.get("convention") else [])]
    missing = frame["estimate"].isna()
    if missing.any():
        reasons = list(dict.fromkeys(remark(n) for n in frame.loc[missing, "note"] if remark(n)))[:3] or ["see the notes"]
        words.append(f"{int(missing.sum())} of {len(result)} rows have no number ({'; '.join(reasons)}).")
    table = Table("", _estimate_table(result), folded=len(result) > 15)
    title = heading or result.title or "Estimates"
    return Section(title, "robustness-estimates", tuple(filter(None, words)), (table,), _figures(result, title, outcome))


def _span(frame: pd.DataFrame) -> str:
    """The estimate, or the smallest and the largest of several."""
    first = frame[frame["estimand"] == "effect"] if "counterfactual" in set(frame["estimand"]) else _of_first_estimand(frame)
    known = first[first["estimate"].notna()]
    if len(known) < 2:
        return "".join(f"{estimate_words(*row)}." for row in known[["estimate", "lower", "upper"]].itertuples(index=False))
    labels = dict(zip(known.index, _labels(known), strict=True))
    low, high = known["estimate"].idxmin(), known["estimate"].idxmax()
    numbers = [f"{format_number(known.loc[k, 'estimate'])} ({labels[k]})" for k in (low, high)]
    return f"From {numbers[0]} to {numbers[1]}."


def _of_first_estimand(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["estimand"] == frame["estimand"].iloc[0]] if len(frame) else frame


def _figures(result: Estimates, title: str, outcome: str) -> tuple[Figure, ...]:
    """What suits the estimates: units with and without treatment, intervals against M, or one line an estimate."""
    from bayes import plots

    frame = result.frame
    if {"observed", "counterfactual"} <= set(frame["estimand"]) and frame["unit"].nunique() <= _MOST_ROWS:
        return (
            _figure(lambda width: plots.counterfactual(result, outcome=outcome, width=width), f"{title}: observed and without treatment."),
        )
    if frame["variant"].str.startswith(_HONEST).all():
        return (_figure(lambda width: plots.sensitivity(result, outcome=outcome, width=width), f"{title}: intervals against M."),)
    first = _of_first_estimand(frame)
    labels = _labels(first)
    if 1 < len(first) <= _MOST_ROWS and first["estimate"].notna().any() and len(set(labels)) == len(labels):
        shown = Estimates(first.assign(unit=labels, source=first["source"].iloc[0]).reset_index(drop=True), title=result.title)
        return (_figure(lambda width: plots.forest(shown, by="unit", outcome=outcome, width=width), f"{title}: estimates with intervals."),)
    return ()


def _figure(draw: Callable[[float], Any], alt: str) -> Figure:
    return Figure(draw, alt)


def labelled_rows(
    estimates: Estimates, labels: Sequence[str], heading: str, quantity: str = "Effect", chance: str = "P(> 0)"
) -> pd.DataFrame:
    """Rows of estimates under labels of their own, with interval, probability and number of rows."""
    return common.estimate_rows(replace(estimates, frame=estimates.frame.assign(unit=list(labels))), "unit", heading, quantity, chance)


def _estimate_table(estimates: Estimates) -> pd.DataFrame:
    return labelled_rows(estimates, _labels(estimates.frame), "Quantity", "Estimate")


_LABELS = ("term_to", "estimand", "term", "variant", "unit", "region", "period", "event_time", "cohort", "source")
_WORDS = {"cohort": "cohort ", "period": "period ", "event_time": "event time "}


def _labels(frame: pd.DataFrame) -> list[str]:
    """What tells the rows apart, in as few words as do."""
    text = {c: [_label(c, v) for v in frame[c]] for c in _LABELS}
    text["term"] = [f"{a} − {b}" if b else a for a, b in zip(text["term"], text.pop("term_to"), strict=True)]
    used = [c for c in text if len(set(text[c])) > 1]

    def joined(columns: Sequence[str]) -> list[str]:
        return [", ".join(filter(None, row)) for row in zip(*(text[c] for c in columns), strict=True)]

    for column in reversed(used):
        fewer = [c for c in used if c != column]
        if fewer and len(set(joined(fewer))) == len(set(joined(used))):
            used = fewer
    return joined(used) if used else [str(e) for e in frame["estimand"]]


def _label(column: str, value: Any) -> str:
    return f"{_WORDS[column]}{value:g}" * bool(pd.notna(value)) if column in _WORDS else str(value)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Headings without underscores."""
    return frame.rename(columns=lambda c: str(c).replace("_", " ").capitalize())


WRITERS: dict[str, Callable[[Any, str, str], Section]] = {
    "PlaceboTest": _placebo,
    "Sensitivity": _sensitivity,
    "ParallelTrends": _trends,
    "Variants": _variants,
    "PoolingComparison": _pooling,
    "PriorSensitivity": priors_section,
    "MoranTest": _moran,
    "Ranks": _ranks,
    "Comparison": _comparison,
    "Estimates": _estimates,
    "DataFrame": _frame,
}
"""Class of a result → its section."""

_REFERENCES: dict[str, tuple[str, ...]] = {
    "PlaceboTest": ("fisher1935", "phipson2010"),
    "Sensitivity": ("kwon2024", "rambachan2023"),
    "ParallelTrends": ("roth2022",),
    "Variants": ("simonsohn2020",),
    "PoolingComparison": ("vehtari2017", "yao2018"),
    "PriorSensitivity": ("kallioinen2024",),
    "MoranTest": ("moran1950",),
}


def with_results(parts: Sequence[Section], results: Results, outcome: str) -> tuple[Section, ...]:
    """A report's sections with those of the results after the estimates (or before the methods), their references among the others."""
    anchors = [part.anchor for part in parts]
    place = (
        anchors.index("heterogeneity") + 1
        if "heterogeneity" in anchors
        else anchors.index("methods")
        if "methods" in anchors
        else len(parts)
    )
    sections, keys = sections_of(results, outcome), reference_keys(results)
    extended = [replace(part, paragraphs=tuple(sorted({*part.paragraphs, *listed(keys)}))) if part.references else part for part in parts]
    return (*extended[:place], *sections, *extended[place:])

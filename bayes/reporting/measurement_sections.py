"""Sections for measured quantities: one for every table of estimates, with its convention, the figure that fits it, and its rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.reporting.common_sections import level_of, listed
from bayes.reporting.references import keys_of_sources
from bayes.reporting.references import listed as references_listed
from bayes.reporting.sections import Figure, Section
from bayes.reporting.tables import Table, estimate_words

_FIGURES: dict[str, tuple[str, str]] = {
    "malmquist": ("productivity", "1 means no change, above 1 improvement."),
    "efficiency": ("heat_map", "One row a unit, one column a period."),
    "super_efficiency": ("heat_map", "One row a unit, one column a period."),
    "directional_inefficiency": ("heat_map", "One row a unit, one column a period; 0 is best practice."),
    "index": ("heat_map", "One row a unit, one column a period."),
    "coordination_degree": ("heat_map", "One row a unit, one column a period."),
    "dagum_gini": ("gini_decomposition", "Parts of the Gini coefficient by period."),
    "theil_t": ("gini_decomposition", "Parts of the Theil index by period."),
    "theil_l": ("gini_decomposition", "Parts of the Theil index by period."),
    "relative_transition": ("transition_paths", "Each line is relative to the mean of all units."),
    "club": ("club_map", "Clubs of units whose paths converge."),
    "transition": ("transition_matrix", "Rows: class now; columns: class after one step."),
}
"""Estimand → the figure that shows it, and what its caption says."""

_WHOLE = ("malmquist", "transition")
"""Estimands whose figure also shows the other estimands of the table."""

_BY_ESTIMAND = {
    "ptec": ("fare1994",), "index": ("shannon1948", "hwang1981"), "weight": ("shannon1948",),
    "theil_t": ("theil1967",), "theil_l": ("theil1967",),
    "dagum_gini": ("dagum1997",), "beta_slope": ("barro1992",), "sigma": ("barro1992",),
    "club": ("phillips2007", "phillips2009"), "log_t": ("phillips2007",),
    "transition": ("quah1993",), "environment": ("fried2002",),
}  # fmt: skip
_BY_SOURCE = (
    (("dea", "vrs"), ("banker1984",)), (("dea", "bias-corrected"), ("simar1998",)), (("ray–desli",), ("ray1997",)),
    (("malmquist", "bias-corrected"), ("simar1999",)), (("malmquist–luenberger", "global"), ("oh2010",)),
    (("malmquist,", "global"), ("pastor2005",)), (("slack-based malmquist",), ("tone2001", "tone2002")),
)  # fmt: skip
"""Words of a source → what it rests on besides the references of its name."""
_PROGRAMS = {"charnes1978", "tone2001", "chambers1998", "fare1994"}
"""References of measures that are linear programs, which HiGHS solves."""
_SHORT, _LONG = 4, 15
"""Estimands with fewer rows share a table; tables with more rows are folded."""
_CHANCE = re.compile(r"(?:; )?prob_positive is (P\([^)]*\))")
_KEYS = (
    *(("unit", "Unit"), ("region", "Region"), ("period", "Period"), ("term", "Term"), ("term_to", "To")),
    *(("variant", "Variant"), ("source", "Source")),
)


def is_measured(results: Any) -> bool:
    """Whether these are estimates, or several of them, instead of a fit."""
    return isinstance(results, Estimates) or (
        isinstance(results, Sequence) and not isinstance(results, str) and all(isinstance(part, Estimates) for part in results)
    )


def sections_of(measured: Estimates | Sequence[Estimates]) -> tuple[Section, ...]:
    """A section for each table of estimates, in the order given. Raises :class:`SpecificationError` for anything else, or nothing."""
    if not is_measured(measured) or not len(measured):
        raise SpecificationError("Expected bayes.Estimates from bayes.measure, or a list of them, with at least one.")
    parts = [measured] if isinstance(measured, Estimates) else list(measured)
    sections, anchors = [], set()
    for part in parts:
        anchor = _anchor(part, anchors)
        anchors.add(anchor)
        sections.append(_section(part, anchor))
    return tuple(sections)


def build_sections(measured: Any, **_: Any) -> tuple[Section, ...]:
    """A whole page of measured quantities, with the references that they rest on."""
    parts = [measured] if isinstance(measured, Estimates) else list(measured)
    return (*sections_of(parts), Section("References", "references", references_listed(reference_keys(parts)), references=True))


def default_title(measured: Any, outcome: str | None = None) -> str:
    """Heading of a page without ``title=``: the outcome in words, else the title of the first table."""
    first = measured if isinstance(measured, Estimates) else measured[0]
    return outcome or first.title or "Measurement"


def reference_keys(parts: Sequence[Estimates]) -> list[str]:
    """References of the sources and estimands of some estimates."""
    keys = keys_of_sources(source for part in parts for source in part.frame["source"].unique())
    keys += [key for part in parts for estimand in part.frame["estimand"].unique() for key in _BY_ESTIMAND.get(estimand, ())]
    for source in {str(source).lower() for part in parts for source in part.frame["source"]}:
        keys += [key for words, found in _BY_SOURCE if all(word in source for word in words) for key in found]
    if any("super_efficiency" in set(part.frame["estimand"]) for part in parts):
        keys += ["tone2002" if "tone2001" in keys else "andersen1993"]
    if any("Bayesian bootstrap" in interval for part in parts for interval in part.frame["interval"]):
        keys.append("rubin1981")
    if _PROGRAMS & set(keys):
        keys.append("huangfu2018")
    return list(dict.fromkeys(keys))


# ── one section ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _section(part: Estimates, anchor: str) -> Section:
    paragraphs = [_sentence(part.meta["convention"])] if part.meta.get("convention") else []
    missing = part.frame["estimate"].isna()
    if missing.any():
        reasons = listed(list(dict.fromkeys(note for note in part.frame.loc[missing, "note"] if note)) or ["see the notes"])
        paragraphs.append(f"{int(missing.sum())} of {len(part)} values do not exist ({reasons}).")
    return Section(part.title or anchor, anchor, tuple(paragraphs), tables=_tables(part), figures=_figures(part))


def _sentence(words: str) -> str:
    return words.replace("_", " ", 1)[:1].upper() + words.replace("_", " ", 1)[1:].rstrip(".") + "."


def _figures(part: Estimates) -> tuple[Figure, ...]:
    from bayes import plots

    figures = []
    for estimand in dict.fromkeys(part.frame["estimand"]):
        if estimand not in _FIGURES:
            continue
        name, caption = _FIGURES[estimand]
        whole = estimand in _WHOLE
        if name == "productivity" and (part.frame["unit"] != "").any():
            name, caption, whole = "heat_map", f"One row a unit, one column a period. {caption}", False
        rows = part if whole else part.where(estimand=estimand)
        rows = _one_number(rows) if name == "heat_map" else rows
        if _drawable(name, rows.frame):
            figures.append(_figure(getattr(plots, name), rows, f"{part.title}: {estimand.replace('_', ' ')}", caption))
    return tuple(figures)


def _one_number(rows: Estimates) -> Estimates:
    """The first source and variant: a cell of a matrix has room for one."""
    first = rows.frame.iloc[0]
    return rows.where(source=first["source"], variant=first["variant"], term=first["term"])


def _figure(draw: Callable[..., Any], rows: Estimates, alt: str, caption: str) -> Figure:
    return Figure(lambda width: draw(rows, width=width), alt, caption)


def _drawable(figure: str, frame: pd.DataFrame) -> bool:
    """Whether rows have what the figure needs."""
    from bayes.plots._panels import MOST_PANELS

    over_time, by_unit = frame["period"].notna().any(), (frame["unit"] != "").any()
    few_panels = frame["region"].nunique() <= MOST_PANELS
    if figure == "heat_map":
        return bool(over_time and by_unit)
    if figure == "productivity":
        return bool(not by_unit and (few_panels or not over_time))
    if figure == "transition_matrix":
        return few_panels
    return figure != "gini_decomposition" or bool(over_time and (frame["term"] == "within").any())


def _tables(part: Estimates) -> tuple[Table, ...]:
    """A matrix unit × period where there is one number each, otherwise a row each; long tables are folded, short ones joined."""
    tables, short = [], []
    for estimand, rows in part.frame.groupby("estimand", sort=False):
        title = str(estimand).replace("_", " ").capitalize()
        if _is_matrix(rows):
            wide = rows.pivot_table("estimate", "unit", "period", dropna=False)
            wide.columns = [f"{column:g}" for column in wide.columns]
            tables.append(Table(f"{title} by unit and period", wide.reset_index(names="Unit"), folded=True))
        elif len(rows) < _SHORT:
            short.append(estimand)
        else:
            tables.append(Table(title, _listed_rows(rows), folded=len(rows) > _LONG))
    if short:
        rows = part.frame[part.frame["estimand"].isin(short)]
        named = rows["estimand"].str.replace("_", " ").str.capitalize()
        listed_rows = _listed_rows(rows)
        listed_rows.insert(0, "Quantity", named.to_numpy())
        tables.append(Table("", listed_rows))
    return tuple(tables)


def _is_matrix(rows: pd.DataFrame) -> bool:
    keyed = (rows["unit"] != "").all() and rows["period"].notna().all()
    return bool(keyed and not rows.duplicated(["unit", "period"]).any() and len(set(rows["period"])) > 1)


def _listed_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The labels that differ, the estimate with its interval, the probability, the note."""
    out = {}
    for column, heading in _KEYS:
        values = rows[column]
        if len(set(values.astype(str))) > 1:
            out[heading] = [f"{v:g}" if isinstance(v, float) and pd.notna(v) else "" if pd.isna(v) else str(v) for v in values]
    heading = "Estimate" if rows["level"].isna().all() else f"Estimate [{level_of(rows)} interval]"
    out[heading] = [
        estimate_words(b, low, high) if pd.notna(b) else "none"
        for b, low, high in rows[["estimate", "lower", "upper"]].itertuples(index=False)
    ]
    if rows["prob_positive"].notna().any():
        out |= _chances(rows)
    notes = [_CHANCE.sub("", note) for note in rows["note"]]
    if any(notes):
        out["Note"] = notes
    return pd.DataFrame(out)


def _chances(rows: pd.DataFrame) -> dict[str, list[str]]:
    """A column of probabilities under what they are probabilities of; where rows differ in that, each says it."""
    shown = [(p, (_CHANCE.findall(note) or ["P(> 0)"])[0]) for p, note in rows[["prob_positive", "note"]].itertuples(index=False)]
    named = {name for p, name in shown if pd.notna(p)}
    if len(named) == 1:
        return {named.pop(): ["" if pd.isna(p) else f"{p:.2f}" for p, _ in shown]}
    return {"Probability": ["" if pd.isna(p) else f"{p:.2f} {name}" for p, name in shown]}


def _anchor(part: Estimates, taken: set[str]) -> str:
    base = re.sub(r"[^a-z0-9]+", "-", (part.title or part.frame["estimand"].iloc[0]).lower()).strip("-") or "measured"
    names = [f"measured-{base}", *(f"measured-{base}-{n}" for n in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)

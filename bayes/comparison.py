"""Comparison: several sources' estimates of the same things, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes.arguments import checked, checked_methods
from bayes.errors import SpecificationError
from bayes.estimates import KEYS, Estimates
from bayes.reporting import tables as writing
from bayes.reporting.tables import Table, estimate_words, format_number
from bayes.validation import one_of
from bayes.writing import write_text

_ESTIMAND_WORDS = {"att": "ATT, sample", "att_population": "ATT, population mean", "att_new_unit": "ATT, new unit"}
_TERM_WORDS = {"simple": "overall", "event": "by event time", "cohort": "by cohort", "calendar": "by period", "region": "by region"}

# How an estimator's overall number averages the cells, where the source itself does not say it.
_AGGREGATIONS = (
    (("etwfe", "wooldridge"), "mean over treated rows"),
    (("twfe", "two-way"), "one regression coefficient; OLS weights the cells, some weights can be negative"),
    (("callaway", "cs,", "csdid"), "mean of ATT(g, t) over post-treatment cells, weighted by cohort size"),
    (("sun",), "mean of cohort × event-time effects, weighted by cohort size"),
    (("imputation", "borusyak", "bjs", "gardner", "two-stage", "did2s"), "mean over treated rows"),
)


@checked
def compare(*estimates: Estimates, labels: Sequence[str] | None = None, title: str = "") -> Comparison:
    """Put the estimates of several sources side by side, joined on what is estimated.

    Parameters
    ----------
    *estimates : Estimates
        Posterior, frequentist or published. The first source of the first argument is the reference for differences.
    labels : sequence of str, optional
        New source names, one per argument; for arguments with one source each, for example two fits of the same model.
    title : str
        Heading of the table.

    Returns
    -------
    Comparison
        Rows are matched on :data:`bayes.estimates.KEYS`. A row whose ``variant`` the reference lacks is set beside the reference's row
        without variant: the same estimand, computed otherwise.

    Raises
    ------
    SpecificationError
        Nothing to compare, an argument that is not Estimates, a source without a name, or one source giving the same estimate twice.
    """
    if not estimates:
        raise SpecificationError("Nothing to compare: give at least one bayes.Estimates, for example fit.att('simple').")
    for table in estimates:
        if not isinstance(table, Estimates):
            raise SpecificationError(f"compare takes bayes.Estimates, got {type(table).__name__}. A fit gives them with fit.att('simple').")
    if labels is not None:
        estimates = _relabelled(estimates, labels)
    frame = pd.concat([table.frame for table in estimates], ignore_index=True)
    _refuse_unusable(frame)
    aggregation = {}
    for table in estimates:
        for source, part in table.frame.groupby("source", sort=False):
            aggregation.setdefault(source, _aggregation_of(str(source), part, table.meta))
    warning = " ".join(dict.fromkeys(filter(None, (_failure(table.meta) for table in estimates))))
    return Comparison(frame, str(frame["source"].iloc[0]), aggregation, title or "Comparison of estimates", warning)


@checked_methods
@dataclass(frozen=True, eq=False)
class Comparison:
    """Estimates of several sources, stacked, with their distance from a reference source.

    Attributes
    ----------
    frame : pandas.DataFrame
        All rows stacked, columns of :data:`bayes.estimates.COLUMNS`; ``source`` tells them apart.
    reference : str
        Source from which differences are taken.
    aggregation : dict
        Source → how its overall number averages the cells.
    title : str
        Heading.
    warning : str
        Opens every table; set when a fit did not pass its diagnostics.
    """

    frame: pd.DataFrame
    reference: str
    aggregation: dict[str, str] = field(default_factory=dict)
    title: str = ""
    warning: str = ""

    @cached_property
    def joined(self) -> pd.DataFrame:
        """The stacked rows with numbers beside them: ``reference_estimate``, ``difference`` from it, ``intervals_overlap`` (missing where
        a row has no interval), ``sd_ratio`` and ``sd_ratio_estimand``.

        ``sd_ratio`` is posterior sd / standard error, for a posterior beside an estimate with a (cluster-robust) standard error. Where
        the posterior has the row, it is taken from ``att_population``: the effect without these units' own deviations, which is what the
        cluster standard error measures.
        """
        return _joined(self.frame, self.reference)

    def where(self, **conditions: Any) -> Comparison:
        """The rows in which every named column equals the value (or is in the list) given; differences and ratios keep their values."""
        kept = Estimates(self.frame.assign(_row=np.arange(len(self.frame)))).where(**conditions).frame.pop("_row").to_numpy()
        if not len(kept):
            raise SpecificationError(f"No row of the comparison has {conditions}.")
        part = replace(self, frame=self.frame.iloc[kept].reset_index(drop=True))
        part.__dict__["joined"] = self.joined.iloc[kept].reset_index(drop=True)
        return part

    def table(self, by: str = "term") -> pd.DataFrame:
        """The comparison as cells of text.

        Parameters
        ----------
        by : {"term", "source", "region"}
            ``term``: one row per estimand and source with estimate [interval], difference from the reference, whether the intervals overlap
            and the ratio of sds. ``source`` or ``region``: that key across the columns, estimate [interval] in the cells.
        """
        if one_of("by", by, ("term", "source", "region")) == "term":
            return _long_table(self.joined, self.reference)
        return _wide_table(self.joined, by)

    def as_table(self, by: str = "term", title: str | None = None) -> Table:
        """Cells with title, notes and, where a fit failed, the warning."""
        return Table(self.title if title is None else title, self.table(by), "\n".join(self._notes(by)), self.warning, grouped=by == "term")

    def sources(self) -> list[Estimates]:
        """One Estimates per source, for ``maketables.ETable(comparison.sources())``."""
        return [Estimates(part.reset_index(drop=True), title=str(source)) for source, part in self.frame.groupby("source", sort=False)]

    def _notes(self, by: str) -> list[str]:
        notes = list(_interval_notes(self.frame))
        if by == "term":
            if self.joined["difference"].notna().any():
                notes.append(f"Difference: from {self.reference}. Overlap: whether the two intervals share a point.")
            notes += _ratio_note(self.joined)
        notes += self._aggregation_note()
        return notes + self._row_notes()

    def _row_notes(self, most: int = 6) -> list[str]:
        """What single rows carry, prior-driven rows first; the overall rows' notes are already said with the aggregation."""
        said = self.frame["note"] == self.frame["source"].map(self.aggregation)
        kept = self.frame.assign(note=self.frame["note"].map(remark).where(~said, ""))
        kept = kept[kept["note"] != ""]
        kept = kept.iloc[np.argsort(~kept["note"].str.contains("prior-driven"), kind="stable")]
        lines = []
        for text, part in kept.groupby("note", sort=False):
            named = list(dict.fromkeys(part["source"] + part["region"].map(lambda region: f", {region}" if region else "")))
            lines.append(f"{' | '.join(named[:3])}{' | …' if len(named) > 3 else ''}: {text}.".replace("..", "."))
        return lines if len(lines) <= most else [*lines[:most], f"{len(lines) - most} further notes stand in the column 'note'."]

    def _aggregation_note(self) -> list[str]:
        overall = set(self.frame.loc[self.frame["term"] == "simple", "source"])
        grouped: dict[str, list[str]] = {}
        for source, words in self.aggregation.items():
            if source in overall and words:
                grouped.setdefault(words, []).append(source)
        return [f"Overall number of {' | '.join(names)}: {words}." for words, names in grouped.items()]

    # ── shown and written ───────────────────────────────────────────────────────────────────────────────────────────

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return self.as_table().text(120)

    def _repr_html_(self) -> str:
        return self.as_table().html()

    def to_markdown(self, path: str | Path | None = None, by: str = "term") -> str:
        text = self.as_table(by).markdown()
        if path is not None:
            write_text(path, text, "the table")
        return text

    def to_tex(self, path: str | Path | None = None, by: str = "term") -> str:
        """LaTeX; the document needs booktabs, tabularx, threeparttable, makecell and array."""
        text = writing.as_latex(self.as_table(by))
        if path is not None:
            write_text(path, text, "the table")
        return text

    def to_docx(self, path: str | Path, by: str = "term") -> None:
        writing.save_docx([self.as_table(by)], path)

    def to_csv(self, path: str | Path) -> None:
        """All columns of :attr:`joined` as numbers; text that starts like a formula gets a leading apostrophe."""
        writing.save_csv(self.joined, path)

    # ── maketables ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        """Coefficient table of the maketables protocol, one row per estimand and source; no p-values, no stars, and no colon in a name
        (maketables reads it as an interaction)."""
        f = self.frame
        labels = [f"{estimand_words(row)}, {row['source']}".replace(":", ",") for row in f.to_dict("records")]
        table = pd.DataFrame(
            {
                "b": f["estimate"].to_numpy(),
                "se": f["se"].to_numpy(),
                "p": np.nan,
                "ci95l": f["lower"].to_numpy(),
                "ci95u": f["upper"].to_numpy(),
            }
        )
        return table.set_index(pd.Index(labels, name="Coefficient"))

    @property
    def __maketables_depvar__(self) -> str:
        return ""

    def __maketables_stat__(self, key: str) -> Any:
        n = self.frame["n_obs"].dropna()
        return int(n.max()) if key == "N" and len(n) else None


# ── checks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _relabelled(estimates: Sequence[Estimates], labels: Sequence[str]) -> tuple[Estimates, ...]:
    if len(labels) != len(estimates):
        raise SpecificationError(f"{len(labels)} labels for {len(estimates)} arguments: give one per argument.")
    renamed = []
    for table, label in zip(estimates, labels, strict=True):
        if len(set(table.frame["source"])) > 1:
            raise SpecificationError(
                f"Label {label!r} would merge the sources {sorted(set(table.frame['source']))}. Split them with .where(source=...)."
            )
        renamed.append(replace(table, frame=table.frame.assign(source=label)))
    return tuple(renamed)


def _refuse_unusable(frame: pd.DataFrame) -> None:
    if frame.empty:
        raise SpecificationError("The estimates to compare have no rows.")
    if (frame["source"] == "").any():
        raise SpecificationError(
            f"{int((frame['source'] == '').sum())} rows have no source. Name it in the column 'source', or pass labels=."
        )
    repeated = frame.duplicated(["source", *KEYS])
    if repeated.any():
        row = frame[repeated].iloc[0]
        raise SpecificationError(
            f"Source {row['source']!r} gives {estimand_words(row)} more than once ({int(repeated.sum())} repeated rows). "
            "Keep one with .where(), or pass labels= to tell two fits apart."
        )


def _failure(meta: dict[str, Any]) -> str:
    """Words for the top of every table when these estimates come from a fit that failed its diagnostics."""
    verdict = str(meta.get("verdict", ""))
    if meta.get("passed", "NOT pass" not in verdict):
        return ""
    return verdict or "This fit did NOT pass its sampling checks; see fit.diagnose()."


def _aggregation_of(source: str, rows: pd.DataFrame, meta: dict[str, Any]) -> str:
    given = meta.get("aggregation", "")
    given = given.get(source, "") if isinstance(given, dict) else given
    if given:
        return str(given)
    if rows["interval"].astype(str).str.contains("posterior").any():
        weights = str(meta.get("weights") or "treated rows")
        return "mean over treated rows" if weights == "treated rows" else f"mean over treated rows, weighted by {weights}"
    noted = rows.loc[(rows["term"] == "simple") & (rows["note"] != ""), "note"]
    if len(noted):
        return str(noted.iloc[0])
    name = source.lower()
    return next((words for marks, words in _AGGREGATIONS if any(mark in name for mark in marks)), "aggregation not stated by the source")


# ── the join ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _keys(frame: pd.DataFrame, without: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
    """A hashable key per row in which missing equals missing."""
    columns = [frame[c].astype(object).where(frame[c].notna(), None) for c in KEYS if c not in without]
    return list(zip(*columns, strict=True))


def _joined(frame: pd.DataFrame, reference: str) -> pd.DataFrame:
    mine = frame[frame["source"] == reference]
    exact = dict(zip(_keys(mine), mine.index, strict=True))
    plain = mine[mine["variant"] == ""]
    loose = dict(zip(_keys(plain, ("variant",)), plain.index, strict=True))
    partner = [exact.get(key, loose.get(short)) for key, short in zip(_keys(frame), _keys(frame, ("variant",)), strict=True)]
    partner = [None if source == reference else row for row, source in zip(partner, frame["source"], strict=True)]
    beside = frame.reindex([-1 if row is None else row for row in partner]).reset_index(drop=True)
    known = frame[["lower", "upper"]].notna().all(axis=1) & beside[["lower", "upper"]].notna().all(axis=1)
    overlap = (frame["lower"] <= beside["upper"]) & (beside["lower"] <= frame["upper"])
    population = _population_rows(frame)
    ratios = [_sd_ratio(frame, row, other, population) for row, other in zip(frame.index, partner, strict=True)]
    return frame.assign(
        reference_estimate=beside["estimate"],
        difference=frame["estimate"] - beside["estimate"],
        intervals_overlap=overlap.astype("boolean").where(known),
        sd_ratio=[ratio for ratio, _ in ratios],
        sd_ratio_estimand=[estimand for _, estimand in ratios],
    )


def _population_rows(frame: pd.DataFrame) -> dict[int, int]:
    """Row of an ``att`` → row of the same source's ``att_population`` of the same aggregation, where both exist."""
    short = [(source, *key) for source, key in zip(frame["source"], _keys(frame, ("estimand",)), strict=True)]
    means = {key: row for row, key in zip(frame.index, short, strict=True) if frame.loc[row, "estimand"] == "att_population"}
    return {row: means[key] for row, key in zip(frame.index, short, strict=True) if frame.loc[row, "estimand"] == "att" and key in means}


def _sd_ratio(frame: pd.DataFrame, row: int, other: int | None, population: dict[int, int]) -> tuple[float, str]:
    """Posterior sd / standard error of a row and its reference, when exactly one of them is a posterior; and the estimand of that sd."""
    if other is None:
        return np.nan, ""
    posterior = ["posterior" in str(kind) for kind in frame.loc[[row, other], "interval"]]
    if sum(posterior) != 1:
        return np.nan, ""
    bayes, classic = (row, other) if posterior[0] else (other, row)
    chosen = population.get(bayes, bayes)
    if not frame.loc[classic, "se"] > 0 or not frame.loc[chosen, "se"] > 0:
        return np.nan, ""
    return float(frame.loc[chosen, "se"] / frame.loc[classic, "se"]), str(frame.loc[chosen, "estimand"])


# ── cells ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def estimand_words(row: Any) -> str:
    """What a row estimates, in words: ``ATT, sample: overall``, ``ATT, sample: 2 after treatment``."""
    name = _ESTIMAND_WORDS.get(row["estimand"], str(row["estimand"]).replace("_", " "))
    parts = [part for part in (row["term_to"], row["variant"], row["unit"]) if part]
    if pd.notna(row["event_time"]):
        parts.append(f"event time {format_number(float(row['event_time'])).removesuffix('.000')}")
    parts += [f"{word} {row[word]:g}" for word in ("cohort", "period") if pd.notna(row[word])]
    term = row["term"]
    if not parts or term not in ("event", "cohort", "calendar", "region", "region:event", "cell"):
        parts.insert(0, _TERM_WORDS.get(term, str(term)))
    return f"{name}: {', '.join(p for p in parts if p)}" if any(parts) else name


def remark(note: str) -> str:
    """A row's note without its weights, which every table says once for all rows."""
    return "; ".join(part for part in note.split("; ") if not part.startswith("weights: "))


def _cell(row: Any) -> str:
    if pd.isna(row["estimate"]):
        return "not identified" if not row["identified"] else ""
    return estimate_words(row["estimate"], row["lower"], row["upper"])


def _ordered(joined: pd.DataFrame) -> pd.DataFrame:
    """Rows with the same estimand together, in order of first appearance; the reference's row first."""
    keys = _keys(joined, ("variant",))
    place = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    return joined.iloc[np.argsort([place[key] for key in keys], kind="stable")]


def _long_table(joined: pd.DataFrame, reference: str) -> pd.DataFrame:
    rows = []
    for row in _ordered(joined).to_dict("records"):
        overlap = row["intervals_overlap"]
        rows.append(
            {
                "Estimand": estimand_words({**row, "variant": ""}),
                "Region": row["region"],
                "Source": row["source"] + (f" ({row['variant']})" if row["variant"] else ""),
                "Estimate [interval]": _cell(row),
                "Difference": format_number(row["difference"], signed=True),
                "Overlap": "" if pd.isna(overlap) else "yes" if overlap else "no",
                "SD ratio": "" if pd.isna(row["sd_ratio"]) else f"{row['sd_ratio']:.2f}",
            }
        )
    table = pd.DataFrame(rows)
    repeated = table["Estimand"].eq(table["Estimand"].shift()) & table["Region"].eq(table["Region"].shift())
    table.loc[repeated, ["Estimand", "Region"]] = ""
    optional = [c for c in ("Region", "Difference", "Overlap", "SD ratio") if (table[c] == "").all()]
    return table.drop(columns=optional)


def _wide_table(joined: pd.DataFrame, by: str) -> pd.DataFrame:
    records = _ordered(joined).to_dict("records")
    columns = list(dict.fromkeys(row[by] or "all" for row in records))
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in records:
        label = estimand_words({**row, "variant": row["variant"] if by == "region" else ""})
        side = row["region"] if by == "source" else row["source"]
        cells = lines.setdefault((label, side), dict.fromkeys(columns, ""))
        place = row[by] or "all"
        text = _cell(row) + (f" ({row['variant']})" if row["variant"] and by == "source" else "")
        cells[place] = f"{cells[place]}; {text}" if cells[place] else text
    side_name = "Region" if by == "source" else "Source"
    table = pd.DataFrame([{"Estimand": label, side_name: side, **cells} for (label, side), cells in lines.items()])
    return table.drop(columns=[side_name]) if (table[side_name] == "").all() else table


def _interval_notes(frame: pd.DataFrame) -> list[str]:
    shown = frame[frame["lower"].notna()]
    kinds: dict[str, list[str]] = {}
    for (level, kind), part in shown.groupby(["level", "interval"], sort=False, dropna=False):
        words = f"{100 * level:g} % {kind or 'interval'}" if pd.notna(level) else (kind or "interval of unstated level")
        kinds.setdefault(words, []).extend(dict.fromkeys(part["source"]))
    if len(kinds) < 2:
        return [f"Intervals: {words}." for words in kinds]
    names = {words: list(dict.fromkeys(found)) for words, found in kinds.items()}
    most = max(names, key=lambda words: len(names[words]))
    parts = [f"{words} [{' | '.join(found)}]" for words, found in names.items() if words != most]
    return ["Intervals: " + "; ".join([*parts, f"{most} [all others]"]) + "."]


def _ratio_note(joined: pd.DataFrame) -> list[str]:
    used = sorted(set(joined["sd_ratio_estimand"]) - {""})
    if not used:
        return []
    which = " and ".join(_ESTIMAND_WORDS.get(name, name) for name in used)
    return [f"SD ratio: posterior sd ({which}) / standard error of the source in the row."]

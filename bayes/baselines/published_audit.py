"""Audit of printed figures: do the numbers of a study agree with one another, rounding allowed for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bayes.arguments import checked, checked_methods
from bayes.baselines import _printed_checks as printed
from bayes.baselines import _stated_checks as text_of
from bayes.baselines._printed_rows import CONTRADICTED, HOLDS, OPEN, Check, PrintedRow, printed_rows
from bayes.baselines._stated_checks import Stated
from bayes.baselines._treated_rows import Coding
from bayes.baselines.published_estimates import facts_path, printed_text
from bayes.errors import DataError, DatasetError, SpecificationError
from bayes.estimates import COLUMNS, KEYS, Estimates
from bayes.reporting.tables import Table
from bayes.validation import one_of

_SHOWN = ("check", "place", "printed", "arithmetic", "verdict")
_WHICH = {"findings": CONTRADICTED, "remarks": OPEN, "holds": HOLDS}


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class AuditReport:
    """What an audit found.

    Attributes
    ----------
    study : str
    checks : pandas.DataFrame
        Every check done: check, place, printed, arithmetic (with the interval that each rounded figure stands for), outcome
        (``contradicted``, ``open``: the rounding allows both, or something needed is not printed, ``holds``) and verdict in words.
    codings : pandas.DataFrame
        Every number of treated units and periods that the printed mean of the treatment allows: units, periods, later_units,
        later_periods, treated_rows, uses (which stated number of units it has; empty where none).
    statements : int
        Rows that state something without a figure; nothing of them can be checked.
    """

    study: str
    checks: pd.DataFrame
    codings: pd.DataFrame
    statements: int = 0

    @property
    def findings(self) -> pd.DataFrame:
        """Contradictions: check, place, printed, arithmetic, verdict."""
        return self._rows("findings")

    @property
    def remarks(self) -> pd.DataFrame:
        """Checks that rounding or missing figures leave open, same columns."""
        return self._rows("remarks")

    def table(self, which: str = "findings") -> pd.DataFrame:
        """Cells of text of ``findings``, ``remarks``, ``holds`` or ``all``."""
        one_of("which", which, (*_WHICH, "all"))
        return self.checks.copy() if which == "all" else self._rows(which)

    def as_table(self, which: str = "findings") -> Table:
        """The same with title and notes, ready for HTML, Markdown and text."""
        return Table(f"Audit of the printed figures: {self.study}", self.table(which), "\n".join([self.summary, *self._notes()]))

    @property
    def summary(self) -> str:
        """How many checks were done and how they came out."""
        if self.checks.empty:
            said = f"; {self.statements} statements have no figure" if self.statements else ""
            return f"No two printed figures can be checked against one another{said}."
        count = {name: int((self.checks["outcome"] == outcome).sum()) for name, outcome in _WHICH.items()}
        return f"{len(self.checks)} checks: {count['findings']} contradicted, {count['remarks']} left open, {count['holds']} hold."

    def _rows(self, which: str) -> pd.DataFrame:
        return self.checks.loc[self.checks["outcome"] == _WHICH[which], list(_SHOWN)].reset_index(drop=True)

    def _notes(self) -> list[str]:
        return ["A contradiction holds for every value that rounds to the printed figures."] if len(self.findings) else []

    def __repr__(self) -> str:
        return self.as_table().text(140) if len(self.findings) else f"Audit of the printed figures: {self.study}\n{self.summary}"

    def _repr_html_(self) -> str:
        return self.as_table().html()


@checked
def audit(study: str | Path | Estimates) -> AuditReport:
    """Check the printed figures of a study against one another and against what its text states.

    Every printed number stands for all values that round to it; what is reported as a finding holds for all of them. Checks: stars against
    t, or against estimate/standard error; t as printed; n = units × periods; units of regions; mean of the treatment times n against
    stated treated units and dates, with every coding that fits; driving × direct = indirect; total = direct + indirect; constant + effect
    × mean; the rise of R² against t of the variable added; signs, orders and figures that the text repeats. What a study does not print
    is not checked.

    Parameters
    ----------
    study : str, Path or Estimates
        Name of a published study; a CSV file of one's own with the columns of ``data/published`` (digits as printed) and, beside it, a TOML
        file of the same name with what the text states; or printed Estimates. Rows of :func:`bayes.published` are checked as their file
        prints them, with the study's statements only when all rows are there; of other Estimates only sums and products can be checked,
        taken as rounded to the most decimals that their estimand has.

    Returns
    -------
    AuditReport

    Raises
    ------
    DatasetError
        The study is not known, or the file does not exist.
    SpecificationError
        Estimates with draws: those are computed, not printed.
    DataError, MissingColumnError
        A file that cannot be read: the place is named.
    """
    if isinstance(study, Estimates):
        return _audit_estimates(study)
    if isinstance(study, Path):
        if not study.is_file():
            raise DatasetError(f"The file {study} does not exist. Give the path of a CSV file of printed figures.")
        path, name = study, study.stem
    else:
        from bayes.datasets import published_path

        path, name = published_path(study), study
    return _report(name, printed_rows(printed_text(path)), Stated.read(facts_path(path)))


def _audit_estimates(estimates: Estimates) -> AuditReport:
    if estimates.draws is not None:
        raise SpecificationError("An audit checks printed figures; these estimates have draws, so they are computed. Give published ones.")
    name = estimates.meta.get("study")
    if name is None:
        return _report(estimates.title or "estimates", printed_rows(_as_text(estimates.frame)), Stated())
    from bayes.datasets import published_path

    path = published_path(name)
    text = printed_text(path)
    wanted = set(_keys(estimates.frame))
    kept = [key in wanted for key in _keys(text)]
    if sum(kept) != len(wanted):
        raise DataError(f"{len(wanted) - sum(kept)} rows are not those of {path.name}. Give bayes.published({name!r}) without new labels.")
    return _report(name, printed_rows(text[kept]), Stated.read(facts_path(path)) if all(kept) else Stated())


def _keys(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    columns = [c for c in (*KEYS, "source") if isinstance(COLUMNS[c], str)]
    return list(frame[columns].itertuples(index=False, name=None))


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Estimates as text: shortest digits, filled up to the most decimals that their estimand has."""
    shortest = frame["estimate"].map(lambda v: "" if pd.isna(v) else f"{v:.12f}".rstrip("0").rstrip("."))
    most = shortest.map(lambda s: len(s.partition(".")[2])).groupby(frame["estimand"]).transform("max")
    estimate = [f"{v:.{int(d)}f}" if s else "" for v, d, s in zip(frame["estimate"], most, shortest, strict=True)]
    blank = dict.fromkeys(("se", "t", "t_printed", "stars", "place", "n_obs"), "")
    return frame[[*KEYS]].assign(estimate=estimate, **blank)


def _report(name: str, rows: list[PrintedRow], stated: Stated) -> AuditReport:
    shares, solutions = text_of.treated_share(rows, stated)
    mean = text_of.treated_mean(rows, stated)
    checks: Iterable[Check] = [
        *printed.stars_against_t(rows), *printed.t_as_printed(rows), *text_of.sample_size(rows, stated), *shares,
        *printed.products(rows), *printed.totals(rows),
        *printed.constants(rows, mean.value if mean else None, mean.text if mean else ""),
        *printed.partial_r2(rows, stated.units, stated.periods),
        *text_of.signs(rows, stated), *text_of.orders(rows, stated), *text_of.equalities(rows, stated),
    ]  # fmt: skip
    codings = pd.DataFrame([(*c, c.rows, uses) for c, uses in solutions], columns=[*Coding._fields, "treated_rows", "uses"])
    without = sum(r.value is None for r in rows)
    return AuditReport(name, pd.DataFrame(checks, columns=list(Check._fields)), codings, without)

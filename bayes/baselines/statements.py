"""What a study states in words without printing a figure, beside what was measured here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.reporting.tables import estimate_words
from bayes.validation import one_of

CLAIMS = {">": "P(> 0), of ratios P(> 1)", "<": "P(< 0), of ratios P(< 1)", "": "no claim on the sign"}
"""Words of a finding's claim: what the statement says about its rows."""

_GROUPINGS = ("all", "region", "unit", "period", "unit:period", "region:period")
"""Terms that say how rows were grouped and not what was measured."""

Finding = tuple[Mapping[str, Any], str, Estimates]
"""Which statements (conditions on their columns), the claim, and the rows that speak to it."""


@checked
def beside_statements(statements: Estimates, findings: Sequence[Finding]) -> pd.DataFrame:
    """A table with a line for each statement and each row measured for it, and the probability that the row is as stated.

    Parameters
    ----------
    statements : Estimates
        Rows whose ``note`` says what is stated: ``bayes.published(study)``. Rows with a figure are no statements and are left to
        :func:`bayes.compare`.
    findings : sequence of (conditions, claim, Estimates)
        ``conditions`` as in :meth:`Estimates.where` choose the statements; ``claim`` is ">", "<" or "" (the rows stand beside the statement
        without a probability). The probability is ``prob_positive`` of the row, or one less it: of ratios P(> 1) where their table says so.

    Returns
    -------
    pandas.DataFrame
        ``Statement``, ``About``, ``Measured here``, ``Estimate``, ``P(as stated)``. A statement for which nothing was measured says so; a
        row that does not exist gives its reason.

    Raises
    ------
    SpecificationError
        No statement without a figure, conditions that choose none, an unknown claim, findings without rows, or something that is no
        Estimates.
    """
    if not isinstance(statements, Estimates) or statements.frame["estimate"].notna().all():
        raise SpecificationError("statements has no row that states something without a figure: give bayes.published(study).")
    said = statements.where(identified=False).frame
    cells: dict[int, list[dict[str, str]]] = {k: [] for k in said.index}
    for finding in findings:
        conditions, claim, rows = _sound(finding)
        for k in _chosen(said, conditions):
            cells[k] += [_cells(row, claim, len(set(rows.frame["source"])) > 1) for row in rows.frame.to_dict("records")]
    nothing = {"Measured here": "nothing", "Estimate": "", "P(as stated)": ""}
    lines = []
    for k, row in enumerate(said.to_dict("records")):
        for number, found in enumerate(cells[k] or [nothing]):
            about = f"{row['term'].replace('_', ' ')}{', ' if row['term'] and row['region'] else ''}{row['region']}"
            heading = {"Statement": _statement(row["note"]), "About": about} if number == 0 else {"Statement": "", "About": ""}
            lines.append(heading | found)
    return pd.DataFrame(lines)


def _sound(finding: Any) -> Finding:
    if not isinstance(finding, tuple) or len(finding) != 3 or not isinstance(finding[0], Mapping):
        raise SpecificationError("A finding is (conditions, claim, Estimates): ({'estimand': 'beta_slope'}, '<', catching_up).")
    conditions, claim, rows = finding
    one_of("claim", claim, tuple(CLAIMS))
    if not isinstance(rows, Estimates) or not len(rows):
        raise SpecificationError(f"The finding for {dict(conditions)} has no rows of bayes.Estimates: check its .where(…).")
    return conditions, claim, rows


def _chosen(said: pd.DataFrame, conditions: Mapping[str, Any]) -> list[int]:
    """Which statements the conditions choose."""
    places = Estimates(said.assign(n_obs=range(len(said)))).where(**conditions).frame["n_obs"]
    if places.empty:
        raise SpecificationError(f"No statement has {dict(conditions)}: choose by estimand, term and region of the statements.")
    return [int(k) for k in places]


def _statement(note: str) -> str:
    return re.sub(r"; no (single )?figure printed$", "", note.removeprefix("stated: "))


def _cells(row: dict[str, Any], claim: str, with_source: bool) -> dict[str, str]:
    chance = row["prob_positive"] if claim == ">" else 1 - row["prob_positive"]
    known = pd.notna(row["estimate"])
    parts = [row["term"] if row["term"] not in _GROUPINGS else "", row["variant"], row["unit"]]
    parts.append(f"{row['region']} against {row['term_to']}" if row["term_to"] else row["region"])
    words = ", ".join(part for part in [row["estimand"], *parts, row["source"] if with_source else ""] if part)
    return {
        "Measured here": words.replace("_", " "),
        "Estimate": _number(row) if known else f"none: {row['note']}",
        "P(as stated)": f"{chance:.2f}" if claim and known and pd.notna(chance) else "",
    }


def _number(row: dict[str, Any]) -> str:
    """With its interval; a count, such as a number of clubs, without decimals."""
    count = pd.isna(row["lower"]) and float(row["estimate"]).is_integer()
    return f"{row['estimate']:.0f}" if count else estimate_words(row["estimate"], row["lower"], row["upper"])

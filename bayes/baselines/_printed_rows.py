"""Printed figures as intervals of what they can stand for, and the outcome of a check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from bayes.baselines._printed_numbers import Interval, decimals, rounded
from bayes.errors import DataError

STARS = ("", "*", "**", "***")
CONTRADICTED, OPEN, HOLDS = "contradicted", "open", "holds"


class Check(NamedTuple):
    """One check: what was compared, where it stands, what is printed, the sum done, how it came out, and that in words."""

    check: str
    place: str
    printed: str
    arithmetic: str
    outcome: str
    verdict: str


class PrintedRow(NamedTuple):
    """One printed figure: its key, its texts, and the intervals that they stand for (None where nothing is printed)."""

    estimand: str
    term: str
    variant: str
    region: str
    place: str
    text: str
    value: Interval | None
    se_text: str
    se: Interval | None
    t_text: str
    t: Interval | None
    t_printed: str
    stars: str
    n_obs: str

    @property
    def table(self) -> str:
        return self.place.partition(",")[0]

    @property
    def words(self) -> str:
        """Where the figure stands; its key where no place is known."""
        return self.place or " ".join(filter(None, (self.estimand, self.term, self.variant, self.region)))

    def absolute_t(self) -> tuple[Interval, str] | None:
        """|t| and the sum behind it: t as printed, else estimate / standard error."""
        if self.value is None:
            return None
        if self.t is not None:
            return abs(self.t), f"|t| = {self.t_text.lstrip('-')} {abs(self.t)}"
        if self.se is None or self.se.upper <= 0:
            return None
        quotient = abs(self.value) / self.se
        middle = f"{abs(float(self.text)) / float(self.se_text):.3g} " if float(self.se_text) > 0 else ""
        return quotient, f"|t| = {self.text}/{self.se_text} = {middle}{quotient}"


def printed_rows(text: pd.DataFrame) -> list[PrintedRow]:
    """Rows of a table of text (columns of the files in ``data/published``) in their order.

    A bare 0 takes as many decimals as its estimand has elsewhere. Raises :class:`DataError` on what is not a number, with its place.
    """
    most: dict[str, int] = {}
    for estimand, value in zip(text["estimand"], text["estimate"], strict=True):
        if value:
            most[estimand] = max(most.get(estimand, 0), decimals(value))
    return [_row(r, most) for r in text.to_dict("records")]


def _row(r: dict[str, str], most: dict[str, int]) -> PrintedRow:
    least = most.get(r["estimand"], 0) if r["estimate"] in ("0", "-0") else 0
    if r["stars"] not in STARS:
        raise DataError(f"{r['place'] or r['estimand']}: stars {r['stars']!r}; give one to three stars for 10, 5 and 1 %, or nothing.")
    try:
        value = rounded(r["estimate"], least) if r["estimate"] else None
        se = rounded(r["se"]) if r["se"] else None
        t = rounded(r["t"]) if r["t"] else None
        if r["t_printed"]:
            decimals(r["t_printed"].strip("()"))
    except DataError as error:
        raise DataError(f"{r['place'] or r['estimand']}: {error}") from None
    se = None if se is None else Interval(max(se.lower, 0.0), se.upper)
    keys = (r["estimand"], r["term"], r["variant"], r["region"], r["place"])
    return PrintedRow(*keys, r["estimate"], value, r["se"], se, r["t"], t, r["t_printed"], r["stars"], r["n_obs"])


def find(rows: Sequence[PrintedRow], **key: str) -> list[PrintedRow]:
    """Rows with a figure whose key has the values given."""
    return [r for r in rows if r.value is not None and all(getattr(r, name) == value for name, value in key.items())]

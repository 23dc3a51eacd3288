"""Arithmetic with printed numbers: a number with d decimals stands for every value within half a unit of its last digit."""

from __future__ import annotations

import re
from typing import NamedTuple

from bayes.errors import DataError

_NUMBER = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)$")
_SLACK = 1e-9
"""Relative slack of comparisons, so that 0.0245 does not depend on how a sum of binary fractions came about."""


class Interval(NamedTuple):
    """All values from ``lower`` to ``upper``."""

    lower: float
    upper: float

    @classmethod
    def point(cls, value: float) -> Interval:
        return cls(float(value), float(value))

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.lower + other.lower, self.upper + other.upper)

    def __sub__(self, other: Interval) -> Interval:
        return Interval(self.lower - other.upper, self.upper - other.lower)

    def __mul__(self, other: Interval) -> Interval:
        corners = [a * b for a in self for b in other]
        return Interval(min(corners), max(corners))

    def __truediv__(self, other: Interval) -> Interval:
        """Quotient; infinite at the end where the divisor, which must not be negative, can be zero."""
        if other.lower < 0:
            raise ValueError("The divisor must not be negative.")
        ends = [1 / other.upper if other.upper else float("inf"), 1 / other.lower if other.lower else float("inf")]
        corners = [a * b if a else 0.0 for a in self for b in ends]
        return Interval(min(corners), max(corners))

    def __abs__(self) -> Interval:
        size = sorted((abs(self.lower), abs(self.upper)))
        return Interval(0.0 if self.lower <= 0 <= self.upper else size[0], size[1])

    def meets(self, other: Interval) -> bool:
        """Whether the two share a value, ends included."""
        slack = _SLACK * max(abs(v) for v in (*self, *other) if abs(v) < float("inf"))
        return self.lower <= other.upper + slack and other.lower <= self.upper + slack

    def exceeds(self, other: Interval) -> bool:
        """Whether every value here is at least as large as every value there."""
        return self.lower >= other.upper - _SLACK * max(abs(self.lower), abs(other.upper))

    def __str__(self) -> str:
        return f"[{self.lower:.5g}, {self.upper:.5g}]"


def decimals(text: str) -> int:
    """Digits after the point. Raises :class:`DataError` on what is not a plain decimal number."""
    plain = text.strip().replace(",", "")
    if not _NUMBER.match(plain):
        raise DataError(f"{text!r} is not a printed number: digits with at most one point are expected.")
    return len(plain.partition(".")[2])


def rounded(text: str, least: int = 0) -> Interval:
    """The values that round to ``text``, read with at least ``least`` decimals (a bare 0 in a column of three decimals is 0.000)."""
    half = 0.5 * 10.0 ** -max(decimals(text), least)
    value = float(text.replace(",", ""))
    return Interval(value - half, value + half)

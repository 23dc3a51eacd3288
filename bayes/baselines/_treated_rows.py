"""Which numbers of treated units and periods a printed mean of a treatment dummy allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayes.baselines._printed_numbers import Interval


class Coding(NamedTuple):
    """``units`` treated in ``periods`` periods and, where there are two dates, ``later_units`` in ``later_periods``."""

    units: int
    periods: int
    later_units: int = 0
    later_periods: int = 0

    @property
    def rows(self) -> int:
        return self.units * self.periods + self.later_units * self.later_periods

    def __str__(self) -> str:
        later = f" + {self.later_units} × {self.later_periods}" if self.later_units else ""
        return f"{self.units} × {self.periods}{later}"


def treated_rows(mean: Interval, n: int, sd: Interval | None = None) -> np.ndarray:
    """Numbers of treated rows out of n that give a dummy this mean and, where printed, this standard deviation (of n or n − 1)."""
    slack = 1e-9 * n
    counts = np.arange(max(0, int(np.ceil(mean.lower * n - slack))), min(n, int(np.floor(mean.upper * n + slack))) + 1)
    if sd is None:
        return counts
    spread = np.sqrt(counts / n * (1 - counts / n))
    sample = spread * np.sqrt(n / (n - 1))
    return counts[(sample >= sd.lower - 1e-12) & (spread <= sd.upper + 1e-12)]


def codings(counts: Sequence[int], units: int, periods: int, pairs: Sequence[tuple[int, int]]) -> list[Coding]:
    """Every coding with one of the ``counts`` of treated rows: one date (any number of periods), and two dates whose periods treated are
    one of ``pairs``; no more than ``units`` units in all."""
    found = [Coding(c // p, p) for c in counts for p in range(periods, 0, -1) if c % p == 0 and 0 < c // p <= units]
    for first, later in pairs:
        for c in counts:
            for a in range(1, min(units, c // first) + 1):
                b, rest = divmod(int(c) - a * first, later)
                if rest == 0 and 0 < b <= units - a:
                    found.append(Coding(a, first, b, later))
    return found

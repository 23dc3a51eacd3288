"""Growth regressions as arrays: which spells of growth a panel holds, where each started, and what conditions it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes.errors import (
    CollinearColumnsError,
    MissingColumnError,
    MissingValueError,
    NoVariationError,
    SetAsideWarning,
    SinglePeriodError,
    SpecificationError,
    warn_user,
)
from bayes.estimates import Estimates
from bayes.measure._values import Values, values_of
from bayes.panel import Panel


@dataclass(frozen=True, eq=False)
class GrowthData:
    """Spells of growth. Arrays end in n spells.

    Attributes
    ----------
    growth, initial : arrays (draws, n)
        Growth per year, and the (log) value at the start of the spell.
    conditions : array (n, p), conditioning columns at the start; ``names`` their names
    period : array (n, q), indicators of the periods in which spells start, but for the first
    region : codes into ``regions``, shape (n,); ``regions`` are the labels of the regions with a spell
    span : years of a spell
    left_out : units (cross-section) or starts (panel) without a spell, in words; empty when there are none
    """

    growth: np.ndarray
    initial: np.ndarray
    conditions: np.ndarray
    names: tuple[str, ...]
    period: np.ndarray
    region: np.ndarray
    regions: tuple[str, ...]
    span: float
    left_out: str = ""

    @property
    def n(self) -> int:
        return self.growth.shape[1]

    @property
    def n_draws(self) -> int:
        return self.growth.shape[0]

    def mean(self) -> GrowthData:
        """The same spells at the mean of the draws."""
        return replace(self, growth=self.growth.mean(axis=0, keepdims=True), initial=self.initial.mean(axis=0, keepdims=True))


def growth_data(
    panel: Panel, values: str | Estimates, conditional_on: Sequence[str] = (), horizon: int | None = None, form: str = "cross-section",
    growth: str | Estimates | None = None, log: bool = True,
) -> GrowthData:  # fmt: skip
    """Spells of growth of ``values``; see :func:`bayes.measure.beta_convergence` for the arguments, errors and warnings."""
    v = values_of(panel, values)
    if v.periods.size < 2:
        raise SinglePeriodError(f"{v.name!r} is observed in one period ({v.periods[0]}): growth needs two.")
    if log:
        v.require_positive("Growth is that of logarithms: use log=False for values that are in logs already.")
    grid, units, periods = v.grid()
    grid = np.log(grid) if log else grid
    starts, span = _spells(panel, periods, horizon, form)
    if growth is None:
        rates = (_at(grid, periods, starts + span) - _at(grid, periods, starts)) / span
    else:
        rates = _given(panel, growth, units, starts + span, grid.shape[0])
    initial = np.broadcast_to(_at(grid, periods, starts), np.broadcast_shapes(rates.shape, (grid.shape[0], units.size, starts.size)))
    rates = np.broadcast_to(rates, initial.shape)
    unit, start = np.nonzero(np.isfinite(rates[0]) & np.isfinite(initial[0]))
    left_out = _describe_missing(v, units, np.unique(unit), unit.size, initial.shape[1:], form)
    codes = v.panel.unit_regions[units[unit]]
    present = np.unique(codes)
    names = _names(conditional_on)
    conditions = _conditions(panel, names, units[unit], starts[start])
    period = (start[:, None] == np.unique(start)[None, 1:]).astype(float)
    regions = tuple(str(r) for r in v.panel.regions[present])
    region = np.searchsorted(present, codes)
    out = GrowthData(rates[:, unit, start], initial[:, unit, start], conditions, names, period, region, regions, float(span), left_out)
    _require_variation(out, v.name)
    return out


def _spells(panel: Panel, periods: np.ndarray, horizon: int | None, form: str) -> tuple[np.ndarray, int]:
    """Periods in which spells start, and their length."""
    total = int(periods[-1] - periods[0])
    step = int(np.gcd.reduce(np.diff(periods).astype(int)))
    if horizon is not None:
        whole = isinstance(horizon, int | np.integer) and not isinstance(horizon, bool)
        if not whole or not 0 < horizon <= total or horizon % step:
            raise SpecificationError(
                f"horizon={horizon!r}: a whole number of years from {step} to {total} in steps of {step} is needed ({panel.time} "
                f"{periods[0]}–{periods[-1]})."
            )
    if form == "cross-section":
        return periods[:1].astype(int), total if horizon is None else int(horizon)
    span = step if horizon is None else int(horizon)
    return np.arange(int(periods[0]), int(periods[-1]) - span + 1, span), span


def _at(grid: np.ndarray, periods: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Columns of the grid at some periods, NaN where nobody is observed: (draws, units, wanted)."""
    place = np.minimum(np.searchsorted(periods, wanted), periods.size - 1)
    return np.where(periods[place] == wanted, grid[:, :, place], np.nan)


def _given(panel: Panel, growth: str | Estimates, units: np.ndarray, ends: np.ndarray, n_draws: int) -> np.ndarray:
    """Growth that is given, dated by the later period: (draws, units, spells)."""
    g = values_of(panel, growth)
    if g.has_draws and n_draws > 1 and g.draws.shape[0] != n_draws:
        raise SpecificationError(
            f"growth has {g.draws.shape[0]} draws and the values {n_draws}: draws are taken together: give the same number (or one)."
        )
    grid, known, periods = g.grid()
    out = np.full((grid.shape[0], units.size, ends.size), np.nan)
    place = np.minimum(np.searchsorted(known, units), known.size - 1)
    match = known[place] == units
    out[:, match] = _at(grid, periods, ends)[:, place[match]]
    return out


def _describe_missing(v: Values, units: np.ndarray, kept: np.ndarray, n: int, shape: tuple[int, ...], form: str) -> str:
    """Say (and warn) which units have no spell."""
    absent = np.delete(np.arange(units.size), kept)
    if not kept.size:
        raise SpecificationError(f"No unit of {v.name!r} is observed at both ends of a spell: choose another horizon or form.")
    words = []
    if absent.size:
        shown = ", ".join(str(u) for u in v.panel.units[units[absent[:5]]]) + (" …" if absent.size > 5 else "")
        words.append(f"{absent.size} units without a spell left out ({shown})")
        warn_user(f"{absent.size} units are not observed at both ends of a spell and are left out: {shown}.", SetAsideWarning)
    if form == "panel" and n < shape[0] * shape[1]:
        words.append(f"{shape[0] * shape[1] - n} of {shape[0] * shape[1]} spells not observed")
    return "; ".join(words)


def _names(conditional_on: Sequence[str]) -> tuple[str, ...]:
    if isinstance(conditional_on, str) or not all(isinstance(c, str) for c in conditional_on):
        raise SpecificationError(f"conditional_on must be a list of columns, got {conditional_on!r}.")
    if len(set(conditional_on)) < len(conditional_on):
        raise SpecificationError(f"conditional_on names a column twice: {list(conditional_on)}.")
    return tuple(conditional_on)


def _conditions(panel: Panel, names: tuple[str, ...], unit: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Conditioning columns at the start of each spell."""
    out = np.empty((unit.size, len(names)))
    time = panel.frame[panel.time].to_numpy()
    key = {(u, t): row for row, (u, t) in enumerate(zip(panel.unit_codes.tolist(), time.tolist(), strict=True))}
    rows = [key.get(pair, -1) for pair in zip(unit.tolist(), start.tolist(), strict=True)]
    if names and min(rows) < 0:
        at = rows.index(-1)
        raise MissingValueError(
            f"The panel has no row of {panel.unit} {panel.units[unit[at]]}, {panel.time} {start[at]}: conditions are taken at the "
            "start of a spell."
        )
    for j, name in enumerate(names):
        if name not in panel.frame:
            raise MissingColumnError(f"conditional_on: the panel has no column {name!r}.")
        out[:, j] = panel.column(name)[rows]
    return out


def _require_variation(data: GrowthData, name: str) -> None:
    if data.n < 3:
        raise SpecificationError(f"{data.n} spells of growth of {name!r}: a regression needs at least three.")
    for words, values in (("growth", data.growth), ("initial value", data.initial)):
        mean = values.mean(axis=0)
        if np.ptp(mean) <= 1e-12 * max(1.0, np.abs(mean).max()):
            raise NoVariationError(f"The {words} of {name!r} is the same in all {data.n} spells: a slope has nothing to rest on.")
    flat = np.column_stack([np.ones(data.n), data.period, data.initial.mean(axis=0), data.conditions])
    scaled = flat / np.maximum(np.abs(flat).max(axis=0), 1e-300)
    base = 2 + data.period.shape[1]
    for j, column in enumerate(data.names):
        constant = np.ptp(data.conditions[:, j]) == 0
        if constant or np.linalg.matrix_rank(scaled[:, : base + j + 1], tol=1e-9 * np.sqrt(data.n)) < base + j + 1:
            what = "is constant" if constant else "is a combination of the initial value, the periods and the conditions before it"
            raise CollinearColumnsError(f"conditional_on: {column!r} {what} at the start of spells. Leave it out.")

"""What a robustness check changes: each keyword of :meth:`bayes.did.fit.DiDFit.variants` becomes changes of specification or panel."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.did.cells import COMPONENTS
from bayes.errors import SetAsideWarning, SpecificationError
from bayes.panel import Panel
from bayes.validation import require_columns

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD

Setting = tuple["StaggeredDiD", Panel]
"""A specification and the panel that it is fitted to."""

SPECIFICATION = (
    "covariates",
    "moderators",
    "pooling",
    "errors",
    "unit_effects",
    "unit_trends",
    "period_effects",
    "anticipation",
    "likelihood",
)
"""Keywords that replace a field of the specification."""


@dataclass(frozen=True)
class Choice:
    """One alternative: what it is about (``dimension``), its ``label`` there, and the change. An ``optional`` one that cannot be made
    (dropping the only treated region in turn) is reported as such instead of raised."""

    dimension: str
    label: str
    change: Callable[[StaggeredDiD, Panel], Setting]
    optional: bool = False

    @property
    def source(self) -> str:
        """Name of the variant that makes this one change."""
        return self.label if self.dimension in ("sample", "regions") else f"{self.dimension}: {self.label}"


def defaults(spec: StaggeredDiD) -> dict[str, str]:
    """What the headline chose in each dimension."""
    named = {"sample": "all rows", "regions": "all regions", "outcome": spec.outcome, "dates": "as in the panel"}
    named["treatment"] = "0/1" if spec.dose is None else spec.dose
    return named | {_words(name): words(getattr(spec, name)) for name in SPECIFICATION}


def alternatives(spec: StaggeredDiD, panel: Panel, asked: Mapping[str, Any]) -> list[Choice]:
    """All alternatives asked for, in the order in which changes are made: dates, regions, outcome, rows, then the specification."""
    found = [
        *(_dates(name, new) for name, new in _named_dates(asked["first_treated"])),
        *_regions(panel, asked["drop_region"]),
        *(_outcome(new) for new in _several(asked["outcome"], list)),
        *(_tails(share, winsorize=False) for share in _several(asked["trim"], Sequence)),
        *(_tails(share, winsorize=True) for share in _several(asked["winsorize"], Sequence)),
        *(Choice("treatment", f"dose {d}", _replaced(dose=d)) for d in _several(asked["dose"], list)),
    ]
    for name in SPECIFICATION:
        for value in _values(name, asked[name]):
            replace(spec, leads=False, **{name: value})  # refuse words that do not exist before anything is fitted
            found.append(Choice(_words(name), words(value), _replaced(**{name: value})))
    if not found:
        raise SpecificationError(f"Nothing to vary. Give at least one of {', '.join(asked)}.")
    return found


def _words(name: str) -> str:
    return name.replace("_", " ")


def words(value: Any) -> str:
    """A value of a field in words; all components of pooling are "partial"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == COMPONENTS:
        return "partial"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _several(value: Any, kinds: type) -> list:
    """Nothing, one alternative or a list of them, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, kinds) and not isinstance(value, str) else [value]


def _values(name: str, value: Any) -> list:
    """Alternatives of a field. A tuple or a word is one alternative; a list holds several, except a list of columns, which is one."""
    if value is None:
        return []
    if name in ("covariates", "moderators"):
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise SpecificationError(f"{name} must be a list of lists of columns, for example {name}=[[], ['x']]; got {value!r}.")
        return [tuple(value)] if value and all(isinstance(v, str) for v in value) else [_columns(name, v) for v in value]
    return list(value) if isinstance(value, list) else [value]


def _columns(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(v, str) for v in value):
        raise SpecificationError(f"Every alternative of {name} must be a list of columns, got {value!r}.")
    return tuple(value)


def _replaced(**fields: Any) -> Callable[[StaggeredDiD, Panel], Setting]:
    return lambda spec, panel: (replace(spec, **fields), panel)


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tails(share: Any, winsorize: bool) -> Choice:
    name = "winsorize" if winsorize else "trim"
    if not isinstance(share, int | float | np.number) or isinstance(share, bool) or not 0 < share < 0.5:
        raise SpecificationError(f"{name} is the share of rows in each tail, between 0 and 0.5 (both excluded), got {share!r}.")
    label = f"{'winsorised' if winsorize else 'trimmed'} {100 * share:g} %"
    return Choice("sample", label, lambda spec, panel: (spec, (_winsorized if winsorize else _trimmed)(panel, spec.outcome, float(share))))


def _limits(values: np.ndarray, share: float) -> tuple[float, float]:
    lower, upper = np.quantile(values, [share, 1 - share])
    if not lower < upper:
        raise SpecificationError(f"The quantiles {share:g} and {1 - share:g} of the outcome are the same ({lower:g}). Use a smaller share.")
    return float(lower), float(upper)


def _trimmed(panel: Panel, outcome: str, share: float) -> Panel:
    """Without rows below the quantile ``share`` of the outcome or above 1 − ``share``."""
    values = panel.column(outcome)
    lower, upper = _limits(values, share)
    reason = f"{outcome} below {lower:.6g} or above {upper:.6g} (outer {100 * share:g} % in each tail)"
    return _treatable(panel._without((values < lower) | (values > upper), reason))


def _winsorized(panel: Panel, outcome: str, share: float) -> Panel:
    values = panel.column(outcome)
    return panel.assign(**{outcome: np.clip(values, *_limits(values, share))})


def _treatable(panel: Panel) -> Panel:
    """Units without a row before treatment set aside too, and listed there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SetAsideWarning)  # the variant's note counts them, and its table lists them
        return panel._set_aside_always_treated()


def _regions(panel: Panel, asked: Any) -> list[Choice]:
    if asked is None:
        return []
    if asked == "each":
        if panel.regions.size < 2:
            raise SpecificationError('drop_region="each" needs a panel with at least two regions.')
        return [_without_regions((r,), optional=True) for r in panel.regions.tolist()]
    found = []
    for one in _several(asked, Sequence):
        dropped = (one,) if isinstance(one, str) else tuple(one)
        unknown = [r for r in dropped if r not in panel.regions.tolist()]
        if unknown or not dropped:
            raise SpecificationError(f"Unknown region {unknown} in drop_region. Regions: {', '.join(panel.regions)}; or 'each'.")
        found.append(_without_regions(dropped, optional=False))
    return found


def _without_regions(dropped: tuple[str, ...], optional: bool) -> Choice:
    label = f"without {' and '.join(dropped)}"

    def change(spec: StaggeredDiD, panel: Panel) -> Setting:
        out = np.isin(panel.regions, dropped)[panel.unit_regions]
        if not (panel.unit_cohort_codes[~out] < panel.n_periods).any():
            raise SpecificationError(f"All treated units are in {' and '.join(dropped)}: without them there is no effect to estimate.")
        return spec, _treatable(panel._without(out[panel.unit_codes], label))

    return Choice("regions", label, change, optional)


# ── outcome and dates ───────────────────────────────────────────────────────────────────────────────────────────────


def _outcome(new: Any) -> Choice:
    if not isinstance(new, str) and not callable(new):
        raise SpecificationError(f"outcome must be 'log', a column or a function of the outcome's values, got {new!r}.")
    label = new if isinstance(new, str) else getattr(new, "__name__", type(new).__name__)

    def change(spec: StaggeredDiD, panel: Panel) -> Setting:
        if new == "log" and "log" not in panel.frame:
            return replace(spec, outcome=f"log_{spec.outcome}"), panel.log(spec.outcome)
        if isinstance(new, str):
            require_columns(panel.frame, {"outcome": new})
            return replace(spec, outcome=new), panel
        column = f"{label}_{spec.outcome}"
        return replace(spec, outcome=column), panel.assign(**{column: lambda _: new(panel.column(spec.outcome))})

    return Choice("outcome", label, change)


def _named_dates(asked: Any) -> list[tuple[str, Any]]:
    """Names and dates: a column, a mapping of old to new dates or of units to dates, several of them in a list or under names."""
    if asked is None:
        return []
    if isinstance(asked, Mapping) and asked and all(isinstance(v, str | Mapping) for v in asked.values()):
        return list(asked.items())
    found = list(asked) if isinstance(asked, list) else [asked]
    bad = [f for f in found if not isinstance(f, str | Mapping) or not f]
    if bad:
        raise SpecificationError(f"first_treated must be a column, or a mapping of old dates or units to new dates, got {bad[0]!r}.")
    return [(f if isinstance(f, str) else ", ".join(f"{a} → {b}" for a, b in list(f.items())[:3]), f) for f in found]


def _dates(name: str, new: Any) -> Choice:
    def change(spec: StaggeredDiD, panel: Panel) -> Setting:
        if isinstance(new, str):
            require_columns(panel.frame, {"first_treated": new})
            dates = panel.frame[new]
        else:
            dates = pd.Series(_mapped(panel, new)[panel.unit_codes], index=panel.frame.index)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SetAsideWarning)  # as in _treatable
            moved = Panel.from_frame(
                panel.frame.assign(**{panel.first_treated: dates}), panel.unit, panel.time, panel.region, panel.first_treated,
                weights=panel.weights, name=panel.name,
            )  # fmt: skip
        return spec, replace(moved, set_aside=pd.concat([panel.set_aside, moved.set_aside], ignore_index=True))

    return Choice("dates", name, change)


def _mapped(panel: Panel, new: Mapping[Any, Any]) -> np.ndarray:
    """First treated period of each unit after a mapping of old dates, or of units, to new dates."""
    dates, units = panel.unit_first_treated, panel.units.tolist()
    by_date, by_unit = set(new) <= set(dates.tolist()), set(new) <= set(units)
    if by_date == by_unit:
        what = "may be dates or units" if by_date else "are neither all first treated periods nor all units of the panel"
        raise SpecificationError(f"The keys {list(new)[:5]} of first_treated {what}. Give a column with the other dates instead.")
    if by_date:
        return np.array([new.get(d, d) for d in dates.tolist()], dtype=float)
    return np.array([new.get(u, d) for u, d in zip(units, dates.tolist(), strict=True)], dtype=float)

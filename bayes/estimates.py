"""Estimates: the one table that Bayesian, frequentist and published numbers share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from bayes.arguments import checked_methods
from bayes.errors import SpecificationError

COLUMNS: dict[str, Any] = {
    "estimand": "",
    "term": "",
    "term_to": "",
    "variant": "",
    "region": "",
    "cohort": np.nan,
    "period": np.nan,
    "event_time": np.nan,
    "unit": "",
    "source": "",
    "estimate": np.nan,
    "se": np.nan,
    "lower": np.nan,
    "upper": np.nan,
    "level": np.nan,
    "interval": "",
    "prob_positive": np.nan,
    "n_obs": np.nan,
    "identified": True,
    "note": "",
}
"""Columns of every table of estimates, with the value that stands for "does not apply"."""

KEYS = ("estimand", "term", "term_to", "variant", "region", "cohort", "period", "event_time", "unit")
"""Columns that say what is estimated; :func:`bayes.compare` joins on them."""


@checked_methods
@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates in a tidy frame, with posterior draws beside it where there are any.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per estimate, the columns of :data:`COLUMNS`. ``term`` names the aggregation or coefficient (``simple``, ``event``,
        ``region:event``, …); ``se`` is a posterior standard deviation or a standard error, as ``interval`` and ``source`` say.
    draws : numpy.ndarray or None
        Posterior draws behind the rows, shape (n_rows, n_draws); a row without draws is NaN.
    title : str
        Heading in tables.
    """

    frame: pd.DataFrame
    draws: np.ndarray | None = None
    title: str = ""
    meta: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_rows(
        cls, rows: Iterable[dict[str, Any]] | pd.DataFrame, draws: np.ndarray | None = None, title: str = "", **meta: Any
    ) -> Estimates:
        """Fill absent columns with their defaults. Raises :class:`SpecificationError` on unknown columns or draws of the wrong shape."""
        frame = rows.copy() if isinstance(rows, pd.DataFrame) else _frame_of(rows)
        unknown = set(frame.columns) - set(COLUMNS)
        if unknown:
            raise SpecificationError(f"Unknown columns {sorted(unknown)} in estimates. Allowed: {list(COLUMNS)}.")
        frame = frame.assign(**{c: v for c, v in COLUMNS.items() if c not in frame}).loc[:, list(COLUMNS)].reset_index(drop=True)
        for name, default in COLUMNS.items():
            if not isinstance(default, float) and frame[name].isna().any():  # rows given as dictionaries need not name the same columns
                frame[name] = frame[name].astype(object).where(frame[name].notna(), default)
        frame["identified"] = frame["identified"].astype(bool)
        if draws is not None and (not isinstance(draws, np.ndarray) or draws.ndim != 2 or draws.shape[0] != len(frame)):
            raise SpecificationError(f"Draws of shape {np.shape(draws)} do not fit {len(frame)} estimates: (rows, draws) is expected.")
        return cls(frame, draws, title, meta)

    @classmethod
    def from_draws(cls, rows: Sequence[dict[str, Any]], draws: np.ndarray, level: float = 0.95, title: str = "", **meta: Any) -> Estimates:
        """Posterior mean, standard deviation, equal-tailed interval and P(> 0) of each row of ``draws`` (rows, draws)."""
        if not isinstance(level, Real) or not 0 < level < 1:
            raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
        frame = _frame_of(rows)
        if not isinstance(draws, np.ndarray) or draws.dtype.kind not in "fiub" or draws.ndim != 2 or len(draws) != len(frame):
            raise SpecificationError(
                f"{len(frame)} rows need an array of draws (rows, draws), got {type(draws).__name__} {np.shape(draws)}."
            )
        tail = (1 - level) / 2
        lower, upper = np.quantile(draws, [tail, 1 - tail], axis=1) if draws.size else (np.empty(0), np.empty(0))
        positive = np.where(np.isnan(draws).any(axis=1), np.nan, (draws > 0).mean(axis=1))
        frame = frame.assign(
            estimate=draws.mean(axis=1), se=draws.std(axis=1, ddof=1), lower=lower, upper=upper, level=level,
            interval="equal-tailed posterior", prob_positive=positive,
        )  # fmt: skip
        return cls.from_rows(frame, draws, title, **meta)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        shown = self.frame.loc[:, [c for c in self.frame if _informative(c, self.frame[c])]]
        return f"{self.title or 'Estimates'}\n{shown.to_string(index=False, float_format=lambda v: f'{v:.4g}')}"

    def _repr_html_(self) -> str:
        shown = self.frame.loc[:, [c for c in self.frame if _informative(c, self.frame[c])]]
        return shown.to_html(index=False, escape=True, float_format="%.4g")

    def where(self, **conditions: Any) -> Estimates:
        """The rows in which every named column equals the value (or is in the list) given."""
        keep = np.ones(len(self), dtype=bool)
        for column, value in conditions.items():
            if column not in self.frame:
                raise SpecificationError(f"Unknown column {column!r}. Columns: {list(self.frame.columns)}.")
            allowed = value if isinstance(value, list | tuple | set | np.ndarray) else [value]
            keep &= self.frame[column].astype(object).isin(list(allowed)).to_numpy()
        return replace(self, frame=self.frame[keep].reset_index(drop=True), draws=None if self.draws is None else self.draws[keep])

    def relabel(self, **names: dict[Any, Any]) -> Estimates:
        """Other words in the named columns, so that two methods' names for one thing meet: ``relabel(estimand={"malmquist": "tfpc"})``."""
        unknown = [column for column in names if column not in self.frame]
        if unknown:
            raise SpecificationError(f"Unknown columns {unknown}. Columns: {list(self.frame.columns)}.")
        odd = [column for column, words in names.items() if not isinstance(words, Mapping)]
        if odd:
            raise SpecificationError(f"relabel takes a mapping of old words to new ones for a column, such as {odd[0]}={{'old': 'new'}}.")
        return replace(self, frame=self.frame.assign(**{c: self.frame[c].replace(words) for c, words in names.items()}))

    def __add__(self, other: Estimates) -> Estimates:
        """Rows of both. Draws are kept when both have the same number of them."""
        if not isinstance(other, Estimates):
            return NotImplemented
        same = self.draws is not None and other.draws is not None and self.draws.shape[1] == other.draws.shape[1]
        draws = np.vstack([self.draws, other.draws]) if same else None
        frame = pd.concat([self.frame, other.frame], ignore_index=True)
        return Estimates(frame, draws, self.title or other.title, {**other.meta, **self.meta})

    # ── maketables: bayes fits beside pyfixest's in one table ───────────────────────────────────────────────────────

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "se_type"]

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        """Coefficient table of the maketables protocol: ``b``, ``se``, ``p``, and the bounds of each level (``ci95l`` for 95 %).

        ``p`` is NaN throughout, so that no stars are printed beside a posterior. Bounds of another level stay out of the columns of 95 %.
        """
        f = self.frame
        table = pd.DataFrame({"b": f.estimate, "se": f.se, "p": np.nan, "ci95l": np.nan, "ci95u": np.nan})
        for level in f.level.dropna().unique():
            here = f.level == level
            table[f"ci{100 * level:g}l"], table[f"ci{100 * level:g}u"] = f.lower.where(here), f.upper.where(here)
        return table.set_index(pd.Index(_labels(f), name="Coefficient"))

    @property
    def __maketables_depvar__(self) -> str:
        return str(self.meta.get("outcome", ""))

    def __maketables_stat__(self, key: str) -> Any:
        if key == "N":
            n = self.frame.n_obs.dropna()
            return int(n.max()) if len(n) else None
        if key == "se_type":
            return "; ".join(dict.fromkeys(i for i in self.frame.interval if i)) or None
        return self.meta.get(key)


def _frame_of(rows: Any) -> pd.DataFrame:
    """One row a mapping. Raises :class:`SpecificationError` for anything else."""
    try:
        rows = list(rows)
    except TypeError:
        rows = [rows]
    if not all(isinstance(row, Mapping) for row in rows):
        raise SpecificationError("Rows of estimates are given as dictionaries, one a row, or as a pandas DataFrame.")
    return pd.DataFrame(rows)


def _informative(name: str, column: pd.Series) -> bool:
    if name in ("source", "estimate"):
        return True
    default = COLUMNS[name]
    return bool((column.notna() if isinstance(default, float) else column != default).any())


def _labels(frame: pd.DataFrame) -> list[str]:
    """One label per row, no two alike: rows that differ in their source only carry it, and copies are numbered."""
    labels = pd.Series([_label(row) for row in frame.to_dict("records")], dtype=object)
    sources = frame.source.reset_index(drop=True)
    labels = labels.where(~labels.duplicated(keep=False) | (sources == ""), labels + ", " + sources)
    copies = labels.groupby(labels).cumcount()
    return [label if n == 0 else f"{label} ({n + 1})" for label, n in zip(labels, copies, strict=True)]


def _label(row: dict[str, Any]) -> str:
    """Readable name of one estimate, for example ``att region:event West e=2``."""
    parts = [str(row[c]) for c in ("estimand", "term", "term_to", "variant", "region", "unit") if row[c]]
    parts += [f"{short}={row[c]:g}" for c, short in (("cohort", "cohort"), ("period", "period"), ("event_time", "e")) if pd.notna(row[c])]
    return " ".join(parts)

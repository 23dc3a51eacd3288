"""ScannedPanel: a validated panel whose rows stay in Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes.errors import NoComparisonError, RowsOnDiskError, SetAsideWarning, SpecificationError, warn_user
from bayes.panel import Panel
from bayes.rows_on_disk import RowsOnDisk, check_columns, find_rows, starts_of_units
from bayes.survey import OutOfOrder, Roles, Survey
from bayes.validation import refuse_shared_columns, require_names, whole_number

SET_ASIDE = "treated in every observed period"


@dataclass(frozen=True, eq=False, repr=False)
class ScannedPanel:
    """A panel on disk, from :meth:`bayes.Panel.scan`: what validation found, and where the rows are.

    It goes where a :class:`bayes.Panel` goes as far as sums over rows suffice (:meth:`bayes.StaggeredDiD.fit` and the effects of its
    fit). What needs rows raises :class:`bayes.errors.RowsOnDiskError` with the remedy.

    Attributes
    ----------
    unit, time, region, first_treated, weights, name, note : str or None
        As in :class:`bayes.Panel`. ``treated``: the 0/1 column that timing was read from, if it was (then no column ``first_treated``).
    n_rows, n_units : int
        Rows and units in use. Rows in = ``n_rows`` + the sum of ``set_aside["rows"]``.
    periods, regions : numpy.ndarray
        The calendar grid and the sorted labels of the regions in use.
    step : int
        Distance between neighbouring periods.
    units_by_timing : pandas.DataFrame
        Units by ``region`` and ``first_treated`` (inf: never), columns region, first_treated, units.
    units_by_length : dict
        Rows of a unit → number of such units.
    set_aside : pandas.DataFrame
        One row per reason: ``reason``, ``rows``, ``units``, ``examples``.
    rows : RowsOnDisk or None
        The files; None for a panel read back with a saved fit.
    sums : object
        Sums over rows that a fit has taken; they replace further passes over the same columns.
    cuts : tuple of int
        Rows of sorted files at which blocks of whole units begin: what an executor can sum apart.
    """

    unit: str
    time: str
    region: str | None
    first_treated: str | None
    treated: str | None
    weights: str | None
    name: str
    note: str
    n_rows: int
    n_units: int
    periods: np.ndarray
    step: int
    regions: np.ndarray
    units_by_timing: pd.DataFrame
    units_by_length: dict[int, int]
    set_aside: pd.DataFrame
    rows: RowsOnDisk | None = None
    sums: Any = None
    cuts: tuple[int, ...] = ()

    @property
    def n_periods(self) -> int:
        return self.periods.size

    @property
    def is_balanced(self) -> bool:
        """True when every unit is observed in every period of the grid."""
        return self.n_rows == self.n_units * self.n_periods

    @property
    def n_treated(self) -> int:
        """Units with a first treated period."""
        return int(self.units_by_timing["units"][np.isfinite(self.units_by_timing["first_treated"])].sum())

    def timing(self) -> pd.DataFrame:
        """As :meth:`bayes.Panel.timing`: units by first treated period (rows, ``inf`` = never) and region (columns), with totals."""
        table = self.units_by_timing.pivot_table(index="first_treated", columns="region", values="units", aggfunc="sum", fill_value=0)
        table = table.reindex(columns=list(self.regions), fill_value=0).astype(np.int64)
        return table.assign(total=table.sum(axis=1))

    def collect(self, columns: Sequence[str] = (), units: int | None = None, seed: int = 0) -> Panel:
        """Rows in memory, for what cannot be had from sums: a :class:`bayes.Panel` of all units or of a random sample of them.

        Parameters
        ----------
        columns : sequence of str
            Columns besides unit, time, region, timing and weights.
        units : int, optional
            Draw so many whole units, each equally likely, among all that the files hold: always-treated ones that are drawn are set aside.
            Default: all units, which must fit in memory.
        seed : int
            Of the sample.

        Raises
        ------
        SpecificationError, MissingColumnError
            More units than there are; a column that does not exist. And the errors of :meth:`bayes.Panel.from_frame`.
        """
        import pyarrow.parquet as pq

        on_disk = require_rows(self)
        if isinstance(columns, str):
            raise SpecificationError(f"columns must be a list of names, for example columns=[{columns!r}].")
        for file in on_disk.files:
            check_columns(file, pq.read_schema(file), (), tuple(columns))
        chosen = None
        if units is not None:
            if whole_number("units", units) > self.n_units:
                raise SpecificationError(f"units={units} is more than the {self.n_units} units of the panel.")
            chosen = np.random.default_rng([seed, 9]).choice(self._units_in, units, replace=False)
        roles = [self.unit, self.time, self.region, self.treated or self.first_treated, self.weights, *columns]
        wanted = list(dict.fromkeys(r for r in roles if r is not None))
        frame = _read(on_disk, wanted, None if chosen is None else np.isin(np.arange(self._units_in), chosen))
        timing = {"treated": self.treated} if self.treated is not None else {"first_treated": self.first_treated}
        panel = Panel.from_frame(frame, self.unit, self.time, self.region, weights=self.weights, name=self.name, **timing)
        return replace(panel, note=self.note)

    @property
    def _units_in(self) -> int:
        return self.n_units + int(self.set_aside["units"].sum())

    def __getattr__(self, name: str) -> Any:
        if hasattr(Panel, name) or name == "frame":
            raise RowsOnDiskError(
                f"This needs the rows in memory (panel.{name}), and those of {self.__dict__.get('name', 'panel')!r} stay on disk: from a "
                "scanned panel come effects (att, unpooled, prior_att), leads, parallel_trends, sensitivity, region contrasts and the "
                "summary. For the rest take a sample of whole units into memory, panel.collect([columns], units=20_000, seed=1), or all "
                "of them, panel.collect([columns]), and fit again; bayes.report takes a list of Estimates, bayes.report([fit.att()], path)."
            )
        raise AttributeError(f"ScannedPanel has no attribute {name!r}")

    def __repr__(self) -> str:
        shape = "balanced" if self.is_balanced else "unbalanced"
        aside = f", {int(self.set_aside['rows'].sum()):,} rows set aside" if len(self.set_aside) else ""
        kind = "" if self.rows is None else f", {len(self.rows.files)} file{'s' * (len(self.rows.files) > 1)} on disk"
        kind += "" if self.rows is None or self.rows.is_sorted else " to be sorted at every pass"
        return (
            f"ScannedPanel({self.name!r}: {self.n_rows:,} rows, {self.n_units:,} units × {self.n_periods} periods "
            f"{self.periods[0]}–{self.periods[-1]} {shape}, {self.regions.size} regions, {self.n_treated:,} units treated{aside}{kind})"
            + (f"\n{self.note}" if self.note else "")
        )


def require_rows(panel: ScannedPanel) -> RowsOnDisk:
    """Where the rows are. Raises :class:`RowsOnDiskError` for a panel that came with a saved fit and has its sums only."""
    if panel.rows is None:
        raise RowsOnDiskError(f"The rows of {panel.name!r} are not part of the saved fit. Scan the files again with Panel.scan.")
    return panel.rows


def scan_rows(
    source: Any, unit: str, time: str, region: str | None, first_treated: str | None, treated: str | None, weights: str | None, name: str,
    scratch: Any, progress: bool | None,
) -> ScannedPanel:  # fmt: skip
    """What :meth:`bayes.Panel.scan` does."""
    if first_treated is not None and treated is not None:
        raise SpecificationError("Give first_treated or treated, not both: each determines the other.")
    roles = Roles(unit, time, region, first_treated, treated, weights)
    refuse_shared_columns(vars(roles), name)
    require_names(vars(roles))
    rows = find_rows(source, unit, time, roles.numeric, roles.labels, scratch, progress)
    try:
        survey = _surveyed(rows, roles)
    except OutOfOrder:
        rows = replace(rows, is_sorted=False)
        survey = _surveyed(rows, roles)
    aside = _set_aside(survey)
    survey.require_comparison()
    periods, step = survey.grid()
    regions, timing = survey.timing()
    dated = first_treated if treated is None else "first_treated"
    return ScannedPanel(
        unit, time, region, dated, treated, weights, name, "", survey.n_rows, survey.n_units,
        periods, step, regions, timing, survey.lengths(), aside, rows, cuts=tuple(survey.cuts) if rows.is_sorted else (),
    )  # fmt: skip


def _surveyed(rows: RowsOnDisk, roles: Roles) -> Survey:
    survey = Survey(rows, roles)
    for batch in rows.sorted_batches(roles.columns, "Checking rows"):
        survey.add(batch)
    survey.require_rows()
    return survey


def _set_aside(survey: Survey) -> pd.DataFrame:
    if not survey.aside_units:
        return pd.DataFrame({"reason": pd.Series(dtype=object), "rows": pd.Series(dtype=np.int64), "units": pd.Series(dtype=np.int64)})
    labels = ", ".join(survey.examples) + (" …" if survey.aside_units > len(survey.examples) else "")
    if not survey.n_units:
        raise NoComparisonError(f"Every unit is treated from its first row on ({labels}): nothing untreated to compare with.")
    warn_user(
        f"{survey.aside_units:,} units are treated in every period observed ({labels}) and are set aside: they have no row before "
        "treatment. See panel.set_aside.",
        SetAsideWarning,
    )
    return pd.DataFrame({"reason": [SET_ASIDE], "rows": [survey.aside_rows], "units": [survey.aside_units], "examples": [labels]})


def _read(rows: RowsOnDisk, columns: list[str], chosen: np.ndarray | None) -> pd.DataFrame:
    """Rows of the chosen units (a mask over units in their order), or all."""
    parts, number, last = [], -1, None
    for batch in rows.sorted_batches(columns, "Reading rows"):
        unit = batch.column(rows.unit)
        codes = number + np.cumsum(starts_of_units(unit, last)[0])
        number, last = int(codes[-1]) if codes.size else number, unit[-1:]
        keep = slice(None) if chosen is None else chosen[codes]
        parts.append(batch.to_pandas()[keep])
    frame = pd.concat(parts, ignore_index=True)
    return frame.astype({c: object for c in columns if isinstance(frame[c].dtype, pd.CategoricalDtype)})

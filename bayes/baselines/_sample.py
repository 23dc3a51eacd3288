"""What every adapter starts from (a panel in the shape that the libraries expect) and ends with (rows of estimates)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes.errors import CollinearColumnsError
from bayes.estimates import COLUMNS
from bayes.panel import Panel


@dataclass(frozen=True, eq=False)
class Sample:
    """A panel as the libraries want it, with the options of one call.

    Attributes
    ----------
    frame : pandas.DataFrame
        Columns ``unit, time, cohort, outcome, x1 …, cluster`` and, if asked for, ``weight``. Periods and cohorts count grid steps from 1,
        so that 0 can stand for "never treated", which is how the libraries read it.
    covariates : dict
        Column in ``frame`` of each covariate, by the user's name.
    control_group, source : str
        Comparison group and ``source`` of the estimator that is being run.
    """

    frame: pd.DataFrame
    panel: Panel
    covariates: dict[str, str]
    cluster: str
    weights: bool
    anticipation: int
    level: float
    base_period: str
    control_group: str = ""
    source: str = ""

    @property
    def balanced(self) -> bool:
        return len(self.frame) == self.frame["unit"].nunique() * self.frame["time"].nunique()

    @property
    def clustered_by_unit(self) -> bool:
        return self.cluster == self.panel.unit

    def period(self, code: float) -> float:
        """Calendar period of a grid count, also beyond the last period."""
        return float(self.panel.periods[0] + (code - 1) * self.panel.step)

    def only(self, rows: np.ndarray) -> Sample:
        return replace(self, frame=self.frame[rows].reset_index(drop=True))

    def row(self, term: str, estimate: float, se: float, n_obs: int, note: str, **more: Any) -> dict[str, Any]:
        """One row of estimates with its interval.

        ``cohort`` and ``period`` come in grid counts; ``df`` (degrees of freedom) turns the normal interval into a t interval; ``bounds``
        are the library's own t interval. Other keys are columns of the row.
        """
        df, bounds = more.pop("df", np.nan), more.pop("bounds", None)
        places = {k: self.period(more.pop(k)) for k in ("cohort", "period") if k in more}
        is_t = df is not None and np.isfinite(df)
        critical = stats.t.ppf(0.5 + self.level / 2, df) if is_t else stats.norm.ppf(0.5 + self.level / 2)
        lower, upper = bounds if bounds is not None else (estimate - critical * se, estimate + critical * se)
        kind = "t" if is_t or bounds is not None else "normal"
        known, identified = bool(np.isfinite(se)), bool(np.isfinite(estimate))
        return {
            **COLUMNS, "estimand": "att", "term": term, "source": self.source, "estimate": float(estimate), "se": float(se),
            "lower": float(lower), "upper": float(upper), "level": self.level if known else np.nan, "n_obs": int(n_obs), "note": note,
            "interval": f"{kind}, clustered by {self.cluster}" if known else "", "identified": identified, **places, **more,
        }  # fmt: skip

    def empty_row(self, note: str, **more: Any) -> dict[str, Any]:
        """A row that says why there is no estimate."""
        return self.row("simple", np.nan, np.nan, 0, note, **more)


def make_sample(
    panel: Panel, outcome: str, covariates: tuple[str, ...], cluster: str, weights: bool, anticipation: int, level: float, base_period: str
) -> Sample:
    """Sample of a checked call. Units first treated after the last period count as never treated."""
    cohort = panel.unit_cohort_codes + 1
    cohort = np.where(cohort - anticipation <= panel.n_periods, cohort, 0).astype(np.int64)
    frame = pd.DataFrame(
        {
            "unit": panel.unit_codes + 1,
            "time": panel.period_codes + 1,
            "cohort": cohort[panel.unit_codes],
            "outcome": panel.column(outcome),
            "cluster": pd.factorize(panel.frame[cluster], sort=False)[0] + 1,
        }
    )
    names = {name: f"x{k}" for k, name in enumerate(covariates, start=1)}
    for name, column in names.items():
        values = panel.column(name)
        if np.ptp(values) == 0:
            raise CollinearColumnsError(f"Covariate {name!r} is {values[0]:g} in every row, which the effects absorb. Leave it out.")
        frame[column] = values
    if weights:
        frame["weight"] = panel.column(panel.weights)
    return Sample(frame, panel, names, cluster, weights, anticipation, level, base_period)

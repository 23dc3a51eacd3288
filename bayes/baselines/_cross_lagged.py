"""A cross-lagged pair by two-way fixed-effects regressions on the lags, by pyfixest: biased when periods are few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes.arguments import checked
from bayes.baselines._libraries import quiet, refuse_singletons, shorten, with_version
from bayes.dynamics.lags import Rows, rows_with_lag
from bayes.errors import BaselineWarning, SpecificationError, warn_user
from bayes.estimates import Estimates
from bayes.panel import Panel


@checked
def cross_lagged(
    panel: Panel, first: str, second: str, covariates: Sequence[str] = (), level: float = 0.95, *, by_region: bool = False
) -> Estimates:
    """Own and cross lags from regressions of each series on both lags, covariates, unit and period dummies; clustered by unit.

    Unit dummies beside a lagged outcome bias own lags downwards by about (1 + a)/T and cross lags with them (Nickell 1981); every note says
    so with the mean number of rows of a unit. Keys are those of ``CrossLaggedFit.effects``, so that :func:`bayes.compare` joins them.

    Parameters
    ----------
    panel : Panel
    first, second : str
        Columns of the two series.
    covariates : sequence of str
    level : float
        Coverage of the normal intervals.
    by_region : bool
        Also by region, from regressions with lags times region and common period dummies.

    Returns
    -------
    Estimates
        ``own_lag`` and ``cross_lag``. A regression that fails leaves NaN and the reason.

    Raises
    ------
    SpecificationError
        Columns named twice, a level outside (0, 1), no regions for ``by_region``, or no row with a previous period.
    MissingColumnError, MissingValueError, NotNumericError
        A column that cannot be used.

    Warns
    -----
    BaselineWarning
        A regression failed.

    References
    ----------
    Nickell (1981), Econometrica 49(6), 1417–1426.
    """
    if isinstance(covariates, str):
        raise SpecificationError(f"covariates must be a list of columns, for example covariates=[{covariates!r}].")
    names = [first, second, *covariates]
    if len(set(names)) < len(names):
        raise SpecificationError("First, second and covariates must be different columns, each named once.")
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    if by_region and panel.region is None:
        raise SpecificationError("by_region=True, but the panel has no region. Build it with Panel.from_frame(…, region=…).")
    rows = rows_with_lag(panel)
    if not rows.place.size:
        raise SpecificationError(f"No row has a previous period. Check that {panel.time!r} counts consecutive periods.")
    data, controls = _frame(panel, rows, names)
    length = rows.place.size / np.unique(rows.unit).size
    fixed = {"source": f"Within OLS ({with_version('pyfixest')})", "interval": f"normal, clustered by {panel.unit}", "level": level}
    fixed["note"] = f"biased where periods are few: {length:.3g} rows a unit (Nickell 1981)"
    table = [_row(data, controls, q, s, "", (first, second), fixed) for q in range(2) for s in range(2)]
    if by_region:
        labels = [str(r) for r in panel.regions]
        table += [_row(data, controls, q, s, r, (first, second), fixed, labels) for r in labels for q in range(2) for s in range(2)]
    return Estimates.from_rows(table, title=f"Cross-lagged {first} and {second}, within OLS")


def _frame(panel: Panel, rows: Rows, names: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Plain names, so that no column of the user is read as a formula; and the names of the controls."""
    z = panel.matrix(list(names))
    columns = {f"z{j}": z[rows.place, j] for j in range(2)} | {f"lag{j}": z[rows.place - 1, j] for j in range(2)}
    columns |= {f"x{j}": z[rows.place, 2 + j] for j in range(z.shape[1] - 2)}
    for code in range(panel.regions.size):
        columns |= {f"lag{j}_{code}": z[rows.place - 1, j] * (rows.region == code) for j in range(2)}
    return pd.DataFrame({"unit": rows.unit, "time": rows.period, "region": rows.region, **columns}), [c for c in columns if c[0] == "x"]


def _row(
    data: pd.DataFrame, controls: list[str], moved: int, by: int, region: str, names: tuple[str, str], fixed: dict[str, Any],
    labels: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """One coefficient as a row; the fits are cheap, so each row runs its own."""
    code = labels.index(region) if region else None
    codes = range(len(labels)) if region else [None]
    lags = [f"lag{j}" if c is None else f"lag{j}_{c}" for c in codes for j in range(2)]
    own = moved == by
    row = {**fixed, "estimand": "own_lag" if own else "cross_lag", "region": region}
    row["term"] = names[moved] if own else f"{names[by]} → {names[moved]}"
    row["n_obs"] = len(data) if code is None else int((data["region"] == code).sum())
    try:
        refuse_singletons(data)
        with quiet():
            from pyfixest.estimation import feols

            fit = feols(f"z{moved} ~ {' + '.join([*lags, *controls])} | unit + time", data, vcov={"CRV1": "unit"})
        name = f"lag{by}" if code is None else f"lag{by}_{code}"
        estimate, se = float(fit.coef()[name]), float(fit.se()[name])
    except Exception as error:  # a library may fail in any way on hard data
        reason = shorten(str(error))
        warn_user(f"Within OLS of {names[moved]!r}{' in ' + region if region else ''} could not be computed: {reason}", BaselineWarning)
        return {**row, "estimate": np.nan, "level": np.nan, "interval": "", "identified": False, "note": f"not computed: {reason}"}
    z = stats.norm.ppf(0.5 + fixed["level"] / 2)
    return {**row, "estimate": estimate, "se": se, "lower": estimate - z * se, "upper": estimate + z * se}

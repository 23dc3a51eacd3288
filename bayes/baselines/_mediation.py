"""Mediation by products of two-way fixed-effects coefficients, by pyfixest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes.arguments import checked
from bayes.baselines._libraries import quiet, refuse_singletons, shorten, with_version
from bayes.errors import BaselineWarning, MissingColumnError, NoComparisonError, NoVariationError, SpecificationError, warn_user
from bayes.estimates import Estimates
from bayes.mechanism.wording import Wording, words_for
from bayes.panel import Panel

_DELTA = "delta method, covariance of a and b taken as zero"


@checked
def mediation(
    panel: Panel,
    outcome: str,
    mediators: Sequence[str],
    covariates: Sequence[str] = (),
    cluster: str | None = None,
    level: float = 0.95,
    *,
    by_region: bool = False,
    exposure: str | None = None,
) -> Estimates:
    """Direct and indirect effects as products of coefficients of two-way fixed-effects regressions, clustered standard errors.

    m_k = a_k·D + x'β + unit + period for every mediator, y = c'·D + Σ b_k·m_k + x'β + unit + period for the outcome (Baron & Kenny 1986),
    D the treatment indicator of the panel's timing. Keys are those of ``MediationFit.effects``, so that :func:`bayes.compare` joins them.

    Parameters
    ----------
    panel : Panel
        With treatment timing.
    outcome : str
    mediators, covariates : sequence of str
        Columns.
    cluster : str, optional
        Column to cluster standard errors by, constant within units; default the unit.
    level : float
        Coverage of the normal intervals.
    by_region : bool
        Also paths by region, from the same regressions with treatment and mediators times region and common period effects.
    exposure : str, optional
        Column of an exposure in the place of D; every effect is then per unit of it, and no treatment timing is needed.

    Returns
    -------
    Estimates
        ``direct``, ``driving``, ``mediator_effect``, ``indirect``, ``total`` (the coefficient of D without mediators, which equals
        c' + Σ a·b in each sample) and ``share`` (without a standard error). The indirect effect's is by the delta method,
        √(a²Var b + b²Var a), with the covariance of a and b taken as zero (Sobel 1982). The overall rows come from regressions with one
        path for all, which weigh regions by the variance of D, not by treated rows. A regression that fails leaves NaN and the reason.

    Raises
    ------
    SpecificationError
        No treatment timing, no regions for ``by_region``, a mediator that is the outcome, or a level outside (0, 1).
    NoComparisonError
        No unit is treated within the panel.
    MissingColumnError, MissingValueError, NotNumericError
        A column that cannot be used.

    Warns
    -----
    BaselineWarning
        A regression failed.

    References
    ----------
    Baron & Kenny (1986), Journal of Personality and Social Psychology 51(6); Sobel (1982), Sociological Methodology 13.
    """
    mediators, covariates = (_names(n, v) for n, v in (("mediators", mediators), ("covariates", covariates)))
    _require(panel, outcome, mediators, cluster, level, by_region, exposure)
    data = _frame(panel, outcome, mediators, covariates, cluster or panel.unit, exposure)
    if not data["treated"].any():
        raise NoComparisonError("No unit is treated within the panel, so there is no effect to estimate. Check the first treated period.")
    source = f"Products of TWFE coefficients ({with_version('pyfixest')})"
    codes = [None, *range(panel.regions.size)] if by_region else [None]
    fixed = {"level": level, "source": source, "interval": f"normal, clustered by {cluster or panel.unit}"}
    words = words_for(exposure)
    rows: list[dict[str, Any]] = []
    for code in codes:
        region = "" if code is None else str(panel.regions[code])
        own = data if code is None else data[data["region"] == code]
        n_obs = int(own["treated"].sum()) if exposure is None else len(own)
        try:
            if n_obs == 0:
                raise NoComparisonError("no treated unit in this region")
            with quiet():
                found = _products(data, code, len(mediators), len(covariates), words.empty)
        except Exception as error:  # a library may fail in any way on hard data
            reason = shorten(str(error))
            warn_user(f"Mediation by products{' in ' + region if region else ''} could not be computed: {reason}", BaselineWarning)
            found = {key: (np.nan, np.nan) for key in _keys(len(mediators))}
            rows += _rows(found, mediators, {**fixed, "region": region, "n_obs": n_obs}, words, f"not computed: {reason}")
            continue
        rows += _rows(found, mediators, {**fixed, "region": region, "n_obs": n_obs}, words)
    return Estimates.from_rows(rows, title=f"Mechanism of {outcome}, products of coefficients", outcome=outcome)


# ── estimates ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _keys(k: int) -> list[tuple[str, int]]:
    """Estimand and mediator, −1 for all."""
    own = [(name, j) for j in range(k) for name in ("driving", "mediator_effect", "indirect", "share")]
    return [("direct", -1), *own, ("indirect", -1), ("total", -1), ("share", -1)]


def _products(data: pd.DataFrame, code: int | None, k: int, n_covariates: int, empty: str) -> dict[tuple[str, int], tuple[float, float]]:
    """Estimate and standard error by estimand and mediator (−1: all); ``code`` is a region, None the whole panel."""
    controls = [f"x{j}" for j in range(n_covariates)]
    names = [f"m{j}" for j in range(k)]
    if code is None:
        frame, treatment, mediating = data, ["treated"], names
    else:
        frame, treatment, mediating = _by_region(data, names)
    d, here = ("treated", names) if code is None else (f"treated_{code}", [f"{m}_{code}" for m in names])
    steps = [_fit(frame, m, [*treatment, *controls]) for m in names]
    total, last = (_fit(frame, "y", [*treatment, *extra, *controls]) for extra in ([], mediating))
    if d not in total.coef().index:
        raise NoVariationError(empty)
    a, a_se = (np.array([getattr(s, f)()[d] for s in steps], dtype=float) for f in ("coef", "se"))
    b, b_se = (np.array([getattr(last, f)()[m] for m in here], dtype=float) for f in ("coef", "se"))
    order = list(last._coefnames)
    place = [order.index(m) for m in here]
    covariance = np.asarray(last._vcov)[np.ix_(place, place)]
    # The coefficient of D for Σ b_k m_k is Σ b_k a_k: its clustered error is that of the a at fixed b, their covariances included.
    combined = _fit(frame.assign(combined=frame[names].to_numpy() @ b), "combined", [*treatment, *controls])
    out = {("direct", -1): (last.coef()[d], last.se()[d]), ("total", -1): (total.coef()[d], total.se()[d])}
    out["indirect", -1] = (a @ b, np.sqrt(combined.se()[d] ** 2 + a @ covariance @ a))
    for j in range(k):
        out["driving", j], out["mediator_effect", j] = (a[j], a_se[j]), (b[j], b_se[j])
        out["indirect", j] = (a[j] * b[j], np.hypot(a[j] * b_se[j], b[j] * a_se[j]))
        out["share", j] = (a[j] * b[j] / total.coef()[d], np.nan)
    out["share", -1] = (a @ b / total.coef()[d], np.nan)
    return {key: (float(v), float(se)) for key, (v, se) in out.items()}


def _fit(frame: pd.DataFrame, response: str, terms: Sequence[str]) -> Any:
    from pyfixest.estimation import feols

    refuse_singletons(frame)
    return feols(f"{response} ~ {' + '.join(terms)} | unit + time", frame, vcov={"CRV1": "cluster"})


def _by_region(data: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Treatment and mediators times region; regions without treated rows have no treatment column."""
    columns, treatment, mediating = {}, [], []
    for code in sorted(data["region"].unique()):
        here = (data["region"] == code).to_numpy(dtype=float)
        if (here * data["treated"]).any():
            treatment.append(f"treated_{code}")
            columns[treatment[-1]] = here * data["treated"]
        for m in names:
            mediating.append(f"{m}_{code}")
            columns[mediating[-1]] = here * data[m]
    return data.assign(**columns), treatment, mediating


def _rows(
    found: dict[tuple[str, int], tuple[float, float]], mediators: Sequence[str], fixed: dict[str, Any], words: Wording, said: str = ""
) -> list[dict]:
    z = stats.norm.ppf(0.5 + fixed["level"] / 2)
    rows = []
    for estimand, j in _keys(len(mediators)):
        estimate, se = found[estimand, j]
        notes = {"driving": words.driving, "total": words.total}
        note = [said, notes.get(estimand, words.sequential), _DELTA if estimand == "indirect" else ""]
        row = {**fixed, "estimand": estimand, "term": mediators[j] if j >= 0 else "all", "estimate": estimate, "se": se}
        row |= {"lower": estimate - z * se, "upper": estimate + z * se, "identified": bool(np.isfinite(estimate))}
        row |= {} if np.isfinite(se) else {"level": np.nan, "interval": ""}
        rows.append({**row, "note": "; ".join(filter(None, note))})
    return rows


# ── checks of a call ────────────────────────────────────────────────────────────────────────────────────────────────


def _names(name: str, value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise SpecificationError(f"{name} must be a list of columns, for example {name}=[{value!r}].")
    return tuple(value)


def _require(
    panel: Panel, outcome: str, mediators: tuple[str, ...], cluster: str | None, level: float, by_region: bool, exposure: str | None
) -> None:
    if panel.first_treated is None and exposure is None:
        raise SpecificationError(
            "The panel has no treatment timing. Build it with Panel.from_frame(…, first_treated=… or treated=…), or name an exposure."
        )
    if not mediators or outcome in mediators or len(set(mediators)) < len(mediators):
        raise SpecificationError("Name at least one mediator, each once, and other columns than the outcome.")
    if by_region and panel.region is None:
        raise SpecificationError("by_region=True, but the panel has no region. Build it with Panel.from_frame(…, region=…).")
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    if cluster is None:
        return
    if cluster not in panel.frame:
        raise MissingColumnError(f"Column {cluster!r} (given as cluster) does not exist.")
    by_unit = panel.frame.groupby(panel.unit, sort=False, observed=True)[cluster].nunique(dropna=False)
    if by_unit.max() > 1:
        raise SpecificationError(f"Clusters (column {cluster!r}) must hold whole units. Cluster by the unit or a coarser group.")


def _frame(
    panel: Panel, outcome: str, mediators: tuple[str, ...], covariates: tuple[str, ...], cluster: str, exposure: str | None
) -> pd.DataFrame:
    """Plain names, so that no column of the user is read as a formula."""
    unit = panel.unit_codes
    columns = {"y": panel.column(outcome)}
    columns |= {f"m{j}": panel.column(name) for j, name in enumerate(mediators)}
    columns |= {f"x{j}": panel.column(name) for j, name in enumerate(covariates)}
    treated = (panel.period_codes >= panel.unit_cohort_codes[unit]).astype(float) if exposure is None else panel.column(exposure)
    return pd.DataFrame(
        {
            "unit": unit, "time": panel.period_codes, "region": panel.unit_regions[unit],
            "cluster": pd.factorize(panel.frame[cluster], sort=False)[0],
            "treated": treated, **columns,
        }
    )  # fmt: skip

"""The difference-in-differences baselines: which there are, what they accept, and how one call runs them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.baselines._libraries import quiet, shorten, with_version
from bayes.baselines._sample import Sample, make_sample
from bayes.errors import BaselineWarning, MissingColumnError, NoComparisonError, SpecificationError, warn_user
from bayes.estimates import Estimates
from bayes.panel import Panel


@dataclass(frozen=True)
class Baseline:
    """One estimator: its library, where its adapter lives, and which comparison groups it knows (the first is its default).

    ``absorbs`` says that its unit effects swallow covariates that never change within a unit, ``asked`` that it runs only when named.
    """

    title: str
    package: str
    module: str
    controls: tuple[str, ...]
    function: str = "fit"
    by_region: bool = False
    absorbs: bool = True
    asked: bool = False

    def source(self, control_group: str) -> str:
        """What stands in the column ``source``; names the comparison group where there is a choice."""
        words = f", {_WORDS[control_group]}" if len(self.controls) > 1 else ""
        return f"{self.title}{words} ({with_version(self.package)})"


_WORDS = {"not-yet": "not yet treated", "never": "never treated"}
_BASELINES = {
    "twfe": Baseline("TWFE", "pyfixest", "_twfe", ("all",)),
    "callaway-santanna": Baseline(
        "Callaway–Sant'Anna", "diff-diff", "_callaway_santanna", ("not-yet", "never"), by_region=True, absorbs=False
    ),
    "sun-abraham": Baseline("Sun–Abraham", "diff-diff", "_sun_abraham", ("never",)),
    "imputation": Baseline("Imputation, Borusyak–Jaravel–Spiess", "diff-diff", "_imputation", ("not-yet",), by_region=True),
    "gardner": Baseline("Two-stage, Gardner", "diff-diff", "_imputation", ("not-yet",), function="fit_two_stage"),
    "etwfe": Baseline("ETWFE, Wooldridge", "diff-diff", "_etwfe", ("not-yet", "never"), absorbs=False),
    "bacon": Baseline("Goodman-Bacon decomposition", "diff-diff", "_bacon", ("all",), absorbs=False),
    "two-group": Baseline("Two groups, two times", "pyfixest", "_two_group", ("all",), absorbs=False, asked=True),
}
_DEFAULT = tuple(name for name, b in _BASELINES.items() if not b.asked)
_BASE_PERIODS = ("universal", "varying")


def names() -> tuple[str, ...]:
    """The estimators that :func:`bayes.baselines.did` knows."""
    return tuple(_BASELINES)


@checked
def did(
    panel: Panel,
    outcome: str,
    estimators: str | Sequence[str] = _DEFAULT,
    covariates: Sequence[str] = (),
    control_group: str | Mapping[str, str] = "not-yet",
    cluster: str | None = None,
    anticipation: int = 0,
    level: float = 0.95,
    *,
    by_region: bool = False,
    weights: bool = False,
    base_period: str = "universal",
) -> Estimates:
    """Frequentist estimates of the average effect on the treated, by the libraries that referees know.

    Every estimator gives one row per average that its library offers: ``term`` is ``simple``, ``event``, ``cohort``, ``calendar`` or
    ``cell``, with the same keys as :meth:`DiDFit.att`, so that :func:`bayes.compare` joins them. They do not all estimate the same
    number: ``note`` gives the weights and the base period of each row. Imputation, Gardner and ETWFE share points, not standard errors.

    Parameters
    ----------
    panel : Panel
        Needs ``first_treated``. Units first treated after the last period count as never treated.
    outcome : str
        Column of the outcome.
    estimators : str or sequence of str
        Any of :func:`names`; default all but ``two-group``. pyfixest estimates ``twfe`` and ``two-group``, diff-diff the others, moderndid
        the calendar averages of Callaway–Sant'Anna. ``two-group`` is the regression on two dummies (ever treated, from the first date on)
        and their product, without unit and period effects: meaningful with one date only; it counts later cohorts as treated from the
        first date on, and says so.
    covariates : sequence of str
        TWFE, Sun–Abraham, imputation and Gardner add them linearly (imputation and Gardner fit them on untreated rows);
        Callaway–Sant'Anna is doubly robust in their base-period values; ETWFE interacts them with cohorts and treated cells; the
        Bacon decomposition ignores them and says so.
    control_group : {"not-yet", "never"} or mapping
        Whom ``callaway-santanna`` and ``etwfe`` compare with; the others have one group only and keep it. A mapping
        ``{estimator: group}`` raises where an estimator does not have that group.
    cluster : str, optional
        Column to cluster standard errors by, constant within units; default the unit.
    anticipation : int
        Grid steps before the first treated period from which on effects are allowed. ``note`` says whether they enter an average.
    level : float
        Coverage of the intervals: normal, or t where the library has a t interval; ``interval`` says which.
    by_region : bool
        Also estimate Callaway–Sant'Anna and imputation region by region (terms ``region`` and ``region:event``): the treated units of one
        region against the controls of the whole panel, the treated units of other regions left out.
    weights : bool
        Use the panel's weights: analytic weights in TWFE, probability weights with linearised standard errors in the others (which
        need weights that are constant within a unit).
    base_period : {"universal", "varying"}
        Leads of Callaway–Sant'Anna relative to g − 1 − anticipation, as in a posterior event study, or each relative to the period before
        it, the default of R's did (those rows carry ``variant="varying base"``). Effects after treatment are the same.

    Returns
    -------
    Estimates
        ``estimand`` is ``att`` (``bacon_effect`` and ``bacon_weight`` for the decomposition). ``n_obs`` counts the rows used. What a
        library says about the data stands in the note of an estimator's first row. An estimator that fails leaves one row with NaN,
        ``identified=False`` and the reason. ``meta["seconds"]`` holds the time each took, imports included.

    Raises
    ------
    SpecificationError
        An unknown estimator or option, or a panel without treatment timing, weights or regions where they are needed.
    MissingColumnError, MissingValueError, NotNumericError
        A column that cannot be used; rows are never dropped for missing values.
    NoComparisonError
        No unit is treated within the panel.

    Warns
    -----
    BaselineWarning
        An estimator failed, or left rows out.

    References
    ----------
    Callaway and Sant'Anna (2021), Sun and Abraham (2021) and Goodman-Bacon (2021), Journal of Econometrics 225(2); Borusyak, Jaravel and
    Spiess (2024), Review of Economic Studies 91(6); Gardner (2022), arXiv:2207.05943; Wooldridge (2025), Empirical Economics 69(5).
    """
    chosen = _chosen(estimators)
    controls = _controls(control_group)
    _require_options(panel, weights, by_region, anticipation, level, base_period, chosen)
    columns = _covariate_names(covariates)
    sample = make_sample(panel, outcome, columns, _cluster_column(panel, cluster), weights, anticipation, level, base_period)
    if not (sample.frame["cohort"] > 0).any():
        raise NoComparisonError("No unit is treated within the panel, so there is no effect to estimate. Check the first treated period.")
    rows: list[dict[str, Any]] = []
    seconds: dict[str, float] = {}
    for name in chosen:
        start = perf_counter()
        estimator = _BASELINES[name]
        prepared = replace(sample, control_group=controls[name], source=estimator.source(controls[name]))
        rows += _run(estimator, estimator.function, prepared)
        if by_region and estimator.by_region:
            rows += _regions(estimator, prepared)
        seconds[name] = perf_counter() - start
    return Estimates.from_rows(rows, title=f"Baselines for {outcome}", outcome=outcome, seconds=seconds)


# ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _run(estimator: Baseline, function: str, sample: Sample, where: str = "") -> list[dict[str, Any]]:
    """Rows of one estimator; a failure becomes one NaN row and a warning, so that the others go on."""
    sample, absorbed = _without_absorbed(sample) if estimator.absorbs else (sample, "")
    try:
        with quiet() as messages:
            rows = getattr(import_module(f"bayes.baselines.{estimator.module}"), function)(sample)
    except Exception as error:  # a library may fail in any way on hard data; it must not take the other baselines along
        reason = _in_user_names(sample, f"{type(error).__name__}: {error}")
        warn_user(f"{estimator.title}{where} could not be computed. {shorten(reason, 300)}", BaselineWarning)
        return [sample.empty_row(f"not computed: {shorten(reason)}", estimand="bacon_effect" if estimator.module == "_bacon" else "att")]
    said = [absorbed, *(f"the library says: {_in_user_names(sample, m)}" for m in messages)]
    left_out = len(sample.frame) - min(row["n_obs"] for row in rows)
    if left_out:
        said.insert(0, f"{left_out} of {len(sample.frame)} rows left out")
        warn_user(
            f"{estimator.title}{where} left out {left_out} of {len(sample.frame)} rows. Its first row's note says more.", BaselineWarning
        )
    return [{**rows[0], "note": "; ".join(filter(None, [rows[0]["note"], *said]))}, *rows[1:]]


def _regions(estimator: Baseline, sample: Sample) -> list[dict[str, Any]]:
    """``region`` and ``region:event`` rows: treated units of one region against the controls of all."""
    region = sample.panel.unit_regions[sample.panel.unit_codes]
    treated = (sample.frame["cohort"] > 0).to_numpy()
    terms = {"simple": "region", "event": "region:event"}
    rows: list[dict[str, Any]] = []
    for code, name in enumerate(map(str, sample.panel.regions)):
        of_region = treated & (region == code)
        if not of_region.any():
            rows.append({**sample.empty_row("no treated unit in this region"), "term": "region", "region": name})
            continue
        others = treated & ~of_region
        text = f"treated units of {name} against the controls of all regions"
        if others.any():
            text += f"; {int(others.sum())} rows of units treated in other regions not used"
        for row in _run(estimator, "fit_region", sample.only(~others), where=f" in region {name}"):
            rows.append({**row, "term": terms[row["term"]], "region": name, "note": f"{text}; {row['note']}"})
    return rows


def _without_absorbed(sample: Sample) -> tuple[Sample, str]:
    """Leave out covariates that never change within a unit, and say so: unit effects absorb them."""
    by_unit = sample.frame.groupby("unit", sort=False)
    absorbed = [name for name, column in sample.covariates.items() if (by_unit[column].nunique() == 1).all()]
    kept = {name: column for name, column in sample.covariates.items() if name not in absorbed}
    said = f"constant within units and absorbed by their effects: {', '.join(absorbed)}" if absorbed else ""
    return replace(sample, covariates=kept), said


def _in_user_names(sample: Sample, text: str) -> str:
    for name, column in sample.covariates.items():
        text = re.sub(rf"\b{column}\b", lambda _, n=name: n, text)
    return text


# ── checks of a call ────────────────────────────────────────────────────────────────────────────────────────────────────


def _chosen(estimators: str | Sequence[str]) -> list[str]:
    chosen = [estimators] if isinstance(estimators, str) else list(dict.fromkeys(estimators))
    unknown = [name for name in chosen if name not in _BASELINES]
    if unknown or not chosen:
        problem = f"Unknown estimators {unknown}." if unknown else "Name at least one estimator."
        raise SpecificationError(f"{problem} Allowed: {', '.join(_BASELINES)}.")
    return chosen


def _controls(control_group: str | Mapping[str, str]) -> dict[str, str]:
    """Comparison group of every estimator."""
    defaults = {name: b.controls[0] for name, b in _BASELINES.items()}
    if isinstance(control_group, str):
        if control_group not in _WORDS:
            allowed = ", ".join(_WORDS)
            raise SpecificationError(f"Unknown control_group {control_group!r}. Allowed: {allowed}, or a mapping by estimator.")
        return {name: control_group if control_group in b.controls else defaults[name] for name, b in _BASELINES.items()}
    for name, group in control_group.items():
        if name not in _BASELINES:
            raise SpecificationError(f"control_group names the unknown estimator {name!r}. Allowed: {', '.join(_BASELINES)}.")
        if group not in _BASELINES[name].controls:
            raise SpecificationError(f"{name} has no control group {group!r}. It compares with: {', '.join(_BASELINES[name].controls)}.")
    return {**defaults, **control_group}


def _require_options(
    panel: Panel, weights: bool, by_region: bool, anticipation: int, level: float, base_period: str, chosen: Sequence[str]
) -> None:
    if panel.first_treated is None:
        raise SpecificationError("The panel has no treatment timing. Build it with Panel.from_frame(…, first_treated=… or treated=…).")
    if weights and panel.weights is None:
        raise SpecificationError("weights=True, but the panel has no weights. Build it with Panel.from_frame(…, weights=…).")
    if isinstance(anticipation, bool) or not isinstance(anticipation, int | np.integer) or anticipation < 0:
        raise SpecificationError(f"anticipation counts periods: a whole number from 0 on, got {anticipation!r}.")
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    if base_period not in _BASE_PERIODS:
        raise SpecificationError(f"Unknown base_period {base_period!r}. Allowed: {', '.join(_BASE_PERIODS)}.")
    if by_region:
        regional = [name for name, b in _BASELINES.items() if b.by_region]
        if panel.region is None:
            raise SpecificationError("by_region=True, but the panel has no region. Build it with Panel.from_frame(…, region=…).")
        if not set(regional) & set(chosen):
            raise SpecificationError(f"by_region=True needs one of the estimators {', '.join(regional)}.")


def _covariate_names(covariates: Sequence[str]) -> tuple[str, ...]:
    columns = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    if len(set(columns)) < len(columns):
        raise SpecificationError(f"covariates names a column twice: {list(columns)}.")
    return columns


def _cluster_column(panel: Panel, cluster: str | None) -> str:
    if cluster is None or cluster == panel.unit:
        return panel.unit
    if cluster not in panel.frame:
        columns = ", ".join(map(str, panel.frame.columns))
        raise MissingColumnError(f"Column {cluster!r} (given as cluster) does not exist. Columns: {columns}.")
    split = panel.frame.groupby(panel.unit, sort=False, observed=True)[cluster].nunique(dropna=False) > 1
    if split.any() or panel.frame[cluster].isna().any():
        where = f"unit {split.index[split.to_numpy()][0]!r} has several" if split.any() else "some rows have none"
        raise SpecificationError(f"Clusters (column {cluster!r}) must hold whole units: {where}. Cluster by the unit or a coarser group.")
    return cluster

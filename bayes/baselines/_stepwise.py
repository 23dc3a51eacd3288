"""Columns of a paper's regression table: one regression a set of covariates, with the coefficients of the covariates and R²."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.baselines import _twfe, _two_group
from bayes.baselines._did import _BASELINES, _cluster_column, _covariate_names, _require_options, _without_absorbed
from bayes.baselines._libraries import quiet
from bayes.baselines._sample import Sample, make_sample
from bayes.errors import NoComparisonError, SpecificationError
from bayes.estimates import Estimates
from bayes.panel import Panel
from bayes.validation import one_of

_REGRESSIONS = {"twfe": _twfe.static_regression, "two-group": _two_group.regression}


@checked
def stepwise(
    panel: Panel, outcome: str, columns: Mapping[str, Sequence[str]], estimator: str = "twfe", cluster: str | None = None,
    level: float = 0.95,
) -> Estimates:  # fmt: skip
    """The columns of a regression table in which covariates enter one after the other.

    Parameters
    ----------
    panel : Panel
        Needs ``first_treated``.
    outcome : str
    columns : mapping of str to list of str
        Heading of each column → its covariates: ``{"(1) no controls": [], "(2) LGDP": ["lgdp"]}``. The heading stands in ``variant``; with
        the headings of a printed table the columns meet those of :func:`bayes.published`.
    estimator : "twfe" or "two-group"
        One treatment coefficient with unit and period effects, or two dummies and their product without them; see
        :func:`bayes.baselines.did` for what each is worth.
    cluster : str, optional
        Column to cluster standard errors by, constant within units; default the unit.
    level : float
        Coverage of the t intervals.

    Returns
    -------
    Estimates
        By column: ``att`` (term ``simple``), ``coefficient`` of each covariate (and, for ``two-group``, of the two dummies), ``r_squared``
        (with the effects) and, for ``twfe``, ``r_squared_within`` (term: the outcome, no standard error). A coefficient that the
        regression cannot tell from the others is NaN with the reason.

    Raises
    ------
    SpecificationError
        No column, a covariate named twice, unknown words, no treatment timing.
    MissingColumnError, MissingValueError, NotNumericError, CollinearColumnsError
        A column of the panel that cannot be used.
    NoComparisonError
        No unit is treated within the panel.
    """
    one_of("estimator", estimator, tuple(_REGRESSIONS))
    if not isinstance(columns, Mapping) or not columns:
        raise SpecificationError(
            f"columns must map headings to lists of covariates, for example {{'(1)': [], '(2)': ['x']}}; got {columns!r}."
        )
    _require_options(panel, False, False, 0, level, "universal", [estimator])
    place = _cluster_column(panel, cluster)
    rows: list[dict[str, Any]] = []
    for heading, covariates in columns.items():
        sample = make_sample(panel, outcome, _covariate_names(covariates), place, False, 0, level, "universal")
        if not (sample.frame["cohort"] > 0).any():
            raise NoComparisonError(
                "No unit is treated within the panel, so there is no effect to estimate. Check the first treated period."
            )
        source = _BASELINES[estimator].source("all")
        rows += _column(replace(sample, source=source), estimator, str(heading), outcome)
    return Estimates.from_rows(rows, title=f"{outcome} on treatment, column by column", outcome=outcome)


def _column(sample: Sample, estimator: str, heading: str, outcome: str) -> list[dict[str, Any]]:
    """Rows of one regression."""
    used = _without_absorbed(sample)[0] if _BASELINES[estimator].absorbs else sample
    with quiet():
        model = _REGRESSIONS[estimator](used)
        bounds = model.confint(alpha=1 - sample.level)
    dummies, note = (_two_group.DUMMIES, _two_group.note_of(used)) if estimator == "two-group" else ({}, "")
    wanted = [("att", "simple", "treated"), *(("coefficient", words, name) for name, words in dummies.items())]
    wanted += [("coefficient", name, column) for name, column in sample.covariates.items()]
    rows = []
    for estimand, term, name in wanted:
        keys = {"estimand": estimand, "variant": heading}
        if name in bounds.index:
            found = bounds.loc[name].to_numpy(dtype=float)
            rows.append(
                sample.row(term, model.coef()[name], model.se()[name], model._N, note if estimand == "att" else "", bounds=found, **keys)
            )
        else:
            reason = "not identified: absorbed by the effects or a combination of other columns"
            rows.append({**sample.empty_row(reason, **keys), "term": term})
    for estimand, value in {"r_squared": model._r2, "r_squared_within": model._r2_within}.items():
        if value is not None and np.isfinite(value):
            said = "effects of units and periods taken out first" if "within" in estimand else ""
            rows.append(sample.row(outcome, value, np.nan, model._N, said, estimand=estimand, variant=heading))
    return rows

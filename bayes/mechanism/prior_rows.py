"""The table of priors in use of a mediation fit: one row for each parameter and column of the data that gives it its unit."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bayes.mechanism.coupling import pairs
from bayes.mechanism.draws import SPREADS, path_kinds, units_of
from bayes.mechanism.equations import Equations
from bayes.priors import prior_table


def priors_in_use(spec: Any, equations: Equations) -> pd.DataFrame:
    """parameter, distribution (units of the data), meaning, set_by."""
    priors, used = spec.resolved_priors(), spec.parameters(equations)
    rows = []
    for name in ("innovation_sd", "autocorrelation", "unit_effect_sd"):
        if name in used:
            own = [(response, scale) for response, scale in zip(equations.names, units_of(name, equations), strict=True)]
            rows += [_row(f"{name}[{response}]", name, priors, spec, scale) for response, scale in own]
    kinds, scales = path_kinds(equations), equations.path_scales
    labels = [*equations.mediators, "", *equations.mediators]
    for kind in SPREADS:
        for name in (kind.removesuffix("_sd"), kind):
            if name in used or not name.endswith("_sd"):
                chosen = [(label, scale) for label, scale, k in zip(labels, scales, kinds, strict=True) if k == kind]
                rows += [_row(f"{name}[{label}]" if label else name, name, priors, spec, scale) for label, scale in chosen]
    table = pd.concat(rows, ignore_index=True)
    if spec.exposure is not None:
        table["meaning"] = table["meaning"].map(_of_exposure)
    if "partial_correlation" in used:
        table.loc[len(table)] = [
            "path_correlation",
            f"LKJ(eta={spec.correlation_concentration:g})",
            f"correlations of the {len(kinds)} paths over regions ({len(pairs(len(kinds)))} of them)",
            "default" if spec.correlation_concentration == 2 else "user",
        ]
    return table


def _of_exposure(meaning: str) -> str:
    """The meaning of a prior with an exposure in the place of the treatment: per standard deviation of it."""
    if "treatment" not in meaning and not meaning.endswith(("of a; × sd(mediator)", "of c'; × sd(outcome)")):
        return meaning
    return f"{meaning.replace('treatment', 'exposure')}/sd(exposure)"


def _row(label: str, name: str, priors: Any, spec: Any, scale: float) -> pd.DataFrame:
    return prior_table({name: priors[name]}, spec.priors, scale).assign(parameter=label)

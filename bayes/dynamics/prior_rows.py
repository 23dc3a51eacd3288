"""The table of priors in use of a cross-lagged fit."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bayes.dynamics.draws import SPREADS, labels_of, units_of
from bayes.dynamics.lags import LaggedPair
from bayes.priors import prior_table


def priors_in_use(spec: Any, pair: LaggedPair) -> pd.DataFrame:
    """parameter, distribution (units of the data), meaning, set_by."""
    used, priors, rows = spec.parameters(pair), spec.resolved_priors(), []
    for name, like in (("innovation_sd", "innovation_sd"), ("unit_effect_sd", "unit_effect_sd"), *_slopes()):
        if name in used or not name.endswith("_sd"):
            for label, unit in zip(labels_of(like, pair)[1], units_of(like, pair), strict=True):
                rows.append(prior_table({name: priors[name]}, spec.priors, unit).assign(parameter=f"{name}[{label}]"))
    table = pd.concat(rows, ignore_index=True)
    eta = spec.correlation_concentration
    for name, what in (("innovation_correlation", "innovations"), ("unit_effect_correlation", "unit effects, given the start,")):
        table.loc[len(table)] = [
            name, f"LKJ(eta={eta:g})", f"correlation of the {what} of both series", "default" if eta == 2 else "user"
        ]  # fmt: skip
    return table


def _slopes() -> list[tuple[str, str]]:
    """Mean and spread of each kind of slope, with the parameter that has its labels and units."""
    return [pair for name in SPREADS for pair in ((name.removesuffix("_sd"), name), (name, name))]

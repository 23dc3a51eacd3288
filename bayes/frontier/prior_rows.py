"""The table of priors that a frontier was fitted with, in units of its data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from bayes.frontier.data import FrontierData
from bayes.frontier.draws import prior_names
from bayes.priors import prior_table

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier


def priors_in_use(spec: StochasticFrontier, data: FrontierData) -> pd.DataFrame:
    """Parameter, distribution, meaning, set_by. Coefficients appear once a term, with their prior in units of the output."""
    from bayes.frontier.scalars import scaling

    scales = scaling(spec, data)
    used = prior_names(spec, data)
    rest = {name: replace(prior, relative=False) for name, prior in scales.priors.items() if name in used}
    table = prior_table(rest, spec.priors, 1.0)
    if spec.efficiency_prior == "classic" and "inefficiency_scale" not in spec.priors:
        words = {"half-normal": "σ_u⁻² ~ Gamma(5, 10 ln² r*)", "exponential": "1/σ_u ~ Gamma(1, −ln r*)"}[spec.inefficiency]
        table.loc[table.parameter == "inefficiency_scale", "distribution"] = f"{words}, r* = {spec.median_efficiency:g}"
    rows = []
    for k, term in enumerate(data.term_names):
        key = "intercept" if term == "intercept" else "technology"
        distribution = f"Normal(mu={scales.technology_mean[k]:.4g}, sigma={scales.technology_sd[k]:.4g})"
        rows.append((f"technology[{term}]", distribution, "coefficient, mean over regions", "user" if key in spec.priors else "default"))
        if "technology_spread" in used:
            spread = replace(scales.technology_spread, relative=True).scaled(scales.technology_unit[k])
            by = "user" if "technology_spread" in spec.priors else "default"
            rows.append((f"technology_spread[{term}]", str(spread), "between-region standard deviation of the coefficient", by))
    terms = pd.DataFrame(rows, columns=list(table.columns))
    return pd.concat([terms, table[table.parameter != "technology_spread"]], ignore_index=True)

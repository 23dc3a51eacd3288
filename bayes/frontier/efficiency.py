"""Efficiency exp(−u) from posterior draws: by unit, region and period, ranks, exceedance, and what determinants do to it.

Three estimators, named in every table because they differ: ``draws`` (exact draws of exp(−u) given the residuals: full uncertainty),
``battese-coelli`` (E[exp(−u) | ε] in each draw) and ``jlms`` (exp(−E[u | ε]) in each draw).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayes.aggregation import Groups, group_rows, stacked, table
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.frontier.aggregation import mean_by_draw, row_index
from bayes.frontier.data import FrontierData
from bayes.frontier.inefficiency import (
    draw_inefficiency,
    expected_inefficiency,
    log_mean_efficiency,
    mean_inefficiency,
    require_component,
    slope_of_expected_inefficiency,
)
from bayes.frontier.likelihood import Parameters
from bayes.ranking import Ranks, rank_draws, ranks_of
from bayes.validation import one_of

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

ESTIMATORS = {
    "draws": "draws of exp(−u)",
    "battese-coelli": "Battese–Coelli E[exp(−u)|ε]",
    "jlms": "JLMS exp(−E[u|ε])",
}
"""Words of ``estimator`` and how tables name them."""


def mean_efficiency(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, by: str = "unit", estimator: str = "draws", component: str = "overall",
    level: float = 0.95, weights: np.ndarray | None = None, source: str = "Bayes", seed: int = 0,
) -> Estimates:  # fmt: skip
    """Mean efficiency of groups of rows in each draw.

    Parameters
    ----------
    by : "all", "region", "unit", "period", "region:period" or "unit:period"
    estimator : "draws", "battese-coelli" or "jlms"
        See the module. The last two are means given ε in each draw: their intervals hold parameter uncertainty only.
    component : "overall", "persistent" or "transient"
        The last two for ``model="four-component"``: exp(−h_i) and exp(−u_it); overall is their product.
    weights : array (n_rows,), optional
        Weights of rows in the means; equal by default.
    source : str
        Name of the fit; the estimator is added to it.
    seed : int
        Of the draws of u; the same seed gives the same draws in every function of this package.

    Returns
    -------
    Estimates
        Estimand ``efficiency``, ``term`` = by, ``variant`` the component where it is not overall.

    Raises
    ------
    SpecificationError
        On unknown words and components that the model does not have.
    """
    groups = group_rows(by, row_index(data), data, weights)
    draws = efficiency_draws(p, spec, data, groups, estimator, component, seed)
    return table(
        groups, draws, "efficiency", level, f"{source}, {ESTIMATORS[estimator]}", variant="" if component == "overall" else component,
        note=_note(estimator, weights),
    )  # fmt: skip


def efficiency_draws(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, groups: Groups, estimator: str = "draws", component: str = "overall",
    seed: int = 0,
) -> np.ndarray:  # fmt: skip
    """Mean efficiency of each group in each draw, shape (groups, draws). Raises as :func:`mean_efficiency`."""
    one_of("estimator", estimator, ESTIMATORS)
    require_component(spec, component)
    rng = np.random.default_rng(seed)

    def evaluate(chunk: Parameters, _: slice) -> list[np.ndarray]:
        if estimator == "battese-coelli":
            values = np.exp(log_mean_efficiency(chunk, spec, data, component))
        elif estimator == "jlms":
            values = np.exp(-mean_inefficiency(chunk, spec, data, component))
        else:
            values = np.exp(-draw_inefficiency(chunk, spec, data, rng, component))
        return [data.in_rows(values)]

    return mean_by_draw(p, groups, evaluate, data.output.size)[0]


def ranks(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, by: str = "unit", component: str = "overall", level: float = 0.95,
    weights: np.ndarray | None = None, source: str = "Bayes", seed: int = 0,
) -> Ranks:  # fmt: skip
    """Ranks of units or regions by mean efficiency, in each draw of exp(−u): 1 is the most efficient.

    Raises :class:`SpecificationError` when ``by`` is neither "unit" nor "region", and as :func:`mean_efficiency`.
    """
    if by not in ("unit", "region"):
        raise SpecificationError(f"by={by!r} has no ranks. Choose 'unit' or 'region'.")
    groups = group_rows(by, row_index(data), data, weights)
    values = efficiency_draws(p, spec, data, groups, "draws", component, seed)
    labels = {"variant": "" if component == "overall" else component, "note": f"1 = most efficient of {len(groups)}; posterior mean rank"}
    return ranks_of(table(groups, rank_draws(values), "rank", level, f"{source}, {ESTIMATORS['draws']}", **labels), by)


def exceedance(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, threshold: float, by: str = "unit", component: str = "overall",
    level: float = 0.95, weights: np.ndarray | None = None, source: str = "Bayes", seed: int = 0,
) -> Estimates:  # fmt: skip
    """P(mean efficiency > threshold) of each group.

    Estimand ``efficiency_exceedance``, ``term`` = by; the estimate is the probability, ``variant`` holds the threshold and ``draws`` are 1
    where a draw lies above it. A posterior probability has no interval. Raises :class:`SpecificationError` when the threshold is not
    between 0 and 1, and as :func:`mean_efficiency`.
    """
    if not 0 < threshold < 1:
        raise SpecificationError(f"threshold is an efficiency between 0 and 1, got {threshold!r}.")
    groups = group_rows(by, row_index(data), data, weights)
    above = (efficiency_draws(p, spec, data, groups, "draws", component, seed) > threshold).astype(float)
    variant = f">{threshold:g}" if component == "overall" else f">{threshold:g} {component}"
    note = f"posterior probability that efficiency exceeds {threshold:g}"
    out = table(groups, above, "efficiency_exceedance", level, f"{source}, {ESTIMATORS['draws']}", variant=variant, note=note)
    out.frame[["se", "lower", "upper", "level", "prob_positive"]] = np.nan
    out.frame["interval"] = ""
    return out


# ── determinants ────────────────────────────────────────────────────────────────────────────────────────────────────


def determinant_effects(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, by: str = "all", level: float = 0.95, weights: np.ndarray | None = None,
    source: str = "Bayes",
) -> Estimates:  # fmt: skip
    """Marginal effect of each determinant on inefficiency, averaged over rows in each draw.

    A number: mean of ∂E[u]/∂z per unit of its column, with E[u] the mean under the model, residuals not used. A 0/1 column: mean of
    E[u | z = 1] − E[u | z = 0] over the rows with z = 1, everything else of the row as it is (for a treatment, its effect on the treated).

    Returns
    -------
    Estimates
        Estimands ``inefficiency_effect`` and its negative ``log_efficiency_effect`` (ln efficiency = −u), ``term`` = the determinant.
        With groups (``by="region"``) the labels name them.

    Raises
    ------
    SpecificationError
        When the model has no determinants.
    """
    if not spec.determinants:
        raise SpecificationError("The model has no determinants: name columns in StochasticFrontier(determinants=[...]).")
    index, parts, values = row_index(data), [], []
    for q, name in enumerate(spec.determinants):
        ones = rows_with_one(data, q)
        is_binary = ones is not None
        groups = group_rows(by, index, data, weights, ones)
        draws = mean_by_draw(p, groups, _effect(spec, data, q, is_binary), data.output.size)[0]
        words = "E[u|1] − E[u|0] over rows with 1" if is_binary else "mean of ∂E[u]/∂z over rows, per unit of the column"
        words += "; transient component" if spec.model == "four-component" else ""
        for estimand, sign in (("inefficiency_effect", 1.0), ("log_efficiency_effect", -1.0)):
            parts.append(table(groups, sign * draws, estimand, level, source, term=name, note=words))
            values.append(sign * draws)
    return stacked(parts, np.vstack(values), f"Effects of determinants by {by}")


def noise_effects(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, by: str = "all", level: float = 0.95, weights: np.ndarray | None = None,
    source: str = "Bayes",
) -> Estimates:  # fmt: skip
    """Effect of each noise determinant on ln σ_v, per unit of its column; the same in all rows, so that there are no groups or weights.

    Returns
    -------
    Estimates
        Estimand ``log_noise_effect``, ``term`` = the column. Below 0 the column goes with a smaller standard deviation of the noise:
        −0.1 is about 10 % less.

    Raises
    ------
    SpecificationError
        When the model has no noise determinants.
    """
    if not spec.noise_determinants:
        raise SpecificationError("The model has no noise determinants: name columns in StochasticFrontier(noise_determinants=[...]).")
    draws = (p["noise_determinant"] / data.noise_determinant_scale).T
    common = {"estimand": "log_noise_effect", "source": source, "n_obs": data.n_rows, "note": "on ln σ_v, per unit of the column"}
    return Estimates.from_draws([{**common, "term": name} for name in spec.noise_determinants], draws, level, "Effects on the noise")


def _effect(spec: StochasticFrontier, data: FrontierData, q: int, is_binary: bool):
    """Effect of one determinant on E[u] in every row of a chunk of draws."""
    on, off = (with_determinant(data, q, value) for value in (1.0, 0.0))

    def evaluate(p: Parameters, _: slice) -> list[np.ndarray]:
        if is_binary:
            return [data.in_rows(expected_inefficiency(p, spec, on) - expected_inefficiency(p, spec, off))]
        per_unit = p["determinant"][:, q] / data.determinant_scale[q]
        return [per_unit[:, None] * data.in_rows(slope_of_expected_inefficiency(p, spec, data))]

    return evaluate


def rows_with_one(data: FrontierData, q: int) -> np.ndarray | None:
    """Rows in which determinant ``q`` is 1, shape (n_rows,), when its column holds 0 and 1 only; None for a number."""
    column = data.in_rows(data.determinants[q]) * data.determinant_scale[q] + data.determinant_centre[q]
    ones = np.abs(column - 1) < 1e-9
    return ones if (ones | (np.abs(column) < 1e-9)).all() and ones.any() else None


def with_determinant(data: FrontierData, q: int, value: float) -> FrontierData:
    """The same data with one determinant set to ``value``, in units of its column."""
    z = data.determinants.copy()
    z[q] = (value - data.determinant_centre[q]) / data.determinant_scale[q] * data.mask
    return replace(data, determinants=z)


def _note(estimator: str, weights: np.ndarray | None) -> str:
    words = "weights: rows" if weights is None else "weights: as given"
    return words if estimator == "draws" else f"{words}; interval holds parameter uncertainty only"

"""Levels of (green) total factor productivity from fitted frontiers, dimension by dimension: an output frontier, an energy frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.aggregation import AGGREGATIONS, Groups, RowIndex, group_rows
from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.measure._rows import Rows
from bayes.validation import one_of

if TYPE_CHECKING:
    from bayes.frontier.data import FrontierData
    from bayes.frontier.fit import FrontierFit
    from bayes.frontier.likelihood import Parameters
    from bayes.frontier.model import StochasticFrontier

_LEVEL = "geometric mean; 1 is the geometric mean of all rows; prob_positive is P(level > 1)"


@checked
def green_productivity_levels(
    fits: Mapping[str, FrontierFit], by: str | Sequence[str] = ("unit:period", "region", "period"), level: float = 0.95
) -> Estimates:
    """Levels of productivity in several dimensions, their trends, their differences between regions, and what drives efficiency.

    Each dimension is a fitted frontier: the economic one a production frontier of output; the energy (or emission) one a cost frontier,
    with log energy as its dependent variable and output, capital and labour as inputs (an input-requirement frontier). The level of a row:

        ln A = s·[f_r(x, t) − f̄(x, t̄)] + s·w − u,   s = +1 (production), −1 (cost),

    with f_r the frontier of its region, f̄ the mean of the regions' frontiers (weighted by their rows) at the mean time t̄, w a unit effect
    where the model has one, and u an exact draw of inefficiency given the residuals. So A compares output without noise with what the
    average technology of the middle of the sample would make of the same inputs (energy: what that technology would need, over what is
    needed without noise): 1.1 is 10 % more output, or 1/1.1 of the energy. It holds the region's technology (also how it suits the
    row's inputs), technical change, unit effects and efficiency. Covariates of the frontier enter both sides with the row's own values and
    cancel, but for regional differences in their coefficients. Levels are divided by their geometric mean over all rows in each draw.
    Ratios of levels are transitive.

    Parameters
    ----------
    fits : mapping of dimension to FrontierFit
        ``{"economic": fit_of_output, "energy": fit_of_energy}``; any number of dimensions, each with a panel of its own. Dimensions are
        fitted apart: draws of different dimensions are independent, thinned evenly to the smallest number of draws.
    by : str or list of str
        Groups of levels: "unit:period", "unit", "region", "period", "region:period", "all". Weighted by the panel's weights.

    Returns
    -------
    Estimates
        ``variant`` = the dimension. ``productivity_level`` (``term`` = by; ``prob_positive`` = P(> 1)). ``productivity_trend``: slope of
        ln A on the period within units by least squares, per unit of time, for all units and by region; P(> 0). ``level_ratio``:
        ``region`` over ``term_to``, P(> 1). ``inefficiency_effect`` and ``log_efficiency_effect`` of the determinants in each fit
        (:meth:`FrontierFit.determinant_effects`, ``term`` = the column), ``log_noise_effect`` of noise determinants
        (:meth:`FrontierFit.noise_effects`). ``meta`` holds the verdicts of the fits.

    Raises
    ------
    SpecificationError
        No fits, something that is no frontier fit, or an unknown ``by``.
    """
    words = [by] if isinstance(by, str) else list(by)
    for word in words:
        one_of("by", word, AGGREGATIONS)
    _check(fits)
    n_draws = min(_n_draws(fit) for fit in fits.values())
    rows = Rows(n_draws)
    for position, (dimension, fit) in enumerate(fits.items()):
        chosen = np.linspace(0, _n_draws(fit) - 1, n_draws).round().astype(int)
        # Fits of one seed share their random numbers: without another order and another stream of u, draws would move together.
        chosen = np.random.default_rng([fit.meta["seed"], position]).permutation(chosen) if position else chosen
        seed = fit.meta["seed"] + position
        _add_dimension(rows, dimension, fit, log_levels(fit.parameters(chosen), fit.model, fit.data, seed), words)
    out = rows.estimates("Levels of productivity", level, **_meta(fits))
    above = out.frame["estimand"].isin(["productivity_level", "level_ratio"]).to_numpy()
    out.frame.loc[above, "prob_positive"] = (out.draws[above] > 1).mean(axis=1)
    return out


def log_levels(p: Parameters, spec: StochasticFrontier, data: FrontierData, seed: int = 0) -> np.ndarray:
    """ln A of every row in each draw, less its mean over rows: (draws, n_rows)."""
    from bayes.frontier import technology as tech
    from bayes.frontier.aggregation import linear_in_rows, row_index, rows_of
    from bayes.frontier.inefficiency import inefficiency_draws
    from bayes.frontier.support import WITH_UNIT_EFFECTS

    index, values = row_index(data), rows_of(data.values, data)
    own = linear_in_rows(p["technology"], tech.design(data.terms, values), index.region)
    average = np.einsum("drk,r->dk", p["technology"], data.rows_per_region / data.n_rows)
    reference = average @ tech.design(data.terms, values | {tech.TIME: np.zeros(data.n_rows)})  # time is centred: 0 is its mean
    logs = spec.sign * (own - reference)
    if spec.model in WITH_UNIT_EFFECTS:
        logs += spec.sign * p["unit_effect"][:, index.unit]  # of four components it holds persistent inefficiency already
    logs -= inefficiency_draws(p, spec, data, seed, "transient" if spec.model == "four-component" else "overall")
    return logs - logs.mean(axis=1, keepdims=True)


def trend_weights(groups: Groups, index: RowIndex) -> np.ndarray:
    """Weights (groups, n_rows) that give the least-squares slope on the period within units; NaN where no unit has two periods."""
    weight = np.asarray(groups.weights.sum(axis=0)).ravel()
    total = np.bincount(index.unit, weight)
    within = index.period - (np.bincount(index.unit, weight * index.period) / np.where(total > 0, total, 1.0))[index.unit]
    moving = groups.weights.toarray() * within
    total = (moving * within).sum(axis=1, keepdims=True)
    return np.divide(moving, total, out=np.full(moving.shape, np.nan), where=total > 0)


def _add_dimension(rows: Rows, dimension: str, fit: FrontierFit, logs: np.ndarray, by: Sequence[str]) -> None:
    from bayes.frontier.aggregation import row_index

    panel, data = fit.panel, fit.data
    index, weights = row_index(data), None if panel.weights is None else panel.column(panel.weights)
    common = {"variant": dimension, "source": fit.source}
    for word in by:
        groups = group_rows(word, index, data, weights)
        for label, size, mean in zip(groups.labels, groups.sizes, groups.mean(logs), strict=True):
            rows.add("productivity_level", np.exp(mean), note=_LEVEL, term=word, n_obs=int(size), **label, **common)
    parts = ["all", *(["region"] if data.n_regions > 1 else [])]
    for word in parts:
        groups = group_rows(word, index, data, weights)
        slopes = trend_weights(groups, index) @ logs.T
        for label, size, slope in zip(groups.labels, groups.sizes, slopes, strict=True):
            note = "slope of the log level within units, per unit of time"
            rows.add("productivity_trend", slope, "no unit is observed twice", note, term=word, n_obs=int(size), **label, **common)
    groups = group_rows(parts[-1], index, data, weights)
    _add_ratios(rows, groups, groups.mean(logs), common)
    if fit.model.determinants:
        _add_effects(rows, fit.determinant_effects(), common)
    if fit.model.noise_determinants:
        _add_effects(rows, fit.noise_effects(), common)


def _add_ratios(rows: Rows, groups: Groups, means: np.ndarray, common: Mapping[str, Any]) -> None:
    """Every region over every region that comes after it."""
    names = [label.get("region", "") for label in groups.labels]
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            note = "region over term_to; prob_positive is P(ratio > 1)"
            rows.add("level_ratio", np.exp(means[a] - means[b]), note=note, term="region", term_to=names[b], region=names[a], **common)


def _add_effects(rows: Rows, effects: Estimates, common: Mapping[str, Any]) -> None:
    chosen = np.linspace(0, effects.draws.shape[1] - 1, rows.n_draws).round().astype(int)
    for row, draws in zip(effects.frame.itertuples(), effects.draws[:, chosen], strict=True):
        rows.add(row.estimand, draws, note=row.note, term=row.term, n_obs=row.n_obs, **common)


def _n_draws(fit: FrontierFit) -> int:
    return fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]


def _check(fits: Mapping[str, FrontierFit]) -> None:
    from bayes.frontier.fit import FrontierFit

    if not isinstance(fits, Mapping) or not fits:
        raise SpecificationError("fits maps dimensions to fitted frontiers: {'economic': fit_of_output, 'energy': fit_of_energy}.")
    for dimension, fit in fits.items():
        if not isinstance(fit, FrontierFit):
            raise SpecificationError(
                f"fits[{dimension!r}] is {type(fit).__name__}; a FrontierFit is needed: StochasticFrontier(…).fit(panel), with "
                "kind='production' for output and kind='cost' for energy."
            )


def _meta(fits: Mapping[str, FrontierFit]) -> dict[str, Any]:
    """Verdicts by dimension, failures alone where there are any."""
    checks = {name: fit.diagnose() for name, fit in fits.items()}
    failed = {name: c for name, c in checks.items() if not c.passed}
    return {
        "verdict": " ".join(f"{name}: {c.verdict}" for name, c in (failed or checks).items()),
        "passed": not failed,
        "seed": {name: fit.meta["seed"] for name, fit in fits.items()},
        "convention": "level > 1: more output from the same inputs (production), less energy for the same output and inputs (cost), than "
        "the average row; noise left out",
    }

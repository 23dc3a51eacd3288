"""Three-stage DEA: efficiency before and after environment and luck are taken out of the inputs, by posterior draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.aggregation import AGGREGATIONS
from bayes.arguments import checked
from bayes.errors import MissingValueError, NoVariationError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._dea import dea
from bayes.measure._linear_programs import Status
from bayes.measure._means import group_means
from bayes.measure._quantities import REFERENCES, Production, production_of, returns_of
from bayes.measure._rows import Rows
from bayes.measure._slack_frontier import (
    SlackFrontier,
    adjusted_input,
    likelihood_frontier,
    posterior_frontier,
    slack_specification,
    variance_shares,
)
from bayes.measure._technologies import Quantities, Technology, directional, radial_direction
from bayes.panel import Panel
from bayes.progress import counted
from bayes.validation import one_of, whole_number

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

METHODS = {"posterior": "Bayes", "ml": "maximum likelihood, u at E[u|ε] (JLMS)"}
_SAMPLING = ("sampler", "draws", "tune", "chains", "target_accept", "cores", "cache", "progress")
_TARGET_ACCEPT = 0.99
"""Slacks of zero give the frontier a hard edge: with 0.85 a few transitions diverged where there was no noise, with 0.99 none."""
_ROUNDING = 1e-8
"""A slack below this share of its input is a zero of the linear program."""


@checked
def three_stage(
    panel: Panel, inputs: Sequence[str], outputs: Sequence[str], environment: Sequence[str], method: str = "posterior",
    returns: str = "vrs", reference: str = "contemporaneous", inefficiency: str = "half-normal", pooling: str | Sequence[str] = "complete",
    draws: int = 200, by: str | Sequence[str] = "unit:period", detail: bool = False, level: float = 0.95,
    priors: Mapping[str, Any] | None = None, sampling: Mapping[str, Any] | None = None, seed: int = 0, progress: bool | None = None,
    backend: str = "auto",
) -> Estimates:  # fmt: skip
    """Input-oriented efficiency with environment and noise taken out (Fried, Lovell, Schmidt & Yaisawarng 2002).

    1. DEA on the inputs as they are. Slack of an input = x − target, radial and further slack together.
    2. For each input a stochastic cost frontier of its slack on the environment: slack = z'β + v + u, u ≥ 0
       (:class:`bayes.StochasticFrontier`; linear in the columns as they are, an independent u in every row).
    3. Inputs become x + [max z'β − z'β] + [max v − v], the maxima over all rows of all periods: every row stands in the least favourable
       environment with the worst luck of the sample. Then DEA again.

    With ``method="posterior"`` stages two (with one exact draw of u given the slack) and three run in every draw, so that intervals hold
    the uncertainty of β, v and u; frontiers of different inputs are fitted apart. Data and the first DEA are taken as given. Constants are
    added to every row's inputs, which brings scores closer to 1: compare ranks and groups after adjustment rather than the mean level
    with the one before. The constants are amounts: with units of very different size take inputs and outputs per head. Slacks of zero are
    fitted as they are, uncensored, as in the paper; where they are many (few units a period) the frontier falls onto them.

    Parameters
    ----------
    inputs, outputs : list of str
        Columns of amounts (levels, not logs), zero or positive.
    environment : list of str
        Columns that units do not choose, used as they are; none of them an input or output.
    method : "posterior" (default) or "ml"
        Sampled, or maximum likelihood with u at E[u | ε] (Jondrow et al. 1982), as in the paper: points without intervals.
    returns : "vrs" (default), "crs", "nirs" or "ndrs"
    reference : "contemporaneous" (default), "sequential" or "global"
        Best practice of the same period, of it and earlier ones, or of all periods, before and after.
    inefficiency : str
        Distribution of u, as in :class:`bayes.StochasticFrontier`.
    pooling : "complete" (default), "none" or a list of parts
        Whether the environment's coefficients and the scales vary by region, as in :class:`bayes.StochasticFrontier`. Maximum likelihood
        has complete pooling only.
    draws : int
        Posterior draws carried through stages two and three, evenly spaced among those sampled.
    by : str or list of str
        "unit:period" (default), "unit", "region", "period", "region:period", "all": means within a draw, weighted by the panel's weights.
    detail : bool
        Add rows ``slack`` and ``adjusted_input`` (term = input) by unit and period.
    priors : mapping, optional
        Priors of the slack frontiers, in standard deviations of the slack.
    sampling : mapping, optional
        Options of :meth:`bayes.StochasticFrontier.fit`; default ``{"draws": 1000, "tune": 500, "chains": 4, "target_accept": 0.99}``.
    progress : bool, optional
        Show progress; by default on a terminal only.
    backend : "auto", "highs" or "scipy"

    Returns
    -------
    Estimates
        ``efficiency`` (θ, share of inputs that best practice needs; 1 is best practice) with ``variant`` "before" (data taken as given: no
        interval) and "after"; ``efficiency_change`` = after − before, ``prob_positive`` = P(> 0). ``environment``: effect of ``term`` on
        the slack of input ``term_to``, in units of the input per unit of the column; positive is a burden. ``slack_variance_share``: of
        ``term`` ("environment", "noise", "inefficiency") in the slack of ``term_to``, by covariance with the slack, summing to one.
        ``meta`` holds the verdict of the sampling checks by input.

    Raises
    ------
    SpecificationError, MissingColumnError, MissingValueError, NotPositiveError, NoVariationError, CollinearColumnsError
        As :func:`bayes.measure.dea`; an environment column that is constant, missing, collinear, or an input; an input without slack in any
        row, so that there is nothing to explain.

    Warns
    -----
    ConvergenceWarning, WrongSkewnessWarning, BaselineWarning
        A slack frontier that fails its sampling checks, shows no inefficiency (scores after adjustment then say little), or has no
        interior optimum; a slack frontier that lies on the zeros (:class:`bayes.errors.SlackWarning`). Each names the input.

    References
    ----------
    Fried, Lovell, Schmidt & Yaisawarng (2002), Journal of Productivity Analysis 17(1/2).
    """
    whole_number("seed", seed, 0)
    words = [by] if isinstance(by, str) else list(by)
    for word in words:
        one_of("by", word, AGGREGATIONS)
    one_of("reference", reference, REFERENCES)
    production = production_of(panel, inputs, outputs)
    environment = _environment(panel, environment, (*inputs, *outputs))
    options = _options(method, pooling, draws, level, sampling, progress)
    specs = [slack_specification(name, environment, inefficiency, pooling, priors or {}) for name in inputs]
    before, slacks = first_stage(panel, inputs, outputs, returns, reference, backend)
    fits = _fitted(panel, inputs, specs, slacks, draws if method == "posterior" else None, options, seed)
    adjusted = np.stack(
        [adjusted_input(x, f.parts.environment, f.parts.noise) for x, f in zip(production.quantities.inputs.T, fits, strict=True)], axis=-1
    )
    after = third_stage(production, adjusted, returns, reference, progress, backend)
    verdict = _verdict(fits, method)
    failed = "" if verdict.get("passed", True) else " (FAILED sampling checks)"
    rows = Rows(after.shape[0], {"source": f"Three-stage DEA, {returns.upper()}, slack frontiers by {METHODS[method]}{failed}"})
    for word in words:
        _add_scores(rows, panel, word, before, after)
    _add_frontiers(rows, panel, environment, slacks, fits, "technology" in specs[0].pooled_parts and panel.regions.size > 1)
    if detail:
        _add_inputs(rows, production, slacks, adjusted)
    meta = {
        "method": method,
        "seed": seed,
        "outcome": ", ".join(outputs),
        "convention": _convention(reference),
        **verdict,
    }
    return _finished(rows.estimates("Three-stage DEA", level, **meta), fits, level)


def _fitted(
    panel: Panel, inputs: Sequence[str], specs: Sequence[StochasticFrontier], slacks: Sequence[np.ndarray], draws: int | None,
    options: Mapping[str, Any], seed: int,
) -> list[SlackFrontier]:  # fmt: skip
    """A frontier for the slack of each input; maximum likelihood where no draws are asked for."""
    cases = zip(specs, inputs, slacks, strict=True)
    if draws is None:
        return [likelihood_frontier(spec, panel, name, slack) for spec, name, slack in cases]
    seeds = np.random.default_rng(seed).integers(2**31, size=len(specs))  # draws of different inputs must not move together
    return [
        posterior_frontier(spec, panel, name, slack, draws, options, int(s)) for (spec, name, slack), s in zip(cases, seeds, strict=True)
    ]


# ── stages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def first_stage(
    panel: Panel, inputs: Sequence[str], outputs: Sequence[str], returns: str, reference: str, backend: str = "auto"
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Scores (n_rows,) and the total slack x − target of each input (n_rows,), zeros of the linear program made exact.

    Raises :class:`NoVariationError` for an input without slack, and :class:`MissingValueError` where a program found no optimum.
    """
    table = dea(panel, inputs, outputs, orientation="input", returns=returns, reference=reference, slacks=True, backend=backend).frame
    score = table.loc[table["estimand"] == "efficiency", "estimate"].to_numpy()
    slacks = []
    for name in inputs:
        x = panel.column(name)
        target = table.loc[(table["estimand"] == "target") & (table["term"] == name), "estimate"].to_numpy()
        slack = x - target
        if not np.isfinite(slack).all():
            raise MissingValueError(f"DEA found no target of {name!r} in {int((~np.isfinite(slack)).sum())} rows: try backend='scipy'.")
        slack = np.where(slack > _ROUNDING * x, slack, 0.0)
        if np.ptp(slack) == 0:
            raise NoVariationError(
                f"Input {name!r} has {'no slack' if slack[0] == 0 else 'the same slack'} in all {slack.size} rows: there is nothing "
                "to explain. Use fewer inputs and outputs, returns='crs', or more rows in a reference set (reference='global')."
            )
        slacks.append(slack)
    return score, slacks


def third_stage(
    production: Production, adjusted: np.ndarray, returns: str, reference: str, progress: bool | None = False, backend: str = "auto"
) -> np.ndarray:
    """Input-oriented efficiency on adjusted inputs (draws, n_rows, inputs): (draws, n_rows), NaN where a program found no optimum."""
    sets, kind = list(production.by_period(reference)), returns_of(returns)
    out = np.full(adjusted.shape[:2], np.nan)
    for d in counted(range(len(adjusted)), len(adjusted), "DEA on adjusted inputs, draw", progress):
        own = Quantities(adjusted[d], production.quantities.outputs, production.quantities.bads)
        for rows, spanning in sets:
            here = own.only(rows)
            found = directional(Technology(own.only(spanning), kind), here, radial_direction(here, "input"), backend=backend)
            out[d, rows] = np.where(found.status == Status.OPTIMAL, 1 - found.value, np.nan)
    return out


# ── what comes in ───────────────────────────────────────────────────────────────────────────────────────────────────


def _environment(panel: Panel, environment: Sequence[str], quantities: Sequence[str]) -> tuple[str, ...]:
    if isinstance(environment, str):
        raise SpecificationError(f"environment takes a list of columns: environment=[{environment!r}].")
    names = tuple(environment)
    if not names:
        raise SpecificationError("environment is empty: name the columns that explain slack. Without them use bayes.measure.dea.")
    shared = sorted(set(names) & set(quantities))
    if shared:
        raise SpecificationError(
            f"Columns {shared} are inputs or outputs: slack depends on them by construction. Leave them out of environment."
        )
    if len(set(names)) < len(names):
        raise SpecificationError(f"A column appears twice in environment={list(names)}.")
    for name in names:
        values = panel.column(name)
        if np.ptp(values) <= 1e-12 * np.abs(values).max():
            raise NoVariationError(
                f"Column {name!r} (environment) is {values[0]:g} in every row, so that it explains nothing. Leave it out."
            )
    return names


def _options(
    method: str, pooling: Any, draws: int, level: float, sampling: Mapping[str, Any] | None, progress: bool | None
) -> dict[str, Any]:
    """Options of the sampler, after everything that could stop a long run at its end was checked."""
    one_of("method", method, tuple(METHODS))
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    options = {"target_accept": _TARGET_ACCEPT, "progress": progress, **(sampling or {})}
    unknown = sorted(set(options) - set(_SAMPLING))
    if unknown:
        raise SpecificationError(f"sampling has no {', '.join(map(repr, unknown))}. Options: {', '.join(_SAMPLING)}.")
    if method == "ml":
        if pooling != "complete":
            raise SpecificationError(f"method='ml' has no partial pooling: leave pooling='complete', got {pooling!r}.")
        return options
    counts = (whole_number(f"sampling[{name!r}]", options.get(name, usual), 1) for name, usual in (("draws", 1000), ("chains", 4)))
    available = prod(counts)
    if whole_number("draws", draws, 2) > available:
        raise SpecificationError(f"draws={draws} are more than the {available} that sampling gives: raise sampling={{'draws': …}}.")
    return options


# ── what goes out ───────────────────────────────────────────────────────────────────────────────────────────────────


def _add_scores(rows: Rows, panel: Panel, by: str, before: np.ndarray, after: np.ndarray) -> None:
    weights = None if panel.weights is None else panel.column(panel.weights)
    same = np.broadcast_to(before, after.shape)
    extra = "; after − before: constants added to the inputs raise scores on average"
    parts = (("efficiency", "before", same, ""), ("efficiency", "after", after, ""), ("efficiency_change", "", after - same, extra))
    for estimand, variant, values, words in parts:
        means = group_means(panel, values, by, weights=weights)
        for g, label in enumerate(means.labels):
            labels = {"term": by, "variant": variant, "n_obs": int(means.used[g])}
            rows.add(estimand, means.values[g], "no linear program was solved", means.note(g) + words, **labels, **label)


def _add_frontiers(
    rows: Rows, panel: Panel, environment: Sequence[str], slacks: Sequence[np.ndarray], fits: Sequence[SlackFrontier], by_region: bool
) -> None:
    """Coefficients of the environment and shares of slack variance."""
    n = panel.n_rows
    for fit in fits:
        for q, column in enumerate(environment):
            for r in range(panel.regions.size if by_region else 1):
                region = {"region": str(panel.regions[r])} if by_region else {}
                note = f"units of {fit.name} per unit of {column}; positive is a burden"
                rows.add("environment", fit.parts.coefficients[:, r, q], note=note, term=column, term_to=fit.name, n_obs=n, **region)
    for slack, fit in zip(slacks, fits, strict=True):
        for term, share in zip(("environment", "noise", "inefficiency"), variance_shares(slack, fit.parts), strict=True):
            rows.add(
                "slack_variance_share", share, note="covariance with the slack over its variance", term=term, term_to=fit.name, n_obs=n
            )


def _add_inputs(rows: Rows, production: Production, slacks: Sequence[np.ndarray], adjusted: np.ndarray) -> None:
    for i, label in enumerate(production.labels()):
        for k, slack in enumerate(slacks):
            rows.add("slack", slack[i], term=production.columns[k], **label)
            rows.add("adjusted_input", adjusted[:, i, k], term=production.columns[k], **label)


def _finished(out: Estimates, fits: Sequence[SlackFrontier], level: float) -> Estimates:
    """No interval where nothing was drawn; standard errors of maximum likelihood where there are any."""
    frame = out.frame
    fixed = (frame["estimand"] == "slack") | (frame["variant"] == "before")
    frame.loc[fixed, ["se", "lower", "upper", "level"]] = np.nan
    frame.loc[fixed, "interval"] = ""
    signed = frame["estimand"].isin(["efficiency_change", "environment"])
    frame.loc[~signed, "prob_positive"] = np.nan  # positive by construction, or not a hypothesis
    if fits[0].errors is not None:
        from scipy.special import ndtri

        at = frame["estimand"] == "environment"
        errors = np.concatenate([fit.errors for fit in fits])
        reach = ndtri(0.5 + level / 2) * errors
        estimate, found = frame.loc[at, "estimate"].to_numpy(), np.isfinite(errors)
        frame.loc[at, "se"], frame.loc[at, "lower"], frame.loc[at, "upper"] = errors, estimate - reach, estimate + reach
        frame.loc[at, "level"], frame.loc[at, "interval"] = np.where(found, level, np.nan), np.where(found, "normal, Hessian", "")
    return out


def _verdict(fits: Sequence[SlackFrontier], method: str) -> dict[str, Any]:
    """Sampling checks by input, failures alone where there are any; of maximum likelihood the status."""
    if method == "ml":
        return {"status": {fit.name: fit.verdict for fit in fits}}
    failed = [fit for fit in fits if not fit.passed]
    return {"verdict": " ".join(f"Slack of {fit.name}: {fit.verdict}" for fit in failed or fits), "passed": not failed}


def _convention(reference: str) -> str:
    return (
        "efficiency is the share of inputs that best practice needs for the same outputs; 1 is best practice; after: every row in the "
        f"least favourable environment and with the worst luck of all rows and periods; reference: {reference}"
    )

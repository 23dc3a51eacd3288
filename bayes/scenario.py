"""Scenarios of technology convergence: output and emission if units closed a share of their distance to the leader, against none."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.frontier import best_practice as kernels
from bayes.frontier.scenario_result import BASELINE, QUANTITIES, ScenarioResult
from bayes.priors import Prior
from bayes.validation import whole_number

if TYPE_CHECKING:
    from bayes.frontier.fit import FrontierFit

DIRECTIONS: dict[str, tuple[float, float]] = {"energy-first": (1.0, 0.0), "economy-first": (0.0, 1.0), "balanced": (0.5, 0.5)}
"""Weights of each direction: of emission (or energy) first, of output second."""
_MOST_LOG = 700.0
"""The exponential of more than this is no number; no logarithm of an economic quantity comes near it."""


@checked
def scenarios(
    output: FrontierFit,
    emission: FrontierFit,
    directions: Mapping[str, tuple[float, float]] | None = None,
    convergence: Prior | float | None = None,
    seed: int = 0,
    level: float = 0.95,
    period: int | None = None,
) -> ScenarioResult:
    """What output and emission of every unit would be if units closed a share of their distance to the leader.

    Distance to the best practice of all regions, of unit i with terms x_i in region r(i), in each posterior draw:

        output:    g_i = max_r f_r(x_i) − f_r(i)(x_i) + u_i
        emission:  g_i = f_r(i)(x_i) + u_i − min_r f_r(x_i)

    with f_r the frontier of region r and u an exact draw of inefficiency given the residuals (of a four-component model persistent and
    transient together; unit effects stay with their unit). Convergence in a direction with weights w closes κ·w_d of what separates
    a unit from the leader: g' = g − κ·w_d·(g − g_leader), so ln y' = ln y + κ·w·(g − g_leader) and ln e' = ln e − κ·w·(g − g_leader). The
    leader of a dimension is the unit with the best posterior mean rank of g (smallest first) in the period: it is the same in all draws,
    so that a unit may lie ahead of it in some, and then moves back. Without regional frontiers (one region, or a common
    technology) the maximum is the unit's own frontier and only u separates units; rows say so.

    The standard deviation of g itself falls by construction whenever κ·w > 0, and is no result; whether output and emission become more
    alike is not known beforehand, because who is far from best practice need not be who is small.

    Assumptions: inputs, covariates and noise stay as observed; practice can be carried over to other regions' inputs (f_r is evaluated
    where region r may have no units, and the maximum of uncertain frontiers lies above each of their means); emission changes at observed
    output (extra output is not fed into the emission frontier). Both columns are natural logarithms. Posteriors of the two fits are
    independent: draw k of one is paired with draw k of the other after the emission draws were put in random order (fits with one seed can
    share random numbers), both thinned evenly to the smaller number of draws. What the residuals of the two frontiers have in
    common is not modelled.

    Parameters
    ----------
    output : FrontierFit
        Production frontier (``kind="production"``) of log output.
    emission : FrontierFit
        Cost frontier (``kind="cost"``) with log emission or log energy as its ``output``: an input-requirement frontier. Same units,
        regions and periods.
    directions : mapping of name to (weight of emission, weight of output), optional
        Weights between 0 and 1, emission first. Default :data:`DIRECTIONS`: energy-first (1, 0), economy-first (0, 1), balanced (½, ½).
    convergence : None, number or Prior
        κ, one number a draw for all units, dimensions and directions. None: Beta(2, 2), mean one half and 95 % between .09 and .91. A
        number between 0 and 1: fixed. A Prior: cut to the interval from 0 to 1. It is an assumption, not estimated.
    seed : int
        For κ, u and the pairing.
    level : float
        Of the equal-tailed intervals.
    period : int, optional
        Default: the last. Units that are not observed in it are left out and listed in ``meta["absent"]`` and in the notes.

    Returns
    -------
    ScenarioResult
        ``.estimates``, ``.decision()``, ``.decision_table()``, ``.compare(a, b)``. A fit that failed its checks marks ``source``, and
        ``meta["verdict"]`` says why.

    Raises
    ------
    SpecificationError
        Something that is no FrontierFit or of the wrong kind, the same column twice, fits of other units, regions or periods, a period that
        the panel does not have or with fewer than two units, weights or κ outside 0 to 1, a Prior with less than 1 % of its mass there, a
        column that is not in logarithms.

    References
    ----------
    O'Donnell, Rao & Battese (2008), Empirical Economics 34(2), for distances to the envelope of regional frontiers.
    """
    seed = whole_number("seed", seed, 0)
    if not isinstance(level, Real) or not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    _check_fits(output, emission)
    weights = _weights(DIRECTIONS if directions is None else directions)
    rows, when = _rows_of(output, period)
    n_draws = min(_n_draws(output), _n_draws(emission))
    share, words = _shares(convergence, np.random.default_rng([seed, 2]), n_draws)
    shuffled = np.random.default_rng([seed, 3]).permutation(n_draws)
    distances, logs = [], []
    for k, fit in enumerate((output, emission)):
        chosen = np.linspace(0, _n_draws(fit) - 1, n_draws).round().astype(int)
        distances.append(_distances(fit, rows, chosen[shuffled] if k else chosen, np.random.default_rng([seed, k])))
        logs.append(_log_column(fit, rows))
    units, regions = _unit_labels(output, rows)
    g = np.stack(distances)
    leaders = {name: str(units[kernels.leader_of(part)]) for name, part in zip(QUANTITIES, g, strict=True)}
    meta = _meta(output, emission, when, rows) | {"convergence": words, "seed": seed, "leaders": leaders}
    return ScenarioResult(weights, units, regions, leaders, g, np.stack(logs), share, float(level), meta)


# ── what is checked ─────────────────────────────────────────────────────────────────────────────────────────────────


def _check_fits(output: Any, emission: Any) -> None:
    from bayes.frontier.fit import FrontierFit

    for name, fit, kind in (("output", output, "production"), ("emission", emission, "cost")):
        if not isinstance(fit, FrontierFit):
            raise SpecificationError(
                f"{name} is {type(fit).__name__}; a FrontierFit is needed: StochasticFrontier(…, kind={kind!r}).fit(panel)."
            )
        if fit.model.kind != kind:
            raise SpecificationError(f"{name} is a {fit.model.kind} frontier of {fit.model.output!r}; fit it with kind={kind!r}.")
    if output.model.output == emission.model.output:
        raise SpecificationError(f"Both fits are of {output.model.output!r}: give one of log output and one of log emission or energy.")
    a, b = (_keys(fit) for fit in (output, emission))
    if a != b:
        odd = sorted(a ^ b)[0]
        here, there = ("output", "emission") if odd in a else ("emission", "output")
        raise SpecificationError(
            f"The fits are not of the same rows: {odd[0]}, region {odd[1]}, {odd[2]} is in {here} and not in {there}. Fit both to a panel "
            "of the rows that they share, with one region column."
        )


def _keys(fit: FrontierFit) -> set[tuple[str, str, int]]:
    panel = fit.panel
    codes, times = panel.unit_codes, panel.frame[panel.time]
    return {(str(panel.units[u]), str(panel.regions[panel.unit_regions[u]]), int(t)) for u, t in zip(codes, times, strict=True)}


def _weights(directions: Any) -> pd.DataFrame:
    """Weights by scenario, the baseline first."""
    if not isinstance(directions, Mapping) or not directions:
        raise SpecificationError("directions maps names to weights (of emission, of output): {'energy-first': (1, 0), 'half': (.5, .5)}.")
    table = {BASELINE: (0.0, 0.0)}
    for name, pair in directions.items():
        if not isinstance(name, str) or not name or name == BASELINE:
            raise SpecificationError(f"directions has the name {name!r}: a name is text and not {BASELINE!r}, which is always there.")
        pair = tuple(pair) if isinstance(pair, tuple | list | np.ndarray) else (pair,)
        if len(pair) != 2 or not all(_is_share(w) for w in pair):
            raise SpecificationError(f"directions[{name!r}] = {pair!r}: two weights between 0 and 1 are needed, (of emission, of output).")
        table[name] = (float(pair[0]), float(pair[1]))
    return pd.DataFrame.from_dict(table, orient="index", columns=["emission", "output"]).rename_axis("scenario")


def _is_share(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_) and 0 <= value <= 1


def _shares(convergence: Any, rng: np.random.Generator, size: int) -> tuple[np.ndarray, str]:
    """κ in every draw, and what it is in words."""
    if convergence is None:
        return rng.beta(2, 2, size), "share of the distance closed κ ~ Beta(2, 2), assumed"
    if _is_share(convergence):
        return np.full(size, float(convergence)), f"share of the distance closed κ = {float(convergence):g}, assumed"
    if not isinstance(convergence, Prior):
        raise SpecificationError(f"convergence must be None, a number between 0 and 1 or a bayes.Prior, got {convergence!r}.")
    kept = np.empty(0)
    while kept.size < size:
        found = convergence.sample(rng, max(2000, 2 * size))
        inside = found[(found >= 0) & (found <= 1)]
        if inside.size < 0.01 * found.size:
            raise SpecificationError(f"convergence={convergence} has less than 1 % of its mass between 0 and 1, where a share lies.")
        kept = np.concatenate([kept, inside])
    return kept[:size], f"share of the distance closed κ ~ {convergence} between 0 and 1, assumed"


def _rows_of(fit: FrontierFit, period: Any) -> tuple[np.ndarray, float]:
    """Rows of the panel in the period, and the period."""
    panel = fit.panel
    times = panel.frame[panel.time].to_numpy()
    present = np.unique(times)
    when = present[-1] if period is None else period
    if isinstance(when, bool) or not isinstance(when, Real) or when not in present:
        shown = ", ".join(f"{t:g}" for t in present) if present.size <= 12 else f"{present[0]:g} to {present[-1]:g}"
        raise SpecificationError(f"period={period!r} is no period of the panel. Choose one of: {shown}.")
    rows = np.flatnonzero(times == when)
    if rows.size < 2:
        raise SpecificationError(f"In {when:g} only {panel.units[panel.unit_codes[rows[0]]]} is observed: choose a period with more units.")
    return rows, float(when)


# ── from the fits ───────────────────────────────────────────────────────────────────────────────────────────────────


def _n_draws(fit: FrontierFit) -> int:
    return fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]


def _distances(fit: FrontierFit, rows: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """g of the rows in the chosen draws, (draws, n_rows chosen)."""
    from bayes.frontier.aggregation import draw_chunks, row_index, take
    from bayes.frontier.inefficiency import draw_inefficiency

    p, data = fit.parameters(chosen), fit.data
    design = np.stack([data.in_rows(column)[rows] for column in data.design])
    u = np.empty((chosen.size, rows.size))
    for chunk in draw_chunks(chosen.size, data.output.size):
        u[chunk] = data.in_rows(draw_inefficiency(take(p, chunk), fit.model, data, rng))[:, rows]
    return kernels.distances_to_best_practice(p["technology"], design, row_index(data).region[rows], fit.model.sign, u)


def _log_column(fit: FrontierFit, rows: np.ndarray) -> np.ndarray:
    values = fit.panel.column(fit.model.output)[rows]
    large = np.flatnonzero(np.abs(values) > _MOST_LOG)
    if large.size:
        unit = fit.panel.units[fit.panel.unit_codes[rows[large[0]]]]
        raise SpecificationError(
            f"Column {fit.model.output!r} is {values[large[0]]:g} for {unit}: it is no logarithm. Fit the log that panel.log(…) makes."
        )
    return values


def _unit_labels(fit: FrontierFit, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    panel = fit.panel
    codes = panel.unit_codes[rows]
    return np.array([str(u) for u in panel.units[codes]], dtype=object), panel.regions[panel.unit_regions[codes]].astype(object)


def _has_regional_frontiers(fit: FrontierFit) -> bool:
    return fit.data.n_regions > 1 and "technology" in fit.model.pooled_parts


def _meta(output: FrontierFit, emission: FrontierFit, period: float, rows: np.ndarray) -> dict[str, Any]:
    checks = {name: fit.diagnose() for name, fit in zip(QUANTITIES, (output, emission), strict=True)}
    failed = {name: c for name, c in checks.items() if not c.passed}
    panel = output.panel
    present = set(panel.unit_codes[rows])
    common = [name for name, fit in zip(QUANTITIES, (output, emission), strict=True) if not _has_regional_frontiers(fit)]
    return {
        "source": "Bayes, technology convergence" + (" (FAILED sampling checks)" if failed else ""),
        "verdict": " ".join(f"{name}: {c.verdict}" for name, c in (failed or checks).items()),
        "passed": not failed,
        "period": period,
        "columns": {"output": output.model.output, "emission": emission.model.output},
        "absent": [str(unit) for k, unit in enumerate(panel.units) if k not in present],
        "common_frontier": common,
        "pairing": "posteriors of the two fits are independent; draws paired by index, emission draws in random order",
    }

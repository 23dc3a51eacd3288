"""Policy and efficiency: the treatment as a determinant of inefficiency (one step), and draws of a fit as an outcome (cut posterior).

One step is the default: the treatment stands among the determinants, so that inefficiency and what the treatment does to it are learnt
together. Draws of efficiency from a frontier without the treatment are pulled towards one mean for treated and untreated rows alike; a
comparison of such draws carries their uncertainty and attenuates, the more so the larger σ_v is beside σ_u (on two steps: Wang & Schmidt
2002, Journal of Productivity Analysis 18(2)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes.aggregation import group_rows, stacked, table
from bayes.errors import MissingColumnError, SpecificationError
from bayes.estimates import Estimates
from bayes.frontier.aggregation import mean_by_draw, row_index
from bayes.frontier.data import FrontierData
from bayes.frontier.densities import TruncatedNormal
from bayes.frontier.efficiency import rows_with_one, with_determinant
from bayes.frontier.elasticities import scale_variables
from bayes.frontier.inefficiency import WeightedNormal, expected_inefficiency, inefficiency_draws, log_mean_exponential
from bayes.frontier.likelihood import Parameters, row_parameters
from bayes.frontier.productivity import PARTS, log_changes, row_changes, warn_of_model
from bayes.panel import Panel
from bayes.validation import one_of

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

TREATED = "treated"
"""Reserved name: among determinants, noise determinants or covariates it stands for the panel's treatment indicator."""

OUTCOMES = ("log_efficiency", "log_tfp")


def treated_rows(panel: Panel) -> np.ndarray:
    """1 for rows from their unit's first treated period on, 0 before and for units never treated. Shape (n_rows,)."""
    return (panel.frame[panel.time].to_numpy() >= panel.unit_first_treated[panel.unit_codes]).astype(float)


def with_treatment(spec: StochasticFrontier, panel: Panel) -> Panel:
    """The panel with the column ``treated`` where the specification names it and the panel has treatment timing instead.

    A column of that name is used as it is. Units treated in all their periods are not in a panel with timing (``panel.set_aside``).

    Raises
    ------
    MissingColumnError
        The specification names ``treated`` and the panel has neither such a column nor treatment timing.
    SpecificationError
        The column ``treated`` holds first treated periods.
    """
    if TREATED not in (*spec.determinants, *spec.noise_determinants, *spec.covariates):
        return panel
    if panel.first_treated == TREATED:
        raise SpecificationError(f"Column {TREATED!r} holds first treated periods, not 0 and 1: rename it, and its indicator is made.")
    if TREATED in panel.frame:
        return panel
    if panel.first_treated is None:
        raise MissingColumnError(
            f"The model names {TREATED!r}, but the panel has neither a column of that name nor treatment timing. "
            "Give first_treated= or treated= to Panel.from_frame."
        )
    return panel.assign(**{TREATED: treated_rows(panel)})


def expected_efficiency(p: Parameters, spec: StochasticFrontier, data: FrontierData) -> np.ndarray:
    """E[exp(−u_it)] under the model, given determinants but not residuals, shape (draws, U, T); transient part of four components."""
    rows = row_parameters(p, spec, data)
    match spec.inefficiency:
        case "exponential":
            values = 1 / (1 + rows.h * rows.sigma_u)
        case "gamma":
            values = (1 + rows.h * rows.sigma_u) ** -p["shape"][..., None, None]
        case "rayleigh":
            values = np.exp(log_mean_exponential(WeightedNormal(0.0, rows.sigma_u), rows.h))
        case _:
            values = np.exp(log_mean_exponential(TruncatedNormal(rows.mu, rows.sigma_u), rows.h))
    return np.broadcast_to(values, (len(p["technology"]), *data.output.shape))


def policy_effect(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, by: str = "all", level: float = 0.95, weights: np.ndarray | None = None,
    source: str = "Bayes", determinant: str = TREATED,
) -> Estimates:  # fmt: skip
    """Effect of a 0/1 determinant on the efficiency of the rows that have it, in one step with the frontier.

    Within each draw, averaged over treated rows, everything else of a row as it is: −(E[u | 1] − E[u | 0]), the effect on log efficiency,
    and E[exp(−u) | 1] − E[exp(−u) | 0], the effect on efficiency. Expectations are the model's, given determinants, not residuals.

    Assumes that the treatment shifts inefficiency and nothing else (a shift of the frontier needs ``treated`` among the covariates too),
    by one coefficient for all units and periods; and that, given the determinants, treated rows would have had the inefficiency of
    untreated ones. Selection of units with a high or low frontier is not handled unless the model has unit effects
    (``true-random-effects``, ``four-component``), which are random: independent of the treatment. Time-varying selection never is.

    Returns
    -------
    Estimates
        Estimands ``att_log_efficiency`` and ``att_efficiency``, ``term`` = the determinant; with groups the labels name them.

    Raises
    ------
    SpecificationError
        When the model does not have the determinant, or its column is not 0 and 1.

    References
    ----------
    Wang & Schmidt (2002), Journal of Productivity Analysis 18(2).
    """
    if determinant not in spec.determinants:
        raise SpecificationError(
            f"{determinant!r} is not among determinants={list(spec.determinants)}: fit StochasticFrontier(determinants=[…]) with it. "
            f"{TREATED!r} stands for the treatment timing of the panel."
        )
    q = spec.determinants.index(determinant)
    ones = rows_with_one(data, q)
    if ones is None:
        raise SpecificationError(f"Column {determinant!r} is not 0 and 1: see determinant_effects() for the effect of a number.")
    groups = group_rows(by, row_index(data), data, weights, ones)
    on, off = (with_determinant(data, q, value) for value in (1.0, 0.0))

    def evaluate(chunk: Parameters, _: slice) -> list[np.ndarray]:
        difference = [f(chunk, spec, on) - f(chunk, spec, off) for f in (expected_inefficiency, expected_efficiency)]
        return [data.in_rows(sign * d) for sign, d in zip((-1.0, 1.0), difference, strict=True)]

    values = mean_by_draw(p, groups, evaluate, data.output.size, 2)
    component = "; transient component" if spec.model == "four-component" else ""
    words = [f"{w} over rows with 1, one step{component}" for w in ("−(E[u|1] − E[u|0])", "E[exp(−u)|1] − E[exp(−u)|0]")]
    names = ("att_log_efficiency", "att_efficiency")
    parts = [table(groups, v, n, level, source, term=determinant, note=w) for v, n, w in zip(values, names, words, strict=True)]
    return stacked(parts, values.reshape(-1, values.shape[-1]), f"Effect of {determinant} on efficiency by {by}")


def outcome_draws(p: Parameters, spec: StochasticFrontier, data: FrontierData, outcome: str, seed: int) -> np.ndarray:
    """Draws of an outcome for every row, shape (draws, n_rows) in the order of ``panel.frame``.

    ``log_efficiency``: −u given the residuals. ``log_tfp``: ln TFPC summed over a unit's rows from its first (0 there), gaps included.

    Raises :class:`SpecificationError` on another word, and as :func:`bayes.frontier.productivity.productivity_change`; warns as it does.
    """
    one_of("outcome", outcome, OUTCOMES)
    if outcome == "log_efficiency":
        return -inefficiency_draws(p, spec, data, seed)
    variables, changes = scale_variables(spec), row_changes(data)
    warn_of_model(spec)
    groups = group_rows("unit:period", changes.index, data)  # one group a change, in the order of the changes
    logs = log_changes(p, spec, data, inefficiency_draws(p, spec, data, seed), changes, groups, variables)
    steps = np.zeros((logs.shape[-1], data.n_rows))
    steps[:, changes.second] = logs[PARTS.index("tfpc")].T * changes.steps
    total = np.cumsum(steps, axis=1)
    unit = row_index(data).unit
    first = np.flatnonzero(np.r_[True, np.diff(unit) != 0])
    return total - total[:, first[unit]]

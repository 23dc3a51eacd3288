"""Slack frontiers: what environment, noise and inefficiency each put into the slack of an input (Fried et al. 2002, stage two)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.errors import BaselineWarning, BayesWarning, SlackWarning, WrongSkewnessWarning, warn_user
from bayes.panel import Panel
from bayes.priors import Prior

if TYPE_CHECKING:
    from bayes.frontier.data import FrontierData
    from bayes.frontier.model import StochasticFrontier

_INEFFICIENCY_SCALE = Prior("LogNormal", {"median": 1.0, "sigma": 1.0}, True, "scale σ_u of a slack; × the scale of the median below")
_MEDIAN = 0.5
"""Prior median of exp(−u), u in standard deviations of the slack: half of all u lie below 0.69 of them."""

_DEGENERATE = 0.02
"""Share of slack variance in environment and noise together below which a slack frontier explains nothing."""


@dataclass(frozen=True, eq=False)
class SlackParts:
    """Slack of one input taken apart, in units of the input: slack = environment + noise + inefficiency in every draw.

    Attributes
    ----------
    environment, noise, inefficiency : arrays (draws, n_rows)
    coefficients : array (draws, regions, environment columns)
        Units of the input per unit of a column.
    """

    environment: np.ndarray
    noise: np.ndarray
    inefficiency: np.ndarray
    coefficients: np.ndarray


@dataclass(frozen=True, eq=False)
class SlackFrontier:
    """A fitted slack frontier of one input.

    Attributes
    ----------
    name : the input
    parts : SlackParts
    errors : array (environment columns,), standard errors of maximum likelihood; None for a posterior
    verdict : what the sampling checks, or the status of maximum likelihood, say
    passed : whether the sampling checks passed, or an interior optimum was found
    """

    name: str
    parts: SlackParts
    errors: np.ndarray | None
    verdict: str
    passed: bool


# ── kernels ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def adjusted_input(x: np.ndarray, environment: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """x + [max z'β − z'β] + [max v − v], maxima over all rows within a draw: (draws, n_rows).

    Every row is put into the least favourable environment and the worst luck found in the sample.
    """
    return x + (environment.max(axis=1, keepdims=True) - environment) + (noise.max(axis=1, keepdims=True) - noise)


def variance_shares(slack: np.ndarray, parts: SlackParts) -> np.ndarray:
    """Covariance of environment, noise and inefficiency with the slack over its variance, (3, draws); they sum to one in each draw."""
    centred = slack - slack.mean()
    total = (centred**2).sum()
    return np.stack([(part @ centred) / total for part in (parts.environment, parts.noise, parts.inefficiency)])


def parts_of(slack: np.ndarray, environment: np.ndarray, inefficiency: np.ndarray, coefficients: np.ndarray) -> SlackParts:
    """Noise is what is left: v = slack − z'β − u."""
    return SlackParts(environment, slack - environment - inefficiency, inefficiency, coefficients)


# ── fits ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def slack_specification(
    name: str, environment: Sequence[str], inefficiency: str, pooling: str | Sequence[str], priors: Mapping[str, Any]
) -> StochasticFrontier:
    """slack = z'β + v + u, u ≥ 0: a cost frontier that is linear in the columns as they are, one u a row."""
    from bayes.frontier.model import StochasticFrontier

    return StochasticFrontier(
        slack_column(name), tuple(environment), kind="cost", technology="cobb-douglas", technical_change="none", model="pooled",
        inefficiency=inefficiency, pooling=pooling, median_efficiency=_MEDIAN, priors={"inefficiency_scale": _INEFFICIENCY_SCALE, **priors},
    )  # fmt: skip


def slack_column(name: str) -> str:
    """Name of the column that holds the slack of an input."""
    return f"slack of {name}"


def posterior_frontier(
    spec: StochasticFrontier, panel: Panel, name: str, slack: np.ndarray, n_draws: int, sampling: Mapping[str, Any], seed: int
) -> SlackFrontier:
    """Posterior of one slack frontier; ``n_draws`` evenly spaced draws with one exact draw of u each."""
    from bayes.frontier.aggregation import linear_in_rows, row_index
    from bayes.frontier.inefficiency import inefficiency_draws

    used, scale, z_scale = _standardised(spec, panel, slack)
    fit = _passing_warnings_on(name, lambda: spec.fit(used, seed=seed, **sampling))
    total = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
    p = fit.parameters(np.linspace(0, total - 1, n_draws).round().astype(int))
    u = scale * inefficiency_draws(p, spec, fit.data, seed)
    environment = scale * linear_in_rows(p["technology"], _design(fit.data), row_index(fit.data).region)
    parts = parts_of(slack, environment, u, scale * p["technology"][:, :, 1:] / z_scale)
    checks = fit.diagnose()
    _warn_of_zeros(name, slack, parts)
    return SlackFrontier(name, parts, None, checks.verdict, checks.passed)


def likelihood_frontier(spec: StochasticFrontier, panel: Panel, name: str, slack: np.ndarray) -> SlackFrontier:
    """Maximum likelihood of one slack frontier, u at its conditional mean E[u | ε] (Jondrow et al. 1982): one draw."""
    from bayes.baselines import frontier

    used, scale, z_scale = _standardised(spec, panel, slack)
    fit = _passing_warnings_on(name, lambda: frontier(spec, used))
    n_terms = len(fit.data.terms)
    table = fit.frame.iloc[:n_terms]
    beta, errors = table["estimate"].to_numpy(), table["se"].to_numpy()
    u = scale * (0.0 - np.log(fit.efficiency("jlms").frame["estimate"].to_numpy()))  # rows by unit and period, as in the panel
    environment = scale * beta @ _design(fit.data)
    parts = parts_of(slack, environment[None], u[None], scale * beta[None, None, 1:] / z_scale)
    _warn_of_zeros(name, slack, parts)
    return SlackFrontier(name, parts, scale * errors[1:] / z_scale, fit.status.value, fit.status.name == "INTERIOR")


def _standardised(spec: StochasticFrontier, panel: Panel, slack: np.ndarray) -> tuple[Panel, float, np.ndarray]:
    """Slack in units of its standard deviation and environment columns centred in units of theirs, so that default priors fit any unit."""
    z = panel.matrix(spec.inputs)
    z_scale, scale = z.std(axis=0), float(slack.std())
    columns = dict(zip(spec.inputs, ((z - z.mean(axis=0)) / z_scale).T, strict=True)) | {spec.output: slack / scale}
    index = [c for c in (panel.unit, panel.time, panel.region) if c is not None]
    frame = panel.frame[index].assign(**columns)
    return replace(panel, frame=frame, first_treated=None, weights=None), scale, z_scale


def _design(data: FrontierData) -> np.ndarray:
    return np.stack([data.in_rows(column) for column in data.design])


def _passing_warnings_on(name: str, fit: Callable[[], Any]) -> Any:
    """The result of ``fit()``; its warnings with the input named, and wrong skewness in the words of slacks."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = fit()
    absent = False
    for warning in caught:
        words, category = str(warning.message), warning.category
        absent |= issubclass(category, WrongSkewnessWarning) or (issubclass(category, BaselineWarning) and "σ_u → 0" in words)
        if not absent or category not in (WrongSkewnessWarning, BaselineWarning):
            warn_user(f"Slack frontier of input {name!r}: {words}", category if issubclass(category, BayesWarning) else BayesWarning)
    if absent:
        warn_user(
            f"Slack of input {name!r} shows no inefficiency: given the environment it is not skewed to the right (Waldman 1982). What the "
            "environment does not explain counts as noise, and stage three takes it out, so that scores after adjustment say little about "
            "management. Read the shares of slack variance (estimand 'slack_variance_share') beside them.",
            WrongSkewnessWarning,
        )
    return out


def _warn_of_zeros(name: str, slack: np.ndarray, parts: SlackParts) -> None:
    """Say where the frontier fell onto the slacks that are zero, so that nothing is adjusted."""
    explained = variance_shares(slack, parts)[:2].sum(axis=0).mean()
    if explained < _DEGENERATE:
        warn_user(
            f"The slack frontier of input {name!r} lies on the {(slack == 0).mean():.0%} of slacks that are zero: environment and noise "
            f"hold {max(explained, 0):.1%} of its variance, and the adjustment changes next to nothing. So many zeros come from "
            "small reference sets: use reference='global', fewer inputs and outputs, or returns='crs'.",
            SlackWarning,
        )

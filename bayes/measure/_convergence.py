"""β-convergence: do those that start low grow faster? Hierarchical over regions, with the Matthew effect as a probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import ConvergenceWarning, ProductivityWarning, SpecificationError, warn_user
from bayes.estimates import Estimates
from bayes.inference.diagnostics import Diagnosis, diagnose
from bayes.inference.sampling import SamplerOptions, sample, single_threaded_algebra
from bayes.measure._growth_data import GrowthData, growth_data
from bayes.measure._growth_model import GrowthModel, build
from bayes.measure._growth_regression import LeastSquares, half_life, least_squares, speed
from bayes.panel import Panel
from bayes.validation import one_of

GROUPINGS = ("all", "region")
FORMS = ("cross-section", "panel")
CONVENTION = "beta_slope below 0 is convergence, those that start low grow faster; above 0 is the Matthew effect"
MATTHEW = "prob_positive is P(slope > 0), the Matthew effect: those ahead pull further ahead"
CUT = (
    "cut posterior: coefficients drawn for each draw of the values, scales from the fit to their mean; errors in the values of a draw pull "
    "the slope towards −1/span"
)
_FRONTIER = ("efficiency", "ec")


@checked
def beta_convergence(
    panel: Panel, values: str | Estimates, conditional_on: Sequence[str] = (), by: str = "all", horizon: int | None = None,
    form: str = "cross-section", growth: str | Estimates | None = None, log: bool = True, level: float = 0.95,
    priors: Mapping[str, Any] | None = None, seed: int = 0, *, sampler: str = "nutpie", draws: int = 1000, tune: int = 500,
    chains: int = 4, target_accept: float = 0.9, cores: int | None = None, progress: bool | None = None,
) -> Estimates:  # fmt: skip
    """Growth regressed on the initial value: growth_j = a_r + b_r ln y_j0 + z_j'γ (+ δ_period) + e_j, e ~ N(0, σ²).

    b < 0 is β-convergence: absolute without conditions, conditional with them. b > 0 is the Matthew effect. With ``by="region"`` intercepts
    and slopes differ by region and are partially pooled, a_r ~ N(a, τ_a²), b_r ~ N(b, τ_b²), which also serves regions of one unit; a and b
    are then what a region not seen would be centred on. All coefficients are Gaussian and integrated out: σ, τ_a, τ_b are sampled, and the
    coefficients then drawn from their exact conditional.

    Parameters
    ----------
    values : str or Estimates
        Positive levels (``log=False``: in logs already), a column or estimates by unit and period. Estimates with draws (productivity by
        draw) give a cut posterior: for each draw of the values one draw of the coefficients, with scales from the fit to the mean of
        the draws. The result then has the draws of the values, in their order.
    conditional_on : list of str
        Columns of the panel, taken at the start of a spell; slopes common to all regions.
    by : "all" or "region"
    horizon : int, optional
        Years of a spell. Default: from the first to the last period of the values ("cross-section"), one period ("panel").
    form : "cross-section" or "panel"
        One spell a unit from the first period on, or all spells of the horizon one after another, with an effect of each starting
        period and no unit effects (they would bias the slope downwards in short panels: Nickell 1981).
    growth : str or Estimates, optional
        Growth itself, per year and dated by the later period of a spell, in place of that of the values; needs ``form="panel"``. Indices
        (1 = no change) are to be given as logarithms. Speed and half-life mean something only if it is the growth of the values.
    priors : mapping, optional
        See :data:`bayes.measure._growth_model.GROWTH_PRIORS`; a number sets the scale.
    sampler, draws, tune, chains, target_accept, cores, progress
        As :meth:`bayes.StaggeredDiD.fit`.

    Returns
    -------
    Estimates
        ``variant`` is "absolute" or "conditional"; ``term`` "all" (b) or "region" (b_r).

        - ``beta_slope`` per year; ``prob_positive`` is P(slope > 0).
        - ``beta_speed`` λ = −ln(1 + T b)/T and ``beta_half_life`` ln 2/λ: posterior medians and quantiles, monotone in the slope. A draw
          with b ≥ 0 has no half-life (counted as infinite), one with 1 + T b ≤ 0 no finite speed (half-life counted as zero); such draws
          are NaN and their share is in the note. A median that is infinite is NaN with ``identified=False``.
        - ``beta_condition`` by column, ``beta_slope_sd``, ``beta_intercept_sd`` (between regions), ``beta_noise_sd``.
        - ``source`` "OLS": least squares with classical standard errors on the same spells (at the mean of draws), t intervals,
          ``beta_r2``; a region by itself where it has enough spells.

        ``meta`` holds the sampling verdict, seed, sampler and the table of priors.

    Raises
    ------
    SpecificationError
        Unknown words, a horizon that does not fit, fewer than three spells, numbers of draws that differ.
    NotPositiveError, MissingValueError, MissingColumnError, NoVariationError, CollinearColumnsError, SinglePeriodError
        Each names the column, unit or period.

    Warns
    -----
    SetAsideWarning
        Units that are not observed at both ends of a spell.
    ConvergenceWarning
        Sampling did not pass its checks.
    ProductivityWarning
        Efficiencies that do not say which frontier they come from: were inefficiency independent over time, their slope is −1 by
        construction. Where they say so (``meta["frontier"]``), such efficiencies are refused.

    Barro & Sala-i-Martin (1992), Journal of Political Economy 100(2); Islam (1995), Quarterly Journal of Economics 110(4).
    """
    for name, value, allowed in (("by", by, GROUPINGS), ("form", form, FORMS)):
        one_of(name, value, allowed)
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    if growth is not None and form != "panel":
        raise SpecificationError("growth is given by period: use form='panel', or average it into a column of its own first.")
    options = SamplerOptions(sampler, draws, tune, chains, target_accept, seed, cores, progress)
    refuse_independent_efficiencies(values, growth)
    data = growth_data(panel, values, conditional_on, horizon, form, growth, log)
    if by == "region" and len(data.regions) < 2:
        raise SpecificationError(f"by='region' needs several regions, and all spells lie in {data.regions[0]!r}: name the region column.")
    model = GrowthModel.of(data, by == "region", priors or {})
    fitted = _fit(model, options)
    name = values if isinstance(values, str) else values.frame["estimand"].iloc[0]
    rows, found = _bayes_rows(model, fitted, level)
    rows += _least_squares_rows(data, by, level)
    rows = [{**row, "variant": "conditional" if data.names else "absolute"} for row in rows]
    everything = np.full((len(rows), found.shape[1]), np.nan)
    everything[: len(found)] = found
    return Estimates.from_rows(
        rows, everything, f"β-convergence of {name}", outcome=name, verdict=fitted.diagnosis.verdict, passed=fitted.diagnosis.passed,
        seed=seed, sampler=sampler, convention=CONVENTION, span=data.span, spells=data.n, priors=model.table(),
    )  # fmt: skip


def refuse_independent_efficiencies(*given: Any) -> None:
    """Refuse efficiencies of a frontier whose inefficiency is independent over time; warn where they do not tell their frontier."""
    for values in given:
        if not isinstance(values, Estimates) or not set(values.frame["estimand"]) & set(_FRONTIER) or "outcome" not in values.meta:
            continue
        frontier = values.meta.get("frontier")
        if frontier is None:
            warn_user(
                "These efficiencies do not say which frontier they come from. If it takes inefficiency as independent over time (pooled, "
                "true-random-effects and four-component models), the slope of their growth on their level is −1 a period by construction.",
                ProductivityWarning,
            )
            continue
        from bayes.frontier.productivity import refuse_convergence

        refuse_convergence(frontier)


# ── the fit ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Fitted:
    """Draws in units of the data: scales (N,), slopes (1 + regions, N), conditions (p, N); whether they are a cut posterior."""

    scales: dict[str, np.ndarray]
    slopes: np.ndarray
    conditions: np.ndarray
    diagnosis: Diagnosis
    cut: bool


def _fit(model: GrowthModel, options: SamplerOptions) -> _Fitted:
    import xarray as xr

    samples = sample(build(model), options)
    scales = {name: samples.draws[name].ravel() for name in model.parameters}
    rng = np.random.default_rng(options.seed)
    with single_threaded_algebra():
        slopes, conditions = _coefficients(model, model.data.mean(), scales, rng)
    shape = samples.draws["noise_sd"].shape
    arrays = {**samples.draws, "slope": slopes[0].reshape(shape)}
    posterior = xr.Dataset({k: (("chain", "draw"), v) for k, v in arrays.items()})
    posterior["region_slope"] = (("chain", "draw", "region"), slopes[1:].T.reshape(*shape, -1))
    diagnosis = diagnose(posterior, xr.Dataset({k: (("chain", "draw"), v) for k, v in samples.statistics.items()}))
    if not diagnosis.passed:
        warn_user(diagnosis.verdict, ConvergenceWarning)
    cut = model.data.n_draws > 1
    if cut:
        which = np.arange(model.data.n_draws)
        chosen = rng.permutation(np.resize(rng.permutation(scales["noise_sd"].size), which.size))
        scales = {name: v[chosen] for name, v in scales.items()}
        with single_threaded_algebra():
            slopes, conditions = _coefficients(model, model.data, scales, rng, which)
    return _Fitted(scales, slopes, conditions, diagnosis, cut)


def _coefficients(
    model: GrowthModel, data: GrowthData, scales: dict[str, np.ndarray], rng: np.random.Generator, which: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes, of all and of each region, and coefficients of conditions, in units of the data."""
    p = model.products(data)
    theta = model.draw(p, scales, rng, which)
    common = theta[:, p.columns("slope")]
    slopes = np.column_stack([common, common + theta[:, p.columns("slope_sd")]]).T * model.unit("slope")
    units = np.array([model.unit("condition", j) for j in range(len(data.names))])
    return slopes, theta[:, p.columns("condition")].T * units[:, None]


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _bayes_rows(model: GrowthModel, fitted: _Fitted, level: float) -> tuple[list[dict[str, Any]], np.ndarray]:
    data, span = model.data, model.data.span
    source = "Bayes, partial pooling" if model.pooled else "Bayes"
    source += ", cut posterior" if fitted.cut else ""
    common = {"source": source + ("" if fitted.diagnosis.passed else " (FAILED sampling checks)"), "n_obs": data.n}
    shared = "; ".join(w for w in (data.left_out, CUT if fitted.cut else "") if w)
    rows, draws = [], []

    def add(row: dict[str, Any], note: str, x: np.ndarray, monotone: bool = False) -> None:
        columns = _quantiles(x, level) if monotone else _moments(x, level)
        rows.append({**common, **row, "note": "; ".join(w for w in (note, shared) if w), **columns})
        draws.append(np.where(np.isfinite(x), x, np.nan))

    for k, slope in enumerate(fitted.slopes):
        label = {"term": "all"} if k == 0 else {"term": "region", "region": data.regions[k - 1], "n_obs": int((data.region == k - 1).sum())}
        rate = speed(slope, span)
        life = half_life(rate)
        add({**label, "estimand": "beta_slope"}, f"per year over spells of {span:g}; {MATTHEW}", slope)
        closed = _share(np.isinf(rate), "gap closed within a spell")
        add({**label, "estimand": "beta_speed"}, f"posterior median, per year{closed}", rate, True)
        undefined = _share(np.isinf(life), "no half-life: the slope is not negative") + closed
        life = np.where(np.isinf(rate), 0.0, life)
        add({**label, "estimand": "beta_half_life"}, f"posterior median, years{undefined}", life, True)
        draws[-1] = np.where(np.isinf(rate), np.nan, draws[-1])
    for name, x in zip(data.names, fitted.conditions, strict=True):
        add({"estimand": "beta_condition", "term": name}, "per unit of the column", x)
    for name, x in fitted.scales.items():
        add({"estimand": f"beta_{name}", "term": "all"}, "from the fit to the mean of the values" if fitted.cut else "", x)
    _explain_infinite(rows)
    return rows, np.array(draws)


def _share(which: np.ndarray, words: str) -> str:
    return f"; {words} in {which.mean():.1%} of draws (NaN there)" if which.any() else ""


def _moments(x: np.ndarray, level: float) -> dict[str, Any]:
    lower, upper = np.quantile(x, [(1 - level) / 2, (1 + level) / 2])
    interval = {"lower": lower, "upper": upper, "level": level, "interval": "equal-tailed posterior"}
    return {"estimate": x.mean(), "se": x.std(ddof=1), "prob_positive": float((x > 0).mean()), **interval}


def _quantiles(x: np.ndarray, level: float) -> dict[str, Any]:
    """Median and bounds as order statistics, so that infinite draws count as what they are."""
    n = x.size
    ordered = np.sort(x)
    lower, middle, upper = (ordered[min(n - 1, int(np.floor(q * n)))] for q in ((1 - level) / 2, 0.5, (1 + level) / 2))
    se = x.std(ddof=1) if np.isfinite(x).all() else np.nan
    interval = {"lower": lower, "upper": upper, "level": level, "interval": "equal-tailed posterior"}
    return {"estimate": middle, "se": se, "prob_positive": float((x > 0).mean()), **interval}


def _explain_infinite(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["estimand"] == "beta_half_life":
            row |= {"prob_positive": np.nan, "se": np.nan}
        if np.isinf(row["estimate"]):
            why = "half of the draws or more do not converge" if row["estimand"] == "beta_half_life" else "the gap closes within a spell"
            row |= {"estimate": np.nan, "identified": False, "note": f"{why}; {row['note']}"}


def _least_squares_rows(data: GrowthData, by: str, level: float) -> list[dict[str, Any]]:
    mean = data.mean()
    parts: list[tuple[dict[str, Any], np.ndarray]] = [({"term": "all"}, np.arange(data.n))]
    if by == "region":
        parts += [({"term": "region", "region": r}, np.flatnonzero(data.region == k)) for k, r in enumerate(data.regions)]
    rows = []
    for label, at in parts:
        others = np.column_stack([data.conditions[at], data.period[at]])
        fit = least_squares(mean.growth[0, at], mean.initial[0, at], others)
        rows += _least_squares_row({**label, "source": "OLS", "n_obs": int(at.size)}, fit, data, level)
    return rows


def _least_squares_row(common: dict[str, Any], fit: LeastSquares, data: GrowthData, level: float) -> list[dict[str, Any]]:
    from scipy.special import stdtrit

    if fit.reason:
        return [{**common, "estimand": f"beta_{e}", "identified": False, "note": fit.reason} for e in ("slope", "speed", "half_life", "r2")]
    words = "at the mean of the draws" if data.n_draws > 1 else ""
    half = stdtrit(fit.df, 0.5 + level / 2) * fit.se
    rate = speed(np.array([fit.slope]), data.span)
    bounds = {"lower": fit.slope - half, "upper": fit.slope + half, "level": level, "interval": f"t({fit.df}), classical"}
    rows = [{**common, "estimand": "beta_slope", "estimate": fit.slope, "se": fit.se, "note": words, **bounds}]
    for estimand, value in (("beta_speed", rate[0]), ("beta_half_life", half_life(rate)[0] if np.isfinite(rate[0]) else np.inf)):
        row = {**common, "estimand": estimand, "estimate": value, "note": words}
        if estimand == "beta_speed" and np.isfinite(value):
            row |= {"se": fit.se / (1 + data.span * fit.slope), "note": "; ".join(w for w in ("se by the delta method", words) if w)}
        if not np.isfinite(value):
            why = "the slope is not negative: the gap does not close" if np.isfinite(rate[0]) else "1 + span · slope ≤ 0: no finite speed"
            row |= {"estimate": np.nan, "identified": False, "note": why}
        rows.append(row)
    return [*rows, {**common, "estimand": "beta_r2", "estimate": fit.r2, "note": words}]

"""What a placebo test returns: estimates for fake treatment dates beside the actual one, p-values, tables and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from bayes.arguments import check, checked_methods
from bayes.did import effects
from bayes.did.refits import Refit
from bayes.errors import ConvergenceWarning, warn_user
from bayes.estimates import KEYS, Estimates
from bayes.executors import Executor
from bayes.panel import Panel
from bayes.validation import one_of, whole_number

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD

STATISTICS = ("estimate", "studentised")
_ESTIMANDS = ("att", "att_population")
_LEVEL = 0.95
_TIE = 1e-9
"""Relative distance at which a placebo statistic counts as equal to the actual one: the same assignment, refitted."""


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class PlaceboTest:
    """Effects found for fake treatment dates, beside the actual one. See :meth:`bayes.did.fit.DiDFit.placebo`.

    Attributes
    ----------
    kind : str
        ``cohorts`` or ``dates``.
    actual : Estimates
        The true dates by the method of the refits: scales at their posterior mode, exact mean and sd given these.
    full : Estimates or None
        The same rows from the sampled posterior.
    placebo : Estimates
        All refits, ``variant`` naming each; no draws.
    modes : pandas.DataFrame
        One row a refit: scales at the mode, in units of the outcome, ``converged``, largest derivative left.
    dates : pandas.DataFrame
        Fake first treated period of each unit (rows) in each refit (columns); infinite for untreated, NaN for units left out.
    confirmation : pandas.DataFrame or None
        Refits repeated by sampling the whole posterior.
    meta : dict
        ``seed``, ``n``, ``within``, ``among``, ``possible`` assignments, ``exact`` (whether the p-values are), ``verdict``; seconds of
        compilation (with the fit of the true dates) and of the refits.
    """

    kind: str
    actual: Estimates
    full: Estimates | None
    placebo: Estimates
    modes: pd.DataFrame
    dates: pd.DataFrame
    confirmation: pd.DataFrame | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of refits."""
        return len(self.modes)

    @property
    def converged(self) -> float:
        """Share of refits that found the mode of their scales."""
        return float(self.modes.converged.mean())

    def statistics(self, statistic: str = "estimate", centred: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """The actual statistic of each term (terms,) and the placebo ones (refits, terms).

        ``statistic``: ``estimate``, or ``studentised`` (estimate over its posterior sd). ``centred`` takes off their common mean, the
        actual one included, which keeps the permutation test exact.
        """
        one_of("statistic", statistic, STATISTICS)
        own, fake = self.actual.frame, self.placebo.frame
        actual, placebo = own.estimate.to_numpy(float), fake.estimate.to_numpy(float).reshape(self.n, -1)
        if statistic == "studentised":
            actual, placebo = actual / own.se.to_numpy(float), placebo / fake.se.to_numpy(float).reshape(self.n, -1)
        if centred:
            together = np.vstack([actual, placebo])
            count = np.isfinite(together).sum(axis=0)
            centre = np.where(np.isfinite(together), together, 0.0).sum(axis=0) / np.maximum(count, 1)
            actual, placebo = actual - centre, placebo - centre
        return actual, placebo

    def p_values(self, statistic: str = "estimate", centred: bool = False) -> pd.DataFrame:
        """Permutation p-values of each term: ``two_sided``, ``greater``, ``less``, and how many refits gave no estimate (``missing``).

        Each is (1 + number of refits at least as extreme)/(refits + 1). A refit without an estimate counts as extreme, so that a missing
        number cannot make an effect significant. NaN for ``kind="dates"``: earlier dates are no draws of the true ones.
        """
        actual, placebo = self.statistics(statistic, centred)
        missing = np.isnan(placebo)
        near = _TIE * np.abs(actual)
        with np.errstate(invalid="ignore"):
            extreme = {
                "two_sided": np.abs(placebo) >= np.abs(actual) - near,
                "greater": placebo >= actual - near,
                "less": placebo <= actual + near,
            }
        known = np.isfinite(actual) & (self.kind == "cohorts")
        out = {k: np.where(known, (1 + (v | missing).sum(axis=0)) / (self.n + 1), np.nan) for k, v in extreme.items()}
        return pd.DataFrame({**out, "missing": missing.sum(axis=0)}, index=self.actual.frame.index)

    def table(self) -> pd.DataFrame:
        """One row a term (``kind="dates"``: a term and shift) with the actual estimate, the placebo ones and the p-values."""
        keys = [k for k in KEYS if (self.actual.frame[k].notna() & (self.actual.frame[k] != "")).any()]
        if self.kind == "dates":
            both = self.actual + self.placebo
            return both.frame[[*dict.fromkeys([*keys, "variant"]), "estimate", "se", "lower", "upper", "prob_positive", "n_obs", "note"]]
        own, (_, placebo) = self.actual.frame, self.statistics()
        lower, middle, upper = (_quantile(placebo, q) for q in (0.025, 0.5, 0.975))
        out = own[[*keys, "estimate", "se"]].assign(
            full_posterior=np.nan if self.full is None else self.full.frame.estimate.to_numpy(),
            placebo_median=middle, placebo_lower=lower, placebo_upper=upper,
        )  # fmt: skip
        p, studentised = self.p_values(), self.p_values("studentised")
        out = out.assign(**{f"p_{c}": p[c] for c in ("two_sided", "greater", "less")}, p_studentised=studentised.two_sided)
        return out.assign(refits=self.n, missing=p.missing, converged=self.converged)

    @property
    def verdict(self) -> str:
        """What was done and what came out, in words."""
        return str(self.meta["verdict"])

    def plot(self, **options: Any):
        """The figure of :func:`bayes.plots.placebo`."""
        from bayes.plots import placebo

        return placebo(self, **options)

    def __repr__(self) -> str:
        return f"{self.verdict}\n{self.table().to_string(index=False, float_format=lambda v: f'{v:.4g}')}"


def _quantile(values: np.ndarray, q: float) -> np.ndarray:
    return np.array([np.quantile(v[np.isfinite(v)], q) if np.isfinite(v).any() else np.nan for v in values.T])


@dataclass(frozen=True)
class Options:
    """What is estimated: aggregation, estimand, weights; cores, progress, record and executor of the refits."""

    by: str = "simple"
    estimand: str = "att"
    weights: str = "rows"
    cores: int | None = None
    progress: bool | None = None
    resume: str | Path | None = None
    executor: Executor | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("by", effects.AGGREGATIONS), ("estimand", _ESTIMANDS), ("weights", ("rows", "panel"))):
            one_of(name, getattr(self, name), allowed)
        if self.cores is not None:
            whole_number("cores", self.cores)
        check("placebo", "executor", self.executor, ["Executor", "None"])


def result_of(
    spec: StaggeredDiD, kind: str, actual: Refit, found: list[Refit], variants: list[str], labels: list[dict[str, Any]], panel: Panel,
    dates: np.ndarray, options: Options, meta: dict[str, Any], notes: Sequence[str] | None = None,
) -> PlaceboTest:  # fmt: skip
    """The test from its refits: the actual effect, the placebo effects, the modes behind them, and the full posterior beside."""
    own = estimates_of(spec, [actual], [""], labels, options, "", ("",))
    fake = estimates_of(spec, found, variants, labels, options, "placebo, ", notes or [""] * len(found))
    modes = pd.DataFrame([{"placebo": v, **r.mode.values, "converged": r.mode.converged, "gradient": r.mode.gradient}
                          for v, r in zip(variants, found, strict=True)])  # fmt: skip
    table = pd.DataFrame(dates, index=pd.Index(panel.units, name=panel.unit), columns=variants)
    lost = int((~modes.converged).sum()) + (not actual.mode.converged)
    if lost:
        warn_user(f"{lost} of {len(found) + 1} placebo fits did not find the mode of their scales; see .modes.", ConvergenceWarning)
    return PlaceboTest(kind, own, None, fake, modes, table, None, {**meta, "verdict": ""})


def estimates_of(
    spec: StaggeredDiD, found: list[Refit], variants: list[str], labels: list[dict[str, Any]], options: Options, prefix: str,
    notes: Sequence[str],
) -> Estimates:  # fmt: skip
    """Exact conditional means and sds of every refit as estimates with normal intervals; one row a refit and term."""
    pooling = {0: "no", 1: "complete"}.get(len(spec.components), "partial")
    common = {"estimand": options.estimand, "term": options.by, "source": f"Bayes, {pooling} pooling, scales at their mode",
              "level": _LEVEL, "interval": "equal-tailed posterior, scales at their mode"}  # fmt: skip
    half = norm.ppf(0.5 + _LEVEL / 2)
    rows = []
    for variant, one, note in zip(variants, found, notes, strict=True):
        for t, label in enumerate(labels):
            estimate, sd, share = float(one.estimate[t]), float(one.sd[t]), float(one.share[t])
            words = "no identified cell" if share == 0 else f"over identified cells only ({share:.0%} of the weight)" if share < 1 else ""
            note_words = "; ".join(filter(None, [f"{prefix}weights: {options.weights}", words, note]))
            rows.append(
                {"region": "", **label, **common, "variant": variant, "estimate": estimate, "se": sd, "lower": estimate - half * sd,
                 "upper": estimate + half * sd, "prob_positive": norm.cdf(estimate / sd), "n_obs": int(one.rows[t]),
                 "identified": bool(share > 1 - 1e-12), "note": note_words}
            )  # fmt: skip
    return Estimates.from_rows(rows, title=f"{options.estimand} by {options.by}", outcome=spec.outcome)

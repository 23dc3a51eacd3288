"""Moran's I of a fit's residuals, period by period: what is left between neighbours once the model has explained the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse, stats

from bayes.arguments import checked
from bayes.did.spatial import Neighbours, moran_moments, moran_statistic, spatial_weights
from bayes.did.unit_algebra import prepared
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.inference.sampling import single_threaded_algebra

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit

_LEAST_UNITS = 4


@dataclass(frozen=True, eq=False, repr=False)
class MoranTest:
    """Spatial correlation of residuals. See :func:`moran_test`.

    Attributes
    ----------
    estimates : Estimates
        ``moran_i`` by period, and its mean over periods (``term="all"``), with draws.
    tests : pandas.DataFrame
        One row an estimate: ``observed`` (I of the posterior-mean residuals), its ``expected`` value and ``sd`` without spatial
        correlation, ``z`` and two-sided ``p_normal`` under normality, ``p_permutation`` (units shuffled over the map, all periods
        together), ``units``.
    permutations, seed : int
    """

    estimates: Estimates
    tests: pd.DataFrame
    permutations: int
    seed: int

    def table(self) -> pd.DataFrame:
        """Posterior of I beside its tests."""
        left = self.estimates.frame[["term", "period", "estimate", "se", "lower", "upper"]]
        return pd.concat([left, self.tests.drop(columns=["term", "period"])], axis=1)

    def verdict(self) -> str:
        """One sentence for the foot of a table."""
        every = self.tests[self.tests.term == "all"].iloc[0]
        small = int((self.tests[self.tests.term == "period"].p_permutation < 0.05).sum())
        return (
            f"Mean Moran's I of residuals is {every.observed:.3f} (expected {every.expected:.3f} without spatial correlation; permutation "
            f"p = {every.p_permutation:.3f}); {small} of {len(self.tests) - 1} periods have p < .05."
        )

    def __repr__(self) -> str:
        return f"{self.table().to_string(index=False, float_format=lambda v: f'{v:.4g}')}\n{self.verdict()}"


@single_threaded_algebra()
@checked
def moran_test(
    fit: DiDFit, neighbours: Neighbours, *, draws: int = 200, permutations: int = 999, seed: int = 0, level: float = 0.95,
    row_standardised: bool = True, outside: str = "refuse",
) -> MoranTest:  # fmt: skip
    """Moran's I of the residuals of a fit in each period, and its mean over periods.

    Residuals are draws: unit effects, period effects and treatment effects vary with the posterior. The tests use their posterior mean.
    A clear correlation says that intervals that count units as independent are too narrow: cluster at a coarser level, or give regions
    their own period effects.

    Parameters
    ----------
    fit : DiDFit
    neighbours : mapping or pandas.DataFrame
        See :func:`bayes.did.spatial.spatial_weights`.
    draws, permutations : int
        Posterior draws, and shuffles of units over the map (all periods of a unit together, so that serial correlation does no harm).
    seed : int
    level : float
        Probability of the equal-tailed intervals.
    row_standardised, outside
        As in :func:`bayes.did.spatial.spatial_weights`.

    Returns
    -------
    MoranTest
        With ``.estimates``, ``.tests``, ``.table()``, ``.verdict()``. Units without a row or a neighbour in a period are left out there.

    Raises
    ------
    SpecificationError
        Unusable weights; no period with enough units that have neighbours.

    References
    ----------
    Moran (1950), Biometrika 37; Cliff & Ord (1981), Spatial Processes.
    """
    for name, value in (("draws", draws), ("permutations", permutations)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 2:
            raise SpecificationError(f"{name} must be a whole number of at least 2, got {value!r}.")
    weights = spatial_weights(fit.panel.units.tolist(), neighbours, row_standardised, outside)
    residual = residual_draws(fit, draws, seed)
    grid = np.full((len(residual) + 1, fit.panel.n_units, fit.panel.n_periods), np.nan)
    grid[:-1, fit.panel.unit_codes, fit.panel.period_codes] = residual
    grid[-1] = grid[:-1].mean(axis=0)
    rng = np.random.default_rng([seed, 9])
    shuffled = np.array([rng.permutation(fit.panel.n_units) for _ in range(permutations)])
    found = [_period(grid[:, :, t], weights, shuffled) for t in range(fit.panel.n_periods)]
    usable = [f for f in found if f.units]
    if not usable:
        raise SpecificationError(f"No period has {_LEAST_UNITS} units with neighbours: Moran's I cannot be computed.")
    every = _mean(usable)
    tests = pd.DataFrame([f.row("period", p) for f, p in zip(found, fit.panel.periods, strict=True)] + [every.row("all", np.nan)])
    values = np.array([f.draws for f in [*found, every]])
    notes = ["" if f.units else "too few units with neighbours" for f in [*found, every]]
    rows = tests[["term", "period"]].assign(
        estimand="moran_i", source=fit._source, n_obs=tests.units, note=notes, identified=[bool(f.units) for f in [*found, every]]
    )
    meta = {"outcome": fit.model.outcome, "seed": seed, "verdict": fit.diagnose().verdict, "passed": fit.diagnose().passed}
    estimates = Estimates.from_draws(rows.to_dict("records"), values, level, title="Moran's I of residuals", **meta)
    return MoranTest(estimates, tests, permutations, seed)


def residual_draws(fit: DiDFit, draws: int, seed: int) -> np.ndarray:
    """ε of every row from ``draws`` evenly spaced posterior draws, unit effects drawn too: (draws, rows), in units of the outcome."""
    total = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
    keep = np.unique(np.linspace(0, total - 1, min(draws, total)).astype(int))
    algebra, h, mean = prepared(fit, keep, "Moran's I of residuals")
    scale_y = fit._collapsed.scales[-1]
    residual = algebra.rows.outcome / scale_y - mean
    f, lower, scale = algebra.factor(h)
    projected = algebra.projections(residual, f, lower, scale)
    own = algebra.drawn_unit_effects(projected, lower, scale, h, np.random.default_rng([seed, 8]))
    return (residual - algebra.unit_part(own)) * scale_y


@dataclass(frozen=True)
class _Period:
    """I of each draw, of the mean residual and of its permutations; moments without spatial correlation; units counted (0: none)."""

    draws: np.ndarray
    observed: float
    shuffled: np.ndarray
    expected: float
    sd: float
    units: int

    def row(self, term: str, period: float) -> dict[str, float | str]:
        z = (self.observed - self.expected) / self.sd
        far = np.abs(self.shuffled - self.shuffled.mean()) >= abs(self.observed - self.shuffled.mean()) - 1e-12
        p = (1 + far.sum()) / (1 + far.size) if self.units else np.nan
        return {
            "term": term, "period": float(period), "observed": self.observed, "expected": self.expected, "sd": self.sd, "z": z,
            "p_normal": 2 * stats.norm.sf(abs(z)), "p_permutation": p, "units": self.units,
        }  # fmt: skip


def _period(values: np.ndarray, weights: sparse.csr_array, shuffled: np.ndarray) -> _Period:
    """One period of the grid (draws and their mean, units). Units without a row or without a neighbour in this period are left out; units
    that are shuffled keep to those seen in the period."""
    here = np.flatnonzero(~np.isnan(values[-1]))
    while True:
        w = weights[here][:, here]
        linked = (w.sum(axis=1) + w.sum(axis=0)) > 0
        if linked.all():
            break
        here = here[linked]
    if here.size < _LEAST_UNITS:
        nothing = np.full(len(values) - 1, np.nan)
        return _Period(nothing, np.nan, np.full(len(shuffled), np.nan), np.nan, np.nan, 0)
    place = np.full(values.shape[1], -1)
    place[here] = np.arange(here.size)
    order = place[shuffled]
    order = order[order >= 0].reshape(len(shuffled), here.size)
    statistic = moran_statistic(values[:, here], w)
    expected, sd = moran_moments(w)
    return _Period(statistic[:-1], float(statistic[-1]), moran_statistic(values[-1, here][order], w), expected, sd, here.size)


def _mean(periods: list[_Period]) -> _Period:
    """The mean over periods. Its sd is that of its permutations: residuals of one unit hang together over time."""
    shuffled = np.mean([p.shuffled for p in periods], axis=0)
    return _Period(
        np.mean([p.draws for p in periods], axis=0), float(np.mean([p.observed for p in periods])), shuffled,
        float(np.mean([p.expected for p in periods])), float(shuffled.std(ddof=1)), int(np.max([p.units for p in periods])),
    )  # fmt: skip

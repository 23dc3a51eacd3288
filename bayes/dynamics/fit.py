"""CrossLaggedFit: own lags, cross lags, long-run effects and dominance of a fitted pair, overall and by region."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import pandas as pd
import xarray as xr

from bayes.arguments import checked_methods
from bayes.dynamics import draws
from bayes.dynamics.effects import effect_table, gap_words
from bayes.estimates import Estimates
from bayes.inference.fit import Fit


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class CrossLaggedFit(Fit):
    """Posterior of a :class:`bayes.CrossLagged`.

    Attributes of :class:`Fit`; ``tree["posterior"]`` holds by series ``innovation_sd``, ``unit_effect_sd``, with their correlations; by
    region ``lag`` (A: the series moved × the series that moves it) and ``start`` (Π), with means and standard deviations over regions; and
    ``coefficient`` of covariates. Units of the data. ``meta`` also counts ``rows_used``, ``rows_starting`` (a unit's first row),
    ``rows_after_gap`` (previous period missing, not used) and ``units_used``.
    """

    kind: ClassVar[str] = "CrossLaggedFit"
    coefficients: ClassVar[tuple[str, ...]] = (
        "innovation_sd", "unit_effect_sd", "lag", "start", "own_lag_sd", "cross_lag_sd", "start_sd", "coefficient",
    )  # fmt: skip

    @staticmethod
    def model_class():
        from bayes.cross_lagged import CrossLagged

        return CrossLagged

    def effects(self, by: str = "simple", level: float = 0.95) -> Estimates:
        """Own lags, cross lags, long-run effects, the largest root and which direction dominates.

        Parameters
        ----------
        by : str
            ``simple``: mean over regions weighted by rows used, draw by draw; or ``region``.
        level : float
            Probability of the equal-tailed interval.

        Returns
        -------
        Estimates
            ``estimand`` and ``term``: ``own_lag`` with a series; ``cross_lag`` with a direction such as ``first → second`` (names of the
            columns; in units of the second per unit of the first a period before); ``cross_lag_standardised``, the same in standard
            deviations within units and periods; ``dominance`` with a direction: its absolute standardised cross lag less that of the other
            direction, so that ``prob_positive`` is the probability that the direction dominates; ``long_run`` with a direction:
            a₂₁/(1 − a₂₂), the lasting change of the second that follows a lasting change of the first by one unit (median and quantiles of
            a ratio over stationary draws, no standard deviation; NaN and the reason where less than 95 % of the draws are stationary);
            ``largest_root``, the largest modulus of the eigenvalues of A, with the probability that it is below one in ``note``.

        Raises
        ------
        SpecificationError
            On unknown words.
        """
        return self._table(self.posterior, by, level, self._source)

    def prior_effects(self, by: str = "simple", level: float = 0.95) -> Estimates:
        """The rows of :meth:`effects` under the prior."""
        return self._table(self.tree["prior"].to_dataset(), by, level, "prior")

    def unpooled(self, by: str = "region", level: float = 0.95) -> Estimates:
        """The rows of :meth:`effects` with every region by itself and the same errors and unit effects: what pooling started from."""
        return self._table(self._unpooled_draws, by, level, "Bayes, no pooling")

    def priors(self) -> pd.DataFrame:
        """Priors in use, in units of the data: parameter, distribution, meaning, set_by."""
        from bayes.dynamics.prior_rows import priors_in_use

        return priors_in_use(self.model, self._pair)

    @property
    def gaps(self) -> str:
        """How many rows have no previous period, in words; empty where there are none."""
        return gap_words(self.meta)

    @property
    def _source(self) -> str:
        words = self.model.effective_pooling(self._pair)
        return f"Bayes, {'no' if words == 'none' else words} pooling" + ("" if self.diagnose().passed else " (FAILED sampling checks)")

    @cached_property
    def _pair(self):
        return self.model.lagged(self.panel)

    @cached_property
    def _unpooled_draws(self) -> xr.Dataset:
        names = ("innovation_sd", "unit_effect_sd", "innovation_correlation", "unit_effect_correlation")
        values = {n: self.posterior[n].to_numpy() for n in names}
        return draws.posterior_dataset(values, self._pair, self.model.resolved_priors(), "none", self.meta["seed"])

    def _table(self, dataset: xr.Dataset, by: str, level: float, source: str) -> Estimates:
        verdict = self.diagnose()
        meta = {"verdict": verdict.verdict, "passed": verdict.passed, "seed": self.meta["seed"]}
        return effect_table(dataset, by, level, source, self.gaps, **meta)

"""DiDFit: effects, comparisons with the prior and with no pooling, and criticism of a fitted staggered difference-in-differences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import pandas as pd
import xarray as xr

from bayes.did import criticism, draws, effects
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.inference.fit import Fit
from bayes.priors import prior_table


@dataclass(frozen=True, eq=False, repr=False)
class DiDFit(Fit):
    """Posterior of a :class:`bayes.StaggeredDiD`.

    Attributes of :class:`Fit`; ``tree["posterior"]`` holds the sampled scales, ``cell_effect`` by region × cohort × event time,
    ``group_effect`` (mean random effect of the units of a group), ``lead_effect``, ``period_effect`` and ``coefficient``, all in
    units of the outcome.
    """

    kind: ClassVar[str] = "DiDFit"

    @staticmethod
    def model_class():
        from bayes.did.model import StaggeredDiD

        return StaggeredDiD

    def att(
        self, by: str = "simple", estimand: str = "att", level: float = 0.95, weights: str | None = None, extrapolate: bool = False
    ) -> Estimates:
        """Average effects of treatment on the treated.

        Parameters
        ----------
        by : str
            ``simple`` (one number), ``event`` (with leads), ``cohort``, ``calendar``, ``region``, ``region:event`` or ``cell``.
        estimand : str
            ``att``: the treated units of this sample, with their own random effects. ``att_population``: without them, the mean over
            units like these; this one compares with a cluster-robust standard error. ``att_new_unit``: one new unit.
        level : float
            Probability of the equal-tailed interval.
        weights : str, optional
            ``rows``: every treated row counts once. ``panel``: by the panel's weight column. Default: ``panel`` if it has one.
        extrapolate : bool
            Report cells that the data do not identify, and regions without treated units, from the hierarchy; flagged prior-driven.

        Returns
        -------
        Estimates
            Posterior mean, standard deviation, interval, P(> 0) and draws (rows, draws). Averages run over event time ≥ 0; event
            time counts periods of the panel's grid; leads are relative to the last period before (anticipated) treatment.

        Raises
        ------
        SpecificationError
            On unknown words.
        """
        return self._aggregate(self.posterior, by, estimand, level, weights, extrapolate, self._source)

    def prior_att(self, by: str = "simple", estimand: str = "att", level: float = 0.95, weights: str | None = None) -> Estimates:
        """The rows of :meth:`att` under the prior: what the model believed before the data. Raises on ``pooling="none"`` (flat)."""
        prior = self.tree["prior"].to_dataset()
        if "cell_effect" not in prior:
            raise SpecificationError('With pooling="none" the cells have flat priors: there is nothing to draw.')
        return self._aggregate(prior, by, estimand, level, weights, False, "prior")

    def unpooled(self, by: str = "simple", estimand: str = "att", level: float = 0.95, weights: str | None = None) -> Estimates:
        """The rows of :meth:`att` with flat cells and the same error structure (scales as fitted): what pooling started from."""
        return self._aggregate(self._unpooled_draws, by, estimand, level, weights, False, "Bayes, no pooling")

    def priors(self) -> pd.DataFrame:
        """Priors in use, in units of the outcome: parameter, distribution, meaning, set_by."""
        used = {
            n: p for n, p in self.model.resolved_priors().items() if n in self.model.parameters(self._collapsed) or n in ("level", "drift")
        }
        if self._collapsed.basis is None:
            used = {n: p for n, p in used.items() if n not in ("level", "drift")}
        return prior_table(used, self.model.priors, float(self._collapsed.scales[-1]))

    def predictive_check(self, draws: int = 200, seed: int = 0) -> criticism.PredictiveCheck:
        """Outcomes replicated from the posterior for the same units, and statistics the model should reproduce."""
        return criticism.predictive_check(self, draws, seed)

    def loo(self):
        """Leave-one-unit-out expected log predictive density by PSIS (ArviZ ``ELPDData``), given period and cell effects.

        Comparable across models with the same flat unit columns only.
        """
        return criticism.leave_one_unit_out(self)

    @property
    def _source(self) -> str:
        words = {0: "no", 1: "complete"}.get(len(self.model.components), "partial")
        return f"Bayes, {words} pooling" + ("" if self.diagnose().passed else " (FAILED sampling checks)")

    @cached_property
    def _collapsed(self):
        return self.model.collapse(self.panel)

    @cached_property
    def _unpooled_draws(self) -> xr.Dataset:
        scalars = {n: self.posterior[n].to_numpy() for n in self.model.parameters(self._collapsed)}
        return draws.unpooled_dataset(scalars, self._collapsed, self.model.resolved_priors(), self.meta["seed"])

    def _aggregate(
        self, dataset: xr.Dataset, by: str, estimand: str, level: float, weights: str | None, extrapolate: bool, source: str
    ) -> Estimates:
        chosen = weights or ("panel" if self.panel.weights is not None else "rows")
        meta: dict[str, Any] = {"outcome": self.model.outcome, "verdict": self.diagnose().verdict, "passed": self.diagnose().passed}
        if extrapolate and self._collapsed.basis is None:
            raise SpecificationError('With pooling="none" there is no hierarchy to extrapolate from. Choose a pooling to extrapolate.')
        regions = tuple(self.panel.regions.tolist())
        if extrapolate and by in ("region", "region:event"):
            dataset = draws.with_untreated_regions(dataset, self._collapsed, self.model.resolved_priors(), self.meta["seed"])
        return effects.estimates(dataset, by, estimand, chosen, level, extrapolate, regions, source, **meta)

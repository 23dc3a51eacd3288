"""MediationFit: direct, indirect and total effects of a fitted mediation model, by region and mechanism."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import pandas as pd
import xarray as xr

from bayes.arguments import checked_methods
from bayes.estimates import Estimates
from bayes.inference.fit import Fit
from bayes.mechanism import draws
from bayes.mechanism.effects import effect_table
from bayes.mechanism.wording import Wording, words_for


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class MediationFit(Fit):
    """Posterior of a :class:`bayes.Mediation`.

    Attributes of :class:`Fit`; ``tree["posterior"]`` holds by equation ``innovation_sd``, ``autocorrelation``, ``unit_effect_sd``; by
    region ``driving`` (a), ``mediator_effect`` (b), ``direct`` (c'), with their means and standard deviations over regions and
    ``path_correlation``; and ``coefficient`` of covariates. Units of the data. :attr:`assumption` is what a causal reading rests on.
    """

    kind: ClassVar[str] = "MediationFit"
    coefficients: ClassVar[tuple[str, ...]] = (
        "innovation_sd", "autocorrelation", "unit_effect_sd", "driving", "mediator_effect", "direct", "driving_sd", "mediator_effect_sd",
        "coefficient",
    )  # fmt: skip

    @property
    def wording(self) -> Wording:
        """Words for a treatment or an exposure."""
        return words_for(self.model.exposure)

    @property
    def assumption(self) -> str:
        """What a causal reading rests on, in one sentence."""
        return self.wording.assumption

    @staticmethod
    def model_class():
        from bayes.mediation import Mediation

        return Mediation

    def effects(self, by: str = "all", level: float = 0.95, weights: str | None = None, extrapolate: bool = False) -> Estimates:
        """Direct, driving, mediator, indirect and total effects and the share mediated.

        Parameters
        ----------
        by : str
            ``all``: mean over regions weighted by treated rows (every region counts by its rows under treatment, also in
            ``mediator_effect``; with an exposure by all its rows), or ``region``.
        level : float
            Probability of the equal-tailed interval.
        weights : str, optional
            ``rows``: every treated row counts once. ``panel``: by the panel's weight column. Default: ``panel`` if it has one.
        extrapolate : bool
            Report regions without treated units from the hierarchy; flagged prior-driven.

        Returns
        -------
        Estimates
            ``estimand``, with ``term`` a mediator or ``all``: ``direct`` (c'), ``driving`` (a, treatment → mediator), ``mediator_effect``
            (b, mediator → outcome), ``indirect`` (a·b within a region, then averaged), ``total`` (c' + Σ a·b), ``share`` (indirect/total:
            the median stands as estimate, without a standard deviation; the note says when the total's interval holds zero). They are
            means over units like these, comparable with ``att_population`` of a static difference-in-differences. No path is set to
            zero. With an exposure ``direct``, ``driving``, ``indirect`` and ``total`` are per unit of it. ``meta["assumption"]`` and
            every note say what they rest on.

        Raises
        ------
        SpecificationError
            On unknown words.
        """
        return self._table(self.posterior, by, level, weights, extrapolate, self._source)

    def mechanisms(self, level: float = 0.95, weights: str | None = None) -> Estimates:
        """Region × mechanism: the direct effect, the indirect effect through each mediator and the total, for every region and overall."""
        both = self.effects("all", level, weights) + self.effects("region", level, weights)
        f = both.frame
        kept = f["estimand"].isin(["direct", "total"]) | ((f["estimand"] == "indirect") & (f["term"] != "all"))
        return Estimates(f[kept].reset_index(drop=True), both.draws[kept.to_numpy()], "Effects by region and mechanism", both.meta)

    def prior_effects(self, by: str = "all", level: float = 0.95, weights: str | None = None) -> Estimates:
        """The rows of :meth:`effects` under the prior: what the model believed before the data."""
        return self._table(self.tree["prior"].to_dataset(), by, level, weights, False, "prior")

    def unpooled(self, by: str = "region", level: float = 0.95, weights: str | None = None) -> Estimates:
        """The rows of :meth:`effects` with every region by itself and the same error process: what pooling started from."""
        return self._table(self._unpooled_draws, by, level, weights, False, "Bayes, no pooling")

    def priors(self) -> pd.DataFrame:
        """Priors in use, in units of the data: parameter, distribution, meaning, set_by."""
        from bayes.mechanism.prior_rows import priors_in_use

        return priors_in_use(self.model, self._equations)

    @property
    def _source(self) -> str:
        words = self.model.effective_pooling(self._equations) if "path_correlation" not in self.posterior else "partial"
        return f"Bayes, {'no' if words == 'none' else words} pooling" + ("" if self.diagnose().passed else " (FAILED sampling checks)")

    @cached_property
    def _equations(self):
        return self.model.equations(self.panel)

    @cached_property
    def _unpooled_draws(self) -> xr.Dataset:
        names = [n for n in ("innovation_sd", "autocorrelation", "unit_effect_sd") if n in self.posterior]
        values = {n: self.posterior[n].to_numpy() for n in names}
        return draws.unpooled_dataset(values, self._equations, self.model.resolved_priors(), self.meta["seed"])

    def _table(self, dataset: xr.Dataset, by: str, level: float, weights: str | None, extrapolate: bool, source: str) -> Estimates:
        chosen = weights or ("panel" if self.panel.weights is not None else "rows")
        verdict = self.diagnose()
        meta = {"outcome": self.model.outcome, "verdict": verdict.verdict, "passed": verdict.passed, "seed": self.meta["seed"]}
        return effect_table(dataset, by, level, chosen, extrapolate, source, self.model.exposure, **meta)

"""DiDFit: effects, comparisons with the prior and with no pooling, and criticism of a fitted staggered difference-in-differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import xarray as xr

from bayes.arguments import checked_methods
from bayes.did import criticism, draws, intensity, leads, prior_scaling, robust, sensitivity, variants
from bayes.did.heterogeneity import Heterogeneity
from bayes.did.leads import ParallelTrends
from bayes.did.prior_scaling import PriorSensitivity
from bayes.did.sensitivity import Sensitivity
from bayes.did.variants import Variants
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.executors import Executor
from bayes.inference.fit import Fit
from bayes.panel import Panel
from bayes.priors import prior_table

if TYPE_CHECKING:
    from bayes.did.placebo_result import PlaceboTest


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class DiDFit(Fit):
    """Posterior of a :class:`bayes.StaggeredDiD`.

    Attributes of :class:`Fit`; ``tree["posterior"]`` holds the sampled scales, ``cell_effect`` by region × cohort × event time,
    ``group_effect`` (mean random effect of the units of a group), ``lead_effect``, ``period_effect`` and ``coefficient``, all in
    units of the outcome (with a dose: effects at its mean over treated rows; :meth:`att` turns them into what is asked for).
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
            units like these; this one compares with a cluster-robust standard error. ``att_new_unit``: one new unit. With a dose all
            three are per unit of it (``att_per_dose`` in the table), and ``att_at_dose`` and ``att_population_at_dose`` are effects at
            the doses received, which compare with those of a model without dose.
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

    def cluster_robust(
        self, by: str = "simple", estimand: str = "att_population", cluster: str | Mapping[Any, Any] | pd.Series = "unit",
        level: float = 0.95, weights: str | None = None, small_sample: str = "leave-one-out",
    ) -> Estimates:  # fmt: skip
        """The rows of :meth:`att` with the spread that whole clusters show, whatever the errors within them are like.

        The posterior's centre, and the sandwich covariance of its coefficients (Müller 2013) given the posterior means of the scales;
        draws are stretched to it. It does not rest on normal AR(1) errors of equal variance, only on independent clusters; what pooling
        pulls together stays so, and its bias is not part of the spread.

        Parameters
        ----------
        by, level, weights
            As in :meth:`att`; leads are left out.
        estimand : str
            ``att_population`` (or ``att_population_at_dose``): units' own deviations are part of the errors.
        cluster : str, mapping or pandas.Series
            ``unit``, a column of the fit's panel that is constant within units (its region, say), or a mapping from unit to cluster.
        small_sample : str
            ``leave-one-out``: how far each cluster moves the effects (a jackknife). ``none``: the plain sandwich, too narrow when
            clusters are few.

        Returns
        -------
        Estimates
            NaN with a note where one treated cluster is all there is, or there are no more units than columns that the data determine;
            notes too on few clusters and on strong pooling.

        Raises
        ------
        SpecificationError, MissingColumnError
            Unknown words; clusters that split units.

        References
        ----------
        Müller (2013), Econometrica 81(5); MacKinnon, Nielsen & Webb (2023), Journal of Econometrics 232(2).
        """
        return robust.cluster_robust_of(self, by, estimand, cluster, level, weights, small_sample)

    def interval_check(
        self, cluster: str | Mapping[Any, Any] | pd.Series = "unit", level: float = 0.95, weights: str | None = None
    ) -> pd.DataFrame:
        """How wide the interval of the overall effect on the population is, beside four others: flat cells, the two cluster-robust
        posteriors, and the cluster standard error of ETWFE (by diff-diff). ``sd_ratio`` is the posterior sd over each row's ``se``."""
        return robust.interval_check_of(self, cluster, level, weights)

    def parallel_trends(self, bound: float | None = None, level: float = 0.95, weights: str | None = None, seed: int = 0) -> ParallelTrends:
        """What the leads say about parallel trends before treatment, and what they could have seen.

        Parameters
        ----------
        bound : float, optional
            A violation that you would still call harmless, in units of the outcome: the result then gives P(largest |lead| > bound).
            Without it read the probability off ``.exceedance`` for every bound.
        level : float
            Probability of the joint bands; one minus it is the size of the pre-test whose power is reported.
        weights : str, optional
            As in :meth:`att`.
        seed : int
            Of the simulation behind the power.

        Returns
        -------
        ParallelTrends
            Leads and event study with joint bands, draws of the largest |lead|, and the power of the pre-test (Roth 2022).

        Raises
        ------
        SpecificationError
            The model was fitted without leads, or no treated unit is seen before the reference period.
        """
        return leads.parallel_trends_of(self, bound, level, weights, seed)

    def sensitivity(
        self, by: str = "simple", max_violation: float | Sequence[float] = (0.0, 0.5, 1.0), *, prior: str = "second-difference",
        scale: float | None = None, estimand: str = "att", level: float = 0.95, weights: str | None = None, autocorrelation: float = 0.5,
        certainty: float = 0.95, seed: int | None = None,
    ) -> Sensitivity:  # fmt: skip
        """Effects when the treated would have drifted from the others without treatment, by an amount that a prior describes.

        A violation δ at every event time but the reference, common to regions and cohorts, with prior N(0, (M · scale)² K), is integrated
        out together with the effects; draws of the scales of the fit are kept, so that M = 0 is exactly :meth:`att`. Leads inform about
        violations before treatment, and K carries that over to the periods after it.

        Parameters
        ----------
        by, estimand, level, weights
            As in :meth:`att`; leads themselves are left out.
        max_violation : number or sequence of numbers
            M: multiples of the scale.
        prior : str
            ``second-difference``: the slope of the violation is a random walk (unit-variance changes, and unit variance at the reference).
            ``ar1``: the difference of a stationary first-order autoregression from its value at the reference.
        scale : float, optional
            Size of violations at M = 1 in units of the outcome: the standard deviation of a period's change of slope, or of the
            autoregression. Default: marginal maximum likelihood from the leads, at least 0.01 within standard deviations of the outcome.
        autocorrelation : float
            Of the ``ar1`` prior.
        certainty : float
            The breakdown value is the smallest M at which the probability of the effect's sign falls below this.
        seed : int, optional
            Default: the seed of the fit.

        Returns
        -------
        Sensitivity
            ``estimates`` at each M, ``curve``, ``breakdown``. Centre and P(> 0) need not move in one direction with M.

        Raises
        ------
        SpecificationError
            On unknown words, negative M, or no lead to learn the scale from.

        References
        ----------
        Kwon & Roth (2024), AEA Papers and Proceedings 114; Rambachan & Roth (2023), Review of Economic Studies 90(5).
        """
        return sensitivity.sensitivity_of(
            self, by, max_violation, prior, scale, estimand, level, weights, autocorrelation, certainty, seed
        )  # fmt: skip

    def priors(self) -> pd.DataFrame:
        """Priors in use, in units of the outcome: parameter, distribution, meaning, set_by."""
        used = {
            n: p for n, p in self.model.resolved_priors().items() if n in self.model.parameters(self._collapsed) or n in ("level", "drift")
        }
        if self._collapsed.basis is None:
            used = {n: p for n, p in used.items() if n not in ("level", "drift")}
        return prior_table(used, self.model.priors, float(self._collapsed.scales[-1]))

    def placebo(
        self, n: int = 500, kind: str = "cohorts", within: str = "all", seed: int = 0, by: str = "simple", estimand: str = "att", *,
        among: str = "all", weights: str | None = None, shifts: Sequence[int] | None = None, confirm: int = 0, cores: int | None = None,
        progress: bool | None = None, resume: str | Path | None = None, executor: Executor | None = None,
    ) -> PlaceboTest:  # fmt: skip
        """Placebo test: the same model refitted to fake treatment dates, and a permutation p-value of the actual effect.

        Each refit takes the posterior mode of the scales and the exact posterior of the effects given them; so does the actual estimate
        that it is compared with, and the full posterior stands beside. With ``kind="cohorts"`` first treated periods are permuted over
        units, as many units to each date as are treated then; a unit gets only dates before which it is observed (as a panel demands),
        and all such assignments are equally likely. The p-value (1 + #{|placebo| ≥ |actual|})/(n + 1) is exact when dates were given out
        that way (within regions, if asked) and have no effect on anybody. With ``among="never-treated"`` fake dates go to never-treated
        units only and treated units are left out: no true effect can leak in, but the true dates are none of the draws, so that the
        p-value is approximate. With ``kind="dates"`` every date moves back by each of ``shifts`` periods, on the rows before the true
        dates; there is no p-value.

        The cells that any assignment can fill share one prior; what a refit's units do not fill is integrated out. Refits in which a term
        has no identified cell count as extreme; one refit in which a component has nothing to tell apart keeps the component.

        Parameters
        ----------
        n : int
            Refits for ``kind="cohorts"``.
        kind : "cohorts" or "dates"
        within : "all" or "region"
            Permute over all units, or within each region.
        seed : int
            Of the permutations.
        by, estimand, weights : str
            As in :meth:`att`; ``estimand`` is ``att`` or ``att_population``.
        among : "all" or "never-treated"
            Who can draw a date.
        shifts : sequence of int, optional
            For ``kind="dates"``; default: one, two and three periods as far as there are rows before.
        confirm : int
            Repeat so many of the refits by sampling the whole posterior (seconds to minutes each); see ``.confirmation``.
        cores : int, optional
            Refits at a time (default: all cores).
        progress : bool, optional
            Count refits aloud; by default on a terminal only.
        resume : str or Path, optional
            A folder in which finished refits of ``kind="cohorts"`` are kept as they come: the same call after an interruption does only
            the others, and its result is the same.
        executor : dask.distributed.Client, optional
            Its workers do the refits of ``kind="cohorts"``, with the same result (docs/scaling.md).

        Returns
        -------
        PlaceboTest
            With ``.table()``, ``.p_values()``, ``.plot()``.

        Raises
        ------
        SpecificationError
            Unknown words; one treated unit; nothing to permute; too few never-treated units or periods before treatment.

        References
        ----------
        Fisher (1935), The Design of Experiments; Phipson & Smyth (2010), Statistical Applications in Genetics and Molecular Biology 9(1).
        """
        from bayes.did import placebo

        chosen = weights or ("panel" if self.panel.weights is not None else "rows")
        options = placebo.Options(by, estimand, chosen, cores, progress, resume, executor)
        return placebo.placebo_of(self, n, kind, within, among, shifts, seed, confirm, options)

    @property
    def heterogeneity(self) -> Heterogeneity:
        """Differences between effects: variance components, contrasts and ranks of regions, effects by a covariate and by unit."""
        return Heterogeneity(self)

    def moderation(self, level: float = 0.95) -> Estimates:
        """How the effect changes with each moderator: one row a column, estimand ``moderation``, per unit of the moderator (and of a dose).

        Assumes that the change is linear and that treated units that differ in the moderator differ in nothing else that changes the
        effect beyond region, cohort and event time. Raises :class:`SpecificationError` for a model without moderators.
        """
        return intensity.moderation_of(self, level)

    def variants(
        self, *, trim: float | Sequence[float] | None = None, winsorize: float | Sequence[float] | None = None,
        drop_region: str | Sequence[str | Sequence[str]] | None = None, dose: str | list[str] | None = None, first_treated: Any = None,
        outcome: Any = None, covariates: Any = None, moderators: Any = None, pooling: Any = None, errors: Any = None,
        unit_effects: Any = None, unit_trends: Any = None, period_effects: Any = None, anticipation: Any = None, likelihood: Any = None,
        panel: Panel | None = None,
        combine: bool = False, method: str = "mode", by: str = "simple", estimand: str = "att", level: float = 0.95,
        weights: str | None = None, draws: int = 1000, seed: int = 0, executor: Executor | None = None,
    ) -> Variants:  # fmt: skip
        """The effect in variants of this fit: robustness and stepwise columns of a paper as one comparison and a specification curve.

        Every keyword up to ``likelihood`` takes one alternative or a list; each is one variant that changes nothing else.

        Parameters
        ----------
        trim, winsorize : number
            Share of the outcome's rows in each tail (0 to 0.5) that is left out, or clipped to the quantile there.
        drop_region : str or sequence
            A region, several (a tuple inside the list: together), or ``"each"``: every region in turn.
        dose : str
            Column of treatment intensity in place of 0/1, see :class:`bayes.StaggeredDiD`. Its rows stand at the doses received (they
            compare with the headline) and per unit of dose (``att_per_dose``).
        first_treated : str or mapping
            Other dates: a column, or a mapping of old dates (or of units) to new ones, ``{2016: 2017}``; under names,
            ``{"second batch one year later": {2016: 2017}}``.
        outcome : str or callable
            ``"log"``, another column, or a function of the outcome's values. In other units, hence under another estimand.
        covariates, moderators : list of lists of str
            Stepwise sets: ``[[], ["x1"], ["x1", "x2"]]``.
        pooling, errors, unit_effects, unit_trends, period_effects, anticipation, likelihood
            Words of :class:`bayes.StaggeredDiD`; a tuple of pooling components is one alternative. ``"student-t"`` is always sampled.
        panel : Panel, optional
            The panel that was fitted, where variants need columns that the fit does not keep.
        combine : bool
            All combinations of one alternative a dimension instead of one change at a time.
        method : "mode" or "nuts"
            ``mode`` (under a second each): posterior mode of the scales, exact draws given them; intervals leave out the uncertainty of the
            scales, which the headline in both ways shows. ``nuts``: full fits with the options of this one.
        by, estimand, level, weights
            As in :meth:`att`.
        draws, seed : int
            Draws of each variant, and their seed.
        executor : dask.distributed.Client, optional
            Its workers fit the variants, with the same result (docs/scaling.md). Default: one after another, in this process.

        Returns
        -------
        Variants
            ``comparison``, ``estimates``, ``changes`` (what changed, rows and units used), ``left_out`` (rows that a variant leaves out).

        Raises
        ------
        SpecificationError, DataError
            Of an alternative that does not exist or cannot be fitted; with ``drop_region="each"`` such a region is a row without number.
        """
        asked = {
            "trim": trim, "winsorize": winsorize, "drop_region": drop_region, "dose": dose, "first_treated": first_treated,
            "outcome": outcome, "covariates": covariates, "moderators": moderators, "pooling": pooling, "errors": errors,
            "unit_effects": unit_effects, "unit_trends": unit_trends, "period_effects": period_effects, "anticipation": anticipation,
            "likelihood": likelihood,
        }  # fmt: skip
        return variants.variants_of(self, asked, panel, combine, method, by, estimand, level, weights, draws, seed, executor)

    def predictive_check(self, draws: int = 200, seed: int = 0) -> criticism.PredictiveCheck:
        """Outcomes replicated from the posterior for the same units, and statistics the model should reproduce."""
        return criticism.predictive_check(self, draws, seed)

    def loo(self):
        """Leave-one-unit-out expected log predictive density by PSIS (ArviZ ``ELPDData``), given period and cell effects.

        Comparable across models with the same flat unit columns only.
        """
        return criticism.leave_one_unit_out(self)

    def prior_sensitivity(
        self, by: str | Sequence[str] = ("simple", "region"), factors: Sequence[float] = (0.5, 2.0), estimand: str = "att",
        level: float = 0.95, weights: str | None = None, seed: int | None = None,
    ) -> PriorSensitivity:  # fmt: skip
        """How much effects and parameters depend on the priors: power-scaling, and refits under tighter and wider priors (seconds).

        Power-scaling raises the priors of scales, level and drift (or the likelihood) to a power near one by importance weights on the
        draws. Refits multiply every prior scale by each of ``factors``; they take the posterior mode of the scales and exact draws of the
        effects given them. ``by``, ``estimand``, ``level``, ``weights`` as in :meth:`att`; ``seed``: default that of the fit.
        Raises :class:`SpecificationError` for unknown words, and :class:`UnsupportedModelError` for Student-t errors.

        References
        ----------
        Kallioinen, Paananen, Bürkner & Vehtari (2024), Statistics and Computing 34.
        """
        return prior_scaling.prior_sensitivity_of(self, by, factors, estimand, level, weights, seed)

    @property
    def _source(self) -> str:
        words = {0: "no", 1: "complete"}.get(len(self.model.components), "partial")
        errors = "" if self.model.likelihood == "normal" else ", Student-t errors"
        return f"Bayes, {words} pooling{errors}" + ("" if self.diagnose().passed else " (FAILED sampling checks)")

    @cached_property
    def _collapsed(self):
        return self.model.collapse(self.panel)

    @cached_property
    def _unpooled_draws(self) -> xr.Dataset:
        intensity.refuse_extensions(self.model, "A fit without pooling at the scales of this one", allowed=("dose", "moderators"))
        scalars = {n: self.posterior[n].to_numpy() for n in self.model.parameters(self._collapsed)}
        return draws.unpooled_dataset(scalars, self._collapsed, self.model.resolved_priors(), self.meta["seed"])

    def _aggregate(
        self, dataset: xr.Dataset, by: str, estimand: str, level: float, weights: str | None, extrapolate: bool, source: str
    ) -> Estimates:
        chosen = weights or ("panel" if self.panel.weights is not None else "rows")
        meta: dict[str, Any] = {"outcome": self.model.outcome, "verdict": self.diagnose().verdict, "passed": self.diagnose().passed}
        if extrapolate and self._collapsed.basis is None:
            raise SpecificationError('With pooling="none" there is no hierarchy to extrapolate from. Choose a pooling to extrapolate.')
        if extrapolate and by in ("region", "region:event"):
            dataset = draws.with_untreated_regions(dataset, self._collapsed, self.model.resolved_priors(), self.meta["seed"])
        return intensity.estimates_of(
            dataset, self.model, self.panel, self._collapsed, by, estimand, chosen, level, extrapolate, source, **meta
        )

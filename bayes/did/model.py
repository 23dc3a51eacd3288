"""StaggeredDiD: what to fit. A frozen specification that builds PyMC models and fits them; it holds no data and no results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.arguments import check, checked
from bayes.did.cells import COMPONENTS
from bayes.did.cross_products import UnitColumns
from bayes.did.draws import posterior_dataset, prior_dataset, sampled_scales
from bayes.did.fit import DiDFit
from bayes.did.groups import Block, Trajectories, block_of, group_units, split_block
from bayes.did.intensity import product_name, refuse_collinear_moderators, refuse_extensions, warn_of_constant_dose, with_intensity
from bayes.did.pymc_models import collapsed_model, collapsed_posterior, rows_model
from bayes.did.state import CollapsedPanel, collapse
from bayes.did.student_t import rows_posterior
from bayes.errors import SpecificationError
from bayes.executors import Executor
from bayes.inference.sampling import SamplerOptions, single_threaded_algebra
from bayes.mechanism.covariate_check import warn_of_affected_covariates
from bayes.panel import Panel
from bayes.priors import DID_PRIORS, Prior, resolve
from bayes.scan import ScannedPanel
from bayes.specification import from_plain, to_plain
from bayes.validation import one_of

if TYPE_CHECKING:
    from bayes.did.draws_as_outcome import CutPosterior

_CHOICES = {
    "errors": ("ar1", "iid"),
    "unit_effects": ("random-treatment", "fixed"),
    "period_effects": ("common", "region"),
    "likelihood": ("normal", "student-t"),
}
_PRIOR_DRAWS = 4000


def _words(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or not all(isinstance(v, str) for v in value):
        raise SpecificationError(f"{name} must be a list of names, got {value!r}.")
    return tuple(value)


def _check_intensity(spec: StaggeredDiD) -> None:
    """The words for dose, moderators and likelihood."""
    if isinstance(spec.moderators, str):
        raise SpecificationError(f"moderators must be a list of columns, for example moderators=[{spec.moderators!r}].")
    object.__setattr__(spec, "moderators", _words("moderators", spec.moderators))
    if spec.dose is not None and not isinstance(spec.dose, str):
        raise SpecificationError(f"dose must be the name of a column or None, got {spec.dose!r}.")
    if spec.outcome in (spec.dose, *spec.moderators) or len(set(spec.moderators)) < len(spec.moderators):
        raise SpecificationError("Dose and moderators must be other columns than the outcome, each moderator named once.")
    if spec.likelihood == "student-t" and spec.leads:
        raise SpecificationError('Leads are drawn under normal errors only. With likelihood="student-t" set leads=False.')


@dataclass(frozen=True)
class StaggeredDiD:
    """Staggered difference-in-differences with partial pooling of effects over regions, cohorts and event time.

    y_it = α_i + λ_t + x_it'β + Σ_c D_it^c (τ_c + b_i) + ε_it for cells c = region × cohort × event time (docs/staggered_did.md).
    α, λ, β are flat and integrated out as in restricted maximum likelihood; τ_c = path(e) + region + cohort + (region × path) + cell is
    Gaussian given its scales and integrated out too; ε is AR(1) in calendar time. Assumes parallel trends given x, no anticipation before
    ``anticipation`` periods, an absorbing treatment, and random unit deviations b_i independent of cohort. Leads are drawn as a check
    (``leads``).
    Unbalanced panels and gaps are used as they are.

    Parameters
    ----------
    outcome : str
        Column of the outcome.
    covariates : sequence of str
        Columns of time-varying covariates. They should not be affected by the treatment.
    pooling : "none", "complete" or a sequence of str
        What effects are pooled over: any of ``event``, ``region``, ``cohort``, ``region:event``, ``cell``. ``"none"``: every cell flat;
        ``"complete"``: one effect. Default: all five.
    errors : "ar1" or "iid"
    leads : bool
        Also draw lead effects (event time ≤ −2) given the fitted scales, flat and unpooled; they do not enter the effects.
    unit_effects : "random-treatment" or "fixed"
        With or without a random treatment effect b_i of each unit; without, posteriors are too narrow when units differ.
    unit_trends : bool
        Random linear trend per unit.
    period_effects : "common" or "region"
        One set of period effects, or one per region (comparisons then stay within regions).
    anticipation : int
        Periods before treatment in which effects are allowed.
    path_order : 1 or 2
        First- or second-order random walk of effects over event time.
    dose : str, optional
        Column ≥ 0 with the intensity of the treatment, constant or changing over time: τ_c and b_i become effects per unit of it (see
        :meth:`DiDFit.att`). It matters in treated rows only, and may be missing elsewhere; leads count a unit's mean dose. A treated unit
        costs like a group of its own.
    moderators : sequence of str
        Columns that the effect may vary with: treatment × (column − its mean over treated rows) enters with a flat coefficient
        (:meth:`DiDFit.moderation`). They should not be affected by the treatment.
    likelihood : "normal" or "student-t"
        Student-t innovations take the weight off outlying rows. Nothing can be integrated out then: the row-level model is sampled with
        all its latents (tens of times slower; use ``tune=1000``) and proper wide priors on unit and period effects; leads are not drawn.
    priors : mapping of str to Prior or number
        Replaces defaults of :data:`bayes.priors.DID_PRIORS`; a number is a scale relative to the within standard deviation of the outcome.

    Raises
    ------
    SpecificationError
        On words that do not exist, at construction.

    References
    ----------
    Borusyak, Jaravel & Spiess (2024), Review of Economic Studies 91(6); Wooldridge (2021), SSRN 3906345; Patterson & Thompson (1971),
    Biometrika 58(3).
    """

    outcome: str
    covariates: tuple[str, ...] = ()
    pooling: tuple[str, ...] | str = COMPONENTS
    errors: str = "ar1"
    leads: bool = True
    unit_effects: str = "random-treatment"
    unit_trends: bool = False
    period_effects: str = "common"
    anticipation: int = 0
    path_order: int = 1
    dose: str | None = None
    moderators: tuple[str, ...] = ()
    likelihood: str = "normal"
    priors: Mapping[str, Prior | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.outcome, str):
            raise SpecificationError(f"outcome must be the name of a column, got {self.outcome!r}.")
        if isinstance(self.covariates, str):
            raise SpecificationError(f"covariates must be a list of columns, for example covariates=[{self.covariates!r}].")
        object.__setattr__(self, "covariates", _words("covariates", self.covariates))
        if not isinstance(self.pooling, str):
            object.__setattr__(self, "pooling", _words("pooling", self.pooling))
        if not isinstance(self.priors, Mapping):
            raise SpecificationError(f"priors must be a mapping such as {{'cell_sd': 0.1}}, got {self.priors!r}.")
        object.__setattr__(self, "priors", dict(self.priors))
        for name in ("leads", "unit_trends"):
            if not isinstance(getattr(self, name), bool):
                raise SpecificationError(f"{name} must be True or False, got {getattr(self, name)!r}.")
        for name, allowed in _CHOICES.items():
            one_of(name, getattr(self, name), allowed)
        unknown = [] if isinstance(self.pooling, str) else [p for p in self.pooling if p not in COMPONENTS]
        if unknown or (isinstance(self.pooling, str) and self.pooling not in ("none", "complete")):
            raise SpecificationError(f"pooling={self.pooling!r}: use 'none', 'complete', or any of {', '.join(COMPONENTS)}.")
        if not isinstance(self.anticipation, int) or isinstance(self.anticipation, bool) or self.anticipation < 0:
            raise SpecificationError(f"anticipation must be a whole number of periods ≥ 0, got {self.anticipation!r}.")
        if not isinstance(self.path_order, int) or isinstance(self.path_order, bool) or self.path_order not in (1, 2):
            raise SpecificationError(f"path_order must be 1 or 2, got {self.path_order!r}.")
        if len({self.outcome, *self.covariates}) < 1 + len(self.covariates):
            raise SpecificationError("The outcome and the covariates must be different columns, each named once.")
        _check_intensity(self)
        resolve(DID_PRIORS, self.priors)

    @property
    def regressors(self) -> tuple[str, ...]:
        """Names of the flat coefficients: covariates, then moderators × treatment."""
        return (*self.covariates, *map(product_name, self.moderators))

    @property
    def components(self) -> tuple[str, ...]:
        """Components that pool the cells; empty without pooling, only the level under complete pooling."""
        if self.pooling == "none":
            return ()
        return ("level",) if self.pooling == "complete" else ("level", *(c for c in COMPONENTS if c in self.pooling))

    @single_threaded_algebra()
    def collapse(self, panel: Panel | ScannedPanel, executor: Executor | None = None) -> CollapsedPanel:
        """Cross-products of the panel, in one pass over its rows; rows on disk may be summed by a ``dask.distributed.Client``'s workers.

        Raises the panel's errors and :class:`CollinearColumnsError`.
        """
        check("collapse", "executor", executor, ["Executor", "None"])
        if isinstance(panel, ScannedPanel):
            from bayes.did.scanned import collapse_scanned

            return collapse_scanned(self, panel, executor)
        blocks = split_block(self.block(panel))
        return self.collapse_blocks(blocks, panel.n_periods, int(panel.periods[0]), panel.step, panel.regions.tolist())

    def block(self, panel: Panel) -> Block:
        """The rows of a panel in the form that :meth:`collapse_blocks` takes. They must be in memory."""
        if panel.first_treated is None:
            raise SpecificationError("The panel has no treatment timing. Give first_treated= or treated= to Panel.from_frame.")
        return with_intensity(block_of(panel, self.outcome, self.covariates), panel, self)

    @single_threaded_algebra()
    def collapse_blocks(self, blocks, n_periods: int, period_start: int, step: int, regions: Sequence[str]) -> CollapsedPanel:
        """As :meth:`collapse`, from blocks of whole units, for panels that come in pieces."""
        return self.collapse_groups(group_units(blocks), n_periods, period_start, step, regions)

    def collapse_groups(
        self, groups: Sequence[Trajectories], n_periods: int, period_start: int, step: int, regions: Sequence[str]
    ) -> CollapsedPanel:
        """As :meth:`collapse`, from sums by region × cohort × observed dates (:func:`bayes.did.groups.group_units`)."""
        unit_columns = UnitColumns(self.unit_effects == "random-treatment", self.unit_trends)
        if groups[0].mean.shape[1] != len(self.regressors) + 1 or (groups[0].dose is None) != (self.dose is None):
            raise SpecificationError("The blocks do not carry this model's covariates, moderators and dose. Use StaggeredDiD.block(panel).")
        collapsed = collapse(
            groups, n_periods, period_start, step, regions, self.regressors, unit_columns, self.period_effects, self.anticipation,
            self.leads, self.components, self.path_order,
        )  # fmt: skip
        if self.moderators:
            refuse_collinear_moderators(collapsed, self.moderators)
        return collapsed

    def parameters(self, collapsed: CollapsedPanel) -> tuple[str, ...]:
        """Names of the parameters that are sampled, in the model's order."""
        ar1 = ("autocorrelation",) if self.errors == "ar1" else ()
        tails = ("degrees_of_freedom",) if self.likelihood == "student-t" else ()
        return ("innovation_sd", *ar1, *collapsed.unit_columns.names, *sampled_scales(collapsed.basis), *tails)

    def resolved_priors(self) -> dict[str, Prior]:
        return resolve(DID_PRIORS, self.priors)

    def build(self, panel: Panel, form: str = "collapsed"):
        """A :class:`pymc.Model` of this specification on a panel.

        ``form="collapsed"`` is what is sampled: scales and ρ only, everything else integrated out inside one potential.
        ``form="rows"`` is the readable row-level model with every latent variable, for graphs, extension and prior prediction; unit and
        period effects have wide proper priors there. Raises :class:`SpecificationError` on another form.
        """
        if form == "collapsed":
            return collapsed_model(self, self.collapse(panel))
        if form == "rows":
            return rows_model(self, self.collapse(panel), self.block(panel))
        raise SpecificationError(f"form={form!r} does not exist. Choose 'rows' or 'collapsed'.")

    @checked
    def fit(
        self, panel: Panel | ScannedPanel, seed: int = 0, *, sampler: str = "nutpie", draws: int = 1000, tune: int = 300, chains: int = 4,
        target_accept: float = 0.8, cores: int | None = None, progress: bool | None = None, cache: str | Path | None = None,
        executor: Executor | None = None,
    ) -> DiDFit:  # fmt: skip
        """Sample the posterior.

        Parameters
        ----------
        panel : Panel or ScannedPanel
            With treatment timing. Rows on disk (:meth:`bayes.Panel.scan`) are read once and give the numbers of the same rows in memory.
        seed : int
            The same seed, data and versions give the same draws.
        sampler : str
            ``nutpie`` (default), ``numpyro``, ``blackjax`` (all on JAX) or ``pymc``.
        draws, tune, chains : int
            Kept draws and warm-up iterations per chain, and chains.
        target_accept : float
            Target acceptance of NUTS.
        cores : int, optional
            Chains run at a time (default: all cores).
        progress : bool, optional
            Show the two phases, compiling and sampling; by default on a terminal only.
        cache : path, optional
            Folder of fits keyed by model, data, options and versions: an unchanged fit is read back instead of sampled.
        executor : dask.distributed.Client, optional
            Its workers sum rows that are on disk, each a part, with the same result (docs/scaling.md). Rows in memory are summed here;
            chains run here.

        Returns
        -------
        DiDFit
            Also when the diagnostics gate fails; the verdict then heads every comparison and report.

        Warns
        -----
        AffectedCovariateWarning
            A covariate moves with the treatment (|t| > 2 within units and periods).
        ConvergenceWarning
            The gate failed.
        """
        options = SamplerOptions(sampler, draws, tune, chains, target_accept, seed, cores, progress)
        used = self._checked(panel, progress, executor)
        from bayes.inference.files import cached

        return cached(self, used, options, cache, lambda: self._sample(used, options))

    def fit_draws(
        self, panel: Panel, outcome_draws: np.ndarray, seed: int = 0, *, draws_used: int = 100, conditional_draws: int = 10
    ) -> CutPosterior:
        """Effects on an outcome that is known as posterior draws of another model: a cut posterior, labelled so in every table.

        For draws of efficiency or productivity, ``fit_draws(*frontier_fit.as_outcome("log_efficiency"))``. Each draw used is fitted by
        itself: posterior mode of the scales (in logarithms, compiled once), then exact draws of the effects given them; all are pooled.
        Intervals carry the uncertainty of the outcome and of the effects given the scales, not that of the scales.

        Assumes what :class:`StaggeredDiD` does, of the outcome's draws. Where they come from a model without the treatment, they are shrunk
        towards no effect and the estimate is attenuated: prefer the treatment as a determinant in that model
        (``FrontierFit.policy_effect``), and read this beside it.

        Parameters
        ----------
        panel : Panel
            With treatment timing and the covariates. The column ``outcome`` need not exist; it is replaced by the draws.
        outcome_draws : array (draws, rows)
            Draws of the outcome, rows in the order of ``panel.frame``.
        draws_used : int
            Fits, to evenly spaced draws.
        conditional_draws : int
            Draws of the effects kept from each fit.

        Returns
        -------
        CutPosterior
            With ``att(by)`` as a fit has.

        Raises
        ------
        SpecificationError, MissingValueError
            Draws of another shape, or not finite; and the errors of :meth:`collapse`.

        Warns
        -----
        ConvergenceWarning
            Some fits did not find their mode.
        """
        from bayes.did.draws_as_outcome import cut_posterior

        refuse_extensions(self, "A fit to draws of the outcome", allowed=("moderators",))
        return cut_posterior(self, panel, outcome_draws, seed, draws_used, conditional_draws)

    def _sample(self, panel: Panel, options: SamplerOptions) -> DiDFit:
        from bayes.inference.files import fitted_tree
        from bayes.inference.sampling import sample

        collapsed = self.collapse(panel)
        names, priors = self.parameters(collapsed), self.resolved_priors()
        if self.likelihood == "normal":
            samples = sample(collapsed_posterior(self, collapsed), options)
            posterior = posterior_dataset({n: samples.draws[n] for n in names}, collapsed, priors, options.seed)
        else:
            samples = sample(rows_model(self, collapsed, self.block(panel)), options)
            posterior = rows_posterior(self, collapsed, self.block(panel), samples, options.seed)
        prior = prior_dataset(collapsed, priors, names, _PRIOR_DRAWS, options.seed)
        return DiDFit(self, panel, fitted_tree(panel, options, samples, posterior, prior))

    def _checked(self, panel: Panel | ScannedPanel, progress: bool | None, executor: Executor | None = None) -> Panel | ScannedPanel:
        """:meth:`needed`, with warnings about dose and covariates."""
        used = self.needed(panel, progress, executor)
        if isinstance(used, ScannedPanel):
            from bayes.did.scanned import warn_of_affected_columns

            warn_of_affected_columns(used, self.covariates, self.anticipation)
        else:
            warn_of_constant_dose(self, used)
            warn_of_affected_covariates(used, self.covariates, self.anticipation)
        return used

    def needed(self, panel: Panel | ScannedPanel, progress: bool | None = None, executor: Executor | None = None) -> Panel | ScannedPanel:
        """The panel with index, outcome, covariates and weights only, in a fixed order; rows untouched. Of rows on disk, their sums."""
        from dataclasses import replace

        if isinstance(panel, ScannedPanel):
            from bayes.did.scanned import with_sums

            return with_sums(self, panel, progress, executor)
        self.block(panel)
        roles = [panel.unit, panel.time, panel.region, panel.first_treated, panel.weights]
        roles += [self.outcome, *self.covariates, self.dose, *self.moderators]
        columns = list(dict.fromkeys(c for c in roles if c is not None))
        return replace(panel, frame=panel.frame[columns])

    def to_dict(self) -> dict[str, Any]:
        """The specification as JSON-ready data."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StaggeredDiD:
        return from_plain(cls, data)

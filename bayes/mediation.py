"""Mediation: through which mechanism a treatment or an exposure works. A frozen specification that builds PyMC models and fits them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bayes.arguments import checked
from bayes.did.cross_products import UnitColumns
from bayes.errors import MechanismWarning, SpecificationError, warn_user
from bayes.inference.sampling import SamplerOptions
from bayes.mechanism.coupling import POOLINGS
from bayes.mechanism.covariate_check import warn_of_affected_covariates
from bayes.mechanism.draws import SPREADS, posterior_dataset, prior_dataset
from bayes.mechanism.equations import Equations, make_equations
from bayes.mechanism.fit import MediationFit
from bayes.mechanism.wording import words_for
from bayes.panel import Panel
from bayes.priors import MEDIATION_PRIORS, Prior, resolve
from bayes.specification import from_plain, to_plain
from bayes.validation import one_of

_CHOICES = {
    "pooling": POOLINGS,
    "errors": ("ar1", "iid"),
    "unit_effects": ("random-treatment", "fixed"),
    "period_effects": ("common", "region"),
}
_PRIOR_DRAWS = 4000


@dataclass(frozen=True)
class Mediation:
    """Mediators and outcome of a treatment or an exposure, jointly: direct and indirect effects with partial pooling over regions.

    m_k = α + λ + x'β + a_k,r·D + D·u_i + e for every mediator, y = α + λ + x'β + c'_r·D + Σ_k b_k,r·m_k + D·u_i + e for the outcome
    (docs/mediation.md); unit effects, period effects and β differ by equation, are flat and integrated out; e is AR(1) in calendar time;
    (a_1 … a_K, c', b_1 … b_K)_r ~ N(μ, Σ) over regions with an LKJ prior on the correlations. D is the treatment indicator of the panel's
    timing: one static effect. Indirect effects are a·b, the total is c' + Σ a·b.

    Assumes parallel trends of every mediator and of the outcome, no anticipation before ``anticipation`` periods, an absorbing treatment,
    no effect of one mediator on another, effects of mediators that are linear and the same with and without treatment, and sequential
    ignorability: errors and unit deviations of the equations are independent. That makes the equations independent given the data but
    for Σ. Data cannot show it; every table says so.

    Parameters
    ----------
    outcome : str
        Column of the outcome.
    mediators : sequence of str
        Columns of the mediators. A mediator of two values is a linear probability model and noted as such.
    covariates : sequence of str
        Columns of time-varying covariates, in every equation. They should not be affected by the treatment.
    pooling : "partial", "complete" or "none"
        Partial pooling over regions, one set of paths for all, or every region by itself. With one region they are the same.
    errors : "ar1" or "iid"
    unit_effects : "random-treatment" or "fixed"
        With or without a random deviation u_i of each unit's treatment effect on the response; without, posteriors are too narrow when
        units differ.
    period_effects : "common" or "region"
        One set of period effects, or one per region.
    anticipation : int
        Periods before treatment from which on D is one.
    exposure : str, optional
        Column of a time-varying exposure, of any kind of number, that takes the place of D: a, c' and u_i are then per unit of it, and the
        panel needs no treatment timing (one that it has is not used). u_i is a random slope of the unit on the exposure. Parallel trends
        become strict exogeneity: given unit and period effects and covariates, nothing unobserved moves the exposure and a mediator or
        the outcome in any period, and neither feeds back on it.
    correlation_concentration : float
        η of the LKJ prior, density ∝ |Ω|^{η−1}; 1 is uniform, larger pulls correlations to zero.
    priors : mapping of str to Prior or number
        Replaces defaults of :data:`bayes.priors.MEDIATION_PRIORS`; one prior serves all equations or mediators, each in its own units.

    Raises
    ------
    SpecificationError
        On words that do not exist or a column named twice, at construction.

    References
    ----------
    Imai, Keele & Tingley (2010), Psychological Methods 15(4); Kenny, Korchmaros & Bolger (2003), Psychological Methods 8(2); Lewandowski,
    Kurowicka & Joe (2009), Journal of Multivariate Analysis 100(9).
    """

    outcome: str
    mediators: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    pooling: str = "partial"
    errors: str = "ar1"
    unit_effects: str = "random-treatment"
    period_effects: str = "common"
    anticipation: int = 0
    exposure: str | None = None
    correlation_concentration: float = 2.0
    priors: Mapping[str, Prior | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.outcome, str):
            raise SpecificationError(f"outcome must be the name of a column, got {self.outcome!r}.")
        for name in ("mediators", "covariates"):
            object.__setattr__(self, name, _words(name, getattr(self, name)))
        if not self.mediators:
            raise SpecificationError("Name at least one mediator.")
        if self.outcome in self.mediators:
            raise SpecificationError(f"{self.outcome!r} is both the outcome and a mediator. A mediator must be another column.")
        if self.exposure is not None and not isinstance(self.exposure, str):
            raise SpecificationError(f"exposure must be the name of a column, got {self.exposure!r}.")
        named = [self.outcome, *self.mediators, *self.covariates, *self._exposed]
        if len(set(named)) < len(named):
            raise SpecificationError("Outcome, mediators, covariates and exposure must be different columns, each named once.")
        for name, allowed in _CHOICES.items():
            one_of(name, getattr(self, name), allowed)
        if not isinstance(self.anticipation, int) or isinstance(self.anticipation, bool) or self.anticipation < 0:
            raise SpecificationError(f"anticipation must be a whole number of periods ≥ 0, got {self.anticipation!r}.")
        if self.exposure is not None and self.anticipation:
            raise SpecificationError("anticipation belongs to a treatment with a date. With an exposure, name a lead of it instead.")
        eta = self.correlation_concentration
        if not isinstance(eta, int | float) or isinstance(eta, bool) or not 0 < eta < 1e100:
            raise SpecificationError(f"correlation_concentration must be a positive number, got {eta!r}.")
        object.__setattr__(self, "correlation_concentration", float(eta))
        if not isinstance(self.priors, Mapping):
            raise SpecificationError(f"priors must be a mapping such as {{'driving_sd': 0.2}}, got {self.priors!r}.")
        object.__setattr__(self, "priors", dict(self.priors))
        resolve(MEDIATION_PRIORS, self.priors)

    def equations(self, panel: Panel) -> Equations:
        """Cross-products of every equation, in one pass over the rows.

        Raises
        ------
        SpecificationError, NoComparisonError
            The panel has no treatment timing, or no unit is treated within it, and there is no exposure.
        NoVariationError, CollinearColumnsError
            A column that the effects absorb, or an exact linear combination; the message names it.
        MissingColumnError, MissingValueError, NotNumericError
            A column that cannot be used.
        """
        if panel.first_treated is None and self.exposure is None:
            raise SpecificationError(
                "The panel has no treatment timing. Give first_treated= or treated= to Panel.from_frame, or name an exposure."
            )
        unit_columns = UnitColumns(self.unit_effects == "random-treatment", False)
        return make_equations(
            panel, self.outcome, self.mediators, self.covariates, unit_columns, self.period_effects, self.anticipation, self.exposure
        )  # fmt: skip

    def effective_pooling(self, equations: Equations) -> str:
        """``pooling``, but complete where there is one region only."""
        return "complete" if len(equations.regions) == 1 else self.pooling

    def parameters(self, equations: Equations) -> tuple[str, ...]:
        """Names of the parameters that are sampled, in the model's order."""
        ar1 = ("autocorrelation",) if self.errors == "ar1" else ()
        unit = ("unit_effect_sd",) if self.unit_effects == "random-treatment" else ()
        pooled = (*SPREADS, "partial_correlation") if self.effective_pooling(equations) == "partial" else ()
        return ("innovation_sd", *ar1, *unit, *pooled)

    def resolved_priors(self) -> dict[str, Prior]:
        return resolve(MEDIATION_PRIORS, self.priors)

    def build(self, panel: Panel):
        """The :class:`pymc.Model` that is sampled: scales, autocorrelations and correlations; all else is integrated out in one potential.

        Raises as :meth:`equations`.
        """
        from bayes.mechanism.pymc_model import collapsed_model

        return collapsed_model(self, self.equations(panel))

    @checked
    def fit(
        self, panel: Panel, seed: int = 0, *, sampler: str = "nutpie", draws: int = 1000, tune: int = 300, chains: int = 4,
        target_accept: float = 0.8, cores: int | None = None, progress: bool | None = None, cache: str | Path | None = None,
    ) -> MediationFit:  # fmt: skip
        """Sample the posterior. Parameters as in :meth:`StaggeredDiD.fit`.

        Returns
        -------
        MediationFit
            Also when the diagnostics gate fails; the verdict then heads every comparison and report.

        Raises
        ------
        As :meth:`equations`; SamplingError.

        Warns
        -----
        MechanismWarning
            Always, once per fit: what a causal reading of direct and indirect effects rests on.
        AffectedCovariateWarning
            A covariate moves with the treatment (|t| > 2 within units and periods). Not with an exposure, which confounders move as well.
        ConvergenceWarning
            The gate failed.
        """
        options = SamplerOptions(sampler, draws, tune, chains, target_accept, seed, cores, progress)
        used, equations = self.needed(panel), self.equations(panel)
        warn_user(words_for(self.exposure).assumption, MechanismWarning)
        if self.exposure is None:
            warn_of_affected_covariates(used, self.covariates, self.anticipation)
        from bayes.inference.files import cached

        return cached(self, used, options, cache, lambda: self._sample(used, equations, options))

    def _sample(self, panel: Panel, equations: Equations, options: SamplerOptions) -> MediationFit:
        from bayes.inference.files import fitted_tree
        from bayes.inference.sampling import sample
        from bayes.mechanism.pymc_model import collapsed_model

        samples = sample(collapsed_model(self, equations), options)
        names, priors = self.parameters(equations), self.resolved_priors()
        values = {n: samples.draws[n] for n in names}
        pooling = self.effective_pooling(equations)
        posterior = posterior_dataset(values, equations, priors, pooling, options.seed)
        prior = prior_dataset(equations, priors, names, self, _PRIOR_DRAWS, options.seed)
        return MediationFit(self, panel, fitted_tree(panel, options, samples, posterior, prior))

    def needed(self, panel: Panel) -> Panel:
        """The panel with index, outcome, mediators, covariates, exposure and weights only, in a fixed order; rows untouched."""
        named = [self.outcome, *self.mediators, *self.covariates, *self._exposed]
        panel.matrix(named)
        roles = [panel.unit, panel.time, panel.region, panel.first_treated, panel.weights]
        columns = [c for c in roles if c is not None] + named
        return replace(panel, frame=panel.frame[list(dict.fromkeys(columns))])

    @property
    def _exposed(self) -> tuple[str, ...]:
        return () if self.exposure is None else (self.exposure,)

    def to_dict(self) -> dict[str, Any]:
        """The specification as JSON-ready data."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Mediation:
        return from_plain(cls, data)


def _words(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise SpecificationError(f"{name} must be a list of columns, for example {name}=[{value!r}].")
    if not isinstance(value, Sequence) or not all(isinstance(v, str) for v in value):
        raise SpecificationError(f"{name} must be a list of names, got {value!r}.")
    return tuple(value)

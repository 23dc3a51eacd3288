"""A cross-lagged pair: does the first series lead the second, or the second the first? A frozen specification that is built and fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bayes.arguments import checked
from bayes.dynamics.draws import SPREADS, posterior_dataset, prior_dataset
from bayes.dynamics.fit import CrossLaggedFit
from bayes.dynamics.lags import LaggedPair, make_pair
from bayes.errors import SpecificationError
from bayes.inference.sampling import SamplerOptions
from bayes.mechanism.coupling import POOLINGS
from bayes.panel import Panel
from bayes.priors import CROSS_LAGGED_PRIORS, Prior, resolve
from bayes.specification import from_plain, to_plain
from bayes.validation import one_of

_PRIOR_DRAWS = 4000


@dataclass(frozen=True)
class CrossLagged:
    """Two series that move each other with a lag of one period, with partial pooling over regions and unit effects.

    z_it = λ_t + A_r z_i,t−1 + x_it'β + α_i + e_it with z = (first, second) (docs/cross_lagged.md). The diagonal of A_r holds the own lags
    (persistence), the other two entries the cross lags: first → second and second → first. Unit effects go with the starting point,
    α_i = μ_r + Π_r z_i0 + x̄_i'γ + a_i, a_i and e_it normal with free correlations between the two series. Conditioning on the first
    observation is what makes few periods enough: unit dummies beside a lagged outcome are biased then (Nickell 1981). λ, μ, β and γ are
    flat and integrated out, as are a_i, A_r and Π_r, whose entries vary over regions as N(mean, sd²). Coefficients that are constant within
    units (μ, γ, means of Π) are flat in coordinates orthogonal to A (Lancaster 2002): flat as they stand, they would bring a part of
    the bias back, as unit dummies do.

    Assumes that e_it is independent over periods and units (one lag is enough), normal unit effects whose mean is linear in the start,
    covariates that past values of the pair do not move, and no change of A_r over time. A cross lag is a statement on prediction: it is an
    effect only if nothing unobserved that varies over time moves one series first and the other later.

    Gaps: a row whose previous period is missing has no lag and is not used; ``fit.meta`` and every note count these rows. Behind a gap
    the conditioning on the start is approximate. Units without two consecutive rows drop out and are counted.

    Parameters
    ----------
    first, second : str
        Columns of the two series, each in its own unit.
    covariates : sequence of str
        Columns of covariates in both equations, with their unit means where they vary within units.
    pooling : "partial", "complete" or "none"
        Partial pooling of A and Π over regions, one for all, or every region by itself. With one region they are the same.
    period_effects : "common" or "region"
        One set of period effects, or one per region.
    correlation_concentration : float
        η of the prior of both correlations, density ∝ (1 − r²)^{η−1}; 1 is uniform.
    priors : mapping of str to Prior or number
        Replaces defaults of :data:`bayes.priors.CROSS_LAGGED_PRIORS`.

    Raises
    ------
    SpecificationError
        On words that do not exist or a column named twice, at construction.

    References
    ----------
    Wooldridge (2005), Journal of Applied Econometrics 20(1); Hsiao, Pesaran & Tahmiscioglu (2002), Journal of Econometrics 109(1);
    Allison, Williams & Moral-Benito (2017), Socius 3; Nickell (1981), Econometrica 49(6); Lancaster (2002), Review of Economic
    Studies 69(3).
    """

    first: str
    second: str
    covariates: tuple[str, ...] = ()
    pooling: str = "partial"
    period_effects: str = "common"
    correlation_concentration: float = 2.0
    priors: Mapping[str, Prior | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("first", "second"):
            if not isinstance(getattr(self, name), str):
                raise SpecificationError(f"{name} must be the name of a column, got {getattr(self, name)!r}.")
        given = self.covariates
        if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(c, str) for c in given):
            raise SpecificationError(f"covariates must be a list of columns, got {self.covariates!r}.")
        object.__setattr__(self, "covariates", tuple(self.covariates))
        named = [self.first, self.second, *self.covariates]
        if len(set(named)) < len(named):
            raise SpecificationError("First, second and covariates must be different columns, each named once.")
        one_of("pooling", self.pooling, POOLINGS)
        one_of("period_effects", self.period_effects, ("common", "region"))
        eta = self.correlation_concentration
        if not isinstance(eta, int | float) or isinstance(eta, bool) or not 0 < eta < 1e100:
            raise SpecificationError(f"correlation_concentration must be a positive number, got {eta!r}.")
        object.__setattr__(self, "correlation_concentration", float(eta))
        if not isinstance(self.priors, Mapping):
            raise SpecificationError(f"priors must be a mapping such as {{'cross_lag_sd': 0.1}}, got {self.priors!r}.")
        object.__setattr__(self, "priors", dict(self.priors))
        resolve(CROSS_LAGGED_PRIORS, self.priors)

    def lagged(self, panel: Panel) -> LaggedPair:
        """Rows with a previous period as cross-products: all that the likelihood needs.

        Raises
        ------
        SpecificationError
            No row has a previous period, or fewer than two units have one.
        NoVariationError, CollinearColumnsError
            A column that the effects absorb, or an exact linear combination; the message names it.
        MissingColumnError, MissingValueError, NotNumericError
            A column that cannot be used.
        """
        return make_pair(panel, self.first, self.second, self.covariates, self.period_effects)

    def effective_pooling(self, pair: LaggedPair) -> str:
        """``pooling``, but complete where there is one region only."""
        return "complete" if len(pair.regions) == 1 else self.pooling

    def parameters(self, pair: LaggedPair) -> tuple[str, ...]:
        """Names of the parameters that are sampled, in the model's order."""
        pooled = SPREADS if self.effective_pooling(pair) == "partial" else ()
        return ("innovation_sd", "unit_effect_sd", "innovation_correlation", "unit_effect_correlation", *pooled)

    def resolved_priors(self) -> dict[str, Prior]:
        return resolve(CROSS_LAGGED_PRIORS, self.priors)

    def build(self, panel: Panel):
        """The :class:`pymc.Model` that is sampled: standard deviations and correlations; all else is integrated out in one potential.

        Raises as :meth:`lagged`.
        """
        from bayes.dynamics.pymc_model import collapsed_model

        return collapsed_model(self, self.lagged(panel))

    @checked
    def fit(
        self, panel: Panel, seed: int = 0, *, sampler: str = "nutpie", draws: int = 1000, tune: int = 300, chains: int = 4,
        target_accept: float = 0.8, cores: int | None = None, progress: bool | None = None, cache: str | Path | None = None,
    ) -> CrossLaggedFit:  # fmt: skip
        """Sample the posterior. Parameters as in :meth:`StaggeredDiD.fit`.

        Returns
        -------
        CrossLaggedFit
            Also when the diagnostics gate fails; the verdict then heads every comparison and report.

        Raises
        ------
        As :meth:`lagged`; SamplingError.

        Warns
        -----
        ConvergenceWarning
            The gate failed.
        """
        options = SamplerOptions(sampler, draws, tune, chains, target_accept, seed, cores, progress)
        used = self.needed(panel)
        pair = self.lagged(used)
        from bayes.inference.files import cached

        return cached(self, used, options, cache, lambda: self._sample(used, pair, options))

    def _sample(self, panel: Panel, pair: LaggedPair, options: SamplerOptions) -> CrossLaggedFit:
        from bayes.dynamics.pymc_model import collapsed_model
        from bayes.inference.files import fitted_tree
        from bayes.inference.sampling import sample

        samples = sample(collapsed_model(self, pair), options)
        names, priors = self.parameters(pair), self.resolved_priors()
        values = {n: samples.draws[n] for n in names}
        posterior = posterior_dataset(values, pair, priors, self.effective_pooling(pair), options.seed)
        prior = prior_dataset(pair, priors, names, self, _PRIOR_DRAWS, options.seed)
        return CrossLaggedFit(self, panel, fitted_tree(panel, options, samples, posterior, prior, **pair.counts))

    def needed(self, panel: Panel) -> Panel:
        """The panel with index, the two series, covariates and weights only, in a fixed order; rows untouched."""
        columns = [self.first, self.second, *self.covariates]
        panel.matrix(columns)
        roles = [c for c in (panel.unit, panel.time, panel.region, panel.first_treated, panel.weights) if c is not None]
        return replace(panel, frame=panel.frame[list(dict.fromkeys([*roles, *columns]))])

    def to_dict(self) -> dict[str, Any]:
        """The specification as JSON-ready data."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CrossLagged:
        return from_plain(cls, data)

"""FrontierFit: efficiency, elasticities, productivity and technology gaps of a fitted stochastic frontier."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from bayes.arguments import checked_methods
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.frontier import draws, efficiency, elasticities, gap, policy, productivity
from bayes.frontier.data import FrontierData, frontier_data
from bayes.frontier.inefficiency import inefficiency_draws
from bayes.inference.diagnostics import Diagnosis, diagnose
from bayes.inference.fit import Fit
from bayes.panel import Panel


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class FrontierFit(Fit):
    """Posterior of a :class:`bayes.StochasticFrontier`.

    Attributes of :class:`Fit`; ``tree["posterior"]`` holds ``technology`` by region and term, scales of noise and inefficiency by region,
    their means and between-region spreads, and what the panel form adds. ``meta["method"]`` is ``nuts`` or ``surrogate``; a surrogate adds
    ``k_hat``, ``k_hat_limit`` and ``effective_draws`` (of the importance weights, autocorrelation aside). Inefficiencies are not stored:
    they are drawn exactly, given each posterior draw and the residuals, when they are asked for. ``by`` is one of ``all``, ``region``,
    ``unit``, ``period``, ``region:period`` and ``unit:period``; ``weights`` names a column that weights rows in means (default: the
    panel's weights, or equal).
    """

    kind: ClassVar[str] = "FrontierFit"
    coefficients: ClassVar[tuple[str, ...]] = ("technology_mean", "technology_spread", "determinant", "noise_determinant")

    @staticmethod
    def model_class():
        from bayes.frontier.model import StochasticFrontier

        return StochasticFrontier

    @cached_property
    def _diagnosis(self) -> Diagnosis:
        """Of a surrogate also k-hat: divergences and energy are those of its chains, R-hat and effective draws of what weights left."""
        statistics = self.tree["sample_stats"].to_dataset()
        return diagnose(self.posterior, statistics, self.meta.get("k_hat"), self.meta.get("k_hat_limit"))

    @cached_property
    def data(self) -> FrontierData:
        """The panel as arrays, units × rows of the unit."""
        return frontier_data(self.model, self.panel)

    def parameters(self, chosen: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Posterior draws as the kernels of :mod:`bayes.frontier` take them; ``chosen`` are positions among all draws."""
        return draws.parameters(self.posterior, self.model, self.data, chosen)

    def efficiency(
        self, by: str = "unit:period", estimator: str = "draws", component: str = "overall", level: float = 0.95, weights: str | None = None
    ) -> Estimates:
        """Technical (or cost) efficiency exp(−u), averaged over rows in each draw. See :func:`bayes.frontier.efficiency.mean_efficiency`.

        ``estimator``: ``draws`` (full uncertainty), ``battese-coelli`` (E[exp(−u)|ε]) or ``jlms`` (exp(−E[u|ε])). ``component`` of a
        four-component model: ``overall``, ``persistent`` or ``transient``.
        """
        return self._table(efficiency.mean_efficiency, by, level, weights, estimator=estimator, component=component, seed=self.meta["seed"])

    def ranks(self, by: str = "unit", level: float = 0.95) -> efficiency.Ranks:
        """Ranks by efficiency in each draw: mean rank, P(first), P(top quartile), and the matrix P(rank = k)."""
        return self._table(efficiency.ranks, by, level, None, seed=self.meta["seed"])

    def exceedance(self, threshold: float, by: str = "unit") -> Estimates:
        """P(mean efficiency > threshold) of each unit (or region)."""
        return self._table(efficiency.exceedance, by, 0.95, None, threshold=threshold, seed=self.meta["seed"])

    def elasticities(self, by: str = "region", level: float = 0.95, weights: str | None = None) -> Estimates:
        """Elasticities of output (cost) to each input, by the chain rule on the terms."""
        return self._table(elasticities.input_elasticities, by, level, weights)

    def returns_to_scale(self, by: str = "region", level: float = 0.95, weights: str | None = None) -> Estimates:
        """Sum of input elasticities; for a cost frontier one over the cost elasticity of the products."""
        return self._table(elasticities.returns_to_scale, by, level, weights)

    def monotonicity(self, by: str = "region", level: float = 0.95) -> Estimates:
        """Share of rows at which every input's elasticity is positive, by draw."""
        return self._table(elasticities.monotonicity, by, level, None)

    def technical_change(self, by: str = "region", level: float = 0.95, weights: str | None = None) -> Estimates:
        """Rate at which the frontier moves, per period."""
        return self._table(elasticities.technical_change, by, level, weights)

    def determinant_effects(self, by: str = "all", level: float = 0.95, weights: str | None = None) -> Estimates:
        """Marginal effect of each determinant on inefficiency and on log efficiency; for a 0/1 column the effect on rows with 1."""
        return self._table(efficiency.determinant_effects, by, level, weights)

    def noise_effects(self, level: float = 0.95) -> Estimates:
        """Effect of each noise determinant on ln σ_v, per unit of its column: ``log_noise_effect``."""
        return self._table(efficiency.noise_effects, "all", level, None)

    def policy_effect(
        self, by: str = "all", level: float = 0.95, weights: str | None = None, determinant: str = policy.TREATED
    ) -> Estimates:
        """Effect of the treatment on the efficiency of treated rows, in one step: ``att_log_efficiency`` and ``att_efficiency``.

        Needs ``determinants=["treated"]`` (or another 0/1 determinant, named here). Assumes that the treatment shifts inefficiency only;
        see :func:`bayes.frontier.policy.policy_effect` for this and for selection.
        """
        return self._table(policy.policy_effect, by, level, weights, determinant=determinant)

    def as_outcome(self, outcome: str = "log_efficiency") -> tuple[Panel, np.ndarray]:
        """Efficiency or productivity as the outcome of a difference-in-differences: a cut posterior, second to :meth:`policy_effect`.

        For ``StaggeredDiD(outcome).fit_draws(*fit.as_outcome(outcome))``. The draws know nothing of the treatment unless it is among the
        determinants, so that effects are pulled towards zero.

        Parameters
        ----------
        outcome : "log_efficiency" or "log_tfp"
            −u given the residuals, or ln TFPC summed over a unit's rows from its first.

        Returns
        -------
        panel, draws
            The panel fitted with the posterior mean as a column called ``outcome``, and draws (draws, rows of the panel).

        Raises
        ------
        SpecificationError
            On another word, or a panel that has a column of that name.

        Warns
        -----
        ProductivityWarning
            Where the panel form shapes efficiency change (``log_tfp``).
        """
        if outcome in self.panel.frame:
            raise SpecificationError(f"The panel has a column {outcome!r} already: rename it.")
        values = policy.outcome_draws(self.parameters(), self.model, self.data, outcome, self.meta["seed"])
        return self.panel.assign(**{outcome: values.mean(axis=0)}), values

    def productivity(self, by: str = "region", cumulative: bool = False, level: float = 0.95, weights: str | None = None) -> Estimates:
        """Technical, efficiency, scale and total factor productivity change as indices (1 = no change): TFPC = TC × EC × SEC in each draw.

        See :func:`bayes.frontier.productivity.productivity_change`. ``cumulative`` chains over periods.
        """
        return self._table(productivity.productivity_change, by, level, weights, u_draws=self.inefficiency(), cumulative=cumulative)

    def technology_gap(self, by: str = "region", level: float = 0.95, weights: str | None = None) -> Estimates:
        """Technology-gap ratio to the envelope of the regions' frontiers, and efficiency against that envelope."""
        return self._table(gap.technology_gap, by, level, weights, seed=self.meta["seed"])

    def inefficiency(self, component: str = "overall") -> np.ndarray:
        """Exact draws of u given the residuals, shape (draws, rows of ``panel.frame``)."""
        return inefficiency_draws(self.parameters(), self.model, self.data, self.meta["seed"], component)

    def prior_efficiency(self) -> np.ndarray:
        """Draws of exp(−u) before the data, at the mean of determinants: what the prior median efficiency implies. One axis."""
        return draws.prior_efficiency_draws(self.tree["prior"].to_dataset(), self.model, self.meta["seed"])

    def priors(self) -> pd.DataFrame:
        """Priors in use, in units of the data: parameter, distribution, meaning, set_by."""
        from bayes.frontier.prior_rows import priors_in_use

        return priors_in_use(self.model, self.data)

    @property
    def source(self) -> str:
        """What tables call this fit."""
        words = {"none": "no", "complete": "complete"}.get(self.model.pooling, "partial")
        return f"Bayes, {words} pooling" + ("" if self.diagnose().passed else " (FAILED sampling checks)")

    def _table(self, function: Any, by: str, level: float, weights: str | None, **options: Any) -> Any:
        """Call a function of draws; hand the verdict on with what it returns."""
        column = self.panel.weights if weights is None else weights
        rows = None if column is None else self.panel.column(column)
        if weights is not None and (rows <= 0).any():
            raise SpecificationError(f"Column {weights!r} cannot weight rows: it has values that are not positive.")
        out = function(self.parameters(), self.model, self.data, by=by, level=level, weights=rows, source=self.source, **options)
        meta = {"outcome": self.model.output, "verdict": self.diagnose().verdict, "passed": self.diagnose().passed, "frontier": self.model}
        return replace(out, meta=meta) if isinstance(out, Estimates) else out

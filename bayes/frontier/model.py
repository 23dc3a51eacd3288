"""StochasticFrontier: what to fit. A frozen specification that builds PyMC models and fits them; it holds no data and no results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.frontier.checks import check_panel
from bayes.frontier.data import FrontierData, frontier_data
from bayes.frontier.policy import with_treatment
from bayes.frontier.support import INEFFICIENCIES, MODELS, require_supported
from bayes.frontier.surrogate import FrontierOptions, chosen_method, draw
from bayes.frontier.technology import TIME
from bayes.panel import Panel
from bayes.priors import FRONTIER_PRIORS, Prior, resolve
from bayes.specification import from_plain, to_plain
from bayes.validation import one_of

if TYPE_CHECKING:
    from bayes.frontier.fit import FrontierFit

_CHOICES = {
    "technology": ("cobb-douglas", "translog"),
    "inefficiency": INEFFICIENCIES,
    "model": MODELS,
    "kind": ("production", "cost"),
    "technical_change": ("none", "neutral", "biased"),
    "determinants_in": ("scaling", "scale", "mean"),
    "noise": ("normal", "student-t"),
    "efficiency_prior": ("median", "classic"),
    "monotonicity": ("free", "soft"),
}
_COLUMN_LISTS = ("inputs", "covariates", "determinants", "noise_determinants", "products")
_TARGET_ACCEPT = {"time-invariant": 0.95, "bc92": 0.95, "kumbhakar-1990": 0.95, "four-component": 0.98}
POOLED_PARTS = ("technology", "efficiency", "noise")


@dataclass(frozen=True)
class StochasticFrontier:
    """Stochastic frontier with technology, efficiency and noise partially pooled over regions.

    y_it = x_it'β_r + v_it − s·u_it with s = +1 (production) or −1 (cost), v ~ N(0, σ_v,r²) and inefficiency u ≥ 0, integrated out in
    closed form (docs/frontier.md). β_r, ln σ_u,r and ln σ_v,r are drawn around common means. Assumes that u is independent of the inputs
    and of v, and that inputs are not chosen after u is seen. Columns are used as they are: take logs with ``panel.log``. Inputs, covariates
    and time are centred at their means, so that first-order coefficients are elasticities at the mean. Unbalanced panels are used as
    they are.

    Parameters
    ----------
    output : str
        Column of log output; of log cost when ``kind="cost"``.
    inputs : sequence of str
        Columns of log inputs; of log products and log prices when ``kind="cost"``.
    technology : "translog" or "cobb-douglas"
    inefficiency : "half-normal", "exponential", "truncated-normal", "rayleigh" or "gamma"
    model : str
        ``pooled``: an independent u in every row. ``time-invariant``, ``bc92``, ``kumbhakar-1990``: u_it = h(t)·u_i.
        ``true-random-effects``: a unit effect beside u_it. ``four-component``: a unit effect, persistent and transient inefficiency.
    pooling : "none", "complete" or a sequence of str
        What varies by region and is partially pooled: any of ``technology``, ``efficiency``, ``noise``; the rest is common to all regions.
        ``"none"``: every region on its own; ``"complete"``: nothing varies.
    kind : "production" or "cost"
    technical_change : "none", "neutral" or "biased"
        Cobb–Douglas: linear in time; translog: quadratic. Biased: inputs × time too.
    determinants : sequence of str
        Columns that shift inefficiency. ``treated`` stands for the panel's treatment timing, where it has no such column: the effect of
        the treatment on efficiency in one step, read with ``fit.policy_effect()``.
    determinants_in : "scaling", "scale" or "mean"
        ``scaling``: u = exp(z'δ)·u⁰. ``scale``: ln σ_u. ``mean``: the mean before truncation (Battese & Coelli 1995).
    median_efficiency : float
        Prior median of efficiency exp(−u), between 0 and 1.
    noise_determinants : sequence of str
        Columns in ln σ_v.
    covariates : sequence of str
        Columns that shift the frontier linearly and are not inputs.
    noise : "normal" or "student-t"
    efficiency_prior : "median" or "classic"
        ``median``: a log-normal scale with the prior median efficiency asked for. ``classic``: van den Broeck et al. (1994).
    monotonicity : "free" or "soft"
        ``soft``: elasticities of inputs at the units' means are held positive by a smooth penalty.
    products : sequence of str
        With ``kind="cost"``: which of the inputs are quantities produced (the others are prices); needed by ``productivity()``.
    priors : mapping of str to Prior or number
        Replaces defaults of :data:`bayes.priors.FRONTIER_PRIORS`.

    Raises
    ------
    SpecificationError, UnsupportedModelError
        On words that do not exist and pairs that are not supported, at construction.

    References
    ----------
    Aigner, Lovell & Schmidt (1977), Journal of Econometrics 6(1); van den Broeck, Koop, Osiewalski & Steel (1994), Journal of Econometrics
    61(2); Greene (2005), Journal of Econometrics 126(2).
    """

    output: str
    inputs: tuple[str, ...]
    technology: str = "translog"
    inefficiency: str = "half-normal"
    model: str = "true-random-effects"
    pooling: tuple[str, ...] | str = ("technology", "efficiency")
    kind: str = "production"
    technical_change: str = "neutral"
    determinants: tuple[str, ...] = ()
    determinants_in: str = "scaling"
    median_efficiency: float = 0.85
    noise_determinants: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    noise: str = "normal"
    efficiency_prior: str = "median"
    monotonicity: str = "free"
    products: tuple[str, ...] = ()
    priors: Mapping[str, Prior | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.output, str):
            raise SpecificationError(f"output must be the name of a column, got {self.output!r}.")
        for name in _COLUMN_LISTS:
            object.__setattr__(self, name, _columns(name, getattr(self, name)))
        if not self.inputs:
            raise SpecificationError("inputs is empty: a frontier needs at least one input.")
        for name, allowed in _CHOICES.items():
            one_of(name, getattr(self, name), allowed)
        self._check_columns()
        object.__setattr__(self, "pooling", _pooling(self.pooling))
        if not isinstance(self.median_efficiency, float | int) or not 0 < self.median_efficiency < 1:
            raise SpecificationError(f"median_efficiency must lie between 0 and 1, got {self.median_efficiency!r}.")
        if not isinstance(self.priors, Mapping):
            raise SpecificationError(f"priors must be a mapping such as {{'noise_spread': 0.2}}, got {self.priors!r}.")
        object.__setattr__(self, "priors", dict(self.priors))
        require_supported(self)
        if self.efficiency_prior == "classic" and self.inefficiency not in ("half-normal", "exponential"):
            raise SpecificationError(
                f"efficiency_prior='classic' is defined for half-normal and exponential inefficiency, not {self.inefficiency!r}."
            )
        self.resolved_priors()

    def _check_columns(self) -> None:
        used = [*self.inputs, *self.covariates]
        if self.output in used or len(set(used)) < len(used):
            raise SpecificationError(f"A column appears twice among output {self.output!r}, inputs and covariates {used}.")
        if TIME in used:
            raise SpecificationError(f"A column called {TIME!r} would be mistaken for the time trend: rename it.")
        missing = set(self.products) - set(self.inputs)
        if missing or (self.products and self.kind == "production"):
            raise SpecificationError(f"products={list(self.products)} must be inputs of a cost frontier.")

    @property
    def sign(self) -> int:
        """+1 when inefficiency lowers the dependent variable (production), −1 when it raises it (cost)."""
        return 1 if self.kind == "production" else -1

    @property
    def target_accept(self) -> float:
        """Default target acceptance of NUTS for this panel form."""
        return _TARGET_ACCEPT.get(self.model, 0.85)

    @property
    def pooled_parts(self) -> tuple[str, ...]:
        """What varies by region: parts of the model, all of them with ``pooling="none"``."""
        return {"none": POOLED_PARTS, "complete": ()}.get(self.pooling, self.pooling)

    def data(self, panel: Panel) -> FrontierData:
        """The panel as arrays for this specification, checked. See :func:`bayes.frontier.checks.check_panel` for errors and warnings."""
        panel = with_treatment(self, panel)
        check_panel(self, panel)
        return frontier_data(self, panel)

    def resolved_priors(self) -> dict[str, Prior]:
        return resolve(FRONTIER_PRIORS, self.priors)

    def build(self, panel: Panel, form: str = "marginal"):
        """A :class:`pymc.Model` of this specification on a panel.

        ``form="marginal"`` is what is sampled: inefficiency integrated out, coefficients in coordinates that ordinary least squares makes
        nearly independent. ``form="latent"`` is the textbook model with every inefficiency a parameter, for graphs, extension, prior
        prediction and comparison. Raises :class:`SpecificationError` on another form.
        """
        from bayes.frontier.latent import latent_model
        from bayes.frontier.marginal import marginal_model

        if form == "marginal":
            return marginal_model(self, self.data(panel))
        if form == "latent":
            return latent_model(self, self.data(panel))
        raise SpecificationError(f"form={form!r} does not exist. Choose 'marginal' or 'latent'.")

    @checked
    def fit(
        self, panel: Panel, seed: int = 0, *, method: str = "auto", sampler: str = "blackjax", draws: int = 1000, tune: int = 500,
        chains: int = 4, target_accept: float | None = None, cores: int | None = None, progress: bool | None = None,
        cache: str | Path | None = None,
    ) -> FrontierFit:  # fmt: skip
        """Sample the posterior. Arguments as in :meth:`bayes.StaggeredDiD.fit`.

        ``sampler`` is BlackJAX by default: it compiles the whole loop, and at the few dozen parameters of a frontier the call of one
        gradient from outside costs more than the gradient. ``target_accept`` defaults to 0.85; 0.95 where a unit has one
        inefficiency for all its rows, 0.98 for four components, whose skew-normal unit effects have a sharp edge.

        Parameters
        ----------
        method : "auto", "nuts" or "surrogate"
            ``surrogate``: the log likelihood expanded to second order at its maximum, under the exact hierarchical prior, and importance
            weights with the exact likelihood; where their k-hat fails its gate, NUTS on all rows, with a warning. It exists for
            ``model="pooled"`` with half-normal or exponential inefficiency. ``auto``: the surrogate from 30,000 rows on where it exists.

        Raises
        ------
        SpecificationError, UnsupportedModelError
            On another method, and ``method="surrogate"`` for a form that has none.

        Warns
        -----
        SurrogateWarning
            A surrogate was refused.

        Returns
        -------
        FrontierFit
            Also when the diagnostics gate fails; the verdict then heads every comparison and report.
        """
        accept = self.target_accept if target_accept is None else target_accept
        by = chosen_method(self, panel.n_rows, method)
        options = FrontierOptions(sampler, draws, tune, chains, accept, seed, cores, progress, by)
        panel = with_treatment(self, panel)
        check_panel(self, panel)
        used = self.needed(panel)
        from bayes.inference.files import cached

        return cached(self, used, options, cache, lambda: self._sample(used, options))

    def _sample(self, panel: Panel, options: FrontierOptions) -> FrontierFit:
        from bayes.frontier.draws import posterior_dataset, prior_dataset
        from bayes.frontier.fit import FrontierFit
        from bayes.inference.files import fitted_tree

        data = frontier_data(self, panel)
        samples, record = draw(self, data, options)
        posterior, prior = posterior_dataset(samples.draws, self, data), prior_dataset(self, data, options.seed)
        return FrontierFit(self, panel, fitted_tree(panel, options, samples, posterior, prior, **record))

    def needed(self, panel: Panel) -> Panel:
        """The panel with index and model columns only, in a fixed order; rows untouched."""
        roles = [panel.unit, panel.time, panel.region, panel.first_treated, panel.weights]
        mine = [self.output, *self.inputs, *self.covariates, *self.determinants, *self.noise_determinants]
        columns = list(dict.fromkeys([c for c in roles if c is not None] + mine))
        return replace(panel, frame=panel.frame[columns])

    def to_dict(self) -> dict[str, Any]:
        """The specification as JSON-ready data."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StochasticFrontier:
        return from_plain(cls, data)


def _columns(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise SpecificationError(f"{name} must be a list of columns, for example {name}=[{value!r}].")
    if not isinstance(value, Sequence) or not all(isinstance(v, str) for v in value):
        raise SpecificationError(f"{name} must be a list of columns, got {value!r}.")
    return tuple(value)


def _pooling(value: Any) -> tuple[str, ...] | str:
    if isinstance(value, str):
        if value in ("none", "complete"):
            return value
        raise SpecificationError(f"pooling={value!r} does not exist. Choose 'none', 'complete' or a list of {', '.join(POOLED_PARTS)}.")
    parts = _columns("pooling", value)
    unknown = set(parts) - set(POOLED_PARTS)
    if unknown:
        raise SpecificationError(f"pooling names {sorted(unknown)}; parts of a frontier are: {', '.join(POOLED_PARTS)}.")
    return tuple(p for p in POOLED_PARTS if p in parts)

"""How much the priors matter: power-scaling by importance weights on the draws at hand, and refits under tighter and wider priors.

Power-scaling (Kallioinen, Paananen, Bürkner & Vehtari 2024, Statistics and Computing 34) raises the prior, or the likelihood, to a power α
near one; draws get the weights prior^(α − 1) or likelihood^(α − 1), and the distance between the weighted and the unweighted distribution
of a quantity says how sensitive it is. Here the draws are joint ones of scales, level, drift and cells, so the weights are exact: the prior
is that of the scales, level and drift (what the hierarchy builds from them is part of the model), and the likelihood that of each unit's
rows given periods, covariates and cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes.did import intensity
from bayes.did.criticism import unit_log_likelihood
from bayes.did.draws import hyperparameters
from bayes.did.likelihood import cell_padding, component_names
from bayes.did.mode import draws_at_mode
from bayes.did.posterior import Hyperparameters, chunks
from bayes.did.quick_mode import mode_of
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.inference.sampling import single_threaded_algebra

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit
    from bayes.did.state import CollapsedPanel

THRESHOLD = 0.05
"""Sensitivity from which a prior counts as informative, and below which the likelihood counts as weak (Kallioinen et al. 2024)."""
ALPHAS = (0.99, 1.01)
WHAT = "Prior sensitivity"
_MOST_WORK = 2e10
"""Draws × cells³ beyond which draws are thinned."""
_FIXED = ("level", "drift")
_DRAWS_AT_MODE = 1000


@dataclass(frozen=True, eq=False, repr=False)
class PriorSensitivity:
    """What would change under other priors. See :meth:`bayes.did.fit.DiDFit.prior_sensitivity`.

    Attributes
    ----------
    scaling : pandas.DataFrame
        One row a quantity (``effect``: an average effect, not a parameter): ``prior`` and ``likelihood`` sensitivity (distance per doubling
        of the power), ``strongest`` (the single prior it depends on most) with its own sensitivity ``strongest_prior``, ``diagnosis``.
    by_prior : pandas.DataFrame
        Sensitivity of each quantity (rows) to each prior by itself (columns).
    refits : Estimates
        Effects under other priors, ``source`` naming them: the full posterior, the priors as given, and their scales times each factor;
        all but the first with the scales of the model at their posterior mode.
    meta : dict
        seed, factors, alphas.
    """

    scaling: pd.DataFrame
    by_prior: pd.DataFrame
    refits: Estimates
    meta: dict[str, Any] = field(default_factory=dict)

    def verdict(self) -> list[str]:
        """Sentences: what the priors move by power-scaling, effects and scales apart, and the range of the overall effect over refits."""
        effects, scales = (self.scaling[self.scaling["effect"] == is_effect] for is_effect in (True, False))
        out = []
        if len(effects):
            flagged = [
                f"{row.quantity} ({row.diagnosis}, most by the prior of {row.strongest})" for row in effects.itertuples() if row.diagnosis
            ]
            none = f"no effect has a prior sensitivity of {THRESHOLD:g} or more (largest {effects['prior'].max():.3f})"
            out.append(f"Power-scaling of the priors: {'; '.join(flagged) or none}.")
        if informed := scales[scales["diagnosis"] != ""]["quantity"].tolist():
            out.append(f"Scales that their priors inform, as is usual where few groups tell them: {', '.join(informed)}.")
        overall = self.refits.where(term="simple").frame
        given, others = overall.iloc[1], overall.iloc[2:]
        if pd.notna(given["estimate"]):
            moved = (others["estimate"] - given["estimate"]).abs().max() / given["se"]
            factors = " and by ".join(f"{f:g}" for f in self.meta["factors"])
            out.append(
                f"With prior scales multiplied by {factors} the overall effect moves by at most {moved:.2f} posterior standard deviations, "
                f"from {given['estimate']:.4g} to between {others['estimate'].min():.4g} and {others['estimate'].max():.4g} (scales at "
                "their mode)."
            )
        return out

    def __repr__(self) -> str:
        return "\n".join([*self.verdict(), self.scaling.to_string(index=False, float_format=lambda v: f"{v:.3f}"), repr(self.refits)])


@single_threaded_algebra()
def prior_sensitivity_of(
    fit: DiDFit, by: Sequence[str], factors: Sequence[float], estimand: str, level: float, weights: str | None, seed: int | None
) -> PriorSensitivity:
    """What :meth:`bayes.did.fit.DiDFit.prior_sensitivity` does."""
    intensity.refuse_extensions(fit.model, WHAT, allowed=("dose", "moderators"))
    by = (by,) if isinstance(by, str) else tuple(by)
    numbers = [f for f in factors if isinstance(f, int | float | np.number) and not isinstance(f, bool) and np.isfinite(f) and f > 0]
    if len(numbers) != len(factors) or not numbers:
        raise SpecificationError(f"factors must be positive numbers by which prior scales are multiplied, got {factors!r}.")
    if "simple" not in by:
        by = ("simple", *by)
    used = fit.meta["seed"] if seed is None else seed
    thin = _thinned(fit)
    shape = (thin.posterior.sizes["chain"], thin.posterior.sizes["draw"])
    priors = log_priors(thin, np.random.default_rng([used, 7]))
    likelihood = unit_log_likelihood(thin).sum(axis=1).reshape(shape)
    quantities = _quantities(thin, by, estimand, weights)
    names = fit.model.parameters(fit._collapsed)
    by_prior = pd.DataFrame({name: sensitivities(quantities, values) for name, values in priors.items()}, index=list(quantities))
    together = sensitivities(quantities, sum(priors.values()))
    data = sensitivities(quantities, likelihood)
    strongest = by_prior.to_numpy().argmax(axis=1)
    scaling = pd.DataFrame(
        {"quantity": list(quantities), "effect": [n not in names for n in quantities], "prior": together, "likelihood": data,
         "strongest": by_prior.columns.to_numpy()[strongest], "strongest_prior": by_prior.to_numpy().max(axis=1),
         "diagnosis": [diagnosis(p, d) for p, d in zip(together, data, strict=True)]}
    )  # fmt: skip
    refits = alternative_priors(fit, by, numbers, estimand, level, weights, used)
    return PriorSensitivity(scaling, by_prior, refits, {"seed": used, "factors": numbers, "alphas": ALPHAS})


def _thinned(fit: DiDFit) -> DiDFit:
    """The fit, or evenly spaced draws of it where a panel of many cells would take minutes."""
    size = fit._collapsed.design.cells.size if fit._collapsed.basis is not None else 0
    step = int(np.ceil(fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"] * size**3 / _MOST_WORK))
    if step <= 1:
        return fit
    groups = {name: fit.tree[name].to_dataset() for name in ("posterior", "sample_stats")}
    tree = xr.DataTree.from_dict({name: group.isel(draw=slice(None, None, step)) for name, group in groups.items()})
    tree.attrs = fit.tree.attrs
    return replace(fit, tree=tree)


def diagnosis(prior: float, likelihood: float) -> str:
    """After Kallioinen et al. (2024): where prior and data both matter they may conflict; where only the prior does, the data are weak."""
    if prior < THRESHOLD:
        return ""
    return "informative prior, perhaps in conflict with the data" if likelihood >= THRESHOLD else "strong prior or weak data"


def sensitivities(quantities: Mapping[str, np.ndarray], log_density: np.ndarray) -> list[float]:
    """Cumulative Jensen–Shannon distance per doubling of the power of ``log_density`` (chains, draws), for each quantity.

    Pareto-smoothed importance weights and the distance are ArviZ's.
    """
    from arviz_stats.base import array_stats

    if np.ptp(log_density) == 0:  # a flat prior has no weights to move
        return [0.0] * len(quantities)
    lower, upper = (power_weights(log_density, alpha) for alpha in ALPHAS)
    return [float(array_stats.power_scale_sense(values, lower, upper, *ALPHAS)) for values in quantities.values()]


def power_weights(log_density: np.ndarray, alpha: float) -> np.ndarray:
    """Normalised importance weights density^(α − 1), the largest smoothed (PSIS), shape (chains, draws)."""
    from arviz_stats.base import array_stats

    found = np.exp(array_stats.power_scale_lw(log_density, alpha=alpha, axis=(-2, -1)))
    return found / found.sum()


def _quantities(fit: DiDFit, by: Sequence[str], estimand: str, weights: str | None) -> dict[str, np.ndarray]:
    """Draws (chains, draws) of the identified effects and of the sampled parameters."""
    shape = (fit.posterior.sizes["chain"], fit.posterior.sizes["draw"])
    out: dict[str, np.ndarray] = {}
    for term in by:
        found = fit.att(term, estimand, weights=weights)
        for row, draws in zip(found.frame.to_dict("records"), found.draws, strict=True):
            if np.isfinite(draws).all() and not row["note"].startswith("lead"):
                out[_name(row)] = draws.reshape(shape)
    return out | {n: fit.posterior[n].to_numpy() for n in fit.model.parameters(fit._collapsed)}


def _name(row: Mapping[str, Any]) -> str:
    places = [
        f"{word} {row[c]:g}" for c, word in (("cohort", "cohort"), ("period", "in"), ("event_time", "event time")) if pd.notna(row[c])
    ]
    return " ".join([row["estimand"], *filter(None, [row["region"]]), *places]) if row["term"] != "simple" else f"{row['estimand']} overall"


# ── priors of the draws ─────────────────────────────────────────────────────────────────────────────────────────────


def log_priors(fit: DiDFit, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Log prior density of each sampled parameter, and of exact draws of level and drift, (chains, draws), up to constants."""
    collapsed, priors = fit._collapsed, fit.model.resolved_priors()
    scale = float(collapsed.scales[-1])
    values = {n: fit.posterior[n].to_numpy() for n in fit.model.parameters(collapsed)}
    out = {n: priors[n].scaled(scale).log_density(v) for n, v in values.items()}
    if collapsed.basis is not None:
        hyper = hyperparameters(values, collapsed, priors)
        cells = fit.posterior["cell_effect"].to_numpy().reshape(len(hyper), -1) / scale
        standard = draw_level_and_drift(collapsed, hyper, cells, rng)
        shape = next(iter(values.values())).shape
        out |= {name: -0.5 * z.reshape(shape) ** 2 for name, z in standard.items()}
    return out


def draw_level_and_drift(
    collapsed: CollapsedPanel, hyper: Hyperparameters, cells: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Exact draws of the standardised level and drift given the cells (draws, cells) and the scales, scaled outcome.

    With U their columns times their prior sd and V the covariance of the cells, z | τ ~ N(U'V⁻¹τ, I − U'V⁻¹U).
    """
    basis = collapsed.basis
    names = component_names(basis)
    stack = np.stack([basis.matrix[:, basis.component == c] @ basis.matrix[:, basis.component == c].T for c in names])
    fixed = [c for c in names if c in _FIXED]
    columns = np.column_stack([basis.matrix[:, basis.component == c][:, 0] * hyper.component_sds[0, names.index(c)] for c in fixed])
    size = len(basis.matrix)
    out = np.empty((len(hyper), len(fixed)))
    noise = rng.standard_normal(out.shape)
    for part in chunks(len(hyper), 8 * 3 * size * size):
        sds = hyper.component_sds[part]
        covariance = ((sds**2) @ stack.reshape(len(names), -1)).reshape(-1, size, size)
        right = np.concatenate([np.broadcast_to(columns, (len(sds), *columns.shape)), cells[part][..., None]], axis=2)
        if "cell" in names:
            padding = cell_padding(np.trace(covariance, axis1=1, axis2=2), sds[:, names.index("cell")] ** 2, size)
            solved = np.linalg.solve(covariance + padding[:, None, None] * np.eye(size), right)
        else:  # fewer components than cells: the cells lie in the range of the covariance
            solved = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ right
        mapped = columns.T @ solved
        left = np.eye(len(fixed)) - mapped[..., :-1]
        values, vectors = np.linalg.eigh((left + left.transpose(0, 2, 1)) / 2)
        root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        out[part] = mapped[..., -1] + np.einsum("dij,dj->di", root, noise[part])
    return {name: out[:, k] for k, name in enumerate(fixed)}


# ── other priors ────────────────────────────────────────────────────────────────────────────────────────────────────


def alternative_priors(
    fit: DiDFit, by: Sequence[str], factors: Sequence[float], estimand: str, level: float, weights: str | None, seed: int
) -> Estimates:
    """Effects with all prior scales (level and drift included) multiplied by each factor: mode of the scales, exact draws given them."""
    chosen = weights or ("panel" if fit.panel.weights is not None else "rows")
    full = [fit.att(term, estimand, level, chosen) for term in by]
    found = [replace(t, frame=t.frame.assign(source="full posterior, priors as given"), draws=None) for t in full]
    priors = fit.model.resolved_priors()
    collapsed = replace(fit.model, leads=False).collapse(fit.panel)
    for factor in (1.0, *factors):
        spec = replace(fit.model, leads=False, priors={n: p.times(factor) for n, p in priors.items()})
        mode = mode_of(spec, collapsed)
        drawn = draws_at_mode(spec, collapsed, mode, _DRAWS_AT_MODE, seed)
        words = "mode, priors as given" if factor == 1 else f"mode, prior scales × {factor:g}"
        note = "scales at their mode" if mode.converged else "scales at their mode, which was NOT found"
        for term in by:
            table = intensity.estimates_of(drawn, spec, fit.panel, collapsed, term, estimand, chosen, level, False, words)
            notes = [f"{n}; {note}" for n in table.frame.note]
            found.append(Estimates(table.frame.assign(interval="equal-tailed posterior, scales at their mode", note=notes)))
    together = pd.concat([t.frame[~t.frame.note.str.startswith("lead")] for t in found], ignore_index=True)
    meta = {"outcome": fit.model.outcome, "verdict": fit.diagnose().verdict, "passed": fit.diagnose().passed, "seed": seed}
    return Estimates(together, None, "Effects under other priors", meta)

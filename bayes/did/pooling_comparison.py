"""Which pooling predicts units best: leave-one-unit-out comparison of models that differ in their pooling only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes.arguments import checked
from bayes.did.cells import COMPONENTS
from bayes.did.criticism import psis_loo, unit_log_likelihood
from bayes.did.fit import DiDFit
from bayes.did.intensity import estimates_of, refuse_extensions
from bayes.did.mode import draws_at_mode
from bayes.did.quick_mode import mode_of
from bayes.errors import SpecificationError
from bayes.panel import Panel
from bayes.progress import counted
from bayes.validation import one_of, whole_number

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD

POOLINGS: tuple[Any, ...] = ("none", "complete", ("event", "region"), COMPONENTS)
_METHODS = ("mode", "nuts")


@dataclass(frozen=True, eq=False, repr=False)
class PoolingComparison:
    """Expected predictive accuracy of one model under several poolings. See :func:`bayes.compare_pooling`.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a pooling, the most accurate first: ``elpd`` (expected log predictive density of a unit left out, summed over units) with
        ``se``, ``elpd_difference`` from the first (0 or negative) with ``difference_se``, ``parameters`` (effective number), ``weight``
        (stacking), ``influential`` (units with a Pareto shape above the limit: there the number is not reliable), ``converged``, and the
        overall effect with its interval.
    loo : dict
        ArviZ ``ELPDData`` by pooling, pointwise.
    meta : dict
        method, seed, draws, outcome.
    """

    table: pd.DataFrame
    loo: dict[str, Any]
    meta: dict[str, Any] = field(default_factory=dict)

    def verdict(self) -> str:
        """Which pooling is ahead and whether by more than twice the standard error, and where the numbers are not reliable."""
        first, others = self.table.iloc[0], self.table.iloc[1:]
        behind = others[others["elpd_difference"] < -2 * others["difference_se"]]["pooling"].tolist()
        close = others[~others["pooling"].isin(behind)]["pooling"].tolist()
        words = [f"Leaving one unit out at a time, pooling {first['pooling']!r} predicts best"]
        words += [f"clearly (by more than two standard errors) better than {_listed(behind)}"] if behind else []
        words += [f"not clearly better than {_listed(close)}"] if close else []
        shaky = self.table[self.table["influential"] > 0]
        out = f"{', '.join(words)}."
        if len(shaky):
            counts = ", ".join(f"{n} under {pooling!r}" for pooling, n in zip(shaky["pooling"], shaky["influential"], strict=True))
            out += f" Some units move the posterior so much that leaving them out is only roughly approximated ({counts})."
        return out

    def __repr__(self) -> str:
        return f"{self.verdict()}\n{self.table.to_string(index=False, float_format=lambda v: f'{v:.4g}')}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(repr(name) for name in names)


@checked
def compare_pooling(
    panel: Panel, model: StaggeredDiD, poolings: Sequence[Any] = POOLINGS, *, method: str = "mode", seed: int = 0, draws: int = 1000,
    tune: int = 300, chains: int = 4, progress: bool | None = None,
) -> PoolingComparison:  # fmt: skip
    """Leave-one-unit-out predictive accuracy of a model under several poolings of its effects.

    Each unit's rows are predicted given period effects, covariates and cells, with its own level flat and its deviations integrated
    (:meth:`bayes.did.fit.DiDFit.loo`); all poolings share these flat unit columns, without which densities do not compare. The numbers
    are about predicting units, not about the bias of the effect. Under ``pooling="none"`` a cell with one treated unit has no other to be
    predicted from; such units show up as ``influential``.

    Parameters
    ----------
    panel : Panel
    model : StaggeredDiD
        Everything but the pooling.
    poolings : sequence
        Values of ``StaggeredDiD(pooling=)``; the model's own is added where it is missing.
    method : "mode" or "nuts"
        ``mode`` (a second each): scales at their posterior mode, exact draws of the rest given them; their own uncertainty is left out,
        which favours no pooling in particular. ``nuts``: full fits.
    seed : int
    draws, tune, chains : int
        Draws (per chain for ``nuts``), and warm-up and chains for ``nuts``.
    progress : bool, optional
        Count the poolings aloud; by default on a terminal only.

    Returns
    -------
    PoolingComparison

    Raises
    ------
    SpecificationError
        Unknown words, fewer than two poolings, Student-t errors (:class:`UnsupportedModelError`); and the errors of the model.

    References
    ----------
    Vehtari, Gelman & Gabry (2017), Statistics and Computing 27; Yao, Vehtari, Simpson & Gelman (2018), Bayesian Analysis 13(3).
    """
    import arviz_stats as az

    one_of("method", method, _METHODS)
    refuse_extensions(model, "A comparison of poolings", allowed=("dose", "moderators"))
    whole_number("draws", draws)
    specs = _specs(model, poolings)
    found, rows = {}, []
    for name, fit, converged in _fits(specs, panel, method, seed, draws, tune, chains, progress):
        shape = (fit.posterior.sizes["chain"], fit.posterior.sizes["draw"], -1)
        posterior = fit.posterior[["innovation_sd"]] if method == "nuts" else None
        found[name] = psis_loo(unit_log_likelihood(fit).reshape(shape), posterior)
        rows.append({"pooling": name, "converged": converged, **_overall(fit, method)})
    compared = az.compare(found, round_to="none")
    names = {"elpd": "elpd", "se": "se", "elpd_diff": "elpd_difference", "dse": "difference_se", "p": "parameters", "weight": "weight"}
    table = compared[list(names)].rename(columns=names).rename_axis("pooling").reset_index()
    table["influential"] = [int((np.asarray(found[n].pareto_k) > found[n].good_k).sum()) for n in table["pooling"]]
    meta = {"method": method, "seed": seed, "draws": draws, "outcome": model.outcome}
    return PoolingComparison(table.merge(pd.DataFrame(rows), on="pooling", how="left"), found, meta)


def _specs(model: StaggeredDiD, poolings: Sequence[Any]) -> dict[str, StaggeredDiD]:
    if isinstance(poolings, str) or not isinstance(poolings, Sequence):
        raise SpecificationError(f"poolings must be a list of values of pooling=, got {poolings!r}.")
    specs = {pooling_name(s.pooling): s for s in (replace(model, pooling=p, leads=False) for p in [*poolings, model.pooling])}
    if len(specs) < 2:
        raise SpecificationError(f"A comparison needs two poolings or more, got {', '.join(specs)}.")
    return specs


def pooling_name(pooling: Any) -> str:
    """``event + region``, or the word itself."""
    return pooling if isinstance(pooling, str) else " + ".join(c for c in COMPONENTS if c in pooling) or "complete"


def _fits(
    specs: dict[str, StaggeredDiD], panel: Panel, method: str, seed: int, draws: int, tune: int, chains: int, progress: bool | None
) -> Iterator[tuple[str, DiDFit, bool]]:
    for name, spec in counted(specs.items(), len(specs), "Poolings", progress):
        if method == "nuts":
            fit = spec.fit(panel, seed=seed, draws=draws, tune=tune, chains=chains, progress=False)
            yield name, fit, fit.diagnose().passed
        else:
            used = spec.needed(panel)
            collapsed = spec.collapse(used)
            mode = mode_of(spec, collapsed)
            tree = xr.DataTree.from_dict({"posterior": draws_at_mode(spec, collapsed, mode, draws, seed)})
            yield name, DiDFit(spec, used, tree), mode.converged


def _overall(fit: DiDFit, method: str) -> dict[str, float]:
    weights = "panel" if fit.panel.weights is not None else "rows"
    table = estimates_of(fit.posterior, fit.model, fit.panel, fit._collapsed, "simple", "att", weights, 0.95, False, method)
    return table.frame.loc[0, ["estimate", "lower", "upper"]].to_dict()

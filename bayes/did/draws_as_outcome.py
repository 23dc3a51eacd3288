"""Difference-in-differences on an outcome that is itself a set of posterior draws: a cut posterior.

Every draw of the outcome is fitted as if it were data, and the effects of all are pooled. What made the outcome's draws is not updated by
this model (the feedback is cut: Plummer 2015, Statistics and Computing 25(1)), so that its uncertainty is carried and its assumptions kept:
an outcome drawn from a model that leaves the treatment out is shrunk towards no effect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayes.arguments import checked_methods
from bayes.did import effects
from bayes.did.mode import draws_at_mode, posterior_modes
from bayes.did.state import CollapsedPanel
from bayes.errors import ConvergenceWarning, MissingValueError, SpecificationError, warn_user
from bayes.estimates import Estimates
from bayes.inference.sampling import single_threaded_algebra
from bayes.panel import Panel
from bayes.validation import whole_number

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD

NOTE = (
    "cut posterior: carries the uncertainty of the outcome's draws; attenuated where they come from a model without the treatment; scales "
    "at their mode"
)
"""Stands in every row: what such an estimate is and is not."""


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class CutPosterior:
    """Effects on an outcome given as draws. See :meth:`bayes.StaggeredDiD.fit_draws`.

    Attributes
    ----------
    model, panel
        The specification, and the panel with the mean outcome.
    dataset : xarray.Dataset
        ``cell_effect``, ``group_effect``, ``lead_effect`` and scales as in a :class:`bayes.did.fit.DiDFit`, dims chain (1) and draw:
        conditional draws of the first outcome used, of the second, and so on.
    modes : pandas.DataFrame
        One row an outcome draw: scales at the mode, in units of the outcome, and ``converged``.
    """

    model: StaggeredDiD
    panel: Panel
    dataset: xr.Dataset
    modes: pd.DataFrame

    def att(self, by: str = "simple", estimand: str = "att", level: float = 0.95, weights: str | None = None) -> Estimates:
        """Average effects of treatment on the treated, pooled over the outcome's draws. Words as in :meth:`bayes.did.fit.DiDFit.att`.

        ``source`` says "cut posterior", and every ``note`` what that means.
        """
        chosen = weights or ("panel" if self.panel.weights is not None else "rows")
        regions = tuple(self.panel.regions.tolist())
        pooling = {0: "no", 1: "complete"}.get(len(self.model.components), "partial")
        meta = {"outcome": self.model.outcome, "verdict": self.verdict, "passed": bool(self.modes.converged.all())}
        source = f"Bayes, {pooling} pooling, cut posterior"
        found = effects.estimates(self.dataset, by, estimand, chosen, level, False, regions, source, **meta)
        return replace(found, frame=found.frame.assign(note=[f"{NOTE}; {n}" for n in found.frame.note]))

    @property
    def verdict(self) -> str:
        """One sentence for the head of tables: how many of the fits found their mode."""
        found, n = int(self.modes.converged.sum()), len(self.modes)
        return f"Cut posterior over {n} draws of {self.model.outcome!r}: {found} of {n} fits found the posterior mode of their scales."

    def __repr__(self) -> str:
        return f"CutPosterior of {self.model}\n{self.panel!r}\n{self.verdict}"


@single_threaded_algebra()
def cut_posterior(
    spec: StaggeredDiD, panel: Panel, outcome_draws: np.ndarray, seed: int = 0, draws_used: int = 100, conditional_draws: int = 10
) -> CutPosterior:
    """What :meth:`bayes.StaggeredDiD.fit_draws` does."""
    used, n = (whole_number(name, v) for v, name in ((draws_used, "draws_used"), (conditional_draws, "conditional_draws")))
    outcomes = _checked(panel, outcome_draws)
    outcomes = outcomes[_spaced(len(outcomes), used)]
    base = spec.needed(panel.assign(**{spec.outcome: outcomes.mean(axis=0)}))
    seeds = np.random.SeedSequence(seed).generate_state(len(outcomes)).tolist()
    modes, parts = [], []
    for (collapsed, mode), own in zip(posterior_modes(spec, _collapsed(spec, base, outcomes)), seeds, strict=True):
        modes.append({**mode.values, "converged": mode.converged})
        parts.append(draws_at_mode(spec, collapsed, mode, n, own))
    together = xr.concat(parts, "draw", data_vars="all", coords="minimal", compat="override", join="override")
    out = CutPosterior(spec, base, together.assign_coords(draw=np.arange(together.sizes["draw"])), pd.DataFrame(modes))
    if not out.modes.converged.all():
        warn_user(f"{out.verdict} See .modes: a scale may run to its bounds; pool less, or tighten its prior.", ConvergenceWarning)
    return out


def _collapsed(spec: StaggeredDiD, panel: Panel, outcomes: np.ndarray) -> Iterator[CollapsedPanel]:
    return (spec.collapse(panel.assign(**{spec.outcome: y})) for y in outcomes)


def _spaced(total: int, wanted: int) -> np.ndarray:
    """Positions of at most ``wanted`` of ``total`` draws, evenly spread."""
    return np.unique(np.linspace(0, total - 1, min(wanted, total)).round().astype(int))


def _checked(panel: Panel, outcome_draws: np.ndarray) -> np.ndarray:
    values = np.asarray(outcome_draws, dtype=float)
    if values.ndim != 2 or values.shape[1] != panel.n_rows or not len(values):
        raise SpecificationError(
            f"outcome_draws has shape {values.shape}: (draws, {panel.n_rows}) is needed, one column for each row of panel.frame."
        )
    bad = np.flatnonzero(~np.isfinite(values).all(axis=0))
    if bad.size:
        row = panel.frame.iloc[bad[0]]
        raise MissingValueError(
            f"Draws of the outcome are missing or infinite in {bad.size} rows (first: {panel.unit} {row[panel.unit]!r}, {panel.time} "
            f"{row[panel.time]}). Give finite draws, or leave these rows out of panel and draws."
        )
    return values

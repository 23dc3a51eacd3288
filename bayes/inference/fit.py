"""Fit: what every model returns. A tree of draws, the model and the data behind it, and nothing hidden."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import xarray as xr

from bayes.arguments import checked_methods
from bayes.errors import SpecificationError
from bayes.inference.diagnostics import Diagnosis, diagnose
from bayes.panel import Panel


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """A sampled model.

    Attributes
    ----------
    model : Any
        The frozen specification that was fitted.
    panel : Panel
        The rows used, with the columns the model needs (and those set aside).
    tree : xarray.DataTree
        Groups ``posterior``, ``sample_stats``, ``prior``; the attribute ``meta`` holds seed, sampler, options, versions, times as JSON.
    """

    model: Any
    panel: Panel
    tree: xr.DataTree
    kind: ClassVar[str] = "Fit"
    coefficients: ClassVar[tuple[str, ...]] = ("coefficient",)
    """Vectors that :meth:`summary` lists beside the scalars."""

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Seed, sampler, draws, tune, chains, target_accept, data_hash, versions, compile_seconds, sampling_seconds, created."""
        return json.loads(self.tree.attrs["meta"])

    @cached_property
    def posterior(self) -> xr.Dataset:
        return self.tree["posterior"].to_dataset()

    @cached_property
    def _diagnosis(self) -> Diagnosis:
        return diagnose(self.posterior, self.tree["sample_stats"].to_dataset())

    def diagnose(self) -> Diagnosis:
        """The sampling verdict: R-hat < 1.01, bulk and tail ESS ≥ 400, no divergence, E-BFMI ≥ 0.3, over every quantity."""
        return self._diagnosis

    def summary(self, variables: str | Sequence[str] | None = None, level: float = 0.95) -> pd.DataFrame:
        """ArviZ's summary table with equal-tailed intervals of the given level. Default: every scalar and coefficient of the model.

        Raises :class:`SpecificationError` for names that are not among ``fit.posterior.data_vars``.
        """
        import arviz_stats as az

        chosen = [variables] if isinstance(variables, str) else list(variables or [])
        known = list(map(str, self.posterior.data_vars))
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise SpecificationError(f"Variables {unknown} do not exist. Choose among: {', '.join(known)}.")
        chosen = chosen or [v for v in known if self.posterior[v].ndim == 2 or v in self.coefficients]
        table = az.summary(self.posterior[chosen].reset_coords(drop=True), ci_prob=level, ci_kind="eti", round_to="none")
        table.attrs["verdict"] = self.diagnose().verdict
        return table

    def save(self, path: str | Path) -> Path:
        """Write one netCDF file that :func:`bayes.load_fit` turns into this fit again. The file appears whole or not at all."""
        from bayes.inference.files import save_fit

        return save_fit(self, path)

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {self.model}\n{self.panel!r}\n{self.diagnose().verdict}"

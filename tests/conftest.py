"""Fixtures that every room shares: tiny synthetic panels, balanced and with gaps."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes import StaggeredDiD, progress
from bayes.did.draws import posterior_dataset, prior_dataset
from bayes.did.fit import DiDFit
from bayes.errors import ConvergenceWarning
from bayes.panel import Panel
from tests.panels import ROLES, simulated_frame

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(autouse=True)
def every_count_is_said(monkeypatch):
    """Off a terminal progress leaves out what follows within a second; tests of counts do not wait for it."""
    monkeypatch.setattr(progress, "LEAST_SECONDS", 0.0)


def pytest_configure(config: pytest.Config) -> None:
    """Compiled programs of the tests stay in the project, and the next run reads them."""
    os.environ.setdefault("BAYES_CACHE", str(config.rootpath / ".cache"))


@pytest.fixture
def tiny_frame() -> pd.DataFrame:
    """Synthetic: 24 units × 8 years, 3 regions, cohorts 2004 and 2006 and never treated."""
    return simulated_frame()


@pytest.fixture(scope="session")
def tiny_panel() -> Panel:
    """The balanced synthetic panel with all roles, population weights included."""
    return Panel.from_frame(simulated_frame(), name="synthetic", **ROLES)


@pytest.fixture(scope="session")
def gappy_panel() -> Panel:
    """The synthetic panel with missing rows inside and at the ends."""
    return Panel.from_frame(simulated_frame(gaps=True), name="synthetic with gaps", **ROLES)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Reference data beside the project, where there are any; not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip("the folder of reference data beside the project is not here")
    return SHARED


@pytest.fixture(scope="session")
def tiny_fit(tiny_panel):
    """The default model with a covariate on the balanced synthetic panel, 2 × 500 draws: everything about a fit but its convergence."""
    return sampled(tiny_panel, covariates=("x",))


def sampled(panel: Panel, draws: int = 500, tune: int = 300, chains: int = 2, sampler: str = "nutpie", seed: int = 7, **options):
    """A short fit. A thousand draws are too few for the diagnostics gate, whose warning is expected and not the subject."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return StaggeredDiD("y", **options).fit(panel, seed=seed, draws=draws, tune=tune, chains=chains, sampler=sampler)


def fabricated(panel: Panel, draws: int = 30, chains: int = 2, seed: int = 7, **options) -> DiDFit:
    """A fit whose scales are made up and not sampled; all that follows from them is exact. For whatever holds draw by draw."""
    spec, rng = StaggeredDiD("y", **options), np.random.default_rng(seed)
    panel = spec.needed(panel)
    collapsed, priors = spec.collapse(panel), spec.resolved_priors()
    names, shape = spec.parameters(collapsed), (chains, draws)
    scalars = {n: 0.4 * collapsed.scales[-1] * np.exp(rng.normal(0, 0.2, shape)) for n in names}
    if "autocorrelation" in scalars:
        scalars["autocorrelation"] = rng.uniform(0.1, 0.6, shape)
    statistics = {"diverging": np.zeros(shape, dtype=bool), "energy": rng.normal(size=shape), "n_steps": np.ones(shape, dtype=int)}
    groups = {
        "posterior": posterior_dataset(scalars, collapsed, priors, seed),
        "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in statistics.items()}),
        "prior": prior_dataset(collapsed, priors, names, 200, seed),
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs["meta"] = json.dumps({"seed": seed, "sampler": "none", "draws": draws, "chains": chains})
    return DiDFit(spec, panel, tree)

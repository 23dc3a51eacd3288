"""Fits for tests: one short sampled fit, and fits whose scales are made up while everything that follows from them is exact."""

from __future__ import annotations

import json
import warnings

import numpy as np
import xarray as xr

from bayes import Mediation, Panel
from bayes.errors import BayesWarning
from bayes.mechanism.draws import posterior_dataset, prior_dataset, units_of
from bayes.mechanism.fit import MediationFit


def fabricated(panel: Panel, mediators=("m1", "m2"), chains: int = 2, draws: int = 200, seed: int = 7, **options) -> MediationFit:
    """A fit whose scales are made up and not sampled. For whatever holds draw by draw."""
    spec, rng = Mediation("y", mediators, **options), np.random.default_rng(seed)
    panel = spec.needed(panel)
    e, priors, shape = spec.equations(panel), spec.resolved_priors(), (chains, draws)
    values = {}
    for name in spec.parameters(e):
        if name == "partial_correlation":
            size = e.path_scales.size
            values[name] = rng.uniform(-0.5, 0.5, (*shape, size * (size - 1) // 2))
        elif name == "autocorrelation":
            values[name] = rng.uniform(0.2, 0.6, (*shape, len(e.names)))
        else:
            drawn = 0.3 * units_of(name, e) * np.exp(rng.normal(0, 0.2, (*shape, units_of(name, e).size)))
            values[name] = drawn[..., 0] if name == "direct_sd" else drawn
    statistics = {"diverging": np.zeros(shape, dtype=bool), "energy": rng.normal(size=shape), "n_steps": np.ones(shape, dtype=int)}
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior_dataset(values, e, priors, spec.effective_pooling(e), seed),
            "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in statistics.items()}),
            "prior": prior_dataset(e, priors, spec.parameters(e), spec, 300, seed),
        }
    )
    tree.attrs["meta"] = json.dumps({"seed": seed, "sampler": "nutpie", "draws": draws, "chains": chains, "versions": {"pymc": "6.4"}})
    return MediationFit(spec, panel, tree)


def sampled(
    panel: Panel, mediators=("m1", "m2"), seed: int = 7, draws: int = 500, tune: int = 300, chains: int = 2, **options
) -> MediationFit:
    """A short fit; its warnings, expected, are not the subject."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesWarning)
        return Mediation("y", mediators, **options).fit(panel, seed=seed, draws=draws, tune=300, chains=chains)

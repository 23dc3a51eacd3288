"""Fits for tests: scales made up, everything that follows from them exact; and a short sampled fit."""

from __future__ import annotations

import json
import warnings

import numpy as np
import xarray as xr

from bayes import CrossLagged, Panel
from bayes.dynamics.draws import posterior_dataset, prior_dataset, units_of
from bayes.dynamics.fit import CrossLaggedFit
from bayes.errors import BayesWarning


def fabricated(panel: Panel, chains: int = 2, draws: int = 200, seed: int = 7, **options) -> CrossLaggedFit:
    """A fit whose scales are made up and not sampled. For whatever holds draw by draw."""
    spec, rng, shape = CrossLagged("f", "s", **options), np.random.default_rng(seed), (chains, draws)
    panel = spec.needed(panel)
    pair, priors = spec.lagged(panel), spec.resolved_priors()
    values = {}
    for name in spec.parameters(pair):
        if name.endswith("correlation"):
            values[name] = rng.uniform(-0.3, 0.6, shape)
        else:
            size = 0.1 if name in ("own_lag_sd", "cross_lag_sd", "start_sd") else 0.5
            values[name] = size * units_of(name, pair) * np.exp(rng.normal(0, 0.2, (*shape, units_of(name, pair).size)))
    statistics = {"diverging": np.zeros(shape, dtype=bool), "energy": rng.normal(size=shape), "n_steps": np.ones(shape, dtype=int)}
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior_dataset(values, pair, priors, spec.effective_pooling(pair), seed),
            "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in statistics.items()}),
            "prior": prior_dataset(pair, priors, spec.parameters(pair), spec, 300, seed),
        }
    )
    meta = {"seed": seed, "sampler": "nutpie", "draws": draws, "chains": chains, "versions": {"pymc": "6.4"}}
    tree.attrs["meta"] = json.dumps(meta | pair.counts)
    return CrossLaggedFit(spec, panel, tree)


def sampled(panel: Panel, seed: int = 7, **options) -> CrossLaggedFit:
    """A short fit; that it fails the gate on the number of draws is expected and not the subject."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesWarning)
        return CrossLagged("f", "s", **options).fit(panel, seed=seed, draws=500, tune=300, chains=2)

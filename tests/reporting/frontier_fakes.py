"""SYNTHETIC frontier fits: made-up posterior draws on an invented panel, shaped like a sampled FrontierFit. No number is a finding."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from bayes.frontier.data import frontier_data
from bayes.frontier.draws import posterior_dataset, prior_dataset
from bayes.frontier.fit import FrontierFit
from bayes.frontier.model import StochasticFrontier
from bayes.panel import Panel
from tests.frontier.posteriors import made_up_draws, spec_of, synthetic_frame


def fabricated_frontier(panel: Panel | None = None, chains: int = 4, draws: int = 250, seed: int = 3, **options) -> FrontierFit:
    """A fit of ``spec_of(**options)`` whose posterior is made up and not sampled; everything that follows from it is exact."""
    spec = spec_of(**({"model": "true-random-effects", "technology": "cobb-douglas", "technical_change": "neutral"} | options))
    panel = panel or Panel.from_frame(synthetic_frame(n_units=12, n_periods=6), "unit", "year", region="region", name="synthetic frontier")
    panel = spec.needed(panel)
    data = frontier_data(spec, panel)
    made = made_up_draws(spec, data, chains * draws, seed)
    arrays = {name: values.reshape(chains, draws, *values.shape[1:]) for name, values in _kept(made, spec, data).items()}
    rng = np.random.default_rng(seed)
    shape = (chains, draws)
    statistics = {"diverging": np.zeros(shape, dtype=bool), "energy": rng.normal(size=shape), "n_steps": np.ones(shape, dtype=int)}
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior_dataset(arrays, spec, data),
            "sample_stats": xr.Dataset({name: (("chain", "draw"), values) for name, values in statistics.items()}),
            "prior": prior_dataset(spec, data, seed, 500),
        }
    )
    meta = {"seed": seed, "sampler": "nutpie", "draws": draws, "tune": 100, "chains": chains, "versions": {"pymc": "6.4", "jax": "0.12"}}
    tree.attrs["meta"] = json.dumps(meta)
    return FrontierFit(spec, panel, tree)


def failed(fit: FrontierFit) -> FrontierFit:
    """The same fit after divergent transitions."""
    tree = fit.tree.copy()
    diverging = fit.tree["sample_stats"]["diverging"].copy(data=np.ones(fit.tree["sample_stats"]["diverging"].shape, dtype=bool))
    tree["sample_stats"] = xr.DataTree(fit.tree["sample_stats"].to_dataset().assign(diverging=diverging))
    return replace(fit, tree=tree)


def state_frame() -> pd.DataFrame:
    """The 48 contiguous states with their divisions, as the project's own list has them."""
    from bayes.datasets import path

    states = pd.read_csv(path("castle_doctrine").parent / "us_states.csv")
    return states[~states.abbreviation.isin(["AK", "HI", "DC"])].reset_index(drop=True)


def _kept(p: dict[str, np.ndarray], spec: StochasticFrontier, data) -> dict[str, np.ndarray]:
    """What a posterior keeps, from parameters as kernels take them: the inverse of :func:`bayes.frontier.draws.parameters`."""
    used = {"technology", "noise_scale", "inefficiency_scale"}
    used |= {"truncated-normal": {"location_ratio"}, "gamma": {"shape"}}.get(spec.inefficiency, set())
    used |= {"true-random-effects": {"unit_effect_sd", "unit_effect"}, "bc92": {"decay"}}.get(spec.model, set())
    used |= {"unit_effect_sd", "unit_effect", "persistent_scale"} if spec.model == "four-component" else set()
    used |= {"degrees_of_freedom"} if spec.noise == "student-t" else set()
    out = {name: p[name] for name in used}
    if spec.model == "kumbhakar-1990":
        out |= {"path_linear": p["path"][:, 0], "path_quadratic": p["path"][:, 1]}
    if spec.determinants:
        out["determinant"] = p["determinant"] / data.determinant_scale
    if spec.noise_determinants:
        out["noise_determinant"] = p["noise_determinant"] / data.noise_determinant_scale
    if spec.pooling != "none":
        out |= {"inefficiency_scale_mean": out["inefficiency_scale"].mean(axis=1), "noise_scale_mean": out["noise_scale"].mean(axis=1)}
        out["technology_mean"] = out["technology"].mean(axis=1)
    for part, word in (("inefficiency", "efficiency"), ("noise", "noise")):
        if word in spec.pooled_parts and spec.pooling != "none" and data.n_regions > 1:
            out[f"{part}_spread"] = np.log(out[f"{part}_scale"]).std(axis=1)
    if "technology" in spec.pooled_parts and spec.pooling != "none" and data.n_regions > 1:
        out["technology_spread"] = out["technology"].std(axis=1)
    return out

"""The PyMC model of a cross-lagged pair: standard deviations and correlations as random variables, everything else integrated out."""

from __future__ import annotations

from typing import Any

from bayes.dynamics.draws import SPREADS, labels_of, mean_sds, spread_of, units_of
from bayes.dynamics.lags import LaggedPair
from bayes.dynamics.likelihood import make_log_likelihood
from bayes.pooling import random_vector


def collapsed_model(spec: Any, pair: LaggedPair):
    """A :class:`pymc.Model` in units of the data; the collapsed likelihood is one potential, computed by a native JAX function."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    from bayes.inference.sampling import prepare_jax

    prepare_jax()
    pooling, priors = spec.effective_pooling(pair), spec.resolved_priors()
    names = spec.parameters(pair)
    likelihood = make_log_likelihood(pair, mean_sds(pair, priors), pooling)
    coords = dict(labels_of(name, pair) for name in names if not name.endswith("correlation"))
    with pm.Model(coords=coords) as model:
        variables = {name: _variable(name, spec, pair) for name in names}
        parts = [variables["innovation_sd"] / pair.scales, variables["unit_effect_sd"] / pair.scales]
        parts += [variables["innovation_correlation"][None], variables["unit_effect_correlation"][None]]
        if pooling == "partial":
            parts.append(spread_of(*(variables[name] for name in SPREADS), pt) / pair.path_scales)
        pm.Potential(
            "collapsed_likelihood", pytensor.wrap_jax(lambda x: likelihood(x[:2], x[2:4], x[4], x[5], x[6:]))(pt.concatenate(parts))
        )
    return model


def _variable(name: str, spec: Any, pair: LaggedPair):
    import pymc as pm

    if name.endswith("correlation"):
        eta = spec.correlation_concentration
        return pm.Deterministic(name, 2 * pm.Beta(f"{name}_share", alpha=eta, beta=eta) - 1)
    prior = spec.resolved_priors()[name]
    return random_vector([prior.scaled(s) for s in units_of(name, pair)], name, dims=labels_of(name, pair)[0])

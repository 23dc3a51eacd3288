"""The PyMC model of a mediation: scales, autocorrelations and partial correlations as random variables, everything else integrated out."""

from __future__ import annotations

from typing import Any

from bayes.mechanism.coupling import beta_parameters, pairs
from bayes.mechanism.draws import SPREADS, mean_sds, path_names, units_of
from bayes.mechanism.equations import Equations
from bayes.mechanism.likelihood import make_joint_log_likelihood
from bayes.pooling import random_variable, random_vector


def collapsed_model(spec: Any, equations: Equations):
    """A :class:`pymc.Model` in units of the data; the joint collapsed likelihood is one potential, computed by a native JAX function."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    from bayes.inference.sampling import prepare_jax

    prepare_jax()
    pooling, priors = spec.effective_pooling(equations), spec.resolved_priors()
    names, q = spec.parameters(equations), len(equations.equations)
    size = 2 * q - 1
    n_unit = int("unit_effect_sd" in names)
    likelihood = make_joint_log_likelihood(equations, mean_sds(equations, priors), pooling)
    with pm.Model(coords=_coordinates(equations)) as model:
        variables = {name: _variable(name, spec, equations) for name in names}
        rho = variables.get("autocorrelation", pt.zeros(q))
        parts = [variables["innovation_sd"] / equations.scales, rho]
        parts += [variables["unit_effect_sd"] / equations.unit_effect_scales] if n_unit else []
        if pooling == "partial":
            spreads = [pt.atleast_1d(variables[name]) for name in SPREADS]
            parts += [pt.concatenate(spreads) / equations.path_scales, variables["partial_correlation"]]
        ends = [q, 2 * q, 2 * q + n_unit * q]

        def log_likelihood(x):
            unit = x[ends[1] : ends[2]].reshape(q, n_unit)
            spread, partial = (x[ends[2] : ends[2] + size], x[ends[2] + size :]) if pooling == "partial" else (x[:0], x[:0])
            return likelihood(x[:q], x[q : ends[1]], unit, spread, partial)

        pm.Potential("collapsed_likelihood", pytensor.wrap_jax(log_likelihood)(pt.concatenate(parts)))
    return model


def _variable(name: str, spec: Any, equations: Equations):
    import pymc as pm

    if name == "partial_correlation":
        alpha = beta_parameters(equations.path_scales.size, spec.correlation_concentration)
        share = pm.Beta("partial_correlation_share", alpha=alpha, beta=alpha, dims="pair")
        return pm.Deterministic(name, 2 * share - 1, dims="pair")
    prior = spec.resolved_priors()[name]
    own = [prior.scaled(s) for s in units_of(name, equations)]
    if name == "direct_sd":
        return random_variable(own[0], name)
    return random_vector(own, name, dims="mediator" if name in SPREADS else "equation")


def _coordinates(equations: Equations) -> dict[str, list[str]]:
    names = path_names(equations)
    return {
        "equation": list(equations.names),
        "mediator": list(equations.mediators),
        "pair": [f"{names[i]}, {names[j]}" for i, j in pairs(len(names))],
    }

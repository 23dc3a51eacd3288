"""Where priors as data become PyMC random variables. Models write PyMC through here; the ground floor does not know it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes.priors import Prior


@dataclass(frozen=True, eq=False)
class SymbolicPrior:
    """A prior whose parameters are variables of a PyTensor graph: what a :class:`bayes.Prior` is where data are arguments."""

    family: str
    parameters: Mapping[str, Any]


def random_variable(prior: Prior | SymbolicPrior, name: str, **kwargs: Any) -> Any:
    """The PyMC random variable ``name`` with this prior, in the model on the context stack; ``kwargs`` go to PyMC (dims, shape)."""
    import pymc as pm

    parameters = dict(prior.parameters)
    if prior.family == "LogNormal":
        median = parameters.pop("median")
        parameters["mu"] = math.log(median) if isinstance(median, float) else np.log(median)
    return getattr(pm, prior.family)(name, **parameters, **kwargs)


def prior_arrays(priors: Mapping[str, Prior]) -> dict[str, np.ndarray]:
    """Parameters of priors as arrays without dimensions, named ``prior:name:parameter``: data of a compiled program."""
    return {f"prior:{name}:{key}": np.array(value) for name, p in priors.items() for key, value in p.parameters.items()}


def symbolic_priors(priors: Mapping[str, Prior], symbols: Mapping[str, Any]) -> dict[str, SymbolicPrior]:
    """The same families over variables named as in :func:`prior_arrays`."""
    return {name: SymbolicPrior(p.family, {key: symbols[f"prior:{name}:{key}"] for key in p.parameters}) for name, p in priors.items()}


def random_vector(priors: Sequence[Prior], name: str, **kwargs: Any) -> Any:
    """As :func:`random_variable`, one entry for each prior: the same family, each with parameters (units) of its own."""
    import pymc as pm

    parameters = {key: np.array([p.parameters[key] for p in priors]) for key in priors[0].parameters}
    if priors[0].family == "LogNormal":
        parameters["mu"] = np.log(parameters.pop("median"))
    return getattr(pm, priors[0].family)(name, **parameters, **kwargs)

"""Where priors as data become PyMC random variables. Models write PyMC through here; the ground floor does not know it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bayes.priors import Prior


def random_variable(prior: Prior, name: str, **kwargs: Any) -> Any:
    """The PyMC random variable ``name`` with this prior, in the model on the context stack; ``kwargs`` go to PyMC (dims, shape)."""
    import pymc as pm

    parameters = dict(prior.parameters)
    if prior.family == "LogNormal":
        parameters["mu"] = math.log(parameters.pop("median"))
    return getattr(pm, prior.family)(name, **parameters, **kwargs)


def random_vector(priors: Sequence[Prior], name: str, **kwargs: Any) -> Any:
    """As :func:`random_variable`, one entry for each prior: the same family, each with parameters (units) of its own."""
    import pymc as pm

    parameters = {key: np.array([p.parameters[key] for p in priors]) for key in priors[0].parameters}
    if priors[0].family == "LogNormal":
        parameters["mu"] = np.log(parameters.pop("median"))
    return getattr(pm, priors[0].family)(name, **parameters, **kwargs)

"""Where priors as data become PyMC random variables. Models write PyMC through here; the ground floor does not know it."""

from __future__ import annotations

import math
from typing import Any

from bayes.priors import Prior


def random_variable(prior: Prior, name: str, **kwargs: Any) -> Any:
    """The PyMC random variable ``name`` with this prior, in the model on the context stack; ``kwargs`` go to PyMC (dims, shape)."""
    import pymc as pm

    parameters = dict(prior.parameters)
    if prior.family == "LogNormal":
        parameters["mu"] = math.log(parameters.pop("median"))
    return getattr(pm, prior.family)(name, **parameters, **kwargs)

"""Where priors as data become PyMC random variables. Models write PyMC through here; the ground floor does not know it."""

from __future__ import annotations

from typing import Any

from bayes.priors import Prior


def random_variable(prior: Prior, name: str, **kwargs: Any) -> Any:
    """The PyMC random variable ``name`` with this prior, in the model on the context stack; ``kwargs`` go to PyMC (dims, shape)."""
    import pymc as pm

    return getattr(pm, prior.family)(name, **prior.parameters, **kwargs)

"""One formula, three kinds of arrays: the elementary functions that kernels need, for NumPy, PyTensor and JAX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Algebra:
    """Elementary functions of one array library. Kernels take an Algebra as ``xp`` and use operators for the rest."""

    name: str
    exp: Callable[[Any], Any]
    log: Callable[[Any], Any]
    log1p: Callable[[Any], Any]
    sqrt: Callable[[Any], Any]
    erfc: Callable[[Any], Any]
    gammaln: Callable[[Any], Any]
    where: Callable[[Any, Any, Any], Any]
    maximum: Callable[[Any, Any], Any]
    minimum: Callable[[Any, Any], Any]
    sum: Callable[..., Any]
    max: Callable[..., Any]
    stack: Callable[..., Any]


NUMPY = Algebra(
    "numpy", np.exp, np.log, np.log1p, np.sqrt, special.erfc, special.gammaln, np.where, np.maximum, np.minimum, np.sum, np.max, np.stack
)


@cache
def pytensor_algebra() -> Algebra:
    import pytensor.tensor as pt

    return Algebra(
        "pytensor", pt.exp, pt.log, pt.log1p, pt.sqrt, pt.erfc, pt.gammaln, pt.switch, pt.maximum, pt.minimum, pt.sum, pt.max, pt.stack
    )


@cache
def jax_algebra() -> Algebra:
    import jax.numpy as jnp
    from jax.scipy import special as js

    return Algebra(
        "jax", jnp.exp, jnp.log, jnp.log1p, jnp.sqrt, js.erfc, js.gammaln, jnp.where, jnp.maximum, jnp.minimum, jnp.sum, jnp.max, jnp.stack
    )

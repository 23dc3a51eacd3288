"""Technology as a list of terms: Cobb–Douglas and translog designs, their derivatives, and the names of their coefficients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations_with_replacement

import numpy as np

TIME = "time"
INTERCEPT = "intercept"

Term = tuple[str, ...]
"""Variables multiplied in a term: () is the intercept, (a,) is a, (a, a) is ½a², (a, b) is a·b."""


def terms(inputs: Sequence[str], technology: str, technical_change: str, covariates: Sequence[str] = ()) -> tuple[Term, ...]:
    """Terms of the frontier: intercept, inputs, their second-order terms, time, and covariates.

    Cobb–Douglas is linear in inputs, and neutral technical change linear in time; translog adds ½a², a·b and ½time². Biased technical
    change adds input × time.
    """
    out: list[Term] = [(), *((name,) for name in inputs)]
    if technology == "translog":
        out += list(combinations_with_replacement(inputs, 2))
    if technical_change != "none":
        out.append((TIME,))
        if technology == "translog":
            out.append((TIME, TIME))
    if technical_change == "biased":
        out += [(name, TIME) for name in inputs]
    return (*out, *((name,) for name in covariates))


def term_name(term: Term) -> str:
    """``intercept``, ``log_k``, ``log_k:log_l``; ``log_k:log_k`` is the coefficient of ½log_k²."""
    return ":".join(term) if term else INTERCEPT


def design(all_terms: Iterable[Term], values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Value of each term. ``values`` maps variables to arrays of one shape S; the result has shape (n_terms, *S)."""
    shape = np.shape(next(iter(values.values())))
    return np.stack([_value(term, values, shape) for term in all_terms])


def derivative(all_terms: Iterable[Term], variable: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Derivative of each term with respect to ``variable``, shape (n_terms, *S): an elasticity is its product with the coefficients."""
    shape = np.shape(next(iter(values.values())))
    return np.stack([_slope(term, variable, values, shape) for term in all_terms])


def _value(term: Term, values: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    product = np.ones(shape)
    for variable in term:
        product = product * values[variable]
    return 0.5 * product if len(term) == 2 and term[0] == term[1] else product


def _slope(term: Term, variable: str, values: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    if variable not in term:
        return np.zeros(shape)
    if len(term) == 1:
        return np.ones(shape)
    other = term[1] if term[0] == variable else term[0]
    return np.asarray(values[other], dtype=float)  # of ½a² as of a·b

"""Which combinations of panel form, inefficiency and determinants exist; every other pair is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bayes.errors import UnsupportedModelError

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

MODELS = ("pooled", "time-invariant", "bc92", "kumbhakar-1990", "true-random-effects", "four-component")
INEFFICIENCIES = ("half-normal", "exponential", "truncated-normal", "rayleigh", "gamma")
SHARED = ("time-invariant", "bc92", "kumbhakar-1990")
"""Panel forms u_it = h_it·u_i with one u_i per unit."""
WITH_UNIT_EFFECTS = ("true-random-effects", "four-component")
"""Panel forms with a unit effect beside an inefficiency of its own in every row."""

_INEFFICIENCIES_OF = {
    "pooled": INEFFICIENCIES,
    "time-invariant": ("half-normal", "exponential", "truncated-normal"),
    "bc92": ("half-normal", "exponential", "truncated-normal"),
    "kumbhakar-1990": ("half-normal", "exponential", "truncated-normal"),
    "true-random-effects": INEFFICIENCIES,
    "four-component": ("half-normal", "exponential", "truncated-normal", "rayleigh"),
}
_STUDENT_T = (("pooled", "half-normal"), ("pooled", "exponential"))


def determinants_of(model: str, inefficiency: str) -> tuple[str, ...]:
    """Where determinants may enter for a panel form and a distribution, in the words of ``determinants_in``."""
    if inefficiency not in _INEFFICIENCIES_OF[model]:
        return ()
    if model in SHARED:
        return ("scaling",)
    return ("scaling", "scale", "mean") if inefficiency == "truncated-normal" else ("scaling", "scale")


def support_table() -> pd.DataFrame:
    """One row per panel form and inefficiency: whether it exists, where determinants may enter, whether noise may be Student-t."""
    rows = [
        {
            "model": model,
            "inefficiency": inefficiency,
            "supported": inefficiency in _INEFFICIENCIES_OF[model],
            "determinants_in": ", ".join(determinants_of(model, inefficiency)),
            "student_t_noise": (model, inefficiency) in _STUDENT_T,
        }
        for model in MODELS
        for inefficiency in INEFFICIENCIES
    ]
    return pd.DataFrame(rows)


def require_supported(spec: StochasticFrontier) -> None:
    """Raise :class:`UnsupportedModelError` naming the pair that does not exist and what does."""
    allowed = _INEFFICIENCIES_OF[spec.model]
    if spec.inefficiency not in allowed:
        raise UnsupportedModelError(
            f"model={spec.model!r} with inefficiency={spec.inefficiency!r} does not exist. With this model choose: {', '.join(allowed)}."
        )
    places = determinants_of(spec.model, spec.inefficiency)
    if spec.determinants and spec.determinants_in not in places:
        raise UnsupportedModelError(
            f"determinants_in={spec.determinants_in!r} does not exist for model={spec.model!r} with inefficiency={spec.inefficiency!r}. "
            f"Choose: {', '.join(places)}."
        )
    if spec.noise == "student-t" and (spec.model, spec.inefficiency) not in _STUDENT_T:
        raise UnsupportedModelError(
            f"noise='student-t' does not exist for model={spec.model!r} with inefficiency={spec.inefficiency!r}. "
            "It needs model='pooled' with half-normal or exponential inefficiency."
        )

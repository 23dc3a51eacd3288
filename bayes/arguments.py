"""Arguments of public functions are what their annotations say, or an error names the argument, what came and what is expected."""

from __future__ import annotations

import functools
import inspect
import math
import os
import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from bayes.errors import RowsOnDiskError, SpecificationError

_COUNTS = ("draws", "tune", "chains", "cores", "permutations", "replications", "max_draws")
_LARGEST_COUNT = 10_000_000
_LEAST = {"seed": 0, "replicates": 0, **dict.fromkeys(_COUNTS, 1)}
"""Smallest whole number that makes sense, by the name that an argument has everywhere."""

_MOST = 2**63

_OURS = ("Panel", "ScannedPanel", "Estimates", "Prior", "DiDFit", "FrontierFit", "StaggeredDiD", "StochasticFrontier")
_WORDS = {
    "str": "text",
    "bool": "True or False",
    "int": "a whole number",
    "float": "a finite number",
    "Path": "a path",
    "np.ndarray": "an array of numbers",
    "pd.Series": "a pandas Series",
    "Executor": "a dask.distributed.Client",
    "None": "None",
    "Estimates": "bayes.Estimates (a fit gives them with .att(), a measure returns them)",
}
_IN_LISTS = {
    "str": "columns or other names",
    "int": "whole numbers",
    "float": "numbers",
    "Estimates": "bayes.Estimates",
    "None": "None",
    "Any": "anything",
}


def checked[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Check every call of a public function against its annotations before anything is computed.

    Text, numbers, truth values, sequences and mappings of them, paths, panels, estimates and fits are checked; an annotation that says more
    than that is left to the function. Raises :class:`SpecificationError`.
    """
    signature = inspect.signature(function)
    rules = {name: alternatives(str(parameter.annotation)) for name, parameter in signature.parameters.items()}

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs)
        for name, value in given.arguments.items():
            if signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
                for item in value:
                    check(function.__name__, name, item, rules[name])
            else:
                check(function.__name__, name, value, rules[name])
        return function(*args, **kwargs)

    return call


def checked_methods[C](cls: type[C]) -> type[C]:
    """:func:`checked` on every public method that the class itself defines."""
    for name, value in list(vars(cls).items()):
        if inspect.isfunction(value) and not name.startswith("_"):
            setattr(cls, name, checked(value))
    return cls


def alternatives(annotation: str) -> list[str]:
    """``"str | Sequence[str | None]"`` → ``["str", "Sequence[str | None]"]``."""
    return _split(annotation, "|")


def _split(annotation: str, mark: str) -> list[str]:
    """Split where no bracket is open."""
    found, depth = [""], 0
    for character in annotation:
        depth += (character == "[") - (character == "]")
        if character == mark and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [part.strip() for part in found]


def parts(annotation: str) -> list[str]:
    """``"str, Sequence[int, float]"`` → ``["str", "Sequence[int, float]"]``."""
    return _split(annotation, ",")


def fits_one(value: Any, allowed: list[str]) -> bool:
    return any(fits(value, one) for one in allowed)


def check(function: str, name: str, value: Any, allowed: list[str]) -> None:
    """Raise :class:`SpecificationError` unless the value fits one of the annotations and the limits that its name has everywhere."""
    least = _LEAST.get(name)
    if type(value).__name__ == "ScannedPanel" and "Panel" in allowed and "ScannedPanel" not in allowed:
        raise RowsOnDiskError(
            f"{function} needs rows in memory, and those of {value.name!r} stay on disk. Take a sample of whole units: "
            "panel.collect(columns, units=1000)."
        )
    if not fits_one(value, allowed):
        expected = [f"{words(one)} of at least {least}" if one == "int" and least is not None else words(one) for one in allowed]
        hint = f" Write {name}=[{value!r}]." if isinstance(value, str) and value and "Sequence[str]" in allowed else ""
        raise SpecificationError(f"{function}: {name} must be {' or '.join(expected)}, got {shown(value)}.{hint}")
    if isinstance(value, Real) and not isinstance(value, bool):
        if least is not None and value < least:
            raise SpecificationError(f"{function}: {name} must be a whole number of at least {least}, got {shown(value)}.")
        if name in (*_COUNTS, "replicates") and value > _LARGEST_COUNT:
            raise SpecificationError(f"{function}: {name} must be at most {_LARGEST_COUNT:,}, got {shown(value)}.")
        if name in ("level", "prob") and not 0 < value < 1:
            raise SpecificationError(f"{function}: {name} must lie between 0 and 1, got {shown(value)}.")


def fits(value: Any, annotation: str) -> bool:
    """Whether a value is what one annotation says; an annotation that is not known here fits everything."""
    inside = re.fullmatch(r"(Sequence|tuple|list|Mapping|dict)\[(.*)\]", annotation, flags=re.DOTALL)
    if inside and inside[1] in ("Mapping", "dict"):
        keys, values = map(alternatives, parts(inside[2]))
        return isinstance(value, Mapping) and all(fits_one(k, keys) and fits_one(v, values) for k, v in value.items())
    if inside:
        of = parts(inside[2])
        exact = inside[1] == "tuple" and of[-1] != "..."
        each = alternatives(of[0])
        missing = "float" in each  # NaN in a list of numbers is the function's own subject: it says where
        return (
            _is_list(value)
            and (not exact or len(value) == len(of))
            and all((missing and isinstance(item, float)) or fits_one(item, each) for item in value)
        )
    if annotation in _OURS:
        return any(base.__name__ == annotation for base in type(value).__mro__)
    return _PLAIN.get(annotation, lambda _: True)(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping) and getattr(value, "ndim", 1) == 1


def _is_finite(value: Real) -> bool:
    if isinstance(value, int):  # NumPy has no number for whole ones beyond this
        return abs(value) < _MOST
    return math.isfinite(value)


def _is_array(value: Any) -> bool:
    try:
        return np.asarray(value, dtype=float).ndim > 0
    except (TypeError, ValueError, OverflowError):
        return False


_PLAIN: dict[str, Callable[[Any], bool]] = {
    "str": lambda v: isinstance(v, str),
    "bool": lambda v: isinstance(v, bool | np.bool_),
    "int": lambda v: isinstance(v, int | np.integer) and not isinstance(v, bool) and abs(int(v)) < _MOST,
    "float": lambda v: isinstance(v, Real) and not isinstance(v, bool) and _is_finite(v),
    "Path": lambda v: isinstance(v, os.PathLike),
    "None": lambda v: v is None,
    "np.ndarray": lambda v: _is_array(v),
    "pd.Series": lambda v: isinstance(v, pd.Series),
    "Executor": lambda v: callable(getattr(v, "submit", None)) and callable(getattr(v, "gather", None)),
}


def words(annotation: str) -> str:
    """An annotation as a reader says it."""
    inside = re.fullmatch(r"(Sequence|tuple|list|Mapping|dict)\[(.*)\]", annotation, flags=re.DOTALL)
    if inside and inside[1] in ("Mapping", "dict"):
        return "a mapping of " + " to ".join(
            " or ".join(_IN_LISTS.get(one, one) for one in alternatives(part)) for part in parts(inside[2])
        )
    if inside:
        return "a list of " + " or ".join(_IN_LISTS.get(one, one) for one in alternatives(parts(inside[2])[0]))
    return _WORDS.get(annotation, f"a bayes.{annotation}" if annotation in _OURS else f"a {annotation}")


def shown(value: Any) -> str:
    """Text, numbers and lists of them as written, in few characters; anything else by its type."""
    if value is None or isinstance(value, str | bytes | int | float | complex | list | tuple | set | dict | np.generic):
        try:
            return reprlib.repr(value)
        except Exception:  # a representation inside a list that fails is the user's; the type says enough
            return f"a {type(value).__name__}"
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"

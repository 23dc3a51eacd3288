"""The border to the libraries: what they print and warn is caught here, so that it can be reported instead of leaking."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib import metadata

import pandas as pd

from bayes.errors import EmptyPanelError

_ABOUT_THE_DATA = (UserWarning, RuntimeWarning)
"""What libraries say about data and estimates. All else is about their own code (pyfixest 0.60 and diff-diff 3.13 use pandas' ``inplace``,
which pandas 3.1 deprecates; diff-diff fragments a frame): a user can do nothing about it, and it says nothing about the estimate."""

_NOT_NEWS = (
    "pweight weights normalized",  # diff-diff: rescaling weights to mean 1 changes no estimate
    "there are some small groups",  # moderndid: cohorts of few units are visible in the panel's timing table
    "Not returning pre-test Wald statistic",  # moderndid: a test that is not asked for
    "Unbalanced panel detected",  # diff-diff: the adapters say in their own words what each estimator does with gaps
    "Rank-deficient design matrix: dropping",  # diff-diff ETWFE: its saturated covariate columns are collinear by construction
    "collinear with the absorbed fixed effects",  # diff-diff: ETWFE again; covariates that unit effects absorb are named before the fit
)


@contextmanager
def quiet() -> Iterator[list[str]]:
    """Run a library without output or warnings; yields the list that its messages about the data are collected in.

    What it does to Python's root logger is undone: pyfixest 0.60 switches everybody's messages on when it is imported.
    """
    messages: list[str] = []
    root, handlers, level = logging.getLogger(), list(logging.getLogger().handlers), logging.getLogger().level
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        try:
            yield messages
        finally:
            messages.extend(_about_the_data(caught))
            root.handlers[:] = handlers
            root.setLevel(level)


def _about_the_data(caught: list[warnings.WarningMessage]) -> list[str]:
    kept: dict[str, str] = {}
    for warning in caught:
        text = " ".join(str(warning.message).split())
        if issubclass(warning.category, _ABOUT_THE_DATA) and not any(known in text for known in _NOT_NEWS):
            kept.setdefault(text[:40], shorten(text))
    return list(kept.values())


def refuse_singletons(frame: pd.DataFrame) -> None:
    """Raise where unit and period effects leave nothing: pyfixest 0.60 then ends the whole program (a panic in its compiled code).

    It drops rows that are alone in their unit or period, again and again; here the same is done first.
    """
    kept = frame[["unit", "time"]]
    while len(kept):
        alone = ~(kept.duplicated("unit", keep=False) & kept.duplicated("time", keep=False))
        if not alone.any():
            return
        kept = kept[~alone]
    raise EmptyPanelError("Every row is alone in its unit or period: unit and period effects leave nothing to estimate from. Add rows.")


def shorten(text: str, width: int = 160) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


@cache
def with_version(package: str) -> str:
    """Name and installed version of a distribution, for the ``source`` column."""
    return f"{package} {metadata.version(package)}"

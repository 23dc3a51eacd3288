"""Specifications as JSON-ready data and back: what a saved fit keeps of its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bayes.priors import Prior


def to_plain(specification: Any) -> dict[str, Any]:
    """A frozen specification with a field ``priors`` as nested dictionaries, lists, text and numbers."""
    out = {k: v for k, v in asdict(specification).items() if k != "priors"}
    out["priors"] = {k: p.to_dict() if isinstance(p, Prior) else float(p) for k, p in specification.priors.items()}
    return out


def from_plain(kind: type, data: Mapping[str, Any]) -> Any:
    """The specification of class ``kind`` that :func:`to_plain` wrote. Raises ``TypeError`` on a field that the class does not have."""
    priors = {k: Prior(**p) if isinstance(p, Mapping) else p for k, p in data["priors"].items()}
    return kind(**{**data, "priors": priors})

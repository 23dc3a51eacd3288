"""Reports: sections as data, one HTML template, tables in four formats. The report itself is ``bayes.report``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "report": "bayes.reporting.document",
    "export_tables": "bayes.reporting.export",
    "Section": "bayes.reporting.sections",
    "Figure": "bayes.reporting.sections",
    "Table": "bayes.reporting.tables",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'bayes.reporting' has no attribute {name!r}; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)

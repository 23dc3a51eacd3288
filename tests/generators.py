"""The scripts that the SIMULATED data sets come from, as modules."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from types import ModuleType

from bayes import datasets


@cache
def generator(name: str) -> ModuleType:
    """The module ``data/<name>/simulate.py``; no cache folder is left beside the data."""
    spec = importlib.util.spec_from_file_location(f"simulate_{name}", datasets.path(name) / "simulate.py")
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module

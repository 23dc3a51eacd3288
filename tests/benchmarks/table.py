"""One benchmark result, and the Markdown table of all of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_PACKAGES = ("numpy", "pyarrow", "jax", "pymc", "pytensor", "nutpie", "numpyro", "blackjax", "highspy", "scipy")


@dataclass(frozen=True)
class Result:
    """A measured figure and its target.

    ``target`` None: reported, no target. ``at_least``: larger is better. ``details`` says how it was measured.
    """

    name: str
    measured: float
    unit: str = ""
    target: float | None = None
    at_least: bool = False
    details: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.measured >= self.target if self.at_least else self.measured <= self.target

    def cells(self) -> tuple[str, ...]:
        sign = "≥" if self.at_least else "≤"
        target = "" if self.target is None else f"{sign} {_number(self.target)}{self.unit}"
        ratio = "" if not self.target else f"{self.measured / self.target:.2f}"
        met = {True: "yes", False: "NO", None: ""}[self.met]
        return self.name, f"{_number(self.measured)}{self.unit}", target, ratio, met, self.details


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:.3g}"


def markdown(results: Iterable[Result]) -> str:
    rows = [("benchmark", "measured", "target", "measured / target", "met", "how"), ("---",) * 6, *(r.cells() for r in results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def machine() -> str:
    """Processor, cores, memory, Python and the versions that matter, one line each."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    return (
        f"Machine: {_processor()}, {os.cpu_count()} cores, {pages * size / 2**30:.0f} GiB; load {os.getloadavg()[0]:.1f} at the start.  \n"
        f"Python {platform.python_version()}, {versions}."
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

"""Environments of the peers, outside the project's own and never its dependency."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Environment:
    """A folder, what is asked for (one peer a line) and the pins of all that comes with it."""

    folder: Path
    peers: Path
    pins: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def reason(self, package: str) -> str:
        """Why ``package`` could not be installed; empty where it was."""
        note = self.folder / "failed" / package
        return note.read_text(encoding="utf-8") if note.exists() else ""

    def prepare(self) -> None:
        """Install all at once; where that fails one by one, each failure kept as text beside the environment."""
        ready = self.folder / ".ready"
        wanted = self.peers.read_text(encoding="utf-8") + self.pins.read_text(encoding="utf-8")
        if ready.exists() and ready.read_text(encoding="utf-8") == wanted:
            return
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.folder)], check=True)
        if self._install(["--requirement", str(self.peers)]):
            (self.folder / "failed").mkdir()
            for line in self.peers.read_text(encoding="utf-8").split():
                if text := self._install([line]):
                    (self.folder / "failed" / line.split("==")[0]).write_text(f"not installed: {text}", encoding="utf-8")
        ready.write_text(wanted, encoding="utf-8")

    def _install(self, words: list[str]) -> str:
        """Last error of pip; empty when it succeeded."""
        install = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run = subprocess.run([*install, "--constraint", str(self.pins), *words], capture_output=True, text=True, check=False)
        errors = [line for line in run.stderr.splitlines() if "ERROR" in line] or ["pip failed"]
        return errors[-1][:300] if run.returncode else ""


def named(name: str) -> Environment:
    """``ours``, ``peers`` or ``causalpy``."""
    if name == "ours":
        return Environment(Path(sys.prefix), Path(os.devnull), Path(os.devnull))
    return Environment(ROOT / f".venv-{name}", HERE / f"{name}.txt", HERE / f"{name}.pins.txt")

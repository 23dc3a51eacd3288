"""The script in the README runs as printed (with few draws), and the commands it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bayes
from bayes.did.model import StaggeredDiD

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")


def script() -> str:
    return re.search(r"```python\n(import bayes\n.*?)```", README, re.DOTALL).group(1)


def test_the_script_is_as_short_as_promised():
    assert len([line for line in script().splitlines() if line.strip()]) <= 15


def test_the_script_runs_as_printed(tmp_path, monkeypatch, capsys):
    fit = StaggeredDiD.fit
    monkeypatch.setattr(StaggeredDiD, "fit", lambda self, panel, seed=0: fit(self, panel, seed, draws=300, tune=300, chains=2))
    monkeypatch.chdir(tmp_path)
    with pytest.warns(bayes.errors.ConvergenceWarning):
        exec(compile(script(), "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "Callaway–Sant'Anna" in printed
    assert "Midwest" in printed
    assert {p.name for p in tmp_path.iterdir()} >= {"castle.html", "castle.nc", "event_study.png"}


@pytest.mark.parametrize("target", re.findall(r"`?make ([a-z-]+)`?", README))
def test_every_make_command_named_exists(target):
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_every_file_linked_exists():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert links
    for link in links:
        assert (Path(__file__).parents[1] / link).exists(), link

"""Every study script runs from the command line and writes its report. Few draws: their convergence is not the subject."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "models").glob("*.py"))
SHORTER = {"castle_doctrine": ["--placebos", "20"], "us_states_productivity": ["--replicates", "100"]}
"""Options of single scripts beside the draws that all take."""


def test_there_are_studies():
    assert {script.stem for script in SCRIPTS} >= set(SHORTER)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_study_runs_and_writes_its_report(script, tmp_path):
    command = [sys.executable, str(script), "--draws", "100", "--tune", "200", "--out", str(tmp_path), *SHORTER.get(script.stem, [])]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    page = (tmp_path / f"{script.stem}.html").read_text(encoding="utf-8")
    assert page.count("<section") > 10

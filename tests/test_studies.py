"""Every study script runs from the command line and writes its report. Few draws: their convergence is not the subject."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "models").glob("*.py"))
SHORTER = {
    "castle_doctrine": ["--placebos", "20"],
    "city_pilot_did": ["--placebos", "20"],
    "province_tfp": ["--replicates", "100"],
    "regional_coordination": ["--replicates", "30"],
    "us_states_productivity": ["--replicates", "100"],
}
"""Options of single scripts beside the draws that all take."""


def test_there_are_studies():
    assert {script.stem for script in SCRIPTS} >= {*SHORTER, "us_states_frontier", "yangtze_green_tfp"}


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_study_runs_and_writes_its_report(script, tmp_path):
    command = [sys.executable, str(script), "--draws", "100", "--tune", "200", "--out", str(tmp_path), *SHORTER.get(script.stem, [])]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    pages = sorted(tmp_path.glob("*.html"))
    assert f"{script.stem}.html" in {page.name for page in pages}
    for page in pages:
        is_sound(page)
    opens_in_a_browser(pages)


def is_sound(page: Path) -> None:
    """Many sections, real tables that a word processor takes over, nothing from outside."""
    text = page.read_text(encoding="utf-8")
    assert text.count("<section") > 5
    tables = re.findall(r"<table.*?</table>", text, flags=re.DOTALL)
    assert tables
    for table in tables:
        assert "<thead>" in table
        assert "<tbody>" in table
        assert table.count("<table") == 1, "a table in a table does not copy"
    assert not re.search(r'(src|href)="https?://', text), "a report asks for nothing outside itself"


def opens_in_a_browser(pages: list[Path]) -> None:
    """Nothing on the console."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("the report was written; there is no Chromium here to open it (apt-get install chromium)")
    opened = [browser, "--headless", "--no-sandbox", "--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom"]
    for page in pages:
        run = subprocess.run([*opened, page.as_uri()], capture_output=True, text=True, check=False, timeout=120)
        assert "</html>" in run.stdout
        assert "CONSOLE" not in run.stderr, run.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "data", "column"),
    [("city_pilot_did", "city_pilots", "npro"), ("province_tfp", "simulated_provinces", "innovation"),
     ("regional_coordination", "simulated_provinces", "gdp_per_head"), ("yangtze_green_tfp", "simulated_yangtze_industry", "energy")],
)  # fmt: skip
def test_a_study_runs_on_a_file_of_ones_own(script, data, column, tmp_path):
    """The data set written out as somebody's file with another name for one column, which is put into COLUMNS; no note, no truth."""
    frame = pd.read_csv(ROOT / "data" / data / "panel.csv").rename(columns={column: "my column"})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    text = (ROOT / "models" / f"{script}.py").read_text(encoding="utf-8")
    changed = text.replace(f'"{column}": "{column}"', f'"{column}": "my column"')
    assert changed != text, "COLUMNS is the one place to say so"
    (tmp_path / "own.py").write_text(changed, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "own.py"), "--panel", str(tmp_path / "mine.csv"), "--draws", "100", "--tune", "200"]
    run = subprocess.run(
        [*command, "--out", str(tmp_path), *SHORTER.get(script, [])], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    page = (tmp_path / f"{script}.html").read_text(encoding="utf-8")
    assert "Simulated data" not in page

"""Files are whole or absent: full disks, read-only and impossible paths, whatever is written."""

from __future__ import annotations

import contextlib
import os
import resource
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes.errors import FitFileError, OutputFileError, SpecificationError
from bayes.estimates import Estimates
from bayes.replicates import Record
from bayes.reporting import export_tables
from bayes.writing import write_text, write_whole
from tests.conftest import fabricated
from tests.panels import ROLES, simulated_frame


@pytest.fixture(scope="module")
def fit():
    return fabricated(bayes.Panel.from_frame(simulated_frame(), **ROLES), pooling=("event", "region"))


@pytest.fixture(scope="module")
def comparison():
    rows = [
        {"estimand": "att", "term": "simple", "source": s, "estimate": 0.1, "se": 0.05, "lower": 0.0, "upper": 0.2} for s in ("one", "two")
    ]
    return bayes.compare(Estimates.from_rows(rows))


def writers(fit, comparison):
    """Everything that writes a file: name → (suffix, function of a path, the error it may raise)."""
    return {
        "fit": (".nc", fit.save, FitFileError),
        "report": (".html", lambda p: bayes.report(comparison_estimates(comparison), p), OutputFileError),
        "tables, Word": (".docx", lambda p: export_tables(comparison, p), OutputFileError),
        "tables, LaTeX": (".tex", lambda p: export_tables(comparison, p), OutputFileError),
        "tables, Markdown": (".md", lambda p: export_tables(comparison, p), OutputFileError),
        "tables, HTML": (".html", lambda p: export_tables(comparison, p), OutputFileError),
        "comparison, CSV": (".csv", comparison.to_csv, OutputFileError),
        "comparison, Word": (".docx", comparison.to_docx, OutputFileError),
        "comparison, LaTeX": (".tex", comparison.to_tex, OutputFileError),
        "comparison, Markdown": (".md", comparison.to_markdown, OutputFileError),
        "figure, PNG": (".png", lambda p: bayes.plots.treatment_timing(fit.panel, path=p), OutputFileError),
        "figure, PDF": (".pdf", lambda p: bayes.plots.treatment_timing(fit.panel, path=p), OutputFileError),
        "replicates": (".npz", lambda p: keep(p), OutputFileError),
    }


def comparison_estimates(comparison):
    panel = bayes.Panel.from_frame(simulated_frame().assign(y=lambda f: np.exp(f.y)), "unit", "year", region="region")
    return bayes.measure.theil(panel, "y")


def keep(path):
    Record(path.parent).keep({k: {"value": np.arange(5000.0)} for k in range(3)})


NAMES = list(writers(type("Fit", (), {"save": None}), type("C", (), dict.fromkeys(("to_csv", "to_docx", "to_tex", "to_markdown")))))


@contextlib.contextmanager
def full_disk(room: int = 16):
    """No file of this process may grow beyond ``room`` bytes, as if the disk were full; what is written then fails with an OSError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_named_and_leaves_the_old_file(name, fit, comparison, tmp_path):
    suffix, write, error = writers(fit, comparison)[name]
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"old")
    with full_disk(), pytest.raises(error, match="space"):
        write(path)
    assert path.read_bytes() == b"old"
    assert [f.name for f in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["below a file", "a folder", "null"])
def test_impossible_paths_are_named(name, place, fit, comparison, tmp_path):
    suffix, write, error = writers(fit, comparison)[name]
    if name == "replicates" and place != "below a file":
        pytest.skip("names its files itself")
    (tmp_path / "file").write_bytes(b"in the way")
    path = {"below a file": tmp_path / "file" / f"out{suffix}", "a folder": tmp_path / f"out{suffix}", "null": tmp_path / f"o\0ut{suffix}"}[
        place
    ]
    if place == "a folder":
        path.mkdir()
    with pytest.raises(error):
        write(path)
    assert (tmp_path / "file").read_bytes() == b"in the way"
    assert not list(tmp_path.rglob("*.partial*"))


@pytest.mark.parametrize("wrong", [None, 3, "", 1.5, [], ("a",), True])
def test_what_is_no_path_is_refused(wrong, fit, comparison):
    for write in (fit.save, bayes.load_fit, lambda p: bayes.report(fit, p), lambda p: export_tables(comparison, p), comparison.to_docx):
        with pytest.raises(SpecificationError, match="path"):
            write(wrong)


def test_a_read_only_file_or_folder_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "table.md"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser of a container may write everything
    with pytest.raises(OutputFileError, match="read-only"):
        write_text(path, "new")
    monkeypatch.undo()
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputFileError, match="writable"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.md"]


def refuse(*_):
    raise PermissionError("read-only")


def interrupted(path, content):
    path.write_text("half")
    raise KeyboardInterrupt


def test_an_interruption_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "table.md"
    path.write_text("old")

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.md"]


def test_links_are_followed_and_modes_kept(tmp_path):
    (tmp_path / "store").mkdir()
    real, link = tmp_path / "store" / "real.md", tmp_path / "link.md"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_text(link, "new \ud800")
    assert link.is_symlink()
    assert real.read_text() == "new ?"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    with pytest.raises(OutputFileError, match="no ordinary file"):
        write_text("/dev/full", "text")


def test_long_and_foreign_names(tmp_path):
    for name in ("ü" * 120 + ".md", "省份 <b> =1+1.md", "." + "x" * 200):
        assert write_text(tmp_path / name, "text").read_text() == "text"
    with pytest.raises(OutputFileError):
        write_text(tmp_path / ("x" * 300), "text")
    with pytest.raises(SpecificationError, match="figures are written as"):
        bayes.plots.treatment_timing(bayes.Panel.from_frame(simulated_frame(), **ROLES), path=tmp_path / "figure.exe")
    frame = pd.DataFrame({"a": [1.0]})
    bayes.reporting.tables.save_csv(frame, tmp_path / "ü.csv")
    assert (tmp_path / "ü.csv").read_text() == "a\n1.0\n"

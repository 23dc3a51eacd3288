"""Replicates on disk: a run that was interrupted, killed or run twice at a time gives what an undisturbed run gives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes import Panel, StaggeredDiD, replicates
from bayes.did import refits
from bayes.did.placebo import permuted_cohorts
from bayes.did.placebo_result import Options
from bayes.errors import CacheWarning, OutputFileError, SpecificationError
from bayes.measure import dea, malmquist
from bayes.replicates import Record, run_replicates
from tests.panels import ROLES, simulated_frame

ROOT = Path(__file__).resolve().parents[1]


def normal(k: int) -> dict[str, np.ndarray]:
    """A replicate as it should be: all that is random in it comes from its number. Every third has another shape."""
    rng = np.random.default_rng([5, k])
    return {"mean": np.array(rng.normal()), "draws": rng.normal(size=(3 if k % 3 else 4, 2)), "converged": np.array(k % 2 == 0)}


class Counted:
    """The replicates that were computed and not read; stops like a user who presses Ctrl-C at one of them."""

    def __init__(self, stop_at: int | None = None, error: type[BaseException] = KeyboardInterrupt):
        self.seen, self.stop_at, self.error = [], stop_at, error

    def __call__(self, k):
        if k == self.stop_at:
            raise self.error
        self.seen.append(k)
        return normal(k)


def same(one, two):
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert list(a) == list(b)
        for name in a:
            assert a[name].dtype == b[name].dtype
            np.testing.assert_array_equal(a[name], b[name])


@pytest.fixture
def record(tmp_path):
    return Record.of(tmp_path, "test", {"seed": 5})


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_goes_on(error, record):
    whole = run_replicates(normal, 20)
    first = Counted(stop_at=12, error=error)
    with pytest.raises(error):
        run_replicates(first, 20, record, cores=2)
    second = Counted()
    same(run_replicates(second, 20, record, cores=1), whole)
    assert set(second.seen) == set(range(12, 20))
    third = Counted()
    same(run_replicates(third, 20, record), whole)
    assert third.seen == []
    same(run_replicates(Counted(), 7, record), whole[:7])
    longer = Counted()
    same(run_replicates(longer, 25, record), run_replicates(normal, 25))
    assert sorted(longer.seen) == list(range(20, 25))


def test_what_has_not_begun_is_not_begun_after_an_interruption(record):
    def slow(k):
        time.sleep(0.01)
        return work(k)

    work = Counted(stop_at=3)
    with pytest.raises(KeyboardInterrupt):
        run_replicates(slow, 2000, record, cores=2)
    assert len(work.seen) < 100


def test_other_numbers_have_other_records(tmp_path):
    given = [{"seed": 1}, {"seed": 2}, {"seed": "1"}]
    folders = {Record.of(tmp_path, "test", g, np.arange(3)).folder for g in given}
    folders |= {Record.of(tmp_path, "test", given[0], a).folder for a in (np.arange(4), np.arange(3.0), np.arange(3)[:, None])}
    folders |= {Record.of(tmp_path, "other", given[0], np.arange(3)).folder}
    assert len(folders) == 7
    assert Record.of(tmp_path, "test", {"seed": np.int64(1)}, np.arange(3)).folder in folders
    assert Record.of(None, "test", given[0]) is None


@pytest.mark.parametrize("damage", [b"", b"not a file of numbers", "cut", "pickle", "order"])
def test_damaged_files_are_computed_again(damage, record, tmp_path):
    whole = run_replicates(normal, 9, record)
    file = next(record.folder.glob("*.npz"))
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-40])
    elif damage == "pickle":
        np.savez(file, replicate=np.arange(9), mean=np.array([Unpickled(tmp_path / "run")] * 9, dtype=object))
    elif damage == "order":
        np.savez(file, replicate=np.arange(9), mean=np.zeros(4))
    else:
        file.write_bytes(damage)
    with pytest.warns(CacheWarning, match="damaged"):
        same(run_replicates(normal, 9, record), whole)
    assert not (tmp_path / "run").exists()
    same(run_replicates(normal, 9, record), whole)


class Unpickled:
    """Writes a file when a reader unpickles it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_folders_that_cannot_be_written_are_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputFileError, match="record"):
        Record.of(tmp_path / "file", "test", {})
    with pytest.raises(SpecificationError, match="path"):
        Record.of(3, "test", {})
    with pytest.raises(SpecificationError, match="cores"):
        run_replicates(normal, 3, cores=0)


RUN = """
import sys, time
import numpy as np
from bayes import replicates
from bayes.replicates import Record, run_replicates
replicates.SAVE_EVERY = 0.05
def work(k):
    time.sleep(0.01)
    return {"x": np.random.default_rng([3, k]).normal(size=4)}
found = run_replicates(work, 60, Record.of(sys.argv[1], "test", {"seed": 3}), cores=1, progress=False)
print(repr(np.array([f["x"] for f in found]).sum()))
"""


def started(folder):
    return subprocess.Popen([sys.executable, "-c", RUN, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_process_keeps_what_is_finished(number, tmp_path):
    process = started(tmp_path)
    until = time.monotonic() + 60
    while len(list(tmp_path.rglob("*.npz"))) < 2 and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0
    kept = Record.of(tmp_path, "test", {"seed": 3}).finished(60)
    assert 2 <= len(kept) < 60
    computed = []
    work = lambda k: (computed.append(k), {"x": np.random.default_rng([3, k]).normal(size=4)})[1]  # noqa: E731
    found = run_replicates(work, 60, Record.of(tmp_path, "test", {"seed": 3}))
    assert sorted(computed) == sorted(set(range(60)) - set(kept))
    same(found, [{"x": np.random.default_rng([3, k]).normal(size=4)} for k in range(60)])


def test_two_processes_share_a_folder(tmp_path):
    two = [started(tmp_path), started(tmp_path)]
    answers = {process.communicate()[0] for process in two}
    assert [process.returncode for process in two] == [0, 0]
    assert len(answers) == 1
    assert len(Record.of(tmp_path, "test", {"seed": 3}).finished(60)) == 60


# ── who uses them ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_placebo_test_goes_on_and_is_the_same(gappy_panel, tmp_path, monkeypatch):
    spec, seen = StaggeredDiD("y", pooling="complete"), []
    whole = permuted_cohorts(spec, gappy_panel, 8, seed=2)
    real = refits.refit

    def interrupted(panel, cohort, averages, start):
        seen.append(cohort)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return real(panel, cohort, averages, start)

    monkeypatch.setattr(refits, "refit", interrupted)
    options = Options(resume=tmp_path, cores=1)
    with pytest.raises(KeyboardInterrupt):
        permuted_cohorts(spec, gappy_panel, 8, seed=2, options=options)
    begun = len(seen)
    again = permuted_cohorts(spec, gappy_panel, 8, seed=2, options=options)
    assert len(seen) == begun + 3
    for name in ("modes", "dates"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(whole, name))
    assert again.placebo.frame.equals(whole.placebo.frame)
    assert again.p_values().equals(whole.p_values())
    permuted_cohorts(spec, gappy_panel, 8, seed=3, options=options)
    assert len(seen) == begun + 3 + 8
    changed = Panel.from_frame(simulated_frame(seed=9, gaps=True), **ROLES)
    permuted_cohorts(spec, changed, 8, seed=2, options=options)
    assert len(seen) == begun + 3 + 8 + 8


@pytest.mark.parametrize("function", [dea, malmquist])
def test_bootstraps_go_on_and_are_the_same(function, tmp_path, monkeypatch):
    frame = simulated_frame(n_units=12, n_periods=3)
    frame = frame.assign(labour=np.exp(frame.x), output=np.exp(frame.y))
    panel = Panel.from_frame(frame, "unit", "year", region="region")
    given = {"inputs": ["labour"], "outputs": ["output"], "replicates": 120, "seed": 4}
    whole = function(panel, **given)
    with monkeypatch.context() as patch:
        patch.setattr(replicates.Record, "keep", stopped(replicates.Record.keep))
        patch.setattr(replicates, "SAVE_EVERY", 0.0)
        with pytest.raises(KeyboardInterrupt):
            function(panel, **given, resume=tmp_path, cores=1)
    assert len(list(tmp_path.rglob("*.npz"))) == 2
    again = function(panel, **given, resume=tmp_path)
    np.testing.assert_array_equal(again.draws, whole.draws)
    assert again.frame.equals(whole.frame)


def stopped(keep):
    """Keeps what it is asked to keep, and is interrupted after the second time."""
    times = []

    def keep_twice(self, replicates):
        if len(times) < 2:
            keep(self, replicates)
        times.append(1)
        if len(times) == 2:
            raise KeyboardInterrupt

    return keep_twice

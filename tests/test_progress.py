"""Progress: a count where a terminal is, or where it is asked for; off a terminal never more than a line a second."""

from __future__ import annotations

import sys
import time

import pytest

from bayes import progress
from bayes.inference import sampling
from bayes.inference.sampling import SamplerOptions
from bayes.progress import counted, on_terminal, say


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set, and the real distance between lines."""
    now = [100.0]
    monkeypatch.setattr(progress, "LEAST_SECONDS", 1.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setitem(progress._last, "said", 0.0)
    return now


def test_items_pass_and_the_count_is_shown_on_demand(capsys):
    assert list(counted("abc", 3, "Letters", progress=True)) == ["a", "b", "c"]
    assert capsys.readouterr().err == "Letters: 1 of 3\nLetters: 2 of 3\nLetters: 3 of 3\n"


def test_nothing_is_shown_off_a_terminal_or_for_one_item(capsys):
    assert list(counted(range(3), 3, "Numbers")) == [0, 1, 2]
    assert list(counted([7], 1, "One", progress=True)) == [7]
    assert capsys.readouterr().err == ""


def test_a_long_run_in_a_log_is_a_line_a_second(capsys, clock):
    """Ten thousand items in ten seconds, and lines of several batches together."""
    for k, _ in enumerate(counted(range(10_000), 10_000, "Refits", progress=True)):
        clock[0] = 100.0 + (k + 1) / 1000
    list(counted("ab", 2, "Another batch", progress=True))
    lines = capsys.readouterr().err.splitlines()
    assert 10 <= len(lines) <= 11
    assert all("\r" not in line for line in lines)


def test_on_a_terminal_one_line_is_rewritten(capsys, monkeypatch, clock):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    list(counted("abc", 3, "Letters"))
    assert capsys.readouterr().err == "\rLetters: 1 of 3\rLetters: 2 of 3\rLetters: 3 of 3\n"
    assert on_terminal(None)
    assert not on_terminal(False)


def test_the_phases_of_sampling_keep_the_distance(capsys, clock):
    options = SamplerOptions(progress=True)
    for seconds in (0.1, 0.1, 5.0):
        with sampling._phase("Sampling", options):
            clock[0] += seconds
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0].split(" …")[0] for line in lines] == ["Sampling"] * 2  # the first begins, the last ends
    say("too soon")
    assert capsys.readouterr().err == ""


def test_bars_of_samplers_are_for_terminals_only(monkeypatch):
    """A bar that rewrites itself would be thousands of lines in a file, also where progress is asked for."""
    seen = {}

    def stop(*_, **options):
        seen.update(options)
        raise RuntimeError("seen")

    import pymc

    monkeypatch.setattr(pymc, "sample", stop)
    with pymc.Model() as model, pytest.raises(RuntimeError, match="seen"):
        sampling._pymc(model, SamplerOptions(progress=True))
    assert seen.pop("progressbar") is False

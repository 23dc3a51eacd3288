"""Progress: a count where a terminal is, or where it is asked for, and nothing elsewhere."""

from __future__ import annotations

from bayes.progress import counted


def test_items_pass_and_the_count_is_shown_on_demand(capsys):
    assert list(counted("abc", 3, "Letters", progress=True)) == ["a", "b", "c"]
    assert capsys.readouterr().err.endswith("\rLetters: 3 of 3\n")


def test_nothing_is_shown_off_a_terminal_or_for_one_item(capsys):
    assert list(counted(range(3), 3, "Numbers")) == [0, 1, 2]
    assert list(counted([7], 1, "One", progress=True)) == [7]
    assert capsys.readouterr().err == ""

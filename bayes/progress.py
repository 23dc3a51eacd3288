"""A count on the terminal for anything that takes more than a few seconds; silent off a terminal unless asked for, and then rare."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator

LEAST_SECONDS = 1.0
"""Off a terminal (a log file) lines of progress are at least so far apart, whoever says them; what comes sooner is left out."""

_last = {"said": -math.inf}


def is_shown(progress: bool | None) -> bool:
    """Whether progress is shown: as asked for, by default on a terminal only."""
    return sys.stderr.isatty() if progress is None else progress


def on_terminal(progress: bool | None) -> bool:
    """Whether a line that rewrites itself (a bar) can be shown: never into a file, where it would be thousands of lines."""
    return is_shown(progress) and sys.stderr.isatty()


def say(words: str, stays: bool = True) -> None:
    """One line of progress. On a terminal a line that does not stay is overwritten by the next; elsewhere one a second is written."""
    if sys.stderr.isatty():
        print(f"\r{words}", end="\n" if stays else "", file=sys.stderr, flush=True)
    elif time.monotonic() - _last["said"] >= LEAST_SECONDS:
        _last["said"] = time.monotonic()
        print(words, file=sys.stderr, flush=True)


def counted[Item](items: Iterable[Item], total: int, label: str, progress: bool | None = None) -> Iterator[Item]:
    """The items one by one, with ``label: k of total`` where there is more than one."""
    shown = is_shown(progress) and total > 1
    for k, item in enumerate(items, start=1):
        if shown:
            say(f"{label}: {k} of {total}", stays=k == total)
        yield item

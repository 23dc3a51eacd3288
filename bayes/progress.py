"""A count on the terminal for anything that takes more than a few seconds; silent off a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator


def is_shown(progress: bool | None) -> bool:
    """Whether progress is shown: as asked for, by default on a terminal only."""
    return sys.stderr.isatty() if progress is None else progress


def counted[Item](items: Iterable[Item], total: int, label: str, progress: bool | None = None) -> Iterator[Item]:
    """The items one by one, with ``label: k of total`` on the terminal where there is more than one."""
    shown = is_shown(progress) and total > 1
    for k, item in enumerate(items, start=1):
        if shown:
            print(f"\r{label}: {k} of {total}", end="\n" if k == total else "", file=sys.stderr, flush=True)
        yield item

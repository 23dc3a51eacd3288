"""Many replicates of one computation, kept in a folder as they finish: a run that was interrupted or killed goes on where it was.

A replicate is a pure function of its number: whatever is random in it comes from a seed made of that number. It can then run in any order,
on any number of threads or machines, now or after an interruption, and the result is the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from bayes.errors import CacheWarning, warn_user
from bayes.executors import Executor, mapped
from bayes.progress import counted
from bayes.validation import whole_number
from bayes.writing import file_path, write_whole

Replicate = dict[str, np.ndarray]
"""What one replicate gives: named arrays of numbers."""

SAVE_EVERY = 2.0
"""Seconds of work that a killed run may lose."""

_ORDER = "replicate"
_COMPUTE = ("numpy", "scipy", "jax", "jaxlib", "highspy")
"""Packages whose next version may give other last digits."""


@dataclass(frozen=True)
class Record:
    """Where finished replicates of one computation are kept: a folder of its own, named by what determines the numbers.

    Attributes
    ----------
    folder : Path
        Each file in it holds consecutive replicates as arrays, without pickled objects. Delete it to free the space.
    """

    folder: Path

    @classmethod
    def of(cls, resume: str | Path | None, kind: str, determined_by: Any, *arrays: np.ndarray) -> Record | None:
        """The record inside the folder that a user gave (None: no record). ``determined_by`` is JSON-ready and, with the arrays, holds all
        that the numbers depend on (data, options, seed); versions of what computes them are added. A change of any starts another
        record, so that no stale number returns.

        Raises :class:`OutputFileError` before any work where the folder cannot be written.
        """
        if resume is None:
            return None
        from bayes import __version__

        used = [__version__, *(f"{name} {metadata.version(name)}" for name in _COMPUTE)]
        words = json.dumps([kind, determined_by, used], sort_keys=True, default=lambda value: value.item())
        digest = hashlib.blake2b(words.encode(), digest_size=12)
        for array in arrays:
            array = np.ascontiguousarray(array)
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(array.tobytes())
        folder = file_path(resume) / f"{kind}-{digest.hexdigest()}"
        write_whole(folder / "started", b"", "the record of replicates")
        return cls(folder)

    def finished(self, n: int) -> dict[int, Replicate]:
        """Replicates 0 … n − 1 that are kept. A damaged file is deleted with a :class:`CacheWarning`, its replicates are done again."""
        found: dict[int, Replicate] = {}
        for file in sorted(self.folder.glob("*.npz")):
            try:
                content = file.read_bytes()
            except OSError as error:
                warn_user(f"{file} cannot be read ({error}); its replicates are computed again.", CacheWarning)
                continue
            try:
                with np.load(BytesIO(content), allow_pickle=False) as stored:
                    arrays = {name: stored[name] for name in stored.files}
                numbers = arrays.pop(_ORDER).tolist()
                part = {k: {name: array[j] for name, array in arrays.items()} for j, k in enumerate(numbers) if k < n}
            except (OSError, ValueError, KeyError, IndexError, EOFError, AttributeError, zipfile.BadZipFile) as error:
                warn_user(f"{file} is damaged ({type(error).__name__}); its replicates are computed again.", CacheWarning)
                file.unlink(missing_ok=True)
                continue
            found |= part
        return found

    def keep(self, replicates: Mapping[int, Replicate]) -> None:
        """Write replicates with arrays of the same shapes together, each file whole or not at all. Two writers never share a name."""
        groups: dict[Any, list[int]] = {}
        for k, replicate in replicates.items():
            groups.setdefault(tuple((name, np.shape(array)) for name, array in replicate.items()), []).append(k)
        for numbers in groups.values():
            arrays = {name: np.stack([replicates[k][name] for k in numbers]) for name in replicates[numbers[0]]}
            content = BytesIO()
            np.savez(content, **{_ORDER: np.array(numbers)}, **arrays)
            name = f"{min(numbers):09d}-{max(numbers):09d}-{os.urandom(4).hex()}.npz"
            write_whole(self.folder / name, content.getvalue(), "finished replicates")


def run_replicates(
    function: Callable[[int], Replicate], n: int, record: Record | None = None, cores: int | None = None, progress: bool | None = None,
    label: str = "Replicates", executor: Executor | None = None, at_a_time: int = 1,
) -> list[Replicate]:  # fmt: skip
    """``[function(0), …, function(n − 1)]``, those in the record read and not computed again.

    Parameters
    ----------
    function : callable
        From the number of a replicate to named arrays of numbers; pure, safe to call from several threads. For an executor a
        ``bayes.executors.Portable``.
    n : int
        Number of replicates.
    record : Record, optional
        Where finished replicates are kept. Without it they live in memory only.
    cores : int, optional
        Replicates at a time (default: all cores). Results do not depend on it.
    progress : bool, optional
        Count aloud; by default on a terminal only.
    label : str
        What is counted.
    executor : Executor, optional
        Computes in the place of this process, ``at_a_time`` replicates in one piece of work.

    Raises
    ------
    OutputFileError
        The record cannot be written. What the function raises comes through, after what is finished has been kept.
    """
    done = {} if record is None else record.finished(n)
    todo = [k for k in range(n) if k not in done]
    unsaved: dict[int, Replicate] = {}
    saved = time.monotonic()
    found = in_order(function, todo, cores) if executor is None else mapped(executor, function, todo, at_a_time)
    try:
        for k, replicate in counted(zip(todo, found, strict=True), len(todo), label, progress):
            done[k] = {name: np.asarray(array) for name, array in replicate.items()}
            unsaved[k] = done[k]
            if record is not None and time.monotonic() - saved >= SAVE_EVERY:
                record.keep(unsaved)
                unsaved, saved = {}, time.monotonic()
    finally:
        found.close()
        if record is not None and unsaved:
            record.keep(unsaved)
    return [done[k] for k in range(n)]


def in_order[Result](function: Callable[[int], Result], numbers: Sequence[int], cores: int | None = None) -> Iterator[Result]:
    """Results in the order of the numbers, on as many threads as cores; what has not begun when the caller stops is never begun."""
    pool = ThreadPoolExecutor((os.cpu_count() or 1) if cores is None else whole_number("cores", cores, 1))
    try:
        yield from pool.map(function, numbers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

"""Compiled code kept on disk: a second process that needs the same program reads it instead of compiling it again.

JAX keys what it stores by the program, the versions and the processor, so a file that does not fit is never used. ``BAYES_CACHE`` names
the folder; ``BAYES_CACHE=off`` keeps nothing; without it the folder is ``bayes/compiled`` where the operating system keeps caches.
"""

from __future__ import annotations

import contextlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

VARIABLE = "BAYES_CACHE"
_OFF = ("off", "no", "none", "0", "false")
_LARGEST = 2**30
"""Bytes that the folder may take: what has not been used for longest is deleted first."""
_LEAST_SECONDS = 0.05
"""What compiles faster is not worth a file."""

_chosen: dict[str, Path | None] = {}


def cache_folder() -> Path | None:
    """Folder of compiled programs by ``BAYES_CACHE``; None where it is off or there is no home to put it in."""
    word = os.environ.get(VARIABLE, "").strip()
    if word.lower() in _OFF:
        return None
    if word:
        return Path(word).expanduser() / "compiled"
    with contextlib.suppress(RuntimeError, OSError):
        return _user_caches() / "bayes" / "compiled"
    return None


def _user_caches() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def keep_compiled_programs() -> Path | None:
    """Tell JAX to read and write compiled programs in :func:`cache_folder`; a no-op when that has not changed since the last call.

    A folder that cannot be written is left alone, and programs are then compiled in every process: the numbers are the same. A cache that
    was configured by other means (``JAX_COMPILATION_CACHE_DIR``, ``jax.config``) is left as it is. Returns the folder in use, or None.
    """
    import jax

    folder = cache_folder()
    if "asked" in _chosen and _chosen["asked"] == folder:
        return _chosen["used"]
    current = jax.config.jax_compilation_cache_dir
    if current and Path(current) != _chosen.get("used"):
        return Path(current)
    used = folder if folder is not None and _is_writable(folder) else None
    _use(used)
    _chosen.update(asked=folder, used=used)
    return used


def _use(folder: Path | None) -> None:
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    jax.config.update("jax_compilation_cache_dir", None if folder is None else str(folder))
    if folder is not None:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        # With a size limit JAX takes a lock around every read and write, so that processes that share the folder see whole files only.
        jax.config.update("jax_compilation_cache_max_size", _LARGEST if find_spec("filelock") else -1)
    compilation_cache.reset_cache()


def _is_writable(folder: Path) -> bool:
    probe = folder / f".{os.getpid()}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True

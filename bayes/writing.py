"""Files that appear whole or not at all: written under another name in the same folder, forced to the disk, and only then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from bayes.errors import BayesError, OutputFileError, SpecificationError

_NAME_KEPT = 40
"""Characters of a file's name that its temporary name repeats: with a random part it must not become too long for the folder."""


def write_whole(path: str | Path, content: bytes, what: str = "the file", error: type[BayesError] = OutputFileError) -> Path:
    """Write a temporary file, then put it in the place of ``path``; folders are made.

    Whoever reads ``path`` sees the old file or the new one. When the disk is full, the folder is read-only or the program is interrupted,
    the old file stays and nothing else is left behind (a killed process can leave its hidden ``.partial`` file).

    Parameters
    ----------
    path : str or Path
        A link is followed. What is there and is no ordinary file (a folder, a device) is refused.
    content : bytes
        All of it, made in memory: libraries that write files themselves crash or leave handles behind when the disk fills up.
    what : str
        What is written, for the message.
    error : type
        Class of the error that names the path.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    OutputFileError (or ``error``)
        The operating system refuses.
    """
    target = file_path(path)
    try:
        place = Path(os.path.realpath(target))
        _refuse_what_is_there(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.parent / f".{place.stem[:_NAME_KEPT]}.{secrets.token_hex(8)}.partial"
        try:
            temporary.write_bytes(content)
            _to_disk(temporary)
            if place.exists():
                shutil.copymode(place, temporary)
            os.replace(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)
        _to_disk(place.parent)
    except BayesError:
        raise
    except (OSError, ValueError) as reason:  # ValueError: a path with a null character
        if isinstance(reason, ValueError) and "null" not in str(reason):
            raise
        raise error(f"Cannot write {what} to {target}: {reason}. Choose a folder that exists, is writable and has space.") from reason
    return target


def write_text(path: str | Path, text: str, what: str = "the file") -> Path:
    """Text in UTF-8, through :func:`write_whole`. Half a surrogate pair, which UTF-8 does not have, becomes a question mark."""
    return write_whole(path, text.encode("utf-8", "replace"), what)


def file_path(path: object) -> Path:
    """The path that a user gave. Raises :class:`SpecificationError` for anything that does not name a file."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise SpecificationError(f"A path to a file is expected, got {path!r}.")
    return Path(os.fsdecode(path))


def _refuse_what_is_there(place: Path) -> None:
    if place.exists() and not place.is_file():
        raise OSError("something that is no ordinary file is there")
    if place.exists() and not os.access(place, os.W_OK):
        raise PermissionError("the file there is read-only")


def _to_disk(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk; where a system has no such call for folders, that is left to it."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

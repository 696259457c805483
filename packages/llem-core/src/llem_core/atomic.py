"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: Path, content: bytes | Iterable[bytes]) -> Path:
    """Write a file so that a crash or a full disk leaves the old one, or none, in its place.

    The content goes to a temporary file in the same folder, is flushed to the disk, and takes
    the name in one step (``os.replace``); then the folder itself is flushed.

    Args:
        path: where the file shall stand; its folder must exist.
        content: all of the file, or its parts in order, which are written as they come.

    Returns:
        ``path``.

    Raises:
        OSError: the file could not be written; nothing is left behind.
    """
    descriptor, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            # mkstemp makes files that only their owner reads; results are ordinary files.
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    _flush_folder(path.parent)
    return path


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _flush_folder(folder: Path) -> None:
    # Some file systems cannot flush a folder; the file itself is safe by then.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

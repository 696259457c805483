"""A shared file system as another node sees it: late, in part, and with holes."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path


class LateFiles:
    """Shows each file as it was some time ago; give ``read`` to what reads.

    What the test does to files takes effect here ``delay_s`` after it has told ``note``.

    Args:
        folder: what is watched.
        clock: time (s).
        delay_s: how late everything appears (s).
        holes: whether the part of a file that has not arrived reads as zero bytes.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], float], delay_s: float, *, holes: bool = False
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._delay_s = delay_s
        self._holes = holes
        self._versions: list[tuple[float, dict[Path, bytes]]] = [(float("-inf"), {})]

    def note(self) -> None:
        """What the folder holds now is what will be seen of this moment."""
        content = {p: p.read_bytes() for p in self._folder.rglob("*") if p.is_file()}
        self._versions.append((self._clock(), content))

    def read(self, path: Path, offset: int) -> bytes:
        """As ``read_from``, of what has arrived."""
        arrived_s = self._clock() - self._delay_s
        content = [files for noted_s, files in self._versions if noted_s <= arrived_s][-1]
        if path not in content:
            raise OSError(errno.ENOENT, "it has not arrived")
        seen = content[path]
        if self._holes:
            newest = self._versions[-1][1].get(path, seen)
            seen += bytes(len(newest) - len(seen))
        return seen[offset:]

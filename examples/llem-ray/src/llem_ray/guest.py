"""Keeps what Ray does to the program that it is a guest of within bounds.

Importing and starting Ray replaces the handler of SIGTERM, by which a study is ended in good order,
and the exception hook, and adds a folder of its own packages to ``sys.path``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

_PACKAGES = f"{os.sep}ray{os.sep}thirdparty_files"


@contextlib.contextmanager
def as_it_was() -> Iterator[None]:
    """After the block, signal handlers, exception hook and environment are as before it.

    Ray's own variables stay, as it reads them later.
    """
    hook, before = sys.excepthook, dict(os.environ)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        sys.excepthook = hook
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(signal.SIGTERM, handler)
        for name in set(os.environ) - set(before):
            if not name.startswith("RAY_"):
                del os.environ[name]


class Packages:
    """Ray's own packages, which it adds to ``sys.path`` when it is imported.

    They are there while Ray is used, and no longer; where the program had imported Ray before,
    they stay.

    Args:
        before: ``sys.path`` before Ray was imported.
    """

    def __init__(self, before: list[str]) -> None:
        self._own = [path for path in sys.path if path not in before and _PACKAGES in path]
        self._added: list[str] = []
        self._remove(self._own)

    def give(self) -> None:
        """Put them back, for as long as Ray is used."""
        self._added = [path for path in self._own if path not in sys.path]
        sys.path.extend(self._added)

    def take(self) -> None:
        """Take out what was put back."""
        self._remove(self._added)
        self._added = []

    @staticmethod
    def _remove(paths: list[str]) -> None:
        sys.path[:] = [path for path in sys.path if path not in paths]

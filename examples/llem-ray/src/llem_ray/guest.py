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


def take_packages() -> list[str]:
    """Take Ray's own packages out of ``sys.path``; gives what was taken."""
    taken = [path for path in sys.path if _PACKAGES in path]
    sys.path[:] = [path for path in sys.path if path not in taken]
    return taken


def give_packages(taken: list[str]) -> None:
    """Put them back, for as long as Ray is used."""
    sys.path.extend(path for path in taken if path not in sys.path)

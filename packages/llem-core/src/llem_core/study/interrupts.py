"""Ctrl+C, SIGTERM and SIGHUP while a study runs: they end it, and leave its state true."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

_ENDING: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Within the block these signals raise ``KeyboardInterrupt``, but not everywhere.

    - In a shielded part a signal waits until the part is over.
    - After a first signal, a second one waits until the next shielded part is over: so the code
      that clears up after the first is not interrupted before it has begun.
    - Where the program has a handler of its own, that handler is called instead.
    - A signal that would have ended the process at once ends it after the block.
    - Outside the main thread nothing happens, as Python has no signals there.

    Attributes:
        number: the signal that was acted on last; ``None`` until there was one.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}
        self._shields = 0
        self._leaving = False
        self._waiting: int | None = None
        self._fatal: int | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                self._before[number] = signal.getsignal(number)
            for number, handler in self._before.items():
                if handler is not signal.SIG_IGN:
                    signal.signal(number, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            if handler is not None:  # a handler that Python did not set cannot be put back
                signal.signal(number, handler)
        for waited in (self._fatal, self._waiting):
            if waited is not None:
                signal.raise_signal(waited)

    @contextlib.contextmanager
    def shielded(self) -> Iterator[None]:
        """Within the block signals wait until its end."""
        self._shields += 1
        self._leaving = False
        try:
            yield
        finally:
            self._shields -= 1
            if not self._shields and self._waiting is not None:
                number, self._waiting = self._waiting, None
                self._act(number, None)

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Within the block, which follows a first signal, a second one is acted on at once."""
        self._leaving = False
        try:
            yield
        finally:
            self._leaving = True

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._shields or self._leaving:
            self._waiting = number
        else:
            self._act(number, frame)

    def _act(self, number: int, frame: FrameType | None) -> None:
        before = self._before[number]
        self.number = number
        self._leaving = True
        if callable(before):
            before(number, frame)
            self._leaving = False
            return
        self._fatal = number
        raise KeyboardInterrupt

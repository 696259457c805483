"""Ctrl+C and SIGTERM, remembered even where a library swallows or disguises them."""

from __future__ import annotations

import signal
import sys
from types import FrameType

# Nothing heavier is imported here: what comes before `catch` is not covered by it.
_CAUGHT = (signal.SIGINT, signal.SIGTERM)
_AGAIN_S = 0.01


class Interruption:
    """Notes the signal that asked this process to end.

    A ``KeyboardInterrupt`` that is raised while a library is being imported may come out as an
    ``ImportError``, or not at all; ``number`` stays. One that hits a finaliser is dropped by
    Python; it is raised again a moment later.

    Attributes:
        number: the signal; ``None`` until there was one.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._caught: list[int] = []

    def catch(self) -> None:
        """From now on, both signals raise ``KeyboardInterrupt``; for the main thread only.

        One that the parent has had ignored stays ignored: a shell does that for ``llem run … &``
        in a script.
        """
        for number in _CAUGHT:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)
                self._caught.append(number)
        signal.signal(signal.SIGALRM, self._again)
        sys.unraisablehook = self._unraisable

    def release(self) -> None:
        """From now on, both signals end the process at once and without a word.

        For the very end of the program, when everything is written.
        """
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in self._caught:
            signal.signal(number, signal.SIG_DFL)

    def raise_if_any(self) -> None:
        """Raise ``KeyboardInterrupt`` if there was a signal that somebody swallowed."""
        if self.number is not None:
            raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        """What a shell gives for a process that this signal ended: 130 or 143."""
        return 128 + (self.number or signal.SIGINT)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.number = number
        raise KeyboardInterrupt

    def _again(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    def _unraisable(self, event: sys.UnraisableHookArgs) -> None:
        if self.number is None or not issubclass(event.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(event)
            return
        # From a timer, as an exception raised in here would be dropped as well.
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)

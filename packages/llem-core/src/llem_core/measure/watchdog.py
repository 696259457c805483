"""Ends a run whose engine has died, or whose time is over, even while a call never returns.

A thread waits for either, asleep in the kernel, and then interrupts the thread that measures.
It costs nothing in a measured window, and it is not started where there is nothing to wait for.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from llem_core.errors import BackendError, ExperimentError, LLEMError
from llem_core.events import Event, Listener
from llem_core.processes.guard import death_of
from llem_core.processes.output import describe_exit

AGAIN_S = 30.0
"""How long clearing up may take before it is interrupted as well (s)."""
_REPEAT_S = 2.0
"""An interrupt may fall into a callback of Python's that drops it, so it comes again (s)."""
_LONGEST_POLL_MS = 3_600_000.0
"""The kernel takes no more than 2^31 ms, and a limit may be a year."""
_DYING_S = 0.5
"""Longest from the moment at which a process closes its connections to its end (s)."""
_SIGNAL = signal.SIGURG
"""Interrupts a waiting system call; ignored by a process that does not expect it."""


class _Stopped(BaseException):
    """Passes through engines that catch every ``Exception``; leaves this module as its reason."""


class Watchdog:
    """Watches one run; see ``watched``."""

    def __init__(self, limit_s: float | None) -> None:
        self._limit_s = limit_s
        self._deadline_s = None if limit_s is None else time.monotonic() + limit_s
        self._deaths: dict[int, int] = {}
        self._output: Callable[[], str] = str
        self._main = threading.current_thread() is threading.main_thread()
        self._thread_id = threading.get_ident()
        self._before: object = None
        self._watcher: threading.Thread | None = None
        self._wake: tuple[int, int] | None = None
        self._held = 0
        self._patient_until_s = 0.0
        self._over = False
        self._due = False
        self.reason: LLEMError | None = None

    def watch(self, process_ids: Sequence[int], output: Callable[[], str]) -> None:
        """The run fails from here on when one of these processes ends.

        Args:
            process_ids: processes of the engine.
            output: the end of what they printed, for the message.

        Raises:
            BackendError: one has ended already.
        """
        self._output = output
        deaths = {pid: death for pid in process_ids if (death := death_of(pid)) is not None}
        self._deaths = deaths
        for pid in process_ids:
            if pid not in deaths and not _exists(pid):
                raise BackendError(self._describe(pid, None))
        if deaths:
            self._start()

    def release(self, *, failed: bool = False) -> None:
        """The engine is about to be ended on purpose: its processes may end now.

        What clears up is not interrupted, but after ``AGAIN_S`` seconds.

        Args:
            failed: whether the engine has just failed, as it does shortly before the end of a
                process is known.
        """
        self._find_dead(_DYING_S if failed else 0.0)
        self._patient_until_s = time.monotonic() + AGAIN_S
        deaths, self._deaths = self._deaths, {}
        self._wake_up()
        for descriptor in deaths.values():
            os.close(descriptor)

    def shielding(self, listener: Listener) -> Listener:
        """The listener, never interrupted in the middle: a message that is half sent is none."""

        def tell(event: Event) -> None:
            self._held += 1
            try:
                listener(event)
            finally:
                self._held -= 1
            if self._due and not self._held:
                self._due = False
                raise _Stopped

        return tell

    def begin(self) -> None:
        """Count the time from here on."""
        if self._deadline_s is not None:
            self._start()

    def end(self) -> None:
        """Interrupt no more."""
        self._over = True
        self._wake_up()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        for descriptor in (*self._deaths.values(), *(self._wake or ())):
            os.close(descriptor)
        self._deaths, self._wake = {}, None
        if self._before is not None:
            signal.signal(_SIGNAL, self._before)  # type: ignore[arg-type]
            self._before = None
        if not self._main:
            _raise_in(self._thread_id, None)

    def _start(self) -> None:
        if self._watcher is not None:
            self._wake_up()  # it looks at the new processes too
            return
        if self._main:
            self._before = signal.signal(_SIGNAL, self._interrupted)
        self._wake = os.pipe()
        self._watcher = threading.Thread(target=self._wait, name="llem-run-watch", daemon=True)
        self._watcher.start()

    def _wait(self) -> None:
        assert self._wake is not None
        reader = self._wake[0]
        while not self._over and self.reason is None:
            poll = select.poll()
            for descriptor in (reader, *self._deaths.values()):
                with contextlib.suppress(ValueError):
                    poll.register(descriptor, select.POLLIN)
            left_ms = self._left_ms()
            ready = dict(poll.poll(None if left_ms is None else min(left_ms, _LONGEST_POLL_MS)))
            if reader in ready:
                os.read(reader, 1)
                continue
            self._note(ready)
            if self.reason is None and self._deadline_s is not None and not self._left_ms():
                self.reason = ExperimentError(
                    f"the experiment was not done after {self._limit_s:g} s and was ended; raise "
                    "execution.experiment_timeout_seconds, or make it smaller"
                )
        while not self._over:
            self._interrupt()
            poll = select.poll()
            poll.register(reader, select.POLLIN)
            if poll.poll(1000 * _REPEAT_S):
                os.read(reader, 1)

    def _find_dead(self, wait_s: float) -> None:
        """Note a process that has just ended, where the watcher has not yet been there."""
        if self.reason is None and self._deaths:
            poll = select.poll()
            for descriptor in self._deaths.values():
                poll.register(descriptor, select.POLLIN)
            self._note(dict(poll.poll(1000 * wait_s)))

    def _note(self, ready: dict[int, int]) -> None:
        for pid, descriptor in list(self._deaths.items()):
            if descriptor in ready and self.reason is None:
                self.reason = BackendError(self._describe(pid, descriptor))

    def _describe(self, pid: int, descriptor: int | None) -> str:
        how = describe_exit(None if descriptor is None else _exit_code(descriptor))
        # A backend is foreign code and may raise anything.
        with contextlib.suppress(Exception):
            if tail := self._output().strip():
                return f"the engine's process {pid} {how}; the end of what it printed:\n{tail}"
        return f"the engine's process {pid} {how} in the middle of the run"

    def _left_ms(self) -> float | None:
        if self._deadline_s is None:
            return None
        return max(0.0, 1000 * (self._deadline_s - time.monotonic()))

    def _wake_up(self) -> None:
        if self._wake is not None:
            os.write(self._wake[1], b".")

    def _interrupt(self) -> None:
        if self._main:
            signal.pthread_kill(self._thread_id, _SIGNAL)
        elif time.monotonic() >= self._patient_until_s:
            self._be_patient_again()
            _raise_in(self._thread_id, _Stopped)

    def _be_patient_again(self) -> None:
        """Once clearing up has begun, it is interrupted no more often than its patience says."""
        if self._patient_until_s:
            self._patient_until_s = time.monotonic() + AGAIN_S

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._over or self.reason is None or time.monotonic() < self._patient_until_s:
            return
        if self._held:
            self._due = True
            return
        self._be_patient_again()
        raise _Stopped


@contextlib.contextmanager
def watched(limit_s: float | None) -> Iterator[Watchdog]:
    """Within the block, a run ends with an error when its time is over or its engine dies.

    In the main thread the error comes at once, even out of a call that waits for ever; in
    another one as soon as Python code runs in it. A library that never returns to Python is out
    of reach.

    Args:
        limit_s: how long the block may take (s); as long as it likes if ``None``.

    Raises:
        ExperimentError: the time is over.
        BackendError: a process of the engine ended; the message says which one and how.
    """
    watchdog = Watchdog(limit_s)
    try:
        try:
            watchdog.begin()
            yield watchdog
        finally:
            watchdog.release()
            watchdog.end()
    except _Stopped:
        watchdog.end()
        assert watchdog.reason is not None
        raise watchdog.reason from None
    except Exception as error:
        # What the engine says of its own death is less than what is known here.
        if watchdog.reason is None:
            raise
        raise watchdog.reason from error
    if watchdog.reason is not None:
        raise watchdog.reason


def _exit_code(descriptor: int) -> int | None:
    """Exit code of a child that has ended, which stays to be waited for by its owner."""
    try:
        ended = os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (AttributeError, OSError):  # another process's child, or waited for already
        return None
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _raise_in(thread_id: int, kind: type[BaseException] | None) -> None:
    """Raise in a thread when it next runs Python code; ``None`` takes that back."""
    given = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), given)

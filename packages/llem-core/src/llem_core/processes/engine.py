"""A program that a backend runs: started, watched, and ended with everything that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from llem_core.errors import BackendError
from llem_core.processes import guard
from llem_core.processes.output import CapturedOutput, describe_exit

_POLL_S = 0.05


class EngineProcess:
    """A server, or another program that computes for a backend, from its start to its end.

    It gets a session of its own, so that Ctrl+C in a terminal does not reach it, and it is
    killed with everything that it started as soon as this process has ended, even by SIGKILL.

    Args:
        command: program and arguments.
        name: what messages call it, such as ``vLLM's server``.
        environment: variables set for it, over those of this process.
        log: file for what it prints; an unnamed temporary one if not given.
        grace_s: time that it may take to end when it is told to (s).
        hidden: secrets that it may print; see ``CapturedOutput``.

    Raises:
        BackendError: it cannot be started.

    Attributes:
        pid: its process id, for ``ModelInfo.process_ids``.
        output: what it prints.

    Example::

        server = EngineProcess(["sleep", "60"], "the server")
        server.wait_until(lambda: True, timeout_s=10)
        assert server.is_alive()
        server.end()
    """

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        grace_s: float = 10.0,
        hidden: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._grace_s = grace_s
        worker = os.environ.get(guard.MARKER, "")
        # In a study's worker the study's own guard finds it: its token goes on there.
        self._token = f"{worker}{uuid.uuid4().hex}."
        self._guard = None if worker else guard.start_guard(self._token)
        self.output = CapturedOutput(log, hidden)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the backend names the command
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=self.output.fileno(),
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {}), guard.MARKER: self._token},
                start_new_session=True,
            )
        except OSError as error:
            self._free()
            raise BackendError(
                f"{name} cannot be started: {command[0]}: {error.strerror}"
            ) from error
        self.pid = self._process.pid

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._exit_code() is None

    def check(self, wait_s: float = 0.0) -> None:
        """Return if it runs.

        Args:
            wait_s: how long to wait for its end, which may be near (s): a process that dies
                closes its connections first.

        Raises:
            BackendError: it has ended; the message says how, and the end of what it printed.
        """
        if wait_s:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(wait_s)
        code = self._exit_code()
        if code is not None:
            raise BackendError(self.describe(describe_exit(code)))

    def wait_until(
        self, ready: Callable[[], bool], timeout_s: float, poll_s: float = _POLL_S
    ) -> None:
        """Wait until it is ready for work.

        Args:
            ready: asks it; called again and again, and expected to answer within a second.
            timeout_s: how long that may take (s).
            poll_s: pause between two calls (s).

        Raises:
            BackendError: it ended, or it is not ready in time; the process still runs then.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            self.check()
            if ready():
                return
            if time.monotonic() >= deadline_s:
                raise BackendError(self.describe(f"was not ready after {timeout_s:g} s"))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(poll_s)

    def describe(self, what: str) -> str:
        """A sentence on it for an error, with the end of what it printed."""
        tail = self.output.tail()
        printed = f"the end of what it printed:\n{tail}" if tail else "it printed nothing"
        where = f" (all of it is in {self.output.log})" if tail and self.output.log else ""
        return f"{self.name} (process {self._process.pid}) {what}; {printed}{where}"

    def end(self) -> None:
        """End it and everything that it started: SIGTERM, then SIGKILL after the grace.

        Harmless when it has ended; nothing of it is alive afterwards.
        """
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace_s)
        guard.kill_all(self._token)
        if self.is_alive():  # a system without /proc
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._free()

    def _exit_code(self) -> int | None:
        """How it ended, if it did; it is left to be waited for, as others look at it too."""
        if self._process.returncode is not None:
            return self._process.returncode
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except (AttributeError, OSError):  # another system
            return self._process.poll()
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def _free(self) -> None:
        ended, self._guard = self._guard, None
        if ended is not None:
            with contextlib.suppress(OSError):
                ended.communicate()
        self.output.close()

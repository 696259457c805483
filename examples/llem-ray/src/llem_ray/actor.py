"""What runs on a node: an actor that starts the worker of core, and keeps what it says."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping

from llem_core.processes import describe_exit, guard

_GRACE_S = 30.0


class RunActor:
    """One run on this node. It is not the process that is measured, and sleeps meanwhile.

    Args:
        task: the task, as one message.
        environment: variables of the study's process, which its runs have too.
        directory: the study's working directory.
        gpus: GPUs that Ray has given this actor; their variable wins over the study's.
        place: name and id of this node.
    """

    def __init__(
        self,
        task: bytes,
        environment: Mapping[str, str],
        directory: str,
        gpus: int,
        place: tuple[str, str],
    ) -> None:
        self._task = task
        self._place = place
        self._lines: list[bytes] = []
        self._ended: str | None = None
        self._heard = threading.Condition()
        self._token = f"{uuid.uuid4().hex}."
        variables = {**environment, guard.MARKER: self._token}
        if gpus:
            variables["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        # It outlives this actor, which Ray may end by SIGKILL.
        self._guard = guard.start_guard(self._token)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "llem_core.study.launch.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=variables,
            cwd=directory if os.path.isdir(directory) else None,  # noqa: PTH112
            start_new_session=True,
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead already, which is found out
            self._process.stdin.write(task)
            self._process.stdin.close()
        threading.Thread(target=self._read, daemon=True).start()

    def about(self) -> tuple[bytes, str, str]:
        """The task that it was started with, and its node's name and id."""
        return self._task, *self._place

    def take(self, after: int, timeout_s: float) -> tuple[list[bytes], str | None]:
        """Messages from the one numbered ``after`` on, and how the process ended.

        Waits until there is one, until the process has ended, or for so long (s).
        """
        with self._heard:
            self._heard.wait_for(
                lambda: len(self._lines) > after or self._ended is not None, timeout_s
            )
            return self._lines[after:], self._ended

    def stop(self) -> None:
        """End the run with everything that it has started."""
        guard.kill_all(self._token)
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with self._heard:
                    self._lines.append(line)
                    self._heard.notify_all()
                if b'"kind":"LaunchSuccess"' in line or b'"kind":"LaunchFailure"' in line:
                    break
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)  # what libraries do at exit must not cost the result
        guard.kill_all(self._token)
        code = self._process.wait()
        self._guard.communicate(guard.ENDED)
        with self._heard:
            self._ended = describe_exit(code)
            self._heard.notify_all()

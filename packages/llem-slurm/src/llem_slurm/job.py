"""The job: starts the worker of core on the node, and carries what it says to the mailbox.

Its process is not the one that is measured, and sleeps while nothing is said. It reads no more of a
message than its kind, so that it need not import what messages are made of.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import FrameType

from llem_core.processes import describe_exit, guard

from llem_slurm.outbox import Outbox, Started

TOLD_TO_END = "JobEnded"
"""What a run failed of that SLURM told to end; the study puts SLURM's own reason in its place."""

_GRACE_S = 30.0
_WAIT_FOR_TASK_S = 120.0
_CHUNK = 1 << 16
_RESULTS = frozenset({"LaunchSuccess", "LaunchFailure"})


def run(mailbox: str) -> None:
    """Take the task of a mailbox, run it, and say how it ended.

    Args:
        mailbox: its folder.
    """
    told = _Told()
    outbox = Outbox(Path(mailbox))
    try:
        task = _task(outbox)
        log = _log_path(task)
    except (OSError, ValueError) as error:
        outbox.end(_failure("PreFlightError", f"the job cannot read its task: {error}"))
        return
    job_id = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID", "")
    index = os.environ.get("SLURM_ARRAY_TASK_ID")
    node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    worker = _Worker(task, log, told)
    outbox.start(Started(node, f"{job_id}_{index}" if index else job_id, os.getpid()))
    outbox.end(worker.follow(outbox))


class _Told:
    """Whether SLURM has told this job to end; from its making on, nothing else ends it."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self.by: signal.Signals | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note)
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT):
            signal.signal(number, signal.SIG_IGN)

    def fileno(self) -> int:
        """Becomes readable when it was told."""
        return self._reader

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.by = signal.Signals(number)
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")


class _Worker:
    """The worker's process on this node."""

    def __init__(self, task: bytes, log: Path, told: _Told) -> None:
        self._told = told
        self._log = log
        self._token = f"{uuid.uuid4().hex}."
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
        printed = os.open(log, flags, 0o666)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "llem_core.study.launch.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                start_new_session=True,
                env={**os.environ, guard.MARKER: self._token},
            )
        finally:
            os.close(printed)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead already, which is found out
            self._process.stdin.write(task)
            self._process.stdin.close()

    def follow(self, outbox: Outbox) -> bytes:
        """Carry its events until it has ended; nothing of it is alive afterwards.

        Returns:
            How it ended, as one message.
        """
        result: bytes | None = None
        rest = b""
        while result is None:
            chunk = self._heard()
            if not chunk:
                break
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            events = []
            for line in lines.splitlines() if newline else ():
                if _kind(line) in _RESULTS:
                    result = line + b"\n"
                else:
                    events.append(line + b"\n")
            if events:
                outbox.append(b"".join(events))
        return self._end(result)

    def _heard(self) -> bytes:
        """What the worker says next; nothing when it is over, or the job is."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        told = self._told.fileno()
        ready, _, _ = select.select([pipe, told], [], [])
        return b"" if told in ready else os.read(pipe, _CHUNK)

    def _end(self, result: bytes | None) -> bytes:
        if result is not None or self._told.by is None:
            # What libraries do at exit must not cost the result.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
        guard.kill_all(self._token)
        code = self._process.wait()
        if result is not None:
            return result
        seen = f"; what it printed is in {self._log.name}" if self._log.stat().st_size else ""
        if self._told.by is not None:
            return _failure(TOLD_TO_END, f"the job was told to end by {self._told.by.name}{seen}")
        how = f"the worker {describe_exit(code)}, and gave no result{seen}"
        return _failure("WorkerDied", how)


def _log_path(task: bytes) -> Path:
    """Where the output of a run goes.

    Raises:
        ValueError: it is no task, or one of another version of the protocol; says which.
    """
    try:
        content = json.loads(task)
        return Path(content["directory"]) / f"{content['folder']}.log"
    except (KeyError, TypeError, ValueError):
        from llem_core.contracts import decode

        decode(task)
        raise


def _kind(line: bytes) -> str | None:
    """What kind of message a line is; ``None`` for what is none, which the study tells."""
    try:
        return str(json.loads(line)["kind"])
    except (ValueError, KeyError, TypeError):
        return None


def _failure(error_type: str, message: str) -> bytes:
    from llem_core.contracts import LaunchFailure, encode

    return encode(LaunchFailure(error_type, message))


def _task(outbox: Outbox) -> bytes:
    """The task; waits for it where the file system shows it late."""
    deadline_s = time.monotonic() + _WAIT_FOR_TASK_S
    while True:
        try:
            return outbox.task()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
        time.sleep(0.5)

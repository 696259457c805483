"""Runs the steps one after the other within a deadline, each so that it cannot cost the others.

The steps run in a process of their own, the worker. One that raises is a line in the log, and the
next one begins in a fresh worker, since a broken CUDA context would fail it too; one that takes
too long is cut by killing the worker; one that no longer fits is skipped. Only the standard
library is used here.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gpu_session.log import Log

Status = Literal["done", "failed", "cut", "skipped"]
OVERRUN = 1.5
"""A step is cut at this many times its planned length, or at the deadline."""
_KILLED_S = 5.0
"""A process within the driver may not die at once; it is waited for no longer than this."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: module of ``gpu_session.steps`` whose ``run`` it is.
        planned_s: how long it should take (s).
        least_s: with less time than this it is not begun (s).
    """

    name: str
    planned_s: float
    least_s: float


@dataclass(slots=True)
class Outcome:
    """What became of a step.

    Attributes:
        status: what.
        reason: why, where it is not ``done``.
        facts: what it noted, by name; of one that was cut, what it noted until then.
    """

    status: Status
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


_ENDED = "the session was ended"


class Worker:
    """The process that runs steps.

    Args:
        command: its command line; it reads orders from its input and answers on its output,
            a line of JSON each.
        errors: file that its error output is appended to.
    """

    def __init__(self, command: Sequence[str], errors: Path) -> None:
        self._errors = errors
        with errors.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                # What a step starts, such as pytest, is then killed with it.
                start_new_session=True,
            )
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def run(self, name: str, limit_s: float) -> Outcome:
        """Run one step for ``limit_s`` at the most."""
        outcome = Outcome("done")
        until_s = time.monotonic() + limit_s
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"step": name, "limit_s": limit_s}) + "\n")
            self._process.stdin.flush()
        except OSError:
            return self._died(outcome)
        while True:
            try:
                answer = self._answers.get(timeout=max(until_s - time.monotonic(), 0))
            except queue.Empty:
                self.kill()
                outcome.status, outcome.reason = "cut", f"not done after {limit_s:.0f} s"
                return outcome
            if answer is None:
                return self._died(outcome)
            if "end" in answer:
                outcome.status, outcome.reason = answer["end"], answer.get("reason", "")
                return outcome
            outcome.facts |= answer

    def kill(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILLED_S)
        self._listener.join(_KILLED_S)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                self._answers.put(json.loads(line))
        self._answers.put(None)

    def _died(self, outcome: Outcome) -> Outcome:
        self.kill()
        tail = self._errors.read_text(encoding="utf-8", errors="replace").strip()[-1500:]
        outcome.status = "failed"
        outcome.reason = f"the process ended with {self._process.returncode}: {tail or 'silent'}"
        return outcome


def run_steps(
    steps: Sequence[Step],
    start_worker: Callable[[], Worker],
    log: Log,
    left_s: Callable[[], float],
    say: Callable[[str], None] = print,
) -> dict[str, Status]:
    """Run steps in order and log each as it ends.

    Args:
        steps: what to run.
        start_worker: starts a fresh worker.
        log: is appended one line a step to.
        left_s: time until the deadline (s).
        say: is told of each step as it ends.

    Returns:
        Name to what became of it.
    """
    worker: Worker | None = None
    statuses: dict[str, Status] = {}
    waiting = [step.name for step in steps]
    running = False
    try:
        for step in steps:
            started_s, left = time.monotonic(), left_s()
            outcome = Outcome("cut", _ENDED)
            running = True
            try:
                if left < step.least_s:
                    reason = f"it takes {step.least_s:.0f} s and {max(left, 0):.0f} s were left"
                    outcome = Outcome("skipped", reason)
                else:
                    worker = worker or start_worker()
                    outcome = worker.run(step.name, min(left, OVERRUN * step.planned_s))
            finally:
                # Also where the session is told to end: what was running is on the disk then.
                if outcome.status in {"failed", "cut"} and worker is not None:
                    worker.kill()
                    worker = None
                took_s = time.monotonic() - started_s
                log.append(_record(step.name, outcome, took_s, left_s()))
                waiting.remove(step.name)
            running = False
            statuses[step.name] = outcome.status
            last = (outcome.reason.strip().splitlines() or [""])[-1]
            say(f"{step.name}: {outcome.status} in {took_s:.1f} s {last}".rstrip())
    except BaseException:
        if waiting and not running:  # told to end between two steps
            log.append(_record(waiting[0], Outcome("cut", _ENDED), 0.0, left_s()))
        raise
    finally:
        if worker is not None:
            worker.kill()
    return statuses


def _record(name: str, outcome: Outcome, took_s: float, left_s: float) -> dict[str, Any]:
    return {
        "step": name,
        "status": outcome.status,
        "reason": outcome.reason,
        "took_s": round(took_s, 3),
        "left_s": round(left_s, 1),
        "facts": outcome.facts,
    }

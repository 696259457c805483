"""The conformance kit of backends: the rules of an engine with processes of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from llem_core.contracts import Batch, InferenceBackend
from llem_core.errors import BackendError
from llem_core.measure.drive.served import as_batches
from llem_core.testing.conformance.backend import BackendLife, breach_from
from llem_core.testing.conformance.backend_life import synthetic_prompts
from llem_core.testing.conformance.rules import breach, rule, skip

_POLL_S = 0.02
_ENDING_S = 10.0


@dataclass
class Death:
    """What a backend did when a process of its engine was killed.

    Attributes:
        killed: the process.
        error: what ``generate`` raised; ``None`` if it never did.
        unload_error: what ``unload`` raised afterwards, if anything.
        left: processes of the engine that were alive after it.
    """

    killed: int
    error: Exception | None = None
    unload_error: Exception | None = None
    left: tuple[int, ...] = ()


class EngineRules(BackendLife):
    """The rules of an engine whose ``ModelInfo`` names processes of its own.

    Attributes:
        death_limit_s: after which a call that has not noticed a death counts as hung (s).
    """

    death_limit_s: ClassVar[float] = 60.0
    _death: ClassVar[Death | None]

    def death(self) -> Death:
        """The recorded death; rules are skipped where the engine has no processes."""
        if not self.life().info.process_ids:
            skip("its ModelInfo names no process_ids: the engine lives in this process")
        own = type(self)
        if "_death" not in vars(own):
            with self.surroundings():
                own._death = self._die()
        assert own._death is not None
        return own._death

    def _die(self) -> Death:
        workload = self.workload()
        prompts = synthetic_prompts(workload.max_input_tokens, workload.max_output_tokens)
        backend = as_batches(self.the_spec().create(workload))
        try:
            pids = backend.load().process_ids
            death = Death(killed=pids[-1])
            batches = backend.prepare(prompts, "measured")
            death.error = _kill_in_mid_run(backend, batches, death.killed, self.death_limit_s)
        except BaseException:
            with contextlib.suppress(Exception):  # the first error is the one that matters
                backend.unload()
            raise
        try:
            backend.unload()
        except Exception as error:  # noqa: BLE001 - E2 judges it
            death.unload_error = error
        death.left = _left(pids)
        return death

    @rule(
        "E1",
        "engine-death",
        "watch the engine's process while you wait for it, as EngineProcess.check does.",
    )
    def test_e1_engine_death(self) -> None:
        """When a process that `ModelInfo.process_ids` names is killed in mid-run, `generate`
        raises `BackendError` within a minute.

        An engine that is killed for memory answers no more: without this the run waits for ever.
        """
        death = self.death()
        if death.error is None:
            breach(
                f"`generate` raised nothing in the {self.death_limit_s:g} s after process "
                f"{death.killed} was killed"
            )
        if not isinstance(death.error, BackendError):
            breach_from(f"`generate`, after process {death.killed} was killed", death.error)

    @rule(
        "E2",
        "engine-ended",
        "end every process of the engine in `unload`, whatever has become of the others.",
    )
    def test_e2_engine_ended(self) -> None:
        """After such a death `unload` raises nothing, and leaves none of the engine's processes.

        What is left holds the device's memory, and is measured with the next experiment.
        """
        death = self.death()
        if death.unload_error is not None:
            breach_from("`unload`, after a process was killed", death.unload_error)
        if death.left:
            breach(f"these processes are left: {', '.join(map(str, death.left))}")


def _kill_in_mid_run(
    backend: InferenceBackend, batches: Sequence[Batch], pid: int, limit_s: float
) -> Exception | None:
    begun, over = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def generate() -> None:
        try:
            while not over.is_set():
                for batch in batches:
                    begun.set()
                    backend.generate(batch)
                    backend.synchronise()
        except Exception as error:  # noqa: BLE001 - E1 judges it
            errors.append(error)

    thread = threading.Thread(target=generate, daemon=True)
    thread.start()
    begun.wait()
    time.sleep(_POLL_S)  # in the midst of it, if it takes that long
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    thread.join(limit_s)
    over.set()
    return errors[0] if errors else None


def _left(pids: Sequence[int]) -> tuple[int, ...]:
    """Those that are alive, after some time to end; the dead may wait for their parent."""
    deadline_s = time.monotonic() + _ENDING_S
    while (left := tuple(pid for pid in pids if _alive(pid))) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    return left


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False

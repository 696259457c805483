"""Data-parallel processes: the same engine in several processes, driven in step.

Each child runs a ``LocalEngine`` with its share of the prompts and answers one typed command
at a time over its own pipe. Raw results stay apart until they are aggregated.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.backend import ModelInfo
from llem_core.contracts.workload import Prompt
from llem_core.errors import BackendError, ConfigError, LLEMError, OutOfMemoryError
from llem_core.measure.drive.engine import LocalEngine, Services
from llem_core.measure.drive.warmup import Progress
from llem_core.processes import describe_exit
from llem_core.results.process import ProcessResult

_JOIN_S = 10.0
_GRACE_S = 3.0


class Command(StrEnum):
    """What a child can be told to do; the names of ``LocalEngine``'s methods."""

    LOAD = "load"
    PREPARE = "prepare"
    PREPARE_PREFILL = "prepare_prefill"
    WARM_UP = "warm_up"
    RUN_UNMEASURED = "run_unmeasured"
    SETTLE = "settle"
    RUN = "run"
    RUN_PREFILL = "run_prefill"
    COLLECT = "collect"
    UNLOAD = "unload"


@dataclass(frozen=True, slots=True)
class Order:
    """A command and its arguments."""

    command: Command
    arguments: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a child says when a command is done: a value, or an error's type and message."""

    value: Any = None
    error_type: str | None = None
    message: str = ""


class DataParallelEngine:
    """Runs an experiment in ``size`` processes at once; an ``Engine``.

    Args:
        config: the experiment.
        prompts: all prompts; child r of N gets every N-th from r on.
        size: number of processes.
        services: of the study; see ``Workload.services``.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        prompts: Sequence[Prompt],
        size: int,
        services: Services | None = None,
    ) -> None:
        self._services = services
        self._size = size
        self._config = config
        self._shares = [prompts[rank::size] for rank in range(size)]
        self._children: list[BaseProcess] = []
        self._pipes: list[Connection] = []

    def load(self) -> list[ModelInfo]:
        """Start the processes and load the model in each."""
        context = multiprocessing.get_context("spawn")
        for rank, share in enumerate(self._shares):
            ours, theirs = context.Pipe()
            child = context.Process(
                target=_child_main,
                args=(
                    *(theirs, os.getpid(), self._config.model_dump(), share),
                    *(rank, self._size, self._services),
                ),
                name=f"llem-rank-{rank}",
                daemon=False,
            )
            child.start()
            theirs.close()
            self._children.append(child)
            self._pipes.append(ours)
        return [info for infos in self._tell(Command.LOAD) for info in infos]

    def prepare(self) -> None:
        """Make batches in every process."""
        self._tell(Command.PREPARE)

    def prepare_prefill(self) -> None:
        """Make the batches of the prefill pass in every process."""
        self._tell(Command.PREPARE_PREFILL)

    def warm_up(self, progress: Progress) -> None:
        """Run in, all processes at once, as they will be measured."""
        del progress
        self._tell(Command.WARM_UP)

    def run_unmeasured(self) -> None:
        """One batch in every process, unmeasured."""
        self._tell(Command.RUN_UNMEASURED)

    def settle(self) -> None:
        """All processes become idle."""
        self._tell(Command.SETTLE)

    def run(self) -> None:
        """Start all processes and wait, without spinning, until the last is done."""
        self._tell(Command.RUN)

    def run_prefill(self, passes: int) -> None:
        """Prefill passes in every process, which wait for each other only after the last."""
        self._tell(Command.RUN_PREFILL, passes)

    def collect(self) -> list[ProcessResult]:
        """The raw result of every process."""
        return [
            ProcessResult.model_validate(result)
            for results in self._tell(Command.COLLECT)
            for result in results
        ]

    def output_tail(self) -> str:
        """Empty: a process that waits for its engine cannot be asked."""
        return ""

    def unload(self) -> None:
        """End the processes; those that do not end by themselves are killed."""
        pipes, self._pipes = self._pipes, []
        children, self._children = self._children, []
        for pipe in pipes:
            pipe.close()  # a child whose pipe closes ends
        for child in children:
            child.join(_GRACE_S)
            if child.is_alive():
                child.kill()
                child.join()

    def _tell(self, command: Command, *arguments: int) -> list[Any]:
        for rank, pipe in enumerate(self._pipes):
            try:
                pipe.send(Order(command, arguments))
            except OSError as error:
                raise BackendError(self._death(rank)) from error
        answers: dict[int, Answer] = {}
        while len(answers) < len(self._pipes):
            left = {pipe: rank for rank, pipe in enumerate(self._pipes) if rank not in answers}
            ready = wait(left)
            answers |= {r: self._receive(r, pipe) for pipe, r in left.items() if pipe in ready}
        return [answers[rank].value for rank in range(len(self._pipes))]

    def _receive(self, rank: int, pipe: Connection) -> Answer:
        try:
            answer = pipe.recv()
        except (EOFError, OSError) as error:
            raise BackendError(self._death(rank)) from error
        assert isinstance(answer, Answer)
        if answer.error_type is not None:
            raise _error(answer, rank)
        return answer

    def _death(self, rank: int) -> str:
        child = self._children[rank]
        child.join(_JOIN_S)
        return (
            f"process {rank} of {self._size} {describe_exit(child.exitcode)} before it was done; "
            "if it was killed for memory, lower num_processes or batch_size"
        )


def _error(answer: Answer, rank: int) -> LLEMError:
    kinds: dict[str | None, type[LLEMError]] = {
        kind.__name__: kind for kind in (OutOfMemoryError, ConfigError)
    }
    return kinds.get(answer.error_type, BackendError)(f"process {rank}: {answer.message}")


def _child_main(
    pipe: Connection,
    parent_pid: int,
    config: dict[str, Any],
    prompts: Sequence[Prompt],
    rank: int,
    size: int,
    services: Services | None,
) -> None:
    # Ctrl+C reaches the whole terminal group; the parent ends us by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent(parent_pid)
    checked = ExperimentConfig.model_validate(config)
    engine = LocalEngine(checked, prompts, rank, size, services)
    try:
        while True:
            order = pipe.recv()
            assert isinstance(order, Order)
            pipe.send(_obey(engine, order))
    except (EOFError, OSError):
        pass  # the parent closed the pipe: we are done
    finally:
        engine.unload()


def _obey(engine: LocalEngine, order: Order) -> Answer:
    try:
        if order.command is Command.WARM_UP:
            engine.warm_up(lambda *_: None)
            return Answer()
        value = getattr(engine, order.command.value)(*order.arguments)
        if order.command is Command.COLLECT:
            value = [result.model_dump() for result in value]
        return Answer(value)
    except LLEMError as error:
        return Answer(error_type=type(error).__name__, message=str(error))


def _die_with_parent(parent_pid: int) -> None:
    """End this process as soon as its parent dies, even by SIGKILL and even in mid-batch."""
    import threading

    def watch() -> None:
        wait([multiprocessing.parent_process().sentinel])  # type: ignore[union-attr]
        os._exit(1)

    if os.getppid() != parent_pid:
        os._exit(1)
    threading.Thread(target=watch, name="llem-parent-watch", daemon=True).start()

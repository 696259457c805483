"""Takes the runs of a study, one after another or as many at once as the launcher has slots."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llem_core.config.execution import ExecutionConfig
from llem_core.config.study import StudyConfig
from llem_core.contracts.launcher import Launcher, Running
from llem_core.contracts.messages import LaunchFailure, LaunchTask
from llem_core.contracts.sink import FinishedRun, FinishedStudy
from llem_core.errors import LLEMError, StudyError
from llem_core.events import Listener, StudyFailed, StudyFinished
from llem_core.results.study import StudyResult
from llem_core.study.active import ActiveRun, Unstarted
from llem_core.study.deliver import deliver_study
from llem_core.study.interrupts import Interrupts
from llem_core.study.order import Order
from llem_core.study.pace import Remaining, pause
from llem_core.study.plan import Gap, PlannedRun, gap_between
from llem_core.study.record.folders import run_folder
from llem_core.study.record.manifest import ManifestWriter
from llem_core.study.services import StudyServices
from llem_core.study.summary.collect import (
    assemble_study,
    tried_again,
)
from llem_core.study.summary.figures import Figures
from llem_core.study.telling import Telling
from llem_core.text import now

OnInterrupt = Callable[[int, int | None], Literal["cancel", "leave"]]
"""Says what becomes of runs that can go on without the study's process: their number, and the
signal that interrupted it."""

_SLICE_S = 0.2


@dataclass(slots=True, eq=False)
class _Slot:
    """A place that a run can have at the launcher.

    Attributes:
        active: the run that has it, and which of those to do it is.
        last: the run that had it before.
        freed_s: monotonic time at which that one ended (s).
    """

    active: tuple[int, ActiveRun] | None = None
    last: PlannedRun | None = None
    freed_s: float = 0.0


class RunTaker:
    """Takes what is left of a study, and always leaves the manifest with a final status.

    Args:
        study: the study.
        runs: all its runs, in execution order.
        writer: its manifest, just opened.
        launcher: gives each experiment its process; closed at the end.
        listener: is told of events.
        interrupts: what keeps signals out while a state is being noted.
        attached: runs of an earlier start that the launcher has found again.
        warnings: on the study's folder, for its result.
        on_interrupt: asked when the study is interrupted while runs are under way that would
            outlive it; by default they are cancelled.
    """

    def __init__(
        self,
        study: StudyConfig,
        runs: Sequence[PlannedRun],
        writer: ManifestWriter,
        launcher: Launcher,
        listener: Listener,
        interrupts: Interrupts,
        attached: Mapping[tuple[str, int], Running] | None = None,
        warnings: Sequence[str] = (),
        on_interrupt: OnInterrupt = lambda *_: "cancel",
    ) -> None:
        self._study = study
        self._runs = runs
        self._writer = writer
        self._directory: Path = writer.path.parent
        self._launcher = launcher
        self._tell = Telling(study, len(runs), listener)
        self._on_interrupt = on_interrupt
        self._interrupts = interrupts
        self._attached = dict(attached or {})
        self._warnings = warnings
        asked = study.execution.retries
        self._retries = launcher.retries if asked is None else asked
        self._retried: Counter[tuple[str, int]] = Counter()
        self._figures: dict[tuple[str, int], Figures] = {}
        todo = {run.key: run for run in runs if writer.entry(*run.key).status == "pending"}
        again = [run for run in runs if run.key in self._attached]
        self._todo = [*again, *todo.values()]
        self._slots = [_Slot() for _ in range(max(1, launcher.slots, len(again)))]
        self._blocked = is_blocked(study.execution, launcher)
        self._services = StudyServices(study, len(self._slots))
        self._order = Order(self._todo, blocked=self._blocked)
        placed = [entry for entry in writer.manifest.runs() if entry.node is not None]
        self._nodes: dict[int, str | None] = {entry.cycle: entry.node for entry in placed}
        self._remaining = Remaining(self._todo, study.execution, len(self._slots))

    def run(self) -> StudyResult:
        """Take all runs, then assemble and deliver the study's result."""
        try:
            n_completed = len(self._runs) - len(self._todo)
            self._tell.study_started(n_completed, str(self._directory))
            if self._todo:
                self._services.start()
            while self._order or self._busy:
                self._step()
            with self._interrupts.shielded():
                self._warnings = [*self._warnings, *self._services.end()]
            return self._finish()
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            leave = interrupted and self._asked_to_leave()
            with self._interrupts.shielded():
                left = self._left() if leave else []
                self._abandon(left)
                self._writer.finish("interrupted" if interrupted else "failed", left)
                message = str(error) or ("interrupted" if interrupted else "")
                self._tell.listener(StudyFailed(self._design, type(error).__name__, message))
            raise
        finally:
            with self._interrupts.shielded():
                self._services.end()
                self._launcher.close()

    @property
    def _design(self) -> str:
        return self._study.study_design_hash

    @property
    def _busy(self) -> list[_Slot]:
        return [slot for slot in self._slots if slot.active is not None]

    def _step(self) -> None:
        """Start what may start, wait until something may, or follow what has been started."""
        ready: list[tuple[_Slot, int]] = []
        while choices := self._choices([slot for slot, _ in ready]):
            slot, index, gap, spent_s = min(
                choices, key=lambda each: 0.0 if each[2] is None else each[2].seconds - each[3]
            )
            if gap is not None and gap.seconds > spent_s:
                break
            self._order.take(index)
            ready.append((slot, index))
        if ready:
            self._start(ready)
            return
        busy = self._busy
        if choices and gap is not None and not busy:
            with self._interrupts.shielded():
                self._launcher.warm_up(self._todo[index].config.backend)
            pause(gap, self._design, self._tell.listener, spent_s=spent_s)
            self._order.take(index)
            self._start([(slot, index)])
            return
        alone = len(busy) == 1 and not choices
        for slot in busy:
            assert slot.active is not None
            wait_s = math.inf if alone else _SLICE_S / len(busy)
            over = slot.active[1].follow(wait_s, self._tell.listener)
            self._tell.moved(slot.active[1])
            if over:
                self._end(slot)

    def _choices(self, taken: Sequence[_Slot]) -> list[tuple[_Slot, int, Gap | None, float]]:
        """What each free slot may start next, with the pause before it and what has passed of it.

        Args:
            taken: slots that have their next run already.
        """
        return [
            (slot, index, *self._rest(slot, index))
            for slot in self._slots
            if slot.active is None
            and slot not in taken
            and (index := self._order.pick(slot.last)) is not None
        ]

    def _rest(self, slot: _Slot, index: int) -> tuple[Gap | None, float]:
        """The pause between the slot's last run and this one, and what has passed of it (s)."""
        if slot.last is None:
            return None, 0.0
        gap = gap_between(slot.last, self._todo[index], self._study.execution)
        return gap, time.monotonic() - slot.freed_s

    def _start(self, ready: Sequence[tuple[_Slot, int]]) -> None:
        """Start runs, those of an earlier start as they are and all others at once."""
        limit_s = self._study.execution.experiment_timeout_seconds
        fresh: list[tuple[_Slot, int, LaunchTask]] = []
        for slot, index in ready:
            planned = self._todo[index]
            again = self._attached.pop(planned.key, None)
            unusable = None if again is not None else self._prepared(planned)
            task = self._task(planned)
            attempt = self._writer.entry(*planned.key).attempt + (again is None)
            self._tell.started(planned, attempt)
            if unusable is not None:
                self._writer.mark_running(*planned.key)
                again = unusable
            if again is None:
                fresh.append((slot, index, task))
            else:
                slot.active = index, ActiveRun(planned, task, again, limit_s)
        if not fresh:
            return
        with self._interrupts.shielded():
            started = self._launch([task for _, _, task in fresh])
            for (slot, index, task), running in zip(fresh, started, strict=True):
                slot.active = index, ActiveRun(self._todo[index], task, running, limit_s)
            for (_, index, _), running in zip(fresh, started, strict=True):
                self._writer.mark_running(*self._todo[index].key, run_id=running.run_id)

    def _prepared(self, planned: PlannedRun) -> Unstarted | None:
        """See that the services of a run are there; what stands for it where one is not."""
        try:
            with self._interrupts.shielded():
                self._services.keep_for(planned)
            self._services.prepare(planned)
        except LLEMError as error:
            return Unstarted(LaunchFailure(type(error).__name__, str(error)))
        return None

    def _task(self, planned: PlannedRun) -> LaunchTask:
        return dataclasses.replace(
            task_of(self._study, planned, self._directory, len(self._runs)),
            services=self._services.facts,
            warnings=() if self._launcher.warning is None else (self._launcher.warning,),
            block=f"cycle-{planned.cycle}" if self._blocked else None,
            node=self._nodes.get(planned.cycle) if self._blocked else None,
        )

    def _launch(self, tasks: Sequence[LaunchTask]) -> Sequence[Running]:
        try:
            return self._launcher.start_all(tasks)
        except OSError as error:
            raise StudyError(
                f"no process can be started ({error.strerror}); end what fills this machine, "
                "and resume the study."
            ) from error

    def _end(self, slot: _Slot) -> None:
        """Note how a run ended, and tell it; one that may do better next time is taken again."""
        assert slot.active is not None
        index, active = slot.active
        key = active.planned.key
        with self._interrupts.shielded():
            ended = self._services.explained(active.end())
        with self._interrupts.shielded():
            settled = active.conclude(ended)
            again = self._is_tried_again(key, settled)
            self._note(active, settled, again=again)
            if again:
                self._order.again(index)
            else:
                self._order.end(index)
        slot.active, slot.last, slot.freed_s = None, active.planned, time.monotonic()
        upcoming = self._order.pick(slot.last)
        with self._interrupts.shielded():
            self._services.keep_for(None if upcoming is None else self._todo[upcoming])
        figures = settled if isinstance(settled, LaunchFailure) else settled[1]
        if again and isinstance(settled, LaunchFailure):
            self._tell.retried(active, self._writer.entry(*key).attempt, settled.text)
            return
        elapsed_s = slot.freed_s - active.started_s
        completed = isinstance(figures, Figures)
        remaining_s = self._remaining.ended(index, elapsed_s, completed=completed)
        self._tell.ended(active.planned, figures, elapsed_s, remaining_s)

    def _is_tried_again(
        self, key: tuple[str, int], settled: tuple[Path, Figures] | LaunchFailure
    ) -> bool:
        if not isinstance(settled, LaunchFailure) or not settled.is_transient:
            return False
        self._retried[key] += 1
        return self._retried[key] <= self._retries

    def _note(
        self, active: ActiveRun, settled: tuple[Path, Figures] | LaunchFailure, *, again: bool
    ) -> None:
        """Write down how a run ended."""
        key, node = active.planned.key, active.node
        if not isinstance(settled, LaunchFailure):
            self._figures[key] = settled[1]
            self._writer.mark_completed(*key, settled[0].as_posix(), node=node)
        elif again:
            active.set_aside(self._writer.entry(*key).attempt)
            self._writer.mark_retried(*key, settled.text, node=node)
        else:
            self._writer.mark_failed(*key, settled.text, node=node)
        if isinstance(settled, LaunchFailure) and settled.error_type == "NodeLost":
            node = None  # what is left of the block has to find another one
        self._nodes[active.planned.cycle] = node

    def _asked_to_leave(self) -> bool:
        """Whether the runs under way shall go on without this process."""
        n_runs = len(self._busy)
        if not n_runs or not self._launcher.outlives_study:
            return False
        try:
            with self._interrupts.heeded():
                return self._on_interrupt(n_runs, self._interrupts.number) == "leave"
        except KeyboardInterrupt:
            return False  # whoever interrupts the question wants an end

    def _left(self) -> list[tuple[str, int]]:
        """Those under way that can be found again."""
        active = [slot.active[1] for slot in self._busy if slot.active is not None]
        return [each.planned.key for each in active if each.run_id]

    def _abandon(self, left: Collection[tuple[str, int]] = ()) -> None:
        """The study ends in the middle of runs, of which those ``left`` go on."""
        for slot in self._busy:
            assert slot.active is not None
            active = slot.active[1]
            if active.planned.key in left:
                continue
            active.abandon()
            status = self._writer.entry(*active.planned.key).status
            if status == "completed":
                continue  # it was over, and its result is whole
            active.discard()
            if status == "running":
                self._writer.mark_interrupted(*active.planned.key)

    def _finish(self) -> StudyResult:
        runs = [self._finished(planned) for planned in self._runs]
        n_failed = sum(run.status != "completed" for run in runs)
        status: Literal["completed", "failed"] = "failed" if n_failed else "completed"
        elapsed_s = self._writer.elapsed_s
        result = assemble_study(
            self._study,
            runs,
            status=status,
            started_at=self._writer.manifest.started_at,
            finished_at=now(),
            duration_total_s=elapsed_s,
            directory=self._directory,
            figures=self._figures,
            process_isolation=self._launcher.isolation,
            blocked=self._blocked,
            shared=self._services.shared,
        )
        warnings = [
            *self._warnings,
            *tried_again(self._study, self._writer.manifest),
            *result.warnings,
        ]
        result = result.model_copy(update={"warnings": warnings})
        n_completed = len(runs) - n_failed
        told = StudyFinished(self._design, status, n_completed, n_failed, elapsed_s)
        self._tell.listener(told)
        delivered = deliver_study(self._study, FinishedStudy(result, runs), self._directory)
        with self._interrupts.shielded():
            self._writer.finish(status)
        return delivered.result

    def _finished(self, planned: PlannedRun) -> FinishedRun:
        entry = self._writer.entry(*planned.key)
        file = None if entry.result_file is None else self._directory / entry.result_file
        label = self._study.label(planned.config_hash)
        return planned.finished(label, entry.status, file, entry.error, entry.node)


def is_blocked(execution: ExecutionConfig, launcher: Launcher) -> bool:
    """Whether each cycle is kept on one node.

    By default where there is more than one slot; but one cycle alone, which has no second to be
    compared with, is spread over all of them.
    """
    if execution.block is None:
        return launcher.slots > 1 and execution.n_cycles > 1
    return execution.block == "node"


def task_of(study: StudyConfig, planned: PlannedRun, directory: Path, n_runs: int) -> LaunchTask:
    """What a launcher is given of a run."""
    return LaunchTask(
        config_hash=planned.config_hash,
        config=planned.config.for_run(),
        directory=str(directory),
        folder=run_folder(planned, study.label(planned.config_hash), n_runs),
        resources=study.execution.asked_resources,
    )

"""Launchers that need no process: experiments run in that of the test."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from llem_core.contracts import (
    Event,
    Launcher,
    LaunchFailure,
    LaunchResult,
    LaunchTask,
    Running,
    RunState,
)


class InlineLauncher(Launcher):
    """Runs each experiment of a study in this process and thread, with its plugins.

    So a debugger stops in a plugin, and doubles that were passed to ``use_plugins`` are used.
    There is no isolation and no time limit: what hangs, hangs, and a crash is the test's.

    Attributes:
        tasks: what was started, in order.

    Example::

        plugins = Plugins()
        plugins.load_installed()  # the sinks of core are installed plugins too
        plugins.register(FakePlugin(backends=[scripted_backend()]))
        launcher = InlineLauncher()
        study = {
            "model": "any", "backend": "scripted", "n": 1, "baseline": {"enabled": False},
            "sweep": {"max_output_tokens": [4, 8]}, "execution": {"n_cycles": 1},
        }
        with use_plugins(plugins):
            result = run_study(study, output_dir=folder, launcher=launcher, gaps=False)
        assert result.status == "completed"
        assert len(launcher.tasks) == 2
    """

    isolation = "none: every experiment in the process of the test"

    def __init__(self) -> None:
        self.tasks: list[LaunchTask] = []

    def start(self, task: LaunchTask) -> Running:
        """Note the task; it runs when its events are asked for."""
        self.tasks.append(task)
        return _InlineRun(task)


class _InlineRun(Running):
    """One experiment, which runs as its events are asked for."""

    def __init__(self, task: LaunchTask) -> None:
        self._task = task
        self._ended: LaunchResult | None = None

    def events(self, timeout_s: float) -> Iterator[Event]:
        """Run to the end, then yield what happened; there is no limit to the time."""
        del timeout_s
        if self._ended is None:
            from llem_core.study.launch.worker import execute

            happened: list[Event] = []
            self._ended = execute(self._task, happened.append)
            yield from happened

    def result(self) -> LaunchResult | None:
        """How it ended."""
        return self._ended

    def kill(self) -> None:
        """Say that it was killed, if it has not run."""
        self._ended = self._ended or LaunchFailure("WorkerDied", "it was killed before it ran")


class QueueLauncher(Launcher):
    """Stands for a cluster: runs wait in a queue, may be lost, and outlive the study's process.

    Experiments run in this process, as with ``InlineLauncher``. Its jobs stay when it is closed,
    so that another study which is given the same launcher attaches to them.

    Args:
        slots: runs that may be under way at the same time.
        polls_in_queue: how often a run is asked for events before it starts running.
        lost: numbers of the jobs, from 1, whose node is lost in mid-run.
        nodes: names of its nodes, which get jobs in turn unless one is asked for.

    Attributes:
        jobs: what was started, by run id: ``job-1``, ``job-2`` and so on.
        most_at_once: the most runs that were under way at the same time.

    Example::

        plugins = Plugins()
        plugins.load_installed()
        plugins.register(FakePlugin(backends=[scripted_backend()]))
        launcher = QueueLauncher(slots=2, polls_in_queue=3, lost=(2,))
        study = {
            "model": "any", "backend": "scripted", "n": 1, "baseline": {"enabled": False},
            "sweep": {"max_output_tokens": [4, 8, 16]}, "execution": {"n_cycles": 1},
        }
        with use_plugins(plugins):
            result = run_study(study, output_dir=folder, launcher=launcher, gaps=False)
        assert (result.summary.n_completed, result.summary.n_failed) == (2, 1)
        assert launcher.most_at_once == 2
    """

    isolation = "none: every experiment in the process of the test, after a queue"
    outlives_study = True

    def __init__(
        self,
        slots: int = 2,
        polls_in_queue: int = 0,
        lost: Collection[int] = (),
        nodes: Sequence[str] = (),
    ) -> None:
        self._nodes = nodes
        self.slots = slots
        self.jobs: dict[str, _QueuedRun] = {}
        self.most_at_once = 0
        self._polls_in_queue = polls_in_queue
        self._lost = frozenset(lost)

    def start(self, task: LaunchTask) -> Running:
        """Queue a job."""
        number = len(self.jobs) + 1
        turn = self._nodes[(number - 1) % len(self._nodes)] if self._nodes else None
        job = _QueuedRun(f"job-{number}", task, self._polls_in_queue, lost=number in self._lost)
        job.on = task.node or turn
        self.jobs[job.run_id] = job
        under_way = sum(job.result() is None for job in self.jobs.values())
        self.most_at_once = max(self.most_at_once, under_way)
        return job

    def attach(self, task: LaunchTask, run_id: str) -> Running | None:
        """The job of that name, if it was ever started and belongs to this experiment."""
        job = self.jobs.get(run_id)
        return job if job is not None and job.task.config_hash == task.config_hash else None


class _QueuedRun(_InlineRun):
    """A job of ``QueueLauncher``.

    Attributes:
        task: what it was started with.
        on: the node that it will be on.
    """

    on: str | None = None

    def __init__(self, run_id: str, task: LaunchTask, polls_in_queue: int, *, lost: bool) -> None:
        super().__init__(task)
        self.run_id = run_id
        self.task = task
        self._polls_left = polls_in_queue
        self._lost = lost

    @property
    def state(self) -> RunState:
        """Queued until it has been asked often enough."""
        if self._ended is not None:
            return RunState.ENDED
        return RunState.QUEUED if self._polls_left else RunState.RUNNING

    def events(self, timeout_s: float) -> Iterator[Event]:
        """Wait in the queue; then run to the end, or be lost."""
        if self.state is RunState.QUEUED:
            self._polls_left -= 1
            return
        self.node = self.on
        if self._lost and self._ended is None:
            told = f"the node of {self.run_id} is gone"
            self._ended = LaunchFailure("NodeLost", told, is_transient=True)
        else:
            yield from super().events(timeout_s)

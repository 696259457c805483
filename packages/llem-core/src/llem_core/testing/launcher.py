"""A launcher that needs no process: experiments run in that of the test."""

from __future__ import annotations

from collections.abc import Iterator

from llem_core.contracts import (
    Event,
    Launcher,
    LaunchFailure,
    LaunchResult,
    LaunchTask,
    Running,
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

"""Finished experiments with known figures, and a sink that keeps what it receives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llem_core.contracts import ResultSink, Section, SinkSpec
from llem_core.testing.backend import scripted_backend
from llem_core.testing.launcher import InlineLauncher
from llem_core.testing.plugin import FakePlugin
from llem_core.testing.sampler import scripted_sampler

if TYPE_CHECKING:
    from llem_core.contracts.sink import FinishedExperiment, FinishedStudy
if TYPE_CHECKING:
    from llem_core.contracts.sink import FinishedExperiment, FinishedStudy


_QUICK: dict[str, Any] = {
    "model": "scripted/model",
    "backend": "scripted",
    "n": 3,
    "baseline": {"enabled": False},
    "warmup": {"n_warmup": 1, "convergence_detection": False},
}


def finished_experiment(*, energy: bool = True, **fields: Any) -> FinishedExperiment:
    """Measure an experiment of a scripted backend, without waiting, and give what sinks receive.

    Args:
        energy: whether a scripted meter of 50 W reads it; without, energy is null with a reason.
        fields: fields of ``ExperimentConfig``, such as ``model`` or ``n``.

    Example::

        finished = finished_experiment(model="my/model", n=2)
        assert finished.result.n_requests == 2
        assert finished.result.energy_method == "counter"
    """
    from llem_core.config.experiment import ExperimentConfig
    from llem_core.measure.harness import measure
    from llem_core.plugins import Plugins, use_plugins

    plugins = Plugins()
    samplers = [scripted_sampler()] if energy else []
    plugins.register(FakePlugin(backends=[scripted_backend()], samplers=samplers))
    with use_plugins(plugins):
        return measure(ExperimentConfig.model_validate(_QUICK | fields), lambda _: None)


def finished_study(directory: Path) -> FinishedStudy:
    """Run a study of two configurations of a scripted backend, one of which fails.

    Args:
        directory: an empty folder; the study's files are written there, since a sink may read
            the results of its experiments.

    Example::

        finished = finished_study(folder)
        assert [run.status for run in finished.runs] == ["completed", "failed"]
        assert finished.result_files[0].exists()
    """
    from llem_core.config.loader import study_from
    from llem_core.plugins import Plugins, use_plugins
    from llem_core.sinks import hooks as core_sinks
    from llem_core.study.runner import StudyRunner

    sink = MemorySink()
    plugins = Plugins()
    plugins.register(core_sinks, "core-sinks")
    plugins.register(FakePlugin(backends=[scripted_backend()], sinks=[memory_sink(sink)]))
    fields = {**_QUICK, "sweep": {"scripted.fail_at": [None, "generate"]}, "name": "scripted"}
    with use_plugins(plugins):
        StudyRunner(study_from(fields), directory, launcher=InlineLauncher(), gaps=False).run()
    return sink.studies[0]


class MemorySink(ResultSink):
    """Keeps every finished experiment in ``received`` and study in ``studies``; writes nothing.

    Args:
        section: none.
        error: raised instead, if given.

    Example::

        sink = MemorySink()
        finished = finished_experiment(model="my/model")
        sink.write_experiment(finished, folder)
        assert sink.received[0].result.model == "my/model"
    """

    def __init__(self, section: Section | None = None, error: Exception | None = None) -> None:
        super().__init__(section)
        self.received: list[FinishedExperiment] = []
        self.studies: list[FinishedStudy] = []
        self._error = error

    def write_experiment(self, finished: FinishedExperiment, directory: Path) -> Sequence[Path]:
        """Keep it."""
        del directory
        if self._error is not None:
            raise self._error
        self.received.append(finished)
        return ()

    def write_study(self, finished: FinishedStudy, directory: Path) -> Sequence[Path]:
        """Keep it."""
        del directory
        if self._error is not None:
            raise self._error
        self.studies.append(finished)
        return ()


def memory_sink(sink: MemorySink, name: str = "memory") -> SinkSpec:
    """The spec of a given ``MemorySink``, which receives every result.

    Example::

        assert memory_sink(MemorySink()).always_on
    """
    return SinkSpec(name, "Keeps results in memory.", lambda _: sink, always_on=True)

"""Finished experiments with known figures, for tests of sinks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llem_core.testing.backend import scripted_backend
from llem_core.testing.launcher import InlineLauncher
from llem_core.testing.plugin import FakePlugin
from llem_core.testing.sampler import scripted_sampler
from llem_core.testing.sink import MemorySink, memory_sink

if TYPE_CHECKING:
    from llem_core.results.finished import FinishedExperiment, FinishedStudy

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
    from llem_core.plugins import Plugins, use_plugins
    from llem_core.sinks import hooks as core_sinks
    from llem_core.study.loader import study_from
    from llem_core.study.runner import StudyRunner

    sink = MemorySink()
    plugins = Plugins()
    plugins.register(core_sinks, "core-sinks")
    plugins.register(FakePlugin(backends=[scripted_backend()], sinks=[memory_sink(sink)]))
    fields = {**_QUICK, "sweep": {"scripted.fail_at": [None, "generate"]}, "name": "scripted"}
    with use_plugins(plugins):
        StudyRunner(study_from(fields), directory, launcher=InlineLauncher(), gaps=False).run()
    return sink.studies[0]

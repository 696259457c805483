"""Finished experiments with known figures, for tests of sinks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llem_core.testing.backend import scripted_backend
from llem_core.testing.plugin import FakePlugin
from llem_core.testing.sampler import scripted_sampler

if TYPE_CHECKING:
    from llem_core.results.finished import FinishedExperiment


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
    defaults: dict[str, Any] = {
        "model": "scripted/model",
        "backend": "scripted",
        "n": 3,
        "baseline": {"enabled": False},
        "warmup": {"n_warmup": 1, "convergence_detection": False},
    }
    with use_plugins(plugins):
        return measure(ExperimentConfig.model_validate(defaults | fields), lambda _: None)

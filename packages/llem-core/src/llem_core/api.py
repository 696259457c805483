"""The functions that users and embedders call."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.config.loader import load_experiment_config
from llem_core.config.quickstart import QUICKSTART
from llem_core.config.study import StudyConfig
from llem_core.contracts.launcher import Launcher
from llem_core.contracts.sink import ResultSink
from llem_core.deliver import deliver
from llem_core.events import (
    Event,
    ExperimentFailed,
    ExperimentFinished,
    ExperimentStarted,
    Listener,
    PhaseChanged,
)
from llem_core.measure.harness import measure
from llem_core.plugins import plugins
from llem_core.results.experiment import ExperimentResult
from llem_core.results.store import check_writable, new_experiment_folder
from llem_core.results.study import StudyResult

_HOOKS = {
    ExperimentStarted: "llem_experiment_started",
    PhaseChanged: "llem_experiment_phase_changed",
    ExperimentFinished: "llem_experiment_finished",
    ExperimentFailed: "llem_experiment_failed",
}


@dataclass(frozen=True, slots=True)
class SavedExperiment:
    """A result and where it lies.

    Attributes:
        result: the result.
        directory: its folder; ``None`` where nothing was to be written.
        files: what was written, ``result.json`` first.
    """

    result: ExperimentResult
    directory: Path | None
    files: tuple[Path, ...]


def run_experiment(
    config: str | os.PathLike[str] | ExperimentConfig | None = None,
    /,
    *,
    output_dir: str | os.PathLike[str] | None = None,
    listener: Listener | None = None,
    **fields: Any,
) -> ExperimentResult:
    """Measure one experiment in this process.

    Example::

        from llenergymeasure import run_experiment

        result = run_experiment(model="shape:tiny-llama", n=20, baseline={"enabled": False})
        print(result.energy_per_output_token_j, "J per output token")

    Args:
        config: an ``ExperimentConfig``, or the path of an experiment file (then the ``LLEM_*``
            variables and the user's configuration apply, as on the command line). Without it
            and without ``fields``, the quickstart experiment.
        output_dir: folder in which the result's own folder is made; nothing is written if not
            given.
        listener: is told of events while it runs.
        **fields: fields of ``ExperimentConfig``; with a path or a config, they win over it.

    Returns:
        The result; ``timeseries`` is null unless it was written.

    Raises:
        pydantic.ValidationError: a config or fields that cannot be.
        ConfigError: a file or a data set that cannot be used.
        LLEMError: the experiment has no result; see ``llem_core.errors``.
    """
    resolved = _resolve(config, fields)
    output = None if output_dir is None else Path(output_dir)
    return run_and_save(resolved, output, listener).result


def run_study(
    config: str | os.PathLike[str] | StudyConfig | Mapping[str, Any] | None = None,
    /,
    *,
    output_dir: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | bool | None = None,
    gaps: bool = True,
    listener: Listener | None = None,
    launcher: Launcher | None = None,
) -> StudyResult:
    """Run a study: every experiment in every cycle, each in a fresh process of its own.

    Example::

        from llenergymeasure import run_study

        result = run_study(
            {
                "name": "batches",
                "model": "shape:tiny-llama",
                "sweep": {"pytorch.batch_size": [1, 4]},
                "execution": {"n_cycles": 3, "config_gap_seconds": 5},
            }
        )
        print(result.summary.energy_total_j, "J")

    Args:
        config: a ``StudyConfig``, the path of a study file (then the ``LLEM_*`` variables and
            the user's configuration apply, as on the command line) or what such a file holds.
            It may be left out with ``resume``.
        output_dir: folder in which the study's own folder is made; that of the user's
            configuration if not given. The manifest and all results are written there.
        resume: folder of a study to go on with; ``True`` for the latest unfinished one in
            ``output_dir``.
        gaps: whether to keep the pauses that the study asks for.
        listener: is told of events while it runs.
        launcher: gives each experiment its process; by default a fresh spawned one.

    Returns:
        The study's result. A run that failed is counted in it and raises nothing.

    Raises:
        pydantic.ValidationError: a configuration that cannot be.
        ConfigError: a file or a data set that cannot be used.
        PreFlightError: all problems that can be found before anything is loaded.
        StudyError: the study cannot start, go on or resume.
        KeyboardInterrupt: it was interrupted; it can be resumed.
    """
    raise NotImplementedError


def run_and_save(
    config: ExperimentConfig,
    output: Path | None,
    listener: Listener | None = None,
    sinks: Iterable[ResultSink] = (),
) -> SavedExperiment:
    """Measure one experiment in this process and write it, if ``output`` is given.

    Raises:
        LLEMError: the experiment has no result, or it could not be written.
    """
    if output is not None:
        check_writable(output)
    finished = measure(config, _tell_plugins_and(listener))
    if output is None:
        return SavedExperiment(finished.result, None, ())
    directory = new_experiment_folder(output, config.model, config.backend)
    delivered = deliver(config, finished, directory, sinks)
    return SavedExperiment(delivered.result, directory, delivered.files)


def _resolve(
    config: str | os.PathLike[str] | ExperimentConfig | None, fields: dict[str, Any]
) -> ExperimentConfig:
    if isinstance(config, ExperimentConfig):
        if not fields:
            return config
        return ExperimentConfig.model_validate({**config.model_dump(), **fields})
    if config is None:
        return ExperimentConfig.model_validate(fields or QUICKSTART)
    return load_experiment_config(config, fields)


def _tell_plugins_and(listener: Listener | None) -> Listener:
    def tell(event: Event) -> None:
        hook = _HOOKS.get(type(event))
        if hook is not None:
            # A plugin's mistake in a mere notification must not cost a measurement; which one
            # failed is not worth a night's run either.
            with contextlib.suppress(Exception):
                getattr(plugins().hook, hook)(event=event)
        if listener is not None:
            listener(event)

    return tell

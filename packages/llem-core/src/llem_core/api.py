"""The functions that users and embedders call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from llem_core.config.experiment import ExperimentConfig
from llem_core.config.loader import (
    QUICKSTART,
    load_experiment_config,
    load_study_config,
    split_limit,
    study_from,
    study_of,
)
from llem_core.config.study import StudyConfig
from llem_core.config.user import load_user_config
from llem_core.config.yaml import read_yaml
from llem_core.contracts.launcher import Launcher
from llem_core.contracts.sink import ResultSink
from llem_core.errors import ConfigError, ExperimentError, PreFlightError
from llem_core.events import Listener
from llem_core.files import check_writable, new_study_folder
from llem_core.measure.preflight import disk_bytes
from llem_core.results.experiment import ExperimentResult
from llem_core.results.study import StudyResult
from llem_core.results.views.progress import notebook_progress
from llem_core.study.elsewhere import ElsewhereRunner
from llem_core.study.in_process import InProcessRunner, SavedExperiment
from llem_core.study.preflight import check_study
from llem_core.study.record.resume import resume_study
from llem_core.study.runner import StudyRunner
from llem_core.study.take import OnInterrupt

StudySource: TypeAlias = str | os.PathLike[str] | StudyConfig | ExperimentConfig | Mapping[str, Any]
"""What a study can be made of: see ``run_study``."""


def run_experiment(
    config: str | os.PathLike[str] | ExperimentConfig | None = None,
    /,
    *,
    output_dir: str | os.PathLike[str] | None = None,
    listener: Listener | None = None,
    timeout_s: float | None = None,
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
        listener: is told of events while it runs; without one, a line in a notebook is.
        timeout_s: how long it may take (s), over ``execution.experiment_timeout_seconds`` of the
            file. The error comes at once in the main thread, and in another one as soon as
            Python code runs there.
        **fields: fields of ``ExperimentConfig``; with a path or a config, they win over it.

    Returns:
        The result; ``timeseries`` is null unless it was written.

    Raises:
        pydantic.ValidationError: a config or fields that cannot be.
        ConfigError: a file or a data set that cannot be used.
        LLEMError: the experiment has no result; see ``llem_core.errors``.
    """
    resolved, limit_s = _resolve(config, fields)
    output = None if output_dir is None else Path(output_dir)
    listener = listener or notebook_progress()
    saved = run_and_save(resolved, output, listener, limit_s=timeout_s or limit_s)
    if saved.error is not None:
        raise ExperimentError(saved.error)
    return saved.result


def run_study(
    config: StudySource | None = None,
    /,
    *,
    output_dir: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | bool | None = None,
    gaps: bool = True,
    listener: Listener | None = None,
    launcher: Launcher | None = None,
    on_interrupt: Literal["cancel", "leave"] = "cancel",
) -> StudyResult:
    """Run a study: every experiment in every cycle, each in a fresh process of its own.

    Example::

        from llenergymeasure import run_study

        result = run_study(
            {
                "model": "shape:tiny-llama",
                "sweep": {"pytorch.batch_size": [1, 4]},
                "execution": {"n_cycles": 3, "config_gap_seconds": 5},
            }
        )
        print(result.summary.energy_total_j, "J")

    Args:
        config: a ``StudyConfig``, the path of a study file (then the ``LLEM_*`` variables and
            the user's configuration apply, as on the command line), what such a file holds, or
            one experiment. It may be left out with ``resume``.
        output_dir: folder in which the study's own folder is made; that of the user's
            configuration if not given. The manifest and all results are written there.
        resume: folder of a study to go on with; ``True`` for the latest unfinished one in
            ``output_dir``.
        gaps: whether to keep the pauses that the study asks for.
        listener: is told of events while it runs; without one, a line in a notebook is.
        launcher: gives each experiment its process; by default a fresh spawned one.
        on_interrupt: whether jobs of a cluster are cancelled then, or left for ``resume``.

    Returns:
        The study's result, which knows its folder. A run that failed is counted in it and raises
        nothing.

    Raises:
        pydantic.ValidationError: a configuration that cannot be.
        ConfigError: a file or a data set that cannot be used.
        PreFlightError: all problems that can be found before anything is loaded.
        StudyError: the study cannot start, go on or resume.
        KeyboardInterrupt: it was interrupted; it can be resumed.
    """
    output = load_user_config().output if output_dir is None else Path(output_dir)
    wanted = None if config is None else _as_study(config)
    study, directory = _begin(wanted, output, resume)
    listener = listener or notebook_progress()
    runner = StudyRunner(
        study, directory, launcher=launcher, listener=listener, gaps=gaps, on_interrupt=on_interrupt
    )
    return _run(study, runner).located(directory)


def run_checked_study(
    study: StudyConfig,
    output: Path,
    directory: Path | None,
    listener: Listener | None = None,
    on_interrupt: Literal["cancel", "leave"] | OnInterrupt = "cancel",
) -> StudyResult:
    """Run a study, or go on with one, for which ``check_study`` has found no problem.

    Args:
        study: the study.
        output: folder in which a new study's own folder is made.
        directory: folder of the study to go on with; ``None`` for a new one.
        listener: is told of events while it runs.
        on_interrupt: what becomes of runs that can go on without this process; see
            ``StudyRunner``.

    Raises:
        StudyError: the study cannot start, go on or resume.
        KeyboardInterrupt: it was interrupted; it can be resumed.
    """
    directory = new_study_folder(output, study.name) if directory is None else directory
    runner = StudyRunner(study, directory, listener=listener, on_interrupt=on_interrupt)
    return _run(study, runner)


def run_and_save(
    config: ExperimentConfig,
    output: Path | None,
    listener: Listener | None = None,
    sinks: Iterable[ResultSink] = (),
    limit_s: float | None = None,
) -> SavedExperiment:
    """Measure one experiment and write it, if ``output`` is given.

    It is measured in this process, or in a process of the environment that it names.

    Past ``limit_s`` seconds it is ended with an ``ExperimentError``.

    Raises:
        LLEMError: the experiment has no result, or it could not be written.
    """
    if output is not None:
        check_writable(output, disk_bytes(config))
    study = study_of(config)
    own = tuple(sinks)
    if config.runs_in is None:
        runner: _Saving = InProcessRunner(study, output, listener, own, limit_s)
    elif own:
        raise PreFlightError(
            f"the experiment runs in the environment {config.runs_in!r}, where sinks that are "
            "objects of this process cannot be; install them there as plugins, or leave them out."
        )
    else:
        runner = ElsewhereRunner(study, output, listener, limit_s)
    _run(study, runner)
    return runner.saved[0]


class _Runner(Protocol):
    def run(self) -> StudyResult: ...


class _Saving(_Runner, Protocol):
    saved: list[SavedExperiment]


def _run(study: StudyConfig, runner: _Runner) -> StudyResult:
    """Run a study, whatever process its experiments get: all that is measured comes by here."""
    result = runner.run()
    assert result.study_design_hash == study.study_design_hash
    return result


def _begin(
    study: StudyConfig | None, output: Path, resume: str | os.PathLike[str] | bool | None
) -> tuple[StudyConfig, Path]:
    """The study to run and its folder, new or not, after all that can be checked beforehand."""
    if resume is not None and resume is not False:
        found = resume_study(None if resume is True else Path(resume), output, study)
        check_study(found.study, found.directory, found.completed).raise_if_any()
        return found.study, found.directory
    if study is None:
        raise ConfigError(
            "there is no study to run; give a study file, a StudyConfig or a mapping, or "
            "`resume` for one that has begun."
        )
    check_study(study, output).raise_if_any()
    return study, new_study_folder(output, study.name)


def _as_study(
    config: StudySource,
) -> StudyConfig:
    if isinstance(config, StudyConfig):
        return config
    if isinstance(config, ExperimentConfig):
        return study_of(config)
    return study_from(config) if isinstance(config, Mapping) else load_study_config(config)


def _resolve(
    config: str | os.PathLike[str] | ExperimentConfig | None, fields: dict[str, Any]
) -> tuple[ExperimentConfig, float | None]:
    """The experiment, and the time limit that its file sets (s)."""
    if isinstance(config, ExperimentConfig):
        if not fields:
            return config, None
        given = {**config.model_dump(), "environments": config.environments, **fields}
        return ExperimentConfig.model_validate(given), None
    if config is None:
        return ExperimentConfig.model_validate(fields or QUICKSTART), None
    document, limit_s = split_limit(read_yaml(Path(config)))
    return load_experiment_config(document, fields), limit_s

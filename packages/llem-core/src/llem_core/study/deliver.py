"""Hands finished experiments and studies to the sinks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llem_core.config.experiment import ExperimentConfig
from llem_core.config.study import StudyConfig
from llem_core.contracts.sink import FinishedExperiment, FinishedStudy, ResultSink, SinkSpec
from llem_core.errors import ExperimentError, StudyError
from llem_core.plugins import plugins
from llem_core.results.experiment import ExperimentResult
from llem_core.results.study import StudyResult
from llem_core.text import displayable

# `sys.exit` in a sink too; Ctrl+C alone is the user's.
_ANYTHING = (Exception, SystemExit)
RECORD = "json"
"""The sink whose file is the record: it comes last, so that it tells how the others fared, and
its failure is the experiment's or the study's."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A result as it was written, and the files."""

    result: ExperimentResult
    files: tuple[Path, ...]


def deliver(
    config: ExperimentConfig,
    finished: FinishedExperiment,
    directory: Path,
    extra: Iterable[ResultSink] = (),
) -> Delivered:
    """Write a finished experiment into its folder.

    Args:
        config: says which optional sinks are on, and has their sections.
        finished: the experiment.
        directory: its own folder, which exists.
        extra: sinks of the caller's own.

    Raises:
        ExperimentError: ``result.json`` could not be written.
    """
    files: list[Path] = []
    specs = sorted(_active(config), key=lambda spec: spec.name == RECORD)
    for spec in [spec for spec in specs if spec.name != RECORD]:
        finished = _hand_over(spec.name, _make(spec, config), finished, directory, files)
    for sink in extra:
        finished = _hand_over(type(sink).__name__, sink, finished, directory, files)
    record = plugins().sinks.get(RECORD)
    try:
        files = [*record.create(None).write_experiment(finished, directory), *files]
    except OSError as error:
        with contextlib.suppress(OSError):
            directory.rmdir()  # only if nothing at all could be written
        raise ExperimentError(
            f"the result could not be written to {directory}: {error.strerror}; make room, or "
            "choose another folder with --output. Files written before are intact."
        ) from error
    return Delivered(finished.result, tuple(files))


@dataclass(frozen=True, slots=True)
class DeliveredStudy:
    """A study's result as it was written, and the files, ``study_result.json`` first."""

    result: StudyResult
    files: tuple[Path, ...]


def deliver_study(
    study: StudyConfig,
    finished: FinishedStudy,
    directory: Path,
    extra: Iterable[ResultSink] = (),
) -> DeliveredStudy:
    """Write a finished study into its folder.

    Args:
        study: its experiments say which optional sinks are on, and have their sections.
        finished: the study.
        directory: its folder, which exists.
        extra: sinks of the caller's own.

    Raises:
        StudyError: ``study_result.json`` could not be written.
    """
    files: list[Path] = []
    sinks = [(spec.name, _make_for(spec, study)) for spec in _active_for(study)]
    for name, sink in [*sinks, *((type(sink).__name__, sink) for sink in extra)]:
        written, reason = _try(sink, finished, directory)
        files.extend(written)
        if reason is not None:
            warnings = [*finished.result.warnings, f"The sink {name} failed: {reason}."]
            result = finished.result.model_copy(update={"warnings": warnings})
            finished = replace(finished, result=result)
    record = plugins().sinks.get(RECORD)
    try:
        files = [*record.create(None).write_study(finished, directory), *files]
    except OSError as error:
        raise StudyError(
            f"the study's result could not be written to {directory}: {error.strerror}; make room "
            "and resume the study: what has been measured is kept, and is not measured again."
        ) from error
    return DeliveredStudy(finished.result, tuple(files))


def _active(config: ExperimentConfig) -> list[SinkSpec]:
    return [s for s in plugins().sinks if s.always_on or s.name in config.sections]


def _make(spec: SinkSpec, config: ExperimentConfig) -> ResultSink | str:
    try:
        section = config.sections.get(spec.name)
        if section is None and spec.section is not None:
            section = spec.section()
        return spec.create(section)
    except _ANYTHING as error:  # a sink's failure must not cost the result
        return displayable(f"{type(error).__name__}: {error}")


def _hand_over(
    name: str,
    sink: ResultSink | str,
    finished: FinishedExperiment,
    directory: Path,
    files: list[Path],
) -> FinishedExperiment:
    result = finished.result
    if isinstance(sink, str):
        return replace(finished, result=_warned(result, name, sink))
    try:
        written = _paths(sink.write_experiment(finished, directory))
    except _ANYTHING as error:  # a sink's failure must not cost the result
        reason = displayable(f"{type(error).__name__}: {error}")
        return replace(finished, result=_warned(result, name, reason))
    files.extend(written)
    names = {path.name for path in written if path.parent == directory}
    found = {
        field: f"{field}.parquet"
        for field in ("timeseries", "requests")
        if f"{field}.parquet" in names
    }
    return replace(finished, result=result.model_copy(update=found)) if found else finished


def _paths(written: Sequence[Path]) -> list[Path]:
    """What a sink returned, which is foreign code, as the list of paths that it should be.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(written, Iterable):
        raise TypeError(f"it returned {type(written).__name__}, not a list of paths")
    return [Path(path) for path in written]


def _warned(result: ExperimentResult, name: str, reason: str) -> ExperimentResult:
    warning = f"The sink {name} failed: {reason}."
    warnings = [*result.measurement_warnings, warning]
    return result.model_copy(update={"measurement_warnings": warnings})


def _active_for(study: StudyConfig) -> list[SinkSpec]:
    named = {name for config in study.experiments for name in config.sections}
    return [
        spec
        for spec in plugins().sinks
        if spec.name != RECORD and (spec.always_on or spec.every_study or spec.name in named)
    ]


def _make_for(spec: SinkSpec, study: StudyConfig) -> ResultSink | str:
    # Where experiments have different sections of a sink, the first one stands for the study.
    having = (config for config in study.experiments if spec.name in config.sections)
    return _make(spec, next(having, study.experiments[0]))


def _try(
    sink: ResultSink | str, finished: FinishedStudy, directory: Path
) -> tuple[Sequence[Path], str | None]:
    if isinstance(sink, str):
        return (), sink
    try:
        return _paths(sink.write_study(finished, directory)), None
    except _ANYTHING as error:  # a sink's failure must not cost the result
        return (), displayable(f"{type(error).__name__}: {error}")

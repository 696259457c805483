"""The sink: finished experiments become runs of MLflow, and a study the run above its own."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llem_core.contracts import ResultSink, Section

from llem_mlflow.config import MlflowConfig
from llem_mlflow.figures import facts, key, metrics, reasons, settings

if TYPE_CHECKING:
    from llem_core.contracts.sink import FinishedExperiment, FinishedStudy
    from mlflow import MlflowClient

_KEY = "llem.key"
_TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
_LONGEST_PARAMETER = 6000
_LONGEST_TAG = 5000
_LONGEST_NAME = 250
_MOST_AT_ONCE = 100


class MlflowSink(ResultSink):
    """Writes to a tracking store, each time with a client of its own.

    A run is known by its configuration, start and process: writing it again changes nothing.
    """

    def __init__(self, section: Section | None) -> None:
        super().__init__(section)
        self._config = section if isinstance(section, MlflowConfig) else MlflowConfig()

    def write_experiment(self, finished: FinishedExperiment, directory: Path) -> Sequence[Path]:
        """Write one run; nothing goes into ``directory``."""
        del directory
        client = self._client()
        _write_run(client, self._experiment(client), finished.result.model_dump(mode="json"), self)
        return []

    def write_study(self, finished: FinishedStudy, directory: Path) -> Sequence[Path]:
        """Write one run for the study, above those of its experiments.

        Experiments that are not in the store yet (the sink was turned on later, or failed then)
        are added from their files.
        """
        del directory
        client = self._client()
        place = self._experiment(client)
        study = finished.result.model_dump(mode="json")
        parent = _write_study(client, place, study, self)
        unread = []
        for run in finished.runs:
            if run.result_file is None:
                continue
            try:
                result = json.loads(run.result_file.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                unread.append(f"{run.result_file} ({error})")
                continue
            child = _write_run(client, place, result, self)
            client.set_tag(child, "mlflow.parentRunId", parent)
            client.set_tag(child, "llem.cycle", str(run.cycle))
            client.set_tag(child, "mlflow.runName", _name(f"{run.label}, cycle {run.cycle}"))
        if unread:
            raise OSError(
                f"the study was written without results that cannot be read: {'; '.join(unread)}"
            )
        return []

    @property
    def tags(self) -> dict[str, str]:
        """Tags that the section asks for."""
        return dict(self._config.tags)

    def _client(self) -> MlflowClient:
        with _without_telemetry():
            from mlflow import MlflowClient
        with _quiet():
            client = MlflowClient(tracking_uri=self._config.tracking_uri)
            client.search_experiments(max_results=1)  # makes the tables of a new store
        return client

    def _experiment(self, client: MlflowClient) -> str:
        name = self._config.experiment
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        from mlflow.exceptions import MlflowException

        try:
            return str(client.create_experiment(name))
        except MlflowException:
            # Another process made it in between.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """MLflow reports its use to its makers, unless told not to when it is imported."""
    unset = _TELEMETRY not in os.environ
    os.environ.setdefault(_TELEMETRY, "true")
    try:
        yield
    finally:
        if unset:
            del os.environ[_TELEMETRY]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within the block MLflow does not tell of each table that it makes."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write_run(
    client: MlflowClient, place: str, result: Mapping[str, Any], sink: MlflowSink
) -> str:
    name = key(result)
    found = _known(client, place, name)
    if found is not None:
        return found
    tags = {**reasons(result), **facts(result), **sink.tags}
    title = f"{result['model']}, {result['backend']}"
    run = _start(client, place, title, result["started_at"], tags)
    when = _milliseconds(result["finished_at"])
    _log(client, run, metrics(result), settings(result), when)
    client.log_text(run, json.dumps(result, indent=2), "result.json")
    return _end(client, run, name, when)


def _write_study(
    client: MlflowClient, place: str, study: Mapping[str, Any], sink: MlflowSink
) -> str:
    name = f"study-{study['study_design_hash']}-{study['started_at']}-{study['study_name']}"
    found = _known(client, place, name)
    if found is not None:
        client.delete_run(found)  # it went on since, and its figures are others
    tags = {
        "llem.study": study["study_name"],
        "llem.status": study["status"],
        "llem.study_design_hash": study["study_design_hash"],
        **sink.tags,
    }
    run = _start(client, place, f"study {study['study_name']}", study["started_at"], tags)
    when = _milliseconds(study["finished_at"])
    figures = {
        figure: float(value)
        for figure, value in study["summary"].items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    protocol = {k: str(v) for k, v in study["measurement_protocol"].items() if v is not None}
    _log(client, run, figures, protocol, when)
    client.log_text(run, json.dumps(study, indent=2), "study_result.json")
    return _end(client, run, name, when)


def _known(client: MlflowClient, place: str, name: str) -> str | None:
    """The run of this key that was written whole, if there is one."""
    quoted = name.replace("'", "")
    found = client.search_runs([place], f"tags.`{_KEY}` = '{quoted}'", max_results=1)
    return str(found[0].info.run_id) if found else None


def _start(
    client: MlflowClient, place: str, title: str, started_at: str, tags: Mapping[str, str]
) -> str:
    run = client.create_run(place, start_time=_milliseconds(started_at), run_name=_name(title))
    run_id = str(run.info.run_id)
    for chosen in _parts(list(tags.items())):
        from mlflow.entities import RunTag

        client.log_batch(
            run_id, tags=[RunTag(_name(k), value[:_LONGEST_TAG]) for k, value in chosen]
        )
    return run_id


def _log(
    client: MlflowClient,
    run: str,
    figures: Mapping[str, float],
    parameters: Mapping[str, str],
    when: int,
) -> None:
    from mlflow.entities import Metric, Param

    for numbers in _parts(list(figures.items())):
        client.log_batch(run, metrics=[Metric(name, value, when, 0) for name, value in numbers])
    for texts in _parts(list(parameters.items())):
        client.log_batch(run, params=[Param(_name(k), v[:_LONGEST_PARAMETER]) for k, v in texts])


def _end(client: MlflowClient, run: str, name: str, when: int) -> str:
    """The key comes last: a run without it was cut off, and is written anew."""
    client.set_tag(run, _KEY, name.replace("'", ""))
    client.set_terminated(run, "FINISHED", end_time=when)
    return run


def _name(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_NAME]


def _parts(items: list[tuple[str, Any]]) -> Iterator[list[tuple[str, Any]]]:
    return (items[i : i + _MOST_AT_ONCE] for i in range(0, len(items), _MOST_AT_ONCE))


def _milliseconds(moment: str) -> int:
    return int(dt.datetime.fromisoformat(moment).timestamp() * 1000)

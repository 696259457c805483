"""The sink: finished experiments and studies become rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llem_core.contracts import ResultSink, Section

from llem_sqlite.columns import EXPERIMENT, STUDY, look_up
from llem_sqlite.config import SqliteConfig
from llem_sqlite.database import EXPERIMENT_KEY, RUN_KEY, STUDY_KEY, transaction, upsert

if TYPE_CHECKING:
    from llem_core.contracts.sink import FinishedExperiment, FinishedRun, FinishedStudy


class SqliteSink(ResultSink):
    """Writes to one database, each time with a connection of its own.

    A row is written whole or not at all, and writing it again changes nothing: an experiment is
    known by its configuration, start, process and folder, a study by its design, start and name.
    """

    def __init__(self, section: Section | None) -> None:
        super().__init__(section)
        self._config = section if isinstance(section, SqliteConfig) else SqliteConfig()

    def write_experiment(self, finished: FinishedExperiment, directory: Path) -> Sequence[Path]:
        """Write one row of ``experiments``."""
        with transaction(self._config) as connection:
            _write_experiment(connection, finished.result.model_dump(mode="json"), directory)
        return [self._path]

    def write_study(self, finished: FinishedStudy, directory: Path) -> Sequence[Path]:
        """Write one row of ``studies`` and one of ``study_runs`` for each of its runs.

        Experiments that are not in the database yet (the sink was turned on later, or failed
        then) are added from their files.
        """
        study = finished.result.model_dump(mode="json")
        unread = []
        with transaction(self._config) as connection:
            _write_study(connection, study, directory)
            for run in finished.runs:
                row = _run_row(study, run)
                try:
                    row |= _write_result(connection, run.result_file)
                except (OSError, ValueError) as error:
                    unread.append(f"{run.result_file} ({error})")
                upsert(connection, "study_runs", row, RUN_KEY)
        if unread:
            raise OSError(
                f"the study was written without results that cannot be read: {'; '.join(unread)}"
            )
        return [self._path]

    @property
    def _path(self) -> Path:
        return Path(self._config.path).expanduser().absolute()


def _write_experiment(
    connection: sqlite3.Connection, result: Mapping[str, Any], directory: Path
) -> dict[str, Any]:
    row = {column.name: look_up(result, column.path) for column in EXPERIMENT}
    # One process, or two machines, may start the same experiment twice in the same second.
    row["pid"] = result["processes"][0]["pid"]
    row["folder"] = directory.name
    row["directory"] = str(directory.absolute())
    row["result_json"] = json.dumps(result)
    upsert(connection, "experiments", row, EXPERIMENT_KEY)
    return {name: row[name] for name in EXPERIMENT_KEY}


def _write_study(connection: sqlite3.Connection, study: Mapping[str, Any], directory: Path) -> None:
    row = {column.name: look_up(study, column.path) for column in STUDY}
    row["directory"] = str(directory.absolute())
    row["result_json"] = json.dumps(study)
    upsert(connection, "studies", row, STUDY_KEY)
    # A study that goes on has its runs counted anew.
    connection.execute(
        "DELETE FROM study_runs WHERE study_design_hash = ? AND study_started_at = ? "
        "AND study_name = ?",
        tuple(row[name] for name in STUDY_KEY),
    )


def _run_row(study: Mapping[str, Any], run: FinishedRun) -> dict[str, Any]:
    return {
        "study_design_hash": study["study_design_hash"],
        "study_started_at": study["started_at"],
        "study_name": study["study_name"],
        "position": run.position,
        "cycle": run.cycle,
        "label": run.label,
        "status": run.status,
        "error": run.error,
        "measurement_config_hash": run.config_hash,
    }


def _write_result(connection: sqlite3.Connection, file: Path | None) -> dict[str, Any]:
    """Write the experiment of a run that has one, and give its key."""
    if file is None:
        return {}
    result = json.loads(file.read_text(encoding="utf-8"))
    return _write_experiment(connection, result, file.parent)

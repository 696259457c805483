"""Writes ``result.json`` and ``study_result.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llem_core.contracts.sink import FinishedExperiment, FinishedStudy, ResultSink
from llem_core.files import write_atomically

ENGINE_LOG = "engine.log"


class JsonSink(ResultSink):
    """The record of an experiment: ``ExperimentResult.model_validate_json`` reads it back."""

    def write_experiment(self, finished: FinishedExperiment, directory: Path) -> Sequence[Path]:
        """Write ``result.json``, and what the engine's own processes printed beside it."""
        text = finished.result.model_dump_json(indent=2) + "\n"
        files = [write_atomically(directory / "result.json", text.encode())]
        if finished.engine_log:
            log = finished.engine_log.encode(errors="replace")
            files.append(write_atomically(directory / ENGINE_LOG, log))
        return files

    def write_study(self, finished: FinishedStudy, directory: Path) -> Sequence[Path]:
        """Write ``study_result.json``; ``StudyResult.model_validate_json`` reads it back."""
        text = finished.result.model_dump_json(indent=2) + "\n"
        return [write_atomically(directory / "study_result.json", text.encode())]

"""What sinks receive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llem_core.contracts.readings import PowerSample
from llem_core.events import RunStatus
from llem_core.results.experiment import ExperimentResult
from llem_core.results.process import ProcessResult
from llem_core.results.study import StudyResult


@dataclass(frozen=True, slots=True)
class TimeseriesRow:
    """A sample and the phase of the experiment that it fell into."""

    phase: str
    sample: PowerSample


@dataclass(frozen=True, slots=True)
class FinishedExperiment:
    """A finished experiment with its raw data.

    Attributes:
        result: the result.
        timeseries: power samples of the whole experiment, oldest first.
        processes: raw results of its processes.
        started_s: monotonic time of its start, which the time series counts from.
    """

    result: ExperimentResult
    timeseries: tuple[TimeseriesRow, ...]
    processes: tuple[ProcessResult, ...]
    started_s: float


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """One run of a finished study.

    Attributes:
        position: its place in the study's order, from 1.
        config_hash: ``measurement_config_hash`` of its configuration.
        cycle: which repetition, from 1.
        label: what tells its configuration from the others.
        status: how it ended.
        result_file: its ``result.json``; ``None`` where it has none.
        error: why it has none.
    """

    position: int
    config_hash: str
    cycle: int
    label: str
    status: RunStatus
    result_file: Path | None
    error: str | None


@dataclass(frozen=True, slots=True)
class FinishedStudy:
    """A finished study.

    Attributes:
        result: the result.
        runs: its runs in execution order.
    """

    result: StudyResult
    runs: Sequence[FinishedRun]

    @property
    def result_files(self) -> list[Path]:
        """``result.json`` of each completed run, in execution order.

        Load one with ``ExperimentResult.model_validate_json``; a study may have more of them
        than fit into memory together.
        """
        return [run.result_file for run in self.runs if run.result_file is not None]

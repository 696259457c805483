"""What sinks receive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llem_core.contracts.readings import PowerSample
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
class FinishedStudy:
    """A finished study.

    Attributes:
        result: the result.
        result_files: ``result.json`` of each completed run, in execution order; load one with
            ``ExperimentResult.model_validate_json``.
    """

    result: StudyResult
    result_files: Sequence[Path]

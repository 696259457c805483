"""Runs the experiments of a study in this process, for callers that want the result itself."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llem_core.config.experiment import ExperimentConfig
from llem_core.config.study import StudyConfig
from llem_core.contracts.sink import FinishedExperiment, ResultSink
from llem_core.errors import ExperimentError
from llem_core.events import Listener
from llem_core.files import absolute, new_experiment_folder
from llem_core.measure.harness import measure
from llem_core.plugins.listeners import tell_plugins_and
from llem_core.results.experiment import ExperimentResult
from llem_core.results.study import StudyResult
from llem_core.study.deliver import deliver
from llem_core.study.plan import apply_cycles
from llem_core.study.summary.collect import assemble_study
from llem_core.study.summary.figures import figures_of
from llem_core.text import now

ISOLATION = "none: all experiments in the caller's process"


@dataclass(frozen=True, slots=True)
class SavedExperiment:
    """A result and where it lies.

    Attributes:
        result: the result.
        directory: its folder; ``None`` where nothing was to be written.
        files: what was written, ``result.json`` first.
        error: why it does not lie where it should.
    """

    result: ExperimentResult
    directory: Path | None
    files: tuple[Path, ...]
    error: str | None = None


class InProcessRunner:
    """Measures in this process, and writes nothing but results, if it is told where.

    The first failure ends it, and is raised as it is. There is no manifest: what has to survive
    takes ``StudyRunner``.

    Args:
        study: the study; its gaps are not kept.
        output: folder in which each result's own folder is made; ``None`` to write nothing.
        listener: is told of the experiments' events, and the plugins with it.
        sinks: further sinks of the caller's own.
        limit_s: how long each measurement may take (s); the study's own limit needs a process
            that can be killed.

    Attributes:
        saved: the results so far, in execution order.
    """

    def __init__(
        self,
        study: StudyConfig,
        output: Path | None = None,
        listener: Listener | None = None,
        sinks: Sequence[ResultSink] = (),
        limit_s: float | None = None,
    ) -> None:
        self._study = study
        self._limit_s = limit_s
        self._output = None if output is None else absolute(output)
        self._tell = tell_plugins_and(listener)
        self._sinks = sinks
        self.saved: list[SavedExperiment] = []

    def run(self) -> StudyResult:
        """Measure everything once in each cycle.

        Raises:
            LLEMError: an experiment has no result, or it could not be written.
        """
        study = self._study
        started_at, started_s = now(), time.monotonic()
        runs, known = [], {}
        for planned in apply_cycles(study.experiments, study.execution, study.study_design_hash):
            saved = self._measure(planned.config)
            self.saved.append(saved)
            file = saved.files[0] if saved.files else None
            known[planned.key] = figures_of(saved.result)
            label = study.label(planned.config_hash)
            runs.append(planned.finished(label, "completed", file))
        return assemble_study(
            study,
            runs,
            status="completed",
            started_at=started_at,
            finished_at=now(),
            duration_total_s=time.monotonic() - started_s,
            directory=self._output or Path("/"),
            figures=known,
            process_isolation=ISOLATION,
        )

    def _measure(self, config: ExperimentConfig) -> SavedExperiment:
        finished = measure(config, self._tell, limit_s=self._limit_s)
        if self._output is None:
            return SavedExperiment(finished.result, None, ())
        try:
            directory = new_experiment_folder(self._output, config.model, config.backend)
            delivered = deliver(config, finished, directory, self._sinks)
        except OSError as error:
            reason = f"no folder for the result can be made in {self._output}: {error.strerror}."
            return _rescue(config, finished, reason)
        except ExperimentError as error:
            return _rescue(config, finished, str(error))
        return SavedExperiment(delivered.result, directory, delivered.files)


def _rescue(config: ExperimentConfig, finished: FinishedExperiment, reason: str) -> SavedExperiment:
    """Keep what has been measured where temporary files go, if that can be done."""
    try:
        directory = Path(tempfile.mkdtemp(prefix="llem-"))
        delivered = deliver(config, finished, directory)
    except (OSError, ExperimentError):
        error = f"{reason} Nor could it be kept elsewhere."
        return SavedExperiment(finished.result, None, (), error)
    error = f"{reason} It is kept in {directory}."
    return SavedExperiment(delivered.result, directory, delivered.files, error)

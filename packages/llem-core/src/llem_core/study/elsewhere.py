"""Experiments that run in another environment: what it says of them, and one on its own."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llem_core import errors
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.study import StudyConfig
from llem_core.contracts.backend import CheckReport
from llem_core.contracts.launcher import Running
from llem_core.contracts.messages import LaunchFailure, LaunchResult, LaunchTask
from llem_core.elsewhere.ask import ask
from llem_core.elsewhere.config import EnvironmentConfig
from llem_core.errors import ExperimentError, LLEMError, PreFlightError
from llem_core.events import Listener
from llem_core.files import new_experiment_folder
from llem_core.results.experiment import ExperimentResult
from llem_core.results.study import StudyResult
from llem_core.study.in_process import SavedExperiment
from llem_core.study.launch.endings import describe_timeout
from llem_core.study.launch.environments import defined, gpus_of, launcher_of
from llem_core.study.launch.worker import log_path
from llem_core.study.plan import apply_cycles
from llem_core.study.summary.collect import assemble_study
from llem_core.study.summary.figures import figures_of
from llem_core.text import now


@dataclass(frozen=True, slots=True)
class Reply:
    """What an environment says of an experiment.

    Attributes:
        report: what its backend says.
        sampler: the sampler that would be tried first there; ``None`` where nothing would measure.
        sampler_why: what that sampler says of itself.
        samplers_not_usable: those that cannot be used there, with the reason.
    """

    report: CheckReport
    sampler: str | None = None
    sampler_why: str = ""
    samplers_not_usable: tuple[str, ...] = ()


def ask_about(
    experiments: Sequence[ExperimentConfig],
    environments: Mapping[str, EnvironmentConfig],
    folder: Path,
) -> dict[str, Reply]:
    """What their environments say of those experiments that do not run in this one.

    Each environment is asked once, about all of its experiments.

    Args:
        experiments: all of a study.
        environments: by name.
        folder: folder of the study, or of its folder; a container sees it.

    Returns:
        Configuration hash to reply; that of an environment that cannot be used has that problem.
    """
    by_name: dict[str, list[ExperimentConfig]] = {}
    for config in experiments:
        if config.runs_in is not None:
            by_name.setdefault(config.runs_in, []).append(config)
    replies: dict[str, Reply] = {}
    for name, configs in by_name.items():
        hashes = [config.measurement_config_hash for config in configs]
        try:
            found = _asked(name, defined(name, environments), configs, folder)
        except LLEMError as error:
            found = [Reply(CheckReport(problems=(str(error).rstrip("."),)))] * len(configs)
        replies.update(zip(hashes, found, strict=True))
    return replies


def _asked(
    name: str, environment: EnvironmentConfig, configs: Sequence[ExperimentConfig], folder: Path
) -> list[Reply]:
    gpus = gpus_of(name, environment)
    folders = [folder.absolute()] if folder.is_dir() else []
    sent = [config.for_run() for config in configs]
    answer = ask(name, environment, ["check"], sent=sent, folders=folders, gpus=gpus)
    unseen = [uuid for uuid in gpus if uuid not in answer["gpus"]]
    if unseen:
        raise PreFlightError(
            f"the environment {name!r} ({environment.description}) does not see the GPU "
            f"{', '.join(unseen)} that it is given; see that NVIDIA's container toolkit is "
            "installed and the image can use it (nvidia-smi in a container)"
        )
    return [_reply(name, *pair) for pair in zip(configs, answer["reports"], strict=True)]


def _reply(name: str, config: ExperimentConfig, told: Mapping[str, Any]) -> Reply:
    problems = [f"in the environment {name!r}: {text}" for text in told["problems"]]
    there = told.get("config_hash")
    if there is not None and there != config.measurement_config_hash:
        problems.append(
            f"the environment {name!r} resolves the configuration to {there}, and this one to "
            f"{config.measurement_config_hash}: the plugin of {config.backend!r}, or llem-core, "
            "has another version there; install the same on both"
        )
    report = CheckReport(
        problems=tuple(problems),
        device_kind=told.get("device_kind", "cpu"),
        memory_estimate_bytes=told.get("memory_estimate_bytes"),
        memory_available_bytes=told.get("memory_available_bytes"),
        notes=tuple(told.get("notes", ())),
    )
    sampler, why, why_not = told.get("sampler", (None, "", ()))
    return Reply(report, sampler, why, tuple(why_not))


class ElsewhereRunner:
    """Measures one experiment in its environment, and leaves the files of any experiment.

    Args:
        study: a study of one experiment.
        output: folder in which the result's own folder is made; ``None`` to write nothing.
        listener: is told of the experiment's events.
        limit_s: how long it may take (s).

    Attributes:
        saved: the result, once there is one.
    """

    def __init__(
        self,
        study: StudyConfig,
        output: Path | None = None,
        listener: Listener | None = None,
        limit_s: float | None = None,
    ) -> None:
        self._study = study
        self._output = output
        self._listener = listener
        self._limit_s = math.inf if limit_s is None else limit_s
        self.saved: list[SavedExperiment] = []

    def run(self) -> StudyResult:
        """Measure it.

        Raises:
            LLEMError: the experiment has no result.
        """
        study = self._study
        started_at, started_s = now(), time.monotonic()
        (planned,) = apply_cycles(study.experiments, study.execution, study.study_design_hash)
        name = planned.config.runs_in
        assert name is not None
        launcher = launcher_of(name, defined(name, study.environments))
        saved = self._measure(planned.config, launcher)
        self.saved.append(saved)
        file = saved.files[0].absolute() if saved.files else None
        run = planned.finished(study.label(planned.config_hash), "completed", file)
        return assemble_study(
            study,
            [run],
            status="completed",
            started_at=started_at,
            finished_at=now(),
            duration_total_s=time.monotonic() - started_s,
            directory=(self._output or Path()).absolute(),
            figures={planned.key: figures_of(saved.result)},
            process_isolation=launcher.isolation,
        )

    def _measure(self, config: ExperimentConfig, launcher: Any) -> SavedExperiment:
        if self._output is None:
            with tempfile.TemporaryDirectory(prefix="llem-") as folder:
                file = self._run(config, launcher, Path(folder))
                result = _loaded(file)
                absent = {"timeseries": None, "requests": None}
                return SavedExperiment(result.model_copy(update=absent), None, ())
        try:
            self._output.mkdir(parents=True, exist_ok=True)
            place = Path(tempfile.mkdtemp(prefix=".llem-", dir=self._output.absolute()))
        except OSError as error:
            raise ExperimentError(
                f"no folder for the result can be made in {self._output}: {error.strerror}."
            ) from error
        try:
            written = self._run(config, launcher, place)
            directory = new_experiment_folder(self._output, config.model, config.backend).absolute()
            files = [written, *sorted(p for p in written.parent.iterdir() if p != written)]
            log = place / f"{_FOLDER}.log"
            if log.exists() and log.stat().st_size:
                files.append(log)
            moved = tuple(file.rename(directory / file.name) for file in files)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return SavedExperiment(_loaded(moved[0]), directory, moved)

    def _run(self, config: ExperimentConfig, launcher: Any, directory: Path) -> Path:
        """Run it with this folder for its study's; gives its ``result.json``."""
        task = LaunchTask(config.measurement_config_hash, config.for_run(), str(directory), _FOLDER)
        running = launcher.start(task)
        try:
            ended = self._follow(running, log_path(task))
        finally:
            running.kill()
            launcher.close()
        if isinstance(ended, LaunchFailure):
            raise _raised(ended)
        return directory / ended.result_file

    def _follow(self, running: Running, log: Path) -> LaunchResult:
        deadline_s = time.monotonic() + self._limit_s
        while (ended := running.result()) is None:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                running.kill()
                return describe_timeout(self._limit_s, None, log)
            for event in running.events(left_s):
                if self._listener is not None:
                    self._listener(event)
        return ended


_FOLDER = "run"


def _loaded(file: Path) -> ExperimentResult:
    try:
        return ExperimentResult.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ExperimentError(f"the result in {file} cannot be read: {error}.") from error


def _raised(failure: LaunchFailure) -> LLEMError:
    """The failure as the error that it was there, as far as it is one of this project's."""
    kind = getattr(errors, failure.error_type, None)
    if isinstance(kind, type) and issubclass(kind, LLEMError):
        return kind(failure.message)
    return ExperimentError(f"{failure.error_type}: {failure.message}")

"""Finds all that is wrong with a study before anything is loaded or measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llem_core.config.dataset import SYNTHETIC
from llem_core.config.execution import DEFAULT_LAUNCHER
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.sections import DEFAULT_BACKEND
from llem_core.config.study import StudyConfig
from llem_core.config.sweep.expand import several_backends
from llem_core.contracts.backend import CheckReport
from llem_core.contracts.hookspecs import Availability
from llem_core.errors import LLEMError, PreFlightError
from llem_core.files import check_writable
from llem_core.measure.energy.select import candidates
from llem_core.measure.preflight import ask_backend, disk_bytes
from llem_core.measure.prompts.load import TooFewPromptsError, count_prompts
from llem_core.plugins import plugins
from llem_core.plugins.problems import ask_availability
from llem_core.study.pace import StudyEstimate, estimate_seconds
from llem_core.text import canonical_json

if TYPE_CHECKING:
    from llem_core.study.elsewhere import Reply

_MOST_TOLD = 10
_MOST_LABELS = 3
_NOT_WORKLOAD = ("dataset", "n", "warmup", "baseline", "energy")


@dataclass(frozen=True, slots=True)
class StudyProblem:
    """Something that would make runs fail.

    Attributes:
        text: what is wrong and what to do.
        labels: the configurations that have it; empty where it is the study's as a whole.
    """

    text: str
    labels: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The problem with the configurations that have it."""
        if not self.labels:
            return self.text
        shown = "; ".join(self.labels[:_MOST_LABELS])
        more = len(self.labels) - _MOST_LABELS
        return f"{self.text} [{shown}{f'; and {more} more' if more > 0 else ''}]"


@dataclass(frozen=True, slots=True)
class StudyReport:
    """What is known of a study before it runs.

    Attributes:
        problems: what would make it fail, all of it; empty when it can run.
        notes: remarks that are no problems.
        estimate: its waits.
        disk_needed_bytes: rough size of the files of what is left.
        memory_needed_bytes: the largest estimate of its configurations; ``None`` where none
            could be had.
        memory_available_bytes: free memory of the devices; ``None`` where unknown.
        n_configurations: different configurations.
        max_experiments: runs above this have to be confirmed.
        elsewhere: configuration hash to what its environment says, of those that run in another.
    """

    problems: tuple[StudyProblem, ...]
    notes: tuple[StudyProblem, ...]
    estimate: StudyEstimate
    disk_needed_bytes: int
    memory_needed_bytes: int | None
    memory_available_bytes: int | None
    n_configurations: int
    max_experiments: int
    elsewhere: Mapping[str, Reply] = field(default_factory=dict)

    @property
    def n_runs(self) -> int:
        """Configurations × cycles."""
        return self.estimate.n_runs

    def raise_if_any(self) -> None:
        """Raise all problems in one message.

        Raises:
            PreFlightError: there are problems.
        """
        if not self.problems:
            return
        told = [str(problem) for problem in self.problems[:_MOST_TOLD]]
        if len(self.problems) > _MOST_TOLD:
            told.append(f"and {len(self.problems) - _MOST_TOLD} more problems")
        if len(told) == 1:
            raise PreFlightError(f"the study cannot run: {told[0]}")
        numbered = "; ".join(f"({number}) {text}" for number, text in enumerate(told, start=1))
        raise PreFlightError(f"the study cannot run, for {len(self.problems)} reasons: {numbered}")


def check_study(
    study: StudyConfig, output: Path, completed: Collection[tuple[str, int]] = ()
) -> StudyReport:
    """Look at all experiments of a study; loads no model and imports no engine.

    Args:
        study: the study.
        output: folder that the study's own folder will be made in, or that folder itself.
        completed: hash and cycle of runs whose files are there already.
    """
    elsewhere = _elsewhere(study, output)
    check = _Check(study, elsewhere)
    done = Counter(config_hash for config_hash, _ in completed)
    disk_needed = sum(
        disk_bytes(config) * (study.execution.n_cycles - done[config.measurement_config_hash])
        for config in study.experiments
    )
    for text in (*_several_backends(study), *_far_away(study), *_disk(output, disk_needed)):
        check.problems.setdefault(text, [])
    for config in study.experiments:
        check.experiment(config)
    check.datasets()
    kinds = {name: report.device_kind for name, report in check.reports.items()}
    needed = [r.memory_estimate_bytes for r in check.reports.values() if r.memory_estimate_bytes]
    free = [r.memory_available_bytes for r in check.reports.values() if r.memory_available_bytes]
    return StudyReport(
        problems=_grouped(check.problems),
        notes=_grouped(check.notes),
        estimate=estimate_seconds(study, kinds),
        disk_needed_bytes=disk_needed,
        memory_needed_bytes=max(needed, default=None),
        memory_available_bytes=min(free, default=None),
        n_configurations=len(study.experiments),
        max_experiments=study.execution.max_experiments,
        elsewhere=elsewhere,
    )


class _Check:
    """Asks each question once, however many experiments raise it."""

    def __init__(self, study: StudyConfig, elsewhere: Mapping[str, Reply]) -> None:
        self.study = study
        self._elsewhere = elsewhere
        self.problems: dict[str, list[str]] = {}
        self.notes: dict[str, list[str]] = {}
        self.reports: dict[str, CheckReport] = {}
        self._available: dict[str, Availability] = {}
        self._workloads: dict[bytes, CheckReport] = {}
        self._samplers: dict[tuple[str, str], tuple[str, ...]] = {}

    def experiment(self, config: ExperimentConfig) -> None:
        """What the backend and the samplers say of one experiment."""
        name = config.measurement_config_hash
        label = self.study.label(name)
        canonical = config.canonical()
        for key in _NOT_WORKLOAD:
            canonical.pop(key)
        workload = canonical_json(canonical)
        there = self._elsewhere.get(name)
        if there is None and workload not in self._workloads:
            self._workloads[workload] = self._ask(config)
        report = self._workloads[workload] if there is None else there.report
        self.reports[name] = report
        for text in report.problems:
            self.problems.setdefault(text, []).append(label)
        for text in report.notes:
            self.notes.setdefault(text, []).append(label)
        if there is not None:
            return
        for text in self._unfit_sampler(config, report.device_kind):
            self.problems.setdefault(text, []).append(label)

    def datasets(self) -> None:
        """Whether each data set has as many prompts as are asked of it."""
        by_source: dict[str, list[ExperimentConfig]] = {}
        for config in self.study.experiments:
            key: list[Any] = [config.dataset.model_dump()]
            if config.dataset.source == SYNTHETIC:
                key += [config.max_input_tokens, config.max_output_tokens]
            by_source.setdefault(str(key), []).append(config)
        for configs in by_source.values():
            self._dataset(configs)

    def _dataset(self, configs: list[ExperimentConfig]) -> None:
        # A set with enough prompts for the most has enough for the fewer.
        n_prompts: int | None = None
        for config in sorted(configs, key=lambda config: -config.n):
            try:
                if n_prompts is None:
                    count_prompts(config)
                elif config.n > n_prompts:
                    raise TooFewPromptsError(config, n_prompts)
            except LLEMError as error:
                if isinstance(error, TooFewPromptsError):
                    n_prompts = error.n_prompts
                label = self.study.label(config.measurement_config_hash)
                self.problems.setdefault(str(error).rstrip("."), []).append(label)
            else:
                return

    def _ask(self, config: ExperimentConfig) -> CheckReport:
        backend = config.backend
        if backend not in self._available:
            self._available[backend] = ask_availability(plugins().backends.get(backend))
        try:
            return ask_backend(config, self._available[backend])
        except LLEMError as error:
            return CheckReport(problems=(str(error).rstrip("."),))

    def _unfit_sampler(self, config: ExperimentConfig, device_kind: str) -> tuple[str, ...]:
        wanted = config.energy.sampler
        if wanted in {None, "auto"}:
            return ()
        asked = (str(wanted), device_kind)
        if asked not in self._samplers:
            self._samplers[asked] = tuple(
                f"energy.sampler is {spec.name!r}, which cannot be used here: {reason}; use "
                "`energy.sampler: auto`, or null to measure no energy"
                for spec, reason in candidates(config, device_kind)
                if reason is not None
            )
        return self._samplers[asked]


def _elsewhere(study: StudyConfig, output: Path) -> dict[str, Reply]:
    """What other environments say of those experiments that run there, by hash."""
    if all(config.runs_in is None for config in study.experiments):
        return {}
    from llem_core.study.elsewhere import ask_about  # most studies need nothing of it

    return ask_about(study.experiments, study.environments, output)


def _several_backends(study: StudyConfig) -> Iterator[str]:
    named = [config.backend for config in study.experiments]
    # One that is not installed has been skipped, but the study asks for it all the same.
    named += [str(skipped.fields.get("backend", DEFAULT_BACKEND)) for skipped in study.skipped]
    backends = list(dict.fromkeys(named))
    if any(backend not in plugins().backends for backend in backends) and len(backends) > 1:
        yield several_backends(backends)


def _far_away(study: StudyConfig) -> Iterator[str]:
    """An environment is one of this machine; another launcher's runs are on others."""
    launcher = study.execution.launcher
    names = {config.runs_in for config in study.experiments} - {None}
    if names and launcher != DEFAULT_LAUNCHER:
        yield (
            f"it has experiments in the environment {' and '.join(sorted(map(str, names)))}, and "
            f"execution.launcher is {launcher!r}, which runs them on other machines in its own "
            "environment; leave it at `local`, or run the study in that environment itself"
        )


def _disk(output: Path, needed_bytes: int) -> Iterator[str]:
    try:
        check_writable(output, needed_bytes)
    except PreFlightError as error:
        yield str(error).rstrip(".")


def _grouped(found: dict[str, list[str]]) -> tuple[StudyProblem, ...]:
    return tuple(StudyProblem(text, tuple(labels)) for text, labels in found.items())

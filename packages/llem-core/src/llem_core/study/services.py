"""The services that a study keeps between its runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.config.study import StudyConfig
from llem_core.contracts.messages import LaunchFailure, LaunchResult
from llem_core.contracts.service import StudyService
from llem_core.errors import LLEMError, StudyError
from llem_core.plugins import plugins
from llem_core.study.plan import PlannedRun


@dataclass(slots=True)
class _Begun:
    """A service that was started.

    Attributes:
        cycle: the cycle that it was started for; ``None``: for the study.
        facts: what it told.
        n_runs: runs that have used it.
    """

    service: StudyService
    cycle: int | None
    facts: dict[str, Any]
    n_runs: int = 0


class StudyServices:
    """Starts the services that plugins name for a study, and ends them.

    Args:
        study: the study.
        slots: runs at the same time; those that are started anew for each cycle need one.
    """

    def __init__(self, study: StudyConfig, slots: int = 1) -> None:
        self._study = study
        self._slots = slots
        self._begun: list[_Begun] = []
        self._per_cycle: list[StudyService] = []
        self._failures: list[str] = []

    @property
    def facts(self) -> dict[str, dict[str, Any]]:
        """What each service that is there told of itself, by name."""
        return {one.service.name: self._told(one) for one in self._begun}

    @property
    def shared(self) -> list[str]:
        """Sentences on what runs of this study share."""
        known = [*self._per_cycle, *(one.service for one in self._begun)]
        return list(dict.fromkeys(service.shared for service in known if service.shared))

    def start(self) -> None:
        """Start all that live as long as the study, one after another.

        Raises:
            LLEMError: one cannot be started.
        """
        workloads = [(each.backend, each.workload()) for each in self._study.experiments]
        names: set[str] = set()
        for service in plugins().study_services(workloads):
            if service.name in names:
                raise StudyError(
                    f"two services of this study are called {service.name!r}; turn one of their "
                    "plugins off with the environment variable LLEM_DISABLE_PLUGINS"
                )
            names.add(service.name)
            if not service.per_cycle:
                self._start(service, None)
            elif self._slots > 1:
                raise StudyError(
                    f"{service.shared or service.name}: that is for runs which come one after "
                    f"another, and the launcher has {self._slots} slots; have one, or share nothing"
                )
            else:
                self._per_cycle.append(service)

    def prepare(self, planned: PlannedRun) -> None:
        """See that what a run uses is there, and nothing else that is started for a cycle.

        Raises:
            LLEMError: a service cannot be started; the run cannot be.
        """
        wanted = self._used_by(planned.config)
        self.keep_for(planned)
        there = {one.service.name for one in self._begun}
        for service in wanted:
            if service.name not in there:
                self._start(service, planned.cycle)
        for one in self._begun:
            one.n_runs += one.service in wanted

    def keep_for(self, planned: PlannedRun | None) -> None:
        """End what the next run does not use, and what has died."""
        wanted = [] if planned is None else self._used_by(planned.config)
        cycle = None if planned is None else planned.cycle
        for one in [each for each in self._begun if each.service.per_cycle]:
            if one.service not in wanted or one.cycle != cycle or not one.service.is_alive():
                self._begun.remove(one)
                self._end(one.service)

    def explained(self, ended: LaunchResult) -> LaunchResult:
        """How a run ended; with the last words of a service that ended under it."""
        if not isinstance(ended, LaunchFailure):
            return ended
        words = [text for one in self._begun if (text := self._last_words(one.service))]
        return replace(ended, message="; ".join([ended.message, *words]))

    def end(self) -> list[str]:
        """End all that were begun, the last one first; harmless when that is done.

        Returns:
            A sentence for each that failed to end: it must not cost the others, or the study.
        """
        while self._begun:
            self._end(self._begun.pop().service)
        failures, self._failures = self._failures, []
        return failures

    def _used_by(self, config: ExperimentConfig) -> list[StudyService]:
        workload = config.workload() if self._per_cycle else None
        return [
            service
            for service in self._per_cycle
            if workload is not None and service.is_used_by(config.backend, workload)
        ]

    def _start(self, service: StudyService, cycle: int | None) -> None:
        one = _Begun(service, cycle, {})
        self._begun.append(one)
        try:
            one.facts = dict(service.start())
        except BaseException as error:
            if cycle is not None:
                self._begun.remove(one)
                self._end(service)
            if not isinstance(error, Exception) or isinstance(error, LLEMError):
                raise
            # A plugin is foreign code and may raise anything.
            raise StudyError(
                f"the service {service.name!r} cannot be started: {type(error).__name__}: {error}"
            ) from error

    def _end(self, service: StudyService) -> None:
        try:
            service.end()
        except Exception as error:  # noqa: BLE001 - it must not cost the others, or the study
            self._failures.append(f"The service {service.name!r} did not end: {error}")

    @staticmethod
    def _last_words(service: StudyService) -> str:
        try:
            return service.last_words()
        except Exception as error:  # noqa: BLE001 - a run's own error must not be lost
            return f"the service {service.name!r} cannot say how it fares: {error}"

    @staticmethod
    def _told(one: _Begun) -> dict[str, Any]:
        if one.cycle is None:
            return one.facts
        return {**one.facts, "n_runs_before": max(0, one.n_runs - 1)}

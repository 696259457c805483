"""The services that a study keeps between its runs."""

from __future__ import annotations

from typing import Any

from llem_core.config.study import StudyConfig
from llem_core.contracts.service import StudyService
from llem_core.errors import LLEMError, StudyError
from llem_core.plugins import plugins


class StudyServices:
    """Starts the services that plugins name for a study, and ends them.

    Args:
        study: the study.
    """

    def __init__(self, study: StudyConfig) -> None:
        self._study = study
        self._begun: list[StudyService] = []
        self.facts: dict[str, dict[str, Any]] = {}
        """What each service told of itself, by name."""

    def start(self) -> None:
        """Start all, one after another.

        Raises:
            LLEMError: one cannot be started.
        """
        workloads = [(each.backend, each.workload()) for each in self._study.experiments]
        for service in plugins().study_services(workloads):
            if service.name in self.facts:
                raise StudyError(
                    f"two services of this study are called {service.name!r}; turn one of their "
                    "plugins off with the environment variable LLEM_DISABLE_PLUGINS"
                )
            self._begun.append(service)
            try:
                self.facts[service.name] = dict(service.start())
            except LLEMError:
                raise
            # A plugin is foreign code and may raise anything.
            except Exception as error:
                raise StudyError(
                    f"the service {service.name!r} cannot be started: "
                    f"{type(error).__name__}: {error}"
                ) from error

    def end(self) -> list[str]:
        """End all that were begun, the last one first; harmless when that is done.

        Returns:
            A sentence for each that failed to end: it must not cost the others, or the study.
        """
        failures = []
        while self._begun:
            service = self._begun.pop()
            try:
                service.end()
            except Exception as error:  # noqa: BLE001 - see above
                failures.append(f"The service {service.name!r} did not end: {error}")
        return failures

"""The contract of a service: what a study keeps between its runs, such as a loaded server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class StudyService(ABC):
    """Started once before a study's first run, and ended with the study, however that ends.

    It lives in the study's own process. What ``start`` gives travels to every run, where backends
    read it as ``workload.services[name]``: an address, a process id. A program is best started
    with ``llem_core.processes.EngineProcess``, which ends it even when the study's process is
    killed.

    Example::

        from llem_core.contracts import StudyService
        from llem_core.processes import EngineProcess

        class WordServer(StudyService):
            name, engine = "words", None

            def start(self):
                self.engine = EngineProcess(["sleep", "600"], "the server of words")
                return {"process_ids": [self.engine.pid]}

            def end(self):
                if self.engine is not None:
                    self.engine.end()

    Attributes:
        name: what backends find it by; one service of a study has it.
    """

    name: str

    @abstractmethod
    def start(self) -> Mapping[str, Any]:
        """Start it, wait until it is ready, and tell runs what they need to use it (JSON types).

        Raises:
            BackendError: it cannot be started; the study ends with that.
        """

    @abstractmethod
    def end(self) -> None:
        """End it with everything that it started.

        Called once after ``start`` was called, even where that failed or was interrupted.
        """

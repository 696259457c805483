"""The contract of a service: what a study keeps between its runs, such as a loaded server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llem_core.contracts.workload import Workload


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

    A service that is ``per_cycle`` is started anew for each cycle, before the first run that uses
    it, and ended after the last of those that follow each other; one at a time is there. Where
    it cannot be started, that run has failed, and the study goes on. What it gives has
    ``n_runs_before`` added: how many runs have used it since it was started.

    Attributes:
        name: what backends find it by; one service of a study has it.
        per_cycle: whether it is started anew for each cycle.
        shared: what runs share through it, as a sentence for the study's protocol.
    """

    name: str
    per_cycle: bool = False
    shared: str = ""

    def is_used_by(self, backend: str, workload: Workload) -> bool:
        """Whether runs of this backend and workload use it; asked of one that is ``per_cycle``."""
        del backend, workload
        return True

    def is_alive(self) -> bool:
        """Whether it still runs; one that does not is started anew for the next run."""
        return True

    def last_words(self) -> str:
        """How it ended, and what it said last; empty while it runs.

        Asked when a run that used it has failed, for that run's error.
        """
        return ""

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

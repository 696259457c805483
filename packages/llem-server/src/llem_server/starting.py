"""Starts a server, for a run or for all runs of a cycle."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llem_core.contracts import StudyService, Workload
from llem_core.errors import BackendError
from llem_core.processes import EngineProcess

from llem_server.address import Address, address_of, free_port, is_taken
from llem_server.config import ServerConfig
from llem_server.dialect import Control


def port_for(section: ServerConfig) -> int | None:
    """A free port, where the configuration leaves it open."""
    return None if section.base_url and "{port}" not in section.base_url else free_port()


def start(section: ServerConfig, model: str, address: Address) -> EngineProcess:
    """Start a server, and wait until it is ready.

    Raises:
        BackendError: its port is taken, it ended, or it was not ready in time.
    """
    if is_taken(address.host, address.port):
        raise BackendError(
            f"port {address.port} is taken, so that server.command could not listen there; end "
            "what listens, or write {port} in base_url and command for a free one"
        )
    words = [
        word.replace("{port}", str(address.port)).replace("{model}", model)
        for word in section.command or ()
    ]
    log = None if section.log is None else Path(section.log).expanduser()
    process = EngineProcess(
        words,
        "the server",
        environment=dict(section.environment),
        log=log,
        hidden=address.secrets,
    )
    try:
        control = Control(address)
        process.wait_until(
            lambda: control.is_ready(section.ready_path), section.ready_timeout_seconds, poll_s=0.1
        )
    except BaseException:
        process.end()
        raise
    return process


class SharedServer(StudyService):
    """A server that the runs of a cycle share.

    Args:
        name: what the runs find it by; see ``ServerConfig.shared_engine``.
        section: starts it.
        model: fills ``{model}`` in.
    """

    per_cycle = True

    def __init__(self, name: str, section: ServerConfig, model: str) -> None:
        self.name = name
        program = Path((section.command or ("",))[0]).name
        self.shared = f"the server {program!r} ({name}), by the runs of each cycle that have it"
        self._section = section
        self._model = model
        self._process: EngineProcess | None = None

    def is_used_by(self, backend: str, workload: Workload) -> bool:
        """Whether it is the server of this workload."""
        return backend == "server" and service_name(workload) == self.name

    def is_alive(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.is_alive()

    def last_words(self) -> str:
        """How it ended, with the end of what it printed."""
        try:
            if self._process is not None:
                self._process.check()
        except BackendError as error:
            return str(error)
        return ""

    def start(self) -> Mapping[str, Any]:
        """Start it; tells its port, process and host."""
        address = address_of(self._section, port_for(self._section))
        self._process = start(self._section, self._model, address)
        return {
            "port": address.port,
            "process_id": self._process.pid,
            "host": socket.gethostname(),
        }

    def end(self) -> None:
        """End it, with everything that it started."""
        process, self._process = self._process, None
        if process is not None:
            process.end()


def service_name(workload: Workload) -> str | None:
    """The shared server of a workload; ``None`` where it shares none."""
    section = workload.section
    if not isinstance(section, ServerConfig) or section.shared_engine() is None:
        return None
    return f"{section.shared_engine()}-{workload.model}"

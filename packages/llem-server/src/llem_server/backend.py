"""A server that is attached to or started, and asked for streams."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from llem_core.contracts import (
    Arrival,
    ModelInfo,
    Prompt,
    Purpose,
    RunFacts,
    ServedRequest,
    ServingBackend,
    Workload,
)
from llem_core.errors import BackendError
from llem_core.processes import EngineProcess

from llem_server.address import Address, address_of
from llem_server.client import Client
from llem_server.config import ServerConfig
from llem_server.devices import devices_of, family, listeners
from llem_server.dialect import Control, Dialect
from llem_server.prompts import RequestMaker
from llem_server.starting import port_for, service_name, start

_ALIVE_EVERY_S = 0.5
_DYING_S = 0.5


class ServerBackend(ServingBackend):
    """Speaks the OpenAI API; starts the server first where it is told how."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        assert isinstance(workload.section, ServerConfig)
        self._section = workload.section
        self._process: EngineProcess | None = None
        self._kept_id: int | None = None
        self._n_before = 0
        self._client: Client | None = None
        self._control: Control | None = None
        self._maker: RequestMaker | None = None
        self._dialect: Dialect | None = None
        self._asked_s = 0.0
        self._before: dict[str, float] = {}

    def load(self) -> ModelInfo:
        """Start the server, or find it, and see that it serves the model."""
        section = self._section
        kept = self._kept()
        address = address_of(section, port_for(section) if kept is None else kept["port"])
        if kept is not None:
            self._kept_id, self._n_before = kept["process_id"], kept["n_runs_before"]
        elif section.command is not None:
            self._process = start(section, self.workload.model, address)
        try:
            return self._find(address)
        except BackendError:
            if self._process is not None:
                self._process.check(_DYING_S)  # what it said last tells more
            raise

    def _find(self, address: Address) -> ModelInfo:
        """See that it serves the model, and how it is asked."""
        self._control = Control(address)
        models = self._control.models()
        self._see_model(address, [str(model.get("id")) for model in models])
        self._dialect = self._control.dialect(models)
        self._maker = RequestMaker(self.workload, address, self._control, self._dialect)
        try:
            self._client = Client(address)
        except OSError as error:
            raise BackendError(f"{address.url}: {error}") from error
        self._try_one()
        self._before = dict(self.engine_counters())
        return self._info(address)

    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[ServedRequest]:
        """Make each prompt the bytes of a request."""
        del purpose
        assert self._maker is not None
        return self._maker.make(prompts)

    def submit(self, request: ServedRequest) -> None:
        """Send it."""
        assert self._client is not None
        self._client.submit(request)

    def arrived(self, timeout_s: float) -> Sequence[Arrival]:
        """Hand over what has come."""
        assert self._client is not None
        found = self._client.arrived(timeout_s)
        process = self._process
        if process is not None and not found:
            process.check()
        elif process is not None and (now_s := time.monotonic()) - self._asked_s > _ALIVE_EVERY_S:
            self._asked_s = now_s
            process.check()
        return found

    def cancel(self, index: int) -> None:
        """Close its connection: servers stop generating then."""
        assert self._client is not None
        self._client.cancel(index)

    def engine_counters(self) -> Mapping[str, float]:
        """The server's own counters."""
        if self._control is None or self._section.metrics_path is None:
            return {}
        return self._control.counters(self._section.metrics_path)

    def engine_output(self) -> str:
        """The end of what the server printed."""
        return "" if self._process is None else self._process.output.tail()

    def facts(self) -> RunFacts:
        """What the server counted since it was found."""
        after = self.engine_counters()
        counted: dict[str, object] = {
            name: after[name] - self._before.get(name, 0.0) for name in after
        }
        return RunFacts(counted, log="" if self._process is None else self._process.output.text())

    def unload(self) -> None:
        """Close the connections, and end the server if it was started here."""
        client, self._client = self._client, None
        process, self._process = self._process, None
        if client is not None:
            client.close()
        if process is not None:
            process.end()

    def _kept(self) -> Mapping[str, Any] | None:
        """What is told of the server that the study keeps for this run, if it keeps one.

        Raises:
            BackendError: it is on another machine.
        """
        name = service_name(self.workload)
        kept = None if name is None else self.workload.services.get(name)
        if kept is not None and kept["host"] != socket.gethostname():
            raise BackendError(
                f"server.reuse is `study`, the study keeps its server on {kept['host']}, and this "
                f"run is on {socket.gethostname()}; set it to `experiment`"
            )
        return kept

    def _see_model(self, address: Address, names: Sequence[str]) -> None:
        if self.workload.model not in names:
            listed = ", ".join(names[:20]) or "none"
            raise BackendError(
                f"{address.url} does not serve {self.workload.model!r}; it serves: {listed}. Set "
                "`model` to one of these"
            )

    def _try_one(self) -> None:
        """One request like those to come, so that what the server refuses is known beforehand."""
        assert self._client is not None
        assert self._maker is not None
        (request,) = self._maker.make([Prompt(0, "one two three", 2)])
        self._client.submit(request)
        deadline_s = time.monotonic() + self._section.ready_timeout_seconds
        while time.monotonic() < deadline_s:
            for arrival in self.arrived(0.5):
                error = getattr(arrival, "error", None)
                if error is not None:
                    raise BackendError(f"the server refuses a first request: {error}{_hint(error)}")
                if hasattr(arrival, "output_tokens"):
                    return
        raise BackendError(
            f"the server has not answered a first request of two tokens after "
            f"{self._section.ready_timeout_seconds:g} s"
        )

    def _info(self, address: Address) -> ModelInfo:
        assert self._dialect is not None
        assert self._maker is not None
        pids: set[int] = set()
        if self._process is not None:
            pids = family(self._process.pid)
        elif self._kept_id is not None:
            pids = family(self._kept_id)
        elif address.is_local and self._section.host is None:
            for pid in listeners(address.port):
                pids |= family(pid)
        notes = []
        if not self._maker.tells_tokens:
            notes.append(
                "The server does not tokenise for others: prompts are sent as they are, and none "
                "was cut to max_input_tokens."
            )
        if self._n_before:
            runs = "run" if self._n_before == 1 else "runs"
            notes.append(
                f"The server was shared with {self._n_before} earlier {runs} of its cycle "
                "(server.reuse): where they sent the same prompts, what it keeps of prefixes makes "
                "their prefill cheaper here."
            )
        return ModelInfo(
            parameters=None,
            parameters_non_embedding=None,
            devices=devices_of(self._section, address, pids),
            effective_settings={"server": self._dialect.name, "api": self._section.api},
            notes=tuple(notes),
            process_ids=tuple(sorted(pids)) if self._process is None else (self._process.pid,),
            resident=self._process is None,
        )


def _hint(error: str) -> str:
    if "template" in error.lower():
        return "; the model has no chat template: take `api: completions`"
    return ""

"""What pluggy is told of: the backend ``server``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llem_core.contracts import Backend, BackendSpec, CheckReport, Workload, hookimpl

from llem_server.config import ServerConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llem_core.contracts import StudyService

LLEM_CONTRACT = 2


def _create(workload: Workload) -> Backend:
    from llem_server.backend import ServerBackend

    return ServerBackend(workload)


def _check(workload: Workload) -> CheckReport:
    from llem_server.check import check

    return check(workload)


@hookimpl
def llem_study_services(workloads: Sequence[tuple[str, Workload]]) -> list[StudyService]:
    """Keep the servers that runs share."""
    sections = [w for name, w in workloads if name == "server"]
    if all(
        isinstance(w.section, ServerConfig) and w.section.reuse == "experiment" for w in sections
    ):
        return []
    from llem_server.starting import SharedServer, service_name

    found: dict[str, StudyService] = {}
    for workload in sections:
        name = service_name(workload)
        if name is not None and isinstance(workload.section, ServerConfig):
            found.setdefault(name, SharedServer(name, workload.section, workload.model))
    return list(found.values())


@hookimpl
def llem_backends() -> list[BackendSpec]:
    """Name it."""
    return [
        BackendSpec(
            name="server",
            summary="A server that speaks the OpenAI API: vLLM, SGLang, llama.cpp, TGI.",
            section=ServerConfig,
            create=_create,
            check=_check,
            serves=True,
        )
    ]

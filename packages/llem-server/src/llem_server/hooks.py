"""What pluggy is told of: the backend ``server``."""

from __future__ import annotations

from llem_core.contracts import Backend, BackendSpec, CheckReport, Workload, hookimpl

from llem_server.config import ServerConfig

LLEM_CONTRACT = 2


def _create(workload: Workload) -> Backend:
    from llem_server.backend import ServerBackend

    return ServerBackend(workload)


def _check(workload: Workload) -> CheckReport:
    from llem_server.check import check

    return check(workload)


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

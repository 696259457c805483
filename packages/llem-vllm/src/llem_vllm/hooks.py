"""Registers the vLLM backend; imports neither torch nor vllm."""

from __future__ import annotations

from llem_core.contracts import Availability, Backend, BackendSpec, CheckReport, Workload, hookimpl

LLEM_CONTRACT = 2


def _create(workload: Workload) -> Backend:
    _warm_import()
    if workload.load_mode == "batch":
        from llem_vllm.batch import VllmBatchBackend

        return VllmBatchBackend(workload)
    from llem_vllm.serving import VllmServingBackend

    return VllmServingBackend(workload)


def _check(workload: Workload) -> CheckReport:
    from llem_vllm.check import check

    return check(workload)


def _warm_import() -> None:
    from llem_vllm.quiet import dropped

    with dropped():
        import llem_vllm.batch  # noqa: F401


def _availability() -> Availability:
    from llem_vllm.requirements import availability

    return availability()


@hookimpl
def llem_backends() -> list[BackendSpec]:
    """Name the backend."""
    from llem_vllm.config import VllmConfig

    return [
        BackendSpec(
            name="vllm",
            summary="vLLM in process: LLM.generate for batches, AsyncLLM for served loads.",
            section=VllmConfig,
            create=_create,
            check=_check,
            availability=_availability,
            warm_import=_warm_import,
            serves=True,
        )
    ]

"""Registers the backend; what the entry point names, so it imports neither engine nor numpy."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from llem_core.contracts import (
    Availability,
    BackendSpec,
    CheckReport,
    InferenceBackend,
    Workload,
    hookimpl,
)

from llem_onnxruntime.config import OnnxRuntimeConfig

LLEM_CONTRACT = 2


def _create(workload: Workload) -> InferenceBackend:
    from llem_onnxruntime.backend import OnnxRuntimeBackend

    return OnnxRuntimeBackend(workload)


def _check(workload: Workload) -> CheckReport:
    from llem_onnxruntime.check import check

    return check(workload)


def _availability() -> Availability:
    try:
        return Availability(True, f"onnxruntime {version('onnxruntime')}, on the CPU")
    except PackageNotFoundError:
        # The GPU builds go by other names and have the same module.
        return Availability(False, "onnxruntime is not installed; run `pip install onnxruntime`")


ONNXRUNTIME = BackendSpec(
    name="onnxruntime",
    summary="Greedy decoding of exported ONNX models on the CPU.",
    section=OnnxRuntimeConfig,
    create=_create,
    check=_check,
    availability=_availability,
)


@hookimpl
def llem_backends() -> list[BackendSpec]:
    """Name the backend."""
    return [ONNXRUNTIME]

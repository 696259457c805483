"""Registers the PyTorch backend; imports neither torch nor transformers."""

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

LLEM_CONTRACT = 2


def _create(workload: Workload) -> InferenceBackend:
    from llem_pytorch.backend import PyTorchBackend

    return PyTorchBackend(workload)


def _check(workload: Workload) -> CheckReport:
    from llem_pytorch.check import check

    return check(workload)


def _warm_import() -> None:
    import llem_pytorch.backend  # noqa: F401


def _availability() -> Availability:
    try:
        reason = f"torch {version('torch')}, transformers {version('transformers')}"
    except PackageNotFoundError as error:
        return Availability(False, f"{error.name} is not installed; run `pip install {error.name}`")
    return Availability(True, reason)


@hookimpl
def llem_backends() -> list[BackendSpec]:
    """Name the backend."""
    from llem_pytorch.config import PyTorchConfig

    return [
        BackendSpec(
            name="pytorch",
            summary="transformers' generate on PyTorch, on CPU or NVIDIA GPUs.",
            section=PyTorchConfig,
            create=_create,
            check=_check,
            availability=_availability,
            warm_import=_warm_import,
        )
    ]

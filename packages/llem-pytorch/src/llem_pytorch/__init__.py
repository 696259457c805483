"""PyTorch and transformers backend of LLenergyMeasure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llem_pytorch.backend import PyTorchBackend
    from llem_pytorch.config import PyTorchConfig

__all__ = ["PyTorchBackend", "PyTorchConfig"]


def __getattr__(name: str) -> Any:
    # The configuration must be usable without importing torch.
    if name == "PyTorchConfig":
        from llem_pytorch.config import PyTorchConfig

        return PyTorchConfig
    if name == "PyTorchBackend":
        from llem_pytorch.backend import PyTorchBackend

        return PyTorchBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The section ``nvml`` of an experiment file."""

from __future__ import annotations

from llem_core.contracts import Section
from pydantic import Field


class NvmlConfig(Section):
    """How the energy of NVIDIA GPUs is read through NVML."""

    align_edges: bool = Field(
        True,
        description="Wait for the energy counter to tick at both edges of a window, which removes "
        "most of their error.",
    )
    longest_wait_seconds: float = Field(
        0.25, gt=0, le=5, description="Wait for a tick at the most (s)."
    )

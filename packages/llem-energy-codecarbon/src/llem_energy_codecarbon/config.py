"""The section ``codecarbon`` of an experiment's energy configuration."""

from __future__ import annotations

from typing import Literal

from llem_core.contracts import Section
from pydantic import Field


class CodeCarbonConfig(Section):
    """Settings of the CodeCarbon sampler."""

    tracking_mode: Literal["machine", "process"] = Field(
        "machine",
        description="Whose CPU load and memory an estimate is about: the whole machine's, or "
        "this process's and its children's.",
    )
    measure_interval_s: float = Field(
        1.0,
        ge=0.2,
        le=60,
        description="Time between two measurements inside a window, in seconds. CodeCarbon "
        "samples the CPU's load every second; the operating system counts load in steps of "
        "10 ms, so that much shorter intervals make an estimate coarse.",
    )
    cpu_tdp_w: float | None = Field(
        None,
        gt=0,
        description="Thermal design power of all CPUs together, in watts, for the estimate. "
        "When it is set, CodeCarbon estimates even where it could measure. None: CodeCarbon's "
        "own table.",
    )
    ram_power_w: float | None = Field(
        None,
        gt=0,
        description="Power of the memory, in watts, for the estimate. None: CodeCarbon's model "
        "of the memory's size.",
    )

"""The section ``wallmeter`` of an experiment file."""

from __future__ import annotations

from typing import Literal, Self

from llem_core.contracts import Section
from pydantic import Field, model_validator

SOURCE_VARIABLE = "LLEM_WALLMETER__SOURCE"
"""``llem run`` sets ``wallmeter.source`` by it, as by any such variable; others than the command
line have the sampler look itself."""


class WallMeterConfig(Section):
    """Where the meter is, what its lines say, and how well it measures."""

    source: str | None = Field(
        None,
        min_length=1,
        description="Path of a file that the meter's logger appends to, `tcp://<host>:<port>` or "
        f"`unix://<path>`; the environment variable {SOURCE_VARIABLE} if not given.",
    )
    quantity: Literal["power_w", "energy_j", "energy_wh"] = Field(
        "power_w", description="What a line's figure is: power (W) or a running total (J, Wh)."
    )
    power_is: Literal["mean", "instant"] = Field(
        "mean",
        description="Power: `mean` over the time since the line before, or `instant` values, "
        "between which power is taken to change evenly.",
    )
    clock: Literal["unix", "monotonic", "arrival"] = Field(
        "unix",
        description="What a line's time is: seconds of the Unix epoch or ISO 8601 (`unix`), this "
        "machine's CLOCK_MONOTONIC in seconds, or none at all (`arrival`, sockets only).",
    )
    clock_error_seconds: float = Field(
        0.02,
        ge=0,
        description="Standard uncertainty of those times against this machine's clock (s).",
    )
    accuracy_percent: float = Field(
        1.0, ge=0, description="Limit of error in the meter's data sheet, as % of the reading."
    )
    accuracy_offset_w: float = Field(
        0.0,
        ge=0,
        description="The data sheet's limit of error beside that, such as % of range (W).",
    )
    resolution: float | None = Field(
        None,
        gt=0,
        description="Smallest step of a line's figure, in the unit of `quantity`; that of the last "
        "digit which the meter writes if not given.",
    )
    stale_after_seconds: float = Field(
        5.0, gt=0, description="A meter that is silent for longer has stopped (s)."
    )
    label: str = Field("wall meter", min_length=1, description="Name of the meter in results.")

    @model_validator(mode="after")
    def _files_have_times(self) -> Self:
        if self.clock == "arrival" and self.source and "://" not in self.source:
            raise ValueError(
                "clock: arrival needs a socket: nothing watches a file while a window is open, so "
                "its lines need times of their own"
            )
        return self

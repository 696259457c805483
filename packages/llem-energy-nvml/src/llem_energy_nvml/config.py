"""The section ``nvml`` of an experiment file."""

from __future__ import annotations

from llem_core.contracts import Section
from pydantic import Field

ANY_CARD = "any"


class Calibration(Section):
    """What an external meter has found of one card's power sensor."""

    gain: float = Field(
        1.0,
        gt=0.5,
        lt=2,
        description="Watts that the card tells for each true one (dimensionless); readings are "
        "divided by it.",
    )
    gain_half_width: float = Field(
        gt=0,
        lt=0.5,
        description="The true gain lies within ± this share of the one stated (dimensionless).",
    )
    offset_w: float = Field(
        0.0, description="Watts that the card tells at no power; taken off before the gain."
    )


class NvmlConfig(Section):
    """How the energy of NVIDIA GPUs is read through NVML."""

    align_edges: bool = Field(
        True,
        description="Wait for the energy counter's updates at both edges of a window, which "
        "removes most of their error.",
    )
    longest_wait_seconds: float = Field(
        0.25, gt=0, le=5, description="Wait for one update at the most (s); an edge waits for two."
    )
    passport: bool = Field(
        True,
        description="Use what `llem config --probe` has measured of the device's sensors, where "
        "it has been run with the same driver.",
    )
    calibration: dict[str, Calibration] = Field(
        default_factory=dict,
        description="Known gain of a card by its UUID, or by `any` for all cards. Without it the "
        "absolute uncertainty holds the whole range reported for such cards, −8 to +13 %.",
    )

    def calibration_of(self, uuid: str) -> Calibration | None:
        """What is known of one card's gain."""
        return self.calibration.get(uuid) or self.calibration.get(ANY_CARD)

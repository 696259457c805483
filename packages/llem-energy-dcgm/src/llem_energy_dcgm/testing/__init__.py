"""A scripted exporter with known power and misbehaviours, and simulated time, for tests."""

from llem_energy_dcgm.testing.clock import VirtualClock
from llem_energy_dcgm.testing.power import Curve, Ramps, Square
from llem_energy_dcgm.testing.scripted import (
    MISBEHAVIOURS,
    DirectExporter,
    Page,
    ScriptedExporter,
    ScriptedGpu,
)
from llem_energy_dcgm.testing.served import serving

__all__ = [
    "MISBEHAVIOURS",
    "Curve",
    "DirectExporter",
    "Page",
    "Ramps",
    "ScriptedExporter",
    "ScriptedGpu",
    "Square",
    "VirtualClock",
    "serving",
]

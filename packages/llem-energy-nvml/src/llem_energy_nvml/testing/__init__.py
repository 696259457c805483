"""A simulated NVML driver underneath the real ``pynvml`` binding, for tests without a GPU.

``simulated_driver`` for this process, ``python -m llem_energy_nvml.testing.run`` for a program and
all that it starts, ``VirtualClock`` for a minute in milliseconds.
"""

from llem_energy_nvml.testing.clock import VirtualClock
from llem_energy_nvml.testing.curves import (
    Constant,
    Curve,
    Ramp,
    Repeated,
    Shifted,
    Square,
    Steps,
    Switched,
    generation,
    spiky,
)
from llem_energy_nvml.testing.gpu import SimulatedGpu
from llem_energy_nvml.testing.install import simulated_driver
from llem_energy_nvml.testing.measure import Simulated, measure_window

__all__ = [
    "Constant",
    "Curve",
    "Ramp",
    "Repeated",
    "Shifted",
    "Simulated",
    "SimulatedGpu",
    "Square",
    "Steps",
    "Switched",
    "VirtualClock",
    "generation",
    "measure_window",
    "simulated_driver",
    "spiky",
]

"""A simulated NVML driver underneath the real ``pynvml`` binding, for tests without a GPU."""

from llem_energy_nvml.testing.curves import Constant, Curve, Square, Steps
from llem_energy_nvml.testing.driver import simulated_driver
from llem_energy_nvml.testing.gpu import SimulatedGpu

__all__ = ["Constant", "Curve", "SimulatedGpu", "Square", "Steps", "simulated_driver"]

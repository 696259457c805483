"""What energy samplers share; third parties use it as the shipped ones do."""

from llem_core.meters.budget import (
    GPU_GAIN_HALF_WIDTH,
    NVML_COUNTER,
    RAPL_COUNTER,
    RAPL_DRAM_COUNTER,
    CounterFacts,
    clock_rate,
    counter_budget,
    counter_fault,
    edges,
    gain,
    integral_budget,
    quantisation,
)
from llem_core.meters.history import IntervalEnergy, PowerHistory, part_of
from llem_core.meters.mig import MIG_REFUSED, WHOLE_BOARD, MigBoard, mig_board
from llem_core.meters.periodic import Periodic
from llem_core.meters.presence import has_nvidia_gpu
from llem_core.meters.processes import DeviceProcesses, other_processes
from llem_core.meters.throttle import THROTTLE_CALLS, throttle_names
from llem_core.meters.visible import VisibleGpus, visible_gpus

__all__ = [
    "GPU_GAIN_HALF_WIDTH",
    "MIG_REFUSED",
    "NVML_COUNTER",
    "RAPL_COUNTER",
    "RAPL_DRAM_COUNTER",
    "THROTTLE_CALLS",
    "WHOLE_BOARD",
    "CounterFacts",
    "DeviceProcesses",
    "IntervalEnergy",
    "MigBoard",
    "Periodic",
    "PowerHistory",
    "VisibleGpus",
    "clock_rate",
    "counter_budget",
    "counter_fault",
    "edges",
    "gain",
    "has_nvidia_gpu",
    "integral_budget",
    "mig_board",
    "other_processes",
    "part_of",
    "quantisation",
    "throttle_names",
    "visible_gpus",
]

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
from llem_core.meters.visible import VisibleGpus, visible_gpus

__all__ = [
    "GPU_GAIN_HALF_WIDTH",
    "NVML_COUNTER",
    "RAPL_COUNTER",
    "RAPL_DRAM_COUNTER",
    "CounterFacts",
    "IntervalEnergy",
    "PowerHistory",
    "VisibleGpus",
    "clock_rate",
    "counter_budget",
    "counter_fault",
    "edges",
    "gain",
    "integral_budget",
    "part_of",
    "quantisation",
    "visible_gpus",
]

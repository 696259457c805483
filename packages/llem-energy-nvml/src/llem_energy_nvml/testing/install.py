"""Puts simulated GPUs underneath ``pynvml``.

The binding calls C functions of ``libnvidia-ml`` through ``ctypes``. Here its library handle is
replaced by an object with Python functions of the same names, which fill the binding's own
structures; so the binding's code, its structures and its error mapping are exercised, and
whatever else uses the binding in this process sees the same GPUs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pynvml

from llem_energy_nvml.clock import Clock, RealClock
from llem_energy_nvml.testing.driver import SimulatedLibrary
from llem_energy_nvml.testing.gpu import SimulatedGpu

DRIVER_VERSION = "580.00.simulated"


@contextlib.contextmanager
def simulated_driver(
    gpus: Sequence[SimulatedGpu],
    *,
    clock: Clock | None = None,
    loaded: bool = True,
    version: str = DRIVER_VERSION,
) -> Iterator[Callable[[], float]]:
    """Within the block, ``pynvml`` in this process sees these GPUs.

    Args:
        gpus: the devices, by NVML's index.
        clock: time; the simulation starts at its present.
        loaded: whether the driver is loaded; if not, opening NVML fails.
        version: what the driver calls itself.

    Yields:
        Seconds since the start of the simulation: the time that curves and defects refer to.
    """
    used = clock or RealClock()
    origin_s = used.now()

    def now() -> float:
        return used.now() - origin_s

    remove = install(SimulatedLibrary(gpus, now, used.sleep, loaded, version))
    try:
        yield now
    finally:
        remove()


def install(library: SimulatedLibrary) -> Callable[[], None]:
    """Put a library underneath the binding.

    Returns:
        Puts back what was there.
    """
    binding: Any = pynvml
    before, functions = binding.nvmlLib, dict(binding._nvmlGetFunctionPointer_cache)
    binding._nvmlGetFunctionPointer_cache.clear()
    binding.nvmlLib = library

    def remove() -> None:
        binding.nvmlLib = before
        binding._nvmlGetFunctionPointer_cache.clear()
        binding._nvmlGetFunctionPointer_cache.update(functions)

    return remove

"""The bundled samplers keep the contract.

NVML runs over a simulated driver, and DCGM over a scripted exporter, whose power is known. Zeus and
CodeCarbon see the machine as it is: where one cannot be used, the rules that need a meter are
skipped with its reason.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import ClassVar

from llem_core.contracts import Section
from llem_core.testing import PowerScript, SamplerContract
from llem_energy_codecarbon import hooks as codecarbon
from llem_energy_dcgm import hooks as dcgm
from llem_energy_dcgm.config import DcgmConfig
from llem_energy_dcgm.testing import ScriptedExporter, ScriptedGpu, serving
from llem_energy_dcgm.testing import Square as SquareOfExporter
from llem_energy_nvml import hooks as nvml
from llem_energy_nvml.testing import Constant, SimulatedGpu, Square, simulated_driver
from llem_energy_zeus import hooks as zeus

GPUS = (
    SimulatedGpu(Constant(300.0), uuid="GPU-1"),
    SimulatedGpu(Square(80.0, 400.0, 0.5), uuid="GPU-2", counter_refresh_s=None),
)


class TestNvml(SamplerContract):
    plugin = nvml
    window_s = 0.6
    power_w = (50.0, 500.0)

    def surroundings(self) -> AbstractContextManager[object]:
        return simulated_driver(GPUS)


class TestNvmlWithoutDriver(SamplerContract):
    plugin = nvml

    def surroundings(self) -> AbstractContextManager[object]:
        return simulated_driver((), loaded=False)


class TestDcgm(SamplerContract):
    plugin = dcgm
    window_s = 0.6
    power_w = (50.0, 500.0)
    url: ClassVar = ""

    @contextlib.contextmanager
    def surroundings(self) -> Iterator[object]:
        gpus = [
            ScriptedGpu(PowerScript((0, 300.0)), "GPU-1"),
            ScriptedGpu(SquareOfExporter(80.0, 400.0, 0.5), "GPU-2", has_energy=False),
        ]
        with serving(ScriptedExporter(gpus, collect_interval_s=0.1)) as server:
            type(self).url = server.url
            yield server

    def make_section(self) -> Section | None:
        return DcgmConfig(url=self.url or None, poll_seconds=0.02)


class TestZeus(SamplerContract):
    plugin = zeus


class TestCodeCarbon(SamplerContract):
    plugin = codecarbon
    window_s = 1.0
    section: ClassVar = {"measure_interval_s": 0.2}

"""A simulated GPU whose power follows the work that the CPU does in its place."""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import llem_energy_nvml.hooks
import llem_pytorch.hooks
from llem_core.contracts import (
    Batch,
    CheckReport,
    DeviceInfo,
    InferenceBackend,
    ModelInfo,
    SensorProbe,
    Workload,
)
from llem_core.plugins import Plugins, plugins, use_plugins
from llem_core.sinks import hooks as core_sinks
from llem_core.testing import FakePlugin
from llem_energy_nvml.testing import SimulatedGpu
from llem_pytorch.backend import PyTorchBackend
from validation.rehearsal import UUID, WorkCurve, simulated_gpu

from gpu_session.machine import Load

NAME = "SIMULATED GPU"
_ROW = f"0, {NAME}, {UUID}, 580.00.simulated, 81920, 700.00, Default, Disabled, Enabled"


class SimulatedCard:
    """Stands in for a card: the curve is high while work is said to be done."""

    simulated = True
    device = "cpu"

    def __init__(self, curve: WorkCurve, now: Callable[[], float]) -> None:
        self._load = SimulatedLoad(curve, now)

    def make_context(self) -> None:
        """There is none to make."""

    def load(self) -> Load:
        """A load that does nothing but raise the curve."""
        return self._load

    def probe(self) -> Sequence[SensorProbe]:
        """The sampler's own probe, which finds no load here."""
        probe = plugins().samplers.get("nvml").probe
        assert probe is not None
        return probe()


class SimulatedLoad:
    """Notes when it is turned on and off."""

    def __init__(self, curve: WorkCurve, now: Callable[[], float]) -> None:
        self._curve, self._now = curve, now

    def on(self) -> None:
        """Begin."""
        self._curve.ends.append(self._now())

    def off(self) -> None:
        """End."""
        self._curve.ends.append(self._now())


class WorkingBackend(PyTorchBackend):
    """The PyTorch backend on a CPU, which claims the simulated GPU and tells it of its work."""

    def __init__(self, workload: Workload, load: Load) -> None:
        super().__init__(workload)
        self._load = load

    def load(self) -> ModelInfo:
        """Load on the CPU, and name the simulated GPU."""
        return replace(super().load(), devices=(DeviceInfo("gpu", NAME, UUID),))

    def generate(self, batch: Batch) -> object:
        """Generate while the curve is high."""
        self._load.on()
        try:
            return super().generate(batch)
        finally:
            self._load.off()


@contextlib.contextmanager
def simulated_card() -> Iterator[SimulatedCard]:
    """Within the block this process has one simulated GPU, and models run on the CPU."""
    curve = WorkCurve()
    gpu = SimulatedGpu(curve=curve, uuid=UUID, name=NAME)
    with simulated_gpu(gpu) as now, _driver_command():
        machine = SimulatedCard(curve, now)

        def create(workload: Workload) -> InferenceBackend:
            return WorkingBackend(workload, machine.load())

        (spec,) = llem_pytorch.hooks.llem_backends()
        working = replace(spec, create=create, check=lambda _: CheckReport(device_kind="gpu"))
        known = Plugins()
        known.register(core_sinks, "core-sinks")
        known.register(llem_energy_nvml.hooks, "nvml")
        known.register(FakePlugin(backends=[working]), "pytorch")
        with use_plugins(known):
            yield machine


@contextlib.contextmanager
def _driver_command() -> Iterator[None]:
    """An ``nvidia-smi`` on the path that shows the simulated GPU."""
    before = os.environ["PATH"]
    with tempfile.TemporaryDirectory(prefix="llem-rehearsal-") as folder:
        command = Path(folder) / "nvidia-smi"
        command.write_text(f"#!/bin/sh\necho {shlex.quote(_ROW)}\n", encoding="utf-8")
        command.chmod(0o755)
        os.environ["PATH"] = f"{folder}{os.pathsep}{before}"
        try:
            yield
        finally:
            os.environ["PATH"] = before

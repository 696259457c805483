"""A simulated GPU and a scripted model, to try the validation itself without a GPU."""

from __future__ import annotations

import bisect
import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import llem_energy_nvml.hooks
from llem_core.contracts import Batch, InferenceBackend, Workload
from llem_core.plugins import Plugins, use_plugins
from llem_core.sinks import hooks as core_sinks
from llem_core.testing import FakePlugin, ScriptedBackend, scripted_backend
from llem_energy_nvml.testing import SimulatedGpu, simulated_driver

from validation.running import Plan

UUID = "GPU-00000000-0000-0000-0000-000000000001"
IDLE_W, BUSY_W = 80.0, 400.0


@dataclass
class WorkCurve:
    """Power that follows the work: one level while a batch is generated, another between.

    Attributes:
        ends: moments at which work began and ended, in turn (s).
    """

    ends: list[float] = field(default_factory=list)

    @property
    def lowest_w(self) -> float:
        """Power at rest (W)."""
        return IDLE_W

    def power_w(self, time_s: float) -> float:
        """Power at a moment (W)."""
        return BUSY_W if bisect.bisect_right(self.ends, time_s) % 2 else IDLE_W

    def energy_j(self, time_s: float) -> float:
        """Integral of power from 0 to a moment, exactly (J)."""
        ends = [*(end for end in self.ends if end < time_s), time_s]
        pairs = zip(ends[0::2], ends[1::2], strict=False)
        return IDLE_W * time_s + (BUSY_W - IDLE_W) * sum(b - a for a, b in pairs)


class WorkingBackend(ScriptedBackend):
    """A scripted backend that tells the simulated GPU when it works."""

    def __init__(self, workload: Workload, curve: WorkCurve, now: Callable[[], float]) -> None:
        super().__init__(workload)
        self._curve, self._now = curve, now

    def generate(self, batch: Batch) -> list[tuple[int, ...]]:
        """Wait as the script says, at full power."""
        self._curve.ends.append(self._now())
        try:
            return super().generate(batch)
        finally:
            self._curve.ends.append(self._now())


def rehearsal_plan(limit_s: float) -> Plan:
    """Everything in small: seconds instead of minutes."""
    return Plan(
        model="simulated",
        described="a scripted model that waits",
        fields={
            "backend": "scripted",
            "dataset": "synthetic",
            "max_input_tokens": 16,
            "warmup": {"n_warmup": 1, "convergence_detection": False},
            "baseline": {"duration_seconds": 0.5},
            "energy": {"sampler": "nvml"},
            "scripted": {"token_time_s": 0.005, "gpu_uuids": [UUID]},
        },
        batch_field="scripted",
        long_window_s=4.0,
        window_s=1.0,
        repeats=3,
        output_tokens=16,
        phase_outputs=(4, 16, 64),
        limit_s=limit_s,
    )


@contextlib.contextmanager
def simulated_machine() -> Iterator[None]:
    """Within the block, this process has one simulated GPU, the NVML sampler and that backend.

    What a probe finds of the simulated GPU is kept in a folder that is removed again.
    """
    curve = WorkCurve()
    with simulated_gpu(SimulatedGpu(curve=curve, uuid=UUID, name="SIMULATED GPU")) as now:
        create: Callable[[Workload], InferenceBackend]
        create = partial(WorkingBackend, curve=curve, now=now)
        plugins = Plugins()
        plugins.register(core_sinks, "core-sinks")
        plugins.register(llem_energy_nvml.hooks, "nvml")
        plugins.register(FakePlugin(backends=[scripted_backend(create=create)]), "scripted")
        with use_plugins(plugins):
            yield


@contextlib.contextmanager
def simulated_gpu(gpu: SimulatedGpu) -> Iterator[Callable[[], float]]:
    """Within the block this process sees one simulated GPU, and keeps nothing of it.

    Yields:
        Seconds since the start of the simulation.
    """
    with _own_data_folder(), simulated_driver([gpu]) as now:
        yield now


@contextlib.contextmanager
def _own_data_folder() -> Iterator[None]:
    before = os.environ.get("XDG_DATA_HOME")
    with tempfile.TemporaryDirectory(prefix="llem-rehearsal-") as folder:
        os.environ["XDG_DATA_HOME"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["XDG_DATA_HOME"]
            else:
                os.environ["XDG_DATA_HOME"] = before

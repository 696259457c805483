"""One window over a scripted exporter, in simulated time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llem_core.contracts import DomainReading, EnergyReading, SamplerSettings
from llem_energy_dcgm.config import DcgmConfig
from llem_energy_dcgm.sampler import DcgmSampler
from llem_energy_dcgm.testing import (
    Curve,
    DirectExporter,
    ScriptedExporter,
    ScriptedGpu,
    VirtualClock,
)

URL = "http://gpu-node:9400/metrics"


@dataclass(frozen=True)
class Measured:
    """A window, and what was true."""

    reading: EnergyReading
    true_j: list[float]
    waited_s: float
    asked: int

    @property
    def domain(self) -> DomainReading:
        return self.reading.domains[0]

    @property
    def stated_j(self) -> float:
        """Expanded uncertainty without the gain, which no window shows (k = 2)."""
        return 2 * math.hypot(*(t.standard_j for t in self.domain.uncertainty if t.name != "gain"))

    @property
    def error_j(self) -> float:
        assert self.domain.energy_j is not None, self.domain.reason
        return abs(self.domain.energy_j - self.true_j[0])


def sampler_over(
    gpus: Sequence[ScriptedGpu], clock: VirtualClock, section: dict[str, Any], **script: Any
) -> tuple[DcgmSampler, DirectExporter]:
    exporter = DirectExporter(ScriptedExporter(gpus, **script), clock)
    settings = SamplerSettings(0.1, DcgmConfig(**{"url": URL} | section))
    return DcgmSampler(settings, exporter, clock), exporter


def window(
    gpus: Curve | Sequence[ScriptedGpu],
    begin_s: float = 25.0,
    length_s: float = 20.0,
    section: dict[str, Any] | None = None,
    before_end: Callable[[DcgmSampler], None] = lambda _: None,
    **script: Any,
) -> Measured:
    """Measure from ``begin_s`` after the exporter's start on."""
    several = gpus if isinstance(gpus, Sequence) else [ScriptedGpu(gpus)]
    clock = VirtualClock()
    sampler, exporter = sampler_over(several, clock, section or {}, **script)
    sampler.start()
    clock.sleep(max(0.0, exporter.started_s + begin_s - clock.now()))
    sampler.begin("w")
    clock.sleep(length_s)
    before_end(sampler)
    reading = sampler.end("w")
    waited_s = clock.now() - reading.ended_s
    sampler.stop()
    edges = [time_s - exporter.started_s for time_s in (reading.started_s, reading.ended_s)]
    return Measured(reading, [g.curve.energy_j(*edges) for g in several], waited_s, exporter.asked)

"""Everything that the harness gathers of one experiment, before any figure is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.backend import CheckReport, ModelInfo
from llem_core.contracts.sampler import EnergyReading, UsedDevices
from llem_core.contracts.workload import Prompt
from llem_core.events import Phase
from llem_core.measure.baseline.power import BaselineReadings
from llem_core.measure.load.record import LoadRecord
from llem_core.results.environment import EnvironmentSnapshot
from llem_core.results.process import ProcessResult


def used_devices(infos: Sequence[ModelInfo]) -> UsedDevices:
    """What loaded models compute on."""
    devices = [device for info in infos for device in info.devices]
    uuids = frozenset(d.uuid for d in devices if d.kind == "gpu" and d.uuid)
    hosts = frozenset(d.host for d in devices) or frozenset({None})
    return UsedDevices("gpu" if any(d.kind == "gpu" for d in devices) else "cpu", uuids, hosts)


@dataclass(frozen=True, slots=True)
class Observations:
    """Everything that was gathered, window by window; see ``ExperimentResult`` for meanings."""

    config: ExperimentConfig
    environment: EnvironmentSnapshot
    report: CheckReport
    prompts: list[Prompt]
    infos: list[ModelInfo]
    processes: list[ProcessResult]
    started_at: str
    finished_at: str
    started_s: float
    history: list[tuple[float, Phase]]
    energy_source: str | None
    no_energy_reason: str | None
    no_baseline_reason: str | None
    meter_failures: list[str]
    baseline: BaselineReadings | None
    loaded_baseline: BaselineReadings | None
    window: EnergyReading | None
    prefill: EnergyReading | None
    prefill_passes: int
    session: EnergyReading | None
    load: LoadRecord | None = None
    engine_log: str = ""

    @property
    def devices(self) -> UsedDevices:
        """What the model really computed on."""
        return used_devices(self.infos)

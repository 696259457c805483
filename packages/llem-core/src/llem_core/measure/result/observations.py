"""Everything that the harness gathers of one experiment, before any figure is computed."""

from __future__ import annotations

from dataclasses import dataclass

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.backend import CheckReport, ModelInfo
from llem_core.contracts.sampler import EnergyReading
from llem_core.contracts.workload import Prompt
from llem_core.events import Phase
from llem_core.measure.baseline.record import BaselineReadings
from llem_core.results.environment import EnvironmentSnapshot
from llem_core.results.process import ProcessResult


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
    measured: EnergyReading | None
    prefill: EnergyReading | None
    prefill_passes: int
    session: EnergyReading | None

    @property
    def device_kind(self) -> str:
        """Where the model really ran."""
        kinds = {device.kind for info in self.infos for device in info.devices}
        return "gpu" if "gpu" in kinds else "cpu"

    @property
    def uuids(self) -> frozenset[str]:
        """UUIDs of the GPUs that the model computed on."""
        devices = (device for info in self.infos for device in info.devices)
        return frozenset(d.uuid for d in devices if d.kind == "gpu" and d.uuid)

"""How long a study will take, as far as that can be known before anything has run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llem_core.config.experiment import ExperimentConfig
from llem_core.config.study import StudyConfig
from llem_core.measure.select import candidates
from llem_core.study.plan import apply_cycles, gap_after

COUNTED = "gaps, idle-power baselines and thermal floors"
NOT_COUNTED = "loading, warm-up and measuring, which are known only once something has run"


@dataclass(frozen=True, slots=True)
class StudyEstimate:
    """The waits of a study, which is the least that it takes.

    Attributes:
        n_runs: configurations × cycles.
        gaps_s: pauses between runs (s).
        baselines_s: both idle-power baselines of every run (s).
        thermal_floors_s: waits between warm-up and measurement (s).
        at_most_s: all gaps, and every run as long as its timeout allows (s).
        counted, not_counted: what is and what is not in ``at_least_s``, for people.
    """

    n_runs: int
    gaps_s: float
    baselines_s: float
    thermal_floors_s: float
    at_most_s: float
    counted: str = COUNTED
    not_counted: str = NOT_COUNTED

    @property
    def at_least_s(self) -> float:
        """The sum of the waits (s)."""
        return self.gaps_s + self.baselines_s + self.thermal_floors_s


def estimate_seconds(
    study: StudyConfig, device_kinds: Mapping[str, str] | None = None
) -> StudyEstimate:
    """Add up the waits of a study.

    Args:
        study: the study.
        device_kinds: ``cpu`` or ``gpu`` by configuration hash, where its backend has told; a
            baseline counts only where a sampler would see that device.
    """
    execution = study.execution
    runs = apply_cycles(study.experiments, execution, study.study_design_hash)
    gaps = (gap_after(runs, index, execution) for index in range(len(runs)))
    gaps_s = sum(gap.seconds for gap in gaps if gap is not None)
    meters: dict[tuple[str | None, str | None], bool] = {}
    baselines_s = floors_s = 0.0
    for config in study.experiments:
        kind = (device_kinds or {}).get(config.measurement_config_hash)
        asked = (config.energy.sampler, kind)
        if asked not in meters:
            meters[asked] = _has_meter(config, kind)
        if config.baseline.enabled and meters[asked]:
            baselines_s += 2 * config.baseline.duration_seconds
        floors_s += config.warmup.thermal_floor_seconds
    return StudyEstimate(
        n_runs=len(runs),
        gaps_s=gaps_s,
        baselines_s=baselines_s * execution.n_cycles,
        thermal_floors_s=floors_s * execution.n_cycles,
        at_most_s=gaps_s + len(runs) * execution.experiment_timeout_seconds,
    )


def _has_meter(config: ExperimentConfig, device_kind: str | None) -> bool:
    if config.energy.sampler is None:
        return False
    kinds = ("cpu", "gpu") if device_kind is None else (device_kind,)
    return any(reason is None for kind in kinds for _, reason in candidates(config, kind))

"""Doubts about a result, as sentences: what may be wrong and what would help."""

from __future__ import annotations

from collections.abc import Sequence

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.readings import ModelInfo
from llem_core.results.aggregate import Aggregate
from llem_core.results.energy import IdlePower
from llem_core.results.model import ThermalRecord
from llem_core.results.process import ProcessResult
from llem_core.units import format_si

ADVISED_REQUESTS = 20
_HARMLESS_THROTTLING = frozenset({"gpu_idle", "applications_clocks_setting"})
_SMALL_SHARE = 0.01


def doubts(
    config: ExperimentConfig,
    infos: Sequence[ModelInfo],
    processes: Sequence[ProcessResult],
    aggregate: Aggregate,
) -> list[str]:
    """What may be wrong with the model or the run, most important first."""
    return [
        *_model_doubts(infos),
        *_run_doubts(config, processes, aggregate),
    ]


def baseline_doubts(
    baseline: IdlePower | None, mean_power_w: float | None, *, estimated: bool
) -> list[str]:
    """What may be wrong with the subtracted baseline."""
    if baseline is None or baseline.power_w is None or mean_power_w is None:
        return []
    if baseline.power_w < mean_power_w:
        return []
    guess = " estimated" if estimated else ""
    return [
        f"The loaded-idle baseline ({format_si(baseline.power_w, 'W')}{guess}) is not below the "
        f"power of the run ({format_si(mean_power_w, 'W')}{guess}): something else was running, "
        "or the window is too short to tell them apart. The adjusted energy means nothing."
    ]


def throttling_doubts(thermal: ThermalRecord | None) -> list[str]:
    """Throttling that makes speed and power depend on the room's temperature."""
    if thermal is None:
        return []
    harmful = {
        name: share
        for name, share in thermal.throttle_reasons.items()
        if name not in _HARMLESS_THROTTLING and share >= _SMALL_SHARE
    }
    if not harmful:
        return []
    told = ", ".join(f"{name} in {share:.0%} of samples" for name, share in harmful.items())
    return [f"The device lowered its clocks during the window: {told}."]


def _model_doubts(infos: Sequence[ModelInfo]) -> list[str]:
    found = []
    if any(info.random_weights for info in infos):
        found.append(
            "The weights are random: speed and memory are those of the shape, but operand values "
            "alone can change power by up to 40 % (arXiv 2409.18324), and outputs mean nothing."
        )
    return [*found, *dict.fromkeys(note for info in infos for note in info.notes)]


def _run_doubts(
    config: ExperimentConfig, processes: Sequence[ProcessResult], aggregate: Aggregate
) -> list[str]:
    found = []
    unsteady = [p for p in processes if p.warmup is not None and p.warmup.converged is False]
    if unsteady:
        found.append(
            f"The warm-up had not converged after {config.warmup.max_prompts} batches "
            f"(coefficient of variation {unsteady[0].warmup.final_cv or 0:.1%}); "  # type: ignore[union-attr]
            "raise warmup.max_prompts or look for other load."
        )
    if config.n < ADVISED_REQUESTS:
        found.append(f"Only {config.n} prompts were measured; percentiles of so few say little.")
    if aggregate.truncated:
        found.append(
            f"{aggregate.truncated} of {config.n} prompts were cut to max_input_tokens "
            f"({config.max_input_tokens})."
        )
    return found

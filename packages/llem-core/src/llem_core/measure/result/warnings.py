"""What may be wrong with a result, as sentences, and what would help."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llem_core.config.energy import EnergyConfig
from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.backend import ModelInfo
from llem_core.contracts.sampler import DomainReading
from llem_core.contracts.workload import Prompt
from llem_core.measure.energy.totals import RecordedEnergy
from llem_core.measure.energy.uncertainty import COVERAGE_FACTOR, combined
from llem_core.results.aggregate import Aggregate
from llem_core.results.energy import BaselinePower, BudgetTerm, UncertaintyBudget
from llem_core.results.environment import EnvironmentSnapshot
from llem_core.results.model import ThermalRecord
from llem_core.results.process import ProcessResult
from llem_core.units import format_duration, format_si

ADVISED_REQUESTS = 20
_HARMLESS_THROTTLING = frozenset({"gpu_idle", "applications_clocks_setting"})
_SMALL_SHARE = 0.01


def run_warnings(
    config: ExperimentConfig,
    infos: Sequence[ModelInfo],
    processes: Sequence[ProcessResult],
    aggregate: Aggregate,
) -> list[str]:
    """What may be wrong with the model or the run, most important first."""
    return [
        *_model_warnings(infos),
        *_workload_warnings(config, processes, aggregate),
        *dict.fromkeys(note for process in processes for note in process.notes),
    ]


def prompt_warnings(prompts: Sequence[Prompt]) -> list[str]:
    """Prompts that are the same, which a cache of prefixes computes once."""
    texts = [prompt.text for prompt in prompts if prompt.text is not None]
    repeated = len(texts) - len(set(texts))
    if not repeated:
        return []
    return [
        f"{repeated} of {len(prompts)} prompts repeat an earlier one: where the engine caches "
        "prefixes, that is less work than as many different prompts would be."
    ]


def quota_warnings(environment: EnvironmentSnapshot, device_kind: str) -> list[str]:
    """More threads than the control group has cores: all of them stand still again and again."""
    limit, usable = environment.container.cpu_limit_cores, environment.cpu.usable_cores
    asked = environment.variables.get("OMP_NUM_THREADS", "")
    threads = int(asked) if asked.isdigit() and len(asked) < 10 else usable
    if limit is None or threads is None or threads <= limit or device_kind != "cpu":
        return []
    return [
        f"The control group allows {limit:g} cores, and the model may run in {threads} threads: "
        "they are stopped in part of every period, which spoils times and energy. Raise the "
        f"quota, or set OMP_NUM_THREADS to {max(1, int(limit))}."
    ]


def subtraction_warnings(
    baseline: BaselinePower | None, mean_power_w: float | None, *, estimated: bool
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


def throttling_warnings(thermal: ThermalRecord | None) -> list[str]:
    """Throttling that makes speed and power depend on the room's temperature."""
    if thermal is None or thermal.throttle_reasons is None:
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


def _model_warnings(infos: Sequence[ModelInfo]) -> list[str]:
    found = []
    if any(info.random_weights for info in infos):
        found.append(
            "The weights are random: speed and memory are those of the shape, but operand values "
            "alone can change power by up to 40 % (arXiv 2409.18324), and outputs mean nothing."
        )
    return [*found, *dict.fromkeys(note for info in infos for note in info.notes)]


def _workload_warnings(
    config: ExperimentConfig, processes: Sequence[ProcessResult], aggregate: Aggregate
) -> list[str]:
    found = []
    if aggregate.failed and not config.load.serves:
        first = aggregate.failed[0]
        found.append(
            f"{len(aggregate.failed)} of {config.n} requests failed and are in no figure but the "
            f"energy; the first, request {first.index}: {first.error}"
        )
    warmups = (p.warmup for p in processes if p.warmup is not None)
    unsteady = next((w for w in warmups if w.converged is False), None)
    if unsteady is not None:
        found.append(
            f"The warm-up had not converged after {len(unsteady.latency_per_token_s)} batches "
            f"(coefficient of variation {unsteady.final_cv or 0:.1%}); "
            f"raise warmup.{unsteady.ended_by} or look for other load."
        )
    n = len(aggregate.requests) if config.load.serves else config.n
    if n < ADVISED_REQUESTS:
        found.append(f"Only {n} prompts were measured; percentiles of so few say little.")
    if aggregate.truncated:
        found.append(
            f"{aggregate.truncated} of {n} prompts were cut to max_input_tokens "
            f"({config.max_input_tokens})."
        )
    return found


ADVISED_WINDOW_S = 60.0
"""MLPerf Power asks for a measured run of 60 s at least (arXiv 2410.12032)."""
FINE_SHARE = 0.01
"""A comparison uncertainty that resolves what is usually compared, as a share of the energy."""


def energy_warnings(
    config: EnergyConfig,
    energy: RecordedEnergy,
    terms: UncertaintyBudget | None,
    window_s: float,
    remedy: str = "Raise n.",
) -> list[str]:
    """What may be wrong with the energy, most important first.

    Args:
        config: how it was to be measured.
        energy: of the measured window.
        terms: its uncertainty.
        window_s: length of the window (s).
        remedy: what makes the window longer.
    """
    if energy.total_j is None:
        if config.sampler is None:
            return []
        return [f"Energy was not measured: {str(energy.reason).rstrip('.')}."]
    found = []
    if energy.method == "estimated":
        found.append(
            "The energy is an estimate from a model of the hardware, not a measurement; "
            "compare no two configurations by it."
        )
    if config.cross_check:
        checks = (cross_check_warning(d, config.cross_check_threshold) for d in energy.used)
        found += [warning for warning in checks if warning]
    found += _short(energy, terms, window_s, remedy)
    return [*found, *energy.warnings]


def cross_check_warning(domain: DomainReading, threshold: float) -> str | None:
    """Why a device's two methods do not agree; ``None`` where they do, or there is only one.

    Each device is looked at by itself, since errors of two may cancel in the total. A difference
    within the uncertainty of the window is none.
    """
    energy_j, check_j = domain.energy_j, domain.cross_check_j
    if energy_j is None or check_j is None:
        return None
    difference_j = check_j - energy_j
    unresolved_j = COVERAGE_FACTOR * combined([domain], "comparison")
    if abs(difference_j) <= max(threshold * energy_j, unresolved_j):
        return None
    share = f"{difference_j / energy_j:+.1%} " if energy_j else ""
    return (
        f"The cross-check of {domain.label or domain.name} differs by {share}from the energy of "
        f"record ({domain.cross_check_method or 'another method'}: {format_si(check_j, 'J')}, "
        f"{domain.method}: {format_si(energy_j, 'J')}; energy.cross_check_threshold is "
        f"{threshold:.0%}): trust neither before a meter has told which one is right."
    )


def window_needed_s(
    terms: Sequence[BudgetTerm], energy_j: float, window_s: float, share: float
) -> float | None:
    """Length of a window whose comparison uncertainty is ``share`` of its energy (s).

    At the same power the energy grows with the window's length r times over; of the terms, with
    squares that sum to c², s² and l², constant ones stay as they are, others grow with √r or r. So
    r is the positive root of ((share·E/k)² − l²)·r² − s²·r − c² = 0. ``None`` where no length
    would do: what grows as the energy does is the same share of it in any window.
    """
    within = [t for t in terms if t.scope == "comparison"]
    constant, root, linear = (
        math.fsum(t.total_j**2 for t in within if t.growth == growth)
        for growth in ("constant", "root", "linear")
    )
    goal = (share * energy_j / COVERAGE_FACTOR) ** 2 - linear
    if goal <= 0:
        return None
    ratio = (root + math.sqrt(root**2 + 4 * goal * constant)) / (2 * goal)
    return ratio * window_s


def _short(
    energy: RecordedEnergy, terms: UncertaintyBudget | None, window_s: float, remedy: str
) -> list[str]:
    told = []
    helps = window_s < ADVISED_WINDOW_S
    if helps:
        told.append(
            f"The window lasted {format_duration(window_s)}; "
            f"{format_duration(ADVISED_WINDOW_S)} or more are advised for energy."
        )
    if terms is not None and energy.total_j and terms.comparison_j > FINE_SHARE * energy.total_j:
        needed_s = window_needed_s(terms.terms, energy.total_j, window_s, FINE_SHARE)
        helps = helps or needed_s is not None
        told.append(_coarse(energy.total_j, terms, needed_s))
    return [" ".join([*told, remedy] if helps else told)] if told else []


def _coarse(energy_j: float, terms: UncertaintyBudget, needed_s: float | None) -> str:
    shares = terms.figures[0].shares
    most = max(shares, key=lambda name: shares[name])
    text = (
        f"Between runs the energy is uncertain by ± {terms.comparison_j / energy_j:.1%}, mostly "
        f"from {most}"
    )
    if needed_s is not None:
        return f"{text}; a window of {format_duration(needed_s)} would make it {FINE_SHARE:.0%}."
    linear = {t.name: t.total_j for t in terms.terms if t.growth == "linear"}
    stays = max(linear, key=lambda name: linear[name])
    return (
        f"{text}; no longer window would make it {FINE_SHARE:.0%}, as {stays} grows as the energy "
        "does."
    )

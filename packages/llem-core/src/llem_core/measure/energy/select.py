"""Chooses the sampler whose reading is the energy of record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.sampler import EnergySampler, SamplerSettings, SamplerSpec
from llem_core.errors import EnergyError, PreFlightError
from llem_core.plugins import plugins
from llem_core.plugins.problems import ask_availability
from llem_core.plugins.registry import DISTRIBUTIONS

ESTIMATE = "codecarbon"
"""The shipped sampler that needs no meter; named here since it may not be installed."""


@dataclass(frozen=True, slots=True)
class SelectedSampler:
    """The sampler that was chosen and started, or why there is none.

    Attributes:
        sampler: started; ``None`` where nothing measures.
        name: its name.
        reason: why there is none; ``None`` where energy is off on purpose.
        warnings: samplers that failed on the way here.
    """

    sampler: EnergySampler | None
    name: str | None
    reason: str | None = None
    warnings: tuple[str, ...] = ()


def start_sampler(config: ExperimentConfig, device_kind: str) -> SelectedSampler:
    """Start the sampler that the experiment names, or the best that sees its device.

    Args:
        config: the experiment.
        device_kind: ``cpu`` or ``gpu``, where the model will run.

    Raises:
        PreFlightError: the sampler that was asked for by name cannot be used.
    """
    wanted = config.energy.sampler
    if wanted is None:
        return SelectedSampler(None, None, "energy.sampler is null: no energy was to be measured")
    if wanted != "auto":
        return _named(config, plugins().samplers.get(wanted), device_kind)
    return _best(config, device_kind)


def candidates(
    config: ExperimentConfig, device_kind: str
) -> Iterator[tuple[SamplerSpec, str | None]]:
    """Samplers in the order in which they would be tried, each with why it cannot be used."""
    wanted = config.energy.sampler
    if wanted not in {"auto", None}:
        spec = plugins().samplers.get(str(wanted))
        yield spec, _unfit(spec, device_kind)
        return
    for spec in sorted(plugins().samplers, key=lambda spec: -spec.priority):
        if spec.priority > 0:
            yield spec, _unfit(spec, device_kind)


def _named(config: ExperimentConfig, spec: SamplerSpec, device_kind: str) -> SelectedSampler:
    why_not = _unfit(spec, device_kind)
    if why_not:
        raise PreFlightError(
            f"energy.sampler is {spec.name!r}, which cannot be used here: {why_not}. "
            "Use `energy.sampler: auto`, or null to measure no energy."
        )
    return SelectedSampler(_start(config, spec), spec.name)


def _best(config: ExperimentConfig, device_kind: str) -> SelectedSampler:
    failed: list[str] = []
    reasons: list[str] = []
    for spec, why_not in candidates(config, device_kind):
        if why_not:
            remedy = f"; {spec.remedy}" if spec.remedy else ""
            reasons.append(f"{spec.name}: {why_not}{remedy}")
            continue
        try:
            return SelectedSampler(_start(config, spec), spec.name, warnings=tuple(failed))
        except EnergyError as error:
            failed.append(f"The sampler {spec.name} was passed over: {error}")
            reasons.append(f"{spec.name}: {error}")
    told = ". ".join(reasons) if reasons else "no sampler is installed"
    return SelectedSampler(
        None, None, f"no meter could be used: {told}{_estimate_hint()}", tuple(failed)
    )


def _estimate_hint() -> str:
    """What to install where nothing is that works on any machine."""
    if ESTIMATE in plugins().samplers:
        return ""
    return f". `pip install {DISTRIBUTIONS[ESTIMATE]}` gives an estimate on any machine"


def _unfit(spec: SamplerSpec, device_kind: str) -> str | None:
    available = ask_availability(spec)
    if not available.usable:
        return available.reason.rstrip(".")
    if available.domains and not {device_kind, "other"} & set(available.domains):
        seen = ", ".join(available.domains)
        return f"it sees {seen} energy, and the model runs on the {device_kind.upper()}"
    return None


def _start(config: ExperimentConfig, spec: SamplerSpec) -> EnergySampler:
    section = config.sections.get(spec.name)
    if section is None and spec.section is not None:
        section = spec.section()
    try:
        sampler = spec.create(SamplerSettings(config.energy.sample_interval_s, section))
        sampler.start()
    except EnergyError:
        raise
    # A sampler is foreign code and may raise anything.
    except Exception as error:
        raise EnergyError(
            f"the sampler {spec.name} did not start: {type(error).__name__}: {error}"
        ) from error
    return sampler

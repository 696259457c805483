"""Chooses the sampler whose reading is the energy of record."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.sampler import DomainKind, EnergySampler, SamplerSettings, SamplerSpec
from llem_core.errors import EnergyError, PreFlightError
from llem_core.measure.energy.combine import CombinedSampler
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
    names = config.energy.sampler_names
    parts: list[tuple[str, EnergySampler]] = []
    estimating: list[str] = []
    try:
        if names:
            _refuse_blind(names, device_kind)
            parts.extend((name, _named(config, name)) for name in names)
            warnings: tuple[str, ...] = ()
        else:
            found = _best(config, device_kind)
            if found.sampler is None or found.name is None:
                return found
            warnings = found.warnings
            parts.append((found.name, found.sampler))
            estimating = _add_for_other_domains(config, parts, device_kind)
        check = config.energy.check_name
        beside = None
        if check is not None and check not in {name for name, _ in parts}:
            beside = (check, _named(config, check))
    except BaseException:
        for _, sampler in parts:
            sampler.stop()
        raise
    if len(parts) == 1 and beside is None:
        return SelectedSampler(parts[0][1], parts[0][0], warnings=warnings)
    settings = SamplerSettings(config.energy.sample_interval_s)
    combined = CombinedSampler(settings, parts, beside, estimating)
    return SelectedSampler(combined, "+".join(name for name, _ in parts), warnings=warnings)


def _refuse_blind(names: Sequence[str], device_kind: str) -> None:
    """Refuse samplers of which none sees the device.

    Raises:
        PreFlightError: none does.
    """
    reasons = [(name, _unfit(plugins().samplers.get(name), device_kind)) for name in names]
    if all(reason for _, reason in reasons):
        told = "; ".join(f"{name!r}, which cannot be used here: {why}" for name, why in reasons)
        raise PreFlightError(
            f"energy.sampler is {told}. Use `energy.sampler: auto`, or null to measure no energy."
        )


def _add_for_other_domains(
    config: ExperimentConfig, parts: list[tuple[str, EnergySampler]], device_kind: str
) -> list[str]:
    """Add the best usable sampler for each domain that those chosen do not measure.

    Where nothing measures the processor or the memory, an estimate of it is added: it stands beside
    the sum, and is in none with what is measured. No GPU is added that nothing runs on, and nothing
    to or beside a meter of the whole machine, which holds the others. A sampler that does not start
    is passed over.

    Returns:
        Names of those added that may estimate.
    """
    specs = plugins().samplers
    seen = {kind for name, _ in parts for kind in ask_availability(specs.get(name)).domains}
    estimating: list[str] = []
    if not seen or "other" in seen:
        return estimating
    host: set[DomainKind] = {"cpu", "dram"}
    taken = {name for name, _ in parts}
    by_preference = sorted(specs, key=lambda spec: (spec.estimates, -spec.priority))
    for spec in by_preference:
        if spec.priority <= 0 or spec.name in taken:
            continue
        wanted = host if spec.estimates or device_kind == "cpu" else {*host, "gpu"}
        available = ask_availability(spec)
        if not available.usable or not wanted & set(available.domains) - seen:
            continue
        with contextlib.suppress(EnergyError):
            parts.append((spec.name, _start(config, spec)))
            seen |= set(available.domains)
            if spec.estimates:
                estimating.append(spec.name)
    return estimating


def candidates(
    config: ExperimentConfig, device_kind: str
) -> Iterator[tuple[SamplerSpec, str | None]]:
    """Samplers in the order in which they would be tried, each with why it cannot be used."""
    wanted = config.energy.sampler
    if wanted != "auto" and wanted is not None:
        names = config.energy.sampler_names
        specs = [plugins().samplers.get(name) for name in names]
        unfit = [_unfit(spec, device_kind) for spec in specs]
        # Of several, one that sees the device is enough; the others see other domains.
        if None in unfit:
            unfit = [_unusable(spec) for spec in specs]
        yield from zip(specs, unfit, strict=True)
        return
    for spec in sorted(plugins().samplers, key=lambda spec: -spec.priority):
        if spec.priority > 0:
            yield spec, _unfit(spec, device_kind)


def first_choice(config: ExperimentConfig, device_kind: str) -> tuple[str | None, str, list[str]]:
    """The sampler that would be tried first, what it says of itself, and why not those before."""
    why_not: list[str] = []
    if config.energy.sampler is None:
        return None, "energy.sampler is null", why_not
    for spec, reason in candidates(config, device_kind):
        if reason is None:
            return spec.name, ask_availability(spec).reason, why_not
        why_not.append(f"{spec.name}: {reason}")
    return None, "", why_not


def _named(config: ExperimentConfig, name: str) -> EnergySampler:
    spec = plugins().samplers.get(name)
    why_not = _unusable(spec)
    if why_not:
        raise PreFlightError(
            f"energy.sampler is {spec.name!r}, which cannot be used here: {why_not}. "
            "Use `energy.sampler: auto`, or null to measure no energy."
        )
    return _start(config, spec)


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


def _unusable(spec: SamplerSpec) -> str | None:
    available = ask_availability(spec)
    return None if available.usable else available.reason.rstrip(".")


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

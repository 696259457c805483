"""One side of a comparison: the runs of an experiment, a study or a baseline file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llem_core.results.experiment import ExperimentResult

from llem_report.sources.run import settings_of


@dataclass(frozen=True, slots=True)
class Sample:
    """One run.

    Attributes:
        cycle: repetition in its study, from 1; ``None`` for an experiment alone.
        node: where it ran, where a launcher has several nodes.
        figures: its metrics by name.
        relative_uncertainty: standard uncertainty (k = 1) of its energies between runs on one
            card, as a part of them, by the energy's name: ``total``, ``adjusted``.
    """

    cycle: int | None
    node: str | None
    figures: dict[str, float]
    relative_uncertainty: dict[str, float]


@dataclass(frozen=True, slots=True)
class Facts:
    """What must be alike for figures to be compared.

    Attributes:
        workload: what was asked of the model: prompts, lengths, decoder, load.
        settings: everything else of the configuration.
        devices: names, with the UUIDs of GPUs.
        host: processor, cores and memory.
        scope: kinds of the domains in the energy.
        energy_method, energy_source: how the energy was obtained; ``None`` without energy.
        software: versions of the tool, Python, the driver and packages.
        random_weights: whether the weights are random.
    """

    workload: dict[str, str]
    settings: dict[str, str]
    devices: list[str]
    host: dict[str, str]
    scope: list[str]
    energy_method: str | None
    energy_source: str | None
    software: dict[str, str]
    random_weights: bool


@dataclass(frozen=True, slots=True)
class Configuration:
    """One configuration with its runs, in the order of their cycles."""

    config_hash: str
    label: str
    facts: Facts
    samples: list[Sample]
    others: list[Facts] = field(default_factory=list)

    @property
    def all_facts(self) -> list[Facts]:
        """Of all its runs, each kind once: they may have been on different nodes."""
        return [self.facts, *self.others]


@dataclass(frozen=True, slots=True)
class Side:
    """All configurations of one side.

    Attributes:
        name: of the study, or of the experiment's model.
        source: what was named: a folder or a file.
        design_hash: names the study's design; ``None`` for an experiment.
        configurations: by hash, in the order of the file.
        remarks: what is wrong with the side itself.
    """

    name: str
    source: str
    design_hash: str | None
    configurations: list[Configuration]
    remarks: list[str] = field(default_factory=list)

    @property
    def by_hash(self) -> Mapping[str, Configuration]:
        """The configurations by their hash."""
        return {one.config_hash: one for one in self.configurations}


_WORKLOAD = ("model", "dataset", "n", "max_input_tokens", "max_output_tokens", "random_seed")
_WORKLOAD_SECTIONS = ("decoder.", "load.", "lora.")


def facts_of(result: ExperimentResult) -> Facts:
    """What must be alike."""
    record, environment = result.model_record, result.environment_snapshot
    settings = settings_of(result)
    workload = {
        path: value
        for path, value in settings.items()
        if path in _WORKLOAD or path.startswith(_WORKLOAD_SECTIONS)
    }
    domains = result.energy_breakdown.domains if result.energy_breakdown else []
    cpu, container = environment.cpu, environment.container
    host = {
        "processor": cpu.model,
        "cores": cpu.logical_cores,
        "usable cores": cpu.usable_cores,
        "memory (bytes)": cpu.memory_total_bytes,
        "limit of cores": container.cpu_limit_cores,
    }
    return Facts(
        workload={**workload, "dataset_sha256": result.dataset_sha256},
        settings={path: value for path, value in settings.items() if path not in workload},
        devices=sorted(record.devices),
        host={name: str(value) for name, value in host.items() if value is not None},
        scope=sorted({domain.kind for domain in domains if domain.used}),
        energy_method=result.energy_method,
        energy_source=result.energy_source,
        software={
            "llem-core": environment.tool_version,
            "Python": environment.python,
            "driver": str(environment.driver_version),
            "system": environment.operating_system,
            **environment.packages,
        },
        random_weights=record.random_weights,
    )

"""What is kept of each run: a few figures, so that ten thousand of them fit into memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llem_core.results.experiment import LATENCIES, ExperimentResult
from llem_core.results.latency import LatencyStatistics
from llem_core.results.migrate import SCHEMA_VERSION
from llem_core.results.views.frame import flat_settings
from llem_core.study.reading.load import RESULT, load_result
from llem_core.study.summary.figures import Figures, figures_of

_VERSION = re.compile(rb'"schema_version":\s*(\d{1,6})')

Settings = Mapping[str, str]
"""Dotted path of each setting to its value as text."""


@dataclass(frozen=True, slots=True)
class Run:
    """One experiment that has a result.

    Attributes:
        folder: its folder.
        config_hash: names its configuration.
        cycle: repetition in its study, from 1; ``None`` outside a study.
        node: where it ran, where a launcher has several nodes.
        started_at: ISO 8601, UTC.
        schema_version: that of its file, which may be older than what is read now.
        model, backend: as configured.
        devices: names of the devices that it computed on, without their UUIDs.
        device_ids: the same with their UUIDs.
        dataset_sha256: names the prompts.
        scope: kinds of the domains in its energy, such as ``gpu``.
        figures: what a study needs of it.
        comparison_share, absolute_share: expanded uncertainties over the gross energy (95 %).
        tool_version: version of llem that measured it.
        random_weights: whether its model had random weights.
        energy_reason: why it has no energy.
        requests_per_second: finished requests over the window (1/s).
        mean_power_w: gross energy over the interval read (W).
        temperature_max_c: highest temperature in the window (°C).
        throttled: throttle reasons seen in the window.
        latencies: by name; those that are null are left out.
        offered_requests_per_second: under an open load or a trace (1/s).
        load_mode: ``batch`` without a load.
        n_failed_requests: requests that ended with an error.
        n_warnings: how many warnings it has.
    """

    folder: Path
    config_hash: str
    cycle: int | None
    node: str | None
    started_at: str
    schema_version: int
    model: str
    backend: str
    devices: tuple[str, ...]
    device_ids: tuple[str, ...]
    dataset_sha256: str
    scope: tuple[str, ...]
    figures: Figures
    comparison_share: float | None
    absolute_share: float | None
    tool_version: str
    random_weights: bool
    energy_reason: str | None
    requests_per_second: float
    mean_power_w: float | None
    temperature_max_c: float | None
    throttled: tuple[str, ...]
    latencies: Mapping[str, LatencyStatistics]
    offered_requests_per_second: float | None
    load_mode: str
    n_failed_requests: int
    n_warnings: int

    @property
    def estimated(self) -> bool:
        """Whether its energy is an estimate."""
        return self.figures.energy_method == "estimated"


def load(folder: Path) -> tuple[ExperimentResult, int]:
    """Read the ``result.json`` of a run.

    Returns:
        The result, brought up to date, and the version of the schema that it was written with.

    Raises:
        ConfigError: it is missing, damaged or of a newer version; the message says which.
    """
    return load_result(folder / RESULT), _written_version(folder / RESULT)


def _written_version(path: Path) -> int:
    """The version that stands first in a result's file, before it was brought up to date."""
    with path.open("rb") as file:
        found = _VERSION.search(file.read(400))
    return int(found.group(1)) if found else SCHEMA_VERSION


def condense(
    result: ExperimentResult,
    folder: Path,
    *,
    version: int,
    cycle: int | None = None,
    node: str | None = None,
) -> Run:
    """Keep of a result what tables and plots over runs need."""
    record, thermal, load_result = result.model_record, result.thermal, result.load
    domains = result.energy_breakdown.domains if result.energy_breakdown else []
    reasons = (thermal.throttle_reasons or {}) if thermal else {}
    found = {name: getattr(result, name) for name in LATENCIES}
    return Run(
        folder=folder,
        config_hash=result.measurement_config_hash,
        cycle=cycle,
        node=node,
        started_at=result.started_at,
        schema_version=version,
        model=result.model,
        backend=result.backend,
        devices=tuple(_without_uuid(device) for device in record.devices),
        device_ids=tuple(record.devices),
        dataset_sha256=result.dataset_sha256,
        scope=tuple(sorted({domain.kind for domain in domains if domain.used})),
        figures=figures_of(result),
        comparison_share=_share(result.energy_uncertainty_comparison_j, result.energy_total_j),
        absolute_share=_share(result.energy_uncertainty_absolute_j, result.energy_total_j),
        tool_version=result.environment_snapshot.tool_version,
        random_weights=record.random_weights,
        energy_reason=result.missing_reason("energy_total_j"),
        requests_per_second=result.requests_per_second,
        mean_power_w=result.mean_power_w,
        temperature_max_c=thermal.temperature_max_c if thermal else None,
        throttled=tuple(name for name, share in reasons.items() if share),
        latencies={name: value for name, value in found.items() if value is not None},
        offered_requests_per_second=load_result.offered_requests_per_second
        if load_result
        else None,
        load_mode=load_result.mode if load_result else "batch",
        n_failed_requests=result.n_failed_requests,
        n_warnings=len(result.measurement_warnings),
    )


def _share(uncertainty_j: float | None, energy_j: float | None) -> float | None:
    return uncertainty_j / energy_j if uncertainty_j is not None and energy_j else None


def settings_of(result: ExperimentResult) -> dict[str, str]:
    """Every setting of a result by its dotted path, as text."""
    return {path: _text(value) for path, value in flat_settings(result.effective_config)}


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value)


def _without_uuid(device: str) -> str:
    name, _, rest = device.partition(" (")
    return name if rest.startswith(("GPU-", "MIG-")) else device

"""Tells which of a reading's GPUs CUDA shows, where the sampler has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llem_core.contracts.readings import EnergyReading
from llem_core.contracts.visible import visible_gpus


def with_visibility(reading: EnergyReading, environ: Mapping[str, str]) -> EnergyReading:
    """The reading with ``visible`` filled in for GPUs that are named by their UUID.

    Many libraries of meters name all GPUs and know nothing of ``CUDA_VISIBLE_DEVICES``, or take
    its entries for something else than CUDA does.
    """
    gpus = [d for d in reading.domains if d.kind == "gpu" and d.name.startswith("GPU-")]
    if not gpus or any(gpu.visible is not None for gpu in gpus):
        return reading
    shown = visible_gpus(environ, [gpu.name for gpu in gpus], [gpu.label or "" for gpu in gpus])
    note = f"{shown.note}."
    unsaid = shown.note is not None and note not in reading.warnings
    warnings = (*reading.warnings, note) if unsaid else reading.warnings
    if shown.uuids is None:
        return replace(reading, warnings=warnings)
    told = {gpu.name: replace(gpu, visible=gpu.name in shown.uuids) for gpu in gpus}
    domains = tuple(told.get(domain.name, domain) for domain in reading.domains)
    return replace(reading, domains=domains, warnings=warnings)

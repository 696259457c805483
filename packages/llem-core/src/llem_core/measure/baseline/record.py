"""Takes the two baselines: measured now, or by an earlier experiment of the study."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.sampler import UsedDevices
from llem_core.events import Phase
from llem_core.measure.baseline.cache import BaselineCache
from llem_core.measure.baseline.power import BaselineReadings, part_powers
from llem_core.measure.baseline.trend import is_cooling
from llem_core.measure.energy.meter import Meter, Progress
from llem_core.text import short_hash

PARTS = 5
"""Parts that a baseline is divided into; their scatter is its spread."""


class Baselines:
    """The baselines of one experiment.

    Args:
        config: the experiment.
        meter: what measures.
        cache: of the study; ``None`` outside of one.
        progress: is told how far a baseline has come.
        cards: UUIDs of the GPUs that this machine shows; a baseline belongs to host and cards.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        meter: Meter,
        cache: BaselineCache | None,
        progress: Progress,
        cards: Sequence[str] = (),
    ) -> None:
        self._config = config
        self._meter = meter
        self._cache = cache if config.baseline.cache_ttl_seconds > 0 else None
        self._progress = progress
        self._cards = cards

    @property
    def wanted(self) -> bool:
        """Whether baselines are to be taken and something can measure them."""
        return self._config.baseline.enabled and self._meter.active

    def take(self, phase: Phase, devices: UsedDevices) -> BaselineReadings:
        """The baseline of one phase.

        The one before load is the machine's: any experiment of the study with the same meter
        may use it. The loaded one belongs to the configuration and the devices it is loaded on.
        A device that still cools from earlier work is waited for, for ``max_wait_seconds`` at most.
        """
        loaded = phase is Phase.LOADED_BASELINE
        key = self._key(phase, self._config.measurement_config_hash if loaded else None, devices)
        found = self._cache and self._cache.get(key, self._config.baseline.cache_ttl_seconds)
        if found:
            readings, age_s = found
            return BaselineReadings(readings, time.monotonic() - age_s, cached=True, key=key)
        duration_s = self._config.baseline.duration_seconds
        measured = self._meter.idle(
            phase,
            duration_s,
            PARTS,
            self._progress,
            lambda parts: not is_cooling(part_powers(parts, devices)),
            self._config.baseline.max_wait_seconds,
        )
        ended_s = measured[-1].ended_s if measured else time.monotonic()
        return BaselineReadings(measured, ended_s, cached=False, key=key)

    def keep(self, idle: BaselineReadings | None) -> None:
        """Let later experiments use a baseline that was measured now and is sound."""
        if self._cache is None or idle is None or idle.cached or len(idle.readings) < PARTS:
            return
        age_s = time.monotonic() - idle.ended_s
        self._cache.put(idle.key, idle.readings, age_s, self._config.baseline.cache_ttl_seconds)

    def _key(self, phase: Phase, config_hash: str | None, devices: UsedDevices) -> str:
        names = (self._meter.name or "").split("+")
        sections = [self._config.sections.get(name) for name in names]
        facts: dict[str, Any] = {
            "phase": str(phase),
            "sampler": self._meter.name,
            "section": [s and s.model_dump(mode="json") for s in sections],
            "duration_s": self._config.baseline.duration_seconds,
            # Samplers may show what the variable lets through alone.
            "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "config": config_hash,
            "devices": sorted(devices.uuids),
            "of_hosts": sorted(host or "" for host in devices.hosts),
            "host": platform.node(),
            "cards": sorted(self._cards),
        }
        return f"{phase}-{short_hash(facts)}"

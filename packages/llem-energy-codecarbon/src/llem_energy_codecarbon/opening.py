"""Starts CodeCarbon for its hardware detection alone. All imports of CodeCarbon are here."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from llem_energy_codecarbon.components import Component, Processor, make_components
from llem_energy_codecarbon.config import CodeCarbonConfig
from llem_energy_codecarbon.quiet import silence, without_absent_scheduler


@dataclass(frozen=True, slots=True)
class Opened:
    """What CodeCarbon found.

    Attributes:
        components: the hardware.
        facts: of the sensor, for the record.
        close: removes what was needed while it ran.
    """

    components: tuple[Component, ...]
    facts: dict[str, object]
    close: Callable[[], None] = lambda: None


def open_components(config: CodeCarbonConfig) -> Opened:
    """Import CodeCarbon and let it find the hardware; takes about 2 s the first time.

    Every setting that a ``.codecarbon.config`` or a variable ``CODECARBON_…`` could change
    is given here, so that neither has a say. No output is asked for, so nothing is written
    or sent; no lock file is taken; the tracker's threads are never started.

    Raises:
        Exception: whatever CodeCarbon raises; its errors have no common base.
    """
    with contextlib.ExitStack() as stack:
        # On some systems a vendor's tool writes its log where the tracker's output would go.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="llem-codecarbon-"))
        components, detected = _detect(config, folder)
        close = stack.pop_all().close
    return Opened(tuple(components), _facts(config, components, detected), close)


def _detect(config: CodeCarbonConfig, folder: str) -> tuple[list[Component], dict[str, object]]:
    with silence(), without_absent_scheduler():
        from codecarbon import OfflineEmissionsTracker
        from codecarbon.core.units import Time

        tracker = OfflineEmissionsTracker(
            project_name="llem",
            output_dir=folder,
            output_methods=[],
            output_handlers=[],
            emissions_endpoint=None,
            log_level="warning",
            logger_preamble="",
            allow_multiple_runs=True,
            tracking_mode=config.tracking_mode,
            measure_power_secs=config.measure_interval_s,
            gpu_ids=None,
            force_cpu_power=config.cpu_tdp_w,
            force_ram_power=config.ram_power_w,
            force_mode_cpu_load=False,
            rapl_include_dram=False,
            rapl_prefer_psys=False,
            pue=1.0,
            # Only emissions depend on it, which are never computed.
            country_iso_code="USA",
        )
        detected = tracker.get_detected_hardware()
        return make_components(tracker._hardware, Time.from_seconds), detected


def _facts(
    config: CodeCarbonConfig, components: list[Component], detected: dict[str, object]
) -> dict[str, object]:
    facts: dict[str, object] = {
        "library": f"codecarbon {metadata.version('codecarbon')}",
        "tracking_mode": config.tracking_mode,
        "measure_interval_s": config.measure_interval_s,
        "cpu_model": detected.get("cpu_model"),
        "ram_total_gib": detected.get("ram_total_size"),
        "gpu_count": detected.get("gpu_count"),
    }
    for component in components:
        if isinstance(component, Processor):
            facts["cpu_mode"] = component.mode
            facts["cpu_tdp_w"] = component.tdp_w
    return facts

"""The Zeus sampler."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from llem_core.contracts import (
    DomainReading,
    EnergyReading,
    EnergySampler,
    PowerSample,
    SamplerSettings,
)
from llem_core.errors import EnergyError
from llem_core.meters import DeviceProcesses, Periodic, counter_budget, counter_fault

from llem_energy_zeus import devices
from llem_energy_zeus.config import ZeusConfig
from llem_energy_zeus.devices import Device, Domain, Window
from llem_energy_zeus.opening import Opened, open_devices
from llem_energy_zeus.samples import SampleStore, integrate

WRAP_POLL_S = 10.0
"""A RAPL zone of the smallest range, 65 kJ, wraps after a minute at 1 kW."""


class ZeusSampler(EnergySampler):
    """Windows of Zeus over every GPU and every readable RAPL zone.

    The energy of a domain is the difference of its counter between both edges. Zeus does not
    wait for the counter's next update, so the edges' error is in the uncertainty. It does not
    synchronise with the GPU either: the harness does that.

    Args:
        settings: as for every sampler.
        open_meter: finds and opens the devices; tests give their own.
    """

    def __init__(
        self,
        settings: SamplerSettings,
        open_meter: Callable[[ZeusConfig], Opened] = open_devices,
    ) -> None:
        super().__init__(settings)
        section = settings.section
        self._config = section if isinstance(section, ZeusConfig) else ZeusConfig()
        self._open_meter = open_meter
        self._opened: Opened | None = None
        self._samples = SampleStore(())
        self._threads: list[Periodic] = []
        self._windows: dict[str, tuple[float, list[Window]]] = {}

    def start(self) -> None:
        """Import Zeus, open the devices and start sampling power.

        Raises:
            EnergyError: Zeus cannot be opened, or it has nothing to read.
        """
        if self._opened is not None:
            return
        try:
            opened = self._open_meter(self._config)
        except Exception as error:
            # Zeus's errors, NVML's, the file system's and a broken import have no common base.
            raise EnergyError(
                f"Zeus cannot be opened ({type(error).__name__}: {error}). Choose another "
                "meter with energy.sampler, or null for none."
            ) from error
        if not any(device.monitor is not None for device in opened.devices):
            reasons = "; ".join(f"{d.domains[0].name}: {d.broken}" for d in opened.devices)
            raise EnergyError(
                f"Zeus has nothing to read here ({reasons or 'no GPU and no readable RAPL'}). "
                "Choose another meter with energy.sampler, or null for none."
            )
        devices_seen = tuple(
            replace(d, processes=DeviceProcesses(d.domains[0].name, _pids(d)))
            for d in opened.devices
        )
        opened = replace(opened, devices=devices_seen)
        self._opened = opened
        self._warm_up(opened)
        self._start_threads(opened)

    def begin(self, window: str) -> None:
        """Open a window on all devices.

        Raises:
            EnergyError: the sampler is not started, or a window of that name is open.
        """
        opened = self._require_open()
        if window in self._windows:
            raise EnergyError(f"The window {window!r} is open already.")
        states = [Window(others=set(_other_processes(device))) for device in opened.devices]
        for device, state in zip(opened.devices, states, strict=True):
            state.failed = devices.begin(device, window)
        self._windows[window] = (time.monotonic(), states)

    def end(self, window: str) -> EnergyReading:
        """Close a window.

        Raises:
            EnergyError: no window of that name is open.
        """
        ended_s = time.monotonic()
        opened = self._require_open()
        if window not in self._windows:
            raise EnergyError(f"No window {window!r} is open.")
        started_s, states = self._windows.pop(window)
        ends = [
            state.failed or devices.end(device, window)
            for device, state in zip(opened.devices, states, strict=True)
        ]
        samples = self._samples.between(started_s, ended_s)
        if not self._windows:
            self._samples.drop_before(ended_s)
        domains: list[DomainReading] = []
        for device, state, outcome in zip(opened.devices, states, ends, strict=True):
            others = tuple(sorted(state.others | set(_other_processes(device))))
            domains += [
                _reading(domain, outcome, (started_s, ended_s), samples, others)
                for domain in device.domains
            ]
        warnings = tuple(note for device in opened.devices for note in device.notes)
        return EnergyReading(
            window, started_s, ended_s, tuple(domains), samples, dict(opened.facts), warnings
        )

    def stop(self) -> None:
        """End the threads and forget the devices."""
        for thread in self._threads:
            thread.stop()
        self._threads = []
        self._windows = {}
        self._samples = SampleStore(())
        self._opened = None

    def _warm_up(self, opened: Opened) -> None:
        # The first call of a library is slower than the others; it shall not be a window's.
        for device in opened.devices:
            if devices.begin(device, "llem-warm-up") is None:
                devices.end(device, "llem-warm-up")

    def _start_threads(self, opened: Opened) -> None:
        if opened.readers:
            self._samples = SampleStore(opened.readers)
            interval_s = self.settings.sample_interval_s
            self._threads.append(Periodic(interval_s, self._samples.take, "llem-zeus-power"))
        if opened.wraps:

            def poll() -> None:
                for wraps in opened.wraps:
                    wraps.poll()

            self._threads.append(Periodic(WRAP_POLL_S, poll, "llem-zeus-rapl"))
        for thread in self._threads:
            thread.start()

    def _require_open(self) -> Opened:
        if self._opened is None:
            raise EnergyError("The Zeus sampler is not started.")
        return self._opened


def _pids(device: Device) -> tuple[int, ...]:
    try:
        return () if device.list_pids is None else tuple(device.list_pids())
    except Exception:  # noqa: BLE001 - a list that the driver refuses must not end a window
        return ()


def _other_processes(device: Device) -> tuple[str, ...]:
    return () if device.processes is None else device.processes.others(_pids(device))


def _reading(
    domain: Domain,
    outcome: dict[str, float] | str,
    edges_s: tuple[float, float],
    samples: tuple[PowerSample, ...],
    others: tuple[str, ...],
) -> DomainReading:
    duration_s = edges_s[1] - edges_s[0]
    own = [row for row in samples if row.domain == domain.name]
    check_j = integrate(own, *edges_s) if domain.sampled_well else None
    energy_j = None if isinstance(outcome, str) else outcome.get(domain.name)
    reason = outcome if isinstance(outcome, str) else None
    if energy_j is None and reason is None:
        reason = "Zeus left it out of its measurement"
    if energy_j is not None:
        reason = counter_fault(domain.counter, energy_j, duration_s)
    if energy_j is None or reason is not None:
        return DomainReading(
            domain.name,
            domain.kind,
            None,
            "counter",
            reason,
            domain.label,
            cross_check_j=check_j,
            cross_check_method=None if check_j is None else "integrated",
            parts=domain.parts,
            shared_with=others,
        )
    sampled_w = [row.power_w or 0.0 for row in own]
    edge_power_w = max([energy_j / duration_s if duration_s > 0 else 0.0, *sampled_w])
    return DomainReading(
        domain.name,
        domain.kind,
        energy_j,
        "counter",
        label=domain.label,
        resolution_j=domain.counter.step_j,
        uncertainty=counter_budget(domain.counter, energy_j, edge_power_w),
        cross_check_j=check_j,
        cross_check_method=None if check_j is None else "integrated",
        parts=domain.parts,
        shared_with=others,
    )

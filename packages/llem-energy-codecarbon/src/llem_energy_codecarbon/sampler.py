"""The CodeCarbon sampler."""

from __future__ import annotations

import time
from collections.abc import Callable

from llem_core.contracts import (
    DomainReading,
    EnergyReading,
    EnergySampler,
    PowerSample,
    SamplerSettings,
    UncertaintyComponent,
)
from llem_core.errors import EnergyError
from llem_core.meters import Periodic, counter_budget, counter_fault, integral_budget

from llem_energy_codecarbon.components import Domain
from llem_energy_codecarbon.config import CodeCarbonConfig
from llem_energy_codecarbon.ledger import Ledger, State, Total
from llem_energy_codecarbon.opening import Opened, open_components
from llem_energy_codecarbon.quiet import LogCatcher


class CodeCarbonSampler(EnergySampler):
    """CodeCarbon's meters and models over named windows.

    All components are measured at both edges of a window and every ``measure_interval_s``
    between; a window is the difference of two running totals, so any nesting works and a
    short window is not lost between two measurements.

    Args:
        settings: as for every sampler.
        open_hardware: finds the hardware; tests give their own.
    """

    def __init__(
        self,
        settings: SamplerSettings,
        open_hardware: Callable[[CodeCarbonConfig], Opened] = open_components,
    ) -> None:
        super().__init__(settings)
        section = settings.section
        self._config = section if isinstance(section, CodeCarbonConfig) else CodeCarbonConfig()
        self._open_hardware = open_hardware
        self._opened: Opened | None = None
        self._catcher = LogCatcher()
        self._ledger = Ledger(())
        self._thread: Periodic | None = None
        self._windows: dict[str, tuple[float, State]] = {}

    def start(self) -> None:
        """Import CodeCarbon, let it find the hardware and start measuring.

        Raises:
            EnergyError: CodeCarbon cannot be started.
        """
        if self._opened is not None:
            return
        self._catcher.install()
        try:
            opened = self._open_hardware(self._config)
            try:
                ledger = Ledger(opened.components)
                ledger.start()
            except BaseException:
                opened.close()
                raise
        except Exception as error:
            # CodeCarbon raises whatever it met: psutil's errors, NVML's, the file system's.
            logged = " ".join(self._catcher.take())
            self._catcher.remove()
            raise EnergyError(
                f"CodeCarbon cannot be started ({type(error).__name__}: {error}). {logged} "
                "Choose another meter with energy.sampler, or null for none."
            ) from error
        # What it logs while it looks around is in the facts; later messages are warnings.
        self._catcher.take()
        self._ledger = ledger
        self._opened = opened
        self._thread = Periodic(self._config.measure_interval_s, ledger.sample, "llem-codecarbon")
        self._thread.start()

    def begin(self, window: str) -> None:
        """Open a window.

        Raises:
            EnergyError: the sampler is not started, or a window of that name is open.
        """
        self._require_open()
        if window in self._windows:
            raise EnergyError(f"The window {window!r} is open already.")
        state = self._ledger.measure()
        self._windows[window] = (time.monotonic(), state)

    def end(self, window: str) -> EnergyReading:
        """Close a window.

        Raises:
            EnergyError: no window of that name is open.
        """
        ended_s = time.monotonic()
        opened = self._require_open()
        if window not in self._windows:
            raise EnergyError(f"No window {window!r} is open.")
        after = self._ledger.measure()
        started_s, before = self._windows.pop(window)
        samples = self._ledger.samples_between(started_s, ended_s)
        if not self._windows:
            self._ledger.drop_before(ended_s)
        domains = tuple(
            _reading(domain, before[domain.name], after[domain.name], ended_s - started_s, samples)
            for component in opened.components
            for domain in component.domains
        )
        warnings = tuple(f"CodeCarbon: {message}" for message in self._catcher.take())
        return EnergyReading(
            window, started_s, ended_s, domains, samples, dict(opened.facts), warnings
        )

    def stop(self) -> None:
        """End the thread and let CodeCarbon log again."""
        if self._thread is not None:
            self._thread.stop()
            self._thread = None
        if self._opened is not None:
            self._opened.close()
            self._catcher.remove()
        self._opened = None
        self._windows = {}
        self._ledger = Ledger(())

    def _require_open(self) -> Opened:
        if self._opened is None:
            raise EnergyError("The CodeCarbon sampler is not started.")
        return self._opened


def _reading(
    domain: Domain,
    before: Total,
    after: Total,
    duration_s: float,
    samples: tuple[PowerSample, ...],
) -> DomainReading:
    energy_j = after.energy_j - before.energy_j
    reason = after.reason if after.losses > before.losses else None
    if reason is None and energy_j <= 0:
        reason = f"CodeCarbon told no energy for the window of {duration_s:.3g} s"
    if reason is None and domain.meter is not None:
        reason = counter_fault(domain.meter, energy_j, duration_s)
    if reason is not None:
        return DomainReading(domain.name, domain.kind, None, domain.method, reason, domain.label)
    if domain.method != "counter":
        # Power times time was summed between two measurements, which lie just outside the
        # window at its start and its end.
        energy_j *= duration_s / (after.time_s - before.time_s)
    powers_w = tuple(row.power_w or 0.0 for row in samples if row.domain == domain.name)
    uncertainty: tuple[UncertaintyComponent, ...] = ()
    resolution_j = None
    if domain.meter is not None and domain.method == "counter":
        resolution_j = domain.meter.step_j
        edge_power_w = max([energy_j / max(duration_s, 1e-9), *powers_w])
        uncertainty = counter_budget(domain.meter, energy_j, edge_power_w)
    elif domain.meter is not None and domain.method == "integrated":
        uncertainty = integral_budget(domain.meter.gain_half_width, energy_j, duration_s, powers_w)
    return DomainReading(
        domain.name,
        domain.kind,
        energy_j,
        domain.method,
        label=domain.label,
        resolution_j=resolution_j,
        uncertainty=uncertainty,
        parts=domain.parts,
    )

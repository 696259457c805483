"""The sampler: energy of windows from a meter's readings."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from llem_core.contracts import (
    DomainReading,
    EnergyMethod,
    EnergyReading,
    EnergySampler,
    PowerSample,
    SamplerSettings,
)
from llem_core.errors import EnergyError

from llem_wallmeter.config import SOURCE_VARIABLE, WallMeterConfig
from llem_wallmeter.energy import (
    Piece,
    Reading,
    energy_of,
    pieces_of,
    resolution_of,
    uncertainty_of,
)
from llem_wallmeter.faults import faults, silence
from llem_wallmeter.record import Record
from llem_wallmeter.source import Source, make_source

DOMAIN = "wall"
_LOOK_S = 0.01


class WallMeterSampler(EnergySampler):
    """Reads a meter in the mains lead; see ``energy`` for the figures and their uncertainty.

    Nothing runs inside a window but, for a socket, one thread that waits for the next line:
    a window is worked out when it ends, from the readings around it. ``end`` waits for the
    first reading after the window.

    Args:
        settings: as for any sampler; ``sample_interval_s`` has no effect, the meter has its own.
        source: the lines; by ``wallmeter.source`` if not given.
        clock: monotonic seconds.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        settings: SamplerSettings,
        *,
        source: Source | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(settings)
        section = settings.section
        self._config = section if isinstance(section, WallMeterConfig) else WallMeterConfig()
        self._given = source
        self._source: Source | None = None
        self._clock = clock
        self._sleep = sleep
        self._record = Record(self._config)
        self._open: dict[str, float] = {}
        self._stopped_at_s: float | None = None
        self._where = ""

    def start(self) -> None:
        """Open the meter, and wait for its first fresh reading."""
        self._where = self._config.source or os.environ.get(SOURCE_VARIABLE, "")
        if self._given is None and not self._where:
            raise EnergyError(
                "the wall meter has no source; set wallmeter.source to its file or socket, or the "
                f"environment variable {SOURCE_VARIABLE}"
            )
        source = self._given or make_source(self._where)
        try:
            source.open()
        except OSError as error:
            raise EnergyError(
                f"the wall meter {self._where} cannot be opened: {error.strerror or error}; "
                "is its logger running?"
            ) from error
        self._source = source
        self._record = Record(self._config)
        now_s = self._clock()
        if not self._wait_for(now_s):
            last_s = self._record.last_s
            self.stop()
            raise EnergyError(
                f"the wall meter {self._where}: {silence(last_s, now_s, self._config)}"
            )

    def begin(self, window: str) -> None:
        """Note the time."""
        self._open[window] = self._clock()

    def end(self, window: str) -> EnergyReading:
        """Wait for the next reading, and work out the window."""
        ended_s = self._clock()
        started_s = self._open.pop(window)
        self._wait_for(ended_s)
        readings = self._record.around(started_s, ended_s)
        pieces = pieces_of(readings, self._config)
        ahead_s = (self._record.last_s or 0.0) - self._clock()
        reason = next(faults(readings, started_s, ended_s, ahead_s, self._config), None)
        return EnergyReading(
            window,
            started_s,
            ended_s,
            (self._domain(pieces, started_s, ended_s, reason),),
            _samples(pieces, started_s, ended_s),
            self._sensor(readings),
            self._warnings(),
        )

    def stop(self) -> None:
        """Close the meter."""
        source, self._source = self._source, None
        self._open = {}
        if source is not None:
            source.close()

    def _wait_for(self, moment_s: float) -> bool:
        """Wait until there is a reading of that moment or later; whether there is one."""
        assert self._source is not None, "start comes first"
        deadline_s = moment_s + self._config.stale_after_seconds
        while True:
            self._record.add(self._source.drain())
            last_s = self._record.last_s
            if last_s is not None and last_s >= moment_s:
                return True
            # A meter that was found silent before is not waited for again and again.
            if self._clock() >= deadline_s or (last_s is not None and last_s == self._stopped_at_s):
                self._stopped_at_s = last_s
                return False
            self._sleep(_LOOK_S)

    def _domain(
        self, pieces: Sequence[Piece], started_s: float, ended_s: float, reason: str | None
    ) -> DomainReading:
        config = self._with_resolution()
        method: EnergyMethod = "integrated" if config.quantity == "power_w" else "counter"
        if reason is not None:
            return DomainReading(DOMAIN, "other", None, method, reason=reason, label=config.label)
        return DomainReading(
            DOMAIN,
            "other",
            energy_of(pieces, started_s, ended_s),
            method,
            label=config.label,
            resolution_j=resolution_of(pieces, config),
            uncertainty=uncertainty_of(pieces, started_s, ended_s, config),
        )

    def _with_resolution(self) -> WallMeterConfig:
        given = self._config.resolution
        return self._config.model_copy(update={"resolution": given or self._record.step})

    def _sensor(self, readings: Sequence[Reading]) -> dict[str, object]:
        intervals = [after.time_s - before.time_s for before, after in pairwise(readings)]
        config = self._with_resolution().model_dump(mode="json")
        return {
            **config,
            "source": self._where,
            "interval_s": statistics.median(intervals) if intervals else None,
            "readings": len(readings),
        }

    def _warnings(self) -> tuple[str, ...]:
        record, found = self._record, []
        if record.broken_lines:
            found.append(f"{record.broken_lines} lines of the wall meter were no readings.")
        if record.late_lines:
            found.append(f"{record.late_lines} lines of the wall meter were out of order.")
        if self._config.clock == "unix" and abs(record.clock_step_s) > max(
            0.1, 3 * self._config.clock_error_seconds
        ):
            found.append(
                f"This machine's clock was set by {record.clock_step_s:+.2g} s meanwhile: windows "
                "may be out of step with the wall meter."
            )
        return tuple(found)


def _samples(pieces: Sequence[Piece], started_s: float, ended_s: float) -> tuple[PowerSample, ...]:
    return tuple(
        PowerSample(piece.end_s, DOMAIN, piece.end_w)
        for piece in pieces
        if started_s <= piece.end_s <= ended_s
    )

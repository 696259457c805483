"""The DCGM sampler: energy of the GPUs that an exporter reads."""

from __future__ import annotations

import ipaddress
import socket
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from llem_core.contracts import DomainReading, EnergyReading, EnergySampler, SamplerSettings
from llem_core.errors import EnergyError

from llem_energy_dcgm.account import STEP_J, Counted, Lag, counted, lag_of, refined
from llem_energy_dcgm.clock import Clock, RealClock
from llem_energy_dcgm.config import DcgmConfig
from llem_energy_dcgm.exporter import Exporter, ExporterError, HttpExporter
from llem_energy_dcgm.exposition import NotMetricsError, Reader
from llem_energy_dcgm.integral import MIG_REFUSED, integrated, standing_still
from llem_energy_dcgm.track import Track

_PER_PERIOD = 20
"""Requests in the time of one update, at the most."""
_LATE = 1.7
"""An update comes no later than this many periods after the last one; else something is wrong."""
_SLOW_S = 5.0


@dataclass(frozen=True, slots=True)
class _Failure:
    since_s: float
    reason: str


class DcgmSampler(EnergySampler):
    """Asks an exporter in a thread, keeps what it tells, and answers for intervals.

    The energy of record is the difference of the counter at the interval's edges, interpolated
    between its updates; without a counter it is power integrated.

    Args:
        settings: as for any sampler.
        exporter: whom to ask; that of the section if not given.
        clock: time; a simulated one in tests.
    """

    def __init__(
        self,
        settings: SamplerSettings,
        exporter: Exporter | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(settings)
        section = settings.section
        self._section = section if isinstance(section, DcgmConfig) else DcgmConfig()
        self._clock = clock or RealClock()
        self._exporter = exporter
        self._host = host_of(self._section)
        self._reader = Reader()
        self._tracks: dict[str, Track] = {}
        self._failure: _Failure | None = None
        self._first_s = 0.0
        self._round_trip_s = 0.0
        self._requests = 0
        self._measured_period_s: float | None = None
        self._stop: Callable[[], None] | None = None

    def start(self) -> None:
        """Ask once, and go on asking; wait until two updates tell how far they are apart.

        Raises:
            EnergyError: the exporter does not answer, or not with metrics of GPUs.
        """
        self._tracks, self._failure = {}, None
        if self._exporter is None:
            self._exporter = HttpExporter(self._section, self._clock.now)
        self._first_s = self._clock.now()
        failure = self._ask()
        if failure is not None:
            self._exporter.close()
            raise EnergyError(f"the exporter {self._where} cannot be used: {failure.reason}")
        self._stop = self._clock.repeat(self._step)
        latest_s = self._clock.now() + 2 * self._section.longest_update_seconds
        while self._clock.now() < latest_s and not self._settled():
            self._clock.sleep(self._section.poll_seconds)

    def stop(self) -> None:
        """End the thread and the connection."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
        if self._exporter is not None:
            self._exporter.close()

    def now_s(self) -> float:
        """Monotonic time, by the sampler's clock (s)."""
        return self._clock.now()

    def wait(self, duration_s: float) -> None:
        """Let time pass, by the sampler's clock (s)."""
        self._clock.sleep(duration_s)

    @property
    def delay_s(self) -> float:
        """Until the exporter shows an update from after a moment for certain (s)."""
        if self._measured_period_s is None:
            return 0.0  # waiting would not help
        lag = self._lag
        asked_s = self._interval_s() + self._round_trip_s
        return lag.time_s + lag.half_s + _LATE * self._period_s + 2 * asked_s

    def end(self, window: str) -> EnergyReading:
        """Close a window, and wait until its energy is known, as long as it can take.

        Raises:
            EnergyError: no window of that name is open.
        """
        ended_s = self._clock.now()
        if window not in self._begun_s:
            raise EnergyError(f"No window {window!r} is open.")
        started_s = self._begun_s.pop(window)
        latest_s = ended_s + self.delay_s
        reading, early = self._between(started_s, ended_s)
        while early and self._clock.now() < latest_s:
            self._clock.sleep(min(self._interval_s(), max(0.0, latest_s - self._clock.now())))
            reading, early = self._between(started_s, ended_s)
        return replace(reading, window=window)

    def energy_between(self, started_s: float, ended_s: float) -> EnergyReading:
        """Energy of an interval, from the updates that the exporter has shown."""
        return self._between(started_s, ended_s)[0]

    def _between(self, started_s: float, ended_s: float) -> tuple[EnergyReading, bool]:
        found = [(track, *self._domain(track, started_s, ended_s)) for track in self._every()]
        lag_s = self._lag.time_s
        samples = [row for track, *_ in found for row in track.samples(started_s, ended_s, lag_s)]
        reading = EnergyReading(
            "interval",
            started_s,
            ended_s,
            tuple(domain for _, domain, _ in found),
            tuple(sorted(samples, key=lambda row: row.time_s)),
            self._facts(),
            self._warnings(),
        )
        return reading, any(early for *_, early in found)

    def _domain(self, track: Track, started_s: float, ended_s: float) -> tuple[DomainReading, bool]:
        by_counter = track.has_counter or bool(track.instances)
        check: Counted | None = None
        if track.instances:
            energy = Counted(None, MIG_REFUSED)
        elif not track.periods_s():
            energy = Counted(None, self._never_changed(track))
        elif by_counter:
            energy = self._counted(track, started_s, ended_s)
            check = self._integrated(track, started_s, ended_s)
        else:
            energy = self._integrated(track, started_s, ended_s)
        known = energy.energy_j is not None
        check_j = check.energy_j if known and check is not None else None
        domain = DomainReading(
            name=track.uuid,
            kind="gpu",
            energy_j=energy.energy_j,
            method="counter" if by_counter else "integrated",
            reason=self._why_unknown(track, ended_s) if energy.early else energy.reason,
            label=track.label,
            resolution_j=STEP_J if by_counter and known else None,
            uncertainty=energy.terms,
            cross_check_j=check_j,
            cross_check_method=None if check_j is None else "integrated",
            host=self._host,
        )
        return domain, energy.early

    def _counted(self, track: Track, started_s: float, ended_s: float) -> Counted:
        period_s = self._measured_period_s
        updates = [refined(update, period_s) for update in list(track.updates)]
        rows = [row.values for row in list(track.seen)]
        powers_w = [row.power_w for row in rows if row.power_w is not None]
        limit_w = max((row.limit_w for row in rows if row.limit_w), default=None)
        return counted(updates, started_s, ended_s, self._lag, powers_w, limit_w)

    def _integrated(self, track: Track, started_s: float, ended_s: float) -> Counted:
        return integrated(track, started_s, ended_s, self._lag, self._period_s)

    def _never_changed(self, track: Track) -> str:
        waited_s = self._clock.now() - self._first_s
        what = "its energy counter has" if track.has_counter else "its values have"
        return (
            f"{what} not changed twice in the {waited_s:.3g} s since the exporter was first asked: "
            "it is frozen, or the exporter renews it less often than dcgm.longest_update_seconds"
        )

    def _why_unknown(self, track: Track, ended_s: float) -> str:
        """Why nothing is known up to the interval's end."""
        now_s = self._clock.now()
        failure = self._failure
        if failure is not None and failure.since_s <= ended_s + self.delay_s:
            still_s = now_s - failure.since_s
            return (
                f"the exporter {self._where} has given nothing for {still_s:.3g} s: "
                f"{failure.reason}"
            )
        if track.absent_since_s is not None:
            return (
                f"the exporter {self._where} has not named it for "
                f"{now_s - track.absent_since_s:.3g} s: the GPU was lost, or is watched no more"
            )
        still = standing_still(track, now_s, self._period_s * 2 * _LATE, self._first_s)
        return still or "its energy is not known yet; it is asked for too early"

    def _step(self) -> float:
        self._ask()
        return self._interval_s()

    def _ask(self) -> _Failure | None:
        exporter = self._exporter
        assert exporter is not None
        asked_s = self._clock.now()
        try:
            answer = exporter.ask()
            cards = self._reader.cards(answer.text)
        except (ExporterError, NotMetricsError) as error:
            if self._failure is None:
                self._failure = _Failure(asked_s, str(error))
            return self._failure
        self._failure = None
        self._requests += 1
        self._round_trip_s = max(self._round_trip_s, answer.answered_s - answer.asked_s)
        repeat_after_s, renewed = 1.5 * self._period_s, False
        for uuid, card in cards.items():
            track = self._tracks.get(uuid)
            if track is None:
                track = Track(card)
                self._tracks = {**self._tracks, uuid: track}
            renewed |= track.take(card, answer, repeat_after_s)
        if renewed:
            self._measure_period()
        for uuid, track in self._tracks.items():
            if uuid not in cards:
                track.miss(answer.asked_s)
        return None

    def _every(self) -> list[Track]:
        return [track for _, track in sorted(self._tracks.items())]

    def _settled(self) -> bool:
        """Whether every GPU was updated twice, or one was and the others had the time for it."""
        known = [len(track.periods_s()) for track in self._every() if not track.instances]
        if all(known) or not known:
            return True
        period_s = self._measured_period_s
        waited_s = self._clock.now() - self._first_s
        return period_s is not None and waited_s > 4 * period_s

    def _measure_period(self) -> None:
        found = [period_s for track in self._every() for period_s in track.periods_s()]
        self._measured_period_s = statistics.median(found) if found else None

    @property
    def _period_s(self) -> float:
        """Time between two updates; as long as it may be where that is not known (s)."""
        measured_s = self._measured_period_s
        return self._section.longest_update_seconds if measured_s is None else measured_s

    @property
    def _lag(self) -> Lag:
        return lag_of(self._section.lag_seconds, self._period_s)

    def _interval_s(self) -> float:
        measured_s = self._measured_period_s
        least_s = self._section.poll_seconds
        return least_s if measured_s is None else max(least_s, measured_s / _PER_PERIOD)

    @property
    def _where(self) -> str:
        return self._section.url or "that was passed in"

    def _facts(self) -> dict[str, object]:
        return {
            "meter": "DCGM exporter",
            "url": self._section.url,
            "host": self._host,
            "update_period_s": self._measured_period_s,
            "lag_s": self._lag.time_s,
            "lag_half_width_s": self._lag.half_s,
            "request_interval_s": self._interval_s(),
            "longest_round_trip_s": self._round_trip_s,
            "n_requests": self._requests,
        }

    def _warnings(self) -> tuple[str, ...]:
        period_s = self._measured_period_s
        if period_s is None or period_s <= _SLOW_S:
            return ()
        return (
            f"The DCGM exporter renews its values every {period_s:.3g} s only, which makes the "
            "energy of a window uncertain; start it with --collect-interval 1000.",
        )


def host_of(section: DcgmConfig) -> str | None:
    """The machine whose GPUs are read; ``None`` for this one."""
    if section.host is not None or section.url is None:
        return section.host
    host = urlsplit(section.url).hostname or ""
    if host in {"localhost", socket.gethostname()}:
        return None
    try:
        return None if ipaddress.ip_address(host).is_loopback else host
    except ValueError:
        return host

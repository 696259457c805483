"""An engine that serves, through ramp, window and drain of a load."""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.backend import ModelInfo
from llem_core.contracts.sampler import EnergyReading
from llem_core.contracts.serving import ServedRequest, ServingBackend
from llem_core.contracts.workload import Prompt
from llem_core.errors import BackendError
from llem_core.events import Phase
from llem_core.measure.drive.engine import LocalEngine, Services, backend_errors
from llem_core.measure.drive.served import ServedBatches
from llem_core.measure.drive.warmup import Progress
from llem_core.measure.energy.meter import Meter
from llem_core.measure.energy.placement import elsewhere
from llem_core.measure.energy.totals import record_energy
from llem_core.measure.load.attribution import attributed_j
from llem_core.measure.load.driver import LoadDriver, Until
from llem_core.measure.load.observed import Interval, ObservedLoad, records, served_tokens
from llem_core.measure.load.ramp import Ramp
from llem_core.measure.load.record import LoadRecord
from llem_core.measure.load.source import source_of
from llem_core.measure.load.steady import backlog_grew
from llem_core.measure.result.observations import used_devices
from llem_core.results.process import ProcessResult

_METER_POLL_S = 0.002
_GRACE_S = 60.0


class LoadEngine(LocalEngine):
    """One backend in this process that serves requests.

    Between ``load`` and ``collect`` come ``ramp``, ``measure`` and ``drain``: the load goes on
    through all of them.

    Args:
        config: the experiment, with a load.
        prompts: its prompts.
        services: of the study; see ``Workload.services``.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        prompts: Sequence[Prompt],
        services: Services | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(config, prompts, services=services)
        self._load = config.load
        self._clock = clock
        self._driver: LoadDriver | None = None
        self._ramp: Ramp | None = None
        self._window: Interval | None = None
        self._reading: EnergyReading | None = None
        self._parts: list[tuple[Interval, EnergyReading | None]] = []
        self._cpu_s: float | None = None
        self._collects = self._grew = False
        self._started_s = self._ended_s = 0.0
        self._counters: list[dict[str, float]] = []
        self.record: LoadRecord | None = None

    def load(self) -> list[ModelInfo]:
        """Make the backend and load its model.

        Raises:
            BackendError: the backend does not serve requests.
        """
        infos = super().load()
        if not isinstance(self._loaded, ServedBatches):
            raise BackendError(
                f"the backend {self._config.backend!r} says that it serves, and its `create` gives "
                f"{type(self._loaded).__name__} for load.mode {self._load.mode}; it has to give a "
                "ServingBackend"
            )
        return infos

    def ramp(self, progress: Progress) -> None:
        """Begin the load, and wait until it is steady, or for as long as asked.

        Raises:
            BackendError: the engine died, or many requests are over and all of them failed.
        """
        pool = self._pool()
        self._counters.append(self._read_counters())
        source = source_of(self._load, len(pool), self._config.random_seed)
        self._driver = LoadDriver(
            self._served,
            pool,
            source,
            self._load.concurrency,
            self._load.request_timeout_seconds,
            self._clock,
        )
        gc.collect()
        self._collects = gc.isenabled()
        gc.disable()
        asked = self._load.ramp_seconds
        asked_s = None if asked == "auto" else float(asked)
        if self._load.mode == "trace" and not asked_s:
            return  # the window holds the trace from its first request on
        self._started_s = self._driver.start()
        slots = self._load.concurrency if self._load.mode == "closed" else None
        self._ramp = Ramp(self._driver, self._started_s, asked_s, slots)
        with backend_errors("raising the load"):
            self._driver.drive(_reporting(self._ramp, self._started_s, asked_s, progress))
        self._reject_hopeless()

    def measure(self, meter: Meter) -> EnergyReading | None:
        """Open a window of the meter, let it stand for as long as asked, and close it.

        The meter is read in a thread of its own: it may wait for its next update at both edges,
        and the load goes on meanwhile.
        """
        driver, length_s = self._driving, self._load.window_s
        with ThreadPoolExecutor(1, "llem-meter") as thread, backend_errors("serving"):
            opening = thread.submit(meter.begin, Phase.MEASURE)
            if self._ramp is None:
                opening.result()
                self._started_s = driver.start()
            driver.drive(_until_done(opening))
            opened_s, cpu_s = self._clock(), time.process_time()
            before = driver.in_flight, len(driver.flights)
            closes_s = None if length_s is None else opened_s + length_s * self._load.windows
            driver.drive(self._until(closes_s))
            closed_s = self._clock()
            self._cpu_s = time.process_time() - cpu_s
            self._grew = backlog_grew(driver.in_flight - before[0], len(driver.flights) - before[1])
            closing = thread.submit(meter.end, Phase.MEASURE)
            driver.drive(_until_done(closing))
            reading = closing.result()
        self._reading = reading
        edges = (opened_s, closed_s) if reading is None else (reading.started_s, reading.ended_s)
        self._window = Interval(*edges)
        return reading

    def drain(self, meter: Meter) -> None:
        """Go on until the requests that were due in the window are over, then end the load.

        Above the capacity nothing more is sent: there, the load goes on by what waits already.
        """
        driver, window = self._driving, self._interval
        latest_s = self._clock() + self._load.request_timeout_seconds + _GRACE_S
        with backend_errors("serving the last requests"):
            if self._grew:
                driver.stop(window.ended_s)
            driver.await_until(window.ended_s)
            driver.drive(lambda now_s: 0.1 if driver.awaited and now_s <= latest_s else None)
            driver.stop(window.ended_s)
            driver.drive(lambda now_s: None if driver.exhausted or now_s > latest_s else 0.1)
        self._ended_s = self._clock()
        self._collect_again()
        self._counters.append(self._read_counters())
        step_s = window.duration_s / self._load.windows
        for number in range(self._load.windows):
            started_s = window.started_s + number * step_s
            part, of_part = Interval(started_s, started_s + step_s), self._reading
            if self._load.windows > 1:
                of_part = meter.between(part.started_s, part.ended_s, self._reading)
            self._parts.append((part, of_part))

    def collect(self) -> list[ProcessResult]:
        """Read memory, counts and times of the whole load."""
        driver, window = self._driving, self._interval
        with backend_errors("reading the outputs"):
            memory, facts = self._loaded.memory(), self._loaded.facts()
        self.log = facts.log
        observed = ObservedLoad(
            driver.flights,
            served_tokens(driver.flights, driver.arrivals),
            Interval(self._started_s, self._ended_s),
        )
        info = self._info
        assert info is not None
        self.record = LoadRecord(
            load=self._load,
            observed=observed,
            window=window,
            parts=self._parts,
            ramp_s=max(0.0, window.started_s - self._started_s),
            ramp_ended_by="trace" if self._ramp is None else self._ramp.ended_by or "limit",
            client_cpu_s=self._cpu_s if info.process_ids or info.resident else None,
            counters_before=self._counters[0],
            counters_after=self._counters[-1],
            n_unsent=driver.unsent(),
        )
        pool = self._pool()
        requests = records(observed, window, self._attributed(observed, window, info))
        mine = [r for r in requests if r.in_window]
        timeless = any(r.token_times_s is None and r.error is None for r in mine)
        return [
            ProcessResult(
                rank=0,
                pid=os.getpid(),
                started_s=window.started_s,
                ended_s=window.ended_s,
                n_batches=0,
                padded_tokens=0,
                truncated=sum(pool[f.position].truncated for f in observed.due_within(window)),
                requests=requests,
                times_missing_reason=_TIMELESS if timeless else None,
                weights_bytes=info.weights_bytes,
                peak_memory_bytes=memory.peak_bytes,
                memory_source=memory.source,
                memory_reason=memory.reason,
                warmup=self._warmup,
                facts=facts.values,
                notes=list(facts.notes),
            )
        ]

    def unload(self) -> None:
        """Free the model; harmless when it was never loaded."""
        self._collect_again()
        super().unload()

    def _collect_again(self) -> None:
        """Let Python collect garbage, if it did before the load."""
        collects, self._collects = self._collects, False
        if collects:
            gc.enable()

    def _attributed(
        self, observed: ObservedLoad, window: Interval, info: ModelInfo
    ) -> list[float | None]:
        energy = None
        if self._reading is not None and elsewhere([info], self._reading) is None:
            energy = record_energy(self._reading, None, used_devices([info]))
        return attributed_j(observed, window, energy, self._reading)

    def _pool(self) -> Sequence[ServedRequest]:
        payload: Any = self._batches[0].payload
        return tuple(payload.requests)

    def _read_counters(self) -> dict[str, float]:
        with backend_errors("reading the engine's counters"):
            return dict(self._served.engine_counters())

    def _until(self, closes_s: float | None) -> Until:
        driver = self._driving
        closes_s = math.inf if closes_s is None else closes_s
        # Only a trace is ever exhausted.
        return lambda now_s: None if now_s >= closes_s or driver.exhausted else closes_s - now_s

    def _reject_hopeless(self) -> None:
        if self._ramp is not None and self._ramp.hopeless:
            first = next(f for f in self._driving.flights if f.output is not None)
            assert first.output is not None
            raise BackendError(
                f"all of the first {self._driving.n_over} requests failed; the first: "
                f"{first.output.error}"
            )

    @property
    def _served(self) -> ServingBackend:
        assert isinstance(self._loaded, ServedBatches)
        return self._loaded.served

    @property
    def _driving(self) -> LoadDriver:
        assert self._driver is not None, "ramp comes first"
        return self._driver

    @property
    def _interval(self) -> Interval:
        assert self._window is not None, "measure comes first"
        return self._window


_TIMELESS = "the engine does not tell when each token was there"


def _until_done(future: Future[Any]) -> Until:
    return lambda _: None if future.done() else _METER_POLL_S


def _reporting(ramp: Ramp, started_s: float, asked_s: float | None, progress: Progress) -> Until:
    """The ramp, telling once a second how far it is."""
    told_s = started_s

    def until(now_s: float) -> float | None:
        nonlocal told_s
        if ramp.hopeless:
            return None
        if now_s - told_s >= 1.0:
            told_s = now_s
            progress(now_s - started_s, asked_s or ramp.limit_s, "s")
        return ramp(now_s)

    return until

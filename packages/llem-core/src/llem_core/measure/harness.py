"""The order of the steps of one experiment, and nothing else."""

from __future__ import annotations

import datetime as dt
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.backend import CheckReport, ModelInfo
from llem_core.contracts.sampler import EnergyReading, UsedDevices
from llem_core.contracts.sink import FinishedExperiment
from llem_core.contracts.workload import Prompt
from llem_core.environment import take_snapshot
from llem_core.events import ExperimentFinished, ExperimentStarted, Listener, Phase
from llem_core.measure.baseline.cache import BaselineCache
from llem_core.measure.baseline.checks import is_unsound
from llem_core.measure.baseline.power import BaselineReadings
from llem_core.measure.baseline.record import Baselines
from llem_core.measure.drive.data_parallel import DataParallelEngine
from llem_core.measure.drive.engine import Engine, LocalEngine, Services, reject_failures
from llem_core.measure.energy.meter import SESSION, Meter
from llem_core.measure.energy.phases import passes_for
from llem_core.measure.energy.placement import RESIDENT, elsewhere, own_processes, without_own
from llem_core.measure.energy.select import start_sampler
from llem_core.measure.load.engine import LoadEngine
from llem_core.measure.load.record import LoadRecord
from llem_core.measure.preflight import check
from llem_core.measure.prompts.load import load_prompts
from llem_core.measure.result.assemble import assemble
from llem_core.measure.result.observations import Observations, used_devices
from llem_core.measure.state import StateManager
from llem_core.measure.watchdog import Watchdog, watched
from llem_core.results.environment import EnvironmentSnapshot
from llem_core.results.process import ProcessResult

EngineFactory = Callable[[ExperimentConfig, list[Prompt]], Engine]


def measure(
    config: ExperimentConfig,
    listener: Listener,
    engine_factory: EngineFactory | None = None,
    *,
    baselines: BaselineCache | None = None,
    limit_s: float | None = None,
    services: Services | None = None,
) -> FinishedExperiment:
    """Measure one experiment in this process.

    Snapshot the environment → preflight → baseline before load → load → prepare → warm up →
    loaded-idle baseline → one unmeasured batch → synchronise → window → synchronise → phase
    passes if asked for → unload → assemble. Under a load, the window is cut out of it: ramp →
    window → drain.

    Args:
        config: the experiment.
        listener: is told of events; never while a window is open.
        engine_factory: makes the engine; by the configuration if not given.
        baselines: of earlier experiments of the study, to use and to add to.
        limit_s: how long it may take (s).
        services: what the study's services tell of themselves; see ``Workload.services``.

    Raises:
        LLEMError: the experiment has no result; everything has been freed.
    """
    state = StateManager(config.measurement_config_hash, listener)
    try:
        with watched(limit_s) as watchdog:
            state.tell_through(watchdog.shielding)
            factory = engine_factory or functools.partial(make_engine, services=services)
            run = _Run(config, state, factory, baselines, watchdog)
            finished = run.measure()
    except BaseException as error:
        state.fail(error)
        raise
    state.finish()
    listener(
        ExperimentFinished(
            config.measurement_config_hash,
            time.monotonic() - state.started_s,
            finished.result.energy_per_output_token_j,
            finished.result.output_tokens_per_second,
        )
    )
    return finished


def make_engine(
    config: ExperimentConfig, prompts: list[Prompt], services: Services | None = None
) -> Engine:
    """The engine that the configuration asks for: in this process, or in several."""
    if config.load.serves:
        return LoadEngine(config, prompts, services)
    size = config.section.process_count()
    if size > 1:
        return DataParallelEngine(config, prompts, size, services)
    return LocalEngine(config, prompts, services=services)


@dataclass
class _Readings:
    """What the meter gave, window by window."""

    baseline: BaselineReadings | None = None
    loaded: BaselineReadings | None = None
    window: EnergyReading | None = None
    prefill: EnergyReading | None = None
    session: EnergyReading | None = None
    prefill_passes: int = 0


class _Run:
    """One walk through the steps; every step is a method."""

    def __init__(
        self,
        config: ExperimentConfig,
        state: StateManager,
        engine_factory: EngineFactory,
        cache: BaselineCache | None,
        watchdog: Watchdog,
    ) -> None:
        self.config = config
        self.watchdog = watchdog
        self.own: set[int] = set()
        self.state = state
        self.engine_factory = engine_factory
        self.started_at = _now()
        self.cache = cache
        self.baselines: Baselines | None = None
        self.readings = _Readings()
        self.load: LoadRecord | None = None
        self.engine_log = ""
        self.device_kind: Literal["cpu", "gpu"] = "cpu"
        self.cards: list[str] = []

    def measure(self) -> FinishedExperiment:
        config = self.config
        self.state.tell(
            ExperimentStarted(self.state.config_hash, config.model, config.backend, config.n)
        )
        self.state.enter(Phase.ENVIRONMENT)
        environment = take_snapshot()
        self.state.enter(Phase.PREFLIGHT)
        report = check(config)
        self.device_kind = report.device_kind
        self.cards = [gpu.uuid for gpu in environment.gpus]
        prompts = load_prompts(config)
        engine = self.engine_factory(config, prompts)
        meter = Meter(start_sampler(config, report.device_kind))
        try:
            meter.begin(SESSION)
            infos, processes = self.run_engine(engine, meter)
            self.load = engine.record if isinstance(engine, LoadEngine) else None
            self.engine_log = engine.log if isinstance(engine, LocalEngine) else ""
            self.state.enter(Phase.UNLOAD)
            self.watchdog.release()
            engine.unload()
            self.readings.session = meter.end(SESSION)
        except Exception:
            self.watchdog.release(failed=True)
            raise
        finally:
            self.watchdog.release()
            try:
                engine.unload()
            finally:
                meter.stop()
        return self.finish(environment, report, prompts, infos, processes, meter)

    def run_engine(
        self, engine: Engine, meter: Meter
    ) -> tuple[list[ModelInfo], list[ProcessResult]]:
        self.baselines = Baselines(self.config, meter, self.cache, self.state.progress, self.cards)
        self.readings.baseline = self.idle(Phase.BASELINE, [])
        self.state.enter(Phase.LOAD)
        infos = engine.load()
        meter.use_devices(used_devices(infos))
        process_ids = [pid for info in infos for pid in info.process_ids]
        self.watchdog.watch(process_ids, engine.output_tail)
        self.own = own_processes(infos)
        self.state.enter(Phase.PREPARE)
        engine.prepare()
        self.state.enter(Phase.WARMUP)
        engine.warm_up(self.state.progress)
        time.sleep(self.config.warmup.thermal_floor_seconds)
        self.readings.loaded = self.idle(Phase.LOADED_BASELINE, infos)
        if self.readings.loaded is not None and not self.readings.loaded.cached:
            # The baseline has let the device cool, and lower its clocks.
            self.state.enter(Phase.WARMUP)
            engine.run_unmeasured()
        self.readings.window = self.window(engine, meter)
        self.own |= own_processes(infos)  # it may have started more meanwhile
        processes = engine.collect()
        reject_failures(processes)
        if self.config.energy.phase_energy and meter.active:
            self.phase_passes(engine, meter)
        return infos, processes

    def window(self, engine: Engine, meter: Meter) -> EnergyReading | None:
        """The measured window: of batches it holds their whole work, of a load a part of it."""
        if isinstance(engine, LoadEngine):
            self.state.enter(Phase.RAMP)
            engine.settle()
            engine.ramp(self.state.progress)
            self.state.enter(Phase.MEASURE)
            reading = engine.measure(meter)
            self.state.enter(Phase.DRAIN)
            engine.drain(meter)
            return reading
        self.state.enter(Phase.MEASURE)
        engine.settle()
        meter.begin(Phase.MEASURE)
        engine.run()
        return meter.end(Phase.MEASURE)

    def idle(self, phase: Phase, infos: list[ModelInfo]) -> BaselineReadings | None:
        times = self.baselines
        if times is None or not times.wanted:
            return None
        self.state.enter(phase)
        devices = used_devices(infos) if infos else UsedDevices(self.device_kind)
        return times.take(phase, devices)

    def phase_passes(self, engine: Engine, meter: Meter) -> None:
        self.state.enter(Phase.PHASE_PASSES)
        engine.prepare_prefill()
        engine.run_prefill(1)
        started_s = time.monotonic()
        engine.run_prefill(1)
        measured = self.readings.window
        passes = passes_for(time.monotonic() - started_s, measured.duration_s if measured else None)
        engine.settle()
        meter.begin(Phase.PHASE_PASSES)
        engine.run_prefill(passes)
        self.readings.prefill = meter.end(Phase.PHASE_PASSES)
        self.readings.prefill_passes = passes

    def finish(
        self,
        environment: EnvironmentSnapshot,
        report: CheckReport,
        prompts: list[Prompt],
        infos: list[ModelInfo],
        processes: list[ProcessResult],
        meter: Meter,
    ) -> FinishedExperiment:
        self.state.enter(Phase.ASSEMBLE)
        readings = self.readings
        remote = elsewhere(infos, readings.window)
        if remote is not None:
            readings = _Readings()
        resident = any(info.resident for info in infos)
        measured = Observations(
            config=self.config,
            environment=environment,
            report=report,
            prompts=prompts,
            infos=infos,
            processes=processes,
            started_at=self.started_at,
            finished_at=_now(),
            started_s=self.state.started_s,
            history=self.state.history,
            energy_source=meter.name,
            no_energy_reason=remote or meter.reason,
            no_baseline_reason=RESIDENT if resident and remote is None else None,
            meter_failures=meter.failures,
            baseline=None if resident else self.ours(readings.baseline),
            loaded_baseline=self.ours(readings.loaded),
            window=without_own(readings.window, self.own),
            prefill=without_own(readings.prefill, self.own),
            prefill_passes=readings.prefill_passes,
            session=without_own(readings.session, self.own),
            load=self.load,
            engine_log=self.engine_log,
        )
        self.keep(measured)
        return assemble(measured)

    def ours(self, idle: BaselineReadings | None) -> BaselineReadings | None:
        """A baseline in which the engine's own processes are no others."""
        if idle is None:
            return None
        seen = [without_own(reading, self.own) for reading in idle.readings]
        return replace(idle, readings=[reading for reading in seen if reading is not None])

    def keep(self, measured: Observations) -> None:
        for idle in (measured.baseline, measured.loaded_baseline):
            sound = not is_unsound(idle, measured.devices)
            if self.baselines is not None and sound:
                self.baselines.keep(idle)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")

"""Energy where the model is: its own processes, another host, a model that was there before."""

from dataclasses import replace
from typing import Any

from llem_core.contracts import DeviceInfo, EnergyReading, InferenceBackend, ModelInfo, Workload
from llem_core.plugins import Plugins, use_plugins
from llem_core.processes import EngineProcess
from llem_core.results.experiment import ExperimentResult
from llem_core.testing import (
    FakePlugin,
    ScriptedBackend,
    ScriptedSampler,
    scripted_backend,
    scripted_sampler,
)
from llenergymeasure import run_experiment


class Placed(ScriptedBackend):
    def __init__(self, workload: Workload, **facts: Any) -> None:
        super().__init__(workload)
        self.changes = facts

    def load(self) -> ModelInfo:
        return replace(super().load(), **self.changes)


class Crowded(ScriptedSampler):
    """Sees processes on its device."""

    pids: tuple[int, ...] = ()

    def end(self, window: str) -> EnergyReading:
        reading = super().end(window)
        seen = tuple(f"{pid} python" for pid in self.pids)
        return replace(
            reading, domains=tuple(replace(d, shared_with=seen) for d in reading.domains)
        )


def measure(pids: tuple[int, ...] = (), **facts: Any) -> ExperimentResult:
    def backend(workload: Workload) -> InferenceBackend:
        return Placed(workload, **facts)

    def sampler(settings: Any) -> ScriptedSampler:
        made = Crowded(settings)
        made.pids = pids
        return made

    plugins = Plugins()
    plugins.register(
        FakePlugin(
            backends=[scripted_backend(create=backend)],
            samplers=[replace(scripted_sampler(), create=sampler)],
        )
    )
    with use_plugins(plugins):
        return run_experiment(
            model="any",
            backend="scripted",
            n=2,
            scripted={"token_time_s": 0.001},
            baseline={"duration_seconds": 0.1},
            warmup={"enabled": False, "thermal_floor_seconds": 0},
        )


def told(result: ExperimentResult) -> str:
    return " ".join(result.measurement_warnings)


def test_the_engines_own_processes_are_no_other_users_of_the_device() -> None:
    engine = EngineProcess(["sh", "-c", "sleep 600 & echo $!; wait"], "the engine")
    engine.wait_until(lambda: bool(engine.output.tail()), 60)
    child = int(engine.output.tail())
    try:
        result = measure((engine.pid, child, 1), process_ids=(engine.pid,))
        assert "1 python" in told(result)
        assert f"{engine.pid} python" not in told(result)
        assert f"{child} python" not in told(result)
        assert f"{child} python" in told(measure((child,)))
        assert result.energy_total_j is not None
    finally:
        engine.end()


def test_a_model_on_another_host_has_no_energy_here() -> None:
    result = measure(devices=(DeviceInfo("gpu", "NVIDIA H100", "GPU-far", host="node7"),))
    assert result.energy_total_j is None
    assert result.energy_source is None
    assert result.loaded_baseline_power_w is None
    reason = "the model computes on node7, whose energy nothing here measures"
    assert result.unavailable["energy_total_j"] == reason
    assert result.unavailable["baseline_power_w"] == reason
    assert result.output_tokens_per_second > 0


def test_a_resident_model_has_no_baseline_before_load() -> None:
    result = measure(resident=True)
    assert result.baseline_power_w is None
    assert "loaded before this run began" in result.unavailable["baseline_power_w"]
    assert result.loaded_baseline_power_w is not None
    assert result.energy_adjusted_j is not None

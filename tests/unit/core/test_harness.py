from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from llem_core.contracts import Availability, InferenceBackend, Workload
from llem_core.errors import (
    BackendError,
    ConfigError,
    ExperimentError,
    OutOfMemoryError,
    PreFlightError,
)
from llem_core.events import Event, ExperimentFailed, ExperimentFinished, Phase, PhaseChanged
from llem_core.measure.state import StateManager
from llem_core.plugins import Plugins
from llem_core.results.experiment import QUANTITIES
from llem_core.testing import (
    MemorySink,
    ScriptedBackend,
    ScriptedSampler,
    memory_sink,
    scripted_backend,
    scripted_sampler,
)
from llenergymeasure import ExperimentResult, run_experiment
from pydantic import ValidationError

Within = Callable[..., AbstractContextManager[Plugins]]
FAST = {
    "model": "m",
    "backend": "scripted",
    "n": 6,
    "max_output_tokens": 4,
    "baseline": {"duration_seconds": 0.1},
}


def phases(events: list[Event]) -> list[str]:
    return [str(event.phase) for event in events if isinstance(event, PhaseChanged)]


def test_the_steps_come_in_their_order(with_plugins: Within) -> None:
    made: list[ScriptedBackend] = []
    samplers: list[ScriptedSampler] = []
    events: list[Event] = []

    def create(workload: Workload) -> InferenceBackend:
        made.append(ScriptedBackend(workload))
        return made[-1]

    with with_plugins(
        backends=[scripted_backend(create=create)], samplers=[scripted_sampler(created=samplers)]
    ):
        run_experiment(**FAST, listener=events.append)
    assert phases(events) == [
        *("environment", "preflight", "baseline", "load", "prepare", "warmup"),
        *("loaded_baseline", "warmup", "measure", "unload", "assemble"),
    ]
    calls = made[0].calls
    window = calls[calls.index("reset_peak_memory") :]
    assert calls[calls.index("reset_peak_memory") - 1] == "synchronise"
    assert window == [
        "reset_peak_memory",
        "synchronise",
        *["generate"] * 6,
        "synchronise",
        "unload",
    ]
    assert calls.index("load") < calls.index("prepare") < calls.index("generate")
    windows = [call for call in samplers[0].calls if "-" not in call]
    assert windows == [
        *("start", "begin session", "begin measure", "end measure", "end session", "stop")
    ]
    assert isinstance(events[-1], ExperimentFinished)
    states = {str(e.state) for e in events if isinstance(e, PhaseChanged)}
    assert states == {"initialising", "measuring"}


def test_energy_of_a_known_power_comes_out(with_plugins: Within) -> None:
    with with_plugins(samplers=[scripted_sampler(domains=[("cpu:0", "cpu", 50.0)])]):
        result = run_experiment(**FAST, scripted={"token_time_s": 0.01, "batch_size": 2})
    total, window_s = result.energy_total_j, result.duration_s
    assert total is not None
    assert total >= 50 * window_s
    assert result.mean_power_w == pytest.approx(50)
    assert result.loaded_baseline_power_w == pytest.approx(50)
    assert result.energy_adjusted_j == pytest.approx(0, abs=1e-6)
    assert result.energy_per_output_token_j == pytest.approx(total / 24)
    assert result.energy_per_request_j == pytest.approx(total / 6)
    assert result.energy_per_device_j == {"cpu:0": total}
    # the script: 1 % for comparison, and 5 % of gain beside it, each at k = 2
    assert result.energy_uncertainty_comparison_j == pytest.approx(2 * 0.01 * total)
    assert result.energy_uncertainty_absolute_j == pytest.approx(2 * math.hypot(0.01, 0.05) * total)
    assert result.output_tokens_per_second == pytest.approx(24 / result.duration_s)
    assert result.time_to_first_token is not None
    assert result.time_to_first_token.p50_s == pytest.approx(0.01)
    assert result.inter_token_latency is not None
    assert (result.inter_token_latency.n, result.output_tokens) == (18, 24)


def test_only_devices_in_use_are_summed(with_plugins: Within) -> None:
    domains = [("GPU-a", "gpu", 300.0), ("GPU-b", "gpu", 60.0), ("GPU-c", "gpu", 60.0)]
    with with_plugins(samplers=[scripted_sampler(domains=domains)]):
        result = run_experiment(**FAST, scripted={"gpu_uuids": ["GPU-a"], "token_time_s": 0.01})
    assert result.mean_power_w == pytest.approx(300)
    assert result.energy_scope == ["GPU-a"]
    assert result.energy_breakdown is not None
    assert [d.used for d in result.energy_breakdown.domains] == [True, False, False]


def test_a_device_without_a_reading_makes_the_total_null_with_its_reason(
    with_plugins: Within,
) -> None:
    domains = [("GPU-a", "gpu", 300.0), ("GPU-b", "gpu", None)]
    with with_plugins(samplers=[scripted_sampler(domains=domains)]):
        result = run_experiment(**FAST, scripted={"gpu_uuids": ["GPU-a", "GPU-b"]})
    assert result.energy_total_j is None
    assert "it is broken" in result.unavailable["energy_total_j"]


def test_without_a_meter_the_run_succeeds_and_every_null_has_a_reason(scripted: Plugins) -> None:
    result = run_experiment(**FAST)
    assert result.energy_total_j is None
    assert result.energy_source is None
    assert any("not measured" in warning for warning in result.measurement_warnings)
    assert all(result.missing_reason(name) != "" for name in QUANTITIES)


def test_no_energy_on_purpose_is_quiet(with_plugins: Within) -> None:
    samplers: list[ScriptedSampler] = []
    with with_plugins(samplers=[scripted_sampler(created=samplers)]):
        result = run_experiment(**FAST, energy={"sampler": None})
    assert result.energy_total_j is None
    assert samplers == []
    assert not any("nergy" in warning for warning in result.measurement_warnings)


def test_an_estimate_is_called_one(with_plugins: Within) -> None:
    with with_plugins(samplers=[scripted_sampler(method="estimated")]):
        result = run_experiment(**FAST)
    assert result.energy_method == "estimated"
    assert result.energy_uncertainty_comparison_j is None
    assert any("estimate" in warning for warning in result.measurement_warnings)


def test_the_best_usable_sampler_is_taken(with_plugins: Within) -> None:
    broken = scripted_sampler("best", priority=9, available=Availability(False, "no such meter"))
    wrong = scripted_sampler("gpu_only", priority=8, domains=[("GPU-a", "gpu", 1.0)])
    fails = scripted_sampler("fails", priority=7, fail_at="start")
    good = scripted_sampler("good", priority=6)
    with with_plugins(samplers=[good, fails, wrong, broken]):
        result = run_experiment(**FAST)
    assert result.energy_source == "good"
    assert any("fails" in warning for warning in result.measurement_warnings)


def test_a_sampler_asked_for_by_name_must_work(with_plugins: Within) -> None:
    spec = scripted_sampler("meter", available=Availability(False, "it is unplugged"))
    with with_plugins(samplers=[spec]), pytest.raises(PreFlightError, match="unplugged"):
        run_experiment(**FAST, energy={"sampler": "meter"})


@pytest.mark.parametrize("call", ["begin measure", "end measure", "begin baseline-0"])
def test_a_sampler_that_fails_costs_the_energy_and_not_the_run(
    with_plugins: Within, call: str
) -> None:
    samplers: list[ScriptedSampler] = []
    with with_plugins(samplers=[scripted_sampler(fail_at=call, created=samplers)]):
        result = run_experiment(**FAST)
    assert result.energy_total_j is None
    assert f"scripted failure at {call}" in result.unavailable["energy_total_j"]
    assert samplers[0].calls[-1] == "stop"


@pytest.mark.parametrize("stage", ["load", "prepare", "generate", "unload"])
@pytest.mark.parametrize(
    ("failure", "kind"),
    [("backend", BackendError), ("foreign", BackendError), ("memory", OutOfMemoryError)],
)
def test_a_backend_that_fails_is_an_error_of_the_right_kind_and_is_unloaded(
    with_plugins: Within, tmp_path: Path, stage: str, failure: str, kind: type[Exception]
) -> None:
    made: list[ScriptedBackend] = []
    samplers: list[ScriptedSampler] = []
    events: list[Event] = []

    def create(workload: Workload) -> InferenceBackend:
        made.append(ScriptedBackend(workload))
        return made[-1]

    specs = {
        "backends": [scripted_backend(create=create)],
        "samplers": [scripted_sampler(created=samplers)],
    }
    with with_plugins(**specs), pytest.raises(kind, match=f"scripted failure at {stage}"):
        run_experiment(
            **FAST,
            scripted={"fail_at": stage, "failure": failure},
            listener=events.append,
            output_dir=tmp_path,
        )
    assert made[0].calls[-1] == "unload"
    assert samplers[0].calls[-1] == "stop"
    assert isinstance(events[-1], ExperimentFailed)
    assert list(tmp_path.iterdir()) == []


def test_problems_are_found_before_anything_is_loaded(scripted: Plugins) -> None:
    with pytest.raises(PreFlightError, match="script says"):
        run_experiment(**FAST, scripted={"fail_at": "check"})


def test_files_lie_beside_each_other_and_load_back(with_plugins: Within, tmp_path: Path) -> None:
    with with_plugins(samplers=[scripted_sampler()]):
        returned = run_experiment(**FAST, output_dir=tmp_path)
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("m_scripted_")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["requests.parquet", "result.json", "timeseries.parquet"]
    text = (folder / "result.json").read_text()
    loaded = ExperimentResult.model_validate_json(text)
    assert loaded == returned
    assert (loaded.timeseries, loaded.requests) == ("timeseries.parquet", "requests.parquet")
    assert loaded.effective_config["warmup"]["n_warmup"] == 5
    assert loaded.effective_config["scripted"]["batch_size"] == 1
    rows = pq.read_table(folder / "timeseries.parquet").to_pylist()
    phases = {row["phase"] for row in rows}
    assert {"baseline", "loaded_baseline"} <= phases <= {*Phase, "measure_edge"}
    requests = pq.read_table(folder / "requests.parquet").to_pylist()
    assert [row["output_tokens"] for row in requests] == [4] * 6
    with pytest.raises(ValidationError, match="unknown_field"):
        ExperimentResult.model_validate({**json.loads(text), "unknown_field": 1})
    with pytest.raises(ValidationError, match="newer"):
        ExperimentResult.model_validate({**json.loads(text), "schema_version": 99})


def test_nothing_is_ever_overwritten(scripted: Plugins, tmp_path: Path) -> None:
    settings = {**FAST, "n": 1, "warmup": {"enabled": False}, "energy": {"sampler": None}}
    for _ in range(4):
        run_experiment(**settings, output_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_sink_that_fails_is_a_warning_and_the_others_receive(
    with_plugins: Within, tmp_path: Path
) -> None:
    good, bad = MemorySink(), MemorySink(error=RuntimeError("no database"))
    with with_plugins(sinks=[memory_sink(bad, "bad"), memory_sink(good, "good")]):
        result = run_experiment(**FAST, output_dir=tmp_path)
    assert len(good.received) == 1
    assert any("bad failed: RuntimeError: no database" in w for w in result.measurement_warnings)
    (folder,) = tmp_path.iterdir()
    assert "no database" in (folder / "result.json").read_text()


def test_an_output_folder_that_cannot_be_written_is_found_before_the_run(
    scripted: Plugins, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    events: list[Event] = []
    with pytest.raises(PreFlightError, match="cannot be written"):
        run_experiment(**FAST, output_dir=blocked / "results", listener=events.append)
    assert events == []


def test_more_prompts_than_the_data_set_has_is_an_error(scripted: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "one"}\n\n{"prompt": "two", "max_new_tokens": 2}\n')
    result = run_experiment(**{**FAST, "n": 2, "dataset": str(path)})
    assert result.output_tokens_per_request == [4, 2]
    with pytest.raises(ConfigError, match="set n to 2 at the most"):
        run_experiment(**{**FAST, "n": 3, "dataset": str(path)})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("not json", "not JSON"),
        ("[1]", "not an object"),
        ('{"text": "x"}', '"prompt"'),
        ('{"prompt": "x", "max_new_tokens": 0}', '"max_new_tokens"'),
    ],
)
def test_a_malformed_line_is_named_by_its_number(
    scripted: Plugins, tmp_path: Path, line: str, told: str
) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(f'{{"prompt": "fine"}}\n{line}\n')
    with pytest.raises(ConfigError, match="line 2") as caught:
        run_experiment(**{**FAST, "n": 2, "dataset": str(path)})
    assert told in str(caught.value)


def test_phases_are_measured_by_separate_passes(with_plugins: Within) -> None:
    with with_plugins(samplers=[scripted_sampler()]):
        result = run_experiment(
            **FAST, scripted={"token_time_s": 0.02}, energy={"phase_energy": True}
        )
    phase = result.phase_energy
    assert phase is not None
    assert phase.prefill_passes >= 1
    # each prompt has 4 tokens of 20 ms, the first of which is prefill
    assert phase.prefill_duration_s is not None
    assert phase.prefill_duration_s >= 0.999 * 6 * 0.02
    assert phase.prefill_j is not None
    assert phase.prefill_j >= 0.999 * 50 * phase.prefill_duration_s
    assert phase.decode_j is not None
    assert phase.decode_j > phase.prefill_j
    assert phase.prefill_j + phase.decode_j == pytest.approx(result.energy_total_j)


def test_the_state_machine_refuses_to_go_back() -> None:
    state = StateManager("hash", lambda _: None)
    with pytest.raises(ExperimentError):
        state.finish()
    state.fail(RuntimeError("x"))
    with pytest.raises(ExperimentError):
        state.finish()

"""A plain callable, measured; and prompts that stand in the configuration itself."""

from __future__ import annotations

import pytest
from llem_core.embed import measure_callable
from llem_core.errors import BackendError
from llem_core.testing import FakePlugin, scripted_sampler
from llenergymeasure import ExperimentConfig
from pydantic import ValidationError

FAST = {
    "model": "toy",
    "count_tokens": lambda text: len(text.split()),
    "baseline": {"enabled": False},
    "warmup": {"enabled": False},
}


def test_a_text_is_counted_and_has_no_token_times() -> None:
    result = measure_callable(lambda prompt: prompt * 2, ["a b ", "c "], **FAST)

    assert result.input_tokens_per_request == [2, 1]
    assert result.output_tokens_per_request == [4, 2]
    assert result.sample_outputs == ["a b a b ", "c c "]
    assert result.unavailable["time_to_first_token"] == "the callable returns its answers whole"
    assert result.end_to_end_latency is not None
    assert (result.model, result.backend) == ("toy", "callable")


def test_a_stream_has_the_time_of_each_token() -> None:
    result = measure_callable(lambda prompt: iter(prompt.split()), ["a b c", "d e"], **FAST)

    assert result.output_tokens_per_request == [3, 2]
    assert result.time_to_first_token is not None
    assert result.inter_token_latency is not None
    assert result.sample_outputs == ["abc", "de"]


def test_a_stream_is_left_at_the_limit() -> None:
    asked = []

    def endless(prompt: str):
        while True:
            asked.append(prompt)
            yield 7

    result = measure_callable(endless, ["a"], max_output_tokens=5, **FAST)

    assert result.output_tokens == 5
    assert len(asked) == 5


def test_token_ids_are_counted() -> None:
    assert measure_callable(lambda _: [1, 2, 3], ["a"], **FAST).output_tokens == 3


def test_a_longer_answer_than_allowed_is_an_error() -> None:
    with pytest.raises(BackendError, match=r"has 3 tokens, and max_output_tokens is 2"):
        measure_callable(lambda _: [1, 2, 3], ["a"], max_output_tokens=2, **FAST)


def test_a_longer_prompt_than_allowed_is_an_error() -> None:
    with pytest.raises(BackendError, match=r"max_input_tokens"):
        measure_callable(lambda _: [1], ["a b c"], max_input_tokens=2, **FAST)


def test_a_callable_that_fails_is_a_backend_error() -> None:
    def fails(prompt: str) -> str:
        raise ZeroDivisionError(prompt)

    with pytest.raises(BackendError, match="ZeroDivisionError"):
        measure_callable(fails, ["a"], **FAST)


def test_energy_by_a_sampler_of_ones_own() -> None:
    meter = FakePlugin(samplers=[scripted_sampler(domains=[("cpu:0", "cpu", 50.0)])])
    energy = {"sampler": "scripted_meter"}
    result = measure_callable(lambda _: [1, 2], ["a"], plugins=[meter], energy=energy, **FAST)

    assert result.energy_source == "scripted_meter"
    # The meter's window lies around the measured one.
    assert result.energy_total_j >= 50 * result.duration_s


def test_phase_energy_is_refused() -> None:
    meter = FakePlugin(samplers=[scripted_sampler()])
    energy = {"sampler": "scripted_meter", "phase_energy": True}
    with pytest.raises(BackendError, match="phase_energy"):
        measure_callable(lambda _: [1], ["a"], plugins=[meter], energy=energy, **FAST)


def test_the_same_prompts_give_the_same_hash_and_others_another() -> None:
    def hash_of(*prompts: str) -> str:
        return measure_callable(lambda _: [1], prompts, **FAST).measurement_config_hash

    assert hash_of("a", "b") == hash_of("a", "b") != hash_of("a", "c")


def test_prompts_in_the_configuration(scripted) -> None:
    config = ExperimentConfig(model="m", backend="scripted", n=2, dataset=["one", "two"])
    again = ExperimentConfig.model_validate_json(config.model_dump_json())

    assert config.dataset.source == "inline"
    assert again.dataset.prompts == ("one", "two")
    assert again.measurement_config_hash == config.measurement_config_hash


def test_data_sets_without_prompts_dump_as_ever(scripted) -> None:
    dumped = ExperimentConfig(model="m", backend="scripted").model_dump()

    assert "prompts" not in dumped["dataset"]


@pytest.mark.parametrize(
    "dataset",
    [{"source": "inline"}, {"source": "bundled", "prompts": ["a"]}, [], [""]],
)
def test_prompts_and_inline_go_together(scripted, dataset) -> None:
    with pytest.raises(ValidationError):
        ExperimentConfig(model="m", backend="scripted", dataset=dataset)

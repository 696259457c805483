from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.schema import experiment_schema
from llem_core.config.user import UserConfig
from llem_core.contracts import BackendSection
from llem_core.plugins import Plugins, use_plugins
from llem_core.plugins.registry import RESERVED_NAMES
from llem_core.testing import FakePlugin, scripted_backend
from pydantic import Field, ValidationError

pytestmark = pytest.mark.usefixtures("scripted")


def config(**fields: object) -> ExperimentConfig:
    return ExperimentConfig.model_validate({"model": "m", "backend": "scripted", **fields})


def mistakes(**fields: object) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        config(**fields)
    return {".".join(map(str, e["loc"])): e["msg"] for e in caught.value.errors()}


def test_defaults_are_the_published_ones() -> None:
    resolved = config()
    assert resolved.n == 100
    assert (resolved.max_input_tokens, resolved.max_output_tokens) == (512, 128)
    assert resolved.random_seed == 42
    assert resolved.precision == "auto"
    assert resolved.dataset.source == "bundled"
    assert (resolved.warmup.n_warmup, resolved.warmup.max_prompts) == (5, 20)
    assert (resolved.warmup.cv_threshold, resolved.warmup.window_size) == (0.05, 5)
    assert resolved.baseline.duration_seconds == 30
    assert (resolved.energy.sampler, resolved.energy.sample_interval_ms) == ("auto", 100)
    assert resolved.decoder.do_sample is False


def test_the_backends_section_is_typed_and_filled_in() -> None:
    assert config().section.batch_size == 1  # type: ignore[attr-defined]
    assert config(scripted={"batch_size": 8}).section.batch_size == 8  # type: ignore[attr-defined]


def test_a_shared_field_in_the_section_becomes_the_one_truth() -> None:
    resolved = config(precision="fp32", scripted={"precision": "bf16", "batch_size": 2})
    assert resolved.precision == "bf16"
    assert "precision" not in resolved.section.model_dump()


def test_decoder_settings_in_the_section_are_merged() -> None:
    resolved = config(
        decoder={"do_sample": True, "top_k": 5}, scripted={"decoder": {"temperature": 0.5}}
    )
    assert (resolved.decoder.top_k, resolved.decoder.temperature) == (5, 0.5)


def test_mistakes_of_core_and_plugin_come_in_one_list() -> None:
    found = mistakes(n=0, scripted={"batch_size": "many", "bach_size": 1}, precison="fp16")
    assert set(found) == {"n", "scripted.batch_size", "scripted.bach_size", "precison"}
    assert "did you mean 'precision'" in found["precison"]


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "ten", None])
def test_a_count_must_be_a_whole_number_of_one_or_more(value: object) -> None:
    assert "n" in mistakes(n=value)


def test_a_section_of_a_plugin_that_is_not_installed_says_what_to_install() -> None:
    assert "pip install llem-pytorch" in mistakes(pytorch={"batch_size": 2})["pytorch"]


def test_an_unknown_backend_and_sampler_are_errors_with_the_nearest_name() -> None:
    assert "did you mean 'scripted'" in mistakes(backend="scriptd")["backend"]
    assert "pip install llem-energy-nvml" in mistakes(energy={"sampler": "nvml"})["energy"]


def test_sampling_options_under_greedy_decoding_are_refused() -> None:
    assert "do_sample" in mistakes(decoder={"temperature": 0.7})["decoder"]


def test_passthrough_may_not_name_a_declared_field() -> None:
    assert "batch_size" in mistakes(passthrough_kwargs={"batch_size": 3})[""]
    assert config(passthrough_kwargs={"engine_flag": 3}).passthrough_kwargs == {"engine_flag": 3}


def test_it_survives_json_and_pickle() -> None:
    resolved = config(scripted={"batch_size": 4})
    assert ExperimentConfig.model_validate_json(resolved.model_dump_json()) == resolved
    copy = pickle.loads(pickle.dumps(resolved))
    assert copy == resolved
    assert copy.measurement_config_hash == resolved.measurement_config_hash


def test_the_hash_is_blind_to_key_order_spelling_and_explicit_defaults() -> None:
    plain = config(n=10, scripted={"batch_size": 4, "token_time_s": 0}).measurement_config_hash
    other = ExperimentConfig.model_validate(
        {
            "scripted": {"token_time_s": 0.0, "n": 10, "batch_size": 4, "output_tokens": None},
            "warmup": {"thermal_floor_seconds": 0},
            "dataset": "bundled",
            "backend": "scripted",
            "model": "m",
        }
    )
    assert other.measurement_config_hash == plain
    assert len(plain) == 16
    assert int(plain, 16) >= 0


@given(st.sampled_from(["n", "max_input_tokens", "max_output_tokens", "random_seed"]), st.data())
def test_the_hash_changes_with_every_field(name: str, data: st.DataObject) -> None:
    first, second = data.draw(st.lists(st.integers(1, 9999), min_size=2, max_size=2, unique=True))
    a, b = config(**{name: first}), config(**{name: second})
    assert a.measurement_config_hash != b.measurement_config_hash


def test_null_energy_differs_from_auto_and_sinks_do_not_matter() -> None:
    base = config().measurement_config_hash
    assert config(energy={"sampler": None}).measurement_config_hash != base
    assert config(csv={}).measurement_config_hash == base


def test_the_hash_is_the_same_in_another_process() -> None:
    code = (
        "from llem_core.plugins import Plugins, use_plugins\n"
        "from llem_core.testing import FakePlugin, scripted_backend\n"
        "from llem_core.config.experiment import ExperimentConfig\n"
        "p = Plugins(); p.register(FakePlugin(backends=[scripted_backend()]))\n"
        "with use_plugins(p):\n"
        "    print(ExperimentConfig(model='m', backend='scripted', n=7).measurement_config_hash)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == config(n=7).measurement_config_hash


def test_names_of_fields_are_reserved_for_the_core() -> None:
    fields = set(ExperimentConfig.model_fields) | set(UserConfig.model_fields)
    assert fields - {"config_gap_seconds", "cycle_gap_seconds"} <= RESERVED_NAMES
    assert set(ExperimentConfig.model_fields) >= BackendSection.SHARED_FIELDS


def test_the_schema_has_the_plugins_sections(scripted: Plugins) -> None:
    schema = experiment_schema()
    section = schema["$defs"]["ScriptedConfig"]
    assert {"batch_size", "precision"} <= set(section["properties"])
    assert schema["additionalProperties"] is False
    missing = [n for n, f in ExperimentConfig.model_fields.items() if not f.description]
    assert missing == []


def test_null_within_an_option_is_a_value_and_null_for_an_option_is_its_default() -> None:
    class NestedConfig(BackendSection):
        options: dict[str, int | None] = Field(default_factory=dict)
        limit: int | None = None

    backend = dataclasses.replace(scripted_backend("nested"), section=NestedConfig)
    plugins = Plugins()
    plugins.register(FakePlugin(backends=[backend]))
    with use_plugins(plugins):
        hashes = {
            config(backend="nested", nested=nested).measurement_config_hash
            for nested in ({"options": {"a": None}}, {"options": {}}, {"options": {"a": 1}})
        }
        assert len(hashes) == 3
        assert config(backend="nested", nested={"limit": None}).measurement_config_hash in hashes

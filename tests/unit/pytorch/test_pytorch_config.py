from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from llem_core.contracts import DecoderConfig, LoRAConfig, Workload
from llem_core.errors import ConfigError
from llem_core.models.checkpoint import count_parameters, model_fields
from llem_core.models.shapes import SHAPES
from llem_pytorch import hooks
from llem_pytorch.audit import split_passthrough
from llem_pytorch.config import PyTorchConfig
from llem_pytorch.model.memory import estimate_bytes
from pydantic import ValidationError

(SPEC,) = hooks.llem_backends()


def workload(model: str = "shape:tiny-llama", **section: object) -> Workload:
    return Workload(
        model=model,
        precision="auto",
        max_input_tokens=64,
        max_output_tokens=16,
        random_seed=1,
        decoder=DecoderConfig(),
        section=PyTorchConfig.model_validate(section),
    )


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"load_in_4bit": True, "load_in_8bit": True}, "exclude each other"),
        ({"bnb_4bit_quant_type": "nf4"}, "without load_in_4bit"),
        ({"batching": "dynamic"}, "needs max_batch_tokens"),
        ({"max_batch_tokens": 100}, "without batching: dynamic"),
        ({"length_penalty": 1.0}, "without num_beams"),
        ({"early_stopping": True, "num_beams": 1}, "without num_beams"),
        ({"assistant_model": "a", "prompt_lookup_num_tokens": 3}, "exclude each other"),
        ({"prompt_lookup_num_tokens": 3, "batch_size": 2}, "need batch_size: 1"),
        ({"assistant_model": "a", "num_beams": 2}, "exclude num_beams"),
        ({"assistant_model": "a", "use_cache": False}, "need the default cache"),
        ({"num_assistant_tokens": 3}, "without assistant_model"),
        ({"max_matching_ngram_size": 3}, "without prompt_lookup"),
        ({"use_cache": False, "cache_implementation": "static"}, "no effect with use_cache"),
        ({"compile_fullgraph": True}, "without torch_compile"),
        ({"max_memory": {"cpu": "1GiB"}}, "without device_map"),
        ({"device": "cpu", "device_map": "auto"}, "exclude each other"),
        ({"load_format": "dummy", "load_in_8bit": True}, "in place"),
        ({"torch_compile": "reduce-overhead"}, "add cache_implementation: static"),
        ({"torch_compile": "max-autotune", "cache_implementation": "dynamic"}, "does not grow"),
        ({"device": "tpu"}, "pattern"),
        ({"batch_size": 0}, "greater than"),
        ({"torch_compile": "fastest"}, "torch_compile"),
    ],
)
def test_options_that_exclude_each_other_are_refused(section: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        PyTorchConfig.model_validate(section)


def test_nothing_set_is_fine_and_every_field_says_what_it_is() -> None:
    assert PyTorchConfig().process_count() == 1
    assert all(field.description for field in PyTorchConfig.model_fields.values())
    assert PyTorchConfig().trust_remote_code is False


def test_a_shape_that_does_not_exist_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean shape:llama-3.1-8b"):
        SPEC.check(workload("shape:lama-3.1-8b"))


def test_a_path_that_is_no_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        SPEC.check(workload(str(tmp_path / "none")))
    with pytest.raises(ConfigError, match="no config.json"):
        SPEC.check(workload(str(tmp_path)))
    with pytest.raises(ConfigError, match="has no file x.gguf"):
        SPEC.check(workload(str(tmp_path), gguf_file="x.gguf"))


def test_passthrough_may_not_say_what_another_field_says() -> None:
    for name in ("do_sample", "dtype", "token", "max_new_tokens"):
        with pytest.raises(ConfigError, match=name):
            SPEC.check(replace(workload(), passthrough_kwargs={name: 1}))
    generation, loading = split_passthrough({"guidance_scale": 2, "use_kernels": True})
    assert generation == {"guidance_scale": 2}
    assert loading == {"use_kernels": True}


def test_missing_packages_are_named_with_what_to_install() -> None:
    def absent(name: str) -> bool:
        code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is None)"
        return subprocess.run([sys.executable, "-c", code], check=False).returncode == 1

    problems = SPEC.check(workload("org/model", load_in_4bit=True)).problems
    assert any("llem-pytorch[bitsandbytes]" in p for p in problems) == absent("bitsandbytes")
    lora = replace(workload("org/model"), lora=LoRAConfig(adapter="a/b"))
    assert any("[lora]" in p for p in SPEC.check(lora).problems) == absent("peft")


def test_the_sizes_of_well_known_shapes_are_the_published_ones() -> None:
    published = {
        "llama-3.1-8b": 8.03e9,
        "llama-3.2-1b": 1.24e9,
        "mistral-7b-v0.3": 7.25e9,
        "qwen2.5-0.5b": 0.49e9,
        "qwen3-8b": 8.19e9,
        "smollm2-135m": 0.1345e9,
    }
    for name, parameters in published.items():
        fields = model_fields(f"shape:{name}")
        assert fields is not None
        bare = replace(workload(f"shape:{name}"), max_input_tokens=1, max_output_tokens=1)
        estimate = estimate_bytes(bare, fields, on_gpu=True)
        assert estimate is not None
        assert estimate / 2 == pytest.approx(parameters, rel=0.02), name


def test_the_estimate_grows_with_batch_and_length() -> None:
    fields = model_fields(workload().model)
    assert fields is not None

    def estimate(load: Workload) -> int:
        found = estimate_bytes(load, fields, on_gpu=False)
        assert found is not None
        return found

    small = estimate(workload())
    assert estimate(workload(batch_size=8)) > small
    assert estimate(replace(workload(), max_output_tokens=4096)) > small
    assert estimate(workload(num_processes=2)) == 2 * small


def test_parameters_are_counted_from_dimensions() -> None:
    dims = {
        "hidden": 2,
        "layers": 1,
        "vocab": 3,
        "q_width": 2,
        "kv_width": 2,
        "ffn": 5,
        "experts": 1,
        "tied": 0,
    }
    # attention 4·2·2, feed-forward 3·2·5, two norms of 2, embeddings 2·3·2
    assert count_parameters(dims) == 16 + 30 + 4 + 12


def test_checking_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys\n"
        "from llenergymeasure import ExperimentConfig\n"
        "from llem_core.measure.preflight import ask_backend\n"
        "config = ExperimentConfig(model='shape:llama-3.1-8b', pytorch={'batch_size': 2})\n"
        "assert ask_backend(config).memory_estimate_bytes > 1e9\n"
        "assert not {'torch', 'transformers', 'click'} & set(sys.modules), 'heavy import'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_every_shape_is_complete() -> None:
    assert {"tiny-llama", "tiny-gpt2", "tiny-mixtral", "llama-3.1-8b"} <= set(SHAPES)
    for name, shape in SHAPES.items():
        assert shape.dtype in {"float32", "bfloat16", "float16"}, name
        assert SPEC.check(workload(f"shape:{name}")).memory_estimate_bytes

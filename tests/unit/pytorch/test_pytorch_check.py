"""What ``check`` says of a workload: in words, without torch, and before anything is loaded."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from llem_core.contracts import DecoderConfig, LoRAConfig, Workload
from llem_core.errors import ConfigError
from llem_pytorch import hooks
from llem_pytorch.config import PyTorchConfig
from llem_pytorch.requirements import old_driver

(SPEC,) = hooks.llem_backends()

needs_no_kernels = pytest.mark.skipif(
    find_spec("kernels") is not None, reason="the package kernels supplies them"
)


def workload(model: str = "shape:tiny-llama", **section: object) -> Workload:
    return Workload(
        model=model,
        precision="auto",
        max_input_tokens=64,
        max_output_tokens=16,
        random_seed=1,
        decoder=DecoderConfig(),
        section=PyTorchConfig.model_validate({"device": "cpu", **section}),
    )


@needs_no_kernels
@pytest.mark.parametrize(
    ("attention", "package"),
    [("flash_attention_3", "flash-attn-3"), ("some-org/some-kernel", "pip install kernels")],
)
def test_attention_kernels_that_are_not_installed_are_named(attention: str, package: str) -> None:
    (problem,) = SPEC.check(workload(attn_implementation=attention)).problems
    assert package in problem
    assert SPEC.check(workload(attn_implementation="sdpa")).problems == ()


@pytest.mark.parametrize(
    ("kind", "instead"), [("offloaded", "dynamic"), ("offloaded_static", "static")]
)
def test_a_cache_that_is_offloaded_from_nowhere_is_a_problem(kind: str, instead: str) -> None:
    (problem,) = SPEC.check(workload(cache_implementation=kind)).problems
    assert "there is no GPU" in problem
    assert problem.endswith(f"use {instead}")


def test_a_quantised_cache_names_the_package_of_its_backend() -> None:
    quantised = workload(cache_implementation="quantized")
    hqq = replace(quantised, passthrough_kwargs={"cache_config": {"backend": "HQQ"}})
    for load, package, module in ((quantised, "optimum-quanto", "optimum"), (hqq, "hqq", "hqq")):
        if find_spec(module) is None:
            (problem,) = SPEC.check(load).problems
            assert f"pip install {package}" in problem


def test_arguments_that_random_weights_cannot_take_are_refused() -> None:
    load = replace(workload(), passthrough_kwargs={"use_kernels": True})
    with pytest.raises(ConfigError, match="use_kernels, which would have no effect"):
        SPEC.check(load)
    assert SPEC.check(replace(load, model="org/model")).problems == ()
    allowed = replace(workload(), passthrough_kwargs={"guidance_scale": 1.5})
    assert SPEC.check(allowed).problems == ()


def test_an_adapter_that_is_a_path_must_be_one(tmp_path: Path) -> None:
    missing = replace(workload(), lora=LoRAConfig(adapter=str(tmp_path / "none")))
    with pytest.raises(ConfigError, match="lora.adapter: there is no folder"):
        SPEC.check(missing)
    empty = replace(workload(), lora=LoRAConfig(adapter=str(tmp_path)))
    with pytest.raises(ConfigError, match="has no adapter_config.json"):
        SPEC.check(empty)


def test_a_draft_model_that_is_a_path_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="assistant_model: there is no folder"):
        SPEC.check(workload(assistant_model=str(tmp_path / "none")))
    with pytest.raises(ConfigError, match="did you mean shape:tiny-llama"):
        SPEC.check(workload(assistant_model="shape:tiny-lama"))


LLAMA = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 1000,
    "max_position_embeddings": 70,
    "dtype": "bfloat16",
}


def test_a_model_in_the_hubs_cache_has_an_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--org--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123abcd")
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(LLAMA))
    for revision in (None, "0123abcd"):
        assert SPEC.check(workload("org/model", revision=revision)).memory_estimate_bytes
    absent = SPEC.check(workload("org/model", revision="other"))
    assert absent.memory_estimate_bytes is None
    assert any("no memory estimate" in note for note in absent.notes)


def test_the_language_model_of_a_larger_one_is_what_counts(tmp_path: Path) -> None:
    plain, nested = tmp_path / "plain", tmp_path / "nested"
    for folder, fields in ((plain, LLAMA), (nested, {"text_config": LLAMA})):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(fields))
    estimates = [SPEC.check(workload(str(f))).memory_estimate_bytes for f in (plain, nested)]
    assert estimates[0] == estimates[1] is not None


def test_remarks_tell_of_slow_precision_and_of_too_many_positions(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    load = workload(str(tmp_path))
    assert any("80 positions" in note and "70" in note for note in SPEC.check(load).notes)
    short = replace(load, max_input_tokens=32, precision="fp16")
    assert [note for note in SPEC.check(short).notes if "positions" in note] == []
    assert any("fp16 is slow" in note for note in SPEC.check(short).notes)


def test_the_number_of_a_gpu_stays_one_through_json() -> None:
    section = PyTorchConfig(device_map="auto", max_memory={0: "20GiB", "cpu": "64GiB"})
    again = PyTorchConfig.model_validate_json(section.model_dump_json())
    assert again.max_memory == {0: "20GiB", "cpu": "64GiB"}


OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release Build\n"
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 07:10:23 UTC 2025\n"


@pytest.mark.parametrize(
    ("torch_version", "text", "old"),
    [
        ("2.13.0+cu130", OPEN, True),
        ("2.13.0+cu130", CLOSED, False),
        ("2.11.0+cu128", OPEN, False),
        ("2.13.0+cpu", OPEN, False),
        ("2.13.0", OPEN, False),
    ],
)
def test_a_driver_older_than_torchs_cuda_is_named_with_both_versions(
    tmp_path: Path, torch_version: str, text: str, old: bool
) -> None:
    (tmp_path / "version").write_text(text)
    problems = list(old_driver(torch_version, tmp_path / "version"))
    assert len(problems) == old
    if old:
        assert "CUDA 13.0" in problems[0]
        assert "580 or later" in problems[0]
        assert "570.124.06" in problems[0]
    assert list(old_driver(torch_version, tmp_path / "none")) == []


def test_compiling_asks_for_the_compiler_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    (problem,) = SPEC.check(workload(torch_compile=True)).problems
    assert "C++ compiler" in problem
    assert SPEC.check(workload(cache_implementation="static")).problems == ()
    (tmp_path / "clang++").touch(mode=0o755)
    assert SPEC.check(workload(torch_compile=True)).problems == ()

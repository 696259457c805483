"""What cannot run is refused with what to do, before anything is loaded where that can be known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llem_core.contracts import LoRAConfig, Workload
from llem_core.errors import BackendError, ConfigError, OutOfMemoryError
from llem_vllm.batch import VllmBatchBackend
from llem_vllm.check import check
from llem_vllm.config import VllmConfig
from llem_vllm.errors import root_cause, translated
from llem_vllm.requirements import MISSING
from pydantic import ValidationError

from tests.vllm.test_batches import workload


def with_config(checkpoint: Path, folder: Path, **changes: Any) -> Path:
    fields = json.loads((checkpoint / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(fields | changes))
    return folder


def asked(model: Path | str, **section: Any) -> Workload:
    return workload(model, VllmConfig(**section))


def test_lengths_beyond_max_model_len_are_a_problem(checkpoint: Path) -> None:
    (problem,) = check(asked(checkpoint, max_model_len=100)).problems
    assert "vllm.max_model_len is 100" in problem
    assert "come to 144" in problem


def test_what_fits_has_no_problem(checkpoint: Path) -> None:
    report = check(asked(checkpoint, max_model_len=144))
    assert report.problems == ()
    assert report.memory_estimate_bytes


def test_an_encoder_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    model = with_config(checkpoint, tmp_path, model_type="bert", architectures=["BertForMaskedLM"])
    with pytest.raises(ConfigError, match="is an encoder"):
        check(asked(model))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        check(asked(tmp_path))
    with pytest.raises(ConfigError, match="there is no folder"):
        check(asked(tmp_path / "gone"))


def test_a_passed_argument_that_llem_owns_is_refused(checkpoint: Path) -> None:
    given = replace(asked(checkpoint), passthrough_kwargs={"tokenizer": "x"})
    with pytest.raises(ConfigError, match=r"has tokenizer, .* llem_vllm\.audit"):
        check(given)
    check(replace(given, passthrough_kwargs={"scheduling_policy": "fcfs", "logit_bias": {1: 2}}))


def test_an_adapter_cannot_be_merged(checkpoint: Path) -> None:
    lora = LoRAConfig(adapter=str(checkpoint), merge=True)
    with pytest.raises(ConfigError, match=r"lora\.merge"):
        check(replace(asked(checkpoint), lora=lora))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"enforce_eager": True, "cudagraph_capture_sizes": [1]}, "captures no CUDA graphs"),
        ({"kv_cache_memory_bytes": 1, "num_gpu_blocks_override": 1}, "both size"),
        ({"distributed_executor_backend": "uni", "tensor_parallel_size": 2}, "take mp"),
        ({"spec_tokens": 2}, "proposes nothing"),
        (
            {"enable_chunked_prefill": False, "max_num_batched_tokens": 9, "max_model_len": 10},
            "without chunked prefill",
        ),
    ],
)
def test_options_that_do_not_fit_each_other_are_refused(
    section: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        VllmConfig(**section)


def test_an_architecture_that_vllm_does_not_have_is_named(checkpoint: Path, tmp_path: Path) -> None:
    model = with_config(checkpoint, tmp_path, architectures=["LlamaForTelepathy"])
    backend = VllmBatchBackend(asked(model, load_format="dummy", model_impl="vllm"))
    try:
        with pytest.raises(BackendError, match=r"LlamaForTelepathy.* vLLM has no implementation"):
            backend.load()
    finally:
        backend.unload()


# In the form in which vLLM 0.32 prints it: 128 KiB for the cache of a model of 512 positions.
PRINTED = """
(EngineCore pid=7) ERROR 11-29 07:15:17 [core.py:1510] Traceback (most recent call last):
(EngineCore pid=7) ERROR 11-29 07:15:22 [core.py:1510] ValueError: To serve at least one request \
with the model's max seq len (512), (1.0 MiB KV cache is needed, which is larger than the \
available KV cache memory (0.12 MiB).
(EngineCore pid=7) ERROR 11-29 07:15:22 [core.py:1510] Exception: WorkerProc initialization failed \
due to an exception in a background process. See stack trace for root cause.
"""


def test_too_small_a_cache_says_what_to_raise() -> None:
    error = RuntimeError("Engine core initialization failed. See root cause above.")
    told = str(translated("loading m", error, PRINTED))
    assert told.startswith("loading m failed for want of room for the key-value cache: To serve at")
    assert "Raise vllm.kv_cache_memory_bytes" in told


def test_memory_that_ran_out_is_an_error_of_its_own() -> None:
    error = RuntimeError("Engine core initialization failed. See root cause above.")
    printed = "x torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB."
    assert isinstance(translated("loading m", error, printed), OutOfMemoryError)


def test_memory_that_others_have_says_which_fields_to_set() -> None:
    printed = "ValueError: Available memory on node 0 (1/20 GiB) is less than desired CPU memory \
utilization (0.92, 18 GiB). To resolve: decrease `--gpu-memory-utilization`"
    error = RuntimeError("Engine core initialization failed. See root cause above.")
    told = str(translated("loading m", error, printed))
    assert told.startswith("loading m failed: Available memory on node 0")
    assert told.endswith("Lower vllm.gpu_memory_utilization, or give vllm.kv_cache_memory_bytes.")


def test_a_dtype_that_cannot_be_says_which_can() -> None:
    error = ValueError("torch.float16 is not supported for this model")
    assert "Set precision" in str(translated("loading m", error, ""))


def test_an_engine_that_says_nothing_is_said_to() -> None:
    error = RuntimeError("Engine core initialization failed.")
    assert root_cause(error, "").endswith("it printed nothing.")


def test_the_message_of_a_missing_vllm_names_extra_and_environment() -> None:
    assert "llem-vllm[vllm]" in MISSING
    assert "environments: {vllm:" in MISSING

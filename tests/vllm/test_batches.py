"""``LLM.generate`` over a whole list: what it gives, and what the engine tells of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from llem_core.contracts import Batch, BatchOutput, DecoderConfig, ModelInfo, Prompt, Workload
from llem_core.errors import BackendError
from llem_core.processes.guard import descendants
from llem_vllm.batch import VllmBatchBackend
from llem_vllm.config import VllmConfig

N, N_INPUT, N_OUTPUT = 8, 120, 24


def workload(model: Path | str, section: VllmConfig) -> Workload:
    return Workload(
        model=str(model),
        precision="fp32",
        max_input_tokens=N_INPUT,
        max_output_tokens=N_OUTPUT,
        random_seed=3,
        decoder=DecoderConfig(ignore_eos=True),
        section=section,
    )


class Run:
    """One engine, and a batch that was run on it."""

    def __init__(self, checkpoint: Path) -> None:
        # Seven blocks of 128 positions, one of which vLLM keeps: eight requests that grow beyond
        # one block each do not fit.
        section = VllmConfig(
            max_model_len=512,
            enforce_eager=True,
            num_gpu_blocks_override=7,
            gpu_memory_utilization=0.05,
        )
        self.backend = VllmBatchBackend(workload(checkpoint, section))
        self.info: ModelInfo = self.backend.load()
        self.family = descendants(set(self.info.process_ids))
        prompts = [Prompt(i, None, N_OUTPUT, synthetic_tokens=N_INPUT) for i in range(N)]
        self.batch: Batch = self.backend.prepare(prompts, "measured")[0]
        self.backend.reset_peak_memory()
        self.started_s = time.monotonic()
        raw = self.backend.generate(self.batch)
        self.ended_s = time.monotonic()
        self.output: BatchOutput = self.backend.collect(self.batch, raw)
        self.facts = self.backend.facts()
        self.memory = self.backend.memory()
        self.again = self.backend.collect(self.batch, self.backend.generate(self.batch))
        self.facts_again = self.backend.facts()


@pytest.fixture(scope="module")
def run(checkpoint: Path) -> Iterator[Run]:
    done = Run(checkpoint)
    yield done
    done.backend.unload()


def test_times_are_the_engines_own_and_lie_in_the_window(run: Run) -> None:
    for request in run.output.requests:
        assert request.first_token_s is not None
        assert request.queued_s is not None
        assert run.started_s <= request.started_s <= request.first_token_s < request.ended_s
        assert request.ended_s <= run.ended_s
        assert request.queued_s >= 0
    assert "first and last token" in (run.output.times_missing_reason or "")


def test_the_greedy_tokens_are_those_of_transformers(run: Run, checkpoint: Path) -> None:
    import torch
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    asked = run.batch.payload.requests
    equal = total = 0
    for request, ready in zip(run.output.requests, asked, strict=True):
        ids = torch.tensor([ready.ids])
        with torch.inference_mode():
            made = model.generate(
                ids, max_new_tokens=N_OUTPUT, min_new_tokens=N_OUTPUT, do_sample=False
            )
        theirs = made[0, N_INPUT:].tolist()
        equal += sum(a == b for a, b in zip(theirs, request.token_ids, strict=True))
        total += N_OUTPUT
    # The order of the additions differs, which may decide between two nearly equal logits.
    assert equal >= 0.9 * total


def test_preemptions_cache_and_queue_are_told(run: Run) -> None:
    facts = run.facts.values
    assert facts["output_tokens"] == N * N_OUTPUT
    assert int(str(facts["preemptions"])) > 0
    assert 0 < float(str(facts["kv_cache_peak_usage_ratio"])) <= 1
    assert facts["kv_cache_blocks"] == 7
    assert "preempted requests" in run.facts.notes[0]


def test_a_second_pass_finds_its_prompts_in_the_prefix_cache_only_if_it_may(run: Run) -> None:
    # One block of 128 positions is never full of a prompt of 120.
    assert run.facts.values["prefix_cache_hit_tokens"] == 0
    prompts = [Prompt(99, None, 2, synthetic_tokens=N_INPUT)]
    (warmup,) = run.backend.prepare(prompts, "warmup")
    (measured,) = run.backend.prepare(prompts, "measured")
    assert warmup.payload.params[0].skip_reading_prefix_cache
    assert not measured.payload.params[0].skip_reading_prefix_cache


def test_the_same_prompts_give_the_same_tokens(run: Run) -> None:
    first = [request.token_ids for request in run.output.requests]
    assert [request.token_ids for request in run.again.requests] == first


def test_the_model_and_its_processes_are_told(run: Run) -> None:
    info = run.info
    assert info.parameters is not None
    assert info.weights_bytes == pytest.approx(4 * info.parameters, rel=0.01)
    assert info.compute is not None
    assert info.compute.not_counted == ()
    assert info.dtype == "fp32"
    assert not info.random_weights
    assert info.effective_settings["max_num_batched_tokens"]
    assert len(info.process_ids) >= 1
    assert run.memory.peak_bytes is not None
    assert run.memory.peak_bytes > info.weights_bytes


def test_a_prompt_that_is_too_long_is_named(run: Run) -> None:
    prompts = [Prompt(5, None, 400, synthetic_tokens=120)]
    with pytest.raises(BackendError, match=r"prompt 5 .* need 520 positions .* takes 512"):
        run.backend.prepare(prompts, "measured")


def test_unload_leaves_no_process_and_may_come_twice(run: Run) -> None:
    assert run.family
    run.backend.unload()
    run.backend.unload()
    assert not [pid for pid in run.family if Path(f"/proc/{pid}").exists()]
    assert run.backend.engine_output() == ""

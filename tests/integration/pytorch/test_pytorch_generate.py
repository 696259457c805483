from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from llem_core.contracts import LoRAConfig, Prompt
from llem_core.errors import BackendError
from packaging.version import Version
from transformers import AutoModelForCausalLM

Start = Any
TEXTS = ("short", "a somewhat longer prompt, so that there is padding", "mid length here", "x")


def some_prompts(limit: int = 12) -> list[Prompt]:
    return [Prompt(index, text, limit) for index, text in enumerate(TEXTS)]


def bare(folder: Path, text: str, limit: int) -> list[int]:
    """What a script without llem gives: tokens of one prompt, greedy."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.tensor([[256, *text.encode()]])
    out = model.generate(
        inputs=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        temperature=None,
        top_k=None,
        max_new_tokens=limit,
    )
    tokens: list[int] = out[0, ids.shape[1] :].tolist()
    return tokens


@pytest.mark.parametrize("batch_size", [1, 4])
def test_greedy_tokens_are_those_of_a_bare_script(
    start: Start, checkpoint: Path, batch_size: int
) -> None:
    session = start(str(checkpoint), batch_size=batch_size, attn_implementation="eager")
    outputs = session.run(some_prompts())
    for index, text in enumerate(TEXTS):
        assert list(outputs[index].token_ids) == bare(checkpoint, text, 12)
        assert outputs[index].output_tokens == len(outputs[index].token_ids)
    assert not session.info.random_weights


def test_padding_changes_no_token_and_is_counted(start: Start) -> None:
    session = start(batch_size=4)
    (batch,) = session.backend.prepare(some_prompts(), "measured")
    longest = 1 + len(TEXTS[1])
    assert batch.padded_tokens == 4 * longest
    assert batch.input_tokens == tuple(1 + len(text) for text in TEXTS)
    together = session.run(some_prompts())
    alone = start(batch_size=1).run(some_prompts())
    assert {i: r.token_ids for i, r in together.items()} == {
        i: r.token_ids for i, r in alone.items()
    }


def test_outputs_end_with_the_end_token_and_are_counted_up_to_it(start: Start) -> None:
    free = start(batch_size=1).run(some_prompts(limit=40))
    # Whatever token comes third, make it the end: then outputs are cut right after it.
    end = free[1].token_ids[2]
    session = start(batch_size=4)
    session.backend._tokenizer.eos_ids = (end,)
    cut = session.run(some_prompts(limit=40))
    for index, whole in free.items():
        ids = list(whole.token_ids)
        expected = ids[: ids.index(end) + 1] if end in ids else ids
        assert list(cut[index].token_ids) == expected
    assert cut[1].output_tokens == list(free[1].token_ids).index(end) + 1
    endless = start(batch_size=4, decoder={"ignore_eos": True})
    endless.backend._tokenizer.eos_ids = (end,)
    assert all(r.output_tokens == 40 for r in endless.run(some_prompts(limit=40)).values())


def test_synthetic_prompts_are_exact_and_seeded(start: Start) -> None:
    session = start(batch_size=2)
    exact = [Prompt(i, None, 9, synthetic_tokens=33, exact_output=True) for i in range(3)]
    batches = session.backend.prepare(exact, "measured")
    assert [batch.input_tokens for batch in batches] == [(33, 33), (33,)]
    outputs = session.run(exact)
    assert all(r.output_tokens == 9 for r in outputs.values())
    again = start(batch_size=2).run(exact)
    assert {i: r.token_ids for i, r in again.items()} == {
        i: r.token_ids for i, r in outputs.items()
    }


def test_long_prompts_are_cut_and_own_limits_are_kept(start: Start) -> None:
    session = start(batch_size=4, max_input_tokens=8)
    mixed = [Prompt(0, "x" * 50, 3), Prompt(1, "y", 5), Prompt(2, "z" * 50, 3)]
    batches = session.backend.prepare(mixed, "measured")
    assert sum(batch.truncated for batch in batches) == 2
    assert sorted(i for batch in batches for i in batch.indices) == [0, 1, 2]
    outputs = session.run(mixed)
    assert [outputs[i].output_tokens for i in range(3)] == [3, 5, 3]


def test_every_token_has_a_time_and_they_rise(start: Start) -> None:
    outputs = start(batch_size=4).run(some_prompts())
    for request in outputs.values():
        assert request.token_times_s is not None
        assert len(request.token_times_s) == request.output_tokens
        assert list(request.token_times_s) == sorted(request.token_times_s)
        first_s, last_s = request.token_times_s[0], request.token_times_s[-1]
        assert request.started_s < first_s <= last_s == request.ended_s


def test_dynamic_batches_hold_every_prompt_once_and_keep_to_the_budget(start: Start) -> None:
    session = start(batching="dynamic", batch_size=3, max_batch_tokens=60)
    texts = ["a" * n for n in (5, 50, 12, 13, 3, 28, 29, 30)]
    batches = session.backend.prepare([Prompt(i, t, 4) for i, t in enumerate(texts)], "measured")
    assert sorted(i for batch in batches for i in batch.indices) == list(range(8))
    assert all(batch.padded_tokens <= 60 or len(batch.indices) == 1 for batch in batches)
    assert max(len(batch.indices) for batch in batches) <= 3
    assert len(batches) < 8


@pytest.mark.parametrize(
    "section",
    [
        {"num_beams": 3, "batch_size": 2, "length_penalty": 0.5},
        {"prompt_lookup_num_tokens": 3},
        {"assistant_model": "shape:tiny-llama", "num_assistant_tokens": 3},
        {"cache_implementation": "static", "torch_compile": False},
        {"cache_implementation": "dynamic"},
        {"use_cache": False},
        {"no_repeat_ngram_size": 2},
        {"attn_implementation": "sdpa"},
        {"num_threads": 1, "matmul_precision": "high"},
    ],
    ids=",".join,
)
def test_ways_of_decoding_generate_and_are_counted(start: Start, section: dict[str, Any]) -> None:
    outputs = start(**section).run(some_prompts())
    assert len(outputs) == 4
    for request in outputs.values():
        assert 1 <= request.output_tokens <= 12
        assert len(request.token_ids) == request.output_tokens
        beams = section.get("num_beams")
        assert (request.token_times_s is None) == bool(beams)
        assert request.started_s < request.ended_s


@pytest.mark.parametrize(
    "section", [{"prompt_lookup_num_tokens": 4}, {"assistant_model": "shape:tiny-llama"}]
)
def test_speculation_changes_no_token(start: Start, section: dict[str, Any]) -> None:
    plain = start().run(some_prompts())
    speculative = start(**section).run(some_prompts())
    assert {i: r.token_ids for i, r in plain.items()} == {
        i: r.token_ids for i, r in speculative.items()
    }


def test_sampling_is_seeded_and_differs_from_greedy(start: Start) -> None:
    hot = {"do_sample": True, "temperature": 5.0}
    first, second = (start(decoder=hot).run(some_prompts()) for _ in range(2))
    greedy = start().run(some_prompts())
    assert {i: r.token_ids for i, r in first.items()} == {i: r.token_ids for i, r in second.items()}
    assert any(first[i].token_ids != greedy[i].token_ids for i in greedy)


# For shapes that vary on a CPU, torch 2.11 writes C++ that does not compile (pytorch#181621).
VARYING = Version(torch.__version__) >= Version("2.13")


# The compiler's own imports still use what torch deprecates.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.timeout(900)
@pytest.mark.full  # the compiler of C++ takes most of it
def test_compiled_models_give_the_same_tokens(start: Start, checkpoint: Path) -> None:
    same = [Prompt(0, "compile me", 3), Prompt(1, "compile us", 3)]
    compiled = start(str(checkpoint), torch_compile=True, compile_dynamic=VARYING).run(same)
    plain = start(str(checkpoint)).run(same)
    assert [r.token_ids for r in compiled.values()] == [r.token_ids for r in plain.values()]


# peft asks transformers for a property under its former name.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
@pytest.mark.parametrize("merge", [False, True])
def test_an_adapter_changes_the_outputs(
    start: Start, checkpoint: Path, tmp_path: Path, merge: bool
) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(checkpoint)
    adapted = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    adapted.save_pretrained(tmp_path)
    plain = start(str(checkpoint)).run(some_prompts())
    changed = start(str(checkpoint), lora=LoRAConfig(adapter=str(tmp_path), merge=merge))
    outputs = changed.run(some_prompts())
    assert any(outputs[i].token_ids != plain[i].token_ids for i in plain)


def test_layers_can_be_placed_by_a_device_map(start: Start, checkpoint: Path) -> None:
    placed = start(str(checkpoint), device=None, device_map="auto", max_memory={"cpu": "4GiB"})
    plain = start(str(checkpoint))
    assert {i: r.token_ids for i, r in placed.run(some_prompts()).items()} == {
        i: r.token_ids for i, r in plain.run(some_prompts()).items()
    }


def test_dummy_weights_of_a_local_checkpoint_are_random_and_said_to_be(
    start: Start, checkpoint: Path
) -> None:
    session = start(str(checkpoint), load_format="dummy")
    assert session.info.random_weights
    assert session.info.parameters == start(str(checkpoint)).info.parameters
    assert len(session.run(some_prompts())) == 4


@pytest.mark.parametrize("shape", ["tiny-llama", "tiny-qwen3", "tiny-gpt2", "tiny-mixtral"])
def test_facts_of_a_model_are_right(start: Start, shape: str) -> None:
    session = start(f"shape:{shape}")
    info, model = session.info, session.backend._model
    assert info.parameters == sum(p.numel() for p in model.parameters())
    embeddings = {512 * 128} if shape != "tiny-gpt2" else {512 * 128 + 2048 * 128}
    if shape == "tiny-mixtral":
        embeddings = {2 * 512 * 128}
    assert info.parameters - info.parameters_non_embedding in embeddings
    assert (info.n_layers, info.dtype) == (4, "fp32")
    assert info.weights_bytes == 4 * info.parameters
    sparse = info.active_parameters_non_embedding < info.parameters_non_embedding
    assert sparse == (shape == "tiny-mixtral")
    assert info.devices[0].kind == "cpu"
    assert info.random_weights


def test_nothing_is_printed(
    start: Start, checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start(str(checkpoint)).run(some_prompts())
    start("shape:tiny-gpt2").run(some_prompts())
    assert capfd.readouterr() == ("", "")


def test_memory_is_read_and_unloading_twice_is_harmless(start: Start) -> None:
    session = start()
    session.backend.reset_peak_memory()
    session.run(some_prompts())
    reading = session.backend.memory()
    assert reading.peak_bytes is None or reading.peak_bytes > 10_000_000
    assert (reading.peak_bytes is None) == (reading.reason is not None)
    session.backend.unload()
    session.backend.unload()


def test_a_model_of_the_hub_without_a_network_says_what_to_set(start: Start) -> None:
    with pytest.raises(BackendError, match="hub cannot be reached.*HF_HOME") as caught:
        start("nobody/there-is-no-such-model")
    assert "\n" not in str(caught.value)


def test_a_broken_checkpoint_is_one_sentence(
    start: Start, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text((checkpoint / "config.json").read_text())
    with pytest.raises(BackendError, match="loading .* failed") as caught:
        start(str(tmp_path))
    assert "\n" not in str(caught.value)
    (tmp_path / "config.json").write_text('{"model_type": "no-such-architecture"}')
    with pytest.raises(BackendError, match="no-such-architecture"):
        start(str(tmp_path))


@pytest.mark.parametrize("section", [{}, {"device_map": "cpu", "device": None}], ids=["", "map"])
def test_logits_that_are_not_finite_are_an_error(
    start: Start, checkpoint: Path, tmp_path: Path, section: dict[str, Any]
) -> None:
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    torch.nn.init.constant_(model.model.layers[1].mlp.down_proj.weight, float("nan"))
    model.save_pretrained(tmp_path)
    session = start(str(tmp_path), batch_size=4, **section)
    with pytest.raises(BackendError, match="logits of 4 of 4 rows are not finite"):
        session.run(some_prompts())


def test_generation_is_in_inference_mode_where_nothing_is_compiled_or_offloaded(
    start: Start, checkpoint: Path
) -> None:
    plain = start()
    assert plain.info.effective_settings["inference_mode"] is True
    (batch,) = plain.backend.prepare(some_prompts()[:1], "measured")
    assert plain.backend.generate(batch).tokens.is_inference()
    placed = start(str(checkpoint), device=None, device_map="cpu")
    assert placed.info.effective_settings["inference_mode"] is False
    assert not placed.run(some_prompts())[0].error

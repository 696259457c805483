"""What comes with a model: its end token, tokenizer, chat template, adapter and limits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from llem_core.contracts import LoRAConfig, Prompt
from llem_core.errors import BackendError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

Start = Any
TEXT = "hello there"
CHAT = "{% for m in messages %}<u>{{ m['content'] }}</u>{% endfor %}<a>"


def save_tokenizer(folder: Path, *, eos: str, chat: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer of one token a byte, in the order of the alphabet, and three special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=eos)
    if chat:
        tokenizer.add_tokens(["<u>", "</u>", "<a>"], special_tokens=True)
        tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    return tokenizer


def set_end(folder: Path, end: int) -> None:
    for name in ("config.json", "generation_config.json"):
        file = folder / name
        fields = json.loads(file.read_text())
        file.write_text(json.dumps({**fields, "eos_token_id": end}))


@pytest.fixture
def ending(checkpoint: Path, tmp_path: Path, start: Start) -> tuple[Path, int]:
    """A checkpoint without a tokenizer whose own end token comes fifth after ``TEXT``."""
    folder = tmp_path / "ending"
    shutil.copytree(checkpoint, folder)
    free = start(str(folder), max_output_tokens=20).run([Prompt(0, TEXT, 20)])
    end = free[0].token_ids[4]
    assert end not in free[0].token_ids[:4]
    set_end(folder, end)
    return folder, end


def test_the_models_own_end_token_ends_its_outputs(start: Start, ending: tuple[Path, int]) -> None:
    folder, end = ending
    output = start(str(folder), max_output_tokens=20).run([Prompt(0, TEXT, 20)])[0]
    assert output.output_tokens == 5
    assert output.token_ids[-1] == end
    bare = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.tensor([[256, *TEXT.encode()]])
    tokens = bare.generate(inputs=ids, max_new_tokens=20, do_sample=False)
    assert list(output.token_ids) == tokens[0, ids.shape[1] :].tolist()


def test_exact_outputs_and_ignore_eos_go_on_past_the_end_token(
    start: Start, ending: tuple[Path, int]
) -> None:
    folder, end = ending
    exact = start(str(folder)).run([Prompt(0, TEXT, 20, exact_output=True)])[0]
    ignoring = start(str(folder), decoder={"ignore_eos": True}).run([Prompt(0, TEXT, 20)])[0]
    for output in (exact, ignoring):
        assert output.output_tokens == 20
        assert end in output.token_ids
        assert output.token_times_s is not None
        assert len(output.token_times_s) == 20


def test_finished_rows_of_a_batch_are_not_counted_on(
    start: Start, ending: tuple[Path, int]
) -> None:
    folder, _ = ending
    texts = (TEXT, "something else that goes on")
    together = start(str(folder), batch_size=2).run([Prompt(i, t, 20) for i, t in enumerate(texts)])
    assert together[0].output_tokens == 5
    assert together[1].output_tokens > 5
    assert together[0].token_times_s is not None
    assert len(together[0].token_times_s) == 5
    # A row ends with its own last token, although its batch goes on.
    assert together[0].started_s == together[1].started_s
    assert together[0].ended_s == together[0].token_times_s[-1]
    assert together[0].ended_s < together[1].ended_s


def test_synthetic_outputs_are_exact_with_speculation_too(
    start: Start, ending: tuple[Path, int]
) -> None:
    folder, _ = ending
    prompts = [Prompt(i, None, 11, synthetic_tokens=30, exact_output=True) for i in range(3)]
    for section in ({"prompt_lookup_num_tokens": 3}, {"assistant_model": str(folder)}):
        outputs = start(str(folder), **section).run(prompts)
        assert [outputs[i].output_tokens for i in range(3)] == [11, 11, 11]


def test_a_tokenizer_is_found_in_a_subfolder_and_reads_text(
    start: Start, checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "repository" / "model"
    shutil.copytree(checkpoint, folder)
    tokenizer = save_tokenizer(folder, eos="!")
    session = start(str(folder.parent), subfolder="model")
    assert session.info.notes == ()
    (batch,) = session.backend.prepare([Prompt(0, TEXT, 3)], "measured")
    assert batch.payload.ids[0].tolist() == tokenizer(TEXT)["input_ids"]
    assert batch.input_tokens == (len(TEXT),)


def test_a_chat_is_cut_within_the_users_text(
    start: Start, checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "chat"
    shutil.copytree(checkpoint, folder)
    tokenizer = save_tokenizer(folder, eos="!", chat=True)
    session = start(str(folder), apply_chat_template=True, max_input_tokens=10)
    (short,) = session.backend.prepare([Prompt(0, "abcd", 3)], "measured")
    (long,) = session.backend.prepare([Prompt(0, "abcdefghijklmnop", 3)], "measured")
    assert (short.truncated, long.truncated) == (0, 1)
    assert tokenizer.decode(short.payload.ids[0]) == "<u>abcd</u><a>"
    assert tokenizer.decode(long.payload.ids[0]) == "<u>abcdefg</u><a>"


# peft asks transformers for a property under its former name.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
def test_settings_of_the_checkpoint_do_not_leak_through_an_adapter(
    start: Start, checkpoint: Path, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    folder, adapter = tmp_path / "penalised", tmp_path / "adapter"
    shutil.copytree(checkpoint, folder)
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(
        json.dumps({**settings, "repetition_penalty": 9.0})
    )
    base = AutoModelForCausalLM.from_pretrained(folder)
    # An adapter that was never trained changes nothing, so neither may its presence.
    get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(adapter)
    prompts = [Prompt(0, TEXT, 20)]
    plain = start(str(checkpoint), max_output_tokens=20).run(prompts)
    adapted = start(str(folder), max_output_tokens=20, lora=LoRAConfig(adapter=str(adapter)))
    assert adapted.run(prompts)[0].token_ids == plain[0].token_ids


def test_sampled_outputs_do_not_depend_on_what_ran_before(start: Start) -> None:
    session = start(decoder={"do_sample": True, "temperature": 5.0}, batch_size=2)
    batches = session.backend.prepare([Prompt(i, TEXT, 12) for i in range(4)], "measured")

    def tokens(number: int) -> list[tuple[int, ...]]:
        backend, batch = session.backend, batches[number]
        return [r.token_ids for r in backend.collect(batch, backend.generate(batch)).requests]

    first = tokens(0)
    assert tokens(1) != first
    assert tokens(0) == first


def test_a_prompt_beyond_learned_positions_is_refused_before_the_window(
    start: Start, tmp_path: Path
) -> None:
    config = AutoConfig.for_model(
        "gpt2", n_embd=32, n_layer=1, n_head=2, n_positions=40, vocab_size=300
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    session = start(str(tmp_path))
    fitting = [Prompt(0, None, 10, synthetic_tokens=30, exact_output=True)]
    assert session.run(fitting)[0].output_tokens == 10
    with pytest.raises(BackendError, match="need 41 positions and the model has 40"):
        session.backend.prepare([Prompt(0, None, 10, synthetic_tokens=31)], "measured")


def test_a_draft_model_of_another_vocabulary_is_refused(start: Start, checkpoint: Path) -> None:
    with pytest.raises(BackendError, match="vocabulary of 512 tokens, the model one of 300"):
        start(str(checkpoint), assistant_model="shape:tiny-llama")


def test_what_cannot_be_fetched_is_named(start: Start) -> None:
    with pytest.raises(BackendError, match="^lora.adapter nobody/adapter .*hub cannot be reached"):
        start(lora=LoRAConfig(adapter="nobody/adapter"))
    with pytest.raises(BackendError, match="^assistant_model nobody/draft .*hub cannot be reach"):
        start(assistant_model="nobody/draft")


def test_random_draft_weights_are_said(start: Start) -> None:
    assert "draft" in start(assistant_model="shape:tiny-llama").info.notes[0]


def test_effective_settings_say_what_null_came_to(start: Start) -> None:
    settings = start(batch_size=3).info.effective_settings
    assert settings["device"] == "cpu"
    assert settings["cache_implementation"] == "dynamic"
    assert settings["attn_implementation"] == "sdpa"
    assert (settings["batch_size"], settings["num_beams"], settings["use_cache"]) == (3, 1, True)
    json.dumps(settings)

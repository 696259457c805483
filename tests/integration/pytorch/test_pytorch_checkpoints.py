"""Checkpoints that are not what they seem, and settings that come with them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from llem_core.contracts import DecoderConfig, LoRAConfig, Prompt, Workload
from llem_core.errors import BackendError
from llem_pytorch.backend import PyTorchBackend
from llem_pytorch.config import PyTorchConfig
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

Start = Any
END, OTHER_END = 257, 259


def loading(model: Path, **section: Any) -> PyTorchBackend:
    """A backend whose check nobody made, as for a model that only the hub has."""
    return PyTorchBackend(
        Workload(
            model=str(model),
            precision="fp32",
            max_input_tokens=64,
            max_output_tokens=4,
            random_seed=1,
            decoder=DecoderConfig(),
            section=PyTorchConfig(device="cpu", **section),
        )
    )


def with_tokenizer(folder: Path, *, appends_end: bool) -> None:
    words = {chr(97 + i): i for i in range(26)} | {"<end>": END, "<turn>": OTHER_END}
    inner = Tokenizer(models.WordLevel(words, unk_token="a"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    if appends_end:
        inner.post_processor = processors.TemplateProcessing(
            single="$A <end>", special_tokens=[("<end>", END)]
        )
    PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>").save_pretrained(folder)


@pytest.fixture
def copied(checkpoint: Path, tmp_path: Path) -> Path:
    """The small Llama in a folder of its own."""
    folder = tmp_path / "copied"
    AutoModelForCausalLM.from_pretrained(checkpoint).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("kind", "told"),
    [("bert", "an encoder"), ("roberta", "an encoder"), ("t5", "an encoder-decoder")],
)
@pytest.mark.parametrize("section", [{}, {"load_format": "dummy"}], ids=["weights", "dummy"])
def test_what_is_not_causal_is_refused_at_loading_too(
    kind: str, told: str, section: dict[str, Any], tmp_path: Path
) -> None:
    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    with pytest.raises(BackendError, match=f"is {told}.*decoder-only"):
        loading(tmp_path, **section).load()


def test_a_config_without_a_causal_model_says_what_is_run(tmp_path: Path) -> None:
    AutoConfig.for_model("vit").save_pretrained(tmp_path)
    with pytest.raises(BackendError, match="generates text from text alone.*decoder-only"):
        loading(tmp_path, load_format="dummy").load()


def test_pickled_objects_are_refused_without_torchs_advice(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    with (copied / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"weight": print}, file)
    with pytest.raises(BackendError, match="safetensors") as caught:
        loading(copied).load()
    assert "weights_only" not in str(caught.value)
    assert "no setting changes that" in str(caught.value)


def test_an_end_token_that_the_tokenizer_appends_is_left_out(start: Start, copied: Path) -> None:
    with_tokenizer(copied, appends_end=False)
    plain = start(str(copied))
    with_tokenizer(copied, appends_end=True)
    ends = start(str(copied))
    assert plain.info.notes == ()
    assert "appends its end token" in ends.info.notes[0]
    texts = [Prompt(0, "a b c d", 4)]
    assert ends.backend.prepare(texts, "measured")[0].input_tokens == (4,)
    assert ends.run(texts)[0].token_ids == plain.run(texts)[0].token_ids


def test_an_output_ends_with_the_models_end_token_or_the_tokenizers(
    start: Start, copied: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(copied)
    model.generation_config.eos_token_id = OTHER_END
    model.save_pretrained(copied)
    with_tokenizer(copied, appends_end=False)
    session = start(str(copied))
    (batch,) = session.backend.prepare([Prompt(0, "a b", 4)], "measured")
    assert set(batch.payload.settings.eos_token_id) == {END, OTHER_END}


def test_beams_and_penalties_of_a_checkpoint_are_said_not_to_be_used(
    start: Start, copied: Path
) -> None:
    assert start(str(copied)).info.notes == (BYTES,)
    model = AutoModelForCausalLM.from_pretrained(copied)
    model.generation_config.num_beams = 4
    model.generation_config.repetition_penalty = 1.3
    model.save_pretrained(copied)
    notes = start(str(copied)).info.notes
    assert "num_beams: 4, repetition_penalty: 1.3, which an experiment does not" in notes[1]
    own = start(str(copied), decoder={"repetition_penalty": 1.1}, num_beams=2)
    assert own.info.notes == (BYTES,)


BYTES = "The checkpoint has no tokenizer: prompts were read byte by byte."


def test_outputs_past_the_positions_that_a_model_was_made_for_are_counted(
    start: Start, tmp_path: Path
) -> None:
    config = AutoConfig.for_model(
        "llama",
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        vocab_size=300,
        max_position_embeddings=20,
    )
    config.save_pretrained(tmp_path)
    session = start(str(tmp_path), load_format="dummy")
    exact = [Prompt(i, None, 6, synthetic_tokens=12 + 4 * i, exact_output=True) for i in range(3)]
    session.backend.reset_peak_memory()
    session.run(exact)
    assert "2 outputs went past the 20 positions" in session.backend.facts().notes[0]
    # Each window counts for itself.
    session.backend.reset_peak_memory()
    session.run(exact[:1])
    assert session.backend.facts().notes == ()


# peft asks transformers for a property under its former name.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
@pytest.mark.filterwarnings("ignore:Setting .save_embedding_layers.:UserWarning")
def test_an_adapter_with_added_tokens_says_what_to_do(checkpoint: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = AutoModelForCausalLM.from_pretrained(checkpoint)
    base.resize_token_embeddings(305)
    saved = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"])
    get_peft_model(base, saved).save_pretrained(tmp_path)
    backend = loading(checkpoint)
    backend.workload = Workload(
        model=str(checkpoint),
        precision="fp32",
        max_input_tokens=64,
        max_output_tokens=4,
        random_seed=1,
        decoder=DecoderConfig(),
        section=backend.workload.section,
        lora=LoRAConfig(adapter=str(tmp_path)),
    )
    with pytest.raises(BackendError, match="vocabulary of 305 tokens, and the model has 300"):
        backend.load()


def test_random_weights_of_a_quantised_checkpoint_are_said_to_be_plain(
    start: Start, copied: Path
) -> None:
    config = AutoConfig.from_pretrained(copied)
    config.quantization_config = {"quant_method": "gptq", "bits": 4}
    config.save_pretrained(copied)
    session = start(str(copied), load_format="dummy")
    assert any("quantised (gptq)" in note for note in session.info.notes)
    assert session.info.dtype == "fp32"

"""What is not a causal model is refused by its config.json, before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from llem_core.contracts import DecoderConfig, Workload
from llem_core.errors import ConfigError
from llem_pytorch import hooks
from llem_pytorch.config import PyTorchConfig
from llem_pytorch.errors import hub_errors

(SPEC,) = hooks.llem_backends()

BERT = {"model_type": "bert", "architectures": ["BertForMaskedLM"]}
T5 = {"model_type": "t5", "is_encoder_decoder": True}


def workload(model: Path, **section: Any) -> Workload:
    return Workload(
        model=str(model),
        precision="auto",
        max_input_tokens=64,
        max_output_tokens=16,
        random_seed=1,
        decoder=DecoderConfig(),
        section=PyTorchConfig.model_validate({"device": "cpu", **section}),
    )


def checkpoint(folder: Path, fields: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(fields))
    return folder


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (BERT, r"an encoder \(BertForMaskedLM\)"),
        ({"model_type": "roberta"}, r"an encoder \(roberta\)"),
        ({"model_type": "new", "architectures": ["NewForTokenClassification"]}, "an encoder"),
        (T5, r"an encoder-decoder \(t5\)"),
        (
            {"model_type": "bart", "architectures": ["BartForConditionalGeneration"]},
            r"an encoder-decoder \(BartForConditionalGeneration\)",
        ),
        ({"model_type": "new", "is_encoder_decoder": True}, "an encoder-decoder"),
    ],
)
def test_what_is_not_causal_is_refused_and_named(
    tmp_path: Path, fields: dict[str, Any], told: str
) -> None:
    folder = checkpoint(tmp_path / "model", fields)
    for section in ({}, {"load_format": "dummy"}):
        with pytest.raises(ConfigError, match=f"^model: .* is {told}.*decoder-only"):
            SPEC.check(workload(folder, **section))
    plain = checkpoint(tmp_path / "plain", {"model_type": "llama"})
    with pytest.raises(ConfigError, match=f"^pytorch.assistant_model: .* is {told}"):
        SPEC.check(workload(plain, assistant_model=str(folder)))


@pytest.mark.parametrize(
    "fields",
    [
        {"model_type": "bert", "is_decoder": True, "architectures": ["BertLMHeadModel"]},
        {"model_type": "bart", "is_decoder": True, "architectures": ["BartForCausalLM"]},
        {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
        {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"]},
        {"model_type": "gemma3_text"},
    ],
)
def test_decoders_are_not_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    assert SPEC.check(workload(checkpoint(tmp_path / "model", fields))).problems == ()


def test_a_model_with_code_of_its_own_needs_trust(tmp_path: Path) -> None:
    own = {"auto_map": {"AutoConfig": "configuration_x.X"}}
    folder = checkpoint(tmp_path / "model", {"model_type": "unheard-of", **own})
    with pytest.raises(ConfigError, match=r"set pytorch\.trust_remote_code: true"):
        SPEC.check(workload(folder))
    assert SPEC.check(workload(folder, trust_remote_code=True)).problems == ()
    # transformers has had this one for long: the code beside it is not needed.
    known = checkpoint(tmp_path / "known", {"model_type": "gemma3_text", **own})
    assert SPEC.check(workload(known)).problems == ()


def test_pickled_weights_and_dropped_quantisation_are_remarked(tmp_path: Path) -> None:
    fields = {"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}
    folder = checkpoint(tmp_path / "model", fields)
    (folder / "pytorch_model.bin").touch()
    notes = SPEC.check(workload(folder)).notes
    assert any("pickled" in note for note in notes)
    (folder / "model.safetensors").touch()
    assert not any("pickled" in note for note in SPEC.check(workload(folder)).notes)
    notes = SPEC.check(workload(folder, load_format="dummy")).notes
    assert any("quantised (gptq)" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("contains custom code. Please pass `trust_remote_code=True`", "pytorch.trust_remote_code"),
        ("Unrecognized configuration class <X> for AutoModelForCausalLM", "decoder-only"),
        (
            "size mismatch for base_model.model.lm_head.modules_to_save.weight: copying a param "
            "with shape torch.Size([305, 64]) from checkpoint, the shape in current model is "
            "torch.Size([300, 64]).",
            "vocabulary of 305 tokens, and the model has 300",
        ),
    ],
)
def test_errors_of_loading_say_what_to_do(text: str, told: str) -> None:
    from llem_core.errors import BackendError

    with pytest.raises(BackendError, match=told), hub_errors("org/model", lambda: None):
        raise RuntimeError(text)

"""Loads models and tokenizers: from the hub, a folder, a GGUF file, or a bare shape."""

from __future__ import annotations

from typing import Any

import torch
from llem_core.contracts import LoRAConfig, Workload
from llem_core.errors import BackendError
from llem_core.models.architecture import why_not_causal
from llem_core.models.checkpoint import has_tokenizer, place
from llem_core.models.shapes import get_shape, is_shape
from llem_core.models.tokenizer import BYTE_VOCABULARY, ByteTokenizer, HubTokenizer, Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from llem_pytorch.audit import split_passthrough
from llem_pytorch.config import PyTorchConfig

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def load_model(workload: Workload, device: torch.device) -> tuple[Any, bool]:
    """The model in evaluation mode on its device, and whether its weights are random."""
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    if is_shape(workload.model) or section.load_format == "dummy":
        return random_model(workload, workload.model, device).eval(), True
    return _checkpoint(workload, section, device).eval(), False


def random_model(workload: Workload, name: str, device: torch.device) -> Any:
    """A model of the shape of ``name`` with seeded random weights.

    The weights are drawn where they will be used and in their own dtype, by the architecture's
    own initialisation (normal, standard deviation 0.02 for most).
    """
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    config = _causal_config(name, section)
    dtype = DTYPES.get(workload.precision)
    if dtype is None:
        stated = get_shape(name).dtype if is_shape(name) else config.dtype or "float32"
        dtype = stated if isinstance(stated, torch.dtype) else getattr(torch, stated)
    torch.manual_seed(workload.random_seed)
    kwargs = _kernels(section)
    with device:
        model: Any = AutoModelForCausalLM.from_config(
            config, dtype=dtype, trust_remote_code=section.trust_remote_code, **kwargs
        )
    return model.to(device)


def load_assistant(workload: Workload, device: torch.device) -> Any:
    """The draft model of ``pytorch.assistant_model`` on the same device."""
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    assert section.assistant_model is not None
    if is_shape(section.assistant_model):
        return random_model(workload, section.assistant_model, device).eval()
    dtype = DTYPES.get(workload.precision, "auto")
    model: Any = AutoModelForCausalLM.from_pretrained(
        place(section.assistant_model), dtype=dtype, trust_remote_code=section.trust_remote_code
    )
    return model.to(device).eval()


def load_adapter(model: PreTrainedModel, lora: LoRAConfig) -> Any:
    """The model with an adapter's weights beside its own, or merged into them."""
    from peft import PeftModel

    adapted = PeftModel.from_pretrained(model, place(lora.adapter), revision=lora.revision)
    if adapted.active_peft_config.is_prompt_learning:
        raise BackendError(f"lora.adapter {lora.adapter} holds learned prompts, not a LoRA adapter")
    # The model itself, without peft's wrapper, whose own generate and settings differ.
    return (adapted.merge_and_unload() if lora.merge else adapted.get_base_model()).eval()


def load_tokenizer(workload: Workload, model: Any) -> tuple[Tokenizer, str | None]:
    """The tokenizer, and a remark where it is not the model's own."""
    section = workload.section
    assert isinstance(section, PyTorchConfig)
    vocabulary = model.config.get_text_config().vocab_size
    if is_shape(workload.model):
        return ByteTokenizer(vocabulary), None
    if not has_tokenizer(workload.model, section.subfolder):
        if vocabulary < BYTE_VOCABULARY:
            raise BackendError(
                f"{workload.model} has no tokenizer, and its vocabulary of {vocabulary} is too "
                f"small for bytes ({BYTE_VOCABULARY}); save the tokenizer into the same folder"
            )
        return ByteTokenizer(vocabulary, _stated_eos_ids(model)), (
            "The checkpoint has no tokenizer: prompts were read byte by byte."
        )
    arguments = _origin(section)
    if section.gguf_file is not None:
        arguments["gguf_file"] = section.gguf_file
    tokenizer = AutoTokenizer.from_pretrained(
        place(workload.model), trust_remote_code=section.trust_remote_code, **arguments
    )
    if section.apply_chat_template and tokenizer.chat_template is None:
        raise BackendError("apply_chat_template is set, but the tokenizer has no chat template")
    found = HubTokenizer(tokenizer, _eos_ids(model, tokenizer), section.apply_chat_template)
    return found, found.remark


def _checkpoint(workload: Workload, section: PyTorchConfig, device: torch.device) -> Any:
    if section.gguf_file is None:
        _causal_config(workload.model, section)
    arguments = {**_origin(section), **_kernels(section)}
    arguments["dtype"] = DTYPES.get(workload.precision, "auto")
    for name in ("variant", "use_safetensors", "gguf_file", "max_memory", "offload_folder"):
        if getattr(section, name) is not None:
            arguments[name] = getattr(section, name)
    if section.quantised:
        arguments["quantization_config"] = _quantisation(section)
    arguments["device_map"] = section.device_map or ({"": device} if section.quantised else None)
    arguments.update(split_passthrough(dict(workload.passthrough_kwargs))[1])
    model: Any = AutoModelForCausalLM.from_pretrained(
        place(workload.model), trust_remote_code=section.trust_remote_code, **arguments
    )
    return model if arguments["device_map"] is not None else model.to(device)


def _causal_config(name: str, section: PyTorchConfig) -> Any:
    config = _config(name, section)
    why_not = None if is_shape(name) else why_not_causal(name, config.to_dict())
    if why_not is not None:
        raise BackendError(why_not)
    return config


def _config(name: str, section: PyTorchConfig) -> Any:
    if is_shape(name):
        shape = get_shape(name)
        special = {"bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258}
        return AutoConfig.for_model(shape.model_type, **shape.fields, **special)
    return AutoConfig.from_pretrained(
        place(name), trust_remote_code=section.trust_remote_code, **_origin(section)
    )


def _quantisation(section: PyTorchConfig) -> Any:
    from transformers import BitsAndBytesConfig

    arguments: dict[str, Any] = {
        "load_in_4bit": section.load_in_4bit,
        "load_in_8bit": section.load_in_8bit,
    }
    for name in ("bnb_4bit_quant_type", "bnb_4bit_use_double_quant"):
        if getattr(section, name) is not None:
            arguments[name] = getattr(section, name)
    if section.bnb_4bit_compute_dtype is not None:
        arguments["bnb_4bit_compute_dtype"] = DTYPES[section.bnb_4bit_compute_dtype]
    return BitsAndBytesConfig(**arguments)


def _origin(section: PyTorchConfig) -> dict[str, Any]:
    names = ("revision", "subfolder")
    return {n: getattr(section, n) for n in names if getattr(section, n) is not None}


def _kernels(section: PyTorchConfig) -> dict[str, Any]:
    names = ("attn_implementation", "experts_implementation")
    return {n: getattr(section, n) for n in names if getattr(section, n) is not None}


def _eos_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Of the generation settings and of the tokenizer: each may know one that the other lacks."""
    own = tokenizer.eos_token_id
    return tuple(dict.fromkeys((*_stated_eos_ids(model), *(() if own is None else (int(own),)))))


def _stated_eos_ids(model: Any) -> tuple[int, ...]:
    stated = getattr(model.generation_config, "eos_token_id", None)
    if stated is None:
        return ()
    return tuple(stated) if isinstance(stated, list) else (int(stated),)

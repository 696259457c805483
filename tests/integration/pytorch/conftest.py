from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from llem_core.contracts import (
    BatchOutput,
    DecoderConfig,
    InferenceBackend,
    LoRAConfig,
    Prompt,
    RequestOutput,
    Workload,
)
from llem_pytorch import hooks
from llem_pytorch.config import PyTorchConfig
from transformers import AutoConfig, AutoModelForCausalLM

(SPEC,) = hooks.llem_backends()


@dataclass
class Session:
    """A loaded backend and what it gave."""

    backend: InferenceBackend
    info: Any

    def run(self, prompts: Sequence[Prompt]) -> dict[int, RequestOutput]:
        batches = self.backend.prepare(prompts, "measured")
        outputs: list[BatchOutput] = []
        for batch in batches:
            raw = self.backend.generate(batch)
            self.backend.synchronise()
            outputs.append(self.backend.collect(batch, raw))
        return {r.index: r for output in outputs for r in output.requests}


Start = Callable[..., Session]


@pytest.fixture
def start() -> Any:
    """Loads a backend for a workload given by its fields; unloads it afterwards."""
    open_backends: list[InferenceBackend] = []

    def begin(
        model: str = "shape:tiny-llama",
        *,
        decoder: dict[str, Any] | None = None,
        lora: LoRAConfig | None = None,
        max_input_tokens: int = 64,
        max_output_tokens: int = 12,
        passthrough_kwargs: dict[str, Any] | None = None,
        **section: Any,
    ) -> Session:
        workload = Workload(
            model=model,
            precision="fp32",
            max_input_tokens=max_input_tokens,
            max_output_tokens=max_output_tokens,
            random_seed=7,
            decoder=DecoderConfig(**(decoder or {})),
            section=PyTorchConfig.model_validate({"device": "cpu", **section}),
            lora=lora,
            passthrough_kwargs=passthrough_kwargs or {},
        )
        assert SPEC.check(workload).problems == ()
        backend = SPEC.create(workload)
        open_backends.append(backend)
        return Session(backend, backend.load())

    yield begin
    for backend in open_backends:
        backend.unload()


def prompts(*texts: str, limit: int = 12) -> list[Prompt]:
    return [Prompt(index, text, limit) for index, text in enumerate(texts)]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama saved with ``save_pretrained``, whose own settings ask for sampling."""
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(3)
    config = AutoConfig.for_model(
        "llama",
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=300,
        bos_token_id=256,
        eos_token_id=257,
        pad_token_id=258,
        initializer_range=0.3,
    )
    model = AutoModelForCausalLM.from_config(config)
    model.generation_config.do_sample = True
    model.generation_config.temperature = 1.7
    model.generation_config.top_k = 11
    model.save_pretrained(folder)
    return folder

"""Tests of llem-vllm. They run where vLLM is installed: `bash scripts/check_vllm.sh`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

HAS_VLLM = find_spec("vllm") is not None and find_spec("llem_vllm") is not None
REASON = "vLLM is not installed here; scripts/check_vllm.sh runs this in an environment that has it"


class _Absent(pytest.Item):
    """Stands for a module that cannot be imported here."""

    def runtest(self) -> None:
        pytest.skip(REASON)


class _AbsentModule(pytest.File):
    """A module of tests in an environment without vLLM."""

    def collect(self) -> list[pytest.Item]:
        return [_Absent.from_parent(self, name="all")]


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.File | None:
    """Without vLLM a module is not imported: it is one test, skipped with the reason."""
    # The study runs in the workspace's environment, and vLLM in its own.
    return (
        None
        if HAS_VLLM or module_path.name == "test_study.py"
        else _AbsentModule.from_parent(parent, path=module_path)
    )


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small llama with random weights, as transformers saves one; no tokenizer beside it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=352,
        vocab_size=512,
        max_position_embeddings=1024,
        bos_token_id=256,
        eos_token_id=257,
        pad_token_id=258,
        initializer_range=0.2,
    )
    folder = tmp_path_factory.mktemp("checkpoint")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder

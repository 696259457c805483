"""The backend keeps the contract in both drives, with vLLM's engine itself."""

from __future__ import annotations

from typing import Any, ClassVar

from llem_core.testing import BackendContract, ServingContract
from llem_vllm import hooks

# vLLM and torch set these for their own processes.
ENGINES_OWN = frozenset({"TORCHINDUCTOR_CACHE_DIR"})
SECTION: dict[str, Any] = {
    "max_model_len": 512,
    "enforce_eager": True,
    "kv_cache_memory_bytes": 64 * 1024**2,
}


class TestBatches(BackendContract):
    plugin = hooks
    model = "shape:tiny-llama"
    section: ClassVar = SECTION
    may_set = ENGINES_OWN


class TestServing(ServingContract):
    plugin = hooks
    model = "shape:tiny-llama"
    section: ClassVar = SECTION
    may_set = ENGINES_OWN

"""The PyTorch backend keeps the contract: on a CPU, with a tiny model of random weights."""

from __future__ import annotations

from typing import ClassVar

from llem_core.testing import BackendContract
from llem_pytorch import hooks

# torch notes the folder of its compiler's cache there, for its own children.
TORCHS_OWN = frozenset({"TORCHINDUCTOR_CACHE_DIR"})


class TestPyTorch(BackendContract):
    plugin = hooks
    model = "shape:tiny-llama"
    section: ClassVar = {"device": "cpu", "batch_size": 2}
    may_set = TORCHS_OWN


class TestPyTorchDynamicBatches(BackendContract):
    plugin = hooks
    model = "shape:tiny-llama"
    section: ClassVar = {
        "device": "cpu",
        "batching": "dynamic",
        "batch_size": 4,
        "max_batch_tokens": 80,
    }
    may_set = TORCHS_OWN

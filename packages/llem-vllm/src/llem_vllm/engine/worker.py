"""What each of vLLM's workers tells of itself; vLLM mixes this class into its own worker."""

from __future__ import annotations

import os
from typing import Any


class WorkerFacts:
    """Methods that run in a worker's process, called through vLLM's ``collective_rpc``.

    vLLM refuses names that its worker has already; hence the prefix.
    """

    device: Any

    def llem_facts(self) -> dict[str, Any]:
        """Process, device, weights and kernels of this worker."""
        import torch

        # vLLM's worker has it; a method of this name here would be refused as a second one.
        model = self.get_model()  # type: ignore[attr-defined]
        tensors = {t.data_ptr(): t for t in (*model.parameters(), *model.buffers())}
        facts: dict[str, Any] = {
            "pid": os.getpid(),
            "kind": "cpu",
            "name": None,
            "uuid": None,
            "weights_bytes": sum(t.numel() * t.element_size() for t in tensors.values()),
            "num_threads": torch.get_num_threads(),
            "attention": sorted(_attention(model)),
        }
        if self.device.type == "cuda":
            properties = torch.cuda.get_device_properties(self.device)
            uuid = getattr(properties, "uuid", None)
            facts |= {"kind": "gpu", "name": properties.name}
            facts["uuid"] = None if uuid is None else f"GPU-{uuid}"
        return facts

    def llem_reset_peak(self) -> None:
        """Count peak memory of the device afresh."""
        if self.device.type == "cuda":
            import torch

            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)

    def llem_peak_bytes(self) -> int | None:
        """Peak memory that torch allocated on the device; ``None`` on a CPU."""
        if self.device.type != "cuda":
            return None
        import torch

        return int(torch.cuda.max_memory_allocated(self.device))


def _attention(model: Any) -> set[str]:
    """Names of the attention kernels that a model's layers were given."""
    found = (getattr(module, "attn_backend", None) for module in model.modules())
    return {backend.get_name() for backend in found if backend is not None}

"""A load for the probe, where torch with CUDA happens to be installed."""

from __future__ import annotations

import importlib.util
import threading
import time
from typing import Any

_SIZE = 8192


class TorchLoad:
    """Multiplies matrices on one GPU, in a thread, until it is told to stop.

    Args:
        uuid: the GPU.

    Raises:
        LookupError: torch does not show that GPU.
    """

    def __init__(self, uuid: str) -> None:
        import torch

        self._torch: Any = torch
        self._device = next(
            (
                torch.device("cuda", index)
                for index in range(torch.cuda.device_count())
                if same_gpu(uuid, getattr(torch.cuda.get_device_properties(index), "uuid", None))
            ),
            None,
        )
        if self._device is None:
            raise LookupError(f"torch does not show {uuid}")
        self._matrix = torch.ones((_SIZE, _SIZE), device=self._device, dtype=torch.float16)
        self._work()  # the first product compiles and allocates
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def on(self) -> float:
        """Begin; gives the moment at which the first product was begun (monotonic s)."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="llem-nvml-load", daemon=True)
        started_s = time.monotonic()
        self._thread.start()
        return started_s

    def off(self) -> None:
        """End, and wait until the device is idle."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._work()

    def _work(self) -> None:
        self._torch.matmul(self._matrix, self._matrix)
        self._torch.cuda.synchronize(self._device)


def same_gpu(uuid: str, torch_uuid: object) -> bool:
    """Whether NVML's and torch's names are of one GPU; torch leaves out the ``GPU-``.

    A torch that does not name its GPUs shows none: a load on another card would be measured as
    this card's idleness.
    """
    return torch_uuid is not None and str(torch_uuid) == uuid.removeprefix("GPU-")


def torch_load(uuid: str) -> TorchLoad | None:
    """A load for this GPU; ``None`` where torch or its view of the GPU is missing."""
    if importlib.util.find_spec("torch") is None:
        return None
    try:
        return TorchLoad(uuid)
    # torch raises a dozen kinds for a missing driver, a hidden GPU or too little memory, and the
    # probe can do without the load.
    except Exception:  # noqa: BLE001
        return None

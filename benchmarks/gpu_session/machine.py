"""The device that a session is about: a card, or in a rehearsal something that stands in for it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol

from llem_core.contracts import SensorProbe
from llem_core.plugins import plugins

_SIZE = 8192
_LAUNCHES = 8
"""Products that are queued before the host waits, so that the device never does."""


class Load(Protocol):
    """Work that can be turned on and off."""

    def on(self) -> None:
        """Begin."""

    def off(self) -> None:
        """End, and wait until the device is idle."""


class Machine(Protocol):
    """The device.

    Attributes:
        simulated: whether what is measured is simulated.
        device: torch's name of where models run.
    """

    simulated: bool
    device: str

    def make_context(self) -> None:
        """Make this process's context on the device."""

    def load(self) -> Load:
        """A load of matrix products."""

    def probe(self) -> Sequence[SensorProbe]:
        """Probe the device's sensors, as `llem config --probe` does."""


class Card:
    """The first CUDA device."""

    simulated = False
    device = "cuda"

    def make_context(self) -> None:
        """Allocate something."""
        import torch

        torch.zeros(1, device=self.device)
        torch.cuda.synchronize()

    def load(self) -> Load:
        """Products of random matrices: on equal numbers a card draws less."""
        return RandomProducts(self.device)

    def probe(self) -> Sequence[SensorProbe]:
        """By the sampler's own probe."""
        probe = plugins().samplers.get("nvml").probe
        assert probe is not None
        return probe()


class RandomProducts:
    """Multiplies random bf16 matrices in a thread.

    Args:
        device: torch's name of the device.
    """

    def __init__(self, device: str) -> None:
        import torch

        self._torch: Any = torch
        shape = (_SIZE, _SIZE)
        self._left, self._right = (
            torch.randn(shape, device=device, dtype=torch.bfloat16) for _ in range(2)
        )
        self._out = torch.empty(shape, device=device, dtype=torch.bfloat16)
        self._work()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def on(self) -> None:
        """Begin."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def off(self) -> None:
        """End, and wait until the device is idle."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._work()

    def _work(self) -> None:
        for _ in range(_LAUNCHES):
            self._torch.matmul(self._left, self._right, out=self._out)
        self._torch.cuda.synchronize()

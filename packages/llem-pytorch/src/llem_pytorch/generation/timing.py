"""Notes when each token is there, without making the host wait for the device."""

from __future__ import annotations

import time
from typing import Any

import torch
from llem_core.units import from_milli
from transformers import StoppingCriteria


class StepRecorder(StoppingCriteria):
    """Rides along ``generate`` as a stopping criterion that never stops.

    transformers calls it after each step with the tokens so far. On a CPU the time is noted;
    on CUDA an event is recorded in the stream, and read only after the window.

    Args:
        batch_size: rows of the batch.
        device: where the tokens are.
    """

    def __init__(self, batch_size: int, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        # An event without a stream would go to the current device's, which may be another.
        self._stream: Any = torch.cuda.current_stream(device) if self._cuda else None
        self._never = torch.zeros(batch_size, dtype=torch.bool, device=device)
        self._marks: list[Any] = []
        self._lengths: list[int] = []
        self._start: Any = None
        self._end: Any = None
        self.started_s = 0.0

    def start(self) -> None:
        """Note the start of the batch; ``started_s`` is its monotonic time."""
        self.started_s = time.monotonic()
        self._start = self._event() if self._cuda else self.started_s

    def end(self) -> None:
        """Note that the whole batch is generated."""
        self._end = self._event() if self._cuda else time.monotonic()

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        """Note that ``input_ids`` are there; says that no row is finished."""
        self._marks.append(self._event() if self._cuda else time.monotonic())
        self._lengths.append(input_ids.shape[1])
        return self._never

    def ended_s(self) -> float:
        """When the whole batch was generated (monotonic s)."""
        return self._monotonic_s(self._end)

    def token_times_s(self, prompt_length: int) -> list[float]:
        """When each output position was there (monotonic s), as far as the longest row.

        A step that gave several tokens (speculative decoding) gives each the same time.
        """
        times: list[float] = []
        for mark, length in zip(self._marks, self._lengths, strict=True):
            new = length - prompt_length - len(times)
            if new > 0:
                times.extend([self._monotonic_s(mark)] * new)
        return times

    def _monotonic_s(self, mark: Any) -> float:
        if self._cuda:
            return self.started_s + from_milli(self._start.elapsed_time(mark))
        at_s: float = mark
        return at_s

    def _event(self) -> Any:
        event = torch.cuda.Event(enable_timing=True)
        event.record(self._stream)
        return event

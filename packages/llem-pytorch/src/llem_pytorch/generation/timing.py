"""Notes of a batch while it is generated, none of which makes the host wait for the device."""

from __future__ import annotations

import time
from typing import Any

import torch
from llem_core.units import from_milli
from transformers import LogitsProcessor, StoppingCriteria


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


class LastLogits(LogitsProcessor):
    """Keeps the logits of the last step, which tell whether any were not finite.

    What is not a number in one step stays in the keys and values of its row, so that the last
    step tells of all. ``note`` is a hook of the output projection, and costs nearly nothing;
    where the model is compiled, it rides along as a logits processor instead.
    """

    def __init__(self) -> None:
        self._logits: Any = None

    def note(self, module: Any, inputs: Any, logits: Any) -> None:  # noqa: ARG002
        """Keep the logits until the next step's."""
        self._logits = logits

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002
        """Keep the scores, and change nothing."""
        self._logits = scores
        return scores

    def largest(self) -> torch.Tensor | None:
        """The largest logit of each row in the last step; lets go of the rest."""
        logits, self._logits = self._logits, None
        return None if logits is None else logits.flatten(1).amax(dim=-1)

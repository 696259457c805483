"""A bare model of a shape, for comparisons of ``generate`` with and without our own parts."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from typing import Any

import torch
from llem_core.contracts import DecoderConfig, Workload
from llem_pytorch.config import PyTorchConfig
from llem_pytorch.generation.timing import StepRecorder
from llem_pytorch.model.loading import random_model
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList


class BareModel:
    """A model with random weights, one prompt, and transformers' own ``generate``.

    Args:
        model: ``shape:<name>``.
        precision: dtype of its weights.
        device: torch's name of where it is made and runs.
        input_tokens, output_tokens: of the one request.
    """

    def __init__(
        self, model: str, precision: Any, device: str, input_tokens: int, output_tokens: int
    ) -> None:
        workload = Workload(
            model=model,
            precision=precision,
            max_input_tokens=input_tokens,
            max_output_tokens=output_tokens,
            random_seed=1,
            decoder=DecoderConfig(),
            section=PyTorchConfig(device=device),
        )
        self._device = torch.device(device)
        self._model: Any = random_model(workload, model, self._device).eval()
        self._ids = torch.randint(3, 250, (1, input_tokens), device=self._device)
        self._settings = GenerationConfig(
            max_new_tokens=output_tokens, do_sample=False, pad_token_id=0, eos_token_id=None
        )
        self._model.generation_config = GenerationConfig()
        self.input_tokens, self.output_tokens = input_tokens, output_tokens

    def generate_s(self, criteria: Sequence[StoppingCriteria] = ()) -> float:
        """Time of one ``generate``, the device's work included (s)."""
        self.synchronise()
        started_s = time.monotonic()
        self._model.generate(
            inputs=self._ids,
            attention_mask=torch.ones_like(self._ids),
            generation_config=self._settings,
            stopping_criteria=StoppingCriteriaList(criteria),
        )
        self.synchronise()
        return time.monotonic() - started_s

    def recorded_s(self) -> float:
        """The same with our token recorder (s)."""
        recorder = self.recorder()
        recorder.start()
        return self.generate_s([recorder])

    def token_times_s(self) -> tuple[list[float], list[float]]:
        """When each token was there, by the recorder and by a host that waited for it (s).

        Both count from the start of one and the same ``generate``.
        """
        recorder, stamps = self.recorder(), HostStamps(self)
        self.synchronise()
        recorder.start()
        self.generate_s([recorder, stamps])
        told_s = recorder.token_times_s(self.input_tokens)
        start_s = recorder.started_s
        return [at - start_s for at in told_s], [at - start_s for at in stamps.times_s]

    def close(self) -> None:
        """Free the model and what the allocator keeps for it."""
        self._model = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def recorder(self) -> StepRecorder:
        """The backend's own recorder for one request."""
        return StepRecorder(1, self._device)

    def synchronise(self) -> None:
        """Wait for the device."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


class HostStamps(StoppingCriteria):
    """Waits for the device after each token and reads the host's clock: slow, and true."""

    def __init__(self, model: BareModel) -> None:
        self._model = model
        self.times_s: list[float] = []

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        """Note a token's monotonic time."""
        self._model.synchronise()
        self.times_s.append(time.monotonic())
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

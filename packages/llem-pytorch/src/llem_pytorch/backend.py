"""The backend: transformers' ``generate`` on PyTorch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from llem_core.contracts import (
    Batch,
    BatchOutput,
    InferenceBackend,
    MemoryReading,
    ModelInfo,
    Prompt,
    RequestOutput,
    Workload,
)
from llem_core.errors import BackendError
from transformers import GenerationConfig, StoppingCriteriaList

from llem_pytorch.batching import Encoded, group, pad
from llem_pytorch.config import PyTorchConfig
from llem_pytorch.decoding import compile_arguments, generation_config
from llem_pytorch.errors import engine_errors, hub_errors
from llem_pytorch.facts import model_info
from llem_pytorch.hub import offline_if_unreachable
from llem_pytorch.loading import load_assistant, load_model, load_tokenizer
from llem_pytorch.memory import host_peak, reset_host_peak
from llem_pytorch.quiet import quiet
from llem_pytorch.timing import StepRecorder
from llem_pytorch.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class _Inputs:
    """A batch on its device: ids and mask of shape (rows, longest prompt), and its settings."""

    ids: torch.Tensor
    mask: torch.Tensor
    settings: GenerationConfig
    eos_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Raw:
    """What ``generate`` leaves behind: all tokens, prompt included, and when they came."""

    tokens: torch.Tensor
    recorder: StepRecorder | None


class PyTorchBackend(InferenceBackend):
    """Runs a causal language model with transformers."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        assert isinstance(workload.section, PyTorchConfig)
        self._section = workload.section
        self._device = torch.device("cpu")
        self._model: Any = None
        self._assistant: Any = None
        self._tokenizer: Tokenizer | None = None
        self._reset_worked = False

    def load(self) -> ModelInfo:
        """Load model and tokenizer."""
        self._device = _device(self.workload, self._section)
        threads = self._set_threads()
        model = self.workload.model
        with quiet(), hub_errors(model, self._peak_bytes), offline_if_unreachable():
            self._model, is_random = load_model(self.workload, self._device)
            self._tokenizer, remark = load_tokenizer(self.workload, self._model)
            if self._section.assistant_model is not None:
                self._assistant = load_assistant(self.workload, self._device)
        # Whatever the checkpoint's own generation settings ask for must not leak in.
        self._model.generation_config = GenerationConfig(
            pad_token_id=self._tokenizer.pad_id, eos_token_id=list(self._tokenizer.eos_ids) or None
        )
        if self._assistant is not None:
            self._configure_assistant()
        if self._section.torch_compile:
            self._compile()
        return model_info(
            self._model,
            random_weights=is_random,
            settings={"batch_size": self._section.batch_size, **threads},
            notes=(remark,) if remark else (),
        )

    def prepare(self, prompts: Sequence[Prompt]) -> Sequence[Batch]:
        """Tokenise, cut, group, pad, and move to the device."""
        encoded = [self._encode(prompt) for prompt in prompts]
        return [self._batch(rows) for rows in group(encoded, self._section)]

    def generate(self, batch: Batch) -> _Raw:
        """One call of transformers' ``generate``."""
        inputs: _Inputs = batch.payload
        recorder = None
        arguments: dict[str, Any] = {}
        if not self._has_beams:
            recorder = StepRecorder(inputs.ids.shape[0], inputs.ids.device)
            arguments["stopping_criteria"] = StoppingCriteriaList([recorder])
        if self._assistant is not None:
            arguments["assistant_model"] = self._assistant
        with engine_errors("generating", self._peak_bytes):
            if recorder is not None:
                recorder.start()
            tokens = self._model.generate(
                inputs=inputs.ids,
                attention_mask=inputs.mask,
                generation_config=inputs.settings,
                **arguments,
            )
        return _Raw(tokens, recorder)

    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        """Count each request's tokens up to its own end, and read the times."""
        assert isinstance(raw, _Raw)
        inputs: _Inputs = batch.payload
        assert self._tokenizer is not None
        start = inputs.ids.shape[1]
        requests = []
        for index, row in zip(batch.indices, raw.tokens[:, start:].tolist(), strict=True):
            ids = _until_end(row, inputs.eos_ids)
            times = raw.recorder.token_times_s(start, len(ids)) if raw.recorder else None
            requests.append(
                RequestOutput(index, len(ids), tuple(ids), times, self._tokenizer.decode(ids))
            )
        reason = "beam search settles its tokens at the end only" if self._has_beams else None
        return BatchOutput(tuple(requests), times_missing_reason=reason)

    def synchronise(self) -> None:
        """Wait for every CUDA device in use."""
        for index in self._cuda_indices():
            torch.cuda.synchronize(index)

    def reset_peak_memory(self) -> None:
        """Count peak memory afresh: torch's on CUDA, the process's on a CPU."""
        for index in self._cuda_indices():
            torch.cuda.reset_peak_memory_stats(index)
        self._reset_worked = reset_host_peak()

    def memory(self) -> MemoryReading:
        """Peak memory since the last reset."""
        cuda = self._cuda_indices()
        if not cuda:
            return host_peak(self._reset_worked)
        peak = sum(torch.cuda.max_memory_allocated(index) for index in cuda)
        return MemoryReading(peak, "torch.cuda.max_memory_allocated, all devices in use")

    def unload(self) -> None:
        """Free the model and the cache of CUDA's allocator."""
        indices = self._cuda_indices()
        self._model = self._assistant = self._tokenizer = None
        if indices:
            torch.cuda.empty_cache()

    @property
    def _has_beams(self) -> bool:
        return (self._section.num_beams or 1) > 1

    def _encode(self, prompt: Prompt) -> Encoded:
        assert self._tokenizer is not None
        if prompt.synthetic_tokens is not None:
            seed = f"{self.workload.random_seed}-{prompt.index}"
            ids = self._tokenizer.synthetic(prompt.synthetic_tokens, seed)
        else:
            ids = self._tokenizer.encode(prompt.text or "")
        if not ids:
            raise BackendError(f"prompt {prompt.index} has no tokens")
        most = self.workload.max_input_tokens
        return Encoded(
            prompt.index, ids[:most], len(ids) > most, prompt.max_new_tokens, prompt.exact_output
        )

    def _batch(self, rows: Sequence[Encoded]) -> Batch:
        assert self._tokenizer is not None
        ids, mask = pad(rows, self._tokenizer.pad_id)
        settings = generation_config(
            self.workload,
            self._tokenizer.eos_ids,
            self._tokenizer.pad_id,
            rows[0].max_new_tokens,
            rows[0].exact,
        )
        eos = settings.eos_token_id
        device = self._model.get_input_embeddings().weight.device
        inputs = _Inputs(ids.to(device), mask.to(device), settings, tuple(eos) if eos else ())
        return Batch(
            indices=tuple(row.index for row in rows),
            input_tokens=tuple(len(row.ids) for row in rows),
            payload=inputs,
            padded_tokens=ids.numel(),
            truncated=sum(row.truncated for row in rows),
        )

    def _configure_assistant(self) -> None:
        section = self._section
        for name in (
            *("num_assistant_tokens", "num_assistant_tokens_schedule"),
            "assistant_confidence_threshold",
        ):
            if getattr(section, name) is not None:
                setattr(self._assistant.generation_config, name, getattr(section, name))

    def _compile(self) -> None:
        if self._section.matmul_precision is not None:
            torch.set_float32_matmul_precision(self._section.matmul_precision)
        automatic = (self._section.cache_implementation or "").endswith("static")
        # With a static cache on CUDA, generate compiles by itself, with the same settings.
        if not (automatic and self._device.type == "cuda"):
            arguments = compile_arguments(self._section)
            self._model.forward = torch.compile(self._model.forward, **arguments)

    def _set_threads(self) -> dict[str, object]:
        torch.manual_seed(self.workload.random_seed)
        if self._section.matmul_precision is not None:
            torch.set_float32_matmul_precision(self._section.matmul_precision)
        if self._section.num_threads is not None:
            torch.set_num_threads(self._section.num_threads)
        elif self.workload.world_size > 1 and "OMP_NUM_THREADS" not in os.environ:
            # Processes that each take all cores would fight for them.
            torch.set_num_threads(max(1, torch.get_num_threads() // self.workload.world_size))
        return {"num_threads": torch.get_num_threads()}

    def _cuda_indices(self) -> list[int]:
        if self._model is None or not torch.cuda.is_initialized():
            return []
        devices = {p.device for p in self._model.parameters() if p.device.type == "cuda"}
        return sorted({device.index or 0 for device in devices})

    def _peak_bytes(self) -> int | None:
        # For a message any peak will do, that of the whole process included.
        return self.memory().peak_bytes or host_peak(was_reset=True).peak_bytes


def _device(workload: Workload, section: PyTorchConfig) -> torch.device:
    wanted = section.device or "auto"
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted != "cuda":
        return torch.device(wanted)
    if not torch.cuda.is_available():
        raise BackendError("device is cuda, but torch finds no CUDA device; use device: cpu")
    return torch.device("cuda", workload.rank % torch.cuda.device_count())


def _until_end(row: list[int], eos_ids: Sequence[int]) -> list[int]:
    for position, token in enumerate(row):
        if token in eos_ids:
            return row[: position + 1]
    return row

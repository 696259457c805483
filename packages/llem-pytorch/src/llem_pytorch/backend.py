"""The backend: transformers' ``generate`` on PyTorch."""

from __future__ import annotations

import gc
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
    Purpose,
    RequestOutput,
    RunFacts,
    Workload,
)
from llem_core.errors import BackendError
from llem_core.models.architecture import dropped_quantisation
from llem_core.models.shapes import is_shape
from llem_core.models.tokenizer import Tokenizer
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from llem_pytorch.config import PyTorchConfig
from llem_pytorch.errors import engine_errors, hub_errors
from llem_pytorch.generation.batching import Encoded, group, longest_sequence, pad
from llem_pytorch.generation.compiling import (
    GRAPH_MODES,
    Compilations,
    Shape,
    compile_arguments,
    compile_mode,
    distinct_shapes,
    fit,
    forget_compiled,
    has_static_cache,
    shape_like,
    shape_of,
)
from llem_pytorch.generation.decoding import generation_config, unused_settings
from llem_pytorch.generation.quiet import quiet
from llem_pytorch.generation.timing import LastLogits, StepRecorder
from llem_pytorch.model.facts import (
    allows_inference_mode,
    effective_settings,
    input_device,
    model_info,
    position_limit,
    stated_positions,
)
from llem_pytorch.model.hub import offline_if_unreachable
from llem_pytorch.model.loading import load_adapter, load_assistant, load_model, load_tokenizer
from llem_pytorch.model.memory import host_peak, reset_host_peak
from llem_pytorch.model.placement import (
    choose_device,
    device_peak,
    peak_so_far,
    prepare_process,
    release_cache,
)

# Odd, so that every index gives another seed; torch keeps 32 bits of one on a CPU.
_SEED_STEP, _SEEDS = 0x9E3779B1, 2**32


@dataclass(frozen=True, slots=True)
class _Inputs:
    """A batch on its device: ids and mask of shape (rows, longest prompt), settings, seed."""

    ids: torch.Tensor
    mask: torch.Tensor
    settings: GenerationConfig
    eos_ids: tuple[int, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class _Raw:
    """What ``generate`` leaves behind: all tokens, prompt included, and notes of the steps."""

    tokens: torch.Tensor
    recorder: StepRecorder
    largest_logits: torch.Tensor | None


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
        self._cuda_indices: list[int] = []
        self._position_limit: int | None = None
        self._made_for: int | None = None
        self._beyond = 0
        self._reset_worked = False
        self._inference_mode = False
        self._last_logits = LastLogits()
        self._head_is_watched = False
        self._compilations = Compilations()
        self._longest_sequence = 0
        self._shapes: frozenset[Shape] = frozenset()

    def load(self) -> ModelInfo:
        """Load model, adapter, tokenizer and draft model."""
        self._device = choose_device(self.workload, self._section)
        prepare_process(self.workload, self._section, self._device)
        with quiet(), offline_if_unreachable(self._names):
            is_random, notes = self._load_parts()
        self._position_limit = position_limit(self._model)
        self._made_for = stated_positions(self._model)
        self._cuda_indices = sorted(
            {p.device.index or 0 for p in self._model.parameters() if p.device.type == "cuda"}
        )
        # generate fills every setting that a batch leaves open from here: what the checkpoint
        # asks for must not leak in, nor its end token where outputs go on past it.
        self._model.generation_config = GenerationConfig()
        if self._assistant is not None:
            self._configure_assistant()
        if self._section.torch_compile:
            self._compile()
        self._inference_mode = allows_inference_mode(self._section, self._device)
        head = self._model.get_output_embeddings()
        if self._inference_mode and head is not None:
            head.register_forward_hook(self._last_logits.note)
            self._head_is_watched = True
        return model_info(
            self._model,
            self.workload,
            random_weights=is_random,
            settings=effective_settings(self._section, self._model, self._device),
            notes=notes,
        )

    def _load_parts(self) -> tuple[bool, tuple[str, ...]]:
        workload, section = self.workload, self._section
        with hub_errors(workload.model, peak_so_far):
            self._model, is_random = load_model(workload, self._device)
            self._tokenizer, remark = load_tokenizer(workload, self._model)
        notes = [remark] if remark else []
        if section.load_format == "dummy":
            notes += dropped_quantisation(self._model.config.to_dict())
        notes += unused_settings(self._model.generation_config, workload)
        if workload.lora is not None:
            with hub_errors(f"lora.adapter {workload.lora.adapter}", peak_so_far):
                self._model = load_adapter(self._model, workload.lora)
        if section.assistant_model is not None:
            with hub_errors(f"assistant_model {section.assistant_model}", peak_so_far):
                self._assistant = load_assistant(workload, self._device)
            if is_shape(section.assistant_model):
                notes.append("The draft model has random weights: few of its tokens are accepted.")
        return is_random, tuple(notes)

    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        """Tokenise, cut, group, pad, and move to the device.

        Where something is compiled, batches of the warm-up get the shapes of measured ones:
        another length would be compiled for, and the measured one within the window.
        """
        encoded = [self._encode(prompt) for prompt in prompts]
        if purpose == "warmup" and (shape := shape_like(encoded, self._shapes)) is not None:
            return [self._batch(fit(encoded, shape), shape.positions)]
        batches = list(group(encoded, self._section))
        if purpose == "measured":
            self._longest_sequence = longest_sequence(batches)
            if self._compile_mode is not None:
                self._shapes = frozenset(map(shape_of, batches))
        return [self._batch(rows) for rows in batches]

    def warmup_batches(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """The largest batch; where something is compiled, one of each shape."""
        if self._compile_mode is None:
            return super().warmup_batches(batches)
        return distinct_shapes(batches)

    def generate(self, batch: Batch) -> _Raw:
        """One call of transformers' ``generate``."""
        inputs: _Inputs = batch.payload
        recorder = StepRecorder(inputs.ids.shape[0], inputs.ids.device)
        arguments: dict[str, Any] = {}
        if not self._head_is_watched:
            arguments["logits_processor"] = LogitsProcessorList([self._last_logits])
        if not self._has_beams:
            arguments["stopping_criteria"] = StoppingCriteriaList([recorder])
        if self._assistant is not None:
            arguments["assistant_model"] = self._assistant
        with (
            engine_errors("generating", peak_so_far),
            torch.inference_mode(self._inference_mode),
        ):
            if self.workload.decoder.do_sample:
                # A batch's outputs must not depend on how long the warm-up took.
                torch.manual_seed(inputs.seed)
            recorder.start()
            tokens = self._model.generate(
                inputs=inputs.ids,
                attention_mask=inputs.mask,
                generation_config=inputs.settings,
                **arguments,
            )
            recorder.end()
            largest = self._last_logits.largest()
        return _Raw(tokens, recorder, largest)

    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        """Count each request's tokens up to its own end, and read the times."""
        assert isinstance(raw, _Raw)
        inputs: _Inputs = batch.payload
        assert self._tokenizer is not None
        _check_logits(raw.largest_logits)
        start = inputs.ids.shape[1]
        times = None if self._has_beams else raw.recorder.token_times_s(start)
        rows = raw.tokens[:, start:].tolist()
        requests = [
            self._output(batch, position, _until_end(row, inputs.eos_ids), raw.recorder, times)
            for position, row in enumerate(rows)
        ]
        reason = "beam search settles its tokens at the end only" if self._has_beams else None
        return BatchOutput(tuple(requests), times_missing_reason=reason)

    def _output(
        self,
        batch: Batch,
        position: int,
        ids: list[int],
        recorder: StepRecorder,
        times_s: list[float] | None,
    ) -> RequestOutput:
        assert self._tokenizer is not None
        positions = batch.input_tokens[position] + len(ids)
        self._beyond += self._made_for is not None and positions > self._made_for
        own_s = None if times_s is None else tuple(times_s[: len(ids)])
        return RequestOutput(
            index=batch.indices[position],
            input_tokens=batch.input_tokens[position],
            output_tokens=len(ids),
            started_s=recorder.started_s,
            ended_s=own_s[-1] if own_s else recorder.ended_s(),
            token_times_s=own_s,
            token_ids=tuple(ids),
            text=self._tokenizer.decode(ids),
        )

    def synchronise(self) -> None:
        """Wait for every CUDA device in use."""
        for index in self._cuda_indices:
            torch.cuda.synchronize(index)

    def reset_peak_memory(self) -> None:
        """Count peak memory afresh: torch's on CUDA, the process's on a CPU."""
        for index in self._cuda_indices:
            torch.cuda.reset_peak_memory_stats(index)
        self._reset_worked = reset_host_peak()
        self._beyond = 0
        self._compilations.begin()

    def memory(self) -> MemoryReading:
        """Peak memory since the last reset."""
        cuda = self._cuda_indices
        if not cuda:
            return host_peak(self._reset_worked)
        return device_peak(cuda, self._compile_mode in GRAPH_MODES)

    def facts(self) -> RunFacts:
        """What is to be said of the window."""
        notes = []
        if (compiled := self._compilations.remark()) is not None:
            notes.append(compiled)
        if self._beyond:
            notes.append(
                f"{self._beyond} outputs went past the {self._made_for} positions that the model "
                "was made for (max_position_embeddings): what it says there means little."
            )
        return RunFacts(notes=tuple(notes))

    def unload(self) -> None:
        """Free the model and the cache of CUDA's allocator."""
        if self._model is None and self._assistant is None:
            return
        self._model = self._assistant = self._tokenizer = None
        self._cuda_indices = []
        if self._compile_mode is not None:
            forget_compiled()
        # A compiled forward pass and its model hold each other.
        gc.collect()
        release_cache()

    @property
    def _compile_mode(self) -> str | None:
        return compile_mode(self._section, self._device, self._model)

    @property
    def _names(self) -> tuple[str, ...]:
        """Whatever may have to be fetched: model, draft model and adapter."""
        adapter = self.workload.lora.adapter if self.workload.lora is not None else None
        names = (self.workload.model, self._section.assistant_model, adapter)
        return tuple(name for name in names if name is not None)

    @property
    def _has_beams(self) -> bool:
        return (self._section.num_beams or 1) > 1

    def _encode(self, prompt: Prompt) -> Encoded:
        assert self._tokenizer is not None
        if prompt.synthetic_tokens is not None:
            seed = f"{self.workload.random_seed}-{prompt.index}"
            ids, cut = self._tokenizer.synthetic(prompt.synthetic_tokens, seed), False
        else:
            ids, cut = self._tokenizer.encode(prompt.text or "", self.workload.max_input_tokens)
        if not ids:
            raise BackendError(f"prompt {prompt.index} has no tokens")
        limit, needed = self._position_limit, len(ids) + prompt.max_new_tokens
        if limit is not None and needed > limit:
            raise BackendError(
                f"prompt {prompt.index} and its output need {needed} positions and the model has "
                f"{limit}; lower max_input_tokens or max_output_tokens"
            )
        return Encoded(prompt.index, ids, cut, prompt.max_new_tokens, prompt.exact_output)

    def _batch(self, rows: Sequence[Encoded], positions: int | None = None) -> Batch:
        assert self._tokenizer is not None
        ids, mask = pad(rows, self._tokenizer.pad_id, positions)
        settings = generation_config(
            self.workload,
            self._tokenizer.eos_ids,
            self._tokenizer.pad_id,
            rows[0].max_new_tokens,
            rows[0].exact,
            self._longest_sequence,
        )
        eos = settings.eos_token_id
        device = input_device(self._model)
        seed = (self.workload.random_seed + _SEED_STEP * (rows[0].index + 1)) % _SEEDS
        inputs = _Inputs(ids.to(device), mask.to(device), settings, tuple(eos) if eos else (), seed)
        return Batch(
            indices=tuple(row.index for row in rows),
            input_tokens=tuple(len(row.ids) for row in rows),
            payload=inputs,
            padded_tokens=ids.numel(),
            truncated=sum(row.truncated for row in rows),
        )

    def _configure_assistant(self) -> None:
        section = self._section
        mine, others = (
            part.config.get_text_config().vocab_size for part in (self._model, self._assistant)
        )
        if mine != others:
            raise BackendError(
                f"assistant_model {section.assistant_model} has a vocabulary of {others} tokens, "
                f"the model one of {mine}; choose a draft model with the same tokenizer"
            )
        names = ("num_assistant_tokens", "num_assistant_tokens_schedule")
        given = {n: getattr(section, n) for n in (*names, "assistant_confidence_threshold")}
        self._assistant.generation_config = GenerationConfig(**given)

    def _compile(self) -> None:
        automatic = has_static_cache(self._section)
        # With a static cache on CUDA, generate compiles by itself, with the same settings.
        if not (automatic and self._device.type == "cuda"):
            arguments = compile_arguments(self._section)
            self._model.forward = torch.compile(self._model.forward, **arguments)


def _check_logits(largest: torch.Tensor | None) -> None:
    if largest is None:
        return
    broken = int((largest.isnan() | largest.isposinf()).sum())
    if broken:
        raise BackendError(
            f"the logits of {broken} of {len(largest)} rows are not finite, so the outputs mean "
            "nothing; use precision: bf16 or fp32, and see that the checkpoint is whole"
        )


def _until_end(row: list[int], eos_ids: Sequence[int]) -> list[int]:
    for position, token in enumerate(row):
        if token in eos_ids:
            return row[: position + 1]
    return row

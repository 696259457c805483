"""Floating-point operations of inference, computed from the model's shape.

A multiplication and an addition are 2 FLOP (Kaplan et al., arXiv 2001.08361, section 2.1):

- matrix products: 2 × weights that a position passes through, of a mixture those of the chosen
  experts, at every position;
- output projection: 2 × its weights, at the positions whose logits are made;
- attention: 2 × query width × context for the scores and 2 × value width × context for the
  weighted values, layer by layer. The context of a position is itself and those before it, at
  most the layer's window (Chowdhery et al., arXiv 2204.02311, appendix B, with the causal mask);
- state-space layers: the convolution over time and the reading of the states.

Elementwise work (norms, activations, softmax, rotary positions, the update of the states) is
left out. Eager kernels compute the scores of a prompt between all pairs of positions and mask
half of them; ``total_full_attention_flops`` counts those too, as torch's ``FlopCounterMode``
does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from llem_core.contracts.backend import DeviceInfo, ModelInfo
from llem_core.contracts.compute import AttentionShape, ComputeShape
from llem_core.measure.result.peaks import Peak, peak_of
from llem_core.results.model import FlopsResult

_MATRIX, _HEAD = "matrix products", "output projection"
_ATTENTION, _STATES = "attention", "state-space layers"
_LEFT_OUT = ("norms, activations, softmax and other elementwise work",)


class _Pass(NamedTuple):
    """New positions of a row after those that are kept, all at once or one at a time."""

    past: int
    new: int
    one_by_one: bool = False


@dataclass(slots=True)
class _Sum:
    """FLOP of some passes, part by part."""

    matrix: float = 0.0
    projection: float = 0.0
    attention: float = 0.0
    full_attention: float = 0.0
    states: float = 0.0

    @property
    def total(self) -> float:
        return self.matrix + self.projection + self.attention + self.states


class FlopsEstimator:
    """Computes the FLOP of one experiment.

    Args:
        info: facts of the model; without a number of parameters there is no figure, and without
            ``ModelInfo.compute`` the matrix products alone are counted.
    """

    def __init__(self, info: ModelInfo) -> None:
        self._info = info
        self._shape = info.compute or _rough_shape(info)

    def estimate(
        self,
        input_tokens: Sequence[int],
        output_tokens: Sequence[int],
        *,
        padded_input_tokens: int,
        duration_s: float,
        devices: Sequence[DeviceInfo],
    ) -> FlopsResult:
        """FLOP by phase, achieved rate and utilisation.

        Args:
            input_tokens: tokens of each prompt.
            output_tokens: tokens of each output, in the same order; the first of each comes
                from prefill, so decode has one pass less.
            padded_input_tokens: prompt positions computed, padding included.
            duration_s: length of the window (s).
            devices: the devices in use, all processes together.
        """
        shape, lengths = self._shape, list(zip(input_tokens, output_tokens, strict=True))
        if shape is None:
            return _unknown("the backend does not tell the number of parameters")
        prefill = _count(shape, (_Pass(0, n) for n, _ in lengths), shape.sequences_per_request)
        decode = _count(shape, _decode_passes(shape, lengths), shape.sequences_per_request)
        padding = max(padded_input_tokens - sum(input_tokens), 0) * shape.sequences_per_request
        total = prefill.total + decode.total
        skipped = prefill.full_attention + decode.full_attention
        skipped -= prefill.attention + decode.attention
        peak = self._peak(devices)
        rate = total / duration_s if duration_s > 0 else None
        return FlopsResult(
            prefill_flops=prefill.total,
            decode_flops=decode.total,
            total_flops=total,
            total_full_attention_flops=total + skipped,
            matrix_flops=prefill.matrix + decode.matrix,
            attention_flops=prefill.attention + decode.attention if self._told else None,
            output_projection_flops=(
                prefill.projection + decode.projection if self._told else None
            ),
            state_space_flops=prefill.states + decode.states if self._told else None,
            padding_flops=2.0 * shape.matrix_parameters * padding,
            flops_per_second=rate,
            peak_flops_per_second=peak.flops_per_second,
            model_flops_utilisation=(
                rate / peak.flops_per_second if rate is not None and peak.flops_per_second else None
            ),
            parts=self._parts(shape),
            left_out=[*shape.not_counted, *_LEFT_OUT],
            method="computed from the model's shape: 2 FLOP for a multiplication and an addition",
            confidence=self._confidence(shape),
            reason=peak.reason,
        )

    @property
    def _told(self) -> bool:
        return self._info.compute is not None

    def _parts(self, shape: ComputeShape) -> list[str]:
        present = (
            (_MATRIX, True),
            (_HEAD, shape.output_projection_parameters),
            (_ATTENTION, shape.attention),
            (_STATES, shape.state_space_flops_per_position),
        )
        return [name for name, there in present if there]

    def _confidence(self, shape: ComputeShape) -> Literal["high", "low"]:
        return "low" if shape.not_counted else "high"

    def _peak(self, devices: Sequence[DeviceInfo]) -> Peak:
        # Processes that share a card share its peak; cards without a UUID count one by one.
        distinct = {d.uuid or position: d for position, d in enumerate(devices)}
        settings = self._info.effective_settings
        tensor_fp32 = settings.get("matmul_precision") in {"high", "medium"}
        total = 0.0
        for device in distinct.values():
            peak = peak_of(device.name, self._info.dtype, fp32_on_tensor_cores=tensor_fp32)
            if peak.flops_per_second is None:
                return peak
            total += peak.flops_per_second
        return Peak(total) if total else Peak(None, "the backend names no device")


def _rough_shape(info: ModelInfo) -> ComputeShape | None:
    active = info.active_parameters_non_embedding
    parameters = info.parameters_non_embedding if active is None else active
    if parameters is None:
        return None
    return ComputeShape(
        matrix_parameters=parameters,
        output_projection_parameters=0,
        not_counted=("attention and output projection, which the backend does not describe",),
    )


def _decode_passes(shape: ComputeShape, lengths: Sequence[tuple[int, int]]) -> Iterator[_Pass]:
    for n_in, n_out in lengths:
        # The first output comes from prefill, and the last one is fed to nothing.
        if shape.keeps_cache:
            yield _Pass(n_in, max(n_out - 1, 0), one_by_one=True)
        else:
            yield from (_Pass(0, n_in + done + 1) for done in range(n_out - 1))


def _count(shape: ComputeShape, passes: Iterator[_Pass], rows: int) -> _Sum:
    positions = logits = 0
    found = _Sum()
    contexts = [0] * len(shape.attention)
    full_contexts = [0] * len(shape.attention)
    expanded = 0
    for each in passes:
        positions += each.new
        every = each.one_by_one or shape.projects_every_prompt_position
        logits += each.new if every else 1
        for number, kind in enumerate(shape.attention):
            contexts[number] += _context(each, kind.window)
            full_contexts[number] += _full_context(each, kind.window)
            if kind.expansion_parameters:
                kept = _context(each, kind.window) if each.one_by_one else each.past + each.new
                expanded += kind.layers * kind.expansion_parameters * kept
    found.matrix = 2.0 * (shape.matrix_parameters * positions + expanded) * rows
    found.projection = 2.0 * shape.output_projection_parameters * logits * rows
    found.states = shape.state_space_flops_per_position * positions * rows
    found.attention = rows * _attention(shape.attention, contexts)
    found.full_attention = rows * _attention(shape.attention, full_contexts)
    return found


def _attention(kinds: Sequence[AttentionShape], contexts: Sequence[int]) -> float:
    return sum(
        2.0 * kind.layers * (kind.query_width + kind.value_width) * context
        for kind, context in zip(kinds, contexts, strict=True)
    )


def _context(each: _Pass, window: int | None) -> int:
    """Sum of what the new positions attend to: past+1 … past+new, at most the window."""
    end = each.past + each.new
    if window is None or end <= window:
        return _triangle(end) - _triangle(each.past)
    rising = max(window - each.past, 0)
    return _triangle(each.past + rising) - _triangle(each.past) + window * (each.new - rising)


def _full_context(each: _Pass, window: int | None) -> int:
    """As ``_context``, without the causal mask and the window among the new positions."""
    return _context(each, window) if each.one_by_one else each.new * (each.past + each.new)


def _triangle(n: int) -> int:
    return n * (n + 1) // 2


def _unknown(reason: str) -> FlopsResult:
    return FlopsResult(
        prefill_flops=None,
        decode_flops=None,
        total_flops=None,
        total_full_attention_flops=None,
        matrix_flops=None,
        attention_flops=None,
        output_projection_flops=None,
        state_space_flops=None,
        padding_flops=None,
        flops_per_second=None,
        peak_flops_per_second=None,
        model_flops_utilisation=None,
        parts=[],
        left_out=[],
        method="none",
        confidence="low",
        reason=reason,
    )

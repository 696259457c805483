"""Floating-point operations of inference, computed from the model's shape.

A position costs ``2·N`` FLOP in matrix products over N non-embedding parameters (one multiply
and one add each: Kaplan et al., arXiv 2001.08361, section 2.1), and ``4·L·d·c`` in attention,
where L is the number of layers, d the attention width (heads × head dimension) and c the
number of positions that it attends to, itself included: ``2·d·c`` for the scores and as much
for the weighted values (Chowdhery et al., arXiv 2204.02311, appendix B, there for training and
without the causal mask). Embedding, output projection, norms, activations and softmax are left
out, as in the former.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from llem_core.contracts.backend import DeviceInfo, ModelInfo
from llem_core.measure.result.peaks import peak_flops_per_second
from llem_core.results.model import FlopsResult

_MATRIX = "2·N·positions"
_ATTENTION = "4·layers·attention width·context"


class FlopsEstimator:
    """Computes the FLOP of one experiment.

    Args:
        info: facts of the model; without a number of parameters there is no figure.
    """

    def __init__(self, info: ModelInfo) -> None:
        self._info = info
        total, active = info.parameters_non_embedding, info.active_parameters_non_embedding
        self._parameters = active if active is not None else total
        self._sparse = active is not None and active != total

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
                from prefill, so decode has one position less.
            padded_input_tokens: prompt positions computed, padding included.
            duration_s: length of the window (s).
            devices: the devices in use, all processes together.
        """
        if self._parameters is None:
            return self._unknown("the backend does not tell the number of parameters")
        prefill_positions = sum(input_tokens)
        decode_positions = sum(max(out - 1, 0) for out in output_tokens)
        prefill_context = sum(_triangle(0, n) for n in input_tokens)
        decode_context = sum(
            _triangle(n, n + max(out - 1, 0))
            for n, out in zip(input_tokens, output_tokens, strict=True)
        )
        each = self._attention_per_context()
        prefill = 2.0 * self._parameters * prefill_positions + each * prefill_context
        decode = 2.0 * self._parameters * decode_positions + each * decode_context
        padding = 2.0 * self._parameters * max(padded_input_tokens - prefill_positions, 0)
        peak = self._peak(devices)
        rate = (prefill + decode) / duration_s if duration_s > 0 else None
        return FlopsResult(
            prefill_flops=prefill,
            decode_flops=decode,
            total_flops=prefill + decode,
            attention_flops=each * (prefill_context + decode_context) if each else None,
            padding_flops=padding,
            flops_per_second=rate,
            peak_flops_per_second=peak,
            model_flops_utilisation=rate / peak if rate is not None and peak else None,
            method=f"{_MATRIX} + {_ATTENTION}" if each else f"{_MATRIX}, attention not counted",
            confidence=self._confidence(),
            reason=None
            if peak
            else f"no peak is known for {_names(devices)} at {self._info.dtype}",
        )

    def _attention_per_context(self) -> float:
        layers, width = self._info.n_layers, self._info.attention_width
        return 0.0 if layers is None or width is None else 4.0 * layers * width

    def _confidence(self) -> Literal["high", "medium", "low"]:
        return "medium" if self._sparse or not self._attention_per_context() else "high"

    def _peak(self, devices: Sequence[DeviceInfo]) -> float | None:
        # Processes that share a card share its peak; cards without a UUID count one by one.
        distinct = {d.uuid or position: d for position, d in enumerate(devices)}
        peaks = [peak_flops_per_second(d.name, self._info.dtype) for d in distinct.values()]
        known = [peak for peak in peaks if peak is not None]
        return sum(known) if known and len(known) == len(peaks) else None

    def _unknown(self, reason: str) -> FlopsResult:
        return FlopsResult(
            prefill_flops=None,
            decode_flops=None,
            total_flops=None,
            attention_flops=None,
            padding_flops=None,
            flops_per_second=None,
            peak_flops_per_second=None,
            model_flops_utilisation=None,
            method="none",
            confidence="low",
            reason=reason,
        )


def _triangle(start: int, end: int) -> int:
    """Sum of the context lengths of positions ``start`` to ``end − 1``: start+1 … end."""
    return (end * (end + 1) - start * (start + 1)) // 2


def _names(devices: Sequence[DeviceInfo]) -> str:
    return ", ".join(dict.fromkeys(device.name for device in devices)) or "no device"

"""What one position of a transformers model computes, read off its modules.

Modules are told apart by the names of their classes, so that neither torch nor transformers is
imported here; the model's tensors may be on the device ``meta``. The text decoder alone is
walked: a vision tower that text does not pass through computes nothing. Whatever kind of layer
is not known here is named, so that the FLOP of such a model are said to be incomplete.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from llem_core.contracts.compute import AttentionShape, ComputeShape

# Layers that pass on a state from position to position. Of the first kind, all that is more
# than elementwise is counted; of the others, the linear layers alone.
_READABLE_STATES = re.compile(r"^(Mamba|JambaMamba|FalconMamba)Mixer$")
_OTHER_STATES = re.compile(
    r"Mixer$|DeltaNet$|Rglru$|^Rwkv.*Attention$|LinearAttention$|Lightning.*Attention$|LSTM"
)
_CONVOLUTIONS = re.compile(r"ShortConv$")
# These run every expert over every token, and weigh the others with zero.
_DENSE_EXPERTS = re.compile(r"^Llama4TextExperts$")
_ROUTERS = re.compile(r"Router$|Gate$")


def text_decoder(model: Any) -> Any:
    """The part of a model that text passes through, without the output projection."""
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
    return model if decoder is None else decoder


class Compute(NamedTuple):
    """What a model computes.

    Attributes:
        shape: everything that FLOP are computed from.
        parameters: parameters of the text decoder, without embeddings and output projection.
        active_parameters: those that one token passes through.
    """

    shape: ComputeShape
    parameters: int
    active_parameters: int


def read_compute(
    model: Any,
    *,
    keeps_cache: bool = True,
    sequences_per_request: int = 1,
    not_counted: Sequence[str] = (),
    projects_every_prompt_position: bool | None = None,
) -> Compute:
    """Everything that FLOP are computed from.

    Args:
        model: as transformers made it, with its adapter.
        keeps_cache, sequences_per_request, projects_every_prompt_position: how the engine runs
            it; see ``ComputeShape``. The last is read off the model if not given.
        not_counted: what the engine computes besides, each a phrase.
    """
    decoder, head = text_decoder(model), model.get_output_embeddings()
    config = model.config.get_text_config(decoder=True)
    counter = _Walk(decoder, head, config)
    shape = ComputeShape(
        matrix_parameters=round(counter.matrix),
        output_projection_parameters=0 if head is None else _linear_size(head),
        attention=counter.attention,
        state_space_flops_per_position=counter.states,
        projects_every_prompt_position=(
            "logits_to_keep" not in inspect.signature(type(model).forward).parameters
            if projects_every_prompt_position is None
            else projects_every_prompt_position
        ),
        keeps_cache=keeps_cache,
        sequences_per_request=sequences_per_request,
        not_counted=(*counter.unknown, *not_counted),
    )
    # Tied weights are one parameter; quantised ones are packed, which num_parameters knows.
    apart = {id(m.weight): m.weight for m in decoder.modules() if _is_apart(m, head)}
    parameters = int(decoder.num_parameters()) - sum(w.numel() for w in apart.values())
    return Compute(shape, parameters, parameters - round(counter.resting))


class _Walk:
    """Adds up the modules of a decoder.

    Attributes:
        matrix: weights that a position passes through.
        resting: weights of experts that it does not pass through.
        attention: attention layers by kind.
        states: FLOP of a position in convolutions and the reading of states.
        unknown: what is not counted.
    """

    def __init__(self, decoder: Any, head: Any, config: Any) -> None:
        self._config = config
        self.matrix = self.resting = 0.0
        self.states = 0.0
        self.unknown: list[str] = []
        kinds: Counter[AttentionShape] = Counter()
        for name, module in decoder.named_modules():
            if _is_apart(module, head):
                continue
            whole, share = self._matrix(name, module), self._share(name)
            self.matrix += whole * share
            self.resting += whole * (1 - share)
            self.states += self._states(module)
            if _has_other_states(module):
                self._doubt(f"the recurrence of {type(module).__name__}")
            elif _is_attention(module) and (shape := self._attention(module)) is not None:
                kinds[shape] += 1
        self.attention = tuple(replace(kind, layers=count) for kind, count in kinds.items())
        if not (kinds or self.states or self.unknown):
            self._doubt("whatever mixes the positions of this architecture")

    def _matrix(self, name: str, module: Any) -> float:
        kind = type(module).__name__
        if _is_a(module, "Linear", "Conv1D"):
            return float(_linear_size(module))
        if _is_a(module, "_ConvNd"):
            return 0
        total = 0.0
        for label, parameter in module.named_parameters(recurse=False):
            if "bias" in label or parameter.ndim < 2:
                continue
            if parameter.ndim == 3 and kind.endswith("Experts"):
                if _DENSE_EXPERTS.match(kind):
                    self._doubt(f"tokens that {kind} weighs with zero")
                share = self._chosen(parameter.shape[0], name)
                total += parameter.numel() * share
                self.resting += parameter.numel() * (1 - share)
            elif _ROUTERS.search(kind) and parameter.ndim == 2:
                total += parameter.numel()
            elif max(parameter.shape) != parameter.numel() and not _READABLE_STATES.match(kind):
                self._doubt(f"{label} of {kind}")
        return total

    def _share(self, name: str) -> float:
        """Of a list of experts, what one token passes through; 1 outside."""
        return self._chosen(None, name) if re.search(r"(^|\.)experts\.\d+\.", name) else 1.0

    def _chosen(self, count: int | None, name: str) -> float:
        names = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
        of = count or _first(self._config, *names)
        chosen = _first(self._config, "num_experts_per_tok", "top_k_experts", "moe_topk", "moe_k")
        if not of or not chosen:
            self._doubt(f"how many of the experts in {name} a token passes through")
            return 1.0
        return float(chosen / of)

    def _states(self, module: Any) -> float:
        if _is_a(module, "Conv1d"):
            return 2.0 * float(module.weight.numel())
        if _READABLE_STATES.match(type(module).__name__):
            return 2.0 * int(module.intermediate_size) * int(module.ssm_state_size)
        return 0.0

    def _attention(self, module: Any) -> AttentionShape | None:
        heads = _first(module, "num_heads", "num_attention_heads", "n_heads")
        heads = heads or _first(self._config, "num_attention_heads", "n_head", "n_heads")
        hidden = _first(self._config, "hidden_size", "n_embd", "d_model")
        if not heads or not hidden:
            self._doubt(f"the scores of {type(module).__name__}")
            return None
        own = _first(module, "head_dim", "head_size")
        width = own or _first(self._config, "head_dim") or hidden // heads
        query = _first(module, "qk_head_dim", "q_head_dim") or width
        value = _first(module, "v_head_dim") or width
        expansion = _linear_size(module.kv_b_proj) if hasattr(module, "expand_kv") else 0
        # Counted with the context, not with the positions.
        self.matrix -= expansion
        return AttentionShape(1, heads * query, heads * value, self._window(module), expansion)

    def _window(self, module: Any) -> int | None:
        """As transformers' cache has it: what a layer does not keep, it does not attend to."""
        kinds = getattr(self._config, "layer_types", None)
        index = getattr(module, "layer_idx", None)
        sliding = getattr(self._config, "sliding_window", None)
        chunk = getattr(self._config, "attention_chunk_size", None)
        if kinds is None or index is None:
            kind = "sliding" if sliding else "chunked" if chunk else "full"
        else:
            kind = kinds[index]
        if kind.startswith("chunked"):
            self._doubt("the edges of chunked attention, which is counted as a window")
            return chunk
        return sliding if kind.startswith("sliding") else None

    def _doubt(self, what: str) -> None:
        if what not in self.unknown:
            self.unknown.append(what)


def _is_a(module: Any, *names: str) -> bool:
    return any(base.__name__ in names for base in type(module).__mro__)


def _is_apart(module: Any, head: Any) -> bool:
    return module is head or _is_a(module, "Embedding")


def _has_other_states(module: Any) -> bool:
    kind = type(module).__name__
    if _READABLE_STATES.match(kind) or _CONVOLUTIONS.search(kind):
        return False
    convolves = any(_is_a(child, "Conv1d") for child in module.children())
    return convolves or _OTHER_STATES.search(kind) is not None


def _is_attention(module: Any) -> bool:
    name = type(module).__name__
    if not name.endswith("Attention") or _OTHER_STATES.search(name):
        return False
    # A wrapper around the attention of its kind (GPT-Neo's) is no second one.
    return not any(_is_attention(child) for child in module.children())


def _linear_size(module: Any) -> int:
    # Quantised weights are packed: their own shape says nothing.
    if hasattr(module, "in_features"):
        return int(module.in_features * module.out_features)
    return int(module.weight.numel())


def _first(owner: Any, *names: str) -> int | None:
    found = (getattr(owner, name, None) for name in names)
    return next((value for value in found if isinstance(value, int) and value > 0), None)

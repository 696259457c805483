"""What one position of a model computes, as far as FLOP are counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """Attention layers of one kind.

    Attributes:
        layers: how many layers are of this kind.
        query_width: query heads × dimension of a query head (the scores).
        value_width: query heads × dimension of a value head (the weighted values).
        window: a position attends to at most so many positions, itself included; ``None`` for
            all before it.
        expansion_parameters: weights of one layer that turn what is kept of a position into
            keys and values, for the whole context in every pass (latent attention); 0 where
            keys and values themselves are kept.
    """

    layers: int
    query_width: int
    value_width: int
    window: int | None = None
    expansion_parameters: int = 0


@dataclass(frozen=True, slots=True)
class ComputeShape:
    """Everything that FLOP are computed from.

    Attributes:
        matrix_parameters: weights of the matrix products that every position passes through,
            of a mixture those of the chosen experts; without embeddings, output projection,
            norms and biases.
        output_projection_parameters: weights from the last layer to the vocabulary.
        attention: the attention layers by kind; empty for a model without attention.
        state_space_flops_per_position: FLOP of convolutions over time and of reading the
            states of state-space layers, all layers together.
        projects_every_prompt_position: whether the prefill makes logits of every position of
            the prompt, not of the last one alone.
        keeps_cache: whether earlier positions are kept; otherwise each output token computes
            all positions anew.
        sequences_per_request: rows computed for one request (beams of a beam search).
        not_counted: each a phrase on a part that is computed and not counted.
    """

    matrix_parameters: int
    output_projection_parameters: int
    attention: tuple[AttentionShape, ...] = ()
    state_space_flops_per_position: float = 0.0
    projects_every_prompt_position: bool = False
    keeps_cache: bool = True
    sequences_per_request: int = 1
    not_counted: tuple[str, ...] = ()

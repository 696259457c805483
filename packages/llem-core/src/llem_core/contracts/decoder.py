"""How tokens are chosen: ``decoder`` in an experiment file."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from llem_core.contracts.section import Section

_SAMPLING_ONLY = ("temperature", "top_k", "top_p", "min_p")


class DecoderConfig(Section):
    """How tokens are chosen. Greedy unless ``do_sample`` is set."""

    do_sample: bool = Field(
        False, description="Sample from the distribution instead of taking the likeliest token."
    )
    temperature: float | None = Field(
        None, gt=0, description="Divisor of the logits (dimensionless). Needs do_sample."
    )
    top_k: int | None = Field(
        None,
        ge=0,
        description="Sample among this many likeliest tokens; 0 is off. Needs do_sample.",
    )
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Sample among the likeliest tokens of this total probability. Needs do_sample.",
    )
    min_p: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Drop tokens below this share of the likeliest one's probability. "
        "Needs do_sample.",
    )
    repetition_penalty: float | None = Field(
        None, gt=0, description="Factor against tokens seen before (dimensionless); 1 is off."
    )
    min_new_tokens: int | None = Field(
        None, ge=0, description="Output tokens that a request has at the least."
    )
    ignore_eos: bool = Field(
        False, description="Go on past the end-of-sequence token up to max_output_tokens."
    )

    @model_validator(mode="after")
    def _sampling_options_need_sampling(self) -> Self:
        given = [name for name in _SAMPLING_ONLY if getattr(self, name) is not None]
        if given and not self.do_sample:
            raise ValueError(
                f"{', '.join(given)} would have no effect: decoding is greedy. "
                "Set decoder.do_sample: true, or remove the option"
            )
        return self

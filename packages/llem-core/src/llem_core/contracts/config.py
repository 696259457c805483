"""Configuration that plugins own or receive: their sections, the decoder and the LoRA adapter."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from llem_core.text import without_password


class StrictModel(BaseModel):
    """Base of everything that a user writes: unknown keys are errors, and so are mixed-up types.

    A truth value is no number: YAML reads ``yes``, ``no``, ``on`` and ``off`` as truth values, and
    pydantic would take them for 1 and 0. A number beyond 64 bits is a mistake, too.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        # Most models of the installed plugins are not used in a run; building one takes time.
        defer_build=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _values_are_what_they_seem(cls, value: Any, info: ValidationInfo) -> Any:
        if type(value) is int and abs(value) >= 2**63:
            raise ValueError("the number is beyond 64 bits; write a smaller one")
        if isinstance(value, bool | list | tuple | dict):
            annotation: Any = cls.model_fields[info.field_name or ""].annotation
            if _has_truth_value(value) and not _takes_any(annotation):
                raise ValueError(
                    f"{value!r:.60} is a truth value (YAML reads yes, no, on and off as such), "
                    "which this field does not take; write what you mean, a text in quotes"
                )
        return value


def _has_truth_value(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_truth_value, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_truth_value, value))
    return isinstance(value, bool)


_NO_TRUTH_VALUES = (int, float, complex, str, type(None), Ellipsis)


@functools.cache
def _takes_any(annotation: Any) -> bool:
    """Whether a truth value may stand somewhere in a value of this type."""
    if get_origin(annotation) is Literal:
        return any(isinstance(argument, bool) for argument in get_args(annotation))
    arguments = get_args(annotation)
    if arguments:
        return any(map(_takes_any, arguments))
    # A nested model looks at its own fields.
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return is_model or annotation not in _NO_TRUTH_VALUES


class Section(StrictModel):
    """Base of a plugin's section: the mapping under the plugin's name in an experiment file.

    Give every field a ``description`` that has its unit; it becomes the reference page.
    Unknown keys are errors. Importing the module of a section must stay cheap: no torch,
    no vendor library.

    Example::

        from pydantic import Field
        from llem_core.contracts import Section

        class MeterConfig(Section):
            path: str = Field("/run/meter", description="File the meter writes watts to.")
    """

    # A default written as 0 in a float field must hash like the 0.0 of a user's file.
    model_config = ConfigDict(validate_default=True, protected_namespaces=())


class BackendSection(Section):
    """Base of a backend's section.

    A user may also write a shared inference field here (``precision``,
    ``max_output_tokens`` and the others in ``SHARED_FIELDS``): the core moves it to the top
    of the experiment before this model sees the section, so a backend reads such a value from
    its ``Workload`` and never declares it.
    """

    SHARED_FIELDS: ClassVar[frozenset[str]] = frozenset(
        {
            "precision",
            "n",
            "max_input_tokens",
            "max_output_tokens",
            "random_seed",
            "decoder",
            "lora",
            "passthrough_kwargs",
        }
    )

    def process_count(self) -> int:
        """How many data-parallel processes this section asks for (1: run in this one).

        The core starts them, gives each its share of the prompts, and keeps their raw
        results apart until they are aggregated.
        """
        return 1

    def shared_engine(self) -> str | None:
        """Names the engine that experiments share within a cycle; ``None``: each has its own.

        Experiments that give the same name follow each other within each cycle of a study.
        """
        return None


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


def no_password(text: str) -> str:
    """The text, if it is no address with a user's name or password in it.

    Raises:
        ValueError: it is one; such a text would come to stand in files and messages.
    """
    if without_password(text) != text:
        raise ValueError(
            "an address with a user's name or password in it cannot stand here, since it would "
            "stand in files and messages; give a hub id, or a local path"
        )
    return text


class LoRAConfig(Section):
    """A LoRA adapter that is loaded on top of the model."""

    adapter: str = Field(
        min_length=1, description="Hub id or local path of the adapter (PEFT format)."
    )
    revision: str | None = Field(
        None, description="Branch, tag or commit of the adapter on the hub."
    )
    merge: bool = Field(
        False, description="Merge the adapter's weights into the model before measuring."
    )

    _adapter_has_no_password = field_validator("adapter")(no_password)

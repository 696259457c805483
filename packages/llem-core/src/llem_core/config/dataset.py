"""Where prompts come from: ``dataset`` in an experiment file."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from llem_core.config.warmup import Count
from llem_core.contracts.config import StrictModel, no_password

BUNDLED = "bundled"
SYNTHETIC = "synthetic"
INLINE = "inline"
HUB_PREFIX = "hf:"


class DatasetConfig(StrictModel):
    """Where prompts come from.

    A plain string stands for ``{source: <string>}``, a list of texts for
    ``{source: inline, prompts: <list>}``.
    """

    source: Annotated[str, AfterValidator(no_password)] = Field(
        BUNDLED,
        min_length=1,
        description="`bundled` (real prompts shipped with llem-core), `synthetic` (token-exact, "
        "seeded), the path of a JSONL file (`prompt`, optional `max_new_tokens` a line), "
        "`hf:<repo>[@revision]` (needs the extra llem-core[datasets]), or `inline`.",
    )
    prompts: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None, min_length=1, description="Inline: the prompts themselves."
    )
    input_tokens: Count | None = Field(
        None, description="Synthetic: tokens of each prompt; max_input_tokens if not given."
    )
    output_tokens: Count | None = Field(
        None, description="Synthetic: tokens of each output; max_output_tokens if not given."
    )
    split: str | None = Field(None, description="Hub data set: its split; `train` if not given.")
    subset: str | None = Field(None, description="Hub data set: its configuration name.")
    column: str | None = Field(
        None,
        description="Hub data set: the column with the prompts; `prompt`, `text`, `instruction` or "
        "`question`, whichever comes first, if not given.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_shorthand(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return {"source": INLINE, "prompts": value}
        return {"source": value} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _without_absent_prompts(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The hash of an experiment must not change because data sets learned another form.
        dumped: dict[str, Any] = dump(self)
        if self.prompts is None:
            dumped.pop("prompts", None)
        return dumped

    @model_validator(mode="after")
    def _options_fit_the_source(self) -> Self:
        lengths = [n for n in ("input_tokens", "output_tokens") if getattr(self, n) is not None]
        if lengths and self.source != SYNTHETIC:
            raise ValueError(
                f"{' and '.join(lengths)} are for `source: synthetic` only; the prompts of "
                f"{self.source!r} have their own lengths (cap them with max_input_tokens)"
            )
        if (self.source == INLINE) != (self.prompts is not None):
            raise ValueError("`source: inline` and `prompts` go together: give both or neither")
        hub = [n for n in ("split", "subset", "column") if getattr(self, n) is not None]
        if hub and not self.source.startswith(HUB_PREFIX):
            raise ValueError(f"{' and '.join(hub)} are for data sets of the hub only (`hf:…`)")
        return self

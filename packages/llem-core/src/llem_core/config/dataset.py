"""Where prompts come from: ``dataset`` in an experiment file."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

BUNDLED = "bundled"
SYNTHETIC = "synthetic"
HUB_PREFIX = "hf:"


class DatasetConfig(BaseModel):
    """Where prompts come from. A plain string stands for ``{source: <string>}``."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    source: str = Field(
        BUNDLED,
        min_length=1,
        description="`bundled` (real prompts shipped with llem-core), `synthetic` (token-exact, "
        "seeded), the path of a JSONL file (`prompt`, optional `max_new_tokens` a line), or "
        "`hf:<repo>[@revision]` (needs the extra llem-core[datasets]).",
    )
    input_tokens: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        None, description="Synthetic: tokens of each prompt; max_input_tokens if not given."
    )
    output_tokens: Annotated[int, Field(strict=True, ge=1)] | None = Field(
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
    def _from_string(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _options_fit_the_source(self) -> Self:
        lengths = [n for n in ("input_tokens", "output_tokens") if getattr(self, n) is not None]
        if lengths and self.source != SYNTHETIC:
            raise ValueError(
                f"{' and '.join(lengths)} are for `source: synthetic` only; the prompts of "
                f"{self.source!r} have their own lengths (cap them with max_input_tokens)"
            )
        hub = [n for n in ("split", "subset", "column") if getattr(self, n) is not None]
        if hub and not self.source.startswith(HUB_PREFIX):
            raise ValueError(f"{' and '.join(hub)} are for data sets of the hub only (`hf:…`)")
        return self

"""A LoRA adapter on top of the model: ``lora`` in an experiment file."""

from __future__ import annotations

from pydantic import Field

from llem_core.contracts.section import Section


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

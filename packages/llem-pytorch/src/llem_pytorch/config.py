"""The section ``pytorch`` of an experiment file."""

from __future__ import annotations

from typing import Self

from pydantic import field_validator, model_validator

from llem_pytorch.conflicts import conflicts
from llem_pytorch.fields import PyTorchFields


class PyTorchConfig(PyTorchFields):
    """How transformers runs the model; null is transformers' or PyTorch's own default."""

    def process_count(self) -> int:
        """``num_processes``."""
        return self.num_processes

    @field_validator("max_memory")
    @classmethod
    def _gpus_are_numbers(cls, limits: dict[int | str, str] | None) -> dict[int | str, str] | None:
        # JSON makes texts of the numbers, and accelerate refuses a GPU that is a text.
        if limits is None:
            return None
        return {int(k) if str(k).isdigit() else k: limit for k, limit in limits.items()}

    @model_validator(mode="after")
    def _options_fit_each_other(self) -> Self:
        for conflict in conflicts(self):
            raise ValueError(conflict)
        return self

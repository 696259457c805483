"""``lora`` in an experiment file; it goes into plugins, so the contracts define it."""

from llem_core.contracts.lora import LoRAConfig

__all__ = ["LoRAConfig"]

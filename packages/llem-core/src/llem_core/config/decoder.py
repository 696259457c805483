"""``decoder`` in an experiment file; it goes into plugins, so the contracts define it."""

from llem_core.contracts.decoder import DecoderConfig

__all__ = ["DecoderConfig"]

"""Text to tokens and back: the model's own tokenizer, or bytes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

BYTES = 256


class Tokenizer(Protocol):
    """What the backend needs of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Tokens of a prompt, special ones included."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated tokens, special ones left out."""

    def synthetic(self, length: int, seed: str) -> list[int]:
        """Exactly ``length`` made-up ordinary tokens; the same for the same seed."""


class ByteTokenizer:
    """A token is a byte of UTF-8; ids from 256 on are special and decode to nothing.

    Args:
        bos_ids: tokens that every prompt begins with.
    """

    def __init__(self, bos_ids: Sequence[int] = ()) -> None:
        self._bos_ids = list(bos_ids)

    def encode(self, text: str) -> list[int]:
        """Begin-of-sequence, if there is one, and the bytes."""
        return [*self._bos_ids, *text.encode("utf-8")]

    def decode(self, ids: Sequence[int]) -> str:
        """The bytes as UTF-8; what is none becomes the replacement character."""
        return bytes(i for i in ids if i < BYTES).decode("utf-8", errors="replace")

    def synthetic(self, length: int, seed: str) -> list[int]:
        """Bytes, evenly drawn."""
        return random.Random(seed).choices(range(BYTES), k=length)  # noqa: S311 - no secret


class FileTokenizer:
    """A ``tokenizer.json``, through the package tokenizers."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer as Engine

        self._engine: Any = Engine.from_file(str(path))
        # Cutting and padding are the backend's affair, and must be counted.
        self._engine.no_truncation()
        self._engine.no_padding()
        added = self._engine.get_added_tokens_decoder()
        special = {i for i, token in added.items() if token.special}
        self._ordinary = [i for i in range(self._engine.get_vocab_size()) if i not in special]

    def encode(self, text: str) -> list[int]:
        """Tokens with the special ones that the model expects."""
        ids: list[int] = self._engine.encode(text).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens."""
        text: str = self._engine.decode(list(ids), skip_special_tokens=True)
        return text

    def synthetic(self, length: int, seed: str) -> list[int]:
        """Ordinary tokens of the vocabulary."""
        return random.Random(seed).choices(self._ordinary, k=length)  # noqa: S311 - no secret

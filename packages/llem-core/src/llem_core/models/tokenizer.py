"""Text to tokens and back: a byte-level tokenizer for shapes, the model's own for the rest."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

BYTES = 256
BOS_ID, EOS_ID, PAD_ID = 256, 257, 258
BYTE_VOCABULARY = 259


class Tokenizer(Protocol):
    """What the backend needs of a tokenizer.

    Attributes:
        eos_ids: tokens that end an output.
        pad_id: token that fills up shorter prompts; masked, so its value does not matter.
    """

    eos_ids: tuple[int, ...]
    pad_id: int

    def encode(self, text: str, most: int) -> tuple[list[int], bool]:
        """At most ``most`` tokens, special ones included, and whether the prompt was cut."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated tokens, special ones left out."""

    def synthetic(self, length: int, seed: str) -> list[int]:
        """A made-up prompt of exactly ``length`` ordinary tokens; the same for the same seed."""


class ByteTokenizer:
    """One token a byte of UTF-8, and begin, end and padding: no files needed.

    A model may have a larger vocabulary; tokens beyond the bytes decode to nothing.

    Args:
        vocabulary: size of the model's vocabulary, 259 at least.
        eos_ids: tokens that end an output.
    """

    def __init__(self, vocabulary: int, eos_ids: tuple[int, ...] = (EOS_ID,)) -> None:
        self.eos_ids = eos_ids
        self.pad_id = PAD_ID
        self._vocabulary = vocabulary

    def encode(self, text: str, most: int) -> tuple[list[int], bool]:
        """Begin-of-sequence and the bytes."""
        ids = [BOS_ID, *text.encode("utf-8")]
        return ids[:most], len(ids) > most

    def decode(self, ids: Sequence[int]) -> str:
        """The bytes as UTF-8; what is none becomes the replacement character."""
        return bytes(i for i in ids if i < BYTES).decode("utf-8", errors="replace")

    def synthetic(self, length: int, seed: str) -> list[int]:
        """Tokens over the whole vocabulary but the special ones."""
        return random.Random(seed).choices(self._ordinary, k=length)  # noqa: S311 - no secret

    @cached_property
    def _ordinary(self) -> list[int]:
        return [i for i in range(self._vocabulary) if not BOS_ID <= i <= PAD_ID]


class HubTokenizer:
    """The tokenizer that comes with a model.

    Args:
        tokenizer: of transformers.
        eos_ids: tokens that end an output, as the model's generation configuration says.
        chat: whether prompts become a user's turn of the chat template.
    """

    def __init__(self, tokenizer: Any, eos_ids: tuple[int, ...], chat: bool) -> None:
        self._tokenizer = tokenizer
        self._chat = chat
        self.eos_ids = eos_ids
        pad = tokenizer.pad_token_id
        self.pad_id: int = pad if pad is not None else (eos_ids[0] if eos_ids else 0)
        self._ends_texts = not chat and self._appends_end()

    def encode(self, text: str, most: int) -> tuple[list[int], bool]:
        """Tokens with the special ones that the model expects.

        A chat's turn is cut within the user's text: the template's end, which asks for the
        answer, must stay.
        """
        ids = self._ids(text)
        if len(ids) <= most:
            return ids, False
        content = self._content(text) if self._chat else []
        while content and len(ids) > most:
            content = content[: max(0, len(content) - (len(ids) - most))]
            ids = self._ids(self._tokenizer.decode(content))
        return ids[:most], True

    @property
    def remark(self) -> str | None:
        """What was not done as the tokenizer would have it."""
        if not self._ends_texts:
            return None
        return (
            "The tokenizer appends its end token to each text; it is left out, since a model is "
            "to go on with a prompt, not to begin anew."
        )

    def _appends_end(self) -> bool:
        ids: list[int] = self._tokenizer("a")["input_ids"]
        return len(ids) > 1 and ids[-1] == self._tokenizer.eos_token_id

    def _content(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _ids(self, text: str) -> list[int]:
        if self._chat:
            turn = [{"role": "user", "content": text}]
            text = self._tokenizer.apply_chat_template(
                turn, tokenize=False, add_generation_prompt=True
            )
        ids: list[int] = self._tokenizer(text, add_special_tokens=not self._chat)["input_ids"]
        return ids[:-1] if self._ends_texts else ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def synthetic(self, length: int, seed: str) -> list[int]:
        """Ordinary tokens of the vocabulary."""
        return random.Random(seed).choices(self._ordinary, k=length)  # noqa: S311 - no secret

    @cached_property
    def _ordinary(self) -> list[int]:
        special = set(self._tokenizer.all_special_ids)
        return [i for i in range(self._tokenizer.vocab_size) if i not in special]

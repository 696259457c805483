"""Makes each prompt the bytes of an HTTP request."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from llem_core.contracts import Prompt, ServedRequest, Workload
from llem_core.errors import BackendError

from llem_server.address import Address
from llem_server.config import ServerConfig
from llem_server.dialect import Control, Dialect

_SAMPLE = (
    "A power meter on the wall reads what nine others draw: lamps, fans, two old printers and the "
    "kettle. Every second a number changes; by noon the curve looks like hills, and by night like "
    "a calm sea. Which of them is the model, and what does one answer cost?"
)


class RequestMaker:
    """Makes requests for one server and one workload.

    Args:
        workload: the workload.
        address: of the server.
        control: asks the server for tokens.
        dialect: what it can.
    """

    def __init__(
        self, workload: Workload, address: Address, control: Control, dialect: Dialect
    ) -> None:
        assert isinstance(workload.section, ServerConfig)
        self._workload, self._section = workload, workload.section
        self._address, self._control, self._dialect = address, control, dialect
        self._words: list[int] | None = None
        self.tells_tokens = self._control.tokens(dialect, workload.model, "one") is not None

    def make(self, prompts: Sequence[Prompt]) -> list[ServedRequest]:
        """The requests.

        Raises:
            BackendError: the data set needs what the server cannot.
        """
        return [self._request(prompt) for prompt in prompts]

    def _request(self, prompt: Prompt) -> ServedRequest:
        body = self.body(prompt.max_new_tokens)
        if prompt.exact_output or self._workload.decoder.ignore_eos:
            if self._dialect.exact_output is None:
                raise BackendError(
                    f"the data set needs outputs of exactly {prompt.max_new_tokens} tokens, and "
                    f"the server ({self._dialect.name}) has no way to ask for that; take prompts "
                    "of text, or a server such as vLLM, SGLang or llama.cpp"
                )
            body |= self._dialect.exact_output
        asked, n, truncated = self._asked(prompt)
        if self._section.api == "chat":
            body["messages"] = [{"role": "user", "content": asked}]
        else:
            body["prompt"] = asked
        payload = self._bytes(body)
        return ServedRequest(prompt.index, n, payload, truncated)

    def _asked(self, prompt: Prompt) -> tuple[str | list[int], int, bool]:
        """Text or tokens, how many tokens, and whether it was cut."""
        most = self._workload.max_input_tokens
        if prompt.synthetic_tokens is not None:
            if self._section.api == "chat" or not self._dialect.token_prompts:
                raise BackendError(
                    f"the data set needs prompts of exactly {prompt.synthetic_tokens} tokens, "
                    f"which this server ({self._dialect.name}, api {self._section.api}) cannot be "
                    "given; take `api: completions` on vLLM, SGLang or llama.cpp, or prompts of "
                    "text"
                )
            ids = self._synthetic(prompt.index, prompt.synthetic_tokens)
            return ids, len(ids), False
        text = prompt.text or ""
        found = None
        if self.tells_tokens:
            found = self._control.tokens(self._dialect, self._workload.model, text)
        if found is None:
            return text, len(text.split()), False
        if len(found) <= most:
            return text, len(found), False
        if self._section.api == "completions" and self._dialect.token_prompts:
            return found[:most], most, True
        while len(found) > most:  # words from its end, until it fits
            words = text.split(" ")
            keep = max(1, int(len(words) * most / len(found)) - 1)
            if keep >= len(words):
                break
            text = " ".join(words[:keep])
            found = self._control.tokens(self._dialect, self._workload.model, text) or []
        return text, len(found), True

    def _synthetic(self, index: int, n: int) -> list[int]:
        if self._words is None:
            ids = self._control.tokens(self._dialect, self._workload.model, _SAMPLE)
            if not ids:
                raise BackendError(
                    "synthetic prompts need the server's /tokenize, which does not answer; take "
                    "prompts of text"
                )
            self._words = ids[1:]  # the first may be a special token
        draw = random.Random(f"{self._workload.random_seed}-{index}")  # noqa: S311 - no secret
        return [draw.choice(self._words) for _ in range(n)]

    def body(self, max_tokens: int) -> dict[str, Any]:
        """What every request asks for."""
        decoder, section = self._workload.decoder, self._section
        options = {"include_usage": True}
        if self._dialect.counted_chunks:
            options["continuous_usage_stats"] = True
        body: dict[str, Any] = {
            "model": self._workload.model,
            "max_tokens": max_tokens,
            "stream": True,
            "stream_options": options,
        }
        if decoder.do_sample:
            body["seed"] = self._workload.random_seed
        else:
            body["temperature"] = 0.0
        chosen = {
            "temperature": decoder.temperature,
            "top_p": decoder.top_p,
            "top_k": decoder.top_k,
            "min_p": decoder.min_p,
            "repetition_penalty": decoder.repetition_penalty,
            "min_tokens": decoder.min_new_tokens,
        }
        body |= {name: value for name, value in chosen.items() if value is not None}
        if section.chat_template_kwargs:
            body["chat_template_kwargs"] = dict(section.chat_template_kwargs)
        return body | dict(section.extra_body) | dict(self._workload.passthrough_kwargs)

    def _bytes(self, body: dict[str, Any]) -> bytes:
        path = "/v1/chat/completions" if self._section.api == "chat" else "/v1/completions"
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        head = [
            f"POST {self._address.prefix}{path} HTTP/1.1",
            f"Host: {self._address.authority}",
            "Content-Type: application/json",
            "Accept: text/event-stream",
            f"Content-Length: {len(content)}",
            *(f"{name}: {value}" for name, value in self._address.headers.items()),
        ]
        return "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + content

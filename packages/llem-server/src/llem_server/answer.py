"""The answer to one request: events of a stream, the times of its tokens, and how it ended."""

from __future__ import annotations

import json
from typing import Any

from llem_core.contracts import Chunk, RequestOutput, ServedRequest
from pydantic_core import from_json

from llem_server.http import MalformedResponseError, Response

_SHOWN = 300
_MOST_EVENT_BYTES = 16 * 1024 * 1024


class Answer:
    """What comes back for one request.

    Args:
        request: the request.
        sent_s: when it was sent (monotonic s).
    """

    def __init__(self, request: ServedRequest, sent_s: float) -> None:
        self.request = request
        self.sent_s = sent_s
        self.response = Response()
        self.output: RequestOutput | None = None
        self._rest = b""
        self._times_s: list[float] = []
        self._text: list[str] = []
        self._usage: dict[str, Any] | None = None
        self._counted: int | None = 0  # tokens that chunks told of so far; None if they do not
        self._finished_s: float | None = None
        self._done = False
        self._body = b""

    def feed(self, data: bytes, now_s: float) -> list[Chunk]:
        """Take bytes that came just now; gives the pieces of the answer in them."""
        try:
            body = self.response.feed(data)
        except MalformedResponseError as error:
            self.fail("malformed response", str(error), now_s)
            return []
        if self.response.status != 200:
            self._body = (self._body + body)[: _SHOWN * 4]
            if self.response.complete:
                self._refused(now_s)
            return []
        chunks = self._events(body, now_s)
        if self.response.complete and self.output is None:
            chunks += self._end(now_s)
        return chunks

    def closed(self, now_s: float) -> list[Chunk]:
        """The connection was closed by the server."""
        if self.output is not None:
            return []
        if not self.response.end():
            self.fail("closed early", "the server closed the connection in mid-answer", now_s)
            return []
        return self._end(now_s) if self.response.status == 200 else self._refused(now_s)

    def fail(self, kind: str, detail: str, now_s: float) -> None:
        """It has failed."""
        if self.output is None:
            self.output = RequestOutput(
                index=self.request.index,
                input_tokens=self.request.input_tokens,
                output_tokens=0,
                started_s=self.sent_s,
                ended_s=now_s,
                error=f"{kind}: {detail}",
                error_kind=kind,
            )

    def _events(self, body: bytes, now_s: float) -> list[Chunk]:
        lines = (self._rest + body).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _MOST_EVENT_BYTES:
            self.fail("malformed event", "an event is longer than 16 MiB", now_s)
            self._rest = b""
        chunks = []
        for line in lines:
            if line[:5] == b"data:":
                payload = line[5:].strip()
                if payload == b"[DONE]":
                    self._done = True
                elif payload and self.output is None:
                    chunks += self._event(payload, now_s)
        return chunks

    def _event(self, payload: bytes, now_s: float) -> list[Chunk]:
        try:
            event = from_json(payload)
            choices = event.get("choices") or ()
            if event.get("error"):
                self.fail("server error", _message(event["error"]), now_s)
                return []
            usage = event.get("usage")
            if usage:
                self._usage = dict(usage)
            text = ""
            for choice in choices:
                delta = choice.get("delta")
                text += (choice.get("text") if delta is None else _said(delta)) or ""
                if choice.get("finish_reason") and self._finished_s is None:
                    self._finished_s = now_s
        except (ValueError, AttributeError, TypeError):
            self.fail("malformed event", f"an event is {payload[:80]!r}", now_s)
            return []
        if not choices:
            return []
        self._text.append(text)
        n = self._new_tokens(usage, bool(text))
        # Without a count a chunk with text has a token or several; one without may have none.
        self._times_s += [now_s] * (bool(text) if n is None else n)
        return [Chunk(self.request.index, now_s, n)] if n or (n is None and text) else []

    def _new_tokens(self, usage: Any, has_text: bool) -> int | None:
        """Tokens of a chunk, where each says how many there are so far; ``None`` where not.

        A server that does not count tells the total with its last chunk alone.
        """
        total = usage.get("completion_tokens") if isinstance(usage, dict) else None
        if not isinstance(total, int) or isinstance(total, bool):
            if has_text:
                self._counted = None
            return None if self._counted is None else 0
        if self._counted is None:
            return None
        n = max(total - self._counted, 0)
        self._counted += n
        return n

    def _refused(self, now_s: float) -> list[Chunk]:
        response = self.response
        if 300 <= response.status < 400:
            where = response.headers.get("location", "nowhere")
            told = f"the server sends to {where[:100]}, which is not followed"
            self.fail("redirect", told, now_s)
            return []
        after = response.headers.get("retry-after")
        told = _message(self._body.decode("utf-8", "replace"))
        wait = f" (Retry-After: {after[:40]})" if after else ""
        self.fail(f"http {response.status}", f"{told or 'no message'}{wait}", now_s)
        return []

    def _end(self, now_s: float) -> list[Chunk]:
        index, times_s = self.request.index, self._times_s
        if not self._done and self._finished_s is None:
            kind = "malformed response" if not times_s else "closed early"
            self.fail(kind, "the stream ended without finish_reason and [DONE]", now_s)
            return []
        usage = self._usage or {}
        n, n_in = usage.get("completion_tokens"), usage.get("prompt_tokens")
        if not isinstance(n, int) or isinstance(n, bool) or n < 0:
            self.fail("no usage", "the server does not tell how many tokens it generated", now_s)
            return []
        chunks = []
        if n == len(times_s) + 1 and self._finished_s is not None:
            # The token that ends a sequence has no text of its own.
            times_s.append(self._finished_s)
            chunks = [Chunk(index, self._finished_s)]
        self.output = RequestOutput(
            index=index,
            input_tokens=n_in if isinstance(n_in, int) else self.request.input_tokens,
            output_tokens=n,
            started_s=self.sent_s,
            # Where chunks hold several tokens, or tokens have no text (a part of a character), the
            # last one may have come after the last text.
            ended_s=times_s[-1] if len(times_s) == n and n else self._finished_s or now_s,
            first_token_s=times_s[0] if times_s else None,
            token_times_s=tuple(times_s) if len(times_s) == n else None,
            text="".join(self._text),
        )
        return chunks


def _said(delta: dict[str, Any]) -> Any:
    reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
    return reasoning + (delta.get("content") or "")


def _message(said: Any) -> str:
    """What a server says of an error, in one line."""
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except (ValueError, RecursionError):
            return " ".join(said.split())[:_SHOWN]
    while isinstance(said, dict):
        said = said.get("error") or said.get("message") or said.get("detail") or str(dict(said))
    return " ".join(str(said).split())[:_SHOWN]

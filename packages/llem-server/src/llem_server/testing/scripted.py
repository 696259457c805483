"""An HTTP server that answers as its script says, and tells when it wrote each chunk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import time
from pathlib import Path
from typing import Any

MISBEHAVIOURS = (
    "none",
    "slow_first_token",
    "stall",
    "reset",
    "http_429",
    "http_500",
    "http_503",
    "malformed_event",
    "no_usage",
    "endless",
    "silent",
    "redirect",
    "exit",
    "closes",
)
"""What a request may meet; ``none`` is a proper answer, ``closes`` one after which the server
closes the connection without having said so, as llama.cpp's does."""


class ScriptedHttpServer:
    """Streams answers with scripted times.

    The text of each token is the monotonic time at which it was written, so that whoever receives
    it knows how late it is.

    Args:
        port: to listen at; 0 for a free one.
        model: the model that it serves.
        kind: what it says that it is, as ``owned_by`` of its model.
        first_token_s: from a request to its first token (s).
        token_s: from each token to the next (s).
        tokens_per_chunk: tokens that are written together.
        slots: requests that are served at a time, others wait; 0 for no limit.
        misbehaviour: what each ``every``-th request meets; of ``MISBEHAVIOURS``.
        every: see ``misbehaviour``.
        log: file for the time of each chunk.
        certificate: PEM file with key and certificate; it speaks TLS then.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        model: str = "scripted",
        kind: str = "vllm",
        first_token_s: float = 0.05,
        token_s: float = 0.02,
        tokens_per_chunk: int = 1,
        slots: int = 0,
        misbehaviour: str = "none",
        every: int = 1,
        log: str | None = None,
        certificate: str | None = None,
    ) -> None:
        self.port = port
        self._model, self._kind = model, kind
        self._first_token_s, self._token_s = first_token_s, token_s
        self._tokens_per_chunk = tokens_per_chunk
        self._slots = asyncio.Semaphore(slots) if slots else contextlib.nullcontext()
        self._misbehaviour, self._every = misbehaviour, every
        self._log = None if log is None else Path(log)
        self._context = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._n_requests = self._n_tokens = 0
        self._rows: list[str] = []

    async def serve_forever(self) -> None:
        """Listen, print the port, and serve."""
        server = await asyncio.start_server(
            self._connection, "127.0.0.1", self.port, ssl=self._context, limit=2**24
        )
        self.port = server.sockets[0].getsockname()[1]
        print(f"listening at {self.port}", flush=True)  # noqa: T201 - a program
        async with server:
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while (head := await reader.readuntil(b"\r\n\r\n")) and not writer.is_closing():
                length = 0
                for line in head.decode("latin-1").split("\r\n"):
                    if line.lower().startswith("content-length:"):
                        length = int(line.split(":", 1)[1])
                body = await reader.readexactly(length)
                await self._answer(head.split(b" ", 2), body, writer)
        writer.close()

    async def _answer(self, head: list[bytes], body: bytes, writer: asyncio.StreamWriter) -> None:
        path = head[1].decode("latin-1")
        if path == "/health":
            _plain(writer, 200, {})
        elif path == "/v1/models":
            _plain(writer, 200, {"data": [{"id": self._model, "owned_by": self._kind}]})
        elif path == "/metrics":
            text = f'vllm:generation_tokens_total{{model_name="m"}} {self._n_tokens}\n'
            _plain(writer, 200, text)
        elif path == "/tokenize":
            words = str(json.loads(body).get("prompt", "")).split()
            _plain(writer, 200, {"tokens": [sum(map(ord, word)) for word in words]})
        elif path in {"/v1/completions", "/v1/chat/completions"}:
            await self._generate(json.loads(body), path.endswith("chat/completions"), writer)
        else:
            _plain(writer, 404, {"error": f"there is no {path}"})
        await writer.drain()

    async def _generate(
        self, asked: dict[str, Any], chat: bool, writer: asyncio.StreamWriter
    ) -> None:
        number = self._n_requests
        self._n_requests += 1
        # The first request is the client's own trial; a server that closes does so from the start.
        spared = number == 0 and self._misbehaviour != "closes"
        how = self._misbehaviour if number % self._every == 0 and not spared else "none"
        if how.startswith("http_"):
            status = int(how[5:])
            _plain(writer, status, {"error": {"message": "scripted"}}, "Retry-After: 7\r\n")
        elif how == "redirect":
            _plain(writer, 307, {}, "Location: http://192.0.2.1/v1/completions\r\n")
        elif how == "reset":
            # Closing with nothing to linger for is what sends a reset.
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif how == "silent":
            await asyncio.sleep(3600)
        elif how == "exit":
            print("scripted: out of memory, giving up", flush=True)  # noqa: T201
            import os

            os._exit(3)
        else:
            async with self._slots:
                await self._stream(asked, chat, how, number, writer)
            if how == "closes":
                writer.close()

    async def _stream(
        self,
        asked: dict[str, Any],
        chat: bool,
        how: str,
        number: int,
        writer: asyncio.StreamWriter,
    ) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        prompt = asked.get("prompt") or asked["messages"][0]["content"]
        n_in = len(prompt) if isinstance(prompt, list) else len(str(prompt).split())
        # As vLLM and SGLang do where they are asked to.
        options = asked.get("stream_options") or {}
        counts = bool(options.get("continuous_usage_stats")) and how != "no_usage"
        limit = 10**9 if how == "endless" else int(asked["max_tokens"])
        due_s = time.monotonic() + self._first_token_s * (20 if how == "slow_first_token" else 1)
        done = 0
        while done < limit:
            size = min(self._tokens_per_chunk, limit - done)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            if writer.is_closing():
                return
            if how == "stall" and done:
                await asyncio.sleep(3600)
            if how == "malformed_event" and done:
                _event(writer, b"data: {broken\n\n")
            done += size
            usage = {"prompt_tokens": n_in, "completion_tokens": done}
            self._token(writer, chat, size, number, {"usage": usage} if counts else {})
            due_s += self._token_s * size
            await writer.drain()
        end = {"text": "", "delta": {}, "index": 0, "finish_reason": "length"}
        _event(writer, _data({"choices": [end]}))
        if how != "no_usage":
            usage = {"prompt_tokens": n_in, "completion_tokens": done}
            _event(writer, _data({"choices": [], "usage": usage}))
        _event(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        if self._log is not None:
            with self._log.open("a") as file:
                file.writelines(self._rows)
            self._rows.clear()

    def _token(
        self,
        writer: asyncio.StreamWriter,
        chat: bool,
        size: int,
        number: int,
        more: dict[str, Any],
    ) -> None:
        now_s = time.monotonic()
        text = f" {now_s:.6f}" * size
        self._n_tokens += size
        part = {"delta": {"content": text}} if chat else {"text": text}
        _event(writer, _data({"choices": [{**part, "index": 0, "finish_reason": None}], **more}))
        if self._log is not None:
            self._rows.append(json.dumps({"request": number, "time_s": now_s, "n": size}) + "\n")


def _data(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _event(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))


def _plain(writer: asyncio.StreamWriter, status: int, said: Any, more: str = "") -> None:
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    writer.write(head.encode() + body)

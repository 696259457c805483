"""Lines of JSON over the pipes between a study and a worker.

``multiprocessing.Queue`` would do for events, but for two things: a worker that is killed in the
middle of a message leaves its reader waiting for the rest, and its feeder thread may run inside a
measured window.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Protocol

from llem_core.contracts.messages import Message, decode, encode
from llem_core.events import Event

_CHUNK = 1 << 20


def send(connection: Connection, message: Message) -> None:
    """Write one message; blocks while the pipe is full.

    Raises:
        OSError: nobody reads it.
    """
    left = memoryview(encode(message))
    while left:
        left = left[os.write(connection.fileno(), left) :]


def receive(connection: Connection) -> Iterator[Message]:
    """Read messages until the end of the pipe; blocks until each is there.

    Raises:
        ValueError: what came is no message.
    """
    with open(connection.fileno(), "rb", closefd=False) as lines:
        for line in lines:
            yield decode(line)


class Readable(Protocol):
    """A pipe to read from."""

    def fileno(self) -> int:
        """Its descriptor."""

    def close(self) -> None:
        """Close it."""


class EventQueue:
    """The worker's end of the queue of events."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, event: Event) -> None:
        """Add an event; it is on its way when this returns."""
        send(self._connection, event)


class Inbox:
    """The study's end of a pipe: takes what is there and never waits for more.

    Attributes:
        ended: whether the other end is closed and everything has been read.
        broken: what is wrong with what came, if anything: half a message, or none.
    """

    def __init__(self, connection: Readable) -> None:
        self._connection = connection
        self._parts: list[bytes] = []
        self.ended = False
        self.broken: str | None = None
        os.set_blocking(connection.fileno(), False)

    def fileno(self) -> int:
        """For ``multiprocessing.connection.wait``."""
        return self._connection.fileno()

    def take(self) -> list[Message]:
        """All whole messages that are there."""
        messages: list[Message] = []
        while chunk := self._read():
            *lines, rest = chunk.split(b"\n")
            for line in lines:
                whole = b"".join([*self._parts, line])
                self._parts.clear()
                try:
                    messages.append(decode(whole))
                except ValueError as error:
                    self.broken = str(error)
            if rest:
                self._parts.append(rest)
        if self.ended and self._parts:
            self.broken = f"it ends in the middle of a message: {self._parts[0][:80]!r}"
        return messages

    def close(self) -> None:
        """Close this end."""
        self.ended = True
        self._parts.clear()
        self._connection.close()

    def _read(self) -> bytes:
        if self.ended:
            return b""
        try:
            chunk = os.read(self.fileno(), _CHUNK)
        except BlockingIOError:
            return b""
        except OSError:
            chunk = b""
        self.ended = not chunk
        return chunk

"""Where lines come from: a file that grows, or a socket."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Protocol

from llem_core.contracts import Availability
from llem_core.errors import EnergyError

from llem_wallmeter.config import SOURCE_VARIABLE

_TAIL_BYTES = 4096
_CONNECT_S = 5.0

Arrived = tuple[float, str]
"""A line, and ``time.monotonic()`` when it was seen."""


class Source(Protocol):
    """Gives the meter's lines."""

    def open(self) -> None:
        """Begin; lines from just before are welcome.

        Raises:
            OSError: it cannot be opened.
        """

    def drain(self) -> list[Arrived]:
        """All whole lines since the last call, without waiting."""

    def close(self) -> None:
        """End; harmless when it is not open."""


class FileSource:
    """A file that somebody appends to. Read only when asked: it costs nothing in between.

    A file that is replaced or cut (log rotation) is read on from its new beginning.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._rest = b""

    def open(self) -> None:
        """Open it near its end, so that the latest lines are at hand."""
        self._file = self._path.open("rb")
        self._file.seek(max(0, os.fstat(self._file.fileno()).st_size - _TAIL_BYTES))
        if self._file.tell():
            self._file.readline()  # the rest of a line that began earlier

    def drain(self) -> list[Arrived]:
        """Read on to the present end; a line without its newline waits for the next call."""
        assert self._file is not None, "open comes first"
        data = self._file.read()
        if self._was_replaced():
            self._file.close()
            self._file = self._path.open("rb")
            data += b"\n" + self._file.read()
        seen_s = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [(seen_s, line.decode("utf-8", errors="replace")) for line in lines]

    def close(self) -> None:
        """Close it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _was_replaced(self) -> bool:
        assert self._file is not None
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False  # between two files of a rotation
        mine = os.fstat(self._file.fileno())
        return now.st_ino != mine.st_ino or now.st_size < self._file.tell()


class SocketSource:
    """A TCP or UNIX socket that a meter's service writes lines to.

    A thread waits in ``recv`` and notes when each line came: a few wake-ups a second, at the
    meter's own rate.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._lines: deque[Arrived] = deque()

    def open(self) -> None:
        """Connect, and begin to listen."""
        self._socket = connect(self._address)
        self._thread = threading.Thread(
            target=self._listen, args=(self._socket,), name="llem-wallmeter", daemon=True
        )
        self._thread.start()

    def drain(self) -> list[Arrived]:
        """The lines that came."""
        return [self._lines.popleft() for _ in range(len(self._lines))]

    def close(self) -> None:
        """Disconnect, and wait for the thread's end."""
        connection, self._socket = self._socket, None
        if connection is not None:
            with contextlib.suppress(OSError):  # the other side may have been first
                connection.shutdown(socket.SHUT_RDWR)
            if self._thread is not None:
                self._thread.join()
            connection.close()

    def _listen(self, connection: socket.socket) -> None:
        rest = b""
        while True:
            try:
                data = connection.recv(_TAIL_BYTES)
            except OSError:
                return
            if not data:
                return  # the silence that follows is what the reading will tell
            seen_s = time.monotonic()
            *lines, rest = (rest + data).split(b"\n")
            self._lines.extend((seen_s, line.decode("utf-8", errors="replace")) for line in lines)


def make_source(where: str) -> Source:
    """The source of an address or a path."""
    if where.startswith(("tcp://", "unix://")):
        return SocketSource(where)
    return FileSource(Path(where).expanduser())


def connect(address: str) -> socket.socket:
    """Connect to ``tcp://<host>:<port>`` or ``unix://<path>``.

    Raises:
        EnergyError: it is no such address.
        OSError: nothing answers there.
    """
    kind, _, place = address.partition("://")
    if kind == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(place)
        except OSError:
            connection.close()
            raise
        return connection
    host, _, port = place.rpartition(":")
    if not (host and port.isdigit()):
        raise EnergyError(
            f"wallmeter.source: {address} is no address; write tcp://<host>:<port>, such as "
            "tcp://127.0.0.1:5025"
        )
    connection = socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S)
    connection.settimeout(None)
    return connection


def availability() -> Availability:
    """Whether the meter that the environment names is there.

    A section is not known here: without the variable, the answer is that one may name a meter.
    """
    where = os.environ.get(SOURCE_VARIABLE)
    if not where:
        return Availability(
            True, f"reads the meter that wallmeter.source or {SOURCE_VARIABLE} names", ("other",)
        )
    path = Path(where.removeprefix("unix://")).expanduser()
    if not where.startswith("tcp://") and not path.exists():
        return Availability(
            False,
            f"{SOURCE_VARIABLE} is {where}, which does not exist; start the meter's logger, or "
            "name another place",
            ("other",),
        )
    return Availability(True, f"reads {where}", ("other",))

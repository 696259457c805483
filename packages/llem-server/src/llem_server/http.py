"""The body of an HTTP/1.1 response, taken apart as its bytes come."""

from __future__ import annotations

MOST_HEAD_BYTES = 64 * 1024
MOST_CHUNK_BYTES = 64 * 1024 * 1024


class MalformedResponseError(Exception):
    """What came is no HTTP response."""


class Response:
    """One response, fed with bytes.

    Attributes:
        status: its status; 0 until the head is there.
        headers: by lower-case name.
        complete: whether all of it is there.
        keeps_open: whether the connection can be used for a further request.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False
        self.keeps_open = True
        self._buffer = bytearray()
        self._left: int | None = None
        self._chunked = False
        self._in_trailer = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes; gives those of the body that are in them.

        Raises:
            MalformedResponseError: they are no HTTP response.
        """
        self._buffer += data
        if not self.status and not self._read_head():
            return b""
        return self._read_chunks() if self._chunked else self._read_plain()

    def end(self) -> bool:
        """The connection was closed; whether that is the response's proper end."""
        if self.status and not self._chunked and self._left is None:
            self.complete = True
        self.keeps_open = False
        return self.complete

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MOST_HEAD_BYTES:
                raise MalformedResponseError("its head is longer than 64 KiB")
            return False
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        first = lines[0].split(" ", 2)
        if not first[0].startswith("HTTP/1.") or len(first) < 2 or not first[1].isdigit():
            raise MalformedResponseError(f"it begins with {lines[0]!r:.60}")
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.status = int(first[1])
        if self.status < 200:
            self.status, self.headers = 0, {}
            return self._read_head()
        connection = self.headers.get("connection", "").lower()
        self.keeps_open = "close" not in connection and first[0] != "HTTP/1.0"
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        length = self.headers.get("content-length")
        if length is not None and not self._chunked:
            if not length.isdigit():
                raise MalformedResponseError(f"its Content-Length is {length!r:.40}")
            self._left = int(length)
        if self.status in {204, 304}:
            self._left, self._chunked = 0, False
        return True

    def _read_plain(self) -> bytes:
        take = len(self._buffer) if self._left is None else min(self._left, len(self._buffer))
        body = bytes(self._buffer[:take])
        del self._buffer[:take]
        if self._left is not None:
            self._left -= take
            self.complete = self._left == 0
        return body

    def _read_chunks(self) -> bytes:
        found = bytearray()
        while not self.complete:
            if self._left is None:
                end = self._buffer.find(b"\r\n")
                if end < 0:
                    break
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 2]
                if self._in_trailer:
                    self.complete = not line
                    continue
                self._left = _chunk_size(line)
                if self._left > MOST_CHUNK_BYTES:
                    raise MalformedResponseError(f"a chunk has {self._left:,} bytes")
                if self._left == 0:
                    self._left, self._in_trailer = None, True
                continue
            if len(self._buffer) < self._left + 2:
                break
            found += self._buffer[: self._left]
            del self._buffer[: self._left + 2]
            self._left = None
        return bytes(found)


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.split(b";", 1)[0], 16)
    except ValueError as error:
        raise MalformedResponseError(f"a chunk begins with {line!r:.40}") from error

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

    @property
    def begun(self) -> bool:
        """Whether any of it has come."""
        return bool(self.status or self._buffer)

    def feed(self, data: bytes) -> bytes:
        """Take bytes; gives those of the body that are in them.

        Raises:
            MalformedResponseError: they are no HTTP response.
        """
        if self._chunked and not self._buffer:  # most often a chunk comes by itself, and whole
            body, taken = self._chunks(data)
            self._buffer += data[taken:]
            return body
        self._buffer += data
        if not self.status and not self._read_head():
            return b""
        if not self._chunked:
            return self._read_plain()
        body, taken = self._chunks(self._buffer)
        del self._buffer[:taken]
        return body

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

    def _chunks(self, data: bytes | bytearray) -> tuple[bytes, int]:
        """What the whole chunks in ``data`` hold, and how many of its bytes that took."""
        found, at = [], 0
        while not self.complete:
            if self._left is None:
                end = data.find(b"\r\n", at)
                if end < 0:
                    break
                line, at = bytes(data[at:end]), end + 2
                if self._in_trailer:
                    self.complete = not line
                    continue
                self._left = _chunk_size(line)
                if self._left > MOST_CHUNK_BYTES:
                    raise MalformedResponseError(f"a chunk has {self._left:,} bytes")
                if self._left == 0:
                    self._left, self._in_trailer = None, True
                    continue
            end = at + self._left
            if len(data) < end + 2:
                break
            found.append(bytes(data[at:end]))
            at, self._left = end + 2, None
        return b"".join(found), at


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.split(b";", 1)[0], 16)
    except ValueError as error:
        raise MalformedResponseError(f"a chunk begins with {line!r:.40}") from error

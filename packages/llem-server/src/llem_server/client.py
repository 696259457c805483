"""Sends requests and receives their streams, all in the caller's thread.

The caller waits for what arrives in ``arrived`` anyway: a thread beside it would only take the
interpreter from it. The time of a chunk is read as soon as its bytes are out of the socket.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llem_core.contracts import Arrival, ServedRequest

from llem_server.address import Address
from llem_server.answer import Answer

_MOST_BYTES = 256 * 1024
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_MOST_IDLE = 1024
_LONGEST_IDLE_S = 2.0  # servers close idle connections after 5 s and more, most of them
_TRUSTED_AFTER_S = 1.0
_MOST_UNTRUSTED = 64  # kept meanwhile, as none of them is used
_CANCELLED = "cancelled"


@dataclass(eq=False)
class _Connection:
    """A socket, and the request that it carries.

    ``idle_since_s`` is when it last had carried a whole answer, ``idle_s`` how long it was idle
    before the request that it carries now; ``None`` for the first one.
    """

    socket: Any
    answer: Answer | None = None
    left: bytes = b""
    idle_since_s: float = 0.0
    idle_s: float | None = None
    shaken: bool = True
    connected: bool = False
    mask: int = field(default=_READ)


class Client:
    """Connections to one server.

    Args:
        address: of the server.
        context: for TLS; the system's own trust if not given.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        address: Address,
        context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._clock = clock
        self._context = context or (ssl.create_default_context() if address.secure else None)
        self._where = address.reachable()
        self._selector = selectors.DefaultSelector()
        self._longest_idle_s = _LONGEST_IDLE_S
        self._trusted = False
        self._open_ones: set[_Connection] = set()
        self._idle: list[_Connection] = []
        self._busy: dict[int, _Connection] = {}
        self._ready: deque[Arrival] = deque()

    def submit(self, request: ServedRequest) -> None:
        """Send a request, or as much of it as the socket takes; never waits."""
        answer = Answer(request, self._clock())
        self._send(answer, self._reusable())

    def cancel(self, index: int) -> None:
        """Give up a request; harmless if it is over."""
        connection = self._busy.get(index)
        if connection is not None and connection.answer is not None:
            connection.answer.fail(_CANCELLED, "it was given up", self._clock())
            self._finish(connection)

    def arrived(self, timeout_s: float) -> list[Arrival]:
        """What has arrived; waits for the first of it."""
        if self._ready:
            timeout_s = 0.0
        for key, _ in self._selector.select(max(timeout_s, 0.0)):
            self._serve(key.data)
        found = list(self._ready)
        self._ready.clear()
        return found

    def close(self) -> None:
        """Close all connections; requests in flight are forgotten."""
        for connection in list(self._open_ones):
            self._drop(connection)
        self._idle.clear()
        self._busy.clear()
        self._selector.close()

    def _reusable(self) -> _Connection | None:
        """The connection that was used last, unless the server may be about to close it.

        At first none: until one has been open for some time after its answer, the server may be one
        that closes each. A request that crosses that on its way is answered with a reset, like one
        that the server refuses.
        """
        if not self._idle:
            return None
        if not self._trusted:
            self._trusted = self._clock() - self._idle[0].idle_since_s > _TRUSTED_AFTER_S
            if not self._trusted:
                return None
        connection = self._idle.pop()
        connection.idle_s = self._clock() - connection.idle_since_s
        if connection.idle_s < self._longest_idle_s:
            return connection
        self._drop(connection)
        return None

    def _closed_after(self, idle_s: float) -> None:
        """The server has closed a connection that was idle for so long: use none so late again.

        llama.cpp's closes each one right after its answer, and does not say so.
        """
        self._longest_idle_s = min(self._longest_idle_s, idle_s / 2)

    def _send_again(self, connection: _Connection, *, reset: bool = False) -> bool:
        """Send a request over a new connection, where the server had closed this one before it.

        It had if it closed in an orderly way, after an earlier answer, and nothing came of this
        one: so it has not begun with it. A reset may be that too, or the server's way to refuse.
        """
        answer, idle_s = connection.answer, connection.idle_s
        if answer is None or idle_s is None or answer.response.begun:
            return False
        self._closed_after(idle_s)
        if reset:
            return False
        connection.answer = None
        self._drop(connection)
        self._send(answer, None)
        return True

    def _send(self, answer: Answer, connection: _Connection | None) -> None:
        if connection is None:
            connection = self._connect(answer)
            if connection is None:
                return
        connection.answer = answer
        connection.left = answer.request.payload
        self._busy[answer.request.index] = connection
        self._serve(connection) if connection.connected else self._watch(connection, _WRITE)

    def _connect(self, answer: Answer) -> _Connection | None:
        family, where = self._where
        raw = socket.socket(family, socket.SOCK_STREAM)
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = raw.connect_ex(where)
        if code not in {0, errno.EINPROGRESS, errno.EWOULDBLOCK}:
            raw.close()
            self._lost(answer, code)
            return None
        connection = _Connection(raw)
        self._open_ones.add(connection)
        self._selector.register(raw, _WRITE, connection)
        connection.mask = _WRITE
        return connection

    def _serve(self, connection: _Connection) -> None:
        """Go on with a connection: its set-up, its request, its answer."""
        try:
            if not self._open(connection) or not self._write(connection):
                return
            self._read(connection)
        except ssl.SSLWantReadError:
            self._watch(connection, _READ)
        except ssl.SSLWantWriteError:
            self._watch(connection, _WRITE)
        except ssl.SSLError as error:
            told = getattr(error, "verify_message", "") or str(error)
            if not isinstance(error, ssl.SSLEOFError) or not self._send_again(connection):
                self._failed(connection, "tls", told)
        except BlockingIOError:
            pass
        except OSError as error:
            self._broken(connection, error)

    def _open(self, connection: _Connection) -> bool:
        if not connection.connected:
            code = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, errno.errorcode.get(code, "error"))
            connection.connected = True
            if self._context is not None:
                self._selector.unregister(connection.socket)
                connection.socket = self._context.wrap_socket(
                    connection.socket,
                    server_hostname=self._address.host,
                    do_handshake_on_connect=False,
                )
                self._selector.register(connection.socket, _WRITE, connection)
                connection.mask, connection.shaken = _WRITE, False
        if not connection.shaken:
            connection.socket.do_handshake()
            connection.shaken = True
        return True

    def _write(self, connection: _Connection) -> bool:
        while connection.left:
            try:
                n = connection.socket.send(connection.left)
            except BlockingIOError:
                self._watch(connection, _WRITE)
                return False
            connection.left = connection.left[n:]
        self._watch(connection, _READ)
        return True

    def _read(self, connection: _Connection) -> None:
        while True:
            data = connection.socket.recv(_MOST_BYTES)
            now_s = self._clock()
            answer = connection.answer
            if answer is None:  # an idle connection that the server has closed
                self._closed_after(now_s - connection.idle_since_s)
                self._idle = [other for other in self._idle if other is not connection]
                self._drop(connection)
                return
            if not data:
                if not self._send_again(connection):
                    self._ended(connection, answer, now_s)
                return
            self._ready.extend(answer.feed(data, now_s))
            if answer.output is not None:
                self._finish(connection)
                return
            if len(data) < _MOST_BYTES and self._context is None:
                return

    def _ended(self, connection: _Connection, answer: Answer, now_s: float) -> None:
        self._ready.extend(answer.closed(now_s))
        self._finish(connection)

    def _broken(self, connection: _Connection, error: OSError) -> None:
        if connection.answer is None:
            self._idle = [other for other in self._idle if other is not connection]
            self._drop(connection)
        elif not self._send_again(connection, reset=error.errno != errno.EPIPE):
            kind = _KINDS.get(error.errno or 0, "connection failed")
            self._failed(connection, kind, error.strerror or str(error))

    def _failed(self, connection: _Connection, kind: str, detail: str) -> None:
        if connection.answer is not None:
            connection.answer.fail(kind, detail, self._clock())
            self._finish(connection)

    def _lost(self, answer: Answer, code: int) -> None:
        answer.fail(
            _KINDS.get(code, "connection failed"), errno.errorcode.get(code, "?"), self._clock()
        )
        assert answer.output is not None
        self._ready.append(answer.output)

    def _finish(self, connection: _Connection) -> None:
        """Hand over the request's end; keep the connection, if it can be used again."""
        answer, connection.answer = connection.answer, None
        assert answer is not None
        assert answer.output is not None
        self._busy.pop(answer.request.index, None)
        self._ready.append(answer.output)
        response = answer.response
        most = _MOST_IDLE if self._trusted else _MOST_UNTRUSTED
        if response.complete and response.keeps_open and len(self._idle) < most:
            connection.idle_since_s = self._clock()
            self._idle.append(connection)
            self._watch(connection, _READ)
        else:
            self._drop(connection)

    def _watch(self, connection: _Connection, mask: int) -> None:
        if connection.mask != mask:
            self._selector.modify(connection.socket, mask, connection)
            connection.mask = mask

    def _drop(self, connection: _Connection) -> None:
        self._open_ones.discard(connection)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()


_KINDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "connection timed out",
}

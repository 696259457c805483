"""Asks an exporter for its text."""

from __future__ import annotations

import http.client
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from llem_core.errors import EnergyError

from llem_energy_dcgm.config import DcgmConfig

_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of an exporter.

    Attributes:
        asked_s, answered_s: when it was asked, and when all of it was there (monotonic s).
        text: what it said.
    """

    asked_s: float
    answered_s: float
    text: str


class ExporterError(Exception):
    """The exporter gave no text; the message says why, without a full stop."""


class Exporter(Protocol):
    """Whatever can be asked for the text of an exporter."""

    def ask(self) -> Answer:
        """Its text now.

        Raises:
            ExporterError: it gave none.
        """

    def close(self) -> None:
        """End the connection."""


class HttpExporter:
    """An exporter behind an address; the connection is kept from one request to the next.

    Args:
        section: its address, and how it is asked.
        clock: monotonic seconds.

    Raises:
        EnergyError: there is no address, or a variable that it needs is not set.
    """

    def __init__(self, section: DcgmConfig, clock: Callable[[], float] = time.monotonic) -> None:
        if section.url is None:
            raise EnergyError(
                "the sampler dcgm does not know which exporter to ask; set dcgm.url, such as "
                "http://gpu-node:9400/metrics"
            )
        parts = urlsplit(section.url)
        path = (parts.path or "/metrics") + (f"?{parts.query}" if parts.query else "")
        self._path = path
        self._host, self._port = parts.hostname or "", parts.port
        self._secure = parts.scheme == "https"
        self._timeout_s = section.timeout_seconds
        self._clock = clock
        self._headers = {name: _variable(v, name) for name, v in section.headers_env.items()}
        self._connection: http.client.HTTPConnection | None = None

    def ask(self) -> Answer:
        """Its text now; one that closed the kept connection meanwhile is asked once more."""
        kept = self._connection is not None
        try:
            return self._ask()
        except (ConnectionError, http.client.RemoteDisconnected) as error:
            self.close()
            if not kept:
                raise ExporterError(_refused(error)) from error
        except OSError as error:
            self.close()
            raise ExporterError(_refused(error)) from error
        except http.client.HTTPException as error:
            self.close()
            raise ExporterError(f"it does not speak HTTP ({type(error).__name__})") from error
        return self.ask()

    def close(self) -> None:
        """End the connection; harmless when there is none."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _ask(self) -> Answer:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=self._timeout_s)
        asked_s = self._clock()
        self._connection.request("GET", self._path, headers=self._headers)
        response = self._connection.getresponse()
        body = self._body(response, asked_s)
        answered_s = self._clock()
        if response.status != http.client.OK:
            self.close()
            raise ExporterError(_status(response))
        if len(body) > _MOST_BYTES:
            self.close()
            raise ExporterError(f"its answer is longer than {_MOST_BYTES // 2**20} MiB")
        return Answer(asked_s, answered_s, body.decode("utf-8", "replace"))

    def _body(self, response: http.client.HTTPResponse, asked_s: float) -> bytes:
        """All of it; one that trickles in for longer than the limit is given up."""
        found = bytearray()
        with response:  # what was read to its end leaves the connection open
            while len(found) <= _MOST_BYTES and (part := response.read1(2**16)):
                found += part
                if self._clock() - asked_s > self._timeout_s:
                    raise TimeoutError
        return bytes(found)


def _status(response: http.client.HTTPResponse) -> str:
    code = response.status
    if 300 <= code < 400:
        where = response.getheader("Location") or "another address"
        return f"it answers {code} and points to {where[:100]}; give that address, if it is right"
    if code in {401, 403}:
        return f"it answers {code}: it wants credentials; name their variable in dcgm.headers_env"
    if code == http.client.NOT_FOUND:
        return "it answers 404: there is nothing at this path, which is usually /metrics"
    return f"it answers {code} {response.reason}"


def _refused(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ssl.SSLError):
        return f"its certificate or TLS is refused ({error.reason or error})"
    return f"it cannot be reached ({error.strerror or error})"


def _variable(name: str, header: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise EnergyError(f"dcgm.headers_env.{header} names the variable {name}, which is not set")
    if any(ord(character) < 32 for character in value):
        raise EnergyError(f"the variable {name} (dcgm.headers_env) has a line break in it")
    return value

"""Where a server is, and the headers that every request to it has."""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from llem_core.errors import BackendError

from llem_server.config import ServerConfig

_CONNECT_S = 10.0


@dataclass(frozen=True)
class Address:
    """A server's address.

    Attributes:
        secure: whether it is spoken to by TLS.
        host: its name or number.
        port: its port.
        prefix: path before ``/v1``; empty, or beginning with a slash.
        headers: of every request, secrets among them; never shown.
    """

    secure: bool
    host: str
    port: int
    prefix: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        """It as a text, without any secret."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.prefix}"

    @property
    def secrets(self) -> list[str]:
        """Values of the headers, and the key without the word before it."""
        values = list(self.headers.values())
        return [*values, *(v.removeprefix("Bearer ") for v in values if v.startswith("Bearer "))]

    @property
    def authority(self) -> str:
        """Host and port, as the header ``Host`` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def reachable(self) -> tuple[int, Any]:
        """Family and socket address at which it can be reached: the first that answers.

        A name may have several, such as ``localhost`` in both versions of IP, and a server that
        listens at one of them alone.

        Raises:
            OSError: the name has no address, or nobody answers at any of them.
        """
        failure: OSError | None = None
        for family, kind, protocol, _, where in socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM
        ):
            try:
                with socket.socket(family, kind, protocol) as tried:
                    tried.settimeout(_CONNECT_S)
                    tried.connect(where)
            except OSError as error:
                failure = failure or error
            else:
                return family, where
        raise failure or OSError("it has no address")

    @property
    def is_local(self) -> bool:
        """Whether it is this machine: by its name, or by a number that stays within it."""
        if self.host in {"localhost", socket.gethostname(), socket.getfqdn()}:
            return True
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError:
            return False
        return all(ipaddress.ip_address(where[0]).is_loopback for *_, where in found)


def address_of(section: ServerConfig, port: int | None = None) -> Address:
    """The server's address, with the values of the variables that it names.

    Args:
        section: the configuration.
        port: fills ``{port}`` in.

    Raises:
        BackendError: a variable is not set.
    """
    url = section.base_url or "http://127.0.0.1:{port}"
    parts = urlsplit(url.replace("{port}", str(port or 0)))
    secure = parts.scheme == "https"
    path = parts.path.rstrip("/").removesuffix("/v1")
    headers = {name: _variable(v, f"headers_env.{name}") for name, v in section.headers_env.items()}
    if section.api_key_env is not None:
        key = _variable(section.api_key_env, "api_key_env")
        headers["Authorization"] = f"Bearer {key}"
    return Address(
        secure, parts.hostname or "", parts.port or (443 if secure else 80), path, headers
    )


def _variable(name: str, where: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise BackendError(f"server.{where} names the variable {name}, which is not set")
    if any(ord(character) < 32 for character in value):
        raise BackendError(f"the variable {name} (server.{where}) has a line break in it")
    return value


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def is_taken(host: str, port: int) -> bool:
    """Whether somebody listens there; a host that has no address is not taken."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False

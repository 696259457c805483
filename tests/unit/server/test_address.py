from __future__ import annotations

import socket

import pytest
from llem_server.address import is_taken
from llem_server.config import ServerConfig


@pytest.mark.parametrize("port", ["99999", "abc"])
def test_a_port_that_is_none_is_refused_with_the_section(port: str) -> None:
    with pytest.raises(ValueError, match="has no port from 0 to 65535"):
        ServerConfig(base_url=f"http://127.0.0.1:{port}")


def test_a_free_port_may_be_asked_of_any_family_and_name() -> None:
    assert not is_taken("::1", 9)
    assert not is_taken("no.such.host.invalid", 9)


def test_a_listener_takes_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert is_taken("127.0.0.1", listener.getsockname()[1])

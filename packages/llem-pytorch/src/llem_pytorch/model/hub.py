"""Whether the hub can be reached, found out at once instead of by many retries."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants
from llem_core.models.shapes import is_shape

_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def hub_is_reachable() -> bool:
    """Whether the hub's name resolves; behind a proxy, where names need not resolve, yes."""
    if any(name in os.environ for name in _PROXIES):
        return True
    try:
        socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def offline_if_unreachable(
    names: Iterable[str], is_reachable: Callable[[], bool] = hub_is_reachable
) -> Iterator[None]:
    """Within the block, the hub's client works offline if the hub's name does not resolve.

    Nothing is asked where ``names`` are shapes and folders alone, or where the client works
    offline anyway.

    The client would otherwise retry for most of a minute before it says so; a model in the
    local cache needs no hub anyway.

    Args:
        names: what is to be loaded.
        is_reachable: asks the network.
    """
    before = constants.HF_HUB_OFFLINE
    elsewhere = any(not is_shape(name) and not Path(name).expanduser().is_dir() for name in names)
    constants.HF_HUB_OFFLINE = before or (elsewhere and not is_reachable())
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before

"""Keeps what vLLM logs and prints in this process off the terminal."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from typing import TextIO

from llem_core.processes import CapturedOutput


@contextlib.contextmanager
def dropped() -> Iterator[None]:
    """Within the block nothing is printed, and vLLM's log is dropped until it is led away."""
    output = CapturedOutput()
    try:
        with output.redirected():
            yield
    finally:
        output.close()
        lead_log(io.StringIO())


def lead_log(stream: TextIO) -> None:
    """Have vLLM's log in this process go to a stream."""
    for handler in logging.getLogger("vllm").handlers:
        if isinstance(handler, logging.StreamHandler):
            # `setStream` would flush the former one, which may be closed by now.
            handler.stream = stream

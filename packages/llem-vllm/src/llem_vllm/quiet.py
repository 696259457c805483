"""Keeps what vLLM logs and prints in this process off the terminal."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from typing import TextIO

from llem_core.processes import CapturedOutput


@contextlib.contextmanager
def dropped() -> Iterator[None]:
    """Within the block nothing is printed, and vLLM's log is dropped until it is led away."""
    output = CapturedOutput()
    try:
        with contained(output):
            yield
    finally:
        output.close()
        lead_log(io.StringIO())


@contextlib.contextmanager
def contained(output: CapturedOutput) -> Iterator[None]:
    """Within the block vLLM may do as it likes: afterwards this process is as it was.

    It prints, warns, and sets variables for the processes that it starts; those have them by then.

    Args:
        output: takes what is printed, by processes that are started here too.
    """
    variables, path = dict(os.environ), list(sys.path)
    try:
        with output.redirected(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)
        sys.path[:] = path


def lead_log(stream: TextIO) -> None:
    """Have vLLM's log in this process go to a stream."""
    for handler in logging.getLogger("vllm").handlers:
        if isinstance(handler, logging.StreamHandler):
            # `setStream` would flush the former one, which may be closed by now.
            handler.stream = stream

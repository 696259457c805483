from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

Start = Callable[..., int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts scripted servers as programs, gives their ports, and ends them."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-m", "llem_server.testing", *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline().rsplit(" ", 1)[1])

    yield begin
    for process in running:
        process.kill()
        process.communicate()

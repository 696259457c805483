"""Keeps CodeCarbon's logging and printing off the terminal."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import threading
import warnings
from collections.abc import Iterator

LOGGER = "codecarbon"


class LogCatcher(logging.Filter):
    """Catches what CodeCarbon logs, instead of its handler on stderr.

    CodeCarbon gives its logger a handler each time that a tracker is made, so the logger
    itself is filtered. Warnings are kept: some say that a meter failed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._messages: list[str] = []
        self._level = logging.NOTSET

    def install(self) -> None:
        """Start catching."""
        logger = logging.getLogger(LOGGER)
        self._level = logger.level
        logger.addFilter(self)

    def remove(self) -> None:
        """Stop catching; the logger's level is as it was."""
        logger = logging.getLogger(LOGGER)
        logger.removeFilter(self)
        logger.setLevel(self._level)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a warning, and let nothing through."""
        if record.levelno >= logging.WARNING:
            message = " ".join(record.getMessage().split())
            with self._lock:
                if message not in self._messages:
                    self._messages.append(message)
        return False

    def take(self) -> tuple[str, ...]:
        """Give the warnings since the last call, each once."""
        with self._lock:
            messages, self._messages = self._messages, []
        return tuple(messages)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep what is printed or warned of off the terminal: amdsmi prints on import."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


_JOB = ("SLURM_JOB_ID", "SLURM_JOBID")


@contextlib.contextmanager
def without_absent_scheduler() -> Iterator[None]:
    """Hide the number of a Slurm job where Slurm's own program is missing.

    CodeCarbon would ask that program how much memory the job has, and not start. In a container
    of a Slurm job the variables are there, and the program is not.
    """
    absent = shutil.which("scontrol") is None
    hidden = {name: os.environ.pop(name) for name in _JOB if absent and name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)

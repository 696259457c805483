"""What engines print, kept off the terminal and at hand for an error."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

TAIL_CHARACTERS = 4000
MOST_BYTES = 4 * 1024 * 1024


class CapturedOutput:
    """A file that engines print into.

    They write into it themselves: no thread of this process takes part, so that printing costs
    nothing in a measured window and goes on while a library holds the interpreter.

    Args:
        log: path of the file, which is begun anew; an unnamed temporary one if not given.
        hidden: secrets that an engine may print; what is read here has ``***`` in their place.

    Example::

        output = CapturedOutput()
        with output.redirected():  # the engine that is started here prints into it all its life
            os.system("echo ready")
        assert output.tail() == "ready"
        output.close()
    """

    def __init__(self, log: Path | None = None, hidden: Sequence[str] = ()) -> None:
        self.log = log
        self._hidden = [value for value in hidden if value]
        if log is None:
            with tempfile.TemporaryFile() as file:
                self._descriptor = os.dup(file.fileno())
        else:
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(log, flags, 0o666)

    def fileno(self) -> int:
        """The descriptor to write to, as ``subprocess`` takes it for ``stdout``."""
        return self._descriptor

    @contextlib.contextmanager
    def redirected(self) -> Iterator[None]:
        """Within the block, standard output and standard error of this process go here.

        Processes that are started within the block keep them for good.
        """
        with contextlib.ExitStack() as stack:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError, AttributeError):  # it is closed
                    stream.flush()
            for number in (1, 2):
                with contextlib.suppress(OSError):  # nothing can be printed there
                    stack.callback(_restore, os.dup(number), number)
                    os.dup2(self._descriptor, number)
            # Python's own streams may lead elsewhere already, as in a notebook.
            binary = os.fdopen(os.dup(self._descriptor), "wb", buffering=0)
            text = stack.enter_context(io.TextIOWrapper(binary, write_through=True))
            stack.enter_context(contextlib.redirect_stdout(text))
            stack.enter_context(contextlib.redirect_stderr(text))
            yield

    def tail(self) -> str:
        """The last lines that were printed, some thousand characters at the most."""
        return self._end(TAIL_CHARACTERS).strip()

    def text(self) -> str:
        """All that was printed; of more than ``MOST_BYTES``, the end."""
        return self._end(MOST_BYTES)

    def _end(self, n_bytes: int) -> str:
        """The last bytes as a text without secrets; one that is cut in two is left out."""
        if self._descriptor < 0:
            return ""
        longest = max((len(value.encode()) for value in self._hidden), default=0)
        size = os.fstat(self._descriptor).st_size
        start = max(0, size - n_bytes - longest)
        text = os.pread(self._descriptor, size - start, start).decode(errors="replace")
        for value in self._hidden:
            text = text.replace(value, "***")
        return text[longest:] if start else text

    def close(self) -> None:
        """Free the file; harmless when that is done."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _restore(kept: int, number: int) -> None:
    os.dup2(kept, number)
    os.close(kept)


def describe_exit(code: int | None) -> str:
    """How a process ended, as the predicate of a sentence.

    Args:
        code: its exit code; minus the number of the signal that ended it; ``None`` where only
            its parent was told.
    """
    if code is None:
        return "ended"
    if code >= 0:
        return f"exited with code {code}"
    name = signal_name(-code)
    return f"was ended by {'signal ' if name.isdigit() else ''}{name}"


def signal_name(number: int) -> str:
    """Name of a signal; its number where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)

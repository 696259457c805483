"""Where text goes: the summary to stdout, alone, and everything else to stderr."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from llem_core.errors import ExperimentError
from llem_core.text import displayable, without_password

_LEAST_WIDTH = 40
_MOST_WIDTH = 100


def width() -> int:
    """Columns of the terminal, within reason; 80 where there is none."""
    return max(_LEAST_WIDTH, min(_MOST_WIDTH, shutil.get_terminal_size().columns))


def note(text: str) -> None:
    """Write a paragraph to stderr: wrapped on a terminal, one line in a log."""
    if sys.stderr is not None and sys.stderr.isatty():
        text = textwrap.fill(text, width(), break_long_words=False, break_on_hyphens=False)
    write_stderr(text + "\n")


def write_stderr(text: str, control: str = "") -> None:
    """Write to stderr; a stderr that nobody reads any more costs no measurement.

    Args:
        text: what is shown; nothing in it acts on the terminal.
        control: what acts on the terminal before it.
    """
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(control + _printable(text, sys.stderr.encoding))
        sys.stderr.flush()


def write_result(text: str) -> None:
    """Write to stdout; a reader that has seen enough, such as ``head``, is no error.

    Raises:
        ExperimentError: stdout cannot be written for another reason, such as a full disk.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(_printable(text, sys.stdout.encoding) + "\n")
        sys.stdout.flush()
    except OSError as error:
        failed = stdout_failed(error)
        if not isinstance(error, BrokenPipeError):
            raise failed from error


def stdout_failed(error: OSError) -> ExperimentError:
    """Give stdout up after an error, so that it does not fail once more at exit."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a file descriptor is wanted
        os.dup2(nowhere.fileno(), 1)
    return ExperimentError(f"stdout cannot be written: {error.strerror}.")


@contextlib.contextmanager
def stdout_reserved() -> Iterator[None]:
    """Within the block, whatever is printed to stdout comes out on stderr.

    Libraries, C code and child processes print as they please; this works on the file
    descriptor that all of them share.
    """
    with contextlib.ExitStack() as stack:
        if sys.stdout is not None:
            sys.stdout.flush()
        with contextlib.suppress(OSError):  # one of them is closed: nothing to keep apart
            kept = os.dup(1)
            stack.callback(_restore, kept)
            os.dup2(2, 1)
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def relative(path: Path) -> str:
    """The path from here, if it is below this folder; otherwise in full."""
    try:
        here = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118 - compared as text
    except OSError:  # the current folder has been removed
        return str(path)
    full = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow the user's own links
    return full.removeprefix(here)


def _restore(kept: int) -> None:
    if sys.stdout is not None:
        sys.stdout.flush()  # by whoever kept the stream itself
    os.dup2(kept, 1)
    os.close(kept)


def _printable(text: str, encoding: str | None) -> str:
    text = displayable(without_password(text))
    return text.encode(encoding or "utf-8", "replace").decode(encoding or "utf-8")

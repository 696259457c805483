"""The last line of a terminal, written over again and again while work goes on.

It is written when something happened, never by a timer: between events the process sleeps, so
a display costs a measured window nothing. What it says therefore stays true while it stands:
times of day, not seconds that would have to be counted.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from types import TracebackType
from typing import Self

from llem_cli.show.output import write_stderr

_CLEAR = "\r\x1b[K"
_INCAPABLE = frozenset({"", "dumb", "unknown"})


def can_rewrite() -> bool:
    """Whether stderr is a terminal on which a line can be written over."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    return terminal and os.environ.get("TERM", "").lower() not in _INCAPABLE


def columns() -> int:
    """Columns of stderr's terminal as it is now; 80 where it does not say."""
    try:
        found = os.get_terminal_size(sys.stderr.fileno()).columns
    except (AttributeError, OSError, ValueError):  # closed, replaced, or no terminal
        found = 0
    return found or 80


def cut(text: str, most: int) -> str:
    """The text in one line of at most ``most`` columns, ``…`` where something is left out."""
    text = one_line(text)
    if displayed(text) <= most:
        return text
    kept, used = [], 1
    for character in text:
        used += displayed(character)
        if used > most:
            break
        kept.append(character)
    return "".join(kept) + "…"


def one_line(text: str) -> str:
    """The text with a space for whatever a terminal would not print as a character."""
    return "".join(character if character.isprintable() else " " for character in text)


def displayed(text: str) -> int:
    """Columns that printable text takes: two for East Asian wide, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


class LiveLine:
    """One line that is written over, with lines above it that stay.

    Args:
        shown: whether there is a live line at all; ``leave`` writes in any case.
    """

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self._standing = False

    def show(self, text: str) -> None:
        """Write the text over what stands there."""
        if self.shown and (text or self._standing):
            # The last column stays free: some terminals wrap as soon as it is filled.
            write_stderr(cut(text, max(1, columns() - 1)), control=_CLEAR)
            self._standing = bool(text)

    def leave(self, text: str) -> None:
        """Write a line that stays; the live one is gone until it is shown again."""
        self.show("")
        write_stderr(f"{text}\n")


class OnLiveLine:
    """A display that has a live line, which goes away when the display is left."""

    def __init__(self, line: LiveLine) -> None:
        self._line = line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.show("")

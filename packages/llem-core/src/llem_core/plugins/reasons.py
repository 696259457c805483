"""Says in one sentence why foreign code failed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pluggy

from llem_core.errors import PluginError

_LONGEST = 500


def why_not_imported(point: EntryPoint, error: BaseException) -> str:
    """Why an entry point does not load; names the module that is really missing."""
    if isinstance(error, AttributeError) and point.attr and f"{point.attr!r}" in str(error):
        return (
            f"its entry point names {point.value}, and there is no {point.attr!r} in that module; "
            "tell its author, or install another version"
        )
    return f"it does not import: {told(error)}"


def why_not_registered(error: BaseException) -> str:
    """Why a plugin that was imported cannot be registered."""
    if isinstance(error, PluginError):
        return str(error)
    if isinstance(error, pluggy.PluginValidationError):
        return f"one of its hooks does not fit the contract: {_argument(error)}"
    return f"it does not register: {told(error)}"


def told(error: BaseException) -> str:
    """An exception with what caused it, on one line."""
    parts = [f"{type(each).__name__}: {each}".rstrip(": ") for each in _chain(error)]
    text = ", caused by ".join(" ".join(part.split()) for part in parts)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)


def _argument(error: pluggy.PluginValidationError) -> str:
    """The part of pluggy's message that a person can use."""
    text = " ".join(str(error).split())
    found = re.search(r"hook '(\w+)'.*Argument\(s\) (\{.*?\}) are declared", text)
    return f"{found[1]} takes no argument {found[2].strip('{}')}" if found else text

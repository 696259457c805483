"""A trace of requests: when each was sent, and how long it and its answer were."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llem_core.errors import ConfigError
from llem_core.files import user_path
from llem_core.text import joined_surrogates

_LONGEST_LINE_BYTES = 16 * 1024**2
_MOST_REQUESTS = 10_000_000


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """One line of a trace.

    Attributes:
        timestamp_s: when it was sent, from the trace's own zero (s).
        input_tokens: tokens of its prompt; ``None`` where ``prompt`` is given.
        output_tokens: tokens of its answer, exactly; ``None`` leaves it to the model.
        prompt: its text.
        session: requests of one session are sent one after another: each when the one before it
            is over, and not before its own time.
    """

    timestamp_s: float
    input_tokens: int | None
    output_tokens: int | None
    prompt: str | None
    session: str | None


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace file.

    Attributes:
        requests: in the order of their times; one at least.
        sha256: of the file's content, as hexadecimal digits.
    """

    requests: tuple[TraceRequest, ...]
    sha256: str


def read_trace(source: str) -> Trace:
    """Read a trace: JSON Lines with ``timestamp_s``, and ``prompt`` or ``input_tokens``.

    Raises:
        ConfigError: the file cannot be read, or a line of it is no request, has a time below zero,
            or one before that of the line above.
    """
    path = user_path(source)
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise ConfigError(
            f"load.trace: there is no file {path}; give the path of a JSON Lines file with "
            "timestamp_s, input_tokens and output_tokens, or prompt, a line."
        ) from error
    except OSError as error:
        raise ConfigError(f"load.trace: {path} cannot be read: {error.strerror}.") from error
    return _read(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=8)
def _read(path: Path, changed_ns: int, size_bytes: int) -> Trace:
    del changed_ns, size_bytes  # a file that has changed is read again
    digest = hashlib.sha256()
    requests: list[TraceRequest] = []
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST_LINE_BYTES + 1):
                number += 1
                digest.update(line)
                where = f"load.trace: {path}, line {number}"
                if len(line) > _LONGEST_LINE_BYTES:
                    raise ConfigError(f"{where}: it is longer than 16 MiB.")
                if len(requests) >= _MOST_REQUESTS:
                    raise ConfigError(f"{where}: a trace has {_MOST_REQUESTS:,} requests at most.")
                if line.strip():
                    requests.append(_parse(line, where))
                    _check_order(requests, where)
    except OSError as error:
        raise ConfigError(f"load.trace: {path} cannot be read: {error.strerror}.") from error
    if not requests:
        raise ConfigError(f"load.trace: {path} has no request.")
    return Trace(tuple(requests), digest.hexdigest())


def _check_order(requests: list[TraceRequest], where: str) -> None:
    if len(requests) > 1 and requests[-1].timestamp_s < requests[-2].timestamp_s:
        raise ConfigError(
            f"{where}: timestamp_s is {requests[-1].timestamp_s:g}, before that of the request "
            f"above it ({requests[-2].timestamp_s:g}); sort the trace by time."
        )


def _parse(line: bytes, where: str) -> TraceRequest:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: it is not JSON ({error}); one JSON object a line.") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: it is not an object.")
    prompt = _prompt(value, where)
    input_tokens, output_tokens = (
        _count(value, name, where) for name in ("input_tokens", "output_tokens")
    )
    if prompt is None and (input_tokens is None or output_tokens is None):
        raise ConfigError(
            f'{where}: it has neither "prompt" nor both "input_tokens" and "output_tokens".'
        )
    session = value.get("session")
    return TraceRequest(
        timestamp_s=_time(value, where),
        input_tokens=None if prompt is not None else input_tokens,
        output_tokens=output_tokens,
        prompt=prompt,
        session=None if session is None else str(session),
    )


def _time(value: dict[str, Any], where: str) -> float:
    found = value.get("timestamp_s")
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise ConfigError(f'{where}: "timestamp_s" must be a number of seconds.')
    if found < 0:
        raise ConfigError(f'{where}: "timestamp_s" is {found:g}; a time cannot be below zero.')
    return float(found)


def _count(value: dict[str, Any], name: str, where: str) -> int | None:
    found = value.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise ConfigError(f'{where}: "{name}" must be a whole number of 1 or more.')
    return found


def _prompt(value: dict[str, Any], where: str) -> str | None:
    found = value.get("prompt")
    if found is None:
        return None
    if not isinstance(found, str) or not found:
        raise ConfigError(f'{where}: "prompt" must be a text that is not empty.')
    try:
        return joined_surrogates(found)
    except UnicodeError as error:
        raise ConfigError(
            f'{where}: "prompt" has one half of a surrogate pair alone, which is no text.'
        ) from error

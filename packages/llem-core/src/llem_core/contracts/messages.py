"""What passes between a study and the process that runs one of its experiments.

Every message is one line of JSON, so that it can cross a pipe, a socket or a file.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from llem_core import events
from llem_core.events import Event, ExperimentState, Phase


@dataclass(frozen=True, slots=True)
class LaunchTask:
    """One experiment to run.

    Attributes:
        config_hash: ``measurement_config_hash`` of the experiment.
        config: its resolved fields, as JSON types.
        directory: the study's folder, as an absolute path.
        folder: name of the experiment's own folder in it, which the experiment makes.
    """

    config_hash: str
    config: dict[str, Any]
    directory: str
    folder: str


@dataclass(frozen=True, slots=True)
class LaunchFailure:
    """Why an experiment has no result.

    Attributes:
        error_type: name of the exception, or of what befell the process.
        message: one paragraph: what is wrong, where, and what to do about it.
        traceback: where it happened, cut to its end; ``None`` where nobody knows.
        phase: the step that it happened in, if known.
    """

    error_type: str
    message: str
    traceback: str | None = None
    phase: Phase | None = None


@dataclass(frozen=True, slots=True)
class LaunchSuccess:
    """An experiment's result, after its folder has been written.

    Attributes:
        result: ``ExperimentResult`` as JSON text.
    """

    result: str


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Import what a backend needs, and wait for a task."""

    backend: str


LaunchResult: TypeAlias = LaunchSuccess | LaunchFailure
Message: TypeAlias = Event | LaunchTask | LaunchSuccess | LaunchFailure | WarmUp

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(LaunchTask, LaunchFailure, LaunchSuccess, WarmUp),
        *(events.ExperimentStarted, events.ExperimentFinished, events.ExperimentFailed),
        *(events.PhaseChanged, events.PhaseProgress, events.PluginFailed),
    )
}
_ENUMS: dict[str, type[Phase | ExperimentState]] = {"phase": Phase, "state": ExperimentState}


def encode(message: Message) -> bytes:
    """One message as one line, newline included."""
    fields = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    return json.dumps([type(message).__name__, fields], separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of one line.

    Raises:
        ValueError: it is none.
    """
    try:
        name, fields = json.loads(line)
        for key, kind in _ENUMS.items():
            if fields.get(key) is not None:
                fields[key] = kind(fields[key])
        message: Message = _KINDS[name](**fields)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"not a message ({error}): {line[:80]!r}") from error
    return message

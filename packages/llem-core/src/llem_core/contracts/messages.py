"""What passes between a study and the process of a run: messages, each one line of JSON.

They can cross a pipe, a socket or a file. Every line has the version of the protocol, so that two
installations that do not fit each other find out with the first one.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union

from llem_core import events
from llem_core.events import Event, Phase

if TYPE_CHECKING:
    from pydantic import TypeAdapter

PROTOCOL_VERSION = 1
"""Version of all messages. It changes when one side could no longer read the other's."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run asks of its launcher; ``None`` leaves it to the launcher.

    Attributes:
        gpus: number of GPUs.
        cpus: number of CPU cores.
        memory_bytes: memory of the host (bytes).
        running_seconds: the study kills the run when it has been running for longer (s).
    """

    gpus: int | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    running_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class LaunchTask:
    """One experiment to run.

    Attributes:
        config_hash: ``measurement_config_hash`` of the experiment.
        config: its resolved fields, as JSON types.
        directory: the study's folder, as an absolute path.
        folder: name of the experiment's own folder in it, which the experiment makes.
        resources: what it asks of the launcher.
        services: what the study's services tell of themselves, by name; JSON types.
        block: name of a set of runs that belong on one node, so that they can be compared; the
            study starts them one after another. ``None`` where it may run anywhere.
        node: the node that earlier runs of its block were on; a launcher with nodes starts it
            there. ``None`` where there were none, or where it must find another one.
        warnings: what its launcher has to say of the place; they stand in its result.
    """

    config_hash: str
    config: dict[str, Any]
    directory: str
    folder: str
    resources: Resources = Resources()
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    block: str | None = None
    node: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LaunchFailure:
    """Why an experiment has no result.

    Attributes:
        error_type: name of the exception, or of what befell the process.
        message: one paragraph: what is wrong, where, and what to do about it.
        traceback: where it happened, cut to its end; ``None`` where nobody knows.
        phase: the step that it happened in, if known.
        is_transient: whether the same run may well succeed at another time or place: its node was
            lost, it was preempted, its time was over. ``execution.retries`` counts for these.
    """

    error_type: str
    message: str
    traceback: str | None = None
    phase: Phase | None = None
    is_transient: bool = False

    @property
    def text(self) -> str:
        """Type and message, as people read them."""
        return f"{self.error_type}: {self.message}"


@dataclass(frozen=True, slots=True)
class LaunchSuccess:
    """An experiment has a result, which lies on the disk.

    Attributes:
        result_file: its ``result.json``, relative to the study's folder.
        size_bytes: size of that file (bytes): one of another size is not whole.
    """

    result_file: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Import what a backend needs, and wait for a task."""

    backend: str


LaunchResult: TypeAlias = LaunchSuccess | LaunchFailure
Message: TypeAlias = Event | LaunchTask | LaunchSuccess | LaunchFailure | WarmUp

_KINDS: tuple[type[Any], ...] = (
    *(LaunchTask, LaunchFailure, LaunchSuccess, WarmUp),
    *(events.ExperimentStarted, events.ExperimentFinished, events.ExperimentFailed),
    *(events.PhaseChanged, events.PhaseProgress, events.PluginFailed),
)


def encode(message: Message) -> bytes:
    """One message as one line, newline included."""
    fields = _adapter().dump_python(message, mode="json")
    header = {"protocol": PROTOCOL_VERSION, "llem": _llem_version(), "kind": type(message).__name__}
    return json.dumps({**header, **fields}, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of one line.

    Raises:
        ValueError: it is none, or it is one of another version of the protocol; says which.
    """
    try:
        content = json.loads(line)
        protocol = content["protocol"]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"not a message ({type(error).__name__}): {line[:80]!r}") from error
    if protocol != PROTOCOL_VERSION:
        raise ValueError(
            f"it is a message of protocol {protocol} (llem-core {content.get('llem')}), and this "
            f"side has protocol {PROTOCOL_VERSION} (llem-core {_llem_version()}); install the same "
            "version of llem-core for the study and for its runs"
        )
    try:
        message: Message = _adapter().validate_python(content)
    except ValueError as error:
        raise ValueError(f"not a message ({error}): {line[:80]!r}") from error
    return message


def _kind(value: Any) -> str | None:
    return value.get("kind") if isinstance(value, dict) else type(value).__name__


@functools.cache
def _adapter() -> TypeAdapter[Any]:
    """The union of all messages, told apart by ``kind``; building it takes some milliseconds."""
    from pydantic import Discriminator, Tag, TypeAdapter

    tagged = tuple(Annotated[kind, Tag(kind.__name__)] for kind in _KINDS)
    union: Any = Union[tagged]  # noqa: UP007 - made of a tuple
    return TypeAdapter(Annotated[union, Discriminator(_kind)])


@functools.cache
def _llem_version() -> str:
    try:
        return version("llem-core")
    except PackageNotFoundError:  # run from its source
        return "unknown"

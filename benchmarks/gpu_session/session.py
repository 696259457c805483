"""What a step has at hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_session.log import parse_log
from gpu_session.machine import Machine
from gpu_session.scale import Scale


@dataclass(slots=True)
class Session:
    """One step's view of the session.

    Attributes:
        scale: how large everything is.
        machine: the device.
        raw: folder for files that belong into the archive.
        log: the log so far.
        send: takes a fact to the log.
        until_s: when the step is cut (monotonic s).
    """

    scale: Scale
    machine: Machine
    raw: Path
    log: Path
    send: Callable[[dict[str, Any]], None]
    until_s: float
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def left_s(self) -> float:
        """Time until the step is cut (s)."""
        return self.until_s - time.monotonic()

    def note(self, name: str, value: Any) -> None:
        """Keep a fact at once: it stays if the step is cut or fails."""
        self.facts[name] = value
        self.send({name: value})

    def earlier(self, step: str) -> dict[str, Any]:
        """The facts of an earlier step; empty where it has none."""
        for record in parse_log(self.log.read_text(encoding="utf-8")):
            if record.get("step") == step:
                return dict(record["facts"])
        return {}

"""Says how a job ended that left no result."""

from __future__ import annotations

from pathlib import Path

from llem_core.contracts import LaunchFailure
from llem_core.events import Phase

from llem_slurm.queue import GONE, JobState

_TAIL_CHARACTERS = 4000

_HOW = {
    "NODE_FAIL": ("NodeLost", "its node {node} failed or was lost"),
    "BOOT_FAIL": ("NodeLost", "its node {node} could not be booted"),
    "PREEMPTED": ("Preempted", "it was preempted by a job of higher priority"),
    "TIMEOUT": (
        "TimeLimit",
        "it was at its time limit; raise execution.experiment_timeout_seconds, "
        "slurm.time_margin_seconds or slurm.time_limit_minutes",
    ),
    "DEADLINE": ("TimeLimit", "it was at its deadline"),
    "OUT_OF_MEMORY": (
        "OutOfMemoryError",
        "it used more memory than the job has; raise execution.resources.memory_gib, or make the "
        "experiment smaller",
    ),
    "CANCELLED": ("JobCancelled", "it was cancelled from outside (scancel, or an administrator)"),
    "REVOKED": ("JobCancelled", "it was revoked"),
    "FAILED": ("WorkerDied", "it ended without starting the run to its end"),
    "COMPLETED": ("WorkerDied", "it is over for SLURM, and its result has not appeared"),
    GONE: (
        "JobLost",
        "SLURM knows no such job any more, and its result has not appeared; it ended while nobody "
        "looked, and this cluster keeps no accounts that would say how",
    ),
}
_TRANSIENT = frozenset({"NodeLost", "Preempted", "TimeLimit", "JobLost"})


def describe_end(
    job_id: str, state: JobState, phase: Phase | None, logs: list[Path]
) -> LaunchFailure:
    """The failure of a job that is over and left no result.

    Args:
        job_id: its number.
        state: where it stands for SLURM.
        phase: the step that the run was in, if known.
        logs: what it printed, and what SLURM wrote of it.
    """
    kind, how = _HOW.get(state.name, ("WorkerDied", f"SLURM calls it {state.name}"))
    where = f" in the step {phase}" if phase else ""
    node = f" on {state.node}" if state.node and "{node}" not in how else ""
    message = f"job {job_id}{node}{where}: {how.format(node=state.node or 'of unknown name')}"
    if state.reason and state.name not in {"COMPLETED", GONE}:
        message += f" (SLURM's reason: {state.reason})"
    return LaunchFailure(kind, message, tail(logs), phase, kind in _TRANSIENT)


def tail(logs: list[Path]) -> str | None:
    """The ends of what was printed; ``None`` if nothing was."""
    parts = []
    for log in logs:
        try:
            text = log.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
        if text:
            parts.append(text[-_TAIL_CHARACTERS:])
    return "\n".join(parts) or None

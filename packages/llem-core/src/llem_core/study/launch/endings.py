"""Says how a worker ended that sent no result."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

from llem_core.contracts.messages import LaunchFailure
from llem_core.events import Phase
from llem_core.processes.output import signal_name

_TAIL = 4000


def oom_kills() -> int | None:
    """Processes that the kernel has killed for memory since the machine started, if it tells."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return None


def describe_death(
    exit_code: int | None,
    *,
    phase: Phase | None,
    broken: str | None,
    oom_kills_before: int | None,
    log: Path,
) -> LaunchFailure:
    """The failure of a worker that ended, or was ended, without a result.

    Args:
        exit_code: its exit code; minus the number of the signal that ended it.
        phase: the step that it was in, if known.
        broken: what was wrong with what it sent, if anything.
        oom_kills_before: ``oom_kills`` before it was started.
        log: what it printed.
    """
    kind, how = _how(exit_code, oom_kills_before)
    where = f" while it was in the step {phase}" if phase else " before its first step"
    sent = f"; what it sent is unusable: {broken}" if broken else ""
    seen = f"; what it printed is in {log.name}" if log.exists() and log.stat().st_size else ""
    outside = kind == "WorkerKilled" and exit_code in {-signal.SIGKILL, -signal.SIGTERM}
    return LaunchFailure(kind, f"{how}{where}{sent}{seen}", tail(log), phase, outside)


def describe_timeout(limit_s: float, phase: Phase | None, log: Path) -> LaunchFailure:
    """The failure of a worker that was killed for taking too long."""
    where = f" in the step {phase}" if phase else ""
    return LaunchFailure(
        "TimeoutError",
        f"the experiment was not done after {limit_s:g} s of running and was killed{where}; raise "
        "execution.experiment_timeout_seconds, or make it smaller",
        tail(log),
        phase,
        is_transient=True,
    )


def tail(log: Path) -> str | None:
    """The end of what a worker printed; ``None`` if it printed nothing."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[-_TAIL:] or None


def _how(exit_code: int | None, oom_kills_before: int | None) -> tuple[str, str]:
    if exit_code is None or exit_code >= 0:
        return "WorkerDied", f"the process exited with code {exit_code} and without a result"
    name = signal_name(-exit_code)
    if exit_code != -signal.SIGKILL:
        return "WorkerKilled", f"the process was ended by signal {name}"
    after = oom_kills()
    if after is not None and oom_kills_before is not None and after > oom_kills_before:
        return (
            "OutOfMemoryError",
            "the process was killed by SIGKILL while the kernel was killing processes because "
            "memory ran out (lower the batch size or the number of processes, or take a smaller "
            "model)",
        )
    return (
        "WorkerKilled",
        "the process was killed by SIGKILL from outside (by hand, by a batch system, or for the "
        "memory limit of a container)",
    )

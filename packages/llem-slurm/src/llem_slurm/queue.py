"""What SLURM says of the jobs of a study, asked with its own commands.

All jobs of a study have one name, so that one question covers them, however many there are.
``sacct`` is asked only for a job that the controller has forgotten, and only where the cluster
keeps accounts.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

_WAITING = frozenset(
    {
        *("PENDING", "CONFIGURING", "SPECIAL_EXIT", "RESV_DEL_HOLD"),
        *("REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"),
    }
)
_RUNNING = frozenset(
    {
        *("RUNNING", "COMPLETING", "SUSPENDED", "SIGNALING", "STAGE_OUT", "STOPPED", "RESIZING"),
    }
)
_COMMAND_LIMIT_S = 60.0
_CANCEL_S = 180.0
_RETRY_S = 0.5
_NO_REASON = {"", "None", "(null)"}
GONE = "GONE"
"""State of a job that the controller does not know (any more), and of which no account is kept."""


@dataclass(frozen=True, slots=True)
class JobState:
    """Where a job stands.

    Attributes:
        name: SLURM's name of the state, such as ``PENDING``; ``GONE`` where it knows no such job.
        reason: why it waits or has ended, in SLURM's word; empty where it gives none.
        node: the node that it is or was on; empty before it has one.
    """

    name: str
    reason: str = ""
    node: str = ""

    @property
    def is_waiting(self) -> bool:
        """It has no node yet."""
        return self.name in _WAITING

    @property
    def is_over(self) -> bool:
        """Nothing of it runs, and nothing will."""
        return self.name not in _WAITING and self.name not in _RUNNING


class CommandError(Exception):
    """A command of SLURM's failed; the message is what it said."""


def run_command(arguments: Sequence[str]) -> str:
    """What a command prints.

    Raises:
        CommandError: it failed, cannot be started, or gave no answer.
    """
    try:
        done = subprocess.run(  # noqa: S603 - SLURM's own commands, without a shell
            arguments, capture_output=True, text=True, check=True, timeout=_COMMAND_LIMIT_S
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()
        raise CommandError(said[-1] if said else f"exit code {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"no answer within {_COMMAND_LIMIT_S:g} s") from error
    except OSError as error:
        raise CommandError(f"{arguments[0]}: {error.strerror}") from error
    return done.stdout


class Queue:
    """The jobs of one name.

    Args:
        name: of the jobs.
        poll_s: least time between two questions (s).
        command: runs a command and gives what it prints.
        clock, sleep: monotonic time (s), and how to wait.

    Attributes:
        trouble: what the controller's last answer lacked, if it gave none.
    """

    def __init__(
        self,
        name: str,
        poll_s: float,
        command: Callable[[Sequence[str]], str] = run_command,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._poll_s = poll_s
        self._command = command
        self._clock = clock
        self._sleep = sleep
        self._jobs: dict[str, JobState] = {}
        self._forgotten: dict[str, JobState] = {}
        self._asked_s: float | None = None
        self._answered_s: float | None = None
        self._keeps_accounts: bool | None = None
        self._is_silent = False
        self.trouble: str | None = None

    def look(self, job_id: str, submitted_s: float) -> JobState | None:
        """Where a job stands; asks again when the last answer is too old.

        Args:
            job_id: its number, ``N_M`` for one of an array.
            submitted_s: monotonic time after which it was known to SLURM (s).

        Returns:
            ``None`` while the controller has not answered since then.
        """
        if self._asked_s is None or self._clock() - self._asked_s >= self._poll_s:
            self.ask()
        if self._answered_s is None or self._answered_s < submitted_s:
            return None
        found = self._jobs.get(job_id)
        if found is None:
            if job_id not in self._forgotten:
                self._forgotten[job_id] = self._account(job_id) or JobState(GONE)
            return self._forgotten[job_id]
        return found

    def ask(self) -> bool:
        """Ask the controller now; says whether it answered."""
        self._asked_s = asked_s = self._clock()
        try:
            text = self._command(
                [
                    *("squeue", "--noheader", "--array", "--states=all"),
                    *(f"--name={self._name}", "--format=%i|%T|%r|%N"),
                ]
            )
        except CommandError as error:
            self.trouble = str(error)
            return False
        self.trouble = None
        self._answered_s = asked_s
        self._jobs = {}
        for line in text.splitlines():
            job_id, _, rest = line.strip().partition("|")
            state, _, rest = rest.partition("|")
            reason, _, node = rest.rpartition("|")
            self._jobs[job_id] = JobState(state, "" if reason in _NO_REASON else reason, node)
        return True

    def cancel(self, job_ids: Collection[str], limit_s: float = _CANCEL_S) -> Collection[str]:
        """Cancel jobs and wait until nothing of them runs.

        Args:
            job_ids: their numbers.
            limit_s: gives up after this time (s); at once where the controller was silent
                through a whole cancellation before, lest an interrupt takes this long for each.

        Returns:
            Those of which the controller has not confirmed it.
        """
        if self._is_silent:
            limit_s = 0.0
        deadline_s = self._clock() + limit_s
        while job_ids and not self._told_to_cancel(job_ids) and self._clock() < deadline_s:
            self._sleep(_RETRY_S)
        left = self.wait(job_ids, max(0.0, deadline_s - self._clock()))
        self._is_silent = bool(left) and self.trouble is not None
        return left

    def wait(self, job_ids: Collection[str], limit_s: float) -> Collection[str]:
        """Wait until nothing of jobs runs.

        Args:
            job_ids: their numbers.
            limit_s: gives up after this time (s).

        Returns:
            Those of which the controller has not confirmed it.
        """
        left = set(job_ids)
        deadline_s = self._clock() + limit_s
        while left:
            if self.ask():
                left = {one for one in left if not self._jobs.get(one, JobState(GONE)).is_over}
            if not left or self._clock() > deadline_s:
                break
            self._sleep(_RETRY_S)
        return left

    def others(self, known: Collection[str]) -> list[str] | None:
        """Jobs of this name that are not over, beside those; ``None``: the controller is silent."""
        if not self.ask():
            return None
        return [one for one, state in self._jobs.items() if not state.is_over and one not in known]

    def _told_to_cancel(self, job_ids: Collection[str]) -> bool:
        try:
            self._command(["scancel", *sorted(job_ids)])
        except CommandError as error:
            self.trouble = str(error)
            return "invalid job id" in str(error).lower()
        return True

    def _account(self, job_id: str) -> JobState | None:
        """What the cluster's accounts say of a job; ``None`` where it keeps none, or not of it."""
        if self._keeps_accounts is False:
            return None
        try:
            text = self._command(
                [
                    *("sacct", "--noheader", "--parsable2", "--allocations"),
                    *(f"--jobs={job_id}", "--format=State,NodeList"),
                ]
            )
        except CommandError:
            self._keeps_accounts = False
            return None
        self._keeps_accounts = True
        lines = text.strip().splitlines()
        if not lines:
            return None
        state, _, node = lines[-1].partition("|")
        name = state.split()[0].rstrip("+") if state.split() else ""
        found = JobState(name, "", "" if node == "None assigned" else node)
        return found if name and found.is_over else None

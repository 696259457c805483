"""Submits jobs, through submitit."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llem_core.contracts import LaunchTask

from llem_slurm.config import SlurmConfig

_MIB = 2**20
_TEMPORARY = re.compile(
    r"MaxSubmit|temporarily|try again|timed out|timeout|contact|communication|connect",
    re.IGNORECASE,
)
# A program that is itself in a job must not hand that job's variables on to its own jobs.
_OF_A_JOB = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SUBMITIT_")


class SubmissionError(Exception):
    """SLURM has not taken a job; the message is what it said.

    Attributes:
        is_temporary: whether it may take the same job later: it is full, or did not answer.
    """

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.is_temporary = bool(_TEMPORARY.search(said))


def submit(
    folder: Path, section: SlurmConfig, name: str, jobs: Sequence[tuple[LaunchTask, Path]]
) -> list[str]:
    """Submit jobs that ask for the same: as an array, where there are several.

    Args:
        folder: where submitit keeps its scripts.
        section: what to ask for.
        name: of the jobs.
        jobs: for each its task and its mailbox.

    Returns:
        Their numbers.

    Raises:
        SubmissionError: SLURM has not taken them.
    """
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    from llem_slurm.job import run

    python = None if section.python is None else shlex.quote(section.python)
    executor = SlurmExecutor(folder, python=python)
    executor.update_parameters(**parameters(section, name, jobs[0][0]))
    try:
        # What sbatch says is in the error; submitit prints it as well.
        with _outside_of_jobs(), contextlib.redirect_stderr(io.StringIO()):
            if len(jobs) == 1:
                return [executor.submit(run, str(jobs[0][1])).job_id]
            with executor.batch():
                submitted = [executor.submit(run, str(mailbox)) for _, mailbox in jobs]
            return [one.job_id for one in submitted]
    except (FailedJobError, FailedSubmissionError, OSError) as error:
        raise SubmissionError(_said(error)) from error


def parameters(section: SlurmConfig, name: str, task: LaunchTask) -> dict[str, Any]:
    """What submitit is told of a job."""
    job = section.job(task.config)
    asked = task.resources
    gpus = asked.gpus if job.gpus is None else job.gpus
    cpus = asked.cpus if job.cpus is None else job.cpus
    memory_bytes = asked.memory_bytes if job.memory_gib is None else job.memory_gib * 1024 * _MIB
    # A node that is had alone is had whole: SLURM's 0 is all of its memory.
    memory = "0" if section.exclusive else None
    if memory_bytes is not None:
        memory = f"{math.ceil(memory_bytes / _MIB)}M"
    told: dict[str, Any] = {
        "job_name": name,
        "partition": job.partition,
        "constraint": job.constraint,
        "account": job.account,
        "qos": job.qos,
        "time": job.time_limit_minutes or _minutes(section, task),
        "nodes": 1,
        "nodelist": task.node,
        "exclusive": True if section.exclusive else None,
        "gpus_per_node": gpus or None,
        "cpus_per_task": cpus,
        "mem": memory,
        # SIGTERM reaches the shell too, which would end, and the job with it, before its last word.
        "setup": ["trap : TERM", *(job.setup or ())],
        "additional_parameters": {"no-requeue": True, **job.options},
        "use_srun": False,
        "stderr_to_stdout": True,
        "signal_delay_s": 0,
    }
    # `None` has it leave the key of submitit's own makers out.
    return {key: value for key, value in told.items() if value is not None} | {"wckey": None}


def same_job(section: SlurmConfig, first: LaunchTask, second: LaunchTask) -> bool:
    """Whether two tasks ask for the same, so that one array may hold both."""
    return parameters(section, "", first) == parameters(section, "", second)


def _minutes(section: SlurmConfig, task: LaunchTask) -> int:
    running_s = task.resources.running_seconds or 0.0
    return max(1, math.ceil((running_s + section.time_margin_seconds) / 60))


@contextlib.contextmanager
def _outside_of_jobs() -> Iterator[None]:
    hidden: Mapping[str, str] = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_OF_A_JOB) and name != "SLURM_CONF"
    }
    for variable in hidden:
        del os.environ[variable]
    try:
        yield
    finally:
        os.environ.update(hidden)


def _said(error: Exception) -> str:
    """The line of sbatch in what submitit raised."""
    text = f"{error}\n{error.__cause__ or ''}"
    lines = [line.strip() for line in text.splitlines() if "error" in line.lower()]
    said = [line.partition("error:")[2].strip() for line in lines if "sbatch: error:" in line]
    return "; ".join(dict.fromkeys(said)) or (lines or [text.strip()])[-1]

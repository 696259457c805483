"""The container or the batch job that the process runs in."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from llem_core.environment.cpu import read_text
from llem_core.results.environment import ContainerRecord

ENVIRONMENT_VARIABLE = "_LLEM_ENVIRONMENT"
"""Set by the study in the process of a run: which of its environments that is, and of what image,
as JSON. A container cannot tell its own image."""


class _Scheduler(NamedTuple):
    """A batch system.

    Attributes:
        name: in results.
        variable: has the job's number.
        parents: its processes that start those of a job.
    """

    name: str
    variable: str
    parents: frozenset[str]


_SCHEDULERS = (
    _Scheduler("slurm", "SLURM_JOB_ID", frozenset({"slurmstepd"})),
    _Scheduler("pbs", "PBS_JOBID", frozenset({"pbs_mom"})),
    _Scheduler("lsf", "LSB_JOBID", frozenset({"res", "sbatchd"})),
)
_JOB_ID = re.compile(r"[\w.@\[\]-]{1,80}")


def read_container(root: Path = Path("/")) -> ContainerRecord:
    """What can be told from marker files, variables and the control group.

    Args:
        root: the file system that ``/proc`` and ``/sys`` are read from.
    """
    jobs = [job for one in _SCHEDULERS if (job := _job(one, root, os.environ)) is not None]
    return ContainerRecord(
        kind=_kind(),
        memory_limit_bytes=_memory_limit(root),
        cpu_limit_cores=_cpu_limit(root),
        scheduler_job=jobs[0] if jobs else None,
        image=_told("image"),
        image_digest=_told("image_digest"),
    )


def environment_name() -> str | None:
    """The study's name for the environment that this process was started in, if it has one."""
    return _told("name")


def _told(key: str) -> str | None:
    try:
        value = json.loads(os.environ.get(ENVIRONMENT_VARIABLE, "{}")).get(key)
    except (ValueError, AttributeError):
        return None
    return value if isinstance(value, str) else None


def _job(scheduler: _Scheduler, root: Path, environ: Mapping[str, str]) -> str | None:
    """The job that a variable names; said to be unconfirmed where nothing else tells of it.

    A variable may be a leftover, or set by hand. A job's processes have one of the scheduler's
    above them, or its number in the name of their control group.
    """
    number = environ.get(scheduler.variable, "").strip()
    if not _JOB_ID.fullmatch(number):
        return None
    groups = re.split(r"[/:\n]", read_text(root / "proc/self/cgroup") or "")
    in_group = {f"job_{number}", f"pbs_jobs.service.{number}", number} & set(groups)
    if in_group or not scheduler.parents.isdisjoint(_ancestors(root / "proc")):
        return f"{scheduler.name} {number}"
    return (
        f"{scheduler.name} {number} (unconfirmed: {scheduler.variable} says so, and no process of "
        f"{scheduler.name} started this one)"
    )


def _ancestors(proc: Path) -> Iterator[str]:
    """Names of this process and of those above it, as far as the system tells."""
    pid = "self"
    while pid != "0":
        stat = read_text(proc / pid / "stat") or ""
        name, closed, rest = stat.rpartition(")")
        if not closed:
            return
        yield name.partition("(")[2]
        # After the name, which may hold anything: the state, then the parent.
        pid = rest.split()[1]


def _kind() -> str | None:
    told = _told("engine")
    if told is not None:
        return told
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    if "APPTAINER_CONTAINER" in os.environ or "SINGULARITY_CONTAINER" in os.environ:
        return "apptainer"
    return None


_NO_LIMIT_BYTES = 1 << 60
"""Version 1 writes the largest number of pages for no limit."""


def _memory_limit(root: Path) -> int | None:
    files = ("memory.max", "memory.limit_in_bytes")
    texts = [text for name in files for text in _of_groups(root, "memory", name)]
    limits = [int(text) for text in texts if text.isdigit()]
    return min((limit for limit in limits if limit < _NO_LIMIT_BYTES), default=None)


def _cpu_limit(root: Path) -> float | None:
    """Cores: the least quota of the groups that the process is in, all the way up."""
    pairs = [text.split() for text in _of_groups(root, "cpu", "cpu.max")]
    quotas = _of_groups(root, "cpu", "cpu.cfs_quota_us")
    pairs += map(list, zip(quotas, _of_groups(root, "cpu", "cpu.cfs_period_us"), strict=False))
    numbers = [tuple(map(int, pair)) for pair in pairs if all(part.isdigit() for part in pair)]
    return min((pair[0] / pair[1] for pair in numbers if len(pair) == 2 and pair[1]), default=None)


def _of_groups(root: Path, controller: str, name: str) -> list[str]:
    """A file of the process's control group of either version, and of each group above it."""
    found = []
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        # In a container the path may be that on the host, and the group lie at the mount itself.
        for mount in (controllers, controller) if controllers else ("", "unified"):
            top = root / "sys/fs/cgroup" / mount
            group = top / path.strip("/")
            if (top / name).exists() or group.exists():
                groups = [group, *(g for g in group.parents if g.is_relative_to(top))]
                found += [text for each in groups if (text := read_text(each / name))]
                break
    return found

"""The container or the batch job that the process runs in."""

from __future__ import annotations

import os
from pathlib import Path

from llem_core.environment.cpu import read_text
from llem_core.results.environment import ContainerRecord

_SCHEDULERS = {"SLURM_JOB_ID": "slurm", "PBS_JOBID": "pbs", "LSB_JOBID": "lsf"}


def read_container() -> ContainerRecord:
    """What can be told from marker files, variables and the control group."""
    jobs = [f"{name} {os.environ[key]}" for key, name in _SCHEDULERS.items() if key in os.environ]
    return ContainerRecord(
        kind=_kind(),
        memory_limit_bytes=_memory_limit(),
        cpu_limit_cores=_cpu_limit(),
        scheduler_job=jobs[0] if jobs else None,
    )


def _kind() -> str | None:
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    if "APPTAINER_CONTAINER" in os.environ or "SINGULARITY_CONTAINER" in os.environ:
        return "apptainer"
    return None


def _memory_limit() -> int | None:
    text = read_text("/sys/fs/cgroup/memory.max")
    return int(text) if text and text.isdigit() else None


def _cpu_limit() -> float | None:
    parts = (read_text("/sys/fs/cgroup/cpu.max") or "").split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    quota, period = map(int, parts)
    return quota / period if period else None

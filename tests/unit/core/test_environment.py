"""Limits of control groups as both versions write them, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from llem_core.environment import take_snapshot
from llem_core.environment.container import read_container
from llem_core.measure.result.warnings import quota_warnings
from llem_core.results.environment import EnvironmentSnapshot


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V1 = "4:memory:/job/step\n2:cpu,cpuacct:/job/step\n0::/\n"


@pytest.mark.parametrize(
    ("files", "cores", "memory_bytes"),
    [
        (
            {
                "proc/self/cgroup": "0::/job/step\n",
                "sys/fs/cgroup/job/step/cpu.max": "max 100000",
                "sys/fs/cgroup/job/cpu.max": "50000 100000",
                "sys/fs/cgroup/job/step/memory.max": "1048576",
                "sys/fs/cgroup/job/memory.max": "max",
            },
            0.5,
            1048576,
        ),
        # In a container the path is the host's, and the group lies at the mount.
        (
            {
                "proc/self/cgroup": "0::/../../docker/abc\n",
                "sys/fs/cgroup/cpu.max": "150000 100000",
            },
            1.5,
            None,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/job/step/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu,cpuacct/job/step/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/job/step/memory.limit_in_bytes": "9223372036854771712",
                "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "2097152",
            },
            0.5,
            2097152,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            0.5,
            None,
        ),
        ({"proc/self/cgroup": V1}, None, None),
        ({"proc/self/cgroup": "nonsense", "sys/fs/cgroup/cpu.max": "max"}, None, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1 0"}, None, None),
    ],
    ids=["v2", "v2 container", "v1", "v1 container", "v1 none", "nonsense", "no period"],
)
def test_the_least_limit_of_all_groups_counts(
    tmp_path: Path, files: dict[str, str], cores: float | None, memory_bytes: int | None
) -> None:
    found = read_container(lay(tmp_path, files))
    assert (found.cpu_limit_cores, found.memory_limit_bytes) == (cores, memory_bytes)


SHELL, STEP = "5 (a (b) c) S 4 1 1", "4 (slurmstepd) S 1 1 1"


@pytest.mark.parametrize(
    ("files", "variables", "job"),
    [
        ({"proc/self/stat": SHELL, "proc/4/stat": STEP}, {"SLURM_JOB_ID": "12"}, "slurm 12"),
        (
            {"proc/self/cgroup": "0::/system.slice/slurmstepd.scope/job_12/step_0/user\n"},
            {"SLURM_JOB_ID": "12"},
            "slurm 12",
        ),
        (
            {"proc/self/stat": SHELL, "proc/4/stat": "4 (bash) S 0 1 1"},
            {"SLURM_JOB_ID": "12"},
            "slurm 12 (unconfirmed: SLURM_JOB_ID says so, and no process of slurm",
        ),
        ({"proc/self/cgroup": "0::/job_13\n"}, {"SLURM_JOB_ID": "12"}, "slurm 12 (unconfirmed"),
        ({}, {"SLURM_JOB_ID": "1\x1b[31m; rm"}, None),
        ({}, {"SLURM_JOB_ID": ""}, None),
        ({"proc/self/stat": "5 (pbs_mom) S 0 1 1"}, {"PBS_JOBID": "7.host"}, "pbs 7.host"),
        ({}, {}, None),
    ],
)
def test_a_job_is_confirmed_by_more_than_a_variable(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    variables: dict[str, str],
    job: str | None,
) -> None:
    for name in ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = read_container(lay(tmp_path, files)).scheduler_job
    assert (found or "").startswith(job or "")
    assert (found is None) == (job is None)
    assert ("unconfirmed" in (found or "")) == ("unconfirmed" in (job or ""))


def snapshot(limit: float | None, threads: str | None) -> EnvironmentSnapshot:
    taken = take_snapshot()
    return taken.model_copy(
        update={
            "container": taken.container.model_copy(update={"cpu_limit_cores": limit}),
            "cpu": taken.cpu.model_copy(update={"usable_cores": 2}),
            "variables": {} if threads is None else {"OMP_NUM_THREADS": threads},
        }
    )


@pytest.mark.parametrize(
    ("limit", "threads", "kind", "warned"),
    [
        (0.5, None, "cpu", "allows 0.5 cores, and the model may run in 2 threads"),
        (0.5, "1", "cpu", "in 1 threads"),
        (2.0, None, "cpu", ""),
        (1.0, "1", "cpu", ""),
        (None, None, "cpu", ""),
        (0.5, None, "gpu", ""),
    ],
)
def test_threads_beyond_the_quota_are_warned_of(
    limit: float | None, threads: str | None, kind: str, warned: str
) -> None:
    told = quota_warnings(snapshot(limit, threads), kind)
    assert len(told) == bool(warned)
    assert warned in "".join(told)

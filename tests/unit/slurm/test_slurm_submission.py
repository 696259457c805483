"""What sbatch is told of a job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from llem_core.contracts import LaunchTask, Resources
from llem_slurm.config import SlurmConfig
from llem_slurm.submission import SubmissionError, parameters, same_job, submit


def task(**given: Any) -> LaunchTask:
    return LaunchTask("h", {"backend": "pytorch"}, "/study", "001_h_c1", **given)


def told(section: dict[str, Any], a_task: LaunchTask) -> dict[str, Any]:
    return parameters(SlurmConfig.model_validate(section), "llem-1", a_task)


def test_a_job_has_its_node_alone_and_never_starts_again_by_itself() -> None:
    given = told({}, task())
    assert given["exclusive"] is True
    assert given["nodes"] == 1
    assert given["additional_parameters"]["no-requeue"] is True
    assert "exclusive" not in told({"exclusive": False}, task())


def test_resources_come_from_the_study_and_the_section_overrides_them() -> None:
    asked = task(resources=Resources(gpus=2, cpus=8, memory_bytes=3 * 2**29))
    given = told({}, asked)
    assert (given["gpus_per_node"], given["cpus_per_task"], given["mem"]) == (2, 8, "1536M")
    given = told({"gpus": 0, "memory_gib": 4}, asked)
    assert "gpus_per_node" not in given
    assert (given["cpus_per_task"], given["mem"]) == (8, "4096M")


def test_a_node_that_is_had_alone_is_had_with_all_its_memory() -> None:
    assert told({}, task())["mem"] == "0"
    assert "mem" not in told({"exclusive": False}, task())


@pytest.mark.parametrize(
    ("section", "running_s", "minutes"),
    [
        ({}, 7200, 125),
        ({"time_margin_seconds": 0}, 61, 2),
        ({"time_margin_seconds": 0}, 1, 1),
        ({"time_limit_minutes": 7}, 7200, 7),
    ],
)
def test_the_time_limit_is_that_of_the_run_and_its_margin(
    section: dict[str, Any], running_s: float, minutes: int
) -> None:
    assert told(section, task(resources=Resources(running_seconds=running_s)))["time"] == minutes


def test_a_block_stays_on_its_node() -> None:
    assert told({}, task(block="c1", node="n2"))["nodelist"] == "n2"
    assert "nodelist" not in told({}, task(block="c1"))
    section = SlurmConfig()
    assert same_job(section, task(), task(block="c1"))
    assert not same_job(section, task(), task(node="n2"))


SBATCH = """#!/bin/sh
env | sort > {seen}
cat "$1" > {script}
{then}
"""


def commands(folder: Path, then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with commands that stand for SLURM's, first in PATH."""
    folder.mkdir()
    text = SBATCH.format(seen=folder / "seen", script=folder / "script", then=then)
    for name, content in (("sbatch", text), ("srun", "#!/bin/sh\n")):
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_the_script_says_what_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands(tmp_path / "bin", "echo Submitted batch job 42", monkeypatch)
    monkeypatch.setenv("SLURM_JOB_ID", "7")  # the study itself runs in a job
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    section = SlurmConfig(
        partition="a,b", account="me", constraint="x&y", setup=("module load cuda",), python="/py 3"
    )
    assert submit(tmp_path / "scripts", section, "llem-1", [(task(), tmp_path / "box")]) == ["42"]
    script = (tmp_path / "bin" / "script").read_text()
    for line in (
        "#SBATCH --partition=a,b",
        "#SBATCH --constraint='x&y'",
        "#SBATCH --account=me",
        "#SBATCH --job-name=llem-1",
        "#SBATCH --exclusive",
        "#SBATCH --no-requeue",
        "#SBATCH --time=5",
    ):
        assert f"{line}\n" in script
    assert "wckey" not in script
    lines = script.splitlines()
    assert lines.index("trap : TERM") < lines.index("module load cuda")
    assert any(line.startswith("'/py 3' -u -m submitit") for line in lines)
    seen = (tmp_path / "bin" / "seen").read_text().splitlines()
    assert "SLURM_CONF=/etc/slurm.conf" in seen
    assert "SLURM_JOB_ID=7" not in seen
    assert os.environ["SLURM_JOB_ID"] == "7"


def test_several_jobs_are_one_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands(tmp_path / "bin", "echo Submitted batch job 42", monkeypatch)
    jobs = [(task(), tmp_path / "a"), (task(), tmp_path / "b")]
    assert submit(tmp_path / "scripts", SlurmConfig(), "n", jobs) == ["42_0", "42_1"]
    assert "#SBATCH --array=0-1%2" in (tmp_path / "bin" / "script").read_text()


@pytest.mark.parametrize(
    ("said", "is_temporary"),
    [
        ("invalid partition specified: nowhere", False),
        ("Batch job submission failed: Invalid account or account/partition combination", False),
        ("QOSMaxSubmitJobPerUserLimit", True),
        ("Batch job submission failed: Slurm temporarily unable to accept job", True),
        ("Unable to contact slurm controller (connect failure)", True),
    ],
)
def test_a_refusal_says_what_sbatch_said(
    said: str,
    is_temporary: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    commands(tmp_path / "bin", f"echo 'sbatch: error: {said}' >&2; exit 1", monkeypatch)
    with pytest.raises(SubmissionError) as caught:
        submit(tmp_path / "scripts", SlurmConfig(), "n", [(task(), tmp_path / "box")])
    assert capfd.readouterr() == ("", "")
    assert str(caught.value) == said
    assert caught.value.is_temporary is is_temporary

"""All distributions have one version, and pin each other to it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import llem_cli
import pytest

ROOT = Path(__file__).parents[3]
PROJECTS: dict[str, dict[str, Any]] = {
    path.parent.name: tomllib.loads(path.read_text())["project"]
    for path in sorted((ROOT / "packages").glob("*/pyproject.toml"))
}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_distributions_have_one_version() -> None:
    assert set(PROJECTS) == {
        *("llem-core", "llem-cli", "llem-pytorch"),
        *("llem-energy-nvml", "llem-energy-zeus", "llem-energy-codecarbon"),
        *("llem-energy-dcgm", "llem-slurm", "llem-server", "llem-vllm", "llem-report"),
    }
    assert {project["version"] for project in PROJECTS.values()} == {VERSION}
    assert llem_cli.__version__ == VERSION
    assert f"## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", PROJECTS)
def test_members_pin_each_other_to_that_version(name: str) -> None:
    project = PROJECTS[name]
    extras = project.get("optional-dependencies", {}).values()
    for requirement in [*project["dependencies"], *(r for extra in extras for r in extra)]:
        member = re.match(r"[\w-]+", requirement)
        assert member is not None
        if member.group() in PROJECTS:
            assert requirement.endswith(f"=={VERSION}"), requirement


def test_pytorch_brings_the_command_and_the_command_brings_nvml() -> None:
    assert f"llem-cli=={VERSION}" in PROJECTS["llem-pytorch"]["dependencies"]
    assert f"llem-energy-nvml=={VERSION}" in PROJECTS["llem-cli"]["dependencies"]

"""The launcher of an environment keeps its contract."""

from __future__ import annotations

import sys
from typing import ClassVar

import pytest
from llem_core.contracts import Launcher, LauncherSpec, Section
from llem_core.elsewhere.config import EnvironmentConfig
from llem_core.study.launch.environments import launcher_of
from llem_core.testing import LauncherContract


def create(section: Section | None) -> Launcher:
    # The kit's processes find its backend by PYTHONPATH, which is not handed on by itself.
    handed_on: dict[str, str | None] = {"PYTHONPATH": None}
    return launcher_of("there", EnvironmentConfig(python=sys.executable, variables=handed_on))


@pytest.mark.full
class TestInterpreter(LauncherContract):
    spec: ClassVar = LauncherSpec("there", "Another Python.", create)
    # The module of the spec is this one, which costs what a test does.
    import_ratio: ClassVar = 9.0

"""The launcher of core keeps the contract of launchers; that of llem-slurm is tested on a SLURM."""

from __future__ import annotations

from llem_core.testing import LauncherContract


class TestLocal(LauncherContract):
    plugin = "llem_core.study.launch.hooks"

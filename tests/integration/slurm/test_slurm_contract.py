"""The launcher keeps its contract on a real SLURM."""

from __future__ import annotations

from typing import ClassVar

import pytest
from llem_core.testing import LauncherContract

pytestmark = [pytest.mark.usefixtures("cluster"), pytest.mark.timeout(180)]


class TestSlurm(LauncherContract):
    plugin = "llem_slurm.hooks"
    section: ClassVar = {"jobs": 2, "poll_seconds": 0.2, "visibility_seconds": 2}

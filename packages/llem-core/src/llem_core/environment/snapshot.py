"""The environment snapshot of a result."""

from __future__ import annotations

import datetime as dt
import platform

from llem_core import __version__
from llem_core.environment.container import read_container
from llem_core.environment.cpu import read_cpu
from llem_core.environment.gpus import read_gpus
from llem_core.environment.packages import read_packages
from llem_core.environment.variables import read_variables
from llem_core.results.environment import EnvironmentSnapshot


def take_snapshot() -> EnvironmentSnapshot:
    """Read every source once; imports none of the packages that it names."""
    gpus = read_gpus()
    return EnvironmentSnapshot(
        taken_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        tool_version=__version__,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        operating_system=f"{platform.system()} {platform.release()}",
        packages=read_packages(),
        gpus=gpus.gpus,
        gpus_missing_reason=gpus.reason,
        driver_version=gpus.driver_version,
        cpu=read_cpu(),
        container=read_container(),
        variables=read_variables(),
    )

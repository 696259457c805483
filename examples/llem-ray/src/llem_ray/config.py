"""The section ``ray`` of ``execution``: which cluster, and how much of it."""

from __future__ import annotations

from typing import Annotated

from llem_core.contracts import Section
from pydantic import Field


class RayConfig(Section):
    """Which cluster the runs go to."""

    address: str | None = Field(
        None,
        description="Address of the cluster, as for `ray.init`. Null takes RAY_ADDRESS, and where "
        "that is not set starts Ray on this machine, for the time of the study.",
    )
    jobs: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        1, description="Runs at the same time, each on a node of its own."
    )

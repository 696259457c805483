"""The section ``wandb`` of an experiment file; its presence turns the sink on."""

from __future__ import annotations

from typing import Literal

from llem_core.contracts import Section
from pydantic import Field


class WandbConfig(Section):
    """Under which project runs are kept, and whether they leave this machine."""

    project: str = Field("llem", min_length=1, description="Name of the project.")
    entity: str | None = Field(None, description="User or team; null for the account's own.")
    mode: Literal["offline", "online"] = Field(
        "offline",
        description="`offline`: into a folder, for `wandb sync` later. `online`: to the server of "
        "the account that `wandb login` or WANDB_API_KEY names.",
    )
    folder: str = Field(
        ".", min_length=1, description="Folder in which the folder `wandb` of the runs is made."
    )
    tags: list[str] = Field([], description="Tags of each run.")

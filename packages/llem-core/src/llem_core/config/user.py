"""The user's own defaults: ``llenergymeasure/config.yaml`` in the configuration folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, ValidationError

from llem_core.config.energy import EnergyConfig
from llem_core.config.errors import config_error
from llem_core.config.yaml import read_yaml
from llem_core.contracts.config import StrictModel
from llem_core.elsewhere.config import EnvironmentConfig


class ElectricityConfig(StrictModel):
    """What a kilowatt-hour stands for where this user measures.

    Reports derive emissions and costs from it; nothing of it enters a result.
    """

    carbon_intensity_g_per_kwh: float | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Emissions of the electricity used (g CO2e per kWh); null derives none.",
    )
    price_per_kwh: float | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Price of the electricity used, in `currency` per kWh; null derives none.",
    )
    currency: str | None = Field(
        None,
        min_length=1,
        max_length=12,
        description="What the price is in, such as `EUR`; null leaves it unnamed.",
    )
    pue: float = Field(
        1.0,
        ge=1,
        le=10,
        description="Power usage effectiveness: energy of the whole site over that of its "
        "computers (dimensionless).",
    )


class UserConfig(StrictModel):
    """Defaults of one user on one machine; every field is optional."""

    output: Path = Field(Path("results"), description="Folder that results are written to.")
    config_gap_seconds: float | None = Field(
        None, ge=0, description="Pause between the experiments of a study (s)."
    )
    cycle_gap_seconds: float | None = Field(
        None, ge=0, description="Pause between the cycles of a study (s)."
    )
    energy: EnergyConfig = Field(
        default_factory=EnergyConfig, description="Defaults of an experiment's `energy`."
    )
    environments: dict[str, EnvironmentConfig] = Field(
        default_factory=dict,
        description="Environments by name, for all experiments and studies of this user.",
    )

    electricity: ElectricityConfig | None = Field(
        None,
        description="What `llem report` derives emissions and costs from; null derives none.",
    )

    def experiment_defaults(self) -> dict[str, Any]:
        """What this file says about experiments, as raw fields."""
        energy = self.energy.model_dump(exclude_unset=True)
        environments = {
            name: each.model_dump(exclude_unset=True) for name, each in self.environments.items()
        }
        said = {"energy": energy, "environments": environments}
        return {name: fields for name, fields in said.items() if fields}

    def execution_defaults(self) -> dict[str, Any]:
        """What this file says about ``execution``, as raw fields."""
        gaps = {
            "config_gap_seconds": self.config_gap_seconds,
            "cycle_gap_seconds": self.cycle_gap_seconds,
        }
        return {name: seconds for name, seconds in gaps.items() if seconds is not None}


def user_config_path() -> Path:
    """Where the user's configuration is looked for."""
    return platformdirs.user_config_path("llenergymeasure") / "config.yaml"


def load_user_config(path: Path | None = None) -> UserConfig:
    """Read the user's configuration; a missing file gives the defaults.

    Raises:
        ConfigError: the file is there and wrong.
    """
    path = path or user_config_path()
    if not path.exists():
        return UserConfig()
    document = read_yaml(path)
    try:
        return UserConfig.model_validate(document.content)
    except ValidationError as error:
        raise config_error(error, document.place, UserConfig) from error

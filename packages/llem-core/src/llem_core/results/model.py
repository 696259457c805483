"""Facts of the model that was measured, and of the device's state while it was."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(
    extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False, protected_namespaces=()
)


class ModelRecord(BaseModel):
    """Facts of the loaded model."""

    model_config = _STRICT

    parameters: int | None = Field(description="All parameters.")
    parameters_non_embedding: int | None = Field(
        description="Without embeddings and output projection."
    )
    active_parameters_non_embedding: int | None = Field(
        description="Those that one token passes through (mixtures of experts)."
    )
    n_layers: int | None = Field(description="Transformer layers.")
    dtype: str | None = Field(description="dtype of the weights.")
    random_weights: bool = Field(description="Whether the weights are random.")
    devices: list[str] = Field(description="Devices that it computed on, as `name (UUID)`.")


class ThermalRecord(BaseModel):
    """Temperature and clocks of the devices in use over the measured window."""

    model_config = _STRICT

    temperature_start_c: float | None = Field(
        description="At the first sample (°C), hottest device."
    )
    temperature_end_c: float | None = Field(description="At the last sample (°C), hottest device.")
    temperature_max_c: float | None = Field(description="Highest of all samples (°C).")
    throttle_reasons: dict[str, float] = Field(
        description="Throttle reason to the share of samples that had it, 0 to 1."
    )
    n_samples: int = Field(description="Samples with any of these readings.")

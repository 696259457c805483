"""The result of one experiment: ``result.json``."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llem_core.contracts.sampler import EnergyMethod
from llem_core.results.energy import BaselinePower, EnergyBreakdown, PhaseEnergy, UncertaintyBudget
from llem_core.results.environment import EnvironmentSnapshot
from llem_core.results.latency import LatencyStatistics
from llem_core.results.load import LoadResult
from llem_core.results.migrate import SCHEMA_VERSION, migrate_experiment
from llem_core.results.model import FlopsResult, ModelRecord, ThermalRecord
from llem_core.results.process import ProcessSummary
from llem_core.results.views.experiment import experiment_blocks
from llem_core.results.views.html import as_html
from llem_core.results.views.line import experiment_line


class ExperimentResult(BaseModel):
    """One experiment, measured. Units are in the names; null always has a reason.

    ``unavailable`` maps the name of each quantity that is null, because it could not be had,
    to the reason.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False, protected_namespaces=()
    )

    schema_version: int = Field(SCHEMA_VERSION, description="Version of this schema.")
    measurement_config_hash: str = Field(description="Names the resolved configuration.")
    model: str = Field(description="The model, as configured.")
    backend: str = Field(description="The backend that ran it.")
    started_at: str = Field(description="When the experiment started (ISO 8601, UTC).")
    finished_at: str = Field(description="When it ended (ISO 8601, UTC).")

    duration_s: float = Field(description="Length of the measured window (s).")
    n_requests: int = Field(description="Requests that were finished.")
    n_failed_requests: int = Field(
        description="Requests that ended with an error; their tokens and times are in no figure."
    )
    input_tokens: int = Field(description="Prompt tokens, padding not counted.")
    output_tokens: int = Field(description="Tokens generated.")
    padded_input_tokens: int = Field(description="Positions computed in prefill, padding included.")
    truncated_prompts: int = Field(description="Prompts that were cut to max_input_tokens.")
    output_tokens_per_second: float = Field(description="Output tokens over duration_s (1/s).")
    requests_per_second: float = Field(description="Requests over duration_s (1/s).")

    queue_time: LatencyStatistics | None = Field(
        description="Waiting in the engine before it began a request; in none of the others."
    )
    time_to_first_token: LatencyStatistics | None = Field(
        description="From the engine's start of a request to its first token."
    )
    inter_token_latency: LatencyStatistics | None = Field(
        description="Between consecutive tokens of one request."
    )
    time_per_output_token: LatencyStatistics | None = Field(
        description="Of each request: from its first to its last token, over its tokens less one."
    )
    end_to_end_latency: LatencyStatistics | None = Field(
        description="From the engine's start of a request to its last token."
    )

    load: LoadResult | None = Field(
        None, description="What was offered and served; null without a load."
    )

    energy_source: str | None = Field(description="Sampler whose reading is the energy of record.")
    energy_method: EnergyMethod | None = Field(
        description="`counter` and `integrated` are measured; `estimated` is a model's guess."
    )
    energy_scope: list[str] = Field(description="Names of the domains that are in the total.")
    energy_total_j: float | None = Field(description="Gross energy of the window (J).")
    energy_adjusted_j: float | None = Field(
        description="Gross energy less loaded_baseline_power_w × the interval of mean_power_w (J)."
    )
    energy_per_output_token_j: float | None = Field(
        description="Gross energy per output token (J)."
    )
    energy_adjusted_per_output_token_j: float | None = Field(
        description="Adjusted energy per output token (J)."
    )
    energy_per_request_j: float | None = Field(description="Gross energy per request (J).")
    energy_per_device_j: dict[str, float | None] = Field(
        description="Gross energy by domain in use (J)."
    )
    energy_breakdown: EnergyBreakdown | None = Field(description="All domains and their kinds.")
    energy_uncertainty_comparison_j: float | None = Field(
        description="Expanded uncertainty (95 %) of energy_total_j between runs on one card (J)."
    )
    energy_uncertainty_absolute_j: float | None = Field(
        description="Expanded uncertainty (95 %) of energy_total_j as absolute joules (J)."
    )
    uncertainty: UncertaintyBudget | None = Field(description="The budget behind both figures.")
    energy_cross_check_j: float | None = Field(
        description="energy_total_j by a second method, where every domain in use has one (J)."
    )
    energy_cross_check_difference: float | None = Field(
        description="(cross-check − total) / total (dimensionless)."
    )
    phase_energy: PhaseEnergy | None = Field(
        description="Prefill and decode; null if not asked for."
    )
    mean_power_w: float | None = Field(
        description="Gross energy over the interval that the meter read (W): duration_s, and what "
        "the meter needed at its edges."
    )
    peak_power_w: float | None = Field(description="Highest sample of the domains in use (W).")
    baseline_power_w: float | None = Field(description="Idle power before the model is loaded (W).")
    loaded_baseline_power_w: float | None = Field(
        description="Idle power with the model loaded (W); this one is subtracted."
    )
    baseline: BaselinePower | None = Field(description="The baseline before load.")
    loaded_baseline: BaselinePower | None = Field(description="The baseline with the model loaded.")
    sensor: dict[str, Any] = Field(description="Facts of the sensor, as its sampler gives them.")

    weights_memory_bytes: int | None = Field(description="Memory of the weights (bytes).")
    peak_memory_bytes: int | None = Field(description="Peak memory in the window (bytes).")
    inference_memory_bytes: int | None = Field(description="Peak less weights (bytes).")
    memory_source: str = Field(description="What peak_memory_bytes was read from.")

    flops: FlopsResult = Field(description="Compute by phase, achieved rate and utilisation.")
    model_record: ModelRecord = Field(description="Facts of the loaded model.")
    thermal: ThermalRecord | None = Field(description="Temperature and throttling in the window.")
    processes: list[ProcessSummary] = Field(description="The data-parallel processes.")
    input_tokens_per_request: list[int] = Field(
        description="Of the finished requests, by prompt index."
    )
    output_tokens_per_request: list[int] = Field(
        description="Of the finished requests, by prompt index."
    )
    sample_outputs: list[str] = Field(description="Beginnings of the first outputs, for a look.")

    measurement_warnings: list[str] = Field(description="What may be wrong with these figures.")
    unavailable: dict[str, str] = Field(description="Name of a null quantity to the reason.")
    effective_config: dict[str, Any] = Field(
        description="The configuration with every default filled in; `effective` has what the "
        "engine chose where it was left to it."
    )
    dataset_sha256: str = Field(description="SHA-256 of the prompts that were used.")
    environment_snapshot: EnvironmentSnapshot = Field(description="Where it was measured.")
    timeseries: str | None = Field(description="Path of timeseries.parquet beside this file.")
    requests: str | None = Field(description="Path of requests.parquet beside this file.")

    @model_validator(mode="before")
    @classmethod
    def _bring_up_to_date(cls, data: Any) -> Any:
        return migrate_experiment(data)

    @model_validator(mode="after")
    def _nulls_have_reasons(self) -> Self:
        silent = [name for name in QUANTITIES if self.missing_reason(name) == ""]
        if silent:
            raise ValueError(f"null without a reason in `unavailable`: {', '.join(silent)}")
        return self

    def missing_reason(self, name: str) -> str | None:
        """Why a quantity is null; ``None`` if it is not, empty if no reason is given."""
        return None if getattr(self, name) is not None else self.unavailable.get(name, "")

    def __repr__(self) -> str:
        """One line; ``model_dump()`` has everything."""
        return experiment_line(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """The summary for a notebook."""
        return as_html(experiment_blocks(self))


LATENCIES = (
    "queue_time",
    "time_to_first_token",
    "inter_token_latency",
    "time_per_output_token",
    "end_to_end_latency",
)
"""Fields that are statistics of a latency."""

QUANTITIES = (
    *LATENCIES,
    "energy_total_j",
    "energy_adjusted_j",
    "energy_per_output_token_j",
    "energy_adjusted_per_output_token_j",
    "energy_per_request_j",
    "energy_uncertainty_comparison_j",
    "energy_uncertainty_absolute_j",
    "energy_cross_check_j",
    "mean_power_w",
    "peak_power_w",
    "baseline_power_w",
    "loaded_baseline_power_w",
    "weights_memory_bytes",
    "peak_memory_bytes",
    "inference_memory_bytes",
)
"""Quantities that may be null, each then with a reason in ``unavailable``."""

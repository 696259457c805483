"""Where an experiment was measured."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class GpuRecord(BaseModel):
    """One NVIDIA GPU, as its driver tells it."""

    model_config = _STRICT

    index: int = Field(description="The driver's own index; CUDA may count differently.")
    name: str = Field(description="Product name.")
    uuid: str = Field(description="UUID (`GPU-…`).")
    memory_total_bytes: int | None = Field(description="Memory (bytes).")
    power_limit_w: float | None = Field(description="Power limit in force (W).")
    compute_mode: str | None = Field(description="Compute mode.")
    mig_mode: str | None = Field(description="Whether MIG is on.")
    persistence_mode: str | None = Field(description="Whether the driver stays loaded.")


class CpuRecord(BaseModel):
    """The host's processor and memory."""

    model_config = _STRICT

    model: str | None = Field(description="Model name.")
    architecture: str = Field(description="Instruction set, such as `x86_64`.")
    logical_cores: int | None = Field(description="Logical cores of the machine.")
    usable_cores: int | None = Field(description="Logical cores that this process may run on.")
    governor: str | None = Field(description="Frequency governor of the first core.")
    memory_total_bytes: int | None = Field(description="Memory (bytes).")


class ContainerRecord(BaseModel):
    """The container or the job that it ran in, if any."""

    model_config = _STRICT

    kind: str | None = Field(description="`docker`, `podman`, `kubernetes`, … ; null if none.")
    memory_limit_bytes: int | None = Field(description="Limit of the control group (bytes).")
    cpu_limit_cores: float | None = Field(description="Limit of the control group (cores).")
    scheduler_job: str | None = Field(
        description="Batch scheduler and job, such as `slurm 4711`; says so where only a variable "
        "names it."
    )
    image: str | None = Field(None, description="Image, as the study names it; null if unknown.")
    image_digest: str | None = Field(
        None, description="Digest of the image (`sha256:…`), or its id where no registry has it."
    )


class EnvironmentSnapshot(BaseModel):
    """Where an experiment was measured. Holds no host name, user name, token or other secret."""

    model_config = _STRICT

    taken_at: str = Field(description="When (ISO 8601, UTC).")
    tool_version: str = Field(description="Version of llem-core.")
    environment: str | None = Field(
        None, description="Which of the study's `environments` it is; null for its own."
    )
    python: str = Field(description="Implementation and version of Python.")
    operating_system: str = Field(description="System and kernel.")
    packages: dict[str, str] = Field(description="Versions of installed packages that matter.")
    gpus: list[GpuRecord] = Field(description="NVIDIA GPUs, used or not.")
    gpus_missing_reason: str | None = Field(description="Why gpus is empty.")
    driver_version: str | None = Field(description="NVIDIA driver.")
    cpu: CpuRecord = Field(description="Processor and memory.")
    container: ContainerRecord = Field(description="Container and batch job.")
    variables: dict[str, str] = Field(
        description="Environment variables that change speed or devices, from a fixed list."
    )

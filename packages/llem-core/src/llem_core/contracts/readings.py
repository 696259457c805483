"""What comes out of plugins: availability, model facts, outputs, memory and energy readings.

Every quantity has its unit in its name. A reading that is missing is ``None`` and has a
reason beside it; zero always means a measured zero. All times are seconds of
``time.monotonic()`` unless a field says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

DomainKind = Literal["gpu", "cpu", "dram", "other"]
EnergyMethod = Literal["counter", "integrated", "estimated"]


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a plugin can be used on this machine, and why or why not.

    Attributes:
        usable: whether it can be used now.
        reason: one sentence for a person; what to do about it where it is not usable.
        domains: for a sampler, the kinds of energy that it would read here.
    """

    usable: bool
    reason: str
    domains: tuple[DomainKind, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a backend says of a workload without loading it.

    Attributes:
        problems: each a sentence on what is wrong and what to do; empty when it can run.
        device_kind: where it would run; decides which samplers see its energy.
        memory_estimate_bytes: weights, cache and activations on all devices together;
            ``None`` where it cannot be told beforehand.
        memory_available_bytes: free memory of those devices; ``None`` where unknown.
        notes: remarks that are not problems.
    """

    problems: tuple[str, ...] = ()
    device_kind: Literal["cpu", "gpu"] = "cpu"
    memory_estimate_bytes: int | None = None
    memory_available_bytes: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device that a loaded model computes on.

    Attributes:
        kind: ``cpu`` or ``gpu``.
        name: the product's name, such as ``NVIDIA H100 80GB HBM3``.
        uuid: NVML's UUID (``GPU-…``) for a GPU; ``None`` for a CPU or where unknown.
    """

    kind: Literal["cpu", "gpu"]
    name: str
    uuid: str | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Facts of a loaded model that speed and compute figures are derived from.

    Attributes:
        parameters: all parameters.
        parameters_non_embedding: parameters without token and position embeddings and
            without the output projection, as in Kaplan et al. (arXiv 2001.08361).
        active_parameters_non_embedding: those that one token passes through; differs from
            the former for mixtures of experts only.
        n_layers: transformer layers that attend.
        attention_width: query heads × head dimension, per layer.
        dtype: dtype of the weights: ``fp32``, ``fp16``, ``bf16``, ``int8``, ``int4``.
        weights_bytes: memory of the weights.
        devices: devices that it computes on.
        random_weights: whether the weights are random, which results must say.
        effective_settings: what the engine really uses where a setting was left to it
            (dtype, attention implementation, batch size, …); JSON types only.
        notes: remarks for the result's warnings.
    """

    parameters: int | None
    parameters_non_embedding: int | None
    devices: tuple[DeviceInfo, ...]
    active_parameters_non_embedding: int | None = None
    n_layers: int | None = None
    attention_width: int | None = None
    dtype: str | None = None
    weights_bytes: int | None = None
    random_weights: bool = False
    effective_settings: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """Memory of the model's devices.

    Attributes:
        peak_bytes: highest use since ``reset_peak_memory``, all devices together.
        source: what was read, such as ``torch.cuda.max_memory_allocated``.
        reason: why ``peak_bytes`` is ``None``.
    """

    peak_bytes: int | None
    source: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RequestOutput:
    """One finished request.

    Attributes:
        index: ``Prompt.index``.
        output_tokens: tokens generated up to and including the end-of-sequence token.
        token_ids: the generated tokens, ``output_tokens`` of them.
        token_times_s: when each output token was there, in seconds from the start of its
            batch; as long as ``output_tokens``. ``None`` where the engine cannot tell.
        text: the generated text, where it is at hand.
    """

    index: int
    output_tokens: int
    token_ids: tuple[int, ...] = ()
    token_times_s: tuple[float, ...] | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class BatchOutput:
    """What one batch gave, in the order of ``Batch.indices``.

    Attributes:
        requests: one for each request of the batch.
        times_missing_reason: why requests have no ``token_times_s``.
    """

    requests: tuple[RequestOutput, ...]
    times_missing_reason: str | None = None


@dataclass(frozen=True, slots=True)
class UncertaintyComponent:
    """One term of an uncertainty budget, as a standard uncertainty (k = 1) in joules.

    Attributes:
        name: ``edges``, ``quantisation``, ``sampling``, ``clock``, ``gain``, …
        standard_j: standard uncertainty.
        scope: ``comparison`` terms differ from run to run on one card; ``absolute`` terms,
            such as the card's unknown gain, are common to all of them.
    """

    name: str
    standard_j: float
    scope: Literal["comparison", "absolute"] = "comparison"


@dataclass(frozen=True, slots=True)
class DomainReading:
    """Energy of one domain over one window.

    Attributes:
        name: unique in a reading: a GPU's UUID, ``cpu:0``, ``dram:0``, ``cpu``.
        kind: what the domain is.
        energy_j: joules, or ``None``.
        method: how they were come by.
        reason: why ``energy_j`` is ``None``.
        label: what a person calls the device, such as its product name.
        resolution_j: smallest step of the reading.
        uncertainty: terms of its uncertainty budget; an estimate has none.
        cross_check_j: the same energy by another method, never used in its place.
        cross_check_method: that method.
        shared_with: other processes seen on the device, as ``pid name``.
        visible: for a GPU, whether this process can compute on it; ``CUDA_VISIBLE_DEVICES``
            hides the others. ``None`` where the sampler cannot tell: the core then finds it out
            for GPUs that are named by UUID. It decides what is summed where a backend does not
            name its GPUs.
    """

    name: str
    kind: DomainKind
    energy_j: float | None
    method: EnergyMethod
    reason: str | None = None
    label: str | None = None
    resolution_j: float | None = None
    uncertainty: tuple[UncertaintyComponent, ...] = ()
    cross_check_j: float | None = None
    cross_check_method: EnergyMethod | None = None
    shared_with: tuple[str, ...] = ()
    visible: bool | None = None


@dataclass(frozen=True, slots=True)
class PowerSample:
    """One row of the time series.

    Attributes:
        time_s: ``time.monotonic()`` when the value was read.
        domain: ``DomainReading.name``.
        power_w: power, or ``None``.
        temperature_c: degrees Celsius.
        utilisation_percent: share of time in which a kernel ran, 0 to 100.
        memory_bytes: memory in use on the device, by all processes.
        sm_clock_hz: clock of the multiprocessors.
        memory_clock_hz: clock of the memory.
        throttle_reasons: names of the active ones; empty when none.
    """

    time_s: float
    domain: str
    power_w: float | None
    temperature_c: float | None = None
    utilisation_percent: float | None = None
    memory_bytes: int | None = None
    sm_clock_hz: float | None = None
    memory_clock_hz: float | None = None
    throttle_reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnergyReading:
    """Energy of one window, domain by domain.

    Attributes:
        window: the name that ``begin`` was given.
        started_s: ``time.monotonic()`` at which the window opened.
        ended_s: ``time.monotonic()`` at which it closed.
        domains: all that the sampler sees, devices that the run does not use included; the
            harness decides what is summed.
        samples: power and the rest over the window, oldest first; may be empty.
        sensor: facts of the sensor for the record (field read, update period, averaging
            window, driver, whether a passport was present); JSON types only.
        warnings: sentences on what may be wrong with this reading.
    """

    window: str
    started_s: float
    ended_s: float
    domains: tuple[DomainReading, ...]
    samples: tuple[PowerSample, ...] = ()
    sensor: dict[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length of the window in seconds."""
        return self.ended_s - self.started_s


@dataclass(frozen=True, slots=True)
class SensorProbe:
    """What a probe has measured of one device's sensors.

    Attributes:
        domain: ``DomainReading.name`` of the device.
        label: what a person calls it.
        values: figures by name, with the unit in the name; ``None`` where not measured.
        reasons: why a value is ``None``, by its name.
        notes: what else a person should know, as sentences.
        kept_at: the file that later runs read it from.
    """

    domain: str
    label: str
    values: dict[str, float | None]
    reasons: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kept_at: str | None = None

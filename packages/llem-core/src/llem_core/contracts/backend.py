"""The contract of a backend: whatever runs inference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from llem_core.contracts.compute import ComputeShape
from llem_core.contracts.config import BackendSection
from llem_core.contracts.hookspecs import Availability
from llem_core.contracts.workload import Batch, BatchOutput, Prompt, Purpose, Workload


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
        host: name of the machine that it is in; ``None`` for this one. The energy of another
            machine's devices is null with that reason, unless a sampler reads that machine
            (``DomainReading.host``).
    """

    kind: Literal["cpu", "gpu"]
    name: str
    uuid: str | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Facts of a loaded model that speed and compute figures are derived from.

    Attributes:
        parameters: all parameters.
        parameters_non_embedding: parameters without token and position embeddings and
            without the output projection, as in Kaplan et al. (arXiv 2001.08361); of a model of
            text and images, those that text passes through.
        active_parameters_non_embedding: those that one token passes through; differs from
            the former for mixtures of experts only.
        n_layers: layers of the model.
        compute: what one position computes; without it, FLOP are a rough figure.
        dtype: dtype of the weights: ``fp32``, ``fp16``, ``bf16``, ``int8``, ``int4``.
        weights_bytes: memory of the weights.
        devices: devices that it computes on.
        random_weights: whether the weights are random, which results must say.
        effective_settings: what the engine really uses where a setting was left to it
            (dtype, attention implementation, batch size, …); JSON types only.
        notes: remarks for the result's warnings.
        process_ids: processes of the engine's own on this machine, such as a server and its
            workers; empty for an engine within this process. They are not taken for other
            users of a device, and the run fails as soon as one of them ends.
        resident: whether the model was loaded before this run began, as in a server that was
            there already. There is no baseline before load then, and the result says why.
    """

    parameters: int | None
    parameters_non_embedding: int | None
    devices: tuple[DeviceInfo, ...]
    active_parameters_non_embedding: int | None = None
    n_layers: int | None = None
    compute: ComputeShape | None = None
    dtype: str | None = None
    weights_bytes: int | None = None
    random_weights: bool = False
    effective_settings: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    process_ids: tuple[int, ...] = ()
    resident: bool = False


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
class RunFacts:
    """What a backend knows of the measured window once it is over.

    Attributes:
        values: counts and settings by the backend's own names, with their unit, such as
            ``preemptions`` or ``prefix_cache_hit_tokens``; JSON types only.
        notes: remarks for the result's warnings, each a sentence.
        log: what the engine's own processes have printed so far; it is kept as ``engine.log``
            beside the result.
    """

    values: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    log: str = ""


class Backend(ABC):
    """What every backend has, whichever way it is driven: its life, and what it tells of it.

    A plugin derives from ``InferenceBackend``, which runs batches, or from ``ServingBackend``,
    which serves requests.
    """

    def __init__(self, workload: Workload) -> None:
        self.workload = workload

    @abstractmethod
    def load(self) -> ModelInfo:
        """Load the model onto its devices and tell its facts.

        Raises:
            BackendError: the model cannot be loaded; the message says what to do.
            OutOfMemoryError: it does not fit.
        """

    def reset_peak_memory(self) -> None:  # noqa: B027 - optional
        """Start counting peak memory afresh."""

    def memory(self) -> MemoryReading:
        """Read peak memory since ``reset_peak_memory``."""
        return MemoryReading(None, source="none", reason="the backend reports no memory")

    def engine_output(self) -> str:
        """The end of what the engine's own processes printed, for the message when one died.

        Called from another thread while ``generate`` hangs: it only reads.
        """
        return ""

    def facts(self) -> RunFacts:
        """What is known of the measured window now that it is over; read after ``collect``."""
        return RunFacts()

    @abstractmethod
    def unload(self) -> None:
        """Free the model and its devices' memory; harmless when there is nothing to free."""


class InferenceBackend(Backend):
    """Runs one workload in one process, batch after batch.

    The harness calls, once each and in this order: the constructor (which only remembers its
    argument), ``load``, ``prepare``, then any number of ``generate`` between
    ``reset_peak_memory`` and ``synchronise``, then ``collect`` for each batch, ``memory``,
    ``facts`` and ``unload``. ``prepare`` is called again for the warm-up, which runs other prompts
    than those that are measured, and for phase passes. ``unload`` may be called at any moment,
    more than once.

    A backend measures no energy, writes no files and prints nothing. Everything that is not
    generation (tokenising, moving inputs, decoding outputs) stays out of ``generate``. Errors
    of the engine are raised as ``BackendError`` (``OutOfMemoryError`` where memory ran out)
    with the original as their cause.

    A whole plugin, in a module that the entry-point group ``llem`` names::

        import time

        from llem_core.contracts import (
            Availability, BackendSection, BackendSpec, Batch, BatchOutput, CheckReport,
            DeviceInfo, InferenceBackend, ModelInfo, RequestOutput, hookimpl,
        )

        LLEM_CONTRACT = 2

        class EchoConfig(BackendSection):
            pass

        class EchoBackend(InferenceBackend):
            def load(self):
                return ModelInfo(
                    parameters=None,
                    parameters_non_embedding=None,
                    devices=(DeviceInfo("cpu", "cpu"),),
                )

            def prepare(self, prompts, purpose):
                return [self.batch(prompt) for prompt in prompts]

            def batch(self, prompt):
                words = (prompt.text or "word " * (prompt.synthetic_tokens or 0)).split()
                kept = words[: self.workload.max_input_tokens]
                cut = len(kept) < len(words)
                return Batch(
                    (prompt.index,), (len(kept),), payload=(kept, prompt.max_new_tokens),
                    padded_tokens=len(kept), truncated=int(cut),
                )

            def generate(self, batch):
                words, limit = batch.payload
                started_s = time.monotonic()
                return (words * limit)[:limit], started_s, time.monotonic()

            def collect(self, batch, raw):
                output, started_s, ended_s = raw
                request = RequestOutput(
                    index=batch.indices[0],
                    input_tokens=batch.input_tokens[0],
                    output_tokens=len(output),
                    started_s=started_s,
                    ended_s=ended_s,
                )
                return BatchOutput((request,), times_missing_reason="echo has no token times")

            def unload(self):
                pass

        @hookimpl
        def llem_backends():
            return [BackendSpec(
                name="echo", summary="Repeats its input.", section=EchoConfig,
                create=EchoBackend, check=lambda workload: CheckReport(),
            )]
    """

    @abstractmethod
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        """Tokenise the prompts and group them into batches that are ready on the device.

        Every prompt is in exactly one batch. Called outside the measured window.

        Args:
            prompts: the requests; those of a warm-up have other indices and other tokens than the
                measured ones.
            purpose: what they will be run for. ``phase`` passes run the prompts of the window
                again, cut to their first token and several times over: an engine that keeps the
                prefixes of prompts it has seen must not use them there.
        """

    def warmup_batches(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Which of the measured batches the warm-up has to be like, most important first.

        The warm-up runs batches of other prompts with the same lengths: one like each of these
        once, and then one like the first again and again, until its latency has converged. By
        default the batch with the most prefill positions alone, which takes the most memory.

        An engine that makes one batch of the whole data set returns a shorter one, of the same
        shape for its device; only ``indices`` and ``input_tokens`` are looked at.

        Args:
            batches: what ``prepare`` made of the measured prompts; one at least.
        """
        return (max(batches, key=lambda batch: batch.padded_tokens),)

    @abstractmethod
    def generate(self, batch: Batch) -> object:
        """Generate the outputs of one batch: the measured call.

        It may return before the device has finished (``synchronise`` waits for that), and
        what it returns is handed to ``collect`` unseen. It keeps nothing alive on the device
        but the output tokens.

        Raises:
            BackendError: generation failed.
            OutOfMemoryError: the device ran out of memory.
        """

    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        """Turn what ``generate`` returned into counts and times, after the window closed."""
        del batch
        if isinstance(raw, BatchOutput):
            return raw
        raise NotImplementedError(
            f"{type(self).__name__}.generate returned {type(raw).__name__}: "
            "return a BatchOutput, or override collect"
        )

    def synchronise(self) -> None:
        """Wait until all work that ``generate`` started is finished on every device."""


def _always_usable() -> Availability:
    return Availability(usable=True, reason="ready")


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """How a backend makes itself known; returned by the hook ``llem_backends``.

    Attributes:
        name: the value of ``backend`` and the name of its section: lower case, no dots.
        summary: one line on what it runs.
        section: class of its configuration.
        create: makes the backend of one workload, an ``InferenceBackend`` or a ``ServingBackend``;
            the place for heavy imports.
        check: looks at a workload without loading the model or importing its engine, in
            well under a second, and says what is wrong with it.
        availability: whether the engine is installed and usable here.
        warm_import: imports the engine and does nothing else; called in a process that will
            soon be asked for ``create``, while a study pauses.
        serves: whether ``create`` gives a ``ServingBackend`` for a workload whose ``load_mode`` is
            not ``batch``. Such a load is refused before anything is loaded where it does not.
    """

    name: str
    summary: str
    section: type[BackendSection]
    create: Callable[[Workload], Backend]
    check: Callable[[Workload], CheckReport]
    availability: Callable[[], Availability] = _always_usable
    warm_import: Callable[[], None] | None = None
    serves: bool = False

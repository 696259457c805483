"""The contract of a backend: whatever runs inference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llem_core.contracts.readings import (
    Availability,
    BatchOutput,
    CheckReport,
    MemoryReading,
    ModelInfo,
)
from llem_core.contracts.section import BackendSection
from llem_core.contracts.workload import Batch, Prompt, Workload


class InferenceBackend(ABC):
    """Runs one workload in one process.

    The harness calls, once each and in this order: the constructor (which only remembers its
    argument), ``load``, ``prepare``, then any number of ``generate`` between
    ``reset_peak_memory`` and ``synchronise``, then ``collect`` for each batch, ``memory`` and
    ``unload``. ``prepare`` may be called again for warm-up and for phase passes. ``unload``
    may be called at any moment, more than once.

    A backend measures no energy, writes no files and prints nothing. Everything that is not
    generation (tokenising, moving inputs, decoding outputs) stays out of ``generate``. Errors
    of the engine are raised as ``BackendError`` (``OutOfMemoryError`` where memory ran out)
    with the original as their cause.

    A whole plugin, in a module that the entry-point group ``llem`` names::

        from llem_core.contracts import (
            Availability, BackendSection, BackendSpec, Batch, BatchOutput, CheckReport,
            DeviceInfo, InferenceBackend, ModelInfo, RequestOutput, hookimpl,
        )

        LLEM_CONTRACT = 1

        class EchoConfig(BackendSection):
            pass

        class EchoBackend(InferenceBackend):
            def load(self):
                return ModelInfo(
                    parameters=None,
                    parameters_non_embedding=None,
                    devices=(DeviceInfo("cpu", "cpu"),),
                )

            def prepare(self, prompts):
                return [
                    Batch((p.index,), (len(p.text.split()),), p.text.split(), len(p.text.split()))
                    for p in prompts
                ]

            def generate(self, batch):
                return batch.payload[: self.workload.max_output_tokens]

            def collect(self, batch, raw):
                return BatchOutput(
                    (RequestOutput(batch.indices[0], output_tokens=len(raw)),),
                    times_missing_reason="echo has no token times",
                )

            def unload(self):
                pass

        @hookimpl
        def llem_backends():
            return [BackendSpec(
                name="echo", summary="Repeats its input.", section=EchoConfig,
                create=EchoBackend, check=lambda workload: CheckReport(),
            )]
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

    @abstractmethod
    def prepare(self, prompts: Sequence[Prompt]) -> Sequence[Batch]:
        """Tokenise the prompts and group them into batches that are ready on the device.

        Every prompt is in exactly one batch. Called outside the measured window.
        """

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

    def synchronise(self) -> None:  # noqa: B027 - most engines have nothing to wait for
        """Wait until all work that ``generate`` started is finished on every device."""

    def reset_peak_memory(self) -> None:  # noqa: B027 - optional
        """Start counting peak memory afresh."""

    def memory(self) -> MemoryReading:
        """Read peak memory since ``reset_peak_memory``."""
        return MemoryReading(None, source="none", reason="the backend reports no memory")

    @abstractmethod
    def unload(self) -> None:
        """Free the model and its devices' memory; harmless when there is nothing to free."""


def _always_usable() -> Availability:
    return Availability(usable=True, reason="ready")


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """How a backend makes itself known; returned by the hook ``llem_backends``.

    Attributes:
        name: the value of ``backend`` and the name of its section: lower case, no dots.
        summary: one line on what it runs.
        section: class of its configuration.
        create: makes the backend of one workload; the place for heavy imports.
        check: looks at a workload without loading the model or importing its engine, in
            well under a second, and says what is wrong with it.
        availability: whether the engine is installed and usable here.
        warm_import: imports the engine and does nothing else; called in a process that will
            soon be asked for ``create``, while a study pauses.
    """

    name: str
    summary: str
    section: type[BackendSection]
    create: Callable[[Workload], InferenceBackend]
    check: Callable[[Workload], CheckReport]
    availability: Callable[[], Availability] = _always_usable
    warm_import: Callable[[], None] | None = None

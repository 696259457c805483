"""One life of a backend, recorded for the rules to look at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from llem_core.contracts import (
    BackendSpec,
    Batch,
    BatchOutput,
    InferenceBackend,
    MemoryReading,
    ModelInfo,
    Prompt,
    RequestOutput,
    RunFacts,
    Workload,
)
from llem_core.measure.drive.served import as_batches
from llem_core.testing.conformance.rules import breach

T = TypeVar("T")
_WORDS = "energy is what a machine takes from the wall while it writes one word after another "


@dataclass(frozen=True, slots=True)
class Ran:
    """A batch that was run.

    Attributes:
        batch: the batch.
        output: what it gave.
        started_s, ended_s: call of ``generate``, and return of ``synchronise`` (monotonic s).
    """

    batch: Batch
    output: BatchOutput
    started_s: float
    ended_s: float


@dataclass
class Life:
    """What a backend did from ``load`` to ``unload``.

    Attributes:
        prompts: all prompts that it was given, texts first.
        ran: batches of the first pass, those of texts and those of synthetic prompts.
        texts: how many of them are of texts.
        again: the batches of texts once more, made by another ``prepare``.
        repeated: the last batch once more, after that.
        again_error, repeated_error: what came instead, if they failed.
        wanted: what ``warmup_batches`` made of the batches of the first pass.
        warmup_error: what came instead of them, or of a warm-up like them.
    """

    info: ModelInfo
    prompts: tuple[Prompt, ...]
    ran: list[Ran] = field(default_factory=list)
    texts: int = 0
    again: list[Batch] = field(default_factory=list)
    again_error: Exception | None = None
    repeated: Ran | None = None
    repeated_error: Exception | None = None
    memory: MemoryReading | None = None
    facts: RunFacts | None = None
    wanted: list[Batch] = field(default_factory=list)
    warmup_error: Exception | None = None

    def prompt(self, index: int) -> Prompt | None:
        """The prompt of that index, if there is one."""
        return next((p for p in self.prompts if p.index == index), None)

    def requests(self) -> list[tuple[Prompt, RequestOutput, Ran]]:
        """Every request with its prompt and the batch that it ran in."""
        return [
            (prompt, request, ran)
            for ran in self.ran
            for request in ran.output.requests
            if (prompt := self.prompt(request.index)) is not None
        ]


def text_prompts(most_input: int, most_output: int) -> list[Prompt]:
    """Texts: a short one, one that has to be cut, and one with a lower limit of its own."""
    return [
        Prompt(0, "Say hello to the meter.", most_output),
        Prompt(1, _WORDS * most_input, most_output),
        Prompt(2, _WORDS, max(1, most_output // 2)),
    ]


def synthetic_prompts(most_input: int, most_output: int) -> list[Prompt]:
    """Token-exact ones: as long as may be, and shorter."""
    lengths = [most_input, max(2, most_input // 3)]
    return [
        Prompt(3 + i, None, most_output, synthetic_tokens=length, exact_output=True)
        for i, length in enumerate(lengths)
    ]


def live(spec: BackendSpec, workload: Workload) -> Life:
    """Take a backend through its life, in the order of the harness.

    Whatever it raises is raised, after ``unload``.
    """
    texts = text_prompts(workload.max_input_tokens, workload.max_output_tokens)
    synthetic = synthetic_prompts(workload.max_input_tokens, workload.max_output_tokens)
    backend = as_batches(spec.create(workload))
    try:
        life = Life(_expect(backend.load(), ModelInfo, "load"), (*texts, *synthetic))
        first = list(backend.prepare(texts, "measured"))
        if not first:
            breach("`prepare` made no batch")
        backend.synchronise()
        backend.reset_peak_memory()
        life.ran = [run(backend, batch) for batch in first]
        life.texts = len(life.ran)
        life.ran += [run(backend, batch) for batch in backend.prepare(synthetic, "measured")]
        life.memory = _expect(backend.memory(), MemoryReading, "memory")
        life.facts = _expect(backend.facts(), RunFacts, "facts")
        _repeat(backend, life, texts)
        if life.again_error is None:
            _warm_up(backend, life)
    finally:
        backend.unload()
    return life


def _warm_up(backend: InferenceBackend, life: Life) -> None:
    # Importing the kit has to stay light: hook modules may offer its doubles.
    from llem_core.measure.drive.warmup import plan_warmup

    batches = [ran.batch for ran in life.ran]
    try:
        life.wanted = list(backend.warmup_batches(batches))
        plan = plan_warmup(backend, batches, life.prompts, backend.workload.random_seed)
        run(backend, plan.repeated)
    except Exception as error:  # noqa: BLE001 - a rule of its own judges it
        life.warmup_error = error


def _repeat(backend: InferenceBackend, life: Life, texts: list[Prompt]) -> None:
    # Rules of their own judge whatever these raise.
    try:
        life.again = list(backend.prepare(texts, "phase"))
    except Exception as error:  # noqa: BLE001 - see above
        life.again_error = error
    try:
        life.repeated = run(backend, life.ran[-1].batch)
    except Exception as error:  # noqa: BLE001 - see above
        life.repeated_error = error


def run(backend: InferenceBackend, batch: Batch) -> Ran:
    """Generate one batch, wait for it, and read it out."""
    _expect(batch, Batch, "prepare")
    started_s = time.monotonic()
    raw = backend.generate(batch)
    backend.synchronise()
    ended_s = time.monotonic()
    output = _expect(backend.collect(batch, raw), BatchOutput, "collect")
    return Ran(batch, output, started_s, ended_s)


def tokens(batches: Sequence[Batch]) -> dict[int, int]:
    """Input tokens by the index of the prompt."""
    return {i: n for batch in batches for i, n in zip(batch.indices, batch.input_tokens)}  # noqa: B905 - a rule of its own looks at their lengths


def _expect(value: object, kind: type[T], method: str) -> T:
    if not isinstance(value, kind):
        breach(f"`{method}` gave {type(value).__name__}, not {kind.__name__}")
    return value

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from llem_core.config.warmup import WarmupConfig
from llem_core.contracts import Batch, BatchOutput, Prompt, RequestOutput, RunFacts, Workload
from llem_core.errors import BackendError
from llem_core.events import Event, Phase, PhaseProgress
from llem_core.measure.drive.warmup import WarmupPlan, warm_up
from llem_core.measure.prompts.alike import Alike, prepare_alike
from llem_core.plugins import Plugins
from llem_core.results.process import WarmupResult
from llem_core.testing import ManualClock, ScriptedBackend, scripted_backend, scripted_sampler
from llenergymeasure import ExperimentResult, run_experiment

Within = Callable[..., AbstractContextManager[Plugins]]
FAST: dict[str, Any] = {
    "model": "m",
    "backend": "scripted",
    "n": 6,
    "max_output_tokens": 4,
    "baseline": {"enabled": False},
    "energy": {"sampler": None},
}


class Backend(ScriptedBackend):
    """Tells of itself what the tests ask; remembers which prompts it ran."""

    made: list[Backend]

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self.ran: list[tuple[int, ...]] = []
        self.made.append(self)

    def generate(self, batch: Batch) -> Any:
        self.ran.append(batch.indices)
        return super().generate(batch)


def kind(**methods: Any) -> type[Backend]:
    return type("Tried", (Backend,), {"made": [], **methods})


def run(
    with_plugins: Within, backend: type[Backend], samplers: Sequence[Any] = (), **fields: Any
) -> ExperimentResult:
    with with_plugins(backends=[scripted_backend(create=backend)], samplers=list(samplers)):
        return run_experiment(**(FAST | fields))


def warmup_of(result: ExperimentResult) -> WarmupResult:
    (process,) = result.processes
    assert process.warmup is not None
    return process.warmup


@pytest.mark.parametrize("dataset", ["bundled", "synthetic"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_warm_up_runs_prompts_as_long_as_measured_ones_and_none_of_them(
    with_plugins: Within, dataset: str, batch_size: int
) -> None:
    backend = kind()
    result = run(with_plugins, backend, dataset=dataset, scripted={"batch_size": batch_size})
    (made,) = backend.made
    (purpose, measured), (purpose_after, warmed) = made.prepared
    assert (purpose, purpose_after) == ("measured", "warmup")
    texts = {prompt.text for prompt in measured if prompt.text is not None}
    assert not texts & {prompt.text for prompt in warmed}
    indices = {prompt.index for prompt in measured}
    assert not indices & {prompt.index for prompt in warmed}
    largest = max(range(0, 6, batch_size), key=lambda i: tokens(measured[i : i + batch_size]))
    like = measured[largest : largest + batch_size]
    assert [length(prompt) for prompt in warmed] == [length(prompt) for prompt in like]
    assert [p.max_new_tokens for p in warmed] == [p.max_new_tokens for p in like]
    n_warm = len(warmup_of(result).latency_per_token_s)
    assert made.ran[:n_warm] == [tuple(p.index for p in warmed)] * n_warm
    assert {index for batch in made.ran[n_warm:] for index in batch} == indices
    record = warmup_of(result)
    assert record.input_tokens == record.measured_input_tokens == sum(map(length, like))
    assert ("synthetic" in record.prompts) == (dataset == "synthetic")


def length(prompt: Prompt) -> int:
    return prompt.synthetic_tokens or len((prompt.text or "").split())


def tokens(prompts: Sequence[Prompt]) -> int:
    return max(map(length, prompts)) * len(prompts)


def test_the_same_seed_makes_the_same_warm_up(with_plugins: Within) -> None:
    def texts(seed: int) -> list[str | None]:
        backend = kind()
        run(with_plugins, backend, random_seed=seed)
        return [prompt.text for prompt in backend.made[0].prepared[1][1]]

    assert texts(1) == texts(1) != texts(2)


def syllables(prompts: Sequence[Prompt], most: int = 10_000) -> list[Batch]:
    """A tokenizer for which words differ in length: a token for three characters of a word."""
    counts = [sum(-(-len(word) // 3) for word in (p.text or "").split()) for p in prompts]
    for count in counts:
        if count > most:
            raise BackendError(f"{count} tokens, of {most}")
    return [
        Batch((p.index,), (count,), p.text, count) for p, count in zip(prompts, counts, strict=True)
    ]


HARD = [
    "to be or not to be",
    "word",
    "a a a a",
    "x",
    "日本語のテキスト",
    "0 x",
    "extraordinarily long words and a few of no length at all " * 3,
]


@pytest.mark.parametrize("text", HARD)
def test_texts_of_every_kind_have_another_that_is_as_long(text: str) -> None:
    prompt = Prompt(0, text, 4)
    (batch,) = syllables([prompt])
    alike = prepare_alike(
        syllables, [prompt], {0: batch.input_tokens[0]}, {text, "x 0", "one"}, seed=1
    )
    (made,) = alike.batches
    assert made.payload not in {text, "x 0", "one"}
    assert made.payload.split()[0] != text.split(maxsplit=1)[0]
    assert alike.wanted_tokens == batch.input_tokens[0]
    assert abs(alike.input_tokens - alike.wanted_tokens) <= 3


def test_a_text_that_becomes_too_long_for_the_engine_is_shortened() -> None:
    text = "abcdefghi " * 9 + "no"

    def tight(prompts: Sequence[Prompt]) -> list[Batch]:
        # Words in another order take more tokens here than the engine allows.
        longer = [replace(p, text=f"{p.text} and some more of it") for p in prompts]
        return syllables(longer, most=28)

    alike = prepare_alike(tight, [Prompt(0, text, 4)], {0: 28}, {text}, seed=1)
    assert 20 <= alike.input_tokens <= 28

    def never(prompts: Sequence[Prompt]) -> list[Batch]:
        raise BackendError("the engine is gone")

    with pytest.raises(BackendError, match="is gone"):
        prepare_alike(never, [Prompt(0, text, 4)], {0: 28}, {text}, seed=1)


def test_the_backend_says_what_to_warm_up_for(with_plugins: Within) -> None:
    """An engine whose one batch is the whole data set is not warmed up with all of it."""

    def first_two(self: Backend, batches: Sequence[Batch]) -> Sequence[Batch]:
        (whole,) = batches
        short = replace(whole, indices=whole.indices[:2], input_tokens=whole.input_tokens[:2])
        return [short, replace(whole, indices=(5,), input_tokens=whole.input_tokens[5:])]

    backend = kind(warmup_batches=first_two)
    result = run(with_plugins, backend, scripted={"batch_size": 6})
    n_rows = [len(indices) for indices in backend.made[0].ran]
    repeated = len(warmup_of(result).latency_per_token_s)
    assert n_rows == [1, *[2] * repeated, 6]
    assert warmup_of(result).n_batches == repeated + 1


@pytest.mark.parametrize("indices", [(), (77,)])
def test_a_backend_that_names_no_measured_prompt_is_told_so(
    with_plugins: Within, indices: tuple[int, ...]
) -> None:
    def wrong(self: Backend, batches: Sequence[Batch]) -> Sequence[Batch]:
        return [replace(batches[0], indices=indices, input_tokens=(3,) * len(indices))]

    with pytest.raises(BackendError, match="`warmup_batches`"):
        run(with_plugins, kind(warmup_batches=wrong))


class Paced:
    """A backend whose batches take as long as a script says, by a clock of its own."""

    def __init__(self, clock: ManualClock, durations_s: Sequence[float]) -> None:
        self._clock = clock
        self._durations = iter(durations_s)

    def synchronise(self) -> None:
        pass

    def generate(self, batch: Batch) -> None:
        self._clock.sleep(next(self._durations))

    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        request = RequestOutput(
            index=0, input_tokens=1, output_tokens=2, started_s=0.0, ended_s=1.0
        )
        return BatchOutput((request,))


@pytest.mark.parametrize(
    ("settings", "durations_s", "ended_by", "n"),
    [
        ({}, [2.0] * 9, "converged", 5),
        ({"convergence_detection": False}, [2.0] * 9, "n_warmup", 5),
        ({"max_prompts": 7}, [2.0, 9.0] * 9, "max_prompts", 7),
        ({"max_seconds": 30}, [2.0, 9.0] * 9, "max_seconds", 6),
        ({"max_seconds": 30, "convergence_detection": False}, [12.0] * 9, "max_seconds", 3),
        ({"max_seconds": 1}, [90.0], "max_seconds", 1),
    ],
)
def test_the_record_says_what_ended_the_warm_up(
    settings: dict[str, Any], durations_s: list[float], ended_by: str, n: int
) -> None:
    clock = ManualClock()
    batch = Batch((0,), (1,), None, 1)
    plan = WarmupPlan(batch, (), Alike([batch], 1, 1, "by hand"))
    told: list[tuple[float, float, str]] = []
    result = warm_up(
        Paced(clock, durations_s),  # type: ignore[arg-type]
        plan,
        WarmupConfig(**settings),
        lambda *progress: told.append(progress),
        clock,
    )
    assert (result.ended_by, len(result.latency_per_token_s)) == (ended_by, n)
    assert result.latency_per_token_s == [duration / 2 for duration in durations_s[:n]]
    assert result.duration_s == sum(durations_s[:n])
    assert result.converged == (
        None if settings.get("convergence_detection") is False else ended_by == "converged"
    )
    assert [done for done, _, unit in told if unit == "batches"] == list(range(1, n + 1))


def test_the_window_opens_after_an_unmeasured_batch_when_a_baseline_has_cooled_the_device(
    with_plugins: Within,
) -> None:
    backend = kind()
    fields = {"energy": {}, "n": 2, "baseline": {"duration_seconds": 0.1}}
    result = run(with_plugins, backend, [scripted_sampler()], **fields)
    (made,) = backend.made
    n_warm = len(warmup_of(result).latency_per_token_s)
    assert made.ran[n_warm] == made.ran[0]
    assert made.ran[n_warm + 1 :] == [(0,), (1,)]

    plain = kind()
    result = run(with_plugins, plain, n=2)
    assert plain.made[0].ran[len(warmup_of(result).latency_per_token_s) :] == [(0,), (1,)]

    off = kind()
    run(with_plugins, off, [scripted_sampler()], **fields, warmup={"enabled": False})
    assert off.made[0].ran == [(0,), (1,)]


def test_facts_of_the_backend_are_in_the_result_and_its_notes_in_the_warnings(
    with_plugins: Within,
) -> None:
    def facts(self: Backend) -> RunFacts:
        assert self.calls[-1] == "synchronise"
        return RunFacts({"preemptions": 3}, ("3 requests were preempted.",))

    result = run(with_plugins, kind(facts=facts))
    (process,) = result.processes
    assert process.facts == {"preemptions": 3}
    assert "3 requests were preempted." in result.measurement_warnings
    assert run(with_plugins, kind()).processes[0].facts == {}


def test_progress_counts_batches(with_plugins: Within) -> None:
    events: list[Event] = []
    run(with_plugins, kind(), listener=events.append, scripted={"batch_size": 3})
    told = [e for e in events if isinstance(e, PhaseProgress) and e.phase is Phase.WARMUP]
    assert told
    assert {event.unit for event in told} == {"batches"}
    assert [event.done for event in told] == list(range(1, len(told) + 1))


def test_the_backend_is_told_what_each_pass_is_for(with_plugins: Within) -> None:
    backend = kind()
    run(with_plugins, backend, [scripted_sampler()], energy={"phase_energy": True}, n=2)
    prepared = backend.made[0].prepared
    assert [purpose for purpose, _ in prepared] == ["measured", "warmup", "phase"]
    measured, _, phase = (prompts for _, prompts in prepared)
    assert [prompt.text for prompt in phase] == [prompt.text for prompt in measured]
    assert {prompt.max_new_tokens for prompt in phase} == {1}

"""For every rule of backends, a backend that breaks it and no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llem_core.contracts import (
    BackendSpec,
    Batch,
    BatchOutput,
    CheckReport,
    MemoryReading,
    ModelInfo,
    Prompt,
    Purpose,
    RunFacts,
    Workload,
)
from llem_core.errors import BackendError
from llem_core.testing import BackendContract, ScriptedBackend, run_contract, scripted_backend
from llem_core.testing.conformance import checks_of

MISSING = "./no-such-model"


class Right(ScriptedBackend):
    """Keeps every rule."""

    def load(self) -> ModelInfo:
        if self.workload.model == MISSING:
            try:
                Path(MISSING).read_bytes()
            except FileNotFoundError as error:
                raise self.missing(error) from error
        return super().load()

    def missing(self, error: Exception) -> Exception:
        return BackendError(f"{MISSING} does not exist; give another model")

    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        output = super().collect(batch, raw)
        return replace(output, requests=tuple(self.request(r) for r in output.requests))

    def request(self, request: Any) -> Any:
        return request


class LoadsInConstructor(Right):
    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        if workload.model == MISSING:
            self.load()

    def load(self) -> ModelInfo:
        # So that the rules about a failing load are not concerned.
        return super().load()


class StartsThread(Right):
    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self.done = threading.Event()
        threading.Thread(target=self.done.wait, args=(4,), name="early").start()

    def unload(self) -> None:
        self.done.set()


class CollectsNothing(Right):
    def collect(self, batch: Batch, raw: object) -> Any:
        return None


class UnloadsOnce(Right):
    def load(self) -> ModelInfo:
        self.loaded = True
        return super().load()

    def unload(self) -> None:
        if getattr(self, "loaded", None) is False:
            raise RuntimeError("nothing to free")
        if hasattr(self, "loaded"):
            self.loaded = False


class UnloadsLoadedOnly(Right):
    tried = False

    def load(self) -> ModelInfo:
        self.tried = True
        return super().load()

    def unload(self) -> None:
        if not self.tried:
            raise AttributeError("no model")


class UnloadsWholeOnly(Right):
    half = False

    def load(self) -> ModelInfo:
        self.half = self.workload.model == MISSING
        return super().load()

    def unload(self) -> None:
        # The kit cleans up after its checks of the error itself: those may not fail for it.
        if self.half and not hasattr(self, "judged"):
            raise AttributeError("half a model")


class RaisesForeign(Right):
    def missing(self, error: Exception) -> Exception:
        return RuntimeError(f"{MISSING} does not exist")


class RaisesNameless(Right):
    def missing(self, error: Exception) -> Exception:
        return BackendError("it does not exist")


class LosesCause(Right):
    def load(self) -> ModelInfo:
        try:
            return super().load()
        except BackendError as error:
            raise BackendError(str(error)) from None


class Facts(Right):
    def load(self) -> ModelInfo:
        return replace(super().load(), parameters_non_embedding=2_000_000)


class WeightsInKilobytes(Right):
    def load(self) -> ModelInfo:
        return replace(super().load(), weights_bytes=4_000)


class LosesPrompt(Right):
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        return super().prepare([p for p in prompts if p.index != 2], purpose)


class DoesNotCut(Right):
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        whole = replace(self.workload, max_input_tokens=10_000)
        cut = {b.indices: b.truncated for b in super().prepare(prompts, purpose)}
        self.workload, kept = whole, self.workload
        batches = super().prepare(prompts, purpose)
        self.workload = kept
        return [replace(b, truncated=cut[b.indices]) for b in batches]


class PadsBackwards(Right):
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        return [replace(b, padded_tokens=0) for b in super().prepare(prompts, purpose)]


class CutsSilently(Right):
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        return [replace(b, truncated=0) for b in super().prepare(prompts, purpose)]


class SyntheticShort(Right):
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        shorter = [p.synthetic_tokens and p.synthetic_tokens - 1 for p in prompts]
        changed = [replace(p, synthetic_tokens=n) for p, n in zip(prompts, shorter, strict=True)]
        return super().prepare(changed, purpose)


class Talkative(Right):
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        longer = [p if p.exact_output else replace(p, max_new_tokens=9) for p in prompts]
        return super().prepare(longer, purpose)


class StopsEarly(Right):
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        return super().prepare(
            [replace(p, max_new_tokens=2) if p.exact_output else p for p in prompts], purpose
        )


class Disorderly(Right):
    def collect(self, batch: Batch, raw: object) -> BatchOutput:
        output = super().collect(batch, raw)
        return replace(output, requests=output.requests[::-1])


class CountsPrompt(Right):
    def request(self, request: Any) -> Any:
        return replace(request, token_ids=(*request.token_ids, 1))


class ForgetsTime(Right):
    def request(self, request: Any) -> Any:
        return replace(request, token_times_s=request.token_times_s[1:])


class Timeless(Right):
    def request(self, request: Any) -> Any:
        return replace(request, token_times_s=None)


class TimesBackwards(Right):
    def request(self, request: Any) -> Any:
        return replace(request, token_times_s=request.token_times_s[::-1])


class TimesInMilliseconds(Right):
    def request(self, request: Any) -> Any:
        times_s = tuple(1000 * t for t in request.token_times_s)
        started_s, ended_s = 1000 * request.started_s, 1000 * request.ended_s
        return replace(request, started_s=started_s, ended_s=ended_s, token_times_s=times_s)


class TimesFromItsStart(Right):
    def request(self, request: Any) -> Any:
        times_s = tuple(t - request.started_s for t in request.token_times_s)
        ended_s = request.ended_s - request.started_s
        return replace(request, started_s=0.0, ended_s=ended_s, token_times_s=times_s)


class EndsBeforeItsLastToken(Right):
    def request(self, request: Any) -> Any:
        return replace(request, ended_s=request.started_s)


class QueuedBackwards(Right):
    def request(self, request: Any) -> Any:
        return replace(request, queued_s=-1.0)


class FailsWithTokens(Right):
    def request(self, request: Any) -> Any:
        return replace(request, error="the connection was closed")


class CountsInputOtherwise(Right):
    def request(self, request: Any) -> Any:
        return replace(request, input_tokens=request.input_tokens + 1)


class MemoryUnsaid(Right):
    def memory(self) -> MemoryReading:
        return MemoryReading(None, "nobody")


class MemoryInMebibytes(Right):
    def memory(self) -> MemoryReading:
        return MemoryReading(10, "scripted")


class PreparesOnce(Right):
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        if self.calls.count("prepare") >= 2:
            raise RuntimeError("prepared already")
        return super().prepare(prompts, purpose)


class PreparesOtherwise(Right):
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        again = self.calls.count("prepare") >= 2
        batches = super().prepare(prompts, purpose)
        return batches[:1] if again else batches


class ConsumesPayload(Right):
    def generate(self, batch: Batch) -> Any:
        raw = super().generate(batch)
        batch.payload.clear()
        return raw


class FactsAsObjects(Right):
    def facts(self) -> RunFacts:
        return RunFacts({"hits": {1, 2}})


class SaysNothing(Right):
    def facts(self) -> RunFacts:
        return RunFacts(notes=(" ",))


class WarmsUpNothing(Right):
    def warmup_batches(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        return batches[:0]


class WarmsUpOthers(Right):
    def warmup_batches(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        return [replace(batches[0], indices=(99,), input_tokens=(1,))]


class RefusesPurpose(Right):
    def prepare(self, prompts: Sequence[Prompt], purpose: Purpose) -> Sequence[Batch]:
        if purpose == "warmup":
            raise RuntimeError("what is a warm-up?")
        return super().prepare(prompts, purpose)


def backend(kind: Callable[[Workload], Any], report: Any = None) -> BackendSpec:
    return scripted_backend(create=kind, report=report)


def contract(spec: BackendSpec) -> type[BackendContract]:
    given = {"spec": spec, "section": {"batch_size": 2, "token_time_s": 0.004}}
    # This module, which the kit imports anew, imports pytest.
    return type("Tried", (BackendContract,), {**given, "import_ratio": 9.0})


def failed(spec: BackendSpec) -> list[str]:
    outcomes = run_contract(contract(spec))
    return [code for code, outcome in outcomes.items() if outcome.state == "failed"]


WRONG = [
    ("B1", backend(LoadsInConstructor)),
    ("B1", backend(StartsThread)),
    ("B2", backend(CollectsNothing)),
    ("B3", backend(UnloadsOnce)),
    ("B4", backend(UnloadsLoadedOnly)),
    ("B5", backend(UnloadsWholeOnly)),
    ("B6", backend(RaisesForeign)),
    ("B6", backend(RaisesNameless)),
    ("B7", backend(LosesCause)),
    ("B8", backend(Right, CheckReport(problems=("never",)))),
    ("B8", backend(Right, CheckReport(memory_estimate_bytes=0))),
    ("B9", backend(Facts)),
    ("B9", backend(WeightsInKilobytes)),
    ("B10", backend(LosesPrompt)),
    ("B11", backend(DoesNotCut)),
    ("B11", backend(PadsBackwards)),
    ("B12", backend(CutsSilently)),
    ("B13", backend(SyntheticShort)),
    ("B14", backend(Talkative)),
    ("B15", backend(StopsEarly)),
    ("B16", backend(Disorderly)),
    ("B17", backend(CountsPrompt)),
    ("B18", backend(ForgetsTime)),
    ("B18", backend(Timeless)),
    ("B19", backend(TimesBackwards)),
    ("B19", backend(EndsBeforeItsLastToken)),
    ("B19", backend(QueuedBackwards)),
    ("B20", backend(TimesInMilliseconds)),
    ("B20", backend(TimesFromItsStart)),
    ("B21", backend(MemoryUnsaid)),
    ("B22", backend(MemoryInMebibytes)),
    ("B23", backend(PreparesOnce)),
    ("B23", backend(PreparesOtherwise)),
    ("B24", backend(ConsumesPayload)),
    ("B25", backend(FailsWithTokens)),
    ("B26", backend(CountsInputOtherwise)),
    ("B27", backend(WarmsUpNothing)),
    ("B27", backend(WarmsUpOthers)),
    ("B27", backend(RefusesPurpose)),
    ("B28", backend(FactsAsObjects)),
    ("B28", backend(SaysNothing)),
]


@pytest.mark.parametrize(("code", "spec"), WRONG, ids=[code for code, _ in WRONG])
def test_the_wrong_backend_breaks_its_rule_and_no_other(code: str, spec: BackendSpec) -> None:
    assert failed(spec) == [code]


def test_the_right_backend_breaks_none() -> None:
    outcomes = run_contract(contract(backend(Right)))
    assert {code: o.message for code, o in outcomes.items() if o.state == "failed"} == {}
    skipped = {code: o.message for code, o in outcomes.items() if o.state == "skipped"}
    assert list(skipped) == ["E1", "E2", "P2"]
    assert "the engine lives in this process" in skipped["E1"]


def test_every_rule_has_a_wrong_backend() -> None:
    codes = {rule.code for _, rule in checks_of(BackendContract) if rule.code.startswith("B")}
    assert codes == {code for code, _ in WRONG}
